"""The page from Python: opened in a browser, or shown in a notebook's cell."""

from __future__ import annotations

import asyncio
import threading
import webbrowser
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from gateflow.errors import InvalidArgument
from gateflow.explorer.asked import MOST_GATES, Asked
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.guards.arguments import items, whole
from gateflow.notebook.exploration import is_notebook, sliders
from gateflow.notebook.html import Html, card_part

WAIT = 120.0
"""Seconds for the first picture; a busy machine starts slowly."""


class Exploration:
    """A page that is served by a thread of this process, until it is closed or the process ends.

    Attributes
    ----------
    address : str
        Where it is: on this machine only, with a token that nobody else knows.
    processes : dict of str to int
        The processes that compute for it, by what they do, as it was opened.
    """

    def __init__(self, first: dict[str, Any], port: int) -> None:
        self.address: str = ""
        self.processes: dict[str, int] = {}
        self._loop: Any = None
        self._ended: Any = None
        self._there = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(first, port), name="gateflow-explore", daemon=True)
        self._thread.start()
        self._there.wait(WAIT)
        if self._problem is not None:
            raise self._problem

    def _run(self, first: dict[str, Any], port: int) -> None:
        async def main() -> None:
            self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
            await serve(first, port, None, self._opened, self._ended)

        try:
            from gateflow.explorer.server import serve

            asyncio.run(main())
        except Exception as problem:
            self._problem = problem
        finally:
            self._there.set()

    def _opened(self, server: Any) -> None:
        self.address = server.address
        self.processes = {kind: worker.process.pid for kind, worker in server.workers.items()}
        self._there.set()

    def close(self) -> None:
        """End the page and its workers."""
        if self._thread.is_alive() and self._loop is not None:
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(WAIT)

    def __repr__(self) -> str:
        state = "" if self._thread.is_alive() else ", closed"
        return f"<Exploration at {self.address}{state}>"

    def _repr_html_(self) -> Html:
        return card_part("frame", self.address)


def explore(
    show: Iterable[Gate | str] | Gate | str | Callable[..., Any] = Asked.gates,
    /,
    *,
    checkpoint: str | Path | None = None,
    port: int = 0,
    browser: bool = True,
    **choices: Any,
) -> Any:
    """Play with gates on a page of their own, or with a function of yours through a control for each of its values.

    Gates: the page shows them with class, order, crossing, learning curves and times, which follow its sliders (docs:
    Play with gates). In a notebook it stands in the cell, else a browser opens it. It is served on this machine only,
    and needs the extra ``explore``.

    A function: it is called with a value for each choice, and what it returns is shown, anew whenever one of the values
    changes. The first sight is an ordinary output of the cell: it stays where a notebook is printed, converted or read
    without a kernel. Where there is no notebook, or no ipywidgets, it is all there is.

    Parameters
    ----------
    show : iterable of Gate or str, or callable
        One to six gates; or a function that returns what is to be shown: a Matplotlib figure, a card, anything. Its
        defaults are the first values.
    checkpoint : path, optional
        A file of weights, whose audit the page shows; see ``gateflow audit``.
    port : int
        Of the page; 0 for one that is free.
    browser : bool
        Whether a browser is opened, where there is no notebook.
    **choices
        Of a function: for each value its ``(low, high)``, on a logarithmic scale from two decades on; a list of what
        may be chosen; or ``str`` for a line of text, such as a formula.

    Returns
    -------
    object
        Of gates an :class:`Exploration`, with its address and ``close()``. Of a function what it returns, where there
        are no controls; else None, for it has been shown.

    Raises
    ------
    InvalidArgument
        A formula leaves the language, the port is in use, or the file cannot be read. A choice belongs to no
        parameter, has no first value, or leaves it out.
    MissingExtra
        Tornado, which serves the page, is not installed.

    Examples
    --------
    >>> explore(lambda steps=100: f"{steps} steps", steps=(1, 1000))
    '100 steps'
    >>> page = explore(["fast", "sigmoid(z + z**3)"], browser=False)  # doctest: +SKIP
    >>> page.address  # doctest: +SKIP
    'http://127.0.0.1:40123/DyvCE6hx2ZdvGgWN9Ohf2l6dCQjrCVvd/'
    """
    if callable(show) and not isinstance(show, Gate):
        return sliders(show, **choices)
    if choices:
        raise InvalidArgument(f"{next(iter(choices))} is a choice of a function; gates have their sliders on the page")
    page = Exploration(first_sight(show, checkpoint), whole("port", port, 0, 65535))
    if browser and not is_notebook():
        webbrowser.open(page.address)
    return page


def first_sight(gates: Any, checkpoint: str | Path | None = None) -> dict[str, Any]:
    """What a page shows first, of gates by name, formula or object.

    Examples
    --------
    >>> first_sight(["fast", " sigmoid(2*z)"])
    {'gates': ['fast', 'sigmoid(2*z)'], 'audit': None}
    """
    several = [gates] if isinstance(gates, (str, Gate)) else items("gates", gates)
    texts = [_text(one) for one in several or Asked.gates]
    if len(texts) > MOST_GATES:
        raise InvalidArgument(f"the page shows one to {MOST_GATES} gates; got {len(texts)}")
    return {"gates": texts, "audit": None if checkpoint is None else _audit(checkpoint)}


def _text(one: Any) -> str:
    """The text that makes a gate again."""
    found = as_gate(one)
    text = one.strip() if isinstance(one, str) else found.name
    if len(found.expr.free_symbols) > 1:
        raise InvalidArgument(f"{text} has an open parameter: the page needs a number for it")
    if not isinstance(one, str) and as_gate(text) != found:
        raise InvalidArgument(f"{text} with {found.parameters} has no text that makes it again; give one")
    return text


def _audit(checkpoint: str | Path) -> dict[str, Any]:
    import json

    from gateflow.descents.audit import audit
    from gateflow.record import to_json_line

    return json.loads(to_json_line(audit(checkpoint).to_json()))
