"""What is read is a regular file, within bounds; anything else is one line, at once."""

from __future__ import annotations

import gzip
import json
import os
import resource
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from gateflow.cli import main
from gateflow.errors import InvalidArgument
from gateflow.files import fits, from_json, from_toml, read_bytes, unpacked_most
from gateflow.gates.gate import Gate
from gateflow.training import checkpoint as checkpoints
from gateflow.training import data
from gateflow.training.checkpoint import Checkpoint

TINY = ("--hidden", "2", "--batch", "2", "--steps", "2", "--evaluate-every", "2")
TASK = "adding(horizon=5, held_out=16)"
DEEP = "[" * 100_000
LONG = "1" * 100_000


@pytest.fixture
def said(capsys):
    """The one line of a refusal."""

    def call(*arguments: str) -> str:
        capsys.readouterr()
        code = main(arguments)
        err = capsys.readouterr().err
        assert (code, err.count("\n")) == (2, 1), (arguments, code, err[:300])
        assert len(err) < 3000
        return err

    return call


@pytest.fixture
def run(tmp_path):
    """The folder of a run that has ended."""
    assert main(["train", TASK, *TINY, "-o", str(tmp_path / "run")]) == 0
    return tmp_path / "run"


def pipe_at(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


@pytest.mark.parametrize("path", ["/dev/zero", "pipe", "."])
def test_settings_from_no_regular_file_are_refused_at_once(path, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    assert "cannot read" in said("train", "--config", path)
    assert "cannot read" in said("verify", path)


@pytest.mark.parametrize("name", ["settings.toml", "metrics.jsonl", "result.json", "checkpoint.safetensors"])
def test_a_pipe_in_the_folder_of_a_run_is_refused_at_once(name, said, run):
    pipe_at(run / name)
    if name != "checkpoint.safetensors":
        said("results", str(run))
    if name != "result.json":
        (run / "result.json").unlink()
    if name == "checkpoint.safetensors":
        (run / "weights.safetensors").unlink()
        (run / "checkpoint.previous.safetensors").unlink()
    said("train", TASK, *TINY, "-o", str(run))


@pytest.mark.parametrize(
    "text",
    [
        "task = " + DEEP,
        f"seed = {LONG}",
        "seed = 0x" + "f" * 100_000,
        "seed = 99999999999999999999",
        f"lr = {LONG}",
        "a." * 50_000 + "b = 1",
        "\ud800",
    ],
    ids=["deep", "long", "long hexadecimal", "beyond 2**63", "long rate", "dots", "surrogate"],
)
def test_settings_that_are_out_of_bounds_are_one_line(text, said, tmp_path):
    (tmp_path / "a.toml").write_bytes(f"{text}\n".encode("utf-8", "surrogatepass"))
    said("train", "adding", "--config", str(tmp_path / "a.toml"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--seed", "99999999999999999999"),
        ("--seed", LONG),
        ("--hidden", LONG),
        ("--vary", f"seed={LONG}"),
        ("--vary", f"lr={DEEP}"),
        ("--horizon", LONG),
        ("--init", f"constant(bias={DEEP})"),
        ("--forget-gate", "\udcff"),
        ("--scheduler", "inproc://x", "--seeds", "2"),
        ("--scheduler", "file:///etc/passwd", "--seeds", "2"),
    ],
)
def test_arguments_that_are_out_of_bounds_are_one_line(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said("train", "adding", *arguments)
    assert list(tmp_path.iterdir()) == []


OUTCOME = {
    "status": "finished",
    "steps": 2,
    "best_step": 2,
    "solved_at": None,
    "valid": {"loss": 0.1},
    "test": {"loss": 0.1},
    "seconds": 1.0,
    "said": "",
}


@pytest.mark.parametrize(
    "changed",
    [
        *({name: wrong} for name in OUTCOME for wrong in ([], {"a": []}, True)),
        {"test": {"loss": None}},
        {"test": {"loss": "x"}},
        {"seconds": "sigmoid(z)"},
        {"steps": 10**30},
        DEEP,
        f'{{"steps": {LONG}}}',
        "7",
        "null",
    ],
    ids=str,
)
def test_a_result_of_other_types_is_one_line(changed, tmp_path):
    from gateflow.training.folder import outcome

    text = changed if isinstance(changed, str) else json.dumps({**OUTCOME, **changed})
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(InvalidArgument, match="is damaged; remove it"):
        outcome(tmp_path)


def test_metrics_that_nest_too_deep_are_one_line(said, run):
    (run / "metrics.jsonl").write_text(f'{{"step": 0, "kind": "valid", "x": {DEEP}}}\n')
    assert "line 1: no line of a run" in said("results", str(run))


LAYER = {"mean": 0.5, "quantiles": [0.5], "timescales": [1.0], "saturated": 0.0}


@pytest.mark.parametrize(
    "line",
    [
        *({"kind": kind, "loss": wrong} for kind in ("train", "valid", "test") for wrong in (None, "x", [], True)),
        *({"kind": kind} for kind in ("train", "valid", "test", "gates", "stopped")),
        {"kind": "valid", "loss": 0.1, "accuracy": [0.5]},
        {"kind": "stopped", "said": 3},
        *({"kind": "gates", "layers": wrong} for wrong in ([], [False], [[]], {}, "x")),
        *({"kind": "gates", "layers": [{**LAYER, name: wrong}]} for name in LAYER for wrong in (None, "x", ["x"], {})),
        {"kind": "gates", "layers": [{**LAYER, "timescales": []}]},
    ],
    ids=str,
)
def test_a_line_of_metrics_of_other_types_is_told(line, tmp_path):
    from gateflow.training.folder import read_metrics

    right = {"step": 0, "kind": "valid", "loss": "nan", "perplexity": "inf"}
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in (right, {"step": 2, **line})))
    with pytest.raises(InvalidArgument, match=r"metrics\.jsonl, line 2: no line of a run"):
        read_metrics(tmp_path)


def sealed_anew(file: Path, change) -> None:
    """The checkpoint with changes, and a digest that fits."""
    state = checkpoints.read(file)
    facts = change(state.facts)
    file.write_bytes(checkpoints.to_bytes(Checkpoint(state.facts if facts is None else facts, state.tensors)))


FACTS = ("settings", "data", "counters", "optimizer", "schedule", "said", "metrics")
WRONG = (None, 7, "x", [], {"a": [1]}, -(10**15), "missing")
RIGHT = (("data", None), ("schedule", None), ("said", "x"), ("metrics", 7))


@pytest.mark.parametrize(
    ("name", "wrong"), [(name, wrong) for name in FACTS for wrong in WRONG if (name, wrong) not in RIGHT], ids=str
)
def test_a_sealed_checkpoint_of_other_types_is_one_line(name, wrong, tmp_path_factory, trained, monkeypatch):
    from gateflow.training import train

    folder = tmp_path_factory.mktemp("run") / "run"
    folder.mkdir()
    for path in trained.iterdir():
        if path.name not in ("result.json", "weights.safetensors", "checkpoint.previous.safetensors"):
            (folder / path.name).write_bytes(path.read_bytes())

    def change(facts):
        if wrong == "missing":
            facts.pop(name)
        else:
            facts[name] = wrong

    sealed_anew(folder / "checkpoint.safetensors", change)
    with pytest.raises(InvalidArgument) as found:
        train(TASK, out=folder, hidden=2, batch=2, steps=2, evaluate_every=2)
    assert "\n" not in str(found.value)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    assert main(["train", TASK, *TINY, "-o", str(folder / "run")]) == 0
    return folder / "run"


def test_a_checkpoint_of_another_network_is_one_line(trained, tmp_path):
    from gateflow.training import train

    folder = tmp_path / "run"
    folder.mkdir()
    for name in (".gateflow", "settings.toml", "metrics.jsonl"):
        (folder / name).write_bytes((trained / name).read_bytes())
    state = checkpoints.read(trained / "checkpoint.safetensors")
    for tensors in ({}, {name: torch.zeros(1) for name in state.tensors}, {"network/x": torch.ones(2)}):
        data = checkpoints.to_bytes(Checkpoint(dict(state.facts), tensors))
        (folder / "checkpoint.safetensors").write_bytes(data)
        with pytest.raises(InvalidArgument, match="is not of this run"):
            train(TASK, out=folder, hidden=2, batch=2, steps=2, evaluate_every=2)


# --- data -------------------------------------------------------------------------------------------------------------


def growth() -> int:
    """The most memory this process has had, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_does(tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, x=np.zeros((2, 500_000)), y=np.zeros(2))
    monkeypatch.setattr("gateflow.files.read.UNPACKED", 1_000_000)
    before = growth()
    with pytest.raises(InvalidArgument, match="it unpacks to 8000"):
        data.npz(path)
    assert growth() - before < 5_000_000


@pytest.mark.parametrize("ending", ["csv.gz", "ts.gz"])
@pytest.mark.parametrize("shape", ["one line", "many lines"])
def test_a_text_that_unpacks_to_too_much_is_refused(ending, shape, tmp_path, monkeypatch):
    path = tmp_path / f"bomb.{ending}"
    line = b"1,0,0,0\n" if ending == "csv.gz" else b"0,0,0:1\n"
    head = b"@data\n" if ending == "ts.gz" else b""
    text = head + (line.replace(b"0", b"0," * 300_000 + b"0", 1) if shape == "one line" else line * 100_000)
    path.write_bytes(gzip.compress(text))
    monkeypatch.setattr("gateflow.files.read.UNPACKED", 200_000)
    monkeypatch.setattr("gateflow.training.data.series.LINE", 100_000)
    read = data.csv if ending == "csv.gz" else data.ts
    with pytest.raises(InvalidArgument, match=r"unpacks to more than|has over 100000 characters"):
        read(path)


def test_what_may_be_unpacked_follows_the_size():
    assert unpacked_most(3_000_000) == 2**28
    assert unpacked_most(10**9) == 64 * 10**9


@pytest.mark.parametrize("name", ["a.csv", "a.ts", "a.npz", "a.wav", "a-idx1-ubyte", "a.csv.gz"])
def test_data_from_a_pipe_are_refused_at_once(name, tmp_path):
    os.mkfifo(tmp_path / name)
    read = {
        "a.csv": data.csv,
        "a.ts": data.ts,
        "a.npz": data.npz,
        "a.wav": data.wav,
        "a-idx1-ubyte": lambda path: data.idx(path, 1),
        "a.csv.gz": data.csv,
    }[name]
    with pytest.raises(InvalidArgument, match="it is no regular file"):
        read(tmp_path / name)


def test_a_cache_of_data_that_others_may_write_to_is_not_used(tmp_path, monkeypatch):
    from gateflow.training.data import sets

    monkeypatch.delenv("GATEFLOW_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert sets._home() == tmp_path / "gateflow"
    (tmp_path / "gateflow").chmod(0o777)
    assert sets._home() != tmp_path / "gateflow"


def test_every_address_of_data_is_safe_on_the_way():
    for each in data.DATA_SETS:
        for url, checksum in each.urls.items():
            assert url.startswith("https://")
            kind, _, digest = checksum.partition(":")
            assert (kind, len(digest)) == ("sha256", 64)


@pytest.mark.parametrize("damage", ["deep", "long", "typed", "none", "bomb"])
def test_a_sweep_file_of_other_shapes_is_one_line(damage, said, tmp_path):
    h5py = pytest.importorskip("h5py")
    out = tmp_path / "t.nc"
    words = ("sweep", "fast", "--horizon", "10", "--gap", "0.1", "-o", str(out))
    assert main(list(words)) == 0
    with h5py.File(out, "r+") as file:
        made = json.loads(file.attrs["record"])
        del file.attrs["record"]
        told = {"deep": "[" * 20_000, "long": f'{{"digest": {LONG}}}', "typed": '{"digest": []}', "none": "7"}
        file.attrs["record"] = told.get(damage, json.dumps(made))[:60_000]
        if damage == "bomb":
            file.create_dataset("x", (2**31,), "f8", compression="gzip", chunks=(2**20,), fillvalue=0.0)
    before = growth()
    for restart in ((), ("--restart",)):
        assert "choose another file" in said(*words, *restart)
    assert growth() - before < 200_000_000


@pytest.mark.parametrize("text", ["{}", '{"command": "", "record": {}, "runs": []}', DEEP, "7"])
def test_kept_results_of_other_shapes_are_one_line(text, said, tmp_path):
    for name in ("memory.json", "study-copying.json", "study_copying.json"):
        (tmp_path / name).write_text(text)
    out = str(tmp_path / "drawn")
    said("figures", "agreement", "--results", str(tmp_path), "-o", out, "--format", "svg")


# --- parts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [DEEP, '{"a":' * 100_000, f"[{LONG}]", "[99999999999999999999]", "[" * 66 + "]" * 66])
def test_json_out_of_bounds_is_told_as_no_value(text):
    with pytest.raises(ValueError, match=r"deep|digits|Exceeds"):
        from_json(text)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '[{"b": {"a": 1, "c": 2, "\\u0061": 1}}]'])
def test_a_name_that_stands_twice_in_an_object_of_json_is_refused(text):
    """RFC 8259, section 4: readers differ in which of the two they take, so a certificate could say two things."""
    with pytest.raises(ValueError, match="'a' stands twice in one object"):
        from_json(text)


@pytest.mark.parametrize("text", ["a = " + DEEP, f"a = {LONG}", "a = 0x" + "f" * 100, "a.b.c = [[[[1]]]"])
def test_toml_out_of_bounds_is_told_as_no_value(text):
    with pytest.raises(ValueError, match=r"deep|digits|Exceeds|Unclosed|at line"):
        from_toml(text)


def test_shapes():
    assert fits({"a": [1, 2], "more": 0}, {"a": [int]})
    assert not fits({"a": [1, "2"]}, {"a": [int]})
    assert not fits(True, int)
    assert fits(None, (int, None))


def test_a_file_longer_than_it_may_be_is_refused_by_its_size(tmp_path):
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="at most 1000 are read"):
        read_bytes(tmp_path / "sparse", 1000)


def test_a_name_that_cannot_be_written_is_refused():
    with pytest.raises(InvalidArgument, match=r"can be written; got '\\ud800'"):
        Gate("sigmoid(z)", name="\ud800")
