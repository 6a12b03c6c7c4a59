"""Bars: on a terminal only, once patience is over, and one display for loops inside loops."""

from __future__ import annotations

import io
import sys
from contextlib import suppress

import pytest

from gateflow import progress
from gateflow.progress import Meter, silence, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def impatient(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error as a terminal, and a bar at once; called by the test itself, which pytest captures anew."""
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setattr(progress, "PATIENCE", -1.0)
    monkeypatch.setenv("TERM", "xterm")
    return found


def lines() -> list[str]:
    display = progress._Row.display
    return [] if display is None else [task.description for task in display.tasks]


def test_a_loop_inside_a_loop_has_its_line_below(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = impatient(monkeypatch)
    with Meter("runs", 3) as outer:
        outer.update(1)
        shown = progress._Row.display
        with Meter("steps", 9) as inner:
            inner.update(4, "loss 0.5")
            assert lines() == ["runs", "steps"]
            assert list(track("ab", "letters")) == ["a", "b"]
            assert lines() == ["runs", "steps"]
        assert lines() == ["runs"]
        assert progress._Row.display is shown
    assert lines() == []
    assert "runs" in terminal.getvalue()


def test_the_inner_bar_may_be_there_first(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    with Meter("runs", 3) as outer:
        with Meter("steps", 9) as inner:
            inner.update(4)
            outer.update(1)
        assert lines() == ["runs"]
    assert lines() == []


def test_an_error_takes_the_bars_away(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    with suppress(KeyError), Meter("runs", 3) as outer:
        outer.update(1)
        for _ in track(range(9), "steps"):
            assert lines() == ["runs", "steps"]
            raise KeyError
    assert lines() == []


def test_without_a_terminal_in_silence_or_when_all_is_done_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = impatient(monkeypatch)
    with Meter("runs", 3) as meter:
        meter.update(3)
    with silence(), Meter("runs", 3) as meter:
        meter.update(1)
    plain = io.StringIO()
    monkeypatch.setattr(sys, "stderr", plain)
    with Meter("runs", 3) as meter:
        meter.update(1)
    assert list(track("ab", "letters")) == ["a", "b"]
    assert terminal.getvalue() == plain.getvalue() == ""
