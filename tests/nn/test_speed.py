"""``gateflow bench``: rows that say what was timed, ratios to the baseline of the same run."""

from __future__ import annotations

import ctypes
import json

import pytest
import torch

from gateflow import cli
from gateflow.errors import InvalidArgument
from gateflow.nn import speed
from gateflow.nn.kernels import native
from gateflow.training.speed import time_step


@pytest.fixture(scope="module")
def report() -> speed.SpeedReport:
    return speed.time_layers((3, 5, 2, 4), repeats=1)


def test_every_way_is_timed_and_the_baseline_is_one(report: speed.SpeedReport) -> None:
    rows = {row.what: row for row in report.rows}
    assert {speed.BASELINE, "reference: LSTM, fast", "torch: LSTM, fast"} <= rows.keys()
    assert rows[speed.BASELINE].cpu_ratio == rows[speed.BASELINE].wall_ratio == 1
    assert all(row.cpu > 0 and row.wall > 0 for row in report.rows)
    assert all(row.cpu_ratio == row.cpu / rows[speed.BASELINE].cpu for row in report.rows)
    assert rows["reference: LSTM, fast"].backend == "reference"
    if report.compiler:
        assert {"native: LSTM, fast", "native: refine", "native: JANET, fast", "native: GRU, fast"} <= rows.keys()
        assert f"native: LSTM, {speed.USER_FORMULA}" in rows
        assert "its products at the core's peak" in rows


def test_a_training_step_is_timed_over_every_backend(capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_num_threads(), torch.random.get_rng_state()
    report = time_step("adding(horizon=5)", repeats=1)
    assert [row.backend for row in report.rows] == ["reference", "torch", "auto"]
    assert report.rows[0].cpu_ratio == report.rows[0].wall_ratio == 1
    assert "adding(horizon=5)" in report.of
    assert torch.get_num_threads() == before[0]
    assert torch.random.get_rng_state().equal(before[1])
    assert cli.main(["bench", "step", "--task", "adding(horizon=5)", "--repeats", "1"]) == 0
    assert "a training step of adding(horizon=5): batch 32" in capsys.readouterr().out


def test_as_many_multiply_adds_as_its_matrices_have() -> None:
    batch, time, inputs, hidden = 3, 5, 2, 4
    state, back, weights = batch * (hidden + inputs), batch * hidden, (hidden + inputs) * batch
    assert speed.multiply_adds((batch, time, inputs, hidden)) == time * 4 * hidden * (state + back + weights)


@pytest.mark.parametrize(
    "words", [["lstm", "--task", "adding"], ["step", "--shape", "1,2,3,4"], ["step", "--gate", "fast"]]
)
def test_an_option_of_the_other_kind_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", *words]) == 2
    assert f"bench {words[0]} takes no {words[1]}" in capsys.readouterr().err


def test_threads_are_as_before_afterwards() -> None:
    before = torch.get_num_threads()
    speed.time_layers((1, 1, 1, 1), threads=before + 1, repeats=1, gates=(), only="none")
    assert torch.get_num_threads() == before


def test_without_a_compiler_the_other_ways_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEFLOW_COMPILER", "none")
    monkeypatch.setattr(native, "_warned", set())
    with pytest.warns(RuntimeWarning, match="without compiled kernels: no C compiler is to be used"):
        report = speed.time_layers((1, 1, 1, 1), repeats=1, only="torch: LSTM")
    backends = [row.backend for row in report.rows]
    assert "torch" in backends
    assert "native" not in backends


def test_where_pages_are_kept_there_is_a_second_baseline(report: speed.SpeedReport) -> None:
    assert report.keeps_pages == hasattr(ctypes.CDLL(None), "mallopt")
    assert any(row.what == f"{speed.BASELINE}, pages kept" for row in report.rows) == report.keeps_pages


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="at least 1"):
        speed.time_layers((3, 0, 2, 4))


def test_the_command_prints_a_table_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "lstm", "--shape", "2,3,1,2", "--repeats", "1", "--gate", "sigmoid(z + z**3/10)"]
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    assert "batch 2, time 3, inputs 1, hidden 2" in printed
    assert "LSTM, sigmoid(z + z**3/10)" in printed or "native" not in printed
    assert cli.main([*words, "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)["reports"]
    assert report["shape"] == [2, 3, 1, 2]
    assert report["rows"][0]["what"] == speed.BASELINE


@pytest.mark.parametrize("shape", ["1,2,3", "a,b,c,d", "1,2,3,4.5", ""])
def test_a_shape_is_four_whole_numbers(shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "lstm", "--shape", shape]) == 2
    assert "batch,time,inputs,hidden" in capsys.readouterr().err
