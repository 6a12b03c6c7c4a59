"""Numbers as users give them: what is taken has the value that Python says, what is not is told by its name."""

import datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

import gateflow
from gateflow.errors import InvalidArgument, cut, shown
from gateflow.guards.arguments import items, number, one, reals, together, whole

MASKED = np.ma.array([1.0, 2.0], mask=[False, True])


def problem(**changed):
    return gateflow.LearningProblem("sigmoid", **{"horizon": 10, "gap": 0.01, **changed})


REFUSED = {
    "shapes of a problem": (
        lambda: problem(horizon=[1, 2, 3], gap=[0.1, 0.2]),
        "the shapes do not go together: horizon (3,), gap (2,)",
    ),
    "shapes of starts": (
        lambda: gateflow.hitting_time(problem(horizon=[1, 2, 3]), [0.0, 1.0]),
        "the shapes do not go together: horizon (3,), z0 (2,)",
    ),
    "shapes of tolerances": (
        lambda: gateflow.hitting_time(problem(loss="squared"), [0.0, 1.0], tolerance=[0.1, 0.2, 0.3]),
        "the shapes do not go together: z0 (2,), tolerance (3,)",
    ),
    "shapes of positions": (lambda: problem(gap=[0.1, 0.2]).loss_at([1, 2, 3]), "gap (2,), z (3,)"),
    "shapes of step sizes": (
        lambda: gateflow.descent(problem(gap=[0.1, 0.2]), 0.0, lr=[0.1, 0.2, 0.3]),
        "gap (2,), lr (3,)",
    ),
    "two times at hand": (
        lambda: gateflow.hitting_time(problem(), 0.0, tau_max=[1, 2]),
        "tau_max must be one number, not an array of shape (2,)",
    ),
    "two ends of a flow": (lambda: gateflow.flow(problem(), 0.0, tau_max=[1, 2]), "tau_max must be one number"),
    "a tensor that is learned": (
        lambda: problem(horizon=torch.tensor(10.0, requires_grad=True)),
        "horizon must be a real number; got 'a tensor that requires grad; pass its .detach()'",
    ),
    "a start that is learned": (
        lambda: gateflow.hitting_time(problem(), torch.tensor(0.0, requires_grad=True)),
        "z0 must be a real number; got 'a tensor that requires grad; pass its .detach()'",
    ),
    "an argument of a gate that is learned": (
        lambda: gateflow.gate("fast").phi(torch.tensor(0.0, requires_grad=True)),
        "a gate takes real numbers; got 'a tensor that requires grad; pass its .detach()'",
    ),
    "past the floats": (
        lambda: problem(horizon=10**400),
        "horizon is past the largest float; got a whole number of about 400 digits",
    ),
    "too long to print": (lambda: problem(horizon=10**5000), "got a whole number of about 5000 digits"),
    "a horizon with a mask": (lambda: problem(horizon=MASKED), "horizon has masked values"),
    "a start with a mask": (lambda: gateflow.hitting_time(problem(), MASKED), "z0 has masked values"),
    "a gate at a mask": (lambda: gateflow.gate("fast").phi(MASKED), "a gate has masked values"),
    "a date": (lambda: problem(horizon=np.datetime64("2020-01-01")), "horizon must be a real number; got '2020-01-01'"),
    "a day": (lambda: problem(horizon=datetime.date(2020, 1, 1)), "horizon must be a real number"),
    "a time span": (lambda: problem(horizon=np.timedelta64(3, "D")), "horizon must be a real number; got '3 days'"),
    "a descent of nothing": (lambda: gateflow.descent(None, 0.0, lr=0.1), "descent takes a LearningProblem; got None"),
    "gates that are none": (lambda: gateflow.rank(3), "gates must be a list; got 3"),
    "a name that is no text": (lambda: gateflow.Gate("z", name=["a"]), "the name of a gate is a text"),
    "layers without end": (lambda: gateflow.nn.LSTM(2, 3, num_layers=10**9), "num_layers must be at most 10000"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_number_or_does_not_fit_is_told_by_its_name(name):
    call, said = REFUSED[name]
    with pytest.raises(InvalidArgument) as refused:
        call()
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (3, 3.0),
        (Fraction(1, 8), 0.125),
        (Decimal("0.125"), 0.125),
        (10**20, 1e20),
        (np.float16(0.5), 0.5),
        (np.uint8(7), 7.0),
        (torch.tensor([0.5, 2.0], dtype=torch.float64), [0.5, 2.0]),
        ([1, Fraction(1, 2)], [1.0, 0.5]),
        (np.ma.array([1.0, 2.0]), [1.0, 2.0]),
    ],
)
def test_what_is_a_number_has_its_value(given, value):
    assert np.array_equal(reals("x", given), value)
    assert reals("x", given).dtype == np.float64


def test_single_precision_stays_as_it_is():
    assert reals("x", np.float32(0.1)).dtype == np.float32
    assert number("x", np.float32(0.1), np.isfinite, "finite") == float(np.float32(0.1))


def test_whole_numbers_keep_all_their_digits():
    assert whole("n", 10**30) == 10**30
    assert (whole("n", 4.0), whole("n", np.int16(4)), type(whole("n", 4.0))) == (4, 4, int)
    for wrong in (0, 2.5, True, "3", None, float("nan"), float("inf"), [1]):
        with pytest.raises(InvalidArgument, match=r"^n must be"):
            whole("n", wrong)
    with pytest.raises(InvalidArgument, match=r"from 1 to 9; got 10$"):
        whole("n", 10, 1, 9)


def test_one_number_and_shapes_and_lists():
    assert one("x", np.array(2.0), np.isfinite, "finite") == 2.0
    assert together(a=1.0, b=np.ones((2, 1)), c=np.ones(3)) == (2, 3)
    assert items("x", {"a": 1}) == ["a"]
    for wrong in ("abc", b"abc", 3, None, torch.tensor(1.0)):
        with pytest.raises(InvalidArgument, match=r"^x must be a list"):
            items("x", wrong)


class Silent:
    def __repr__(self):
        raise RuntimeError


def test_any_value_can_be_shown_in_a_message():
    assert shown(Silent()) == "<Silent>"
    assert shown("a\nb") == repr("a\nb")
    assert shown(np.ones((9, 9))).endswith("...")
    assert "\n" not in shown(np.ones((9, 9)))
    assert shown(-(10**400)) == "a whole number of about 400 digits"
    assert cut("a  b\nc", 9) == "a b c"
