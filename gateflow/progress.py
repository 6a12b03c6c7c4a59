"""Progress with an estimate of the time left: a bar on a terminal after two seconds, else a line every thirty.

Rich draws the bar; it neither waits for two seconds nor writes lines where there is no terminal, so that is done here.
``GATEFLOW_PROGRESS`` in the environment is the seconds between lines where standard error is no terminal, as under
nohup or Slurm; 0 for none.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, ClassVar, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds of silence before a bar appears."""

LINES = 30.0
"""Seconds between lines in a log."""

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
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Meter(description, total) as meter:
        for done, item in enumerate(items):
            meter.show(done)
            yield item


def _on_terminal() -> bool:
    return sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()


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


class _Line:
    """What a log gets: one line for all loops that are running, the outer ones first, at most one in thirty seconds."""

    running: ClassVar[list[_Line]] = []
    last: ClassVar[float] = 0.0  # when a line was written

    def __init__(self, description: str, total: int | None, first: int = 0) -> None:
        if not _Line.running:
            _Line.last = time.monotonic()
        self.description, self.total, self.first = description, total, first
        self.start, self.done, self.word = time.monotonic(), first, ""
        _Line.running.append(self)

    def show(self, done: int, word: str = "") -> None:
        self.done, self.word = done, word
        beat()

    def close(self) -> None:
        if self in _Line.running:
            _Line.running.remove(self)

    def __str__(self) -> str:
        of = "" if self.total is None else f" of {self.total}"
        made, spent = self.done - self.first, time.monotonic() - self.start
        left = "" if not made or self.total is None else f", {_long(spent / made * (self.total - self.done))} left"
        return f"{self.description} {self.done}{of}{left}{self.word and f', {self.word.strip()}'}"


def beat() -> None:
    """Where a log is written, the line that is due, if one is; for loops that wait, and for those inside a silence."""
    every = _seconds_between_lines() if _Line.running else 0.0
    if every and time.monotonic() - _Line.last >= every:
        _Line.last = time.monotonic()
        _print(f"gateflow: {'; '.join(map(str, _Line.running))}")


def _seconds_between_lines() -> float:
    """0 for no lines."""
    try:
        every = float(os.environ.get("GATEFLOW_PROGRESS", LINES))
    except ValueError:
        return LINES
    return every if 0 <= every < math.inf else LINES


def _print(text: str) -> None:
    """A line for a log; one that nobody can read any more is no fault."""
    with suppress(AttributeError, OSError, ValueError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _long(seconds: float) -> str:
    """A time as a human says it.

    Examples
    --------
    >>> _long(44), _long(340), _long(10000), _long(200000)
    ('44 s', '6 min', '2.8 h', '2.3 days')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"


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

    def __init__(self, description: str, total: int | None, done: int = 0) -> None:
        self.description, self.total, self.first = description, total, done
        self.shows, self.bar = not _silent.get(), _on_terminal()
        self.start = time.monotonic()
        self.row: _Row | _Line | None = None

    def __enter__(self) -> Meter:
        if self.shows and not self.bar:
            self.row = _Line(self.description, self.total, self.first)
        return self

    def __exit__(self, *_: object) -> None:
        if self.row is not None:
            self.row.close()

    def update(self, done: int, word: str = "") -> None:
        """A number are done, with a word to show beside their rate per second."""
        seconds = max(time.monotonic() - self.start, 1e-9)
        self.show(done, f"{(done - self.first) / seconds:.3g}/s  {word}")

    def show(self, done: int, word: str = "") -> None:
        """A number are done; the bar appears once two seconds have passed and more are to come."""
        if not self.shows:
            beat()
            return
        late = time.monotonic() - self.start > PATIENCE
        if self.row is None and self.bar and late and (self.total is None or done < self.total):
            self.row = _Row(self.description, self.total)
        if self.row is not None:
            self.row.show(done, word)
