"""A progress bar with an estimate of the time left, for anything that takes over two seconds, on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds of silence before a bar appears."""


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate over ``items``; once two seconds have passed and more are to come, show a bar on standard error.

    Examples
    --------
    >>> list(track("ab", "letters"))
    ['a', 'b']
    """
    if not sys.stderr.isatty():
        yield from items
        return
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    yield from _tracked(items, description, total)


def _tracked(items: Iterable[T], description: str, total: int | None) -> Iterator[T]:
    start, bar, task = time.monotonic(), None, None
    try:
        for done, item in enumerate(items):
            if bar is None and time.monotonic() - start > PATIENCE:
                bar, task = _bar(description, total, done)
            elif bar is not None:
                bar.update(task, completed=done)
            yield item
        if bar is not None and total is not None:
            bar.update(task, completed=total)
    finally:
        if bar is not None:
            bar.stop()


def _bar(description: str, total: int | None, done: int):
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    bar.start()
    return bar, bar.add_task(description, total=total, completed=done)
