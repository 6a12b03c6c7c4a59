"""Experiments: the same runs whoever makes them, resumable, and the table of what they found."""

import csv
import io
import json
import statistics

import pytest

from gateflow.errors import InvalidArgument
from gateflow.training import train
from gateflow.training.grid import experiment, named, planned
from gateflow.training.results import runs, table

BASE = {"task": "adding(horizon=5, held_out=16)", "hidden": 4, "batch": 4, "steps": 6, "evaluate_every": 2}
GATES = {"forget_gate": ["fast", "sigmoid"]}


def weights(folder):
    return {path.parent.relative_to(folder): path.read_bytes() for path in folder.glob("**/weights.safetensors")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An experiment made in one go, run by run."""
    out = tmp_path_factory.mktemp("experiment")
    done = experiment(BASE, vary=GATES, seeds=2, out=out)
    assert set(done.statuses.values()) == {"finished"}
    return out


def test_each_run_is_one_call_of_train(whole, tmp_path):
    train({**BASE, "forget_gate": "sigmoid", "seed": 1}, out=tmp_path)
    assert weights(tmp_path).popitem()[1] == (whole / "sigmoid" / "seed-1" / "weights.safetensors").read_bytes()


@pytest.mark.slow  # by default other jobs are done in processes: tests/runs, and hitting times in tests/sweeps
@pytest.mark.parametrize("gates", [["fast"], ["fast", "sigmoid"]], ids=len)
def test_processes_change_nothing(whole, tmp_path, gates):
    """One process beside this one, whose imports are most of the time, and two at once."""
    done = experiment(BASE, vary={"forget_gate": gates}, seeds=1, out=tmp_path, jobs=2)
    assert done.ended == len(gates)
    assert weights(tmp_path).items() <= weights(whole).items()
    assert len(weights(tmp_path)) == len(gates)


def test_a_cluster_changes_nothing(whole, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, protocol="tcp", host="127.0.0.1"
    ) as cluster:
        address = cluster.scheduler_address
        done = experiment(BASE, vary=GATES, seeds=2, out=tmp_path / "all", scheduler=address)
        (tmp_path / "some" / "fast" / "seed-0" / "mine").mkdir(parents=True)
        with pytest.raises(InvalidArgument, match="not the folder of a run: it holds mine"):
            experiment(BASE, vary=GATES, seeds=2, out=tmp_path / "some", scheduler=address)
    assert done.ended == 4
    assert weights(tmp_path / "all") == weights(whole)
    assert len(weights(tmp_path / "some")) == 3  # one that fails stops no other


def test_no_cluster_is_told():
    pytest.importorskip("distributed")
    with pytest.raises(InvalidArgument, match="no Dask scheduler answers at nowhere"):
        experiment(BASE, scheduler="nowhere://x")


def test_what_was_stopped_goes_on(whole, tmp_path):
    asked = iter(range(1000))
    done = experiment(BASE, vary=GATES, seeds=2, out=tmp_path, stop=lambda: next(asked) > 9)
    assert list(done.statuses.values()) == ["finished", "interrupted", "not begun", "not begun"]
    assert experiment(BASE, vary=GATES, seeds=2, out=tmp_path).ended == 4
    assert weights(tmp_path) == weights(whole)


def test_stopped_before_it_began_there_is_nothing(tmp_path):
    done = experiment(BASE, out=tmp_path, stop=lambda: True)
    assert (done.begun, done.ended) == (False, 0)


@pytest.mark.slow
def test_processes_that_are_stopped_leave_runs_that_go_on(tmp_path):
    long = {**BASE, "steps": 300, "dropout": 0.5, "layers": 2}
    begun = tmp_path / "stopped" / "seed-0" / "metrics.jsonl"
    done = experiment(long, seeds=2, out=tmp_path / "stopped", jobs=2, stop=begun.exists)
    assert "interrupted" in done.statuses.values()
    assert experiment(long, seeds=2, out=tmp_path / "stopped", jobs=2).ended == 2
    experiment(long, seeds=2, out=tmp_path / "whole")
    assert weights(tmp_path / "stopped") == weights(tmp_path / "whole")


def test_it_grows(whole, tmp_path):
    experiment(BASE, vary={"forget_gate": ["sigmoid"]}, seeds=1, out=tmp_path)
    experiment(BASE, vary=GATES, seeds=2, out=tmp_path)
    assert weights(tmp_path) == weights(whole)


def test_folders_are_named_after_what_is_varied():
    found = planned(BASE, {"forget_gate": ["fast(alpha=2)", "sigmoid(z**3)"], "lr": [1e-3, 0.1]}, 1)
    names = [path.as_posix() for path in found]
    assert names[:2] == ["fast(alpha=2),lr=0.001/seed-0", "fast(alpha=2),lr=0.1/seed-0"]
    assert all(set("*/") & set(name.partition("/")[0]) == set() for name in names)
    assert len(set(names)) == 4
    assert list(planned({**BASE, "seed": 7}, {}, 2))[1].as_posix() == "seed-8"
    methods = planned({**BASE, "layers": 2}, {"method": ["lstm", "power-law"]}, 1)
    assert [path.as_posix() for path in methods] == ["lstm/seed-0", "power-law/seed-0"]
    assert [each.optimizer for each in methods.values()] == ["adam", "sgd"]
    first, second = found.values().__iter__().__next__(), planned(BASE, {}, 1).popitem()[1]
    assert named(first) == named(first) != named(second)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"vary": {"forget_gate": ["fast", "fast"]}}, "two runs would have the folder"),
        ({"vary": {"forgt_gate": ["fast"]}}, "unknown setting to vary 'forgt_gate'; did you mean 'forget_gate'?"),
        ({"vary": {"seed": [1, 2]}}, "the seed is no setting to vary"),
        ({"vary": {"method": ["lstm", "lstn"]}}, "unknown method 'lstn'; did you mean 'lstm'?"),
        ({"vary": {"lr": ["x"]}}, "lr takes a number"),
        ({"seeds": 0}, "seeds must be a whole number of at least 1"),
        ({"jobs": -1}, "jobs must be a whole number"),
        ({"jobs": 2, "scheduler": "tcp://x"}, "jobs or a scheduler, not both"),
    ],
)
def test_what_is_wrong_is_said(given, said, tmp_path):
    with pytest.raises(InvalidArgument, match=said):
        experiment(BASE, **{"out": tmp_path, **given})


def test_the_table_is_mean_spread_and_number(whole):
    found = table(whole)
    tested = {}
    for path in whole.glob("**/result.json"):
        tested.setdefault(path.parent.parent.name, []).append(json.loads(path.read_text())["test"]["loss"])
    rows = {row["forget_gate"]: row for row in found.records()}
    for gate, losses in tested.items():
        assert rows[gate]["n"] == rows[gate]["runs"] == 2
        assert rows[gate]["loss"] == pytest.approx(statistics.fmean(losses))
        assert rows[gate]["loss sd"] == pytest.approx(statistics.stdev(losses))
    assert [row["loss"] for row in found.records()] == sorted(row["loss"] for row in rows.values())
    (first, second) = csv.DictReader(io.StringIO(found.csv()))
    assert float(first["loss"]) == found.records()[0]["loss"]
    assert second["n"] == "2"


def test_a_run_under_way_is_counted_apart(whole, tmp_path):
    asked = iter(range(1000))
    experiment(BASE, vary=GATES, seeds=2, out=tmp_path, stop=lambda: next(asked) > 9)
    (row, *others) = table(tmp_path).records()
    assert (row["n"], row["runs"]) == (1, 2)
    assert others == []
    assert row["loss sd"] != row["loss sd"]


def test_curves_are_what_was_recorded(whole):
    run = runs(whole)[0]
    assert [step for step, _ in run.curve("loss")] == [0, 2, 4, 6]
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert [y for _, y in run.curve("loss")] == [line["loss"] for line in lines if line["kind"] == "valid"]


def test_where_there_is_nothing_it_is_told(tmp_path):
    with pytest.raises(InvalidArgument, match="there is no run in"):
        table(tmp_path)
    with pytest.raises(InvalidArgument, match="there is no folder"):
        table(tmp_path / "none")


def test_what_is_judged_differently_is_not_compared(whole, tmp_path):
    train("digits", out=tmp_path / "digits", steps=1, hidden=4)
    train(BASE, out=tmp_path / "adding")
    with pytest.raises(InvalidArgument, match="is judged by"):
        table(tmp_path)
