"""How a flow ends."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """What became of a flow; compares equal to its own word, and ``sentence`` says it to a human.

    Examples
    --------
    >>> Status.STUCK == "stuck", Status.REACHED.sentence
    (True, 'the target is reached')
    """

    REACHED = "reached"
    ASYMPTOTIC = "asymptotic"
    STUCK = "stuck"
    TIME_LIMIT = "time limit"
    OVERFLOW = "overflow"
    OUTSIDE = "outside"
    UNDECIDED = "undecided"
    UNRESOLVED = "unresolved"

    @property
    def sentence(self) -> str:
        """The status in words."""
        return _SENTENCES[self]


_SENTENCES = {
    Status.REACHED: "the target is reached",
    Status.ASYMPTOTIC: "the target is never reached: it is approached for ever",
    Status.STUCK: "the target is never reached: the gate's slope is 0 at a point on the way, and the flow stops there",
    Status.TIME_LIMIT: "the target lies past the learning time asked for",
    Status.OVERFLOW: "the target is reached, but past the floats: z on the way, or the log of the time, is none",
    Status.OUTSIDE: "the target is never reached: no z brings the gate to it, it lies outside the gate's range",
    Status.UNRESOLVED: "the target is reached, but not one digit of the learning time is known: its error is as large",
    Status.UNDECIDED: "it is not known whether the target is reached: the slope on the way cannot be told from 0",
}

BY_CODE = tuple(Status)
"""Statuses by number: arrays of problems hold the numbers."""

CODE = {status: code for code, status in enumerate(BY_CODE)}
