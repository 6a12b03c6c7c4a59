"""A bound on work that no clock takes part in: function calls are counted, and past a number of them it stops."""

from __future__ import annotations

import inspect
import sys
from typing import Any


class Exhausted(BaseException):
    """The calls are used up. Not an ``Exception``, which SymPy catches in places."""


class CountedCalls:
    """A context that raises `Exhausted` in this thread after ``limit`` calls.

    A count and no clock, so that a slow or a busy machine refuses nothing that a fast one takes; an import that SymPy
    makes on the way is forgiven its calls, and never broken off. A profiler that is at work already keeps its place,
    and nothing is counted.
    """

    def __init__(self, limit: int) -> None:
        self.limit = self.left = limit
        self.modules = len(sys.modules)

    def __enter__(self) -> CountedCalls:
        self.counts = sys.getprofile() is None
        if self.counts:
            sys.setprofile(self.tick)
        return self

    def __exit__(self, *_: object) -> None:
        if self.counts:
            sys.setprofile(None)

    def tick(self, frame: Any, event: str, _: Any) -> None:
        self.left -= 1
        # Raised at a return, in a generator or as garbage is collected, it could be lost.
        if self.left < 0 and event == "call" and not _loses(frame.f_code):
            if len(sys.modules) == self.modules and not _importing(frame):
                raise Exhausted
            self.modules, self.left = len(sys.modules), self.limit

    def check(self) -> None:
        """For the case that the exception was lost after all, in a callback of the garbage collector."""
        if self.left < 0:
            raise Exhausted


def _loses(code: Any) -> bool:
    """Callbacks of the collector are known by the two arguments that they all take."""
    return bool(code.co_flags & inspect.CO_GENERATOR) or code.co_varnames[:2] == ("phase", "info")


def _importing(frame: Any) -> bool:
    while frame is not None and "importlib" not in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None
