"""``gateflow bench lstm --device cuda``: what can be tried of it without a GPU, on tensors of the CPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gateflow import cli
from gateflow.errors import InvalidArgument
from gateflow.files import is_sealed
from gateflow.nn import gpu_speed, trials
from gateflow.nn.kernels.triton import launch, lstm

CPU = torch.device("cpu")
needs_triton = pytest.mark.skipif(not launch.installed(), reason="no Triton on this machine: its kernels were not run")
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter is slow."""
    monkeypatch.setattr(gpu_speed, "WARM", 0)
    monkeypatch.setattr(trials, "ROWS", 2)
    monkeypatch.setattr(trials, "STEPS", 2)


@without_gpu
def test_without_a_gpu_one_line_says_so_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bench", "lstm", "--device", "cuda", "--report", str(tmp_path / "gpu.json")]
    assert cli.main(words) == 2
    err = capsys.readouterr().err
    assert "there is no GPU here" in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())
    with pytest.raises(InvalidArgument, match="no GPU here"):
        gpu_speed.time_on_gpu((1, 1, 1, 1))


@needs_triton
def test_every_number_of_a_row(small: None) -> None:
    report = gpu_speed.time_on_gpu((2, 3, 2, 4), repeats=1, only="triton: LSTM, fast, tied", device=CPU)
    assert [(row.what, row.numbers) for row in report.rows] == [
        (what, numbers) for numbers in gpu_speed.NUMBERS for what in (gpu_speed.PEER, "triton: LSTM, fast, tied")
    ]
    for peer, ours in zip(report.rows[::2], report.rows[1::2], strict=True):
        assert ours.problem is None
        assert ours.way == "whole"
        assert peer.ratio == 1
        assert ours.ratio == pytest.approx(ours.ms / peer.ms)  # type: ignore[operator]
        room = trials.ROOM[gpu_speed.NUMBERS[ours.numbers][0]]
        assert 0 < ours.error < room  # type: ignore[operator]
        assert 0 < peer.error < room  # type: ignore[operator]
        assert ours.forward_ms > 0  # type: ignore[operator]
    assert torch.get_float32_matmul_precision() == "highest"


@needs_triton
def test_what_fails_is_a_row_that_says_why(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of resource: shared memory\nand more")

    monkeypatch.setattr(lstm, "launch", failing)
    monkeypatch.setattr(gpu_speed, "NUMBERS", {"float32": gpu_speed.NUMBERS["float32"]})
    report = gpu_speed.time_on_gpu((2, 3, 2, 7), repeats=1, only="triton: LSTM, fast, tied", device=CPU)
    peer, ours = report.rows
    assert peer.problem is None
    assert (ours.ms, ours.ratio, ours.error) == (None, None, None)
    assert ours.problem is not None
    assert "does not run on this machine: RuntimeError: out of resource: shared memory;" in ours.problem


def test_a_wrong_layer_has_a_large_error(monkeypatch: pytest.MonkeyPatch) -> None:
    right = gpu_speed.error("torch: LSTM, fast", "float32", (2, 3, 2, 4), CPU)
    assert right < 1e-6
    monkeypatch.setitem(gpu_speed.WAYS, "torch: LSTM, fast", {"forget_gate": "softsign"})
    make = gpu_speed.layer_of

    def other_gate(*args: Any, **options: Any) -> Any:
        layer = make(*args, **options)
        return layer if options else make("torch: LSTM, fast", *args[1:], forget_gate="erf")

    monkeypatch.setattr(gpu_speed, "layer_of", other_gate)
    assert gpu_speed.error("torch: LSTM, fast", "float32", (2, 3, 2, 4), CPU) > 1e-3


def test_the_command_prints_the_table_and_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = gpu_speed.DeviceRow("triton: LSTM, fast", "TF32", "whole", 2.5, 1.25, 0.5, 3e-4)
    failed = gpu_speed.DeviceRow("triton: LSTM, sigmoid", "TF32", "steps", problem="it does not fit")
    report = gpu_speed.DeviceReport((2, 3, 1, 2), "A GPU, compute capability 9.0", {"torch": "2"}, 9, (row, failed))
    monkeypatch.setattr(gpu_speed, "check_device", lambda: CPU)
    monkeypatch.setattr(gpu_speed, "time_on_gpu", lambda *_, **__: report)
    monkeypatch.setenv("COLUMNS", "120")
    file = tmp_path / "gpu.json"
    words = ["bench", "lstm", "--device", "cuda", "--shape", "2,3,1,2", "--report", str(file)]
    assert cli.main(words) == 0
    told = capsys.readouterr().out
    for part in ("A GPU, compute capability 9.0", "batch 2, time 3", "fast (whole)", "0.0003", "it does not fit"):
        assert part in told
    found = json.loads(file.read_text(encoding="utf-8"))
    assert is_sealed(found)
    assert "\n".join(found["table"]) + "\n" == told
    assert found["reports"][0]["rows"][0]["ms"] == 2.5
    assert cli.main(words) == 0  # ours is replaced
    file.write_text("mine", encoding="utf-8")
    assert cli.main(words) == 2


def test_a_step_has_no_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "step", "--device", "cuda"]) == 2
    assert "bench step takes no --device" in capsys.readouterr().err
