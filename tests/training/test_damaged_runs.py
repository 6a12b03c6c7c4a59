"""What `predict` and `export` say of runs and data that are damaged or hostile: one line, no number, no file."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.lib import format as npy

from gateflow import cli
from gateflow.errors import InvalidArgument
from gateflow.training import checkpoint as checkpoints
from gateflow.training import export, load, train
from gateflow.training.task import is_served

WEIGHTS = "weights.safetensors"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    np.savez(folder / "data.npz", x=rng.normal(size=(20, 5, 2)), y=np.arange(20) % 2)
    rows = (f"{n},{np.sin(n):.4f},{np.cos(n):.4f}" for n in range(60))
    (folder / "table.csv").write_text("\n".join(["t,a,b", *rows]) + "\n")
    options: dict[str, Any] = {"hidden": 4, "steps": 1, "threads": 1}
    train(f'series(data="{folder / "data.npz"}")', out=folder / "series", **options)
    train(f'forecast(data="{folder / "table.csv"}", window=4, time="t")', out=folder / "forecast", **options)
    return folder


@pytest.fixture
def run(runs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(runs / "series", tmp_path / "run"))


def altered(run: Path, change: Callable[[checkpoints.Checkpoint], Any]) -> Path:
    """The run with other weights, under a digest that fits."""
    state = checkpoints.read(run / WEIGHTS)
    change(state)
    (run / WEIGHTS).write_bytes(checkpoints.to_bytes(state))
    return run


def of_all(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[checkpoints.Checkpoint], None]:
    def changed(state: checkpoints.Checkpoint) -> None:
        state.tensors = {name: change(part) for name, part in state.tensors.items()}

    return changed


def one_nan(state: checkpoints.Checkpoint) -> None:
    state.tensors["network/cell.weight_hh_l0"][3, 1] = float("nan")


def unscaled(inputs: int) -> Callable[[checkpoints.Checkpoint], None]:
    def changed(state: checkpoints.Checkpoint) -> None:
        served = state.facts["served"]
        state.facts["served"] = {**served, "input_size": inputs, "mean": None, "deviation": None}

    return changed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (one_nan, "cell.weight_hh_l0 has numbers that are not finite"),
        (of_all(lambda part: part + float("inf")), "not finite"),
        (of_all(torch.Tensor.half), r"cell.weight_ih_l0 is float16 \(16, 2\), where the network has float32"),
        (of_all(torch.Tensor.bool), "is bool"),
        (of_all(lambda part: part.to(torch.complex64)), "is complex64"),
        (of_all(lambda part: part.flatten()[:1]), r"readout.weight is \(1,\), where the network has \(2, 4\)"),
        (lambda state: state.tensors.pop("network/cell.bias_ih_l0"), "there is no cell.bias_ih_l0"),
        (lambda state: state.tensors.clear(), "readout.weight is missing"),
        (lambda state: state.facts["served"].update(output_size=10**9), "how data are prepared"),
        (lambda state: state.facts["served"].update(output_size=10**9, classes=None), "how data are prepared"),
        (lambda state: state.facts["served"].update(input_size=3), "how data are prepared"),
        (lambda state: state.facts["served"].update(deviation=[1.0, 0.0]), "how data are prepared"),
        (lambda state: state.facts["served"].update(mean=[float("nan"), 0.0]), "how data are prepared"),
        (lambda state: state.facts["served"].update(pool=0), "how data are prepared"),
        (unscaled(10**9), r"it has \d+ numbers, where the network has 1000000000 inputs"),
        (lambda state: state.facts["served"].update(every_step=True), "train it anew"),
        (lambda state: state.facts["served"].pop("label_last"), "train it anew"),
    ],
)
def test_weights_that_are_not_those_of_the_network(run: Path, tmp_path: Path, change: Any, said: str) -> None:
    altered(run, change)
    with pytest.raises(InvalidArgument, match=said):
        load(run)
    with pytest.raises(InvalidArgument, match=said):
        export(run, tmp_path / "net.py")
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


@pytest.mark.parametrize("change", [{"window": 0}, {"window": 2.5}, {"inputs": ["x"]}, {"time": 3}])
def test_a_forecast_that_cannot_be_read_by_is_refused(runs: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    shutil.copytree(runs / "forecast", tmp_path / "run")
    altered(tmp_path / "run", lambda state: state.facts["served"].update(change))
    with pytest.raises(InvalidArgument, match="train it anew"):
        load(tmp_path / "run")


def test_what_a_task_of_ones_own_keeps_is_its_own_affair() -> None:
    facts = {"input_size": 2, "output_size": 1, "length": 9, "tokens": False, "every_step": False}
    assert is_served({**facts, "window": 0.5, "time": 3, "inputs": "both", "ahead": None})
    assert not is_served({**facts, "pool": 0.5})


@pytest.mark.skipif(os.name != "posix", reason="files with holes")
def test_a_file_longer_than_its_header_says_is_not_read(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.truncate(run / WEIGHTS, 5 << 30)
    monkeypatch.setattr(checkpoints, "read_bytes", lambda *_: pytest.fail("it was read whole"))
    with pytest.raises(checkpoints.Damaged, match="cut short, or no checkpoint"):
        load(run)


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_weights_behind_a_dead_link_are_not_those_of_the_checkpoint(run: Path) -> None:
    (run / WEIGHTS).unlink()
    (run / WEIGHTS).symlink_to("nowhere")
    with pytest.raises(InvalidArgument, match=r"cannot read .*weights"):
        load(run)


def head(shape: tuple[int, ...], kind: str) -> bytes:
    """The head of an array in NumPy's format, as its specification has it; what it claims need not be there."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text = text.ljust((-10 - len(text) - 1) % 64 + len(text)) + b"\n"
    return npy.magic(1, 0) + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("shape", "kind", "said"),
    [
        ((10**9, 10**6), "|V0", "x.npy holds nothing"),
        ((10**9, 10**6), "|S0", "x.npy holds nothing"),
        ((10**15, 0), "<f8", r"x must be \(n, time\)"),
        ((-1, 12), "<f8", "claims the shape"),
        ((-2, -3), "<f8", "claims the shape"),
        ((2**62, 4), "<f8", "claims the shape"),
        ((2, 3), "|O", "Python objects, which are never unpickled"),
    ],
)
def test_heads_of_arrays_that_claim_what_cannot_be(run: Path, tmp_path: Path, shape: Any, kind: str, said: str) -> None:
    file = tmp_path / "new.npz"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", head(shape, kind) + bytes(64))
    with pytest.raises(InvalidArgument, match=said):
        load(run).predict(file, labelled=False)


def test_numbers_past_the_network_are_no_answers(run: Path, runs: Path, tmp_path: Path) -> None:
    series = [np.ones((3, 2)), np.full((3, 2), 1e300)]
    with pytest.raises(InvalidArgument, match="series 2: not all numbers are finite, or some are too large"):
        load(run).predict(series)
    with pytest.raises(InvalidArgument, match="series 1: not all numbers are finite"):
        load(run).predict([np.full((3, 2), np.nan)])
    rows = [f"{n},{'1e308' if n == 5 else n},0" for n in range(9)]
    (tmp_path / "far.csv").write_text("\n".join(["t,a,b", *rows]) + "\n")
    with pytest.raises(InvalidArgument, match=r"5, 1 ahead: not all numbers are finite"):
        load(runs / "forecast").predict(tmp_path / "far.csv")


def test_a_forecast_takes_windows_as_an_archive(runs: Path, tmp_path: Path) -> None:
    trained = load(runs / "forecast")
    windows = np.random.default_rng(1).normal(size=(3, 4, len(trained.facts["inputs"])))
    np.savez(tmp_path / "windows.npz", x=windows)
    with torch.no_grad():
        expected = trained.module(torch.from_numpy(windows.astype(np.float32))).numpy()
    np.testing.assert_allclose(trained.predict(tmp_path / "windows.npz").answers, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("value", "said"), [("x", "all columns but 't' are numbers"), ("inf", "must be finite"), ("", "fill it in first")]
)
def test_advice_on_a_table_is_what_can_be_done_there(runs: Path, tmp_path: Path, value: str, said: str) -> None:
    (tmp_path / "new.csv").write_text("t,a,b\n" + "".join(f"{n},{value if n == 3 else n},0\n" for n in range(6)))
    with pytest.raises(InvalidArgument, match=said):
        load(runs / "forecast").predict(tmp_path / "new.csv")


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_what_is_no_file_is_called_that(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for name, said in (("pipe", "it is no regular file"), ("folder", "Is a directory")):
        assert cli.main(["predict", str(run), "--data", str(tmp_path / f"{name}.csv")]) == 2
        assert capsys.readouterr().err == f"gateflow: error: {tmp_path / name}.csv cannot be read: {said}\n"


def test_answers_are_in_no_file_that_is_there(run: Path, runs: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "mine.csv"
    foreign.write_text("mine\n")
    words = ["predict", str(run), "--data", str(runs / "data.npz"), "--csv", str(foreign)]
    assert cli.main(words) == 2
    assert foreign.read_text() == "mine\n"
    assert cli.main([*words, "--force", "--json"]) == 0
    assert foreign.read_text().startswith("what,class,0,1\n")
    beside = tmp_path / "net.safetensors"
    beside.write_text("mine\n")
    assert cli.main(["export", str(run), "--to", str(tmp_path / "net.py")]) == 2
    assert beside.read_text() == "mine\n"
    assert not (tmp_path / "net.py").exists()
    with pytest.raises(InvalidArgument, match="is a file of the run"):
        export(run, run / "weights.py", force=True)
    assert json.loads((run / "result.json").read_text())["status"] == "finished"
