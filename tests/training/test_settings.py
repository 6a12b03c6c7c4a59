"""Settings: from TOML and back, defaults in their order, and what is refused in one line."""

import dataclasses
import inspect
import re

import pytest

from gateflow.errors import GateflowError, InvalidArgument, UnknownName
from gateflow.guards.calls import name_and_options, value_of, with_options
from gateflow.nn import CELLS, INITS
from gateflow.training import TASKS, Settings
from gateflow.training.loop import settle
from gateflow.training.methods import METHODS
from gateflow.training.optimizers import optimizers, schedules
from gateflow.training.settings import KINDS, make_init, read_toml


def test_toml_goes_both_ways(tmp_path):
    odd = Settings(
        task='series(path="a, \\"b\\" (c).csv")', forget_gate="sigmoid(k*z); k=2", lr=1e-30, tied=True, embedding=7
    )
    (tmp_path / "run.toml").write_text(odd.as_toml())
    assert Settings(**read_toml(tmp_path / "run.toml")) == odd


def test_the_user_wins_over_the_method_over_the_cell_over_the_task():
    task, cell = TASKS["adding"], CELLS["lstm"]
    assert Settings.of({"task": "adding"}).lr == task.defaults["lr"] != Settings.lr
    assert Settings.of({"task": "adding"}).forget_gate == cell.defaults["forget_gate"] == "fast"
    assert Settings.of({"task": "adding", "method": "chrono"}).forget_gate == "sigmoid"
    chosen = Settings.of({"task": "adding", "method": "janet", "clip": 2})
    assert (chosen.cell, chosen.hidden, chosen.clip) == ("janet", METHODS["janet"].settings["hidden"], 2.0)
    assert Settings.of({"task": "adding", "lr": None}).lr == task.defaults["lr"]


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"hiden": 3}, "unknown setting 'hiden'; did you mean 'hidden'?"),
        ({"hidden": 3.5}, "hidden takes a whole number; got 3.5"),
        ({"hidden": True}, "hidden takes a whole number; got True"),
        ({"hidden": 0}, "hidden must be at least 1; got 0"),
        ({"lr": "fast"}, "lr takes a number; got 'fast'"),
        ({"lr_of": "forget"}, "lr_of takes gates and factors, as in forget=3, input=0.5; got 'forget'"),
        ({"lr_of": "forget=x"}, "lr_of takes gates and factors"),
        ({"lr_of": ""}, "lr_of takes gates and factors"),
        ({"lr_of": "forget=0"}, "lr_of needs factors above 0; got forget=0"),
        ({"lr_of": "forget=nan"}, "lr_of needs factors above 0"),
        ({"lr_of": "forget=1, forget=2"}, "lr_of says forget twice"),
        ({"lr_of": 3}, "lr_of takes a text"),
        ({"lr": 0}, "lr must be above 0, or nothing is learned; got 0"),
        ({"lr": float("nan")}, "lr must be finite; got nan"),
        ({"clip": float("inf")}, "clip must be finite; got inf"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\); got 1.0"),
        ({"tied": 1}, "tied takes true or false; got 1"),
        ({"precision": "float31"}, "unknown precision 'float31'; did you mean 'float32'?"),
        ({"method": "janett"}, "unknown method 'janett'; did you mean 'janet'?"),
        ({"cell": "lsmt"}, "unknown cell 'lsmt'; did you mean 'lstm'?"),
        ({"task": "add ing"}, "expected a name, perhaps with options"),
        ({"task": "adding(100)"}, "options have names"),
        ({"task": "adding(horizon=1}\n[x]\ny=1"}, "expected a name, perhaps with options|options have names"),
        ({"task": "adding(horizn=1)"}, "unknown option of the task adding 'horizn'; did you mean 'horizon'?"),
        ({"task": "adding(horizon='x')"}, "horizon of the task adding takes a whole number; got 'x'"),
        ({"epochs": 2}, "no end to its data, and so no epochs: give steps"),
        ({"task": "digits", "epochs": 2, "steps": 3}, "steps or epochs, not both"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(chosen, said):
    with pytest.raises(GateflowError, match=said) as found:
        Settings.of({"task": "adding", **chosen})
    assert "\n" not in str(found.value)


def test_no_task_is_told():
    with pytest.raises(InvalidArgument, match="there is no task"):
        Settings.of({"lr": 1})


def test_a_key_of_the_file_that_is_no_setting_names_the_file(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('task = "adding"\nlearning_rate = 3\n')
    with pytest.raises(InvalidArgument, match=r"unknown setting in .*run\.toml 'learning_rate'"):
        read_toml(file)
    file.write_text("task = adding")
    with pytest.raises(InvalidArgument, match=r"run\.toml is no TOML"):
        read_toml(file)
    with pytest.raises(InvalidArgument, match="cannot read"):
        read_toml(tmp_path / "none.toml")


def test_epochs_are_steps():
    digits = Settings.of({"task": "digits", "epochs": 2, "batch": 50})
    rows = TASKS["digits"]().rows("train")
    assert digits.steps == 2 * -(-rows // 50)
    assert Settings.of({"task": "digits", "epochs": 2, "batch": 25, "accumulate": 2}).steps == -(
        -2 * -(-rows // 25) // 2
    )


def test_settings_that_are_made_take_epochs_too(tmp_path):
    """Thirty series of which 24 are trained on, by four at a time: two passes are twelve steps."""
    lines = [f"{row % 2},{row},{row + 1}" for row in range(30)]
    (tmp_path / "x.csv").write_text("\n".join(lines))
    made = Settings(task=with_options("series", {"data": str(tmp_path / "x.csv")}), batch=4, hidden=2, steps=7)
    assert settle(made, {"epochs": 2})[0].steps == 12
    assert settle(made, {"hidden": 3})[0].steps == 7
    for chosen, said in (({"epochs": 2, "steps": 3}, "not both"), ({"epochs": 0}, "above 0"), ({"epoch": 1}, "epochs")):
        with pytest.raises(InvalidArgument, match=said):
            settle(made, chosen)


def test_options_of_parts():
    assert name_and_options('a-b.c(x=1, y="(,)", z=[1, 2], w=true)') == (
        "a-b.c",
        {"x": 1, "y": "(,)", "z": [1, 2], "w": True},
    )
    assert name_and_options(with_options("a(x=1)", {"x": 'q"', "y": 2.5})) == ("a", {"x": 'q"', "y": 2.5})
    assert [value_of(text) for text in ("1e3", "x", "'x'", "1\n2")] == [1000.0, "x", "x", "1\n2"]


def test_the_horizon_of_an_initialiser_is_the_length_of_the_task():
    assert make_init("chrono", 50).horizon == 50
    assert make_init("chrono(horizon=7)", 50).horizon == 7
    assert make_init("none", 50) is None
    with pytest.raises(InvalidArgument, match=r"for-timescales needs high, as in for-timescales\(low=..., high=...\)"):
        make_init("for-timescales(low=1)", 50)
    with pytest.raises(UnknownName, match="did you mean 'chrono'"):
        make_init("chrno", 50)
    assert make_init("constant", 50) == INITS["constant"]()


def test_every_setting_is_explained():
    """The help of the flags is the docstring: each field in its order, each explanation a sentence."""
    text = inspect.getdoc(Settings)
    explained = re.findall(r"^(\w+)\n    (.+)$", text.partition("Parameters")[2].partition("Examples")[0], re.MULTILINE)
    assert [name for name, _ in explained] == list(KINDS) == [field.name for field in dataclasses.fields(Settings)]
    assert all(said.endswith(".") for _, said in explained)


def test_optimisers_and_schedules_have_plain_names():
    assert {"adam", "adamw", "rmsprop", "sgd", "adagrad", "nadam"} <= set(optimizers())
    assert not {"lbfgs", "sparseadam"} & set(optimizers())
    assert {"cosine", "step", "plateau", "exponential", "onecycle", "one-cycle", "linear"} <= set(schedules())
