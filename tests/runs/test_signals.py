"""What a process that is asked to end hears, and how often."""

from __future__ import annotations

import math
import signal

import pytest

from gateflow.runs import signals


@pytest.fixture
def heard():
    before = signal.signal(signal.SIGINT, signals.interrupted)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def fresh(monkeypatch):
    monkeypatch.setattr(signals, "_last", -math.inf)


def again():
    signal.raise_signal(signal.SIGINT)


def ended_twice(said):
    with signals.asked_to_stop() as stop:
        again()
        said.append(stop())
        try:
            again()
        finally:
            for _ in range(3):
                again()
            said.append("told")


def test_the_first_asks_the_second_interrupts_and_others_at_once_are_the_same(heard, fresh, monkeypatch):
    """So what is said and closed after an interruption is not interrupted by an impatient hand."""
    said = []
    with pytest.raises(KeyboardInterrupt):
        ended_twice(said)
    again()
    assert said == [True, "told"]
    monkeypatch.setattr(signals, "ONE", 0.0)
    with pytest.raises(KeyboardInterrupt):  # later on, it is another one
        again()


def test_what_was_asked_to_stop_and_did_is_told_in_peace(heard, fresh):
    with signals.asked_to_stop() as stop:
        again()
        assert stop()
    again()


def test_what_was_not_asked_is_interrupted_at_once(heard, fresh):
    with signals.asked_to_stop():
        pass
    with pytest.raises(KeyboardInterrupt):
        again()
