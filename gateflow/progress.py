"""A progress bar with an estimate of the time left, for anything that takes over two seconds, on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, ClassVar, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds of silence before a bar appears."""


_silent = ContextVar("silent", default=False)


@contextmanager
def silence() -> Iterator[None]:
    """No bar for what is done inside, as when it is one step of something that has a bar of its own."""
    before = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(before)


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate over ``items``; once two seconds have passed and more are to come, show a bar on standard error.

    Examples
    --------
    >>> list(track("ab", "letters"))
    ['a', 'b']
    """
    if _silent.get() or not sys.stderr.isatty():
        yield from items
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    yield from _tracked(items, description, total)


def _tracked(items: Iterable[T], description: str, total: int | None) -> Iterator[T]:
    start, row = time.monotonic(), None
    try:
        for done, item in enumerate(items):
            if row is None and time.monotonic() - start > PATIENCE:
                row = _Row(description, total)
            if row is not None:
                row.show(done)
            yield item
    finally:
        if row is not None:
            row.close()


class _Row:
    """One line of the display; a loop inside a loop has its line below, for a terminal bears one display at a time."""

    display: ClassVar[Progress | None] = None

    def __init__(self, description: str, total: int | None) -> None:
        if _Row.display is None:
            _Row.display = _started()
        self.shared = _Row.display
        self.task = self.shared.add_task(description, total=total, word="")

    def show(self, done: int, word: str = "") -> None:
        self.shared.update(self.task, completed=done, word=word)

    def close(self) -> None:
        """Take the line away, and with the last one the display."""
        self.shared.remove_task(self.task)
        if not self.shared.task_ids:
            self.shared.stop()
            _Row.display = None


def _started() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    display = Progress(*columns, TextColumn("{task.fields[word]}"), console=Console(stderr=True), transient=True)
    display.start()
    return display


class Meter:
    """A bar for a loop that counts by itself and has a word to say, such as its loss.

    Examples
    --------
    >>> with Meter("steps", 3) as meter:
    ...     for step in range(3):
    ...         meter.update(step + 1, "loss 0.5")
    """

    def __init__(self, description: str, total: int, done: int = 0) -> None:
        self.description, self.total, self.first = description, total, done
        self.shows = sys.stderr.isatty() and not _silent.get()
        self.start, self.row = time.monotonic(), None

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        if self.row is not None:
            self.row.close()

    def update(self, done: int, word: str = "") -> None:
        """So many are done; the bar appears once two seconds have passed and more are to come."""
        if not self.shows:
            return
        seconds = time.monotonic() - self.start
        if self.row is None and seconds > PATIENCE and done < self.total:
            self.row = _Row(self.description, self.total)
        if self.row is not None:
            self.row.show(done, f"{(done - self.first) / seconds:.3g}/s  {word}")
