"""Properties of a gate that are derived when first asked for, within bounds of time and memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, TypeVar

from gateflow.errors import Exceeded
from gateflow.guards import bounded

T = TypeVar("T")

DERIVING = 3.0
"""Seconds of the processor that one property of a gate may take; those of the catalogue take less than 0.1."""


class derived_once(cached_property[Any]):
    """A property of a gate that is derived when it is first asked for, within bounds; past them it is refused.

    Where its time on the processor was spent, the refusal is for good, so that this is not spent again. Where memory
    was short, or the machine so busy that wall-clock time ran out, the next call tries anew.
    """

    def __init__(self, derive: Callable[[Any], Any]) -> None:
        super().__init__(lambda gate: self._outcome(gate, derive))
        self.__doc__ = derive.__doc__

    @staticmethod
    def _outcome(gate: Any, derive: Callable[[Any], Any]) -> Any:
        refusal, start = f"{derive.__name__} refused", time.thread_time()
        if refusal in gate.__dict__:
            raise _TooMuch(gate.__dict__[refusal])
        try:
            return gate.within_bounds(partial(derive, gate), derive.__name__.strip("_").replace("_", " "))
        except _TooMuch as error:
            if time.thread_time() - start >= DERIVING:
                gate.__dict__[refusal] = error.reason
            raise


class _TooMuch(Exceeded):
    """A property of a gate takes too long, or too much memory."""


def _too_much(gate: Any, what: str, why: str) -> _TooMuch:
    return _TooMuch(f"{gate.name}: the formula is too involved to derive its {what} ({why})")


def within_bounds(gate: Any, derive: Callable[[], T], what: str) -> T:
    """What is derived, or a refusal where that takes too long; ``what`` says what it is."""
    return bounded.call(derive, DERIVING, processor=True, error=partial(_too_much, gate, what))
