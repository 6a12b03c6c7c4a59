"""The torch arithmetic against the float64 one, function by function, over the whole range."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gateflow.arithmetic import FUNCTIONS, OPERATIONS, doubledouble
from gateflow.nn.arithmetic import TorchArithmetic

DOUBLE = TorchArithmetic(torch.float64)

SIZES = np.concatenate([np.geomspace(1e-300, 1e300, 601), np.linspace(0, 40, 801), np.geomspace(40, 2000, 200)])
LINE = np.concatenate([-SIZES[::-1], SIZES])
DOMAINS = {
    "sqrt": SIZES,
    "log": SIZES,
    "log1p": LINE[LINE > -1],
    "acosh": SIZES[SIZES >= 1],
    "atanh": LINE[np.abs(LINE) < 1],
    "logit": SIZES[(SIZES > 0) & (SIZES < 1)],
    "log1mexp": SIZES[SIZES > 0],
    "erfcx": SIZES,
    "log_cloglog": LINE[LINE < 1],  # beyond, it is as sensitive as exp(-exp(x))
    **dict.fromkeys(("loggamma", "digamma", "trigamma"), SIZES[(SIZES > 0) & (SIZES < 1e10)]),
    **dict.fromkeys(("sin", "cos", "tan"), LINE[np.abs(LINE) < 1e4]),
}
LOOSE = {"digamma": 1e-13, "tan": 1e-11, "sin": 1e-12, "cos": 1e-12, "log_erfc": 1e-14, "erfcx": 1e-14}
"""Relative error in the functions that PyTorch itself computes less well; the others are held to 4e-15."""
ABSOLUTE = ("log_expm1", "log_softplus", "log_atan_exp", "log_atan_ratio")
"""Functions with a zero that is no special point: near it the error is held to 1."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_agrees_with_double_double(name: str) -> None:
    x = DOMAINS.get(name, LINE)
    with np.errstate(all="ignore"):
        truth = doubledouble.round(getattr(doubledouble, name)(doubledouble.lift(x)))
    found = getattr(DOUBLE, name)(DOUBLE.lift(x)).numpy()
    finite = np.isfinite(truth) & (np.abs(truth) > 1e-300) & (np.abs(truth) < 1e300)
    size = np.maximum(np.abs(truth), float(name in ABSOLUTE))
    error = np.abs(found[finite] - truth[finite]) / size[finite]
    worst = int(error.argmax())
    assert error[worst] < LOOSE.get(name, 4e-15), x[finite][worst]
    assert not np.isnan(found[~np.isnan(truth)]).any()


def test_nothing_is_missing() -> None:
    assert [name for name in (*FUNCTIONS, *OPERATIONS) if not hasattr(DOUBLE, name)] == []


def test_a_constant_has_the_working_type() -> None:
    single = TorchArithmetic(torch.float32)
    chosen = single.where(torch.tensor([True]), single.constant(1), single.constant(2))
    assert chosen.dtype == torch.float32


def test_power_of_a_negative_number_is_nan_and_the_sign_of_nan_too() -> None:
    x = DOUBLE.lift([-1.0, 2.0, float("nan")])
    assert DOUBLE.power(x, DOUBLE.constant(3)).isnan().tolist() == [True, False, True]
    assert DOUBLE.sign(x).isnan().tolist() == [False, False, True]
