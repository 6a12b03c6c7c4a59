"""A process that computes for pages: ``python -m gateflow.explorer.worker numbers`` or ``theory``.

A line of JSON in is a request, with a page, a number and what is asked; lines of JSON out are the parts of its answer.
A newer request of a page takes the place of its older one, which is left off at the next place where that can be. The
process ends where its input does, and so with the process that started it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any

from gateflow.errors import GateflowError
from gateflow.explorer.asked import Asked

REST = 0.1
"""Seconds that a slider rests before more than its picture is computed."""

Parts = Callable[[Asked], Iterator[dict[str, Any] | None]]


class Inbox:
    """The newest request of each page; pages take turns."""

    def __init__(self) -> None:
        self._newest: dict[str, dict[str, Any]] = {}
        self._there = threading.Condition()

    def put(self, request: dict[str, Any]) -> None:
        """Take a request in, in place of an older one of its page; one without ``asked`` only takes its place."""
        with self._there:
            self._newest[request["page"]] = request
            self._there.notify()

    def take(self) -> dict[str, Any]:
        """The next request; waits for one."""
        with self._there:
            self._there.wait_for(lambda: bool(self._newest))
            return self._newest.pop(next(iter(self._newest)))

    def rest(self, seconds: float) -> None:
        """Wait, unless somebody asks meanwhile."""
        with self._there:
            self._there.wait_for(lambda: bool(self._newest), seconds)

    def has_newer(self, page: str) -> bool:
        """Whether the page has asked again."""
        return page in self._newest

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits."""
        return not self._newest


def answer(request: dict[str, Any], inbox: Inbox, parts: Parts, tell: Callable[[dict[str, Any]], None]) -> bool:
    """Send the parts of an answer, as long as its page asks nothing newer; whether it was sent to its end."""
    address = {"page": request["page"], "seq": request["seq"]}
    if request.get("asked") is None:
        tell({**address, "part": "left off"})
        return False
    try:
        for part in parts(Asked.of(request["asked"])):
            if inbox.has_newer(request["page"]):
                tell({**address, "part": "left off"})
                return False
            if part is not None:
                tell({**address, **part})
                if part["part"] == "picture":
                    inbox.rest(REST)
    except GateflowError as problem:
        tell({**address, "part": "refused", "error": str(problem)})
    except Exception as problem:
        fault = f"{type(problem).__name__}: {problem} (a fault of gateflow)"
        tell({**address, "part": "refused", "error": fault[:300]})
    return True


def main(kind: str) -> None:
    """Answer until the input ends."""
    inbox, out = Inbox(), sys.stdout
    sys.stdout = sys.stderr  # whatever else prints does not speak for us
    threading.Thread(target=_listen, args=(sys.stdin, inbox), daemon=True).start()
    parts, made_ready = _work(kind)
    tell = _teller(out)
    tell({"part": "hello", **hello()} if kind == "numbers" else {"part": "hello"})
    while True:
        request = inbox.take()
        done = answer(request, inbox, parts, tell)
        if done and inbox.is_empty:
            made_ready(request)


def _listen(lines: IO[str], inbox: Inbox) -> None:
    for line in lines:
        inbox.put(json.loads(line))
    os._exit(0)


def _teller(out: IO[str]) -> Callable[[dict[str, Any]], None]:
    def tell(part: dict[str, Any]) -> None:
        try:
            out.write(json.dumps(part, allow_nan=False, separators=(",", ":")) + "\n")
            out.flush()
        except OSError:  # nobody reads any more
            os._exit(0)

    return tell


def _work(kind: str) -> tuple[Parts, Callable[[dict[str, Any]], None]]:
    """What a worker of a kind does, and what it makes ready when there is nothing to do."""
    if kind == "theory":
        from gateflow.explorer.theory import theory

        return theory, lambda _: None
    from gateflow.explorer.answers import answers, warm

    def made_ready(request: dict[str, Any]) -> None:
        gates = request["asked"].get("gates", ())
        threading.Thread(target=lambda: [warm(text.strip()) for text in gates], daemon=True).start()

    return answers, made_ready


def hello() -> dict[str, Any]:
    """What a page is made of: controls, names of gates and decays, and how lines are drawn."""
    from gateflow.explorer.answers import GRID, drawn
    from gateflow.explorer.asked import CONTROLS, MOST_GATES, OPTIMIZERS
    from gateflow.gates.gate import GATES
    from gateflow.gates.published import DECAYS

    return {
        "controls": [control._asdict() for control in CONTROLS],
        "optimizers": list(OPTIMIZERS),
        "most": MOST_GATES,
        "catalogue": list(GATES),
        "decays": [{"name": name, "about": DECAYS[name].about} for name in DECAYS if DECAYS[name].gate],
        "grid": drawn(GRID),
    }


if __name__ == "__main__":
    main(sys.argv[1])
