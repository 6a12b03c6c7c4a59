"""A run that was killed, at any moment, ends as one that was not: the same weights, bit by bit, the same metrics."""

import json
import os
import pickle
import random
import shutil
import signal
import time
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from gateflow.errors import InvalidArgument
from gateflow.files.place import spare_name
from gateflow.training import TASKS, train
from gateflow.training import checkpoint as checkpoints
from gateflow.training.folder import pinned, started
from gateflow.training.optimizers import optimizers, schedules
from gateflow.training.results import table
from gateflow.training.task import Batch, Task

KILLS = [3, pytest.param(12, marks=pytest.mark.slow)]
"""How often a run is killed; it takes as long as so many runs and more."""

ADDING = {
    "task": "adding(horizon=8, held_out=64)",
    "hidden": 6,
    "layers": 2,
    "dropout": 0.3,
    "schedule": "cosine",
    "accumulate": 2,
    "batch": 4,
    "steps": 60,
    "evaluate_every": 11,
    "log_every": 7,
    "weight_decay": 1e-3,
    "optimizer": "adamw(amsgrad=true)",
}

CARRYING = {
    "hidden": 6,
    "optimizer": "sgd(momentum=0.9)",
    "lr": 0.5,
    "schedule": "plateau(patience=0)",
    "batch": 3,
    "steps": 90,
    "evaluate_every": 10,
    "log_every": 4,
    "embedding": 5,
}


@dataclass(frozen=True)
class Echo(Task):
    """Say the token of three steps ago; the sequence goes on from batch to batch."""

    source = "this test"
    tokens = True
    every_step = True
    carries = True
    input_size = output_size = 4
    length = 5

    def batch(self, split, number, size, seed):
        if split != "train" and number >= 3:
            raise IndexError(number)
        at = np.arange(number * 5 - 3, number * 5 + 5)
        stream = np.array([[_hashed(seed, split, row, t) for t in at] for row in range(size)])
        return Batch(torch.from_numpy(stream[:, 3:]), torch.from_numpy(stream[:, :-3]))

    def loss(self, answers, batch):
        return torch.nn.functional.cross_entropy(answers.flatten(0, 1), batch.targets.flatten())

    def measures(self, answers, batch):
        return {"loss": (float(self.loss(answers, batch)), 1.0)}


def _hashed(seed, split, row, t):
    return random.Random(f"{seed} {split} {row} {t}").randrange(4)


def forked(work):
    """``work()`` in a process of its own; its number."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    finally:
        os._exit(0)


def left_by(folder):
    """All that a run has left behind, but how long it took."""
    state = checkpoints.read(folder / "checkpoint.safetensors")
    del state.facts["counters"]["seconds"]
    result = json.loads((folder / "result.json").read_text())
    del result["seconds"]
    bits = {name: (part.dtype, part.numpy().tobytes()) for name, part in state.tensors.items()}
    files = {name: (folder / name).read_bytes() for name in ("metrics.jsonl", "weights.safetensors", "settings.toml")}
    return {"facts": state.facts, "result": result, **bits, **files}


def metrics_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def step_of(folder):
    """The step from which a run would go on."""
    state = checkpoints.latest(folder / "checkpoint.safetensors")[0]
    return 0 if state is None else state.facts["counters"]["step"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("kills", KILLS)
@pytest.mark.parametrize(("task", "settings"), [(None, ADDING), (Echo(), CARRYING)], ids=["adding", "carrying"])
def test_killed_at_random_moments_it_ends_as_one_that_was_not(task, settings, kills, tmp_path):
    settings = {**settings, "steps": settings["steps"] // (3 if kills == 3 else 1)}

    def run(folder):
        train(
            task or settings["task"], out=folder, save_every=0.0, **{k: v for k, v in settings.items() if k != "task"}
        )

    run(tmp_path / "first")
    start = time.monotonic()
    run(tmp_path / "whole")
    seconds = time.monotonic() - start

    moment, span, killings, midway, rounds = random.Random(5), seconds / kills, 0, 0, 0
    while killings < kills or midway < kills // 2:
        killed, rounds = tmp_path / f"killed-{rounds}", rounds + 1
        while not (killed / "result.json").exists():
            before = step_of(killed)
            child = forked(lambda folder=killed: run(folder))
            if killings < kills or midway < kills // 2:
                time.sleep(moment.uniform(0, span))
                os.kill(child, signal.SIGKILL)
            killings += os.WIFSIGNALED(os.waitpid(child, 0)[1])
            midway += 0 < step_of(killed) < settings["steps"]
            span *= 1.5 if step_of(killed) == before else 0.9  # however busy the machine is, there is some progress
        assert left_by(killed) == left_by(tmp_path / "whole")
        lines = [(line["step"], line["kind"]) for line in metrics_of(killed)]
        assert len(lines) == len(set(lines))


# --- asked to stop, and asked again -----------------------------------------------------------------------------------

TINY = {"hidden": 4, "batch": 4, "steps": 30, "evaluate_every": 10, "log_every": 5, "dropout": 0.2, "save_every": 0.0}


def tiny(folder, **more):
    return train("adding(horizon=5, held_out=16)", out=folder, **{**TINY, **more})


def after(count):
    """Whether to stop: after so many steps."""
    asked = iter(range(count + 1))
    return lambda: next(asked, count) == count


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The folder of a tiny run that nothing happened to, for tests that change nothing in it."""
    folder = tmp_path_factory.mktemp("tiny") / "whole"
    tiny(folder)
    return folder


@pytest.fixture(scope="module")
def what_is_left(uninterrupted):
    return left_by(uninterrupted)


def test_a_run_that_is_stopped_goes_on(tmp_path, what_is_left):
    for steps in (0, 1, 10):
        result = tiny(tmp_path / "stopped", stop=after(steps), save_every=1e9)
        assert result.status == "interrupted"
        assert not (tmp_path / "stopped" / "result.json").exists()
    assert result.steps == 11
    tiny(tmp_path / "stopped")
    assert left_by(tmp_path / "stopped") == what_is_left


@pytest.mark.parametrize(
    "chosen",
    [{"optimizer": name} for name in optimizers()]
    + [{"schedule": name, "optimizer": "sgd(momentum=0.9)"} for name in schedules()],
    ids=lambda chosen: chosen.get("schedule", chosen["optimizer"]),
)
@pytest.mark.sampled(5)
def test_every_optimiser_and_schedule_goes_on(chosen, tmp_path):
    chosen = {**chosen, "precision": "float64", "hidden": 2, "steps": 6, "evaluate_every": 3, "save_every": 1e9}
    assert tiny(tmp_path / "stopped", stop=after(2), **chosen).status == "interrupted"
    tiny(tmp_path / "stopped", **chosen)
    tiny(tmp_path / "whole", **chosen)
    assert left_by(tmp_path / "stopped") == left_by(tmp_path / "whole")


def test_a_run_that_has_ended_is_read(tmp_path):
    first, again = tiny(tmp_path), tiny(tmp_path, stop=lambda: pytest.fail("it trains again"))
    assert again == first
    assert again.metrics == first.metrics
    for name, weight in first.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], weight)


@pytest.mark.parametrize(
    ("name", "value", "was"), [("lr", 0.1, "0.005"), ("forget_gate", "sigmoid", "'fast'"), ("seed", 1, "0")]
)
@pytest.mark.sampled(3)
def test_other_settings_are_refused_by_name(name, value, was, tmp_path):
    tiny(tmp_path, stop=after(3))
    with pytest.raises(InvalidArgument, match=rf"holds a run with {name} {was}, not .*--restart"):
        tiny(tmp_path, **{name: value})
    assert tiny(tmp_path, restart=True, **{name: value}).status == "finished"


@pytest.mark.parametrize("chosen", [{}, {"schedule": "reducelronplateau(patience=1)"}])
def test_a_run_goes_on_to_more_steps_and_ends_in_the_same_bits(chosen, tmp_path):
    tiny(tmp_path / "longer", steps=10, **chosen)
    assert tiny(tmp_path / "longer", steps=20, stop=after(3), **chosen).status == "interrupted"
    assert tiny(tmp_path / "longer", steps=20, **chosen).steps == 20
    tiny(tmp_path / "whole", steps=20, **chosen)
    assert left_by(tmp_path / "longer") == left_by(tmp_path / "whole")


@pytest.mark.parametrize(
    ("chosen", "steps", "said"),
    [
        ({}, 9, "holds a run with steps 10, not 9"),
        ({"schedule": "cosine"}, 20, "the schedule cosine ends with the run's 10 steps"),
        ({"patience": 1, "lr": 1e-30, "evaluate_every": 2}, 20, r"has ended early \(no better\)"),
    ],
)
def test_what_cannot_go_on_to_other_steps_is_left_as_it_was(chosen, steps, said, tmp_path):
    tiny(tmp_path, steps=10, **chosen)
    before = left_by(tmp_path)
    with pytest.raises(InvalidArgument, match=said):
        tiny(tmp_path, steps=steps, **chosen)
    assert left_by(tmp_path) == before


def test_a_run_begins_with_the_weights_of_another(tmp_path):
    first = tiny(tmp_path / "one", steps=5)
    other = train(
        "adding(horizon=9, held_out=16)", out=tmp_path / "two", start=str(tmp_path / "one"), **{**TINY, "steps": 2}
    )
    assert other.settings.start.startswith(f"{tmp_path / 'one'}@")
    start, anew = started(other.settings, TASKS.make("adding(horizon=9, held_out=16)"))
    assert anew == []
    for name, weight in first.network.state_dict().items():
        assert torch.equal(start.state_dict()[name], weight)
    (tmp_path / "one" / "weights.safetensors").unlink()
    with pytest.raises(InvalidArgument, match="not the folder of a run that has ended"):
        train(other.settings, out=tmp_path / "three")


def test_weights_that_do_not_fit_are_refused_and_others_told(tmp_path, capsys):
    tiny(tmp_path / "one", steps=2)
    with pytest.raises(InvalidArgument, match="has other recurrent layers: cell"):
        tiny(tmp_path / "two", steps=2, hidden=5, start=str(tmp_path / "one"))
    told = []
    options = {**TINY, "steps": 1, "start": str(tmp_path / "one"), "save_every": 1e9}
    train("digits(per_step=2)", tell=told.append, **options)
    assert len(told) == 1
    assert told[0].endswith("as of another shape or meaning: readout.weight, readout.bias")
    changed = tmp_path / "one" / "weights.safetensors"
    pin = pinned(str(tmp_path / "one"))
    changed.write_bytes(changed.read_bytes() + b" ")
    with pytest.raises(InvalidArgument, match="not those that this run starts from"):
        pinned(pin)


def test_what_a_kill_left_half_written_is_no_hindrance(tmp_path):
    tiny(tmp_path, stop=after(3))
    for name in ("settings.toml", "checkpoint.safetensors"):
        (tmp_path / spare_name(name)).write_text("half")
    (tmp_path / ".settings.toml.swp").write_text("an editor's")
    assert tiny(tmp_path, restart=True, seed=1).status == "finished"
    assert not list(tmp_path.glob("*.part"))
    assert (tmp_path / ".settings.toml.swp").read_text() == "an editor's"


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    for name in ("result.json", "thesis.tex"):
        (tmp_path / name).write_text("precious")
    for restart in (False, True):
        with pytest.raises(InvalidArgument, match=r"not the folder of a run: it holds result\.json"):
            tiny(tmp_path, restart=restart)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result.json", "thesis.tex"]


# --- damage -----------------------------------------------------------------------------------------------------------


def cut_short(data):
    return data[: len(data) // 2]


def altered(data):
    place = len(data) - 9
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def emptied(data):
    return b""


def other(data):
    return b"PK\x03\x04 not ours"


@pytest.mark.parametrize("damage", [cut_short, altered, emptied, other])
@pytest.mark.sampled(3)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(damage, tmp_path, what_is_left):
    folder, told = tmp_path / "damaged", []
    tiny(folder, stop=after(17))
    file = folder / "checkpoint.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    tiny(folder, tell=told.append, stop=after(0), save_every=1e9)
    assert len(told) == 1
    assert "going on from the one before" in told[0]
    checkpoints.read(folder / "checkpoint.previous.safetensors")  # it is not the damaged one
    tiny(folder, tell=told.append)
    assert len(told) == 1
    assert left_by(folder) == what_is_left


def test_damage_to_both_is_one_clear_line(tmp_path):
    tiny(tmp_path, stop=after(17))
    for name in ("checkpoint.safetensors", "checkpoint.previous.safetensors"):
        (tmp_path / name).write_bytes(altered((tmp_path / name).read_bytes()))
    with pytest.raises(InvalidArgument, match=r"was altered: its digest does not fit; --restart begins anew") as found:
        tiny(tmp_path)
    assert "\n" not in str(found.value)
    assert tiny(tmp_path, restart=True).status == "finished"


def test_a_restart_does_not_drop_its_own_run(tmp_path):
    tiny(tmp_path, stop=after(17))
    assert tiny(tmp_path, restart=True, stop=after(0)).steps == 17
    whole = tiny(tmp_path, restart=True)
    assert tiny(tmp_path, restart=True, stop=lambda: pytest.fail("it trains again")) == whole


def test_metrics_shorter_than_the_last_checkpoint_lead_back_to_the_one_before(tmp_path, what_is_left):
    folder, told = tmp_path / "cut", []
    for steps in (7, 8):
        tiny(folder, stop=after(steps), save_every=1e9)
    before = checkpoints.read(folder / "checkpoint.previous.safetensors").facts["metrics"]
    assert before < (folder / "metrics.jsonl").stat().st_size
    os.truncate(folder / "metrics.jsonl", before)
    tiny(folder, tell=told.append)
    assert len(told) == 1
    assert "is shorter than its checkpoint says; going on from the one before" in told[0]
    assert left_by(folder) == what_is_left


def test_a_run_of_a_version_without_markers_goes_on(tmp_path, what_is_left):
    folder = tmp_path / "old"
    tiny(folder, stop=after(3))
    for name in (".gateflow", ".gateflow-lock"):
        (folder / name).unlink()
    with pytest.raises(InvalidArgument, match="is not the folder of a run"):
        tiny(folder, seed=1, restart=True)
    assert tiny(folder).status == "finished"
    assert left_by(folder) == what_is_left


def test_lost_metrics_are_told(tmp_path):
    tiny(tmp_path, stop=after(17))
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(InvalidArgument, match="shorter than its checkpoint says"):
        tiny(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("metrics.jsonl", "[]\n", "line 1: no line of a run"),
        ("metrics.jsonl", '{"step": 0, "kind": "valid", "loss": 1}\n{', ""),  # a line that a kill cut short
        ("metrics.jsonl", '{"step": 0, "kind": "valid", "loss": 1}\n{\n', "line 2: no line of a run"),
        ("result.json", "[]", "is damaged; remove it"),
        ("settings.toml", 'task = "adding"\nmethod = "lstm"\n', "is not what a run has written"),
        ("settings.toml", "", "is not what a run has written"),
    ],
)
def test_what_no_run_has_written_is_told(name, text, said, tmp_path, uninterrupted):
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_text(text)
    with nullcontext() if not said else pytest.raises(InvalidArgument, match=said):
        table(tmp_path)


def test_a_checkpoint_of_other_settings_is_told(tmp_path):
    tiny(tmp_path / "one", stop=after(3))
    tiny(tmp_path / "other", stop=after(3), hidden=5)
    name = "checkpoint.safetensors"
    (tmp_path / "one" / name).write_bytes((tmp_path / "other" / name).read_bytes())
    with pytest.raises(InvalidArgument, match="hidden 5, not 4"):
        tiny(tmp_path / "one")


def test_two_processes_do_not_share_a_folder(tmp_path):
    pytest.importorskip("fcntl")

    def meanwhile():
        with pytest.raises(InvalidArgument, match="another process is training in"):
            tiny(tmp_path)
        return True

    assert tiny(tmp_path, stop=meanwhile).status == "interrupted"


def test_other_data_are_told(tmp_path, monkeypatch):
    tiny(tmp_path, stop=after(3))
    monkeypatch.setattr("gateflow.training.tasks.adding.Adding.fingerprint", lambda self: "others")
    with pytest.raises(InvalidArgument, match="the data are not those this run began with"):
        tiny(tmp_path)


def test_no_file_of_a_run_is_a_pickle(tmp_path, monkeypatch):
    for module, name in ((torch, "save"), (torch, "load"), (pickle, "dump"), (pickle, "dumps"), (pickle, "loads")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("a pickle"))
    tiny(tmp_path, stop=after(3))
    tiny(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {"", ".toml", ".jsonl", ".json", ".safetensors"}
