"""gateflow experiment: listed, run, shown and written; gateflow figures --retrain."""

import csv
import json
import shutil

import pytest

import gateflow.study.networks
import gateflow.study.own  # noqa: F401  both take the list of experiments as it is when they are imported
from gateflow.study import experiments
from gateflow.study.experiment import Experiment
from gateflow.study.kept import memory

TINY = Experiment(
    base={"task": "adding(horizon=5, held_out=8)", "hidden": 3, "batch": 4, "steps": 4, "evaluate_every": 2},
    arms={"fast, matched": {"forget_gate": "fast", "init": "matched"}, "gru, none": {"method": "gru"}},
    seeds=2,
    reduced={"steps": 2},
    source="nobody",
)


class Experiments(dict):
    def spelled(self, name):
        return name.replace("_", "-")

    def summary(self, name):
        return "As small as can be."


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(experiments, "EXPERIMENTS", Experiments(tiny=TINY))
    return tmp_path


def test_it_is_listed_with_its_sizes_and_its_source(gateflow, here):
    code, out, _ = gateflow("experiment", "list")
    assert code == 0
    assert out.splitlines()[1].split()[:7] == ["tiny", "2", "x", "2", "2", "x", "1"]
    (found,) = json.loads(gateflow("experiment", "list", "--json").out)["experiments"]
    assert found["full"] == {"arms": 2, "seeds": 2}
    assert found["source"] == "nobody"


def test_run_a_part_then_the_rest_and_show_it(gateflow, here):
    code, out, err = gateflow("experiment", "run", "tiny", "--only", "gru", "--seeds", "1")
    assert (code, err) == (0, "")
    assert out.splitlines()[1:] == ["gru-none/seed-0  finished"]
    code, out, _ = gateflow("experiment", "show", "tiny")
    assert code == 0
    assert [line.split()[2] for line in out.splitlines() if line.startswith(("fast,", "gru,"))] == ["0", "1", "1"]
    found = json.loads(gateflow("experiment", "run", "tiny", "--json").out)
    assert found["folder"] == "runs/tiny"
    assert set(found["status"].values()) == {"finished"}
    shown = json.loads(gateflow("experiment", "show", "tiny", "--json").out)
    assert [row["n"] for row in shown["table"]] == [2, 2]
    assert [len(runs) for runs in shown["runs"].values()] == [2, 2]
    assert shown["chance"]["gru, none"] == pytest.approx(1 / 6, rel=1e-4)


def test_what_is_shown_is_written(gateflow, here):
    gateflow("experiment", "run", "tiny", "--reduced")
    code, out, err = gateflow("experiment", "show", "tiny", "--reduced", "--write", "out")
    assert (code, err) == (0, "")
    assert out.split()[-4:] == ["out/tiny.txt", "out/tiny.csv", "out/tiny.json", "out/tiny.svg"]
    text = (here / "out/tiny.txt").read_text()
    assert text.startswith("$ gateflow experiment show tiny --reduced --write out\n")
    assert "nobody" in text
    with open(here / "out/tiny.csv", newline="") as file:
        assert [row["arm"] for row in csv.DictReader(file)] == list(TINY.arms)
    kept = json.loads((here / "out/tiny.json").read_text())
    assert kept["command"] == "gateflow experiment run tiny --reduced"
    assert kept["settings"]["steps"] == 2
    assert kept["record"]["versions"]["torch"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run",), "NAME is missing"),
        (("walk", "tiny"), "ACTION is list, run, show or analyse; got 'walk'"),
        (("run", "tiny", "--seeds", "0"), "seeds must be a whole number from 1 to 1000; got 0"),
        (("run", "tiny", "--only", "lstm"), "no arm has 'lstm' in its name; there are: fast, matched; gru, none"),
        (("run", "tiny", "--data-dir", "d"), "the task adding looks for no files in a folder"),
    ],
)
def test_slips_are_told_in_one_line(gateflow, here, words, said):
    code, out, err = gateflow("experiment", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_figure_of_training_is_trained_anew_and_drawn_from_that(gateflow, here, monkeypatch):
    monkeypatch.setattr(memory, "SEEDS", 1)
    monkeypatch.setattr(memory, "AT", (3,))
    code, _, err = gateflow("figures", "agreement", "--retrain", "--format", "svg")
    assert (code, err) == (0, "")
    assert {float(line.split(",")[2]) for line in (here / "figures/agreement.csv").read_text().splitlines()[1:]} == {3}
    found = json.loads((here / "runs/results/memory.json").read_text())
    assert found["at"] == [3]
    code, out, err = gateflow("figures", "slope", "--retrain")
    assert (code, out) == (2, "")
    assert "nothing is trained for slope" in err


# --- registered experiments -------------------------------------------------------------------------------------------


@pytest.fixture
def registered(here, monkeypatch):
    from dataclasses import replace

    from gateflow.study.experiment import Question

    question = Question("fast against gru", ("fast, matched",), ("gru, none",))
    plan = replace(TINY, questions=(question,), consecutive=1, first=70, conclude=lambda found: ["Nothing."])
    monkeypatch.setattr(experiments, "EXPERIMENTS", Experiments(tiny=plan))
    return here


def test_a_registered_experiment_tells_counts_and_then_all(gateflow, registered):
    code, out, err = gateflow("experiment", "run", "tiny", "--only", "gru")
    assert (code, out, err) == (130, "", err)
    assert "4 runs take at most" in err
    assert "gateflow: 2 of 4 runs are stored in results/study" in err
    assert "finished" not in err
    code, out, err = gateflow("experiment", "analyse", "tiny")
    assert (code, out) == (2, "")
    assert "tiny is planned with 4 runs, and 2 are done" in err
    code, out, err = gateflow("experiment", "show", "tiny")
    assert (code, out) == (2, "")
    assert gateflow("experiment", "run", "tiny").code == 0
    code, out, err = gateflow("experiment", "analyse", "tiny", "--write", "results")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "Nothing."
    assert (registered / "results/tiny.txt").read_text().endswith(out)
    found = json.loads(gateflow("experiment", "analyse", "tiny", "--json").out)
    assert found["arms"]["gru, none"]["runs"] == 2
    assert json.loads((registered / "results/tiny.json").read_text()) == found


def test_any_experiment_is_analysed_as_exploratory(gateflow, here):
    assert "2 are the fewest" in gateflow("experiment", "analyse", "tiny").err
    gateflow("experiment", "run", "tiny")
    code, out, err = gateflow("experiment", "analyse", "tiny")
    assert (code, err) == (0, "")
    assert "Exploratory: no question was registered" in out
    gateflow("experiment", "run", "tiny", "--reduced")
    code, out, err = gateflow("experiment", "analyse", "tiny", "--reduced")
    assert (code, out) == (2, "")
    assert "1 seeds are whole, and 2 are the fewest" in err


def test_runs_that_are_made_anew_are_analysed_anew(gateflow, here, monkeypatch):
    def steps():
        arms = json.loads(gateflow("experiment", "analyse", "tiny", "--json").out)["arms"]
        return {name: arm["arrived"] for name, arm in arms.items()}

    from gateflow.training.tasks.adding import Adding

    gateflow("experiment", "run", "tiny")
    before = steps()
    shutil.rmtree(here / "runs/tiny/gru-none/seed-1")
    assert "1 seeds are whole, and 2 are the fewest" in gateflow("experiment", "analyse", "tiny").err
    shutil.rmtree(here / "runs/tiny")
    genuine = Adding.loss
    monkeypatch.setattr(Adding, "loss", lambda *args: genuine(*args) * 1e-6)
    gateflow("experiment", "run", "tiny")
    after = steps()
    assert set(after.values()) == {2}
    assert before != after


def test_a_run_with_other_settings_than_declared_is_not_analysed(gateflow, here, monkeypatch):
    from dataclasses import replace

    gateflow("experiment", "run", "tiny")
    changed = replace(TINY, base={**TINY.base, "hidden": 4})
    monkeypatch.setattr(experiments, "EXPERIMENTS", Experiments(tiny=changed))
    code, out, err = gateflow("experiment", "analyse", "tiny")
    assert (code, out) == (2, "")
    assert "hidden 3 is not what is declared" in err


def test_the_time_is_told_and_nothing_run(gateflow, here):
    code, out, err = gateflow("experiment", "run", "tiny", "--estimate")
    assert (code, err) == (0, "")
    assert "4 runs take at most" in out
    assert not (here / "runs").exists()
