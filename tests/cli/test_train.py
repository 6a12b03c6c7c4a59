"""``gateflow train``, ``results`` and ``timescales``: flags and files, tables and figures, Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip("torch")

from gateflow.cli._training import asked_to_stop
from gateflow.cli.train import Flags, catalogue
from gateflow.guards.calls import listed
from gateflow.nn import CELLS, INITS
from gateflow.nn.linear import LINEAR
from gateflow.training import TASKS
from gateflow.training.methods import METHODS
from gateflow.training.settings import KINDS

TINY = ("--hidden", "4", "--batch", "4", "--steps", "6", "--evaluate-every", "3", "--held-out", "16", "--horizon", "5")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(outcome, code=0):
    assert (outcome.code, outcome.err) == (code, "")
    return json.loads(outcome.out)


def test_every_setting_is_a_flag():
    assert list(Flags.__dataclass_fields__) == [name for name in KINDS if name != "task"]


def test_flags_win_over_the_file(gateflow, here):
    (here / "run.toml").write_text(
        'task = "adding(horizon=5, held_out=16)"\nhidden = 9\nlr = 0.5\nsteps = 2\nbatch = 4'
    )
    answer = told(gateflow("train", "--config", "run.toml", "--lr", "0.25", "--horizon", "7", "--json"))
    settings = answer["settings"]
    assert (settings["hidden"], settings["lr"], settings["task"]) == (9, 0.25, "adding(horizon=7, held_out=16)")
    again = told(gateflow("train", "--config", f"{answer['folder']}/settings.toml", "--json"))
    assert again == answer


def test_a_gate_may_have_a_step_size_of_its_own(gateflow, here):
    more = ("--lr-of", "forget=3", "--init", "matched(f=0.9, slope=2)", "--json")
    answer = told(gateflow("train", "adding", *TINY, "-o", "run", *more))
    assert answer["settings"]["lr_of"] == "forget=3"
    assert 'lr_of = "forget=3"' in (here / "run/settings.toml").read_text()


def test_a_human_is_told_how_it_went(gateflow, here):
    code, out, err = gateflow("train", "adding", *TINY, "-o", "run")
    assert (code, err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["folder"] == "run"
    assert lines["status"] == "finished"
    assert lines["network"] == "lstm, forget gate fast, init chrono, 1 x 4 units"
    assert lines["test"].startswith("loss ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "TASK is missing; see 'gateflow train --list'"),
        (("addin",), "unknown task 'addin'; did you mean 'adding'?"),
        (("adding", "--hiden", "3"), "unknown option --hiden; did you mean --hidden?"),
        (("adding", "--horizn", "3"), "unknown option --horizn; did you mean --horizon?"),
        (("adding", "--lr", "x"), "--lr takes a number; got 'x'"),
        (("adding", "--lr", "-1"), "lr must be above 0"),
        (("adding", "--lr-of", "forget"), "--lr-of takes gates and factors, as in forget=3, input=0.5; got 'forget'"),
        (("adding", "--lr-of", "candidate=2"), "unknown gate in --lr-of 'candidate'; known: input, forget, output"),
        (("adding", "--init", "matched(f=0.95, slope=-1)"), "slope must be a positive number; got -1"),
        (("adding", "--forget-gate", "hard-sigmoid", "--init", "matched(f=1)"), "f must lie in (0, 1)"),
        (("adding", "--horizon", "1"), "horizon must be a whole number from 2 (one mark in each half)"),
        (("adding", "--forget-gate", "fsat"), "unknown gate 'fsat'; did you mean 'fast'?"),
        (("adding", "--init", "chrno"), "unknown initialiser 'chrno'; did you mean 'chrono'?"),
        (("adding", "--config", "none.toml"), "cannot read none.toml"),
        (("adding", "--method", "urlstm"), "did you mean 'ur-lstm'?"),
        (("adding", "--gates", "fast,fsat"), "unknown gate 'fsat'"),
        (("adding", "--vary", "lr"), "--vary takes a setting and its values"),
        (("adding", "--vary", "seed=1,2"), "the seed is no setting to vary"),
        (("adding", "--vary", "lr=1,2", "--lr", "1"), "lr is varied, and given by --lr as well"),
        (("adding", "--gates", ""), "--gates needs a value"),
        (("adding", "--seeds", "0"), "seeds must be a whole number of at least 1"),
        (("adding", "--jobs", "2"), "--jobs is for an experiment"),
        (("adding", "--save-every", "nan"), "--save-every must be a number of seconds, 0 or more"),
        (("adding", "--horizon", "--hidden", "4"), "--horizon needs a value"),
        (("--config", "three.toml"), "expected a name, perhaps with options"),
        (("adding", "--hidden", "2.5"), "--hidden takes a whole number; got '2.5'"),
        (("digits", "--epochs", "0"), "epochs must be above 0"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, said, gateflow, here):
    (here / "three.toml").write_text("task = 3")
    code, out, err = gateflow("train", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert len([line for line in err.splitlines() if not line.startswith("    ")]) == 1


def test_a_folder_of_other_settings_is_refused(gateflow):
    told(gateflow("train", "adding", *TINY, "-o", "run", "--json"))
    code, _, err = gateflow("train", "adding", *TINY, "-o", "run", "--lr", "0.5")
    assert code == 2
    assert "run holds a run with lr" in err
    assert told(gateflow("train", "adding", *TINY, "-o", "run", "--lr", "0.5", "--restart", "--json"))


def test_a_loss_that_is_not_finite_is_exit_code_3(gateflow):
    arguments = ("--optimizer", "sgd", "--lr", "1e30", "--clip", "0", "--log-every", "1", "--json")
    answer = told(gateflow("train", "adding", *TINY, *arguments), code=3)
    assert answer["status"] == "not finite"
    assert "at step" in answer["said"]


def interrupt_when(path):
    """Ctrl-C, as soon as a run has written to this file."""
    for _ in range(2000):
        if path.exists() and path.stat().st_size:
            os.kill(os.getpid(), signal.SIGINT)
            return
        time.sleep(0.005)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_ctrl_c_leaves_a_run_that_goes_on(gateflow, here):
    arguments = ("train", "adding(horizon=5, held_out=16)", "--hidden", "4", "--layers", "2", "--dropout", "0.5")
    arguments += ("--batch", "4", "--steps", "150", "--evaluate-every", "50")
    watch = threading.Thread(target=interrupt_when, args=(here / "stopped" / "metrics.jsonl",))
    watch.start()
    code, out, err = gateflow(*arguments, "--out", "stopped")
    watch.join()
    assert code == 130
    assert "the same command goes on from there" in err
    assert "interrupted" in out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    told(gateflow(*arguments, "--out", "stopped", "--json"))
    told(gateflow(*arguments, "--out", "whole", "--json"))
    for name in ("weights.safetensors", "metrics.jsonl"):
        assert (here / "stopped" / name).read_bytes() == (here / "whole" / name).read_bytes()


def test_where_ctrl_c_is_ignored_sigterm_stops_a_run(gateflow, here):
    """Under nohup and in background jobs Ctrl-C is meant for others; SIGTERM is heard there too."""
    arguments = ("train", "adding(horizon=5, held_out=16)", "--hidden", "4", "--steps", "100000", "--log-every", "1")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with asked_to_stop() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert not stop()
        program = f"import sys; from gateflow.cli import main; sys.exit(main({(*arguments, '--out', 'stopped')}))"
        with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as process:
            metrics = here / "stopped" / "metrics.jsonl"
            while process.poll() is None and not (metrics.exists() and metrics.stat().st_size):
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
            assert "the same command goes on from there" in process.communicate(timeout=120)[1]
        assert process.returncode == 130
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_experiment_its_table_and_its_figures(gateflow, here):
    done = gateflow("train", "adding", *TINY, "--gates", "fast,sigmoid(2*z)", "--seeds", "2", "-o", "runs")
    assert (done.code, done.err) == (0, "")
    head, *rows = done.out.splitlines()
    assert head.split() == ["forget_gate", "n", "loss", "seconds"]
    assert {row.split()[0] for row in rows[:2]} == {"fast", "sigmoid(2*z)"}
    shown = gateflow("results", "runs")
    assert shown.out.splitlines()[:3] == [head, *rows[:2]]
    answer = told(gateflow("results", "runs", "--figure", "a.svg", "--csv", "a.csv", "--json"))
    assert [row["n"] for row in answer["results"]] == [2, 2]
    assert (here / "a.svg").read_text().count("<svg") == 1
    assert (here / "a.csv").read_text().startswith("forget_gate,n,runs,loss,loss sd")
    assert gateflow("results", "runs", "--figure", "a.bmp").code == 2
    for arguments, said in (
        (("--figure", "a.svg", "--measure", "speed"), "no 'speed' was recorded; there are: loss"),
        (("--measure", "loss"), "--measure is what the figure shows"),
        (("--csv", "runs"), "runs: Is a directory"),
    ):
        code, _, err = gateflow("results", "runs", *arguments)
        assert (code, said in err) == (2, True)


def test_more_than_gates_is_varied(gateflow, here):
    gateflow("train", "adding", *TINY, "--vary", "lr=1e-3,1e-2", "--vary", "init=chrono,constant(bias=1)", "-o", "runs")
    rows = told(gateflow("results", "runs", "--json"))["results"]
    assert {(row["lr"], row["init"]) for row in rows} == {
        (lr, init) for lr in (1e-3, 1e-2) for init in ("chrono", "constant(bias=1)")
    }


def test_time_constants_as_table_figure_and_file(gateflow, here):
    gateflow("train", "adding", *TINY, "-o", "run")
    shown = gateflow("timescales", "run")
    assert (shown.code, shown.err) == (0, "")
    assert [line.split()[:2] for line in shown.out.splitlines()[1:]] == [["1", "start"], ["1", "trained"]]
    answer = told(gateflow("timescales", "run", "--figure", "a.svg", "--csv", "a.csv", "--json"))
    (layer,) = answer["layers"]
    assert len(layer["start"]) == len(layer["trained"]) == 4
    lines = (here / "a.csv").read_text().splitlines()
    assert [float(line.split(",")[3]) for line in lines[1:]] == layer["trained"]
    assert (here / "a.svg").stat().st_size > 1000
    assert len(gateflow("timescales", "run", "--units").out.splitlines()) == 5
    assert gateflow("timescales", ".").code == 2
    assert "rows must be a whole number" in gateflow("timescales", "run", "--rows", "0").err


def test_the_list_names_everything_with_its_source(gateflow):
    found = told(gateflow("train", "--list", "--json"))
    assert found == catalogue()
    named = {kind: {row["name"] for row in rows} for kind, rows in found.items()}
    assert named["tasks"] == set(TASKS)
    assert named["cells"] == set(CELLS) | set(LINEAR)
    assert named["initialisers"] == set(INITS)
    assert named["methods"] == set(METHODS)
    assert {"fast", "sigmoid", "softsign"} <= named["gates"]
    for rows in found.values():
        for row in rows:
            assert row["about"], row
            assert row["source"], row
            assert row["source"].count("(") == row["source"].count(")"), row
    (adding,) = (row for row in found["tasks"] if row["name"] == "adding")
    assert adding["options"] == "horizon=100, held_out=1000"
    plain = gateflow("train", "--list").out
    assert "Ohno" in plain
    assert "Tallec" in plain


def test_lists_on_the_command_line():
    assert listed("fast(alpha=2), sigmoid(k*z); k=2,'a,b'") == ["fast(alpha=2)", "sigmoid(k*z); k=2", "'a,b'"]
