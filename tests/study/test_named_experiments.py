"""Named experiments: each can be begun, a kill loses nothing, and what they gave is told alike everywhere."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from gateflow.errors import InvalidArgument
from gateflow.study import kept
from gateflow.study.cost import cost
from gateflow.study.experiment import Experiment, carry_out, folder_of
from gateflow.study.experiments import EXPERIMENTS
from gateflow.study.outcomes import collected, output, table, text_of
from gateflow.training.folder import outcome
from gateflow.training.loop import Trainer
from gateflow.training.methods import METHODS
from gateflow.training.settings import Settings

SMALL = Experiment(
    base={
        "task": "copying(horizon=6, symbols=1, held_out=16)",
        "hidden": 4,
        "batch": 4,
        "steps": 40,
        "evaluate_every": 10,
        "device": "cpu",
    },
    arms={"fast, matched": {"forget_gate": "fast", "init": "matched"}, "gru": {"method": "gru"}},
    seeds=2,
)


def told(folder: Path) -> str:
    """All that is shown of an experiment but the clock."""
    found = collected("small", SMALL, folder)
    for runs in found["runs"].values():
        for run in runs:
            del run["seconds"]
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in table(SMALL, folder).records()]
    return json.dumps([found, rows])


def killed_once_it_trains(folder: Path) -> None:
    """Carry the plan out in another process, and kill that in the midst of its third run."""
    child = os.fork()
    if child == 0:
        try:
            step = Trainer.descend
            Trainer.descend = lambda self: (time.sleep(0.02), step(self))[1]
            carry_out(SMALL, folder)
        finally:
            os._exit(0)
    third = folder / folder_of("fast, matched", 1) / "metrics.jsonl"
    for _ in range(3000):
        if third.exists() and third.read_bytes().count(b"\n") > 2:
            break
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files that tasks read, as small as can be."""
    monkeypatch.chdir(tmp_path)
    for name in ("kjv.txt", "ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"):
        (tmp_path / name).write_text("In the beginning was the word . " * 50)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_killed_experiment_goes_on_and_ends_in_the_same_table(tmp_path):
    killed_once_it_trains(tmp_path / "killed")
    ended = [outcome(tmp_path / "killed" / folder_of(*run)) is not None for run in SMALL.runs()]
    assert ended == [True, True, False, False]
    assert set(carry_out(SMALL, tmp_path / "killed").values()) == {"finished"}
    assert set(carry_out(SMALL, tmp_path / "whole").values()) == {"finished"}
    assert told(tmp_path / "killed") == told(tmp_path / "whole")


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("reduced", [False, True])
def test_every_run_has_settings_that_hold_and_a_folder_of_its_own(name, reduced, files):
    plan = EXPERIMENTS[name]
    for arm in plan.arms_of(reduced):
        assert Settings.of(plan.settings(arm, reduced=reduced)).steps > 0
    runs = [folder_of(*run) for run in plan.runs(reduced=reduced)]
    assert len(set(runs)) == len(runs)
    assert EXPERIMENTS.summary(name)
    assert plan.source


def test_every_method_and_initialiser_of_the_literature_has_a_reduced_run():
    def has(setting):
        plans = EXPERIMENTS.values()
        return {str(p.settings(arm, reduced=True).get(setting)) for p in plans for arm in p.arms_of(True)}

    assert has("method") >= set(METHODS)
    inits = {each.partition("(")[0] for each in has("init")}
    assert inits >= {"constant", "matched", "chrono", "uniform", "for-timescales", "power-law"}
    for name in ("smnist", "pmnist", "scifar"):
        assert set(EXPERIMENTS[name].arms) == set(EXPERIMENTS[name].arms_of(True))


def test_only_some_arms_are_run_and_one_that_is_none_is_refused(tmp_path):
    assert list(carry_out(SMALL, tmp_path, only="gru", seeds=1)) == ["gru/seed-0"]
    assert [len(group.runs) for group in table(SMALL, tmp_path).groups] == [0, 1]
    with pytest.raises(InvalidArgument, match="no arm has 'lstm' in its name; there are: fast, matched; gru"):
        carry_out(SMALL, tmp_path, only="lstm")


def test_what_is_collected_reads_back_and_holds_every_curve(tmp_path):
    carry_out(SMALL, tmp_path / "runs", seeds=1)
    found = collected("small", SMALL, tmp_path / "runs")
    output(tmp_path / "small.json").write(text_of(found))
    assert json.loads((tmp_path / "small.json").read_text()) == found
    run = found["runs"]["fast, matched"][0]
    assert run["steps"] == [0, 10, 20, 30, 40]
    assert len(run["values"]) == len(run["timescales"]["longest"]) == 5
    assert len(found["runs"]["gru"][0]["timescales"]["median"]) == 5
    assert found["settings"]["hidden"] == 4
    assert found["arms"]["gru"] == {"method": "gru"}


# --- what a step costs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [200, pytest.param(400, marks=pytest.mark.slow)])
def test_the_cost_of_a_method_is_measured_once_and_is_what_it_must_be(tmp_path, horizon):
    """One that was stopped on the way is measured when it is asked for again."""
    step = {"task": f"adding(horizon={horizon})", "hidden": 32, "batch": 64, "steps": 1, "device": "cpu"}
    loop = {**step, "cell": "lstm", "backend": "reference"}
    asked = iter([False, True])  # before the process that measures is there, and while it starts
    assert cost(loop, out=tmp_path / "loop", stop=lambda: next(asked)).status == "interrupted"
    assert outcome(tmp_path / "loop") is None
    assert multiprocessing.active_children() == []
    first = cost(loop, out=tmp_path / "loop")
    assert first.status == "finished"
    assert first.test["weights"] == 4 * 32 * (2 + 32 + 2) + 33
    assert first.test["cpu_ratio"] > 0
    gates = 4 * horizon * 64 * 32 * 4 / 2**20  # MiB that backward needs at least
    assert not first.test["MiB"] <= gates  # nan where the system tells of no peak
    assert cost(loop, out=tmp_path / "loop").test == first.test
    assert cost({**step, "method": "nru"}, out=tmp_path / "nru", stop=lambda: True).status == "interrupted"


# --- results that are kept --------------------------------------------------------------------------------------------


def test_kept_results_are_small_and_say_what_made_them():
    for name in kept.KEPT:
        found = kept.read(name)
        assert found["command"].startswith("gateflow ")
        assert "versions" in found["record"]
        assert (kept.HERE / f"{name}.json").stat().st_size < 250_000


def test_a_kept_result_is_made_anew_and_goes_on_where_it_was(tmp_path, monkeypatch):
    from gateflow.study.kept import memory

    monkeypatch.setattr(memory, "SEEDS", 1)
    monkeypatch.setattr(memory, "OPTIMIZERS", ("sgd",))
    monkeypatch.setattr(memory, "AT", (3, 30))
    asked = iter([False, True])
    assert not kept.renew("memory", tmp_path / "results", tmp_path / "runs", stop=lambda: next(asked))
    assert len(list((tmp_path / "runs" / "memory.json.parts").glob("*.json"))) == 1
    assert kept.renew("memory", tmp_path / "results", tmp_path / "runs")
    found = kept.read("memory", tmp_path / "results")
    assert [run["gate"] for run in found["runs"]] == ["softsign", "sigmoid", "fast"]
    stored = kept.read("memory")
    same = next(run for run in stored["runs"] if (run["gate"], run["optimizer"], run["seed"]) == ("fast", "sgd", 0))
    assert found["runs"][2]["reached"][1] == pytest.approx(same["reached"][stored["at"].index(30)], rel=1e-4)


def test_a_folder_without_kept_results_is_told_in_one_line(tmp_path):
    with pytest.raises(InvalidArgument, match=r"cannot read .*memory\.json"):
        kept.read("memory", tmp_path)


# --- published settings -----------------------------------------------------------------------------------------------

PUBLISHED = ("paper-adding", "paper-copying", "paper-images", "janet", "nru", "language", "refined-and-noisy")


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_setting_says_where_it_comes_from(name):
    plan = EXPERIMENTS[name]
    declared = {key for arm in plan.arms for key in plan.settings(arm)}
    assert declared <= set(plan.sources)
    assert all(plan.sources.values())


def test_what_the_paper_leaves_open_is_said_to_be_not_known():
    for name in ("paper-adding", "paper-copying", "paper-images"):
        plan = EXPERIMENTS[name]
        assert {key for key, source in plan.sources.items() if source.startswith("not known; ours")} >= {
            *("optimizer", "lr", "batch", "clip", "steps")
        }
        assert {plan.settings(arm)["hidden"] for arm in plan.arms} == {512 if name == "paper-images" else 128}


def test_the_start_of_the_paper_is_sigma_of_1_for_every_gate():
    from gateflow.training.network import build
    from gateflow.training.settings import make_task

    plan = EXPERIMENTS["paper-adding"]
    for arm in ("softsign", "sigmoid", "fast", "refine"):
        settings = Settings.of({**plan.settings(arm), "hidden": 4, "task": "adding(horizon=10)"})
        cell = build(settings, make_task(settings.task)).cell
        z = cell.bias_ih_l0[cell.rows("forget")]
        assert cell.forget_gate(z).tolist() == pytest.approx([0.7310586] * 4, rel=1e-6)
        if arm == "refine":
            assert cell.bias_ih_l0[cell.rows("refine")].tolist() == [0.0] * 4
