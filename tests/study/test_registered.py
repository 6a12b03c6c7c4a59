"""Registered experiments: nothing is told before the end, rules as in the protocol, damage and kills are met."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gateflow import order, record
from gateflow.cli import main
from gateflow.errors import InvalidArgument
from gateflow.gates.gate import gate
from gateflow.guards.calls import name_and_options
from gateflow.nn.inits.matched import rescale
from gateflow.study import analysis
from gateflow.study import bridge as bridges
from gateflow.study.analysis import analyse, to_json
from gateflow.study.experiment import Experiment, Question, carry_out
from gateflow.study.experiments import EXPERIMENTS
from gateflow.study.own import design, own
from gateflow.study.paired import power, power_of_equivalence
from gateflow.study.stored import StoredRun, count, file_of, keep, kept
from gateflow.study.stored import runs as runs_stored
from gateflow.training.settings import Settings

SLOPES, TUNING, RATES = (EXPERIMENTS[name] for name in ("study-slopes", "study-tuning", "study-rates"))
START = 0.9
"""f of every unit of the bridge at the start."""

FIRST_SEEDS = {"study-slopes": 611_000, "study-tuning": 622_000, "study-rates": 623_000}


def write_runs(plan: Experiment, results: Path, name: str, steps, loss: float = 0.0) -> None:
    """Stored runs that arrive at ``steps(arm, seed)``, or never where that is None."""
    for arm in plan.arms:
        settings = Settings.of({**plan.settings(arm), "seed": 0}).as_dict()
        lines = []
        for seed in range(plan.first, plan.first + plan.seeds):
            at = list(range(0, settings["steps"] + 1, max(1, settings["steps"] // 120)))
            there = steps(arm, seed)
            curve = [loss if there is not None and step >= there else 1.0 for step in at]
            path = [0.5 if there is None or step < 2 * there else 1.0 for step in at] if plan.predicted else []
            run = StoredRun(arm, seed, "finished", "abc", {**settings, "seed": seed}, 1.0, at, curve, path, {})
            lines.append(json.dumps(vars(run)))
        path = file_of(results, name, arm)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")


def made_up(factors: dict[str, float], spread: float = 0.6, base: float = 1500):
    """Steps with a spread over seeds that each arm has for itself, times the factor of the first word of its name."""

    def steps(arm: str, seed: int) -> float:
        noise = np.random.default_rng([seed, *arm.encode()]).normal(0, spread / math.sqrt(2))
        wanted = next(factor for name, factor in factors.items() if arm.startswith(name))
        return base * wanted * math.exp(noise)

    return steps


# --- the plans -------------------------------------------------------------------------------------------------------


def test_the_planned_numbers_are_those_of_the_protocol():
    page = (Path(__file__).parents[2] / "docs/study/protocol.md").read_text(encoding="utf-8")
    for name, runs in {
        "study-slopes": 240,
        "study-tuning": 180,
        "study-rates": 18 * 40,  # of which 120 are chosen
        "study-start": 40,
        "study-bridge": 1080,
    }.items():
        plan = EXPERIMENTS[name]
        assert len(list(plan.runs())) == runs
        assert f"{plan.first} to {plan.first + plan.seeds - 1}" in page
        assert plan.registered
    assert "120 runs" in page


def test_decays_of_a_linear_recurrence_are_planned_as_their_protocol_says():
    page = (Path(__file__).parents[2] / "docs/study/decays.md").read_text(encoding="utf-8")
    for name, runs in {"decays-slopes": 120, "decays-tuning": 108, "decays-rates": 18 * 40}.items():
        plan = EXPERIMENTS[name]
        assert len(list(plan.runs())) == runs
        assert f"{plan.first} to {plan.first + plan.seeds - 1}" in page
        assert plan.registered
        assert plan.base == {**EXPERIMENTS["decays-slopes"].base}
        for question in plan.questions:
            one, other = question.name.split(" against ")
            assert ((one,), (other,), "order") == (question.first, question.second, question.role)
            assert order(one, other).verdict == "higher"
    seen = [f"{power(40, spread, math.log(1.5), 0.05 / 3):.2f}"[1:] for spread in (0.5, 0.65, 0.8)]
    assert f"with probability {seen[0]}, {seen[1]} or {seen[2]}" in " ".join(page.split())


@pytest.mark.parametrize(
    ("factors", "said", "own"),
    [
        ({"fast": 0.4, "sigmoid": 1, "softsign": 2}, "in the order of saturation", "the order stands, against T8"),
        ({"fast": 2, "sigmoid": 1, "softsign": 0.5}, "against the order of sat", "the order is reversed, as T8 says"),
        ({"": 1}, "The gates are equivalent within a factor of 1.5.", "the gates are equivalent within a factor of 1"),
    ],
)
@pytest.mark.sampled(3)
def test_decays_of_a_linear_recurrence_conclude_what_made_up_runs_show(tmp_path, factors, said, own):
    slopes, tuning, rates = (EXPERIMENTS[f"decays-{name}"] for name in ("slopes", "tuning", "rates"))
    write_runs(slopes, tmp_path, "decays-slopes", made_up(factors, 0.5, base=600))
    assert said in analyse("decays-slopes", slopes, tmp_path).conclusions[-1]
    write_runs(tuning, tmp_path, "decays-tuning", made_up({"": 1}, base=600))
    write_runs(rates.chosen(tmp_path), tmp_path, "decays-rates", made_up(factors, 0.5, base=600))
    assert own in analyse("decays-rates", rates, tmp_path).conclusions[-1]


def test_levels_and_power_are_those_of_the_protocol():
    page = " ".join((Path(__file__).parents[2] / "docs/study/protocol.md").read_text(encoding="utf-8").split())
    assert (0.05, math.log(1.5), 0.8) == (analysis.ALPHA, analysis.MARGIN, analysis.ENOUGH)
    assert "The level is .05." in page
    assert "at least 80 % of the runs" in page
    seen = [f"{power(40, spread, math.log(1.5), 0.05 / 3):.2f}"[1:] for spread in (0.5, 0.65, 0.8)]
    assert f"with probability {seen[0]}, {seen[1]} or {seen[2]}, for a spread" in page
    alike = [power_of_equivalence(40, spread, math.log(1.5)) for spread in (0.5, 0.65, 0.8)]
    assert f"with {alike[0]:.3f}, {alike[1]:.2f} or {alike[2]:.2f}".replace(" 0.", " .") in page
    twice = [power(10, spread, math.log(2), 0.05 / 3) for spread in (0.5, 0.65, 0.8)]
    assert "seen with {:.2f}, {:.2f} or {:.2f}".format(*twice).replace(" 0.", " .") in page
    assert power(10, 0.8, math.log(3), 0.05 / 3) > 0.88


def test_no_seed_is_used_twice():
    used = [set(range(p.first, p.first + p.seeds_of(False))) for p in EXPERIMENTS.values() if p.registered]
    assert len(set.union(*used)) == sum(map(len, used))
    assert min(set.union(*used)) > 10_000


def test_arms_of_part_a_start_alike():
    for slope in (1, 3.11):
        made = [rescale(name, f=0.95, slope=slope) for name in ("softsign", "sigmoid", "fast")]
        assert all(each.du(each.inverse(0.95)) == pytest.approx(slope, rel=1e-14) for each in made)


def test_the_steep_sigmoid_has_the_slope_of_fast_at_the_papers_start():
    steep = gate(str(EXPERIMENTS["study-start"].arms["steep sigmoid"]["forget_gate"]))
    fast = gate("fast")
    f = 1 / (1 + math.exp(-1))
    assert steep.du(0.3) == pytest.approx(fast.du(fast.inverse(f)), rel=1e-14)


@pytest.mark.parametrize("arm", ["rung 1, fast, T=10, lr=0.01", "rung 3, sigmoid, T=30, lr=0.01"])
def test_what_the_bridge_predicts_is_computed(arm):
    plan = EXPERIMENTS["study-bridge"]
    assert steps_predicted(plan, arm) == plan.predicted[arm]


def steps_predicted(plan: Experiment, arm: str, factor: float = 1, rung: int | None = None) -> int:
    """Steps by theory of an arm, its rate times a factor, as of its rung or another."""
    settings = plan.settings(arm)
    made = rescale(settings["forget_gate"], f=START, slope=1)
    rung = plan.told[arm]["rung"] if rung is None else rung
    return bridges.predicted(
        made, START, name_and_options(settings["task"])[1]["horizon"], factor * settings["lr"], rung
    )


@pytest.mark.slow
def test_all_that_the_bridge_predicts_is_computed():
    plan = EXPERIMENTS["study-bridge"]
    for arm in plan.arms:
        if plan.told[arm]["rung"] in (1, 3):
            assert steps_predicted(plan, arm) == plan.predicted[arm]
    for arm, steps in plan.otherwise["one lag"].items():
        assert steps_predicted(plan, arm, rung=1) == steps
    for arm, steps in plan.otherwise["two biases"].items():
        assert steps_predicted(plan, arm, 2) == steps


def test_a_run_of_the_bridge_is_given_four_times_the_steps_predicted_and_looked_at_fifty_times_in_these():
    plan = EXPERIMENTS["study-bridge"]
    for arm, steps in plan.predicted.items():
        settings = plan.settings(arm)
        assert (settings["steps"], settings["evaluate_every"]) == (4 * steps, max(1, steps // 50))


# --- nothing before the end ------------------------------------------------------------------------------------------


def test_outcomes_are_refused_before_the_planned_number(tmp_path):
    write_runs(SLOPES, tmp_path, "study-slopes", made_up({"": 1}))
    path = file_of(tmp_path, "study-slopes", "fast, slope 1")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(InvalidArgument, match="planned with 240 runs, and 239 are done") as told:
        analyse("study-slopes", SLOPES, tmp_path)
    assert "\n" not in str(told.value)
    with pytest.raises(InvalidArgument, match="may not be cut short"):
        analyse("study-slopes", SLOPES, tmp_path, cut=True)
    assert count(SLOPES, tmp_path, "study-slopes") == (239, 240)


def test_the_arms_of_part_b_wait_for_the_tuning(tmp_path):
    with pytest.raises(InvalidArgument, match="study-tuning is planned with 180 runs, and 0 are done"):
        RATES.chosen(tmp_path)
    best = {"fast, x0.333": 0.5, "sigmoid, x9": 0.5, "softsign, x27": 0.5, "": 1}
    write_runs(TUNING, tmp_path, "study-tuning", made_up(best, 0.1))
    assert set(RATES.chosen(tmp_path).arms) == {"fast, x0.333", "sigmoid, x9", "softsign, x27"}


def test_what_may_be_cut_short_takes_whole_seeds(tmp_path):
    plan = EXPERIMENTS["study-start"]
    write_runs(plan, tmp_path, "study-start", made_up({"": 1}, base=3000))
    path = file_of(tmp_path, "study-start", "fast")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:6]))
    with pytest.raises(InvalidArgument, match="36 are done"):
        analyse("study-start", plan, tmp_path)
    found = analyse("study-start", plan, tmp_path, cut=True)
    assert (found.seeds, found.cut) == (6, True)
    assert "cut short, at 6 seeds" in found.conclusions[-1]
    path.write_text("".join(lines[:4]))
    with pytest.raises(InvalidArgument, match="4 seeds are whole, and 5 are the fewest"):
        analyse("study-start", plan, tmp_path, cut=True)


# --- rules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        (
            {"fast": 0.5, "sigmoid": 1, "softsign": 2},
            "Order matters under equal conditions, in the order of saturation.",
        ),
        ({"fast": 2, "sigmoid": 1, "softsign": 0.5}, "Order matters under equal conditions, against the order of sat"),
        (
            {"fast": 1, "sigmoid": 2.5, "softsign": 0.4},
            "Order matters under equal conditions, and the pairs point both",
        ),
        ({"": 1}, "The gates are equivalent within a factor of 1.5."),
    ],
)
@pytest.mark.sampled(5)
def test_part_a_concludes_what_made_up_runs_show(tmp_path, factors, said):
    write_runs(SLOPES, tmp_path, "study-slopes", made_up(factors, 0.5))
    assert analyse("study-slopes", SLOPES, tmp_path).conclusions[-1].startswith(said)


def test_slope_explains_it_where_the_gates_are_alike_and_the_slope_is_not(tmp_path):
    alike = made_up({"": 1}, 0.5)
    write_runs(SLOPES, tmp_path, "study-slopes", lambda arm, seed: alike(arm, seed) * (2 if "3.11" in arm else 1))
    found = analyse("study-slopes", SLOPES, tmp_path)
    assert found.conclusions[-1].startswith("Slope explains it")
    answer = found.answer("slope 3.11 against 1")
    assert answer.low < 2 < answer.high
    assert answer.corrected == pytest.approx(3 * answer.p)


def test_runs_that_do_not_arrive_are_never_called_equivalent(tmp_path):
    write_runs(SLOPES, tmp_path, "study-slopes", lambda arm, seed: None if seed % 2 else 1500)
    found = analyse("study-slopes", SLOPES, tmp_path)
    assert found.answer("fast against sigmoid").p_equivalent == 0.0
    assert found.conclusions[-1] == "Whether order matters under equal conditions is not decided."
    assert found.survivals["fast, slope 1"].share == [0.5]


def test_part_b_concludes_for_and_against_t8(tmp_path):
    write_runs(TUNING, tmp_path, "study-tuning", made_up({"": 1}))
    for factors, said in (
        ({"fast": 2, "sigmoid": 1, "softsign": 0.5}, "the order is reversed, as T8 says"),
        ({"fast": 0.5, "sigmoid": 1, "softsign": 2}, "the order stands, against T8"),
    ):
        write_runs(RATES.chosen(tmp_path), tmp_path, "study-rates", made_up(factors, 0.5))
        assert said in analyse("study-rates", RATES, tmp_path).conclusions[-1]


def test_a_forget_gate_that_never_was_where_the_prediction_ends_has_no_way_there(tmp_path):
    """One run of a rung ends before: the last evaluation is no arrival."""
    plan = replace(EXPERIMENTS["study-bridge"], seeds=2)
    write_runs(plan, tmp_path, "study-bridge", lambda arm, seed: plan.predicted[arm])
    arm = next(arm for arm in plan.arms if plan.told[arm]["rung"] == 4)
    path = file_of(tmp_path, "study-bridge", arm)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["forget"] = [0.5] * len(lines[0]["forget"])
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = analyse("study-bridge", plan, tmp_path).rungs
    assert found[3].path is None
    assert found[3].came == pytest.approx(35 / 36)
    assert found[2].came == 1
    assert found[2].path is not None


def test_the_bridge_names_the_first_rung_that_theory_does_not_predict(tmp_path):
    plan = EXPERIMENTS["study-bridge"]
    told = {arm: (plan.told[arm]["rung"], plan.predicted[arm]) for arm in plan.arms}

    def steps(arm, seed):
        rung, wanted = told[arm]
        return 30 * wanted**0.5 if rung >= 5 else wanted

    write_runs(replace(plan, seeds=2), tmp_path, "study-bridge", steps)
    found = analyse("study-bridge", replace(plan, seeds=2), tmp_path)
    assert [rung.holds for rung in found.rungs] == [True] * 4 + [False] * 2
    assert found.conclusions[-1].startswith("Theory stops at rung 5, which gives up that the constant c stays")
    assert found.rungs[4].slope.slope == pytest.approx(0.5, abs=0.1)
    assert found.rungs[0].slope.slope == pytest.approx(1, abs=0.02)
    # the made-up gates are where the prediction ends at twice the steps
    assert found.rungs[0].path.slope == pytest.approx(1, abs=0.02)
    assert found.rungs[0].path.offset == pytest.approx(math.log(2), abs=0.05)
    assert found.rungs[0].came == 1
    assert [set(rung.otherwise) for rung in found.rungs] == [set()] * 2 + [{"one lag"}] * 3 + [
        {"one lag", "two biases"}
    ]
    assert found.rungs[2].otherwise["one lag"].offset < -0.5  # one lag takes longer than lags up to it


def test_rules_hold_for_a_gate_of_ones_own(tmp_path):
    own = design({"own": "sigmoid(z+z**3)", "sigmoid": "sigmoid"}, {"order": [("own", "sigmoid")]}, first=7)
    own = replace(own, seeds=12)
    write_runs(own, tmp_path, "own", made_up({"own": 0.4, "": 1}, 0.4))
    found = analyse("own", own, tmp_path)
    assert found.conclusions[0].startswith("own arrives sooner than sigmoid: 0.")
    assert json.loads(json.dumps(to_json(found)))["questions"][0]["differs"] is True


def test_a_gate_of_ones_own_is_paired_by_its_order():
    plan = own("sigmoid(z+z**3)", seeds=3, steps=7)
    assert [(each.name, each.tested) for each in plan.questions] == [
        ("sigmoid(z+z**3) against sigmoid", True),
        ("fast against sigmoid(z+z**3)", True),
        ("slope 3.11 against 1", True),
    ]
    assert (len(list(plan.runs())), plan.base["steps"]) == (6 * 3, 7)
    assert not {plan.first} & set(FIRST_SEEDS.values())
    assert [each.name for each in own("sigmoid").questions] == ["fast against sigmoid", "slope 3.11 against 1"]
    with pytest.raises(InvalidArgument, match=r"was not found; is phi onto \(0, 1\)"):
        own("1/2+erf(z)/4")


# --- stored runs -----------------------------------------------------------------------------------------------------

SMALL = Experiment(
    base={
        "task": "copying(horizon=5, symbols=1, held_out=16)",
        "hidden": 4,
        "batch": 4,
        "steps": 40,
        "evaluate_every": 10,
        "device": "cpu",
    },
    arms={name: {"forget_gate": name, "init": "matched(f=0.9, slope=1)"} for name in ("fast", "softsign")},
    seeds=2,
    first=50,
    consecutive=2,
    questions=(Question("fast against softsign", ("fast",), ("softsign",)),),
)

WORK = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_registered import SMALL
import gateflow.training.loop as module
step = module.Trainer.descend
def slow(self):
    time.sleep(0.01)
    return step(self)
module.Trainer.descend = slow
from gateflow.study.experiment import carry_out
from gateflow.study.stored import keep
out = Path(sys.argv[1])
carry_out(SMALL, out / "runs", keep=lambda *run: keep(out / "results", "small", *run))
"""


def carried_out(folder: Path) -> dict[str, bytes]:
    """The stored files after the plan has been carried out, from wherever it was."""
    carry_out(SMALL, folder / "runs", keep=lambda *run: keep(folder / "results", "small", *run))
    return {path.name: path.read_bytes() for path in (folder / "results/small").glob("*.jsonl")}


def started(folder: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", WORK, str(folder), str(Path(__file__).parent)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return carried_out(tmp_path_factory.mktemp("whole"))


@pytest.mark.slow
def test_a_killed_experiment_ends_in_the_same_files(tmp_path, whole):
    process = started(tmp_path)
    third = tmp_path / "runs/fast/seed-51/metrics.jsonl"
    while not (third.exists() and third.read_bytes().count(b"\n") > 2):
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert count(SMALL, tmp_path / "results", "small") == (2, 4)
    assert carried_out(tmp_path) == whole


@pytest.mark.slow
def test_two_processes_on_one_experiment_store_each_run_once(tmp_path, whole):
    processes = [started(tmp_path) for _ in range(2)]
    assert [process.wait(120) for process in processes] == [0, 0]
    assert carried_out(tmp_path) == whole
    assert all(len(text.splitlines()) == 2 for text in whole.values())


def test_a_stored_line_that_was_lost_or_damaged_is_stored_again_without_training(tmp_path, whole, monkeypatch):
    assert carried_out(tmp_path) == whole
    path = tmp_path / "results/small/fast.jsonl"
    first, second = path.read_text().splitlines(keepends=True)
    path.write_text(first[:-9] + "\n" + second)
    with pytest.raises(InvalidArgument, match="line 1: no run; remove the line"):
        carried_out(tmp_path)
    path.write_text(second)
    monkeypatch.setattr("gateflow.training.loop.Trainer.descend", None)
    monkeypatch.setattr(record, "source", lambda: "f" * 40)
    assert carried_out(tmp_path) == whole


def test_a_stored_run_is_small_and_says_what_made_it(whole):
    line = json.loads(whole["fast.jsonl"].splitlines()[0])
    assert line["at"] == [0, 10, 20, 30, 40]
    assert len(line["loss"]) == len(line["forget"]) == 5
    assert line["forget"][0] == pytest.approx(0.9, abs=0.03)
    assert line["chance"] == pytest.approx(math.log(8) / 7, rel=1e-4)
    assert line["settings"]["seed"] == 50
    assert line["commit"] == record.source()
    assert line["versions"] == record.versions(("numpy", "torch"))


ONE = Experiment(base={**SMALL.base, "steps": 60}, arms={"fast": SMALL.arms["fast"]}, seeds=1, first=50)


def made_by(monkeypatch, commit: str, numpy: str) -> None:
    monkeypatch.setattr(record, "source", lambda: commit)
    monkeypatch.setattr(record, "versions", lambda packages=(): {"python": "3", "numpy": numpy})


def told_of(tmp_path) -> dict:
    (line,) = file_of(tmp_path / "results", "one", "fast").read_text().splitlines()
    return json.loads(line)


@pytest.fixture(scope="module")
def one_run(tmp_path_factory):
    """The folder of a run of it, for tests that change nothing there."""
    folder = tmp_path_factory.mktemp("one")
    carry_out(ONE, folder)
    return folder


def store(tmp_path) -> None:
    keep(tmp_path / "results", "one", "fast", 50, tmp_path / "fast/seed-50")


def test_a_run_that_is_stored_later_names_the_code_that_made_it(tmp_path, monkeypatch):
    made_by(monkeypatch, "a" * 40 + "+", "1")
    carry_out(ONE, tmp_path)
    made_by(monkeypatch, "b" * 40, "2")
    carry_out(ONE, tmp_path)
    for _ in range(2):
        store(tmp_path)
        told = told_of(tmp_path)
        assert (told["commit"], told["versions"]) == ("a" * 40 + "+", {"python": "3", "numpy": "1"})
        file_of(tmp_path / "results", "one", "fast").unlink()


def test_a_run_that_goes_on_with_other_code_names_both(tmp_path, monkeypatch):
    looks = iter(range(10**6))
    for commit, numpy, most in (("a" * 40, "1", 20), ("b" * 40, "1", 50), ("b" * 40, "1", math.inf)):
        made_by(monkeypatch, commit, numpy)
        carry_out(ONE, tmp_path, stop=lambda most=most: next(looks) >= most)
    store(tmp_path)
    told = told_of(tmp_path)
    assert (told["status"], told["commit"]) == ("finished", "a" * 40 + "; " + "b" * 40)
    assert told["versions"] == {"python": "3", "numpy": "1"}


def test_of_a_run_of_older_versions_the_code_is_not_known(tmp_path, monkeypatch):
    sources = tmp_path / "fast/seed-50/sources.json"
    looks = iter(range(10**6))
    carry_out(ONE, tmp_path, stop=lambda: next(looks) >= 20)
    sources.unlink()
    made_by(monkeypatch, "b" * 40, "2")
    carry_out(ONE, tmp_path)
    store(tmp_path)
    before = told_of(tmp_path)
    assert (before["commit"], before["versions"]["numpy"]) == ("not known; " + "b" * 40, "not known; 2")
    sources.unlink()
    store(tmp_path)
    assert told_of(tmp_path) == before  # a line that is stored stays as it is
    file_of(tmp_path / "results", "one", "fast").unlink()
    store(tmp_path)
    assert (told_of(tmp_path)["commit"], told_of(tmp_path)["versions"]) == ("not known", {})
    assert kept(ONE, tmp_path / "results", "one")["fast"][50].commit == "not known"


@pytest.mark.parametrize("text", ["", "[1]", "null", '[{"commit": 3, "versions": {}}]', '[{"commit": "a"}]'])
@pytest.mark.sampled(2)
def test_damaged_sources_are_one_line(tmp_path, one_run, text):
    shutil.copytree(one_run, tmp_path, dirs_exist_ok=True)
    (tmp_path / "fast/seed-50/sources.json").write_text(text)
    with pytest.raises(InvalidArgument, match=r"^[^\n]*sources\.json is damaged; remove it[^\n]*$"):
        store(tmp_path)


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_the_source_is_that_of_the_first_look_and_tells_changes(tmp_path, monkeypatch):
    def git(*words: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def look() -> str:
        record.source.cache_clear()
        return record.source()

    package = tmp_path / "gateflow"
    package.mkdir()
    (package / "record.py").write_text("1")
    monkeypatch.setattr(record, "__file__", str(package / "record.py"))
    try:
        assert look() == ""
        git("init", "-q")
        git("add", ".")
        git("commit", "-qm", "one")
        first = git("rev-parse", "HEAD")
        assert look() == first
        git("commit", "-qm", "two", "--allow-empty")
        assert record.source() == first
        assert look() == git("rev-parse", "HEAD") != first
        (tmp_path / "notes").write_text("beside the package")
        assert not look().endswith("+")
        (package / "new.py").write_text("2")
        assert look() == git("rev-parse", "HEAD") + "+"
    finally:
        record.source.cache_clear()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"loss": [', '"loss": ["x", ', "line 1: no run; remove the line"),
        ('"seed": 50', '"seed": 5', "line 1: arm 'fast', seed 5 is not what small declares"),
        ('"hidden": 4', '"hidden": 5', "line 1: hidden 5 is not what small declares"),
        ("{", "", "line 1: no run"),
    ],
)
def test_damage_is_told_with_its_line(tmp_path, whole, old, new, said):
    for name, data in whole.items():
        (tmp_path / "small").mkdir(exist_ok=True)
        (tmp_path / "small" / name).write_bytes(data)
    path = tmp_path / "small/fast.jsonl"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InvalidArgument, match=r"^[^\n]*$") as told:
        analyse("small", SMALL, tmp_path)
    assert said in str(told.value)


def test_a_run_whose_loss_is_no_number_counts_as_not_arrived(tmp_path, monkeypatch):
    import torch

    from gateflow.training.tasks.copying import Copying

    def lost(self, answers, batch):
        return (answers * math.nan).sum() if self.horizon == 5 and answers.requires_grad else torch.tensor(2.0)

    monkeypatch.setattr(Copying, "loss", lost)
    statuses = carry_out(SMALL, tmp_path / "runs", keep=lambda *run: keep(tmp_path / "results", "small", *run))
    assert set(statuses.values()) == {"not finite"}
    found = analyse("small", SMALL, tmp_path / "results")
    assert found.not_finite == 4
    assert {(run.step, run.arrived) for runs in found.arrivals.values() for run in runs} == {(40, False)}
    assert kept(SMALL, tmp_path / "results", "small")["fast"][50].status == "not finite"


def test_stored_runs_outlive_their_folders(tmp_path):
    def store(*run):
        keep(tmp_path / "results", "small", *run)

    first = next(iter(SMALL.runs()))
    carry_out(SMALL, tmp_path / "runs", only=first[0], seeds=1, keep=store)
    there = runs_stored(SMALL, tmp_path / "results", "small")
    assert there == {first}
    statuses = carry_out(SMALL, tmp_path / "others", keep=store, stored=there)
    assert sorted(statuses.values()) == ["finished", "finished", "finished", "stored"]
    assert runs_stored(SMALL, tmp_path / "results", "small") == set(SMALL.runs())


def test_two_evaluations_in_a_row_make_an_arrival():
    def arrival(losses, status="finished", consecutive=2):
        at = [50 * k for k in range(len(losses))]
        return StoredRun("", 0, status, "", {"steps": 6000}, 1.0, at, losses, [], {}).arrival(0.95, consecutive)

    assert vars(arrival([1, 0.9, 0.96, 0.9, 0.94, 1])) == {"step": 150, "arrived": True}
    assert vars(arrival([1, 0.9, 1, 0.9])) == {"step": 6000, "arrived": False}
    assert vars(arrival([1, 0.9, 1, 0.9], "solved")) == {"step": 150, "arrived": True}
    assert vars(arrival([1, math.nan, math.nan], "not finite")) == {"step": 6000, "arrived": False}
    assert not arrival([1, 0.95, 0.95]).arrived


# --- the bridge ------------------------------------------------------------------------------------------------------


def test_the_wired_network_answers_as_computed_and_learns_what_its_rung_says(tmp_path):
    import torch

    from gateflow.training.folder import RunMemory
    from gateflow.training.loop import Trainer, settle

    plan = EXPERIMENTS["study-bridge"]
    arm = next(arm for arm in plan.arms if arm.startswith("rung 3, fast, T=30"))
    made, task = settle({**plan.settings(arm), "seed": 1}, {})
    batch = task.batch("valid", 0, 64, 1)
    counts = {}
    for rung in (3, 4, 5, 6):
        torch.manual_seed(1)
        trainer = Trainer(made, task, RunMemory(), math.inf)
        bridges._wire(trainer, rung)
        before = {name: each.detach().clone() for name, each in trainer.network.named_parameters()}
        if rung == 3:
            answers = trainer.network(batch.inputs)[0][:, 0].detach()
            lag = 30 - batch.inputs[:, :, 0].abs().argmax(1)
            torch.testing.assert_close(answers, 0.9**lag * batch.targets[:, 0], rtol=0.05, atol=2e-3)
        trainer.descend()
        moved = {name: int((each != before[name]).sum()) for name, each in trainer.network.named_parameters()}
        counts[rung] = {name: number for name, number in moved.items() if number}
    assert counts[3] == {"cell.bias_ih_l0": 8}
    # nothing is held when the number enters, and nothing enters later: W_f has no gradient here
    assert set(counts[4]) == {"cell.bias_ih_l0", "cell.weight_hh_l0"}
    assert counts[5]["cell.bias_ih_l0"] == 16
    assert {"readout.weight", "readout.bias"} <= set(counts[5])
    assert len(counts[6]) == 6


def steps_by_hand(name: str, horizon: int, lr: float) -> int:
    """Steps of RMSprop of PyTorch on E|s| (1 - f^T), from f = .9 and du/dz = 1, until a quarter of E|s| is left."""
    import torch

    u = math.log(9)
    profile, x, slope = {
        "sigmoid": (lambda z: z, u, 1.0),
        "fast": (torch.sinh, math.asinh(u), math.cosh(math.asinh(u))),
        "softsign": (lambda z: torch.log1p(2 * z), 4.0, 2 / 9),
    }[name]
    z = torch.nn.Parameter(torch.tensor(x * slope, dtype=torch.float64))
    optimizer = torch.optim.RMSprop([z], lr=lr)
    for step in range(5000):
        loss = math.sqrt(2 / math.pi) * (1 - torch.sigmoid(profile(z / slope)) ** horizon)
        if loss < 0.25 * math.sqrt(2 / math.pi):
            return step
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    raise AssertionError("it does not get there")


@pytest.mark.parametrize(
    ("name", "horizon", "lr"),
    [("sigmoid", 10, 0.01), ("sigmoid", 100, 0.003), ("fast", 10, 0.01), ("fast", 100, 0.003), ("softsign", 10, 0.01)],
)
@pytest.mark.sampled(3)
def test_the_exact_unit_arrives_as_a_loop_by_hand_does_within_one_evaluation(tmp_path, name, horizon, lr):
    plan = EXPERIMENTS["study-bridge"]
    arm = f"rung 1, {name}, T={horizon}, lr={lr}"
    by_hand = steps_by_hand(name, horizon, lr)
    assert plan.predicted[arm] == by_hand
    settings = {**plan.settings(arm), "seed": 1}
    bridges.bridge(settings, rung=1, out=tmp_path / "a")
    keep(tmp_path, "study-bridge", arm, 1, tmp_path / "a")
    run = kept(replace(plan, first=1, seeds=1), tmp_path, "study-bridge")[arm][1].arrival(0.25, 2)
    assert run.arrived
    assert by_hand <= run.step < by_hand + settings["evaluate_every"]


@pytest.mark.parametrize("rung", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_rung_is_made_and_made_again_is_the_same(tmp_path, rung):
    plan = EXPERIMENTS["study-bridge"]
    arm = f"rung {rung}, fast, T=10, lr=0.01"
    settings = {**plan.settings(arm), "seed": 1}
    first = bridges.bridge(settings, rung=rung, out=tmp_path / "a")
    again = bridges.bridge(settings, rung=rung, out=tmp_path / "a")
    assert first.status == again.status == "solved"
    keep(tmp_path, "study-bridge", arm, 1, tmp_path / "a")
    run = kept(replace(plan, first=1, seeds=1), tmp_path, "study-bridge")[arm][1]
    if rung > 1:  # the exact unit is held to more above
        assert run.arrival(0.25, 2).step == pytest.approx(plan.predicted[arm], rel=0.25)


# --- what the pages say ---------------------------------------------------------------------------------------------


def test_pages_tell_how_many_runs_are_stored():
    root = Path(__file__).parents[2]
    pages = {
        page: " ".join((root / page).read_text(encoding="utf-8").split()) for page in ("README.md", "docs/study.md")
    }
    for which, planned, where in (("study", "1,660", list(pages)), ("decays", "348", ["docs/study.md"])):
        stored = (root / "results/study").glob(f"{which}-*/*.jsonl")
        done = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in stored)
        for page in where:
            assert f"{done:,} of {planned} runs are done" in pages[page], page


def test_all_commits_that_stored_runs_name_are_told_of():
    root = Path(__file__).parents[2]
    lines = [line for path in (root / "results/study").rglob("*.jsonl") for line in path.read_text().splitlines()]
    commits = {commit for line in lines for commit in json.loads(line)["commit"].split("; ")}
    page = "".join((root / name).read_text(encoding="utf-8") for name in ("docs/study.md", "docs/study/decays.md"))
    assert [commit for commit in commits if commit[:7] not in page] == []


def test_stored_runs_of_this_tree_are_as_declared():
    results = Path(__file__).parents[2] / "results/study"
    for name in ("study-slopes", "study-tuning", "study-start", "study-bridge"):
        done, planned = count(EXPERIMENTS[name], results, name)
        assert done <= planned


@pytest.mark.parametrize("name", ["study-slopes", "decays-slopes", "decays-rates"])
def test_the_page_shows_what_the_stored_runs_come_to(name, tmp_path):
    root = Path(__file__).parents[2]
    asked = ["experiment", "analyse", name, "--results", str(root / "results/study")]
    assert main([*asked, "--write", str(tmp_path)]) == 0
    kept = (root / f"results/{name}.txt").read_text(encoding="utf-8").partition("\n")[2]
    assert (tmp_path / f"{name}.txt").read_text(encoding="utf-8").partition("\n")[2] == kept
    page = (root / "docs/study.md").read_text(encoding="utf-8")
    assert f'"{kept.splitlines()[-1]}"' in page  # the registered sentence, word by word
