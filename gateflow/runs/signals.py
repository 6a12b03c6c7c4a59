"""What a process does when the system or its user asks it to end."""

from __future__ import annotations

import gc
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C; what batch systems and ``kill`` send; a terminal that is closed."""


def interrupt() -> None:
    """Let whatever asks a process to end interrupt it as Ctrl-C does; what was ignored when it began stays ignored."""
    for number in ENDING:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, interrupted)


SOON = 0.01
"""Seconds after which a signal is heard again that came at a place where it would be lost."""

ONE = 1.0
"""Seconds after an interruption in which others are the same one: what it ends is closed and reported in peace."""

_last = -math.inf
"""When a signal last interrupted."""


def interrupted(number: int, frame: FrameType | None) -> None:
    """Interrupt, as Ctrl-C does; a little later where Python would swallow it: in what runs as an object is let go."""
    global _last
    if time.monotonic() - _last < ONE:
        return
    if not _swallows(frame):
        _last = time.monotonic()
        raise KeyboardInterrupt
    later = threading.Timer(SOON, _again, (number,))
    later.daemon = True
    later.start()


def _again(number: int) -> None:
    """Send a signal to the main thread, which hears it also where it sleeps or waits."""
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, number)
    else:
        signal.raise_signal(number)


def _swallows(frame: FrameType | None) -> bool:
    callbacks = {getattr(callback, "__code__", None) for callback in gc.callbacks}
    while frame is not None:
        module = frame.f_globals.get("__name__")
        if frame.f_code.co_name == "__del__" or frame.f_code in callbacks or module in ("weakref", "_weakrefset"):
            return True
        frame = frame.f_back
    return False


def give_up() -> None:
    """Let whatever asks a process to end do so at once and silently: it is ending anyway."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def leave_to_parent() -> None:
    """In a process that works for another: a terminal speaks to both, and the parent decides."""
    for number in ENDING:
        if number != signal.SIGTERM:  # by which the parent ends it
            signal.signal(number, signal.SIG_IGN)


def spare_helpers() -> None:
    """Start the helper of :mod:`multiprocessing`, which keeps count of its pipes, deaf to a terminal that is closed.

    Ended before this process, it would leave tracebacks at the end.
    """
    from multiprocessing import resource_tracker

    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is None:
        return
    try:
        before = signal.signal(hang_up, signal.SIG_IGN)
    except ValueError:  # not in the main thread
        return
    try:
        resource_tracker.ensure_running()
    finally:
        signal.signal(hang_up, before)


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C, or the system, has asked to stop; asked a second time, it interrupts at once.

    What was ignored at the start, as under nohup, stays ignored: it is meant for others.
    """
    global _last
    asked: list[int] = []
    before: dict[int, Any] = {}

    def heard(number: int, _: Any) -> None:
        asked.append(number)
        for each in before:
            signal.signal(each, interrupted)

    try:
        for each in ENDING:
            if signal.getsignal(each) is not signal.SIG_IGN:
                before[each] = signal.signal(each, heard)
    except ValueError:  # not in the main thread, which alone hears signals
        pass
    try:
        yield lambda: bool(asked)
    finally:
        if asked:  # and what it came to is reported in peace, too
            _last = time.monotonic()
        for each, handler in before.items():
            signal.signal(each, handler)
