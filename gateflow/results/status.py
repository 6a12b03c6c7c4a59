"""How a flow or a descent ends: one word for each way, everywhere."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """What became of a flow or a descent; equals its own word, and ``sentence`` says it to a human.

    Examples
    --------
    >>> Status.STUCK == "stuck", Status.REACHED.sentence
    (True, 'the target is reached')
    """

    REACHED = "reached", "the target is reached"
    ASYMPTOTIC = "asymptotic", "the target is never reached: it is approached for ever"
    STUCK = (
        "stuck",
        "the target is never reached: the gate's slope is 0 at a point on the way, and the flow stops there",
    )
    BALANCED = "balanced", "the flow rests short of a target: the pulls on it balance"
    QUIET = "quiet", "the mean gate is on its target and the noise dies out for ever"
    OUTSIDE = "outside", "the target is never reached: no z brings the gate to it, it lies outside the gate's range"
    TIME_LIMIT = "time limit", "the target is not reached in the learning time asked for"
    STEP_LIMIT = "step limit", "the target is not reached in the steps given"
    STALLED = "stalled", "steps are lost to rounding before the target is reached"
    TRAPPED = (
        "trapped",
        "trapped: a step runs through the target so far that the way back takes longer than the way there",
    )
    OVERFLOW = "overflow", "the target is reached, but past the floats: z on the way, or the log of the time, is none"
    UNRESOLVED = (
        "unresolved",
        "the target is reached, but not one digit of the learning time is known: its error is as large",
    )
    UNDECIDED = (
        "undecided",
        "it is not known whether the target is reached: the slope on the way cannot be distinguished from 0",
    )

    sentence: str

    def __new__(cls, word: str, sentence: str) -> Status:
        """A status with its sentence."""
        made = str.__new__(cls, word)
        made._value_, made.sentence = word, sentence
        return made


BY_CODE = tuple(Status)
"""Statuses by number: arrays of problems hold the numbers."""

CODE = {status: code for code, status in enumerate(BY_CODE)}
