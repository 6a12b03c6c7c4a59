"""A run that is put to use: loaded, asked about new data, and exported to files that are run elsewhere."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gateflow import cli
from gateflow.errors import InvalidArgument
from gateflow.training import export, load, train
from gateflow.training.checkpoint import Damaged


def write_waves(file: Path, labelled: bool = True) -> np.ndarray:
    """Series of two classes, quick and slow; their values."""
    time = np.arange(12)
    values = np.array([3 * np.sin((1 + n % 2) * time / 3 + n) + 5 for n in range(40)]).round(4)
    heads = ["quick," if n % 2 else "slow," for n in range(40)] if labelled else [""] * 40
    lines = (head + ",".join(map(str, row)) for head, row in zip(heads, values, strict=True))
    file.write_text("\n".join(lines) + "\n")
    return values


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose data are gone."""
    folder = tmp_path_factory.mktemp("trained")
    write_waves(folder / "gone.csv")
    options: dict[str, Any] = {"hidden": 4, "layers": 2, "steps": 10, "threads": 1, "input_gate": "erf"}
    train(f'series(data="{folder / "gone.csv"}", pool=2)', out=folder / "run", **options)
    (folder / "gone.csv").unlink()
    return folder / "run"


def test_a_run_has_what_its_answers_need(run: Path, tmp_path: Path) -> None:
    trained, values = load(run), write_waves(tmp_path / "new.csv")
    assert trained.classes == ("quick", "slow")
    assert not trained.module.training
    found = trained.predict(tmp_path / "new.csv")
    assert found.names[:2] == ("series 1", "series 2")
    assert found.given[:2] == ("slow", "quick")
    # by hand: two samples a step, then scaled as the training part was
    pooled = torch.from_numpy(values.reshape(40, 6, 2).mean(2))[..., None]
    inputs = (pooled - trained.facts["mean"][0]) / trained.facts["deviation"][0]
    with torch.no_grad():
        expected = trained.network(inputs.float())[0].double().softmax(-1).numpy()
    np.testing.assert_allclose(found.answers, expected, atol=1e-6)
    assert found.classes == tuple(np.array(trained.classes)[expected.argmax(1)])
    assert found.accuracy == np.mean(np.array(found.classes) == np.array(found.given))
    same = trained.predict(values)
    np.testing.assert_allclose(same.answers, found.answers, atol=1e-6)
    assert same.accuracy is None


def test_series_without_classes_are_asked_for_as_such(run: Path, tmp_path: Path) -> None:
    values = write_waves(tmp_path / "bare.csv", labelled=False)
    with pytest.raises(InvalidArgument, match=r"series 1: '5' is no class of the training"):
        load(run).predict(tmp_path / "bare.csv")
    np.testing.assert_allclose(
        load(run).predict(tmp_path / "bare.csv", labelled=False).answers, load(run).predict(values).answers, atol=1e-6
    )
    np.savez(tmp_path / "bare.npz", x=values)
    found = load(run).predict(tmp_path / "bare.npz", labelled=False)
    np.testing.assert_allclose(found.answers, load(run).predict(values).answers, atol=1e-6)


def test_series_of_other_lengths_are_answered_one_by_one_alike(run: Path) -> None:
    series = [np.sin(np.arange(float(n)))[:, None] for n in (12, 5, 9)]
    trained = load(run)
    alone = np.concatenate([trained.predict([one]).answers for one in series])
    np.testing.assert_allclose(trained.predict(series).answers, alone, atol=1e-6)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (np.zeros((2, 5, 3)), r"must be \(time, 1\)"),
        ("nowhere.csv", "there is no file nowhere.csv"),
        (Path(__file__), r"is none of .npz"),
    ],
)
def test_other_data_are_refused(run: Path, data: Any, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        load(run).predict(data)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="not the folder of a run"):
        load(tmp_path)


def test_preparation_is_under_the_digest_of_the_weights(run: Path, tmp_path: Path) -> None:
    file = run / "weights.safetensors"
    whole = file.read_bytes()
    try:
        file.write_bytes(whole.replace(b"quick", b"quack", 1))
        with pytest.raises(Damaged, match="digest"):
            load(run)
    finally:
        file.write_bytes(whole)


def imported(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location("plain", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_plain_file_needs_nothing_of_ours(run: Path, tmp_path: Path) -> None:
    written = export(run, tmp_path / "plain.py")
    assert [path.name for path in written] == ["plain.py", "plain.safetensors"]
    text = written[0].read_text()
    assert "gateflow" not in text
    plain, x = imported(written[0]), torch.randn(3, 7, 1)
    torch.testing.assert_close(plain.load()(x), load(run).module(x), atol=1e-6, rtol=1e-6)
    assert plain.FACTS["classes"] == ["quick", "slow"]


@pytest.mark.parametrize("cell", ["gru", "janet", "lstm(tied=true)", "nru(memory_size=4, heads=1)"])
@pytest.mark.sampled(3)
def test_other_cells_are_plain_too(cell: str, tmp_path: Path) -> None:
    train("adding(horizon=5, held_out=16)", cell=cell, hidden=3, steps=1, precision="float64", out=tmp_path / "run")
    (file, _), x = export(tmp_path / "run", tmp_path / "plain.py"), torch.randn(2, 4, 2, dtype=torch.float64)
    torch.testing.assert_close(imported(file).load()(x), load(tmp_path / "run").module(x))


def test_a_program_of_pytorchs_export(run: Path, tmp_path: Path) -> None:
    (file,) = export(run, tmp_path / "program.pt2")
    found = {"gateflow.json": ""}
    program, x = torch.export.load(file, extra_files=found), torch.randn(3, 7, 1)
    torch.testing.assert_close(program.module()(x), load(run).module(x))
    assert json.loads(found["gateflow.json"])["classes"] == ["quick", "slow"]


@pytest.mark.slow  # by default a layer is exported: tests/nn/test_onnx.py
@pytest.mark.xdist_group("compiler")
def test_a_program_of_onnx(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    (file,) = export(run, tmp_path / "program.onnx")
    session, x = runtime.InferenceSession(str(file)), torch.randn(3, 7, 1)
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(found, load(run).module(x).detach().numpy(), atol=1e-5)
    assert json.loads(session.get_modelmeta().custom_metadata_map["gateflow"])["pool"] == 2


@pytest.mark.xdist_group("onnx")
def test_what_onnx_notes_by_the_way_is_not_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of a GRU's split into blocks, onnxscript warns that it folds no constants."""
    pytest.importorskip("onnxscript")
    train("adding(horizon=5, held_out=16)", cell="gru", hidden=3, steps=1, out=tmp_path / "run")
    export(tmp_path / "run", tmp_path / "net.onnx")
    assert not [record for record in caplog.records if record.name.startswith(("onnx", "torch.onnx"))]


@pytest.mark.parametrize(
    ("name", "said"), [("x.exe", "must end in .pt2"), ("a-b.py", "to be imported"), ("class.py", "keyword")]
)
def test_other_files_are_refused(run: Path, tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        export(run, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_the_commands(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_waves(tmp_path / "new.csv")
    words = ["predict", str(run), "--data", str(tmp_path / "new.csv")]
    assert cli.main(words) == 0
    assert "accuracy" in capsys.readouterr().out
    assert cli.main([*words, "--json", "--csv", str(tmp_path / "answers.csv")]) == 0
    told = json.loads(capsys.readouterr().out)
    found = load(run).predict(tmp_path / "new.csv")
    assert [each["class"] for each in told["predictions"]] == list(found.classes or ())
    assert told["predictions"][3]["probabilities"]["slow"] == found.answers[3, 1]
    first = (tmp_path / "answers.csv").read_text().splitlines()[1].split(",")
    assert first == ["series 1", str((found.classes or ("",))[0]), *map(repr, map(float, found.answers[0]))]
    assert cli.main(["predict", str(tmp_path), "--data", "x"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert cli.main(["export", str(run), "--to", str(tmp_path / "x.exe")]) == 2
    assert capsys.readouterr().err == f"gateflow: error: {tmp_path / 'x.exe'} must end in .pt2, .onnx, .py\n"
