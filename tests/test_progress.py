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


class Clock:
    """Time as the test has it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(progress, "time", found)
    monkeypatch.delenv("GATEFLOW_PROGRESS", raising=False)
    return found


def test_a_log_gets_a_line_every_thirty_seconds_with_the_time_left(
    capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    with Meter("adding", 400, 100) as meter:
        for step in range(101, 161):
            clock.now += 2.0
            meter.update(step, "loss 0.5")
    assert capsys.readouterr().err.splitlines() == [
        "gateflow: adding 115 of 400, 10 min left, 0.5/s  loss 0.5",  # 285 steps of 2 s
        "gateflow: adding 130 of 400, 9 min left, 0.5/s  loss 0.5",
        "gateflow: adding 145 of 400, 8 min left, 0.5/s  loss 0.5",
        "gateflow: adding 160 of 400, 8 min left, 0.5/s  loss 0.5",
    ]


def test_loops_inside_loops_share_one_line(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    with Meter("runs", 3) as outer:
        clock.now += 20.0
        outer.update(1)
        for _ in track(range(2), "steps"):
            clock.now += 12.0
        with silence(), Meter("untold", 9) as inner:
            clock.now += 40.0
            inner.update(1)
    assert capsys.readouterr().err.splitlines() == [
        "gateflow: runs 1 of 3, 64 s left, 0.05/s; steps 1 of 2, 12 s left",
        "gateflow: runs 1 of 3, 3 min left, 0.05/s",
    ]


@pytest.mark.parametrize(("wanted", "lines"), [("0", 0), ("5", 4), ("often", 0), ("-1", 0)])
def test_the_environment_says_how_often(
    wanted: str, lines: int, capsys: pytest.CaptureFixture[str], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEFLOW_PROGRESS", wanted)
    with Meter("steps", 30) as meter:
        for step in range(20):
            clock.now += 1.0
            meter.update(step)
    assert len(capsys.readouterr().err.splitlines()) == lines


def test_without_standard_error_nothing_goes_wrong(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "stderr", stream)
        with Meter("steps", 3) as meter:
            clock.now += 100.0
            meter.update(1)
        assert list(track("ab", "letters")) == ["a", "b"]
