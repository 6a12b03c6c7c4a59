"""Experiments as TOML files: what users write, and what is told of a slip."""

from __future__ import annotations

import pytest

from gateflow.errors import InvalidArgument, UnknownName
from gateflow.study.experiments import EXPERIMENTS, experiment

MINE = """
about = "Mine."
seeds = 2
[base]
task = "adding(horizon=5, held_out=8)"
hidden = 3
[[arms]]
name = "{gate}, T={T}"
set = { task = "adding(horizon={T}, held_out=8)", forget_gate = "{gate}", steps = "{T}" }
over = { T = [5, 6], gate = ["fast", "sigmoid"] }
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "mine.toml") -> str:
        (tmp_path / name).write_text(text)
        return name

    return write


def test_arms_are_crossed_the_last_list_running_fastest(file):
    name, plan = experiment(file(MINE))
    assert name == "mine"
    assert list(plan.arms) == ["fast, T=5", "sigmoid, T=5", "fast, T=6", "sigmoid, T=6"]
    settings = plan.settings("sigmoid, T=6")
    assert settings["task"] == "adding(horizon=6, held_out=8)"
    assert settings["forget_gate"] == "sigmoid"
    assert settings["steps"] == 6  # a value that is all of a text keeps its kind
    assert settings["hidden"] == 3
    assert [seed for _, seed in plan.runs()] == [0] * 4 + [1] * 4


def test_lists_have_names_rows_and_labels(file):
    text = MINE.replace('over = { T = [5, 6], gate = ["fast", "sigmoid"] }', 'over = { row = "rows", init = "inits" }')
    text = text.replace("{gate}, T={T}", "{gate}, {init}, T={T}") + (
        '[lists]\nrows = [{ gate = "fast", T = 5 }, { gate = "erf", T = 9 }]\n'
        '[lists.inits]\nchrono = { init = "chrono(horizon={T})" }\nplain = { init = "none" }\n'
    )
    plan = experiment(file(text))[1]
    assert list(plan.arms) == ["fast, chrono, T=5", "fast, plain, T=5", "erf, chrono, T=9", "erf, plain, T=9"]
    assert plan.arms["erf, chrono, T=9"]["init"] == "chrono(horizon=9)"


def test_a_file_extends_one_beside_it_or_one_of_gateflow(file):
    file(MINE)
    plan = experiment(file('extends = "mine"\nseeds = 7\n[base]\nlr = 0.1\n', "other.toml"))[1]
    assert (plan.seeds, plan.base["lr"], plan.base["hidden"], len(plan.arms)) == (7, 0.1, 3, 4)
    plan = experiment(file('extends = "study-copying"\n[base]\nsteps = 9\n', "copying.toml"))[1]
    assert plan.arms == EXPERIMENTS["study-copying"].arms
    assert plan.base == {**EXPERIMENTS["study-copying"].base, "steps": 9}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seeds = 2", "seeds = ", r"is no TOML: "),
        ("seeds = 2", "", "it lacks seeds"),
        ("seeds = 2", "seeds = 0", "seeds must be at least 1; got 0"),
        ("seeds = 2", 'seeds = "2"', "seeds is not as an experiment has it"),
        ("seeds", "sedes", "unknown entry 'sedes'; did you mean 'seeds'?"),
        ("hidden", "hiden", "unknown setting 'hiden'; did you mean 'hidden'?"),
        ("hidden = 3", "hidden = 0", "arm 'fast, T=5': hidden must be at least 1; got 0"),
        ('"fast", ', '"fsat", ', "arm 'fsat, T=5': unknown gate 'fsat'; did you mean 'fast'?"),
        ("steps = ", "step = ", "unknown setting 'step'; did you mean 'steps'?"),
        ('"{gate}, T={T}"', '"{gat}, T={T}"', r"\{gat\} in '\{gat\}, T=\{T\}' stands for nothing; there are T, gate"),
        ('"{gate}, T={T}"', '"{gate}"', "two arms are called 'fast'"),
        ("[5, 6]", '"lengths"', "there is no list 'lengths'; there are every gate, every method"),
        ("over = ", "across = ", "unknown entry of arms 'across'"),
        ("about", 'extends = "nobody"\nabout', "there is no experiment 'nobody' beside it"),
        ("about", 'extends = "mine"\nabout', "extends 'mine', which extends it"),
        ("about", 'make = "coffee"\nabout', "unknown make 'coffee'"),
        ("about", 'conclude = "all"\nabout', "unknown conclude 'all'"),
        (
            "[base]",
            '[[questions]]\nname = "a"\nfirst = ["fast"]\nsecond = ["erf"]\n[base]',
            "unknown arm in the question 'a': 'erf'",
        ),
        (
            "[base]",
            '[[questions]]\nname = "a"\nfirst = ["fast"]\nsecond = ["sigmoid"]\nrole = "odd"\n[base]',
            "the role of a question is plain, order, slope, equivalence; got 'odd'",
        ),
        ("[base]", "level = 1e999\n[base]", r"level must lie in \(0, 1\]; got inf"),
    ],
)
def test_a_slip_is_one_line_with_the_name_of_the_file(file, old, new, said):
    assert old in MINE
    name = file(MINE.replace(old, new, 1))
    with pytest.raises(InvalidArgument, match=said) as refused:
        experiment(name)
    assert str(refused.value).startswith("mine.toml: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("predicted", "part", "said"),
    [
        ("{T}", "1/0", "of_prediction takes numbers and fractions, of whole steps; got '1/0'"),
        ("{T}", "often", "of_prediction takes numbers and fractions, of whole steps; got 'often'"),
        ("{gate}", "1/50", "of_prediction takes numbers and fractions|predicted must be"),
    ],
)
def test_parts_of_a_prediction_are_numbers(file, predicted, part, said):
    text = MINE.replace("over", f'predicted = "{predicted}"\nover') + f'[of_prediction]\nevaluate_every = "{part}"\n'
    with pytest.raises(InvalidArgument, match=said) as refused:
        experiment(file(text))
    assert "\n" not in str(refused.value)


def test_what_is_not_there_is_one_line(file):
    with pytest.raises(InvalidArgument, match=r"none\.toml: cannot read it: No such file"):
        experiment("none.toml")
    with pytest.raises(UnknownName, match="unknown experiment 'study-slops'; did you mean 'study-slopes'"):
        experiment("study-slops")


def test_a_text_is_never_run(file):
    text = MINE.replace("{gate}, T={T}", "{gate}, {gate.__class__}, T={T}")
    plan = experiment(file(text))[1]
    assert next(iter(plan.arms)) == "fast, {gate.__class__}, T=5"


def test_every_gate_and_every_method_are_those_of_the_lists():
    from gateflow.gates.gate import GATES
    from gateflow.training.methods import METHODS

    assert list(EXPERIMENTS["cost"].arms) == list(METHODS)
    assert {arm.partition(", ")[0] for arm in EXPERIMENTS["every-gate"].arms} == set(GATES)
