"""Bounds in time and memory for work that knows none of its own, such as a simplification by SymPy.

SymPy is Python, so it can be stopped between two instructions. A thread looks on, twenty times a second while some
bounded call runs, and raises `Stopped` in the thread whose call has passed its time or its memory. No signal is used:
this works in every thread, in notebooks, in forked processes and on every system where CPython runs. What happens
inside of one instruction, such as the power of a huge integer, cannot be stopped; what could take long there is
refused beforehand (`gateflow.formula.guards`, `gateflow.codegen.expand`, `gateflow.arithmetic.bigfloat`).

The time of a call is wall-clock time where a user gave the limit. Where a limit only keeps the absurd away it is time
of this thread's processor, so that a busy machine refuses what an idle one takes only where the call gets less than one
part in `BUSY` of a processor. Where the system has no ``pthread_getcpuclockid`` it is wall-clock time there too.
"""

from __future__ import annotations

import ctypes
import gc
import inspect
import math
import numbers
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, TypeVar

from gateflow.errors import Exceeded, InvalidArgument, shown

T = TypeVar("T")

MEMORY = 500 * 2**20
"""Bytes by which one call may make the process grow."""

POLL = 0.05
"""Seconds between two looks at what the process holds."""

AGAIN = 0.5
"""Seconds after which a call that has swallowed its `Stopped` gets another."""

SOON = 0.005
TRIES = 40
"""A call that is at a place where an exception would be lost is tried again after this time, and this often."""

BUSY = 20.0
"""A limit on processor time is also one on wall-clock time, by this factor."""


class Stopped(BaseException):
    """The call is over its bounds. Not an ``Exception``, which SymPy catches in places; `call` alone handles it."""


class _Watch:
    """One call that is looked after."""

    __slots__ = ("asked", "clock", "end", "fired", "frame", "latest", "memory", "size", "thread", "tries", "why")

    def __init__(self, seconds: float, memory: int, processor: bool, asked: float | None) -> None:
        self.thread, self.asked = threading.get_ident(), seconds if asked is None else asked
        self.clock = _processor_clock(self.thread) if processor else None
        self.end = self._spent() + seconds
        self.latest = time.monotonic() + (seconds if self.clock is None else BUSY * seconds)
        self.memory, self.size = memory, resident()
        self.fired: float | None = None
        self.frame, self.tries, self.why = 0, 0, ""

    def _spent(self) -> float:
        return time.monotonic() if self.clock is None else time.clock_gettime(self.clock)

    def excess(self, now: float, size: int) -> str:
        """Why the call is to be stopped; empty where it is not."""
        try:
            spent = now if self.clock is None else self._spent()
        except OSError:  # the thread has ended
            return ""
        if spent > self.end or now > self.latest:
            return f"no answer within {self.asked:g} s"
        if size - self.size > self.memory:
            return f"no answer within {self.memory >> 20} MiB of memory"
        return ""

    def frames(self) -> list[FrameType]:
        """What runs inside of the call, innermost first; nothing where a badly timed exception has hidden its end."""
        frame, found = sys._current_frames().get(self.thread), []
        while frame is not None and id(frame) != self.frame:
            found.append(frame)
            frame = frame.f_back
        return found if frame is not None else []


def _would_lose(frames: list[FrameType]) -> bool:
    """Whether an exception would do harm here: be lost, where an object is thrown away or in a generator; or lose a
    file that was just opened."""
    callbacks = {getattr(callback, "__code__", None) for callback in gc.callbacks}
    return bool(frames[0].f_code.co_flags & inspect.CO_GENERATOR) or any(
        frame.f_code.co_name == "__del__"
        or frame.f_code in callbacks
        or frame.f_code is resident.__code__
        or frame.f_globals.get("__name__") in ("weakref", "_weakrefset")
        for frame in frames
    )


def _processor_clock(thread: int) -> int | None:
    """The clock of the time that a thread spends on the processor; None where the system has none."""
    return time.pthread_getcpuclockid(thread) if hasattr(time, "pthread_getcpuclockid") else None


def resident() -> int:
    """Bytes of memory that the process holds; its peak where the system knows no more, 0 where it knows nothing."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        pass
    try:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    except ImportError:
        return 0


def checked(seconds: float) -> float:
    """The limit that a user gave.

    Raises
    ------
    InvalidArgument
        It is no finite number above 0.

    Examples
    --------
    >>> checked(3)
    3.0
    """
    limit = math.nan
    if isinstance(seconds, numbers.Real) and not isinstance(seconds, bool):
        with suppress(OverflowError, TypeError):
            limit = float(seconds)
    if not 0 < limit < math.inf:
        raise InvalidArgument(f"seconds = {shown(seconds)}: the time allowed is a finite number of seconds, above 0")
    return limit


_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class _Watchers:
    """The calls of this process that are looked after, and the thread that does it.

    A plain lock and a queue, both of C: an exception that arrives while they are entered leaves neither shut.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.wake: SimpleQueue[None] = SimpleQueue()
        self.watches: list[_Watch] = []
        self.looking = self.idle = False

    def add(self, watch: _Watch) -> None:
        with self.lock:
            self.watches.append(watch)
        if not self.looking:
            threading.Thread(target=self._look, name="gateflow-bounds", daemon=True).start()
            self.looking = True
        elif self.idle:
            self.wake.put(None)

    def remove(self, watch: _Watch) -> None:
        """The call has ended; a `Stopped` that is on its way to it is met here."""
        with self.lock:
            if watch in self.watches:
                self.watches.remove(watch)
        if watch.fired is not None:
            _meet()

    def _look(self) -> None:
        quiet = 0
        while True:
            with self.lock:
                waits = self._stop_what_exceeds()
                quiet = 0 if self.watches else quiet + 1
                self.idle = quiet * POLL > 1.0
            with suppress(Empty):
                self.wake.get(timeout=None if self.idle else SOON if waits else POLL)

    def _stop_what_exceeds(self) -> bool:
        """Whether a call is to be stopped soon, at a better place."""
        waits = False
        if not self.watches:
            return waits
        now, size = time.monotonic(), resident()
        for watch in list(self.watches):
            if watch.fired is not None and now - watch.fired < AGAIN:
                continue
            why = watch.why or watch.excess(now, size)
            if not why:
                continue
            frames = watch.frames()
            if not frames:
                self.watches.remove(watch)
                continue
            watch.tries += 1
            if watch.tries % TRIES and _would_lose(frames):
                waits = True
                continue
            watch.why, watch.fired = why, now
            _raise_in(watch.thread)
        return waits


def _raise_in(thread: int) -> None:
    """Have `Stopped` raised in a thread at its next instruction."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(Stopped))


def _meet() -> None:
    """Catch a `Stopped` that is on its way to this thread: a few jumps are enough for it to arrive.

    Taking it back would leave the interpreter on the look-out for it, and CPython 3.11 never comes out of that where a
    profiler is at work.
    """
    try:
        for _ in range(100):
            pass
    except Stopped:
        pass


_watchers = _Watchers()


def _start_anew() -> None:
    """In a forked process: the looking thread is not there, and nobody would open the lock."""
    global _watchers
    _watchers = _Watchers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


_TOO_CLOSE = "two numbers on the way agree in all digits that were looked at"
_NO_DIGITS = "SymPy finds no digits of a number on the way"
_INCOMPARABLE = {
    "cannot determine truth value": _TOO_CLOSE,
    "Invalid comparison of non-real": "a number on the way is not real",
    "Invalid NaN comparison": "a number on the way is not real",
}
"""What SymPy says where it does not know which of two numbers is the larger, and what we do."""


def _module(problem: BaseException) -> str:
    """The module where an error was raised."""
    trace = problem.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))


def _is_sympys(problem: BaseException) -> bool:
    """Whether an error was raised inside SymPy or its numbers, and is no fault of ours."""
    return _module(problem).partition(".")[0] in ("sympy", "mpmath")


def _why(problem: OverflowError | ValueError) -> str:
    """What the error of a number means; empty where it is a fault of ours."""
    if isinstance(problem, OverflowError) or "integer string conversion" in str(problem):
        return "a number on the way is too large to be written out"
    if str(problem).endswith("is not comparable."):
        return _TOO_CLOSE
    if type(problem).__name__ == "InconsistentAssumptions":
        return "SymPy contradicts itself about a number on the way"
    return _NO_DIGITS if _module(problem) == "sympy.core.evalf" else ""


def call(
    work: Callable[[], T],
    seconds: float,
    *,
    memory: int = MEMORY,
    processor: bool = False,
    error: Callable[[str], Exception] = Exceeded,
    asked: float | None = None,
) -> T:
    """What ``work()`` returns, unless it takes too long or too much memory.

    Parameters
    ----------
    work : callable
        Without arguments. What it shares with others must bear to be left at any point.
    seconds : float
    memory : int
        Bytes by which the process may grow.
    processor : bool
        Count the seconds that this thread spends on the processor.
    error : callable
        Makes the exception of a sentence that says what was exceeded.
    asked : float, optional
        The seconds that the sentence names, where the user gave others.

    Raises
    ------
    Exceeded
        Or what ``error`` makes: out of time or of memory, nested too deeply for Python's stack, with a number that has
        too many digits, or with two that SymPy cannot compare, or finds equal and divides by their difference.

    Examples
    --------
    >>> import itertools
    >>> call(lambda: sum(range(10)), 1.0)
    45
    >>> call(lambda: [None for _ in itertools.count() if False], 0.1)
    Traceback (most recent call last):
    gateflow.errors.Exceeded: no answer within 0.1 s
    """
    watchers, watch = _watchers, _Watch(seconds, memory, processor, asked)
    watch.frame = id(sys._getframe())
    try:
        try:
            watchers.add(watch)
            return work()
        finally:
            watchers.remove(watch)
    except Stopped:
        watchers.remove(watch)
        if not watch.why:  # meant for a call around this one
            raise
        why = watch.why
    except RecursionError:
        watchers.remove(watch)
        why = "the formula is nested too deeply"
    except (OverflowError, ValueError) as problem:
        watchers.remove(watch)
        why = _why(problem)
        if not why:
            raise
    except MemoryError:
        watchers.remove(watch)
        why = "not enough memory"
    except (TypeError, ArithmeticError) as problem:
        watchers.remove(watch)
        why = next((why for said, why in _INCOMPARABLE.items() if str(problem).startswith(said)), "")
        if not why and (isinstance(problem, TypeError) or not _is_sympys(problem)):
            raise
        why = why or _TOO_CLOSE
    except (AttributeError, LookupError, NotImplementedError) as problem:
        watchers.remove(watch)
        if not _is_sympys(problem):
            raise
        why = _NO_DIGITS
    except BaseException:
        watchers.remove(watch)
        raise
    if "memory" in why:
        _forget()
    raise error(why)


def _forget() -> None:
    """Give back what SymPy keeps of former work."""
    cache = sys.modules.get("sympy.core.cache")
    if cache is not None:
        cache.clear_cache()


def bounded(seconds: float) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """A function whose calls are bounded, in seconds of the processor.

    Examples
    --------
    >>> @bounded(5.0)
    ... def twice(x):
    ...     return 2 * x
    >>> twice(4)
    8
    """

    def decorated(function: Callable[..., T]) -> Callable[..., T]:
        @wraps(function)
        def wrapper(*args: Any, **keywords: Any) -> T:
            return call(lambda: function(*args, **keywords), seconds, processor=True)

        return wrapper

    return decorated


__all__ = ["MEMORY", "Stopped", "bounded", "call", "checked", "resident"]
