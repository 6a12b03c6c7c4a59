"""Figures of the theory, and of training beside it, one file each: what they compute, and how that is drawn.

A module here declares ``FIGURE``; the first line of its docstring is the caption. :func:`figures` writes files;
``FIGURES["slope"]`` shows itself in a notebook; its ``picture()`` is a Matplotlib figure, ``compute()`` its numbers.
Your own figures look the same by ``plt.style.use(STYLE)``, or ``SCREEN`` in a notebook; ``GATE_STYLES`` holds the
line styles of the gates.
Matplotlib is imported when something is drawn, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from gateflow.errors import InvalidArgument, unknown
from gateflow.files import one_line
from gateflow.guards.arguments import items
from gateflow.plots._style import GATE_STYLES, SCREEN, STYLE
from gateflow.progress import track
from gateflow.registry import Registry

if TYPE_CHECKING:
    from gateflow.plots._gates import Gates

FIGURES = Registry("figure", "gateflow.plots", "FIGURE")
"""Every figure, and those of other installed packages."""


def figures(
    names: Iterable[str] | str | None = None,
    out: str | Path = "figures",
    formats: Iterable[str] | str = ("svg", "pdf", "png"),
    *,
    gates: Gates | None = None,
    results: str | Path | None = None,
    force: bool = False,
) -> list[Path]:
    """Make figures and write them to a folder, each with its numbers (csv), its caption (txt) and a record of how it
    was made (json).

    A second run in the same environment writes the same bytes. Nothing is trained: figures of training are drawn from
    results that are kept, see :func:`retrain`.

    Parameters
    ----------
    names : str or iterable of str, optional
        Which figures; all of :data:`FIGURES` by default.
    out : path
        The folder, made if there is none.
    formats : str or iterable of str
        Among svg, pdf, png.
    gates : iterable or mapping of Gate or str, optional
        The gates to show, by name or formula, at most nine; a mapping says what to call each. By default each figure
        shows its own, and with ``gates`` the figures that can show any are made if no names are given.
    results : path, optional
        The folder with the results of training; by default those that come with gateflow.
    force : bool
        Whether to replace files that no record of a figure names.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    UnknownName
        No figure has such a name.
    InvalidArgument
        A format is none of the three, a figure shows no gates, or the folder cannot be written.

    Examples
    --------
    >>> figures("training", gates=["fast"])
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: training does not take gates; those that do: barrier, ...
    >>> figures("slop")
    Traceback (most recent call last):
    gateflow.errors.UnknownName: unknown figure 'slop'; did you mean 'slope'?
    """
    from gateflow.plots._figure import look, write

    wanted, forms = _known(names), _formats(formats)
    folder = None if results is None else Path(results)
    chosen = None
    if gates is not None:
        from gateflow.plots._gates import named

        chosen = named(gates)
        wanted = _taking_gates(wanted, names is None)
    written: list[Path] = []
    with one_line("write figures to", out):
        if wanted:
            Path(out).mkdir(parents=True, exist_ok=True)
        for name in wanted:
            look(name, Path(out), forms)
        for name in track(wanted, "figures"):
            about = FIGURES.about(name)
            written += write(name, about, FIGURES[name], Path(out), forms, folder, chosen, force=force)
    return written


def retrain(
    names: Iterable[str] | str | None = None,
    results: str | Path = Path("runs") / "results",
    runs: str | Path = "runs",
    stop: Callable[[], bool] = lambda: False,
    *,
    force: bool = False,
) -> bool:
    """Train anew what figures show, or go on with that, and keep the results; False where it was stopped on the way.

    Parameters
    ----------
    names : str or iterable of str, optional
        Which figures; by default all that show training.
    results : path
        The folder to keep results in, for :func:`figures`.
    runs : path
        The folder of the runs, each of which goes on from wherever it was left.
    stop : callable
        Asked now and then whether to stop.
    force : bool
        Whether to replace a file in ``results`` that does not prove to be a result.

    Raises
    ------
    InvalidArgument
        None of these figures shows training.

    Examples
    --------
    >>> retrain("slope")
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: nothing is trained for slope; figures of training: agreement, ...
    """
    from gateflow.study.kept import renew

    wanted = _known(names)
    every = {name: FIGURES[name].kept for name in FIGURES if FIGURES[name].kept}
    kept = dict.fromkeys(each for name in wanted for each in every.get(name, ()))
    if not kept:
        raise InvalidArgument(f"nothing is trained for {', '.join(wanted)}; figures of training: {', '.join(every)}")
    return all(renew(name, results, runs, stop, force=force) for name in kept)


def _known(names: Iterable[str] | str | None) -> list[str]:
    """The names as the registry spells them, each once, all of them checked before any work is done."""
    given = [names] if isinstance(names, str) else items("names", FIGURES if names is None else names)
    for name in given:
        FIGURES.module(name)
    return list(dict.fromkeys(map(FIGURES.spelled, given)))


def _taking_gates(wanted: list[str], every: bool) -> list[str]:
    """The figures that can show any gates; one that was named and cannot is refused."""
    able = [name for name in FIGURES if FIGURES[name].gates]
    unable = [name for name in wanted if name not in able]
    if unable and not every:
        raise InvalidArgument(f"{', '.join(unable)} does not take gates; those that do: {', '.join(able)}")
    return [name for name in wanted if name in able]


def _formats(formats: Iterable[str] | str) -> tuple[str, ...]:
    from gateflow.plots._figure import FORMATS

    given = [formats] if isinstance(formats, str) else list(formats)
    forms = tuple(dict.fromkeys(str(form).strip().lower().lstrip(".") for form in given))
    for form in forms:
        if form not in FORMATS:
            raise InvalidArgument(unknown("format", form, FORMATS))
    return forms


__all__ = ["FIGURES", "GATE_STYLES", "SCREEN", "STYLE", "figures", "retrain"]
