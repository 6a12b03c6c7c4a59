"""Triton device functions, run by Triton's interpreter on the CPU, against mpmath."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from gateflow.arithmetic import FUNCTIONS
from gateflow.codegen import Tape
from gateflow.codegen.triton import _Triton, device_function
from gateflow.errors import InvalidArgument
from gateflow.formula import functions
from gateflow.formula.vocabulary import Z, sigmoid


@pytest.fixture
def device(tmp_path: Path) -> Any:
    """What runs Triton device functions on the CPU."""
    pytest.importorskip("triton", reason="no Triton on this machine: its device functions were not run")
    from triton_device import Device

    return Device(tmp_path)


EPS = float(np.finfo(np.float32).eps)
WIDE = np.concatenate([np.linspace(-9, 9, 181), np.geomspace(1e-9, 80, 60), -np.geomspace(1e-9, 80, 60)])
RIGHT = WIDE[WIDE > 0]
FRACTION = np.concatenate([np.linspace(0.01, 0.99, 99), np.geomspace(1e-30, 0.01, 30)])
TINY = float(np.finfo(np.float32).tiny)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _softplus(x: Any) -> Any:
    return mp.log1p(mp.exp(x))


def _log1mexp(x: Any) -> Any:
    return mp.log(-mp.expm1(-x))


# name: exact function, arguments, units of the last place allowed at x beside those of the argument's own rounding
EXACT: dict[str, tuple[Callable[[Any], Any], np.ndarray, float]] = {
    "exp": (mp.exp, WIDE, 2),
    "expm1": (mp.expm1, WIDE, 4),
    "log": (mp.log, np.concatenate([RIGHT, np.linspace(0.5, 1.5, 101)]), 4),
    "log1p": (mp.log1p, np.concatenate([RIGHT, -FRACTION[FRACTION < 0.999]]), 4),
    "sqrt": (mp.sqrt, RIGHT, 1),
    "sigmoid": (_sigmoid, WIDE, 4),
    "tanh": (mp.tanh, WIDE, 6),
    "softplus": (_softplus, WIDE, 6),
    "softsign": (lambda x: x / (1 + abs(x)), WIDE, 3),
    "logit": (lambda p: mp.log(p) - mp.log1p(-p), FRACTION, 6),
    "sinh": (mp.sinh, WIDE, 4),
    "cosh": (mp.cosh, WIDE, 4),
    "asinh": (mp.asinh, np.concatenate([WIDE, np.geomspace(1, 1e30, 60)]), 6),
    "acosh": (mp.acosh, np.concatenate([1 + RIGHT[RIGHT > 1e-3], np.geomspace(2, 1e30, 60)]), 6),
    "atanh": (mp.atanh, np.concatenate([FRACTION, -FRACTION]), 6),
    "sin": (mp.sin, WIDE, 2),
    "cos": (mp.cos, WIDE, 2),
    "tan": (mp.tan, WIDE, 4),
    "atan": (mp.atan, WIDE, 4),
    "acot": (lambda x: mp.pi / 2 - mp.atan(x), WIDE, 4),
    "erf": (mp.erf, WIDE, 2),
    "erfc": (mp.erfc, WIDE, 6),
    "log_erfc": (lambda x: mp.log(mp.erfc(x)), WIDE, 6),
    "log_erfcx": (lambda x: mp.log(mp.erfc(x)) + x * x, RIGHT, 6),
    "log1mexp": (_log1mexp, RIGHT, 6),
    "log_expm1": (lambda x: mp.log(abs(mp.expm1(x))), WIDE[WIDE != 0], 6),
    "log_cosh": (lambda x: mp.log(mp.cosh(x)), WIDE, 6),
    "log_hypot": (lambda x: mp.log1p(x * x) / 2, np.concatenate([WIDE, np.geomspace(1, 1e30, 60)]), 6),
    "log_softplus": (lambda x: mp.log(_softplus(x)), WIDE, 6),
    "log_cloglog": (lambda x: mp.log(-mp.expm1(-mp.exp(x))), WIDE, 8),
    "log_atan_ratio": (lambda x: mp.log(mp.atan(mp.exp(x)) * mp.exp(-x)), WIDE, 8),
    "log_atan_exp": (lambda x: mp.log(mp.atan(mp.exp(x))), WIDE, 8),
    "sign": (mp.sign, WIDE, 0),
    "abs": (abs, WIDE, 0),
}

ABSOLUTE = {"log_atan_ratio", "log_atan_exp"}
"""Logarithms of a quotient that is near 1: its rounding is an absolute error."""


WITHOUT = {"erfcx", "loggamma", "digamma", "trigamma"}
"""Functions that no formula for a GPU has."""


def test_every_function_that_can_be_printed_is_held_to_a_bound() -> None:
    assert set(EXACT) == set(FUNCTIONS) - WITHOUT
    for name in WITHOUT - {"erfcx"}:
        with pytest.raises(InvalidArgument, match=name):
            printed(name)


def printed(name: str) -> str:
    """The text of a device function that is one function of the arithmetic."""
    text = _Triton()
    result = getattr(text, name)(text.line("x.to(tl.float32)"))
    return "\n    ".join(["@triton.jit\ndef f(x):", *text.lines, f"return {result}.to(tl.float32)"])


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.sampled(5)
def test_functions_are_right_to_units_of_the_last_place(name: str, device: Any) -> None:
    """The room is those units, and as many as the rounding of an argument of exp or log on the way may cost."""
    exact, points, units = EXACT[name]
    x = np.unique(points.astype(np.float32))
    found = device.run(printed(name), x)[0]
    with mp.workdps(60):
        wanted, slopes = [], []
        for point in map(float, x):
            wanted.append(float(exact(mp.mpf(point))))
            slopes.append(float(mp.diff(exact, point)) if units else 0.0)
    wanted_, size = np.array(wanted), np.abs(wanted)
    room = units * EPS * (np.maximum(size, 1) if name in ABSOLUTE else size) + EPS * np.abs(x * np.array(slopes))
    held = (np.abs(wanted_) < np.finfo(np.float32).max) & ((np.abs(wanted_) > TINY) | (wanted_ == 0))
    assert held.sum() > len(x) / 2
    assert np.all(np.abs(found - wanted_)[held] <= room[held])
    # below the smallest normal number, a processor may say 0
    assert np.all(np.abs(found - wanted_)[~held & (np.abs(wanted_) <= TINY)] <= TINY)


@pytest.mark.parametrize("name", sorted(set(EXACT) - {"sin", "cos", "tan", "logit", "atanh", "acosh"}))
def test_no_function_is_nan_at_an_extreme_of_its_domain(name: str, device: Any) -> None:
    ends = np.array([0.0, 1e-40, 1e-30, 88.0, 89.0, 1e5, 1e20, 3e38, np.inf], dtype=np.float32)
    x = ends if EXACT[name][1].min() > 0 else np.concatenate([-ends, ends]) if name != "log1p" else ends
    found = device.run(printed(name), x)[0]
    assert not np.isnan(found).any()


def test_power_and_log_add(device: Any) -> None:
    x, y = (g.ravel().astype(np.float32) for g in np.meshgrid(np.geomspace(1e-3, 1e3, 21), np.linspace(-5, 5, 21)))
    p, q = sp.symbols("p q", real=True)
    power = device.apply("power", x, y)
    log_add = device.run(device_function(Tape([functions.log_add(p, q)], [p, q]), "f"), np.log(x), y)[0]
    exact = x.astype(float) ** y.astype(float)
    assert np.all(np.abs(power / exact - 1) <= (4 + 2 * np.abs(y * np.log(x))) * EPS)
    assert np.all(np.abs(log_add - np.logaddexp(np.log(x).astype(float), y)) <= 4 * EPS * (1 + np.abs(y) + 7))
    assert device.apply("power", np.float32([0, 0, 5, -1]), np.float32([2, 0, 0, 2]))[:3].tolist() == [0, 1, 1]


@pytest.mark.parametrize("n", [-3, 1, 2, 7, 12])
def test_integer_powers_are_products(n: int, device: Any) -> None:
    x = np.linspace(0.5, 2, 33, dtype=np.float32)
    found = device.run(device_function(Tape([Z**n + Z]), "f"), x)[0]
    assert np.allclose(found, x.astype(float) ** n + x, rtol=16 * EPS)


def test_conditions_and_constants(device: Any) -> None:
    cases = sp.Piecewise((0, Z < -1), (1, sp.And(Z > 1, sp.Ne(Z, 2))), (Z / 2 + sp.Rational(1, 3), True))
    x = np.array([-2, -1, 0, 1, 1.5, 2], dtype=np.float32)
    found = device.run(device_function(Tape([cases, sp.Integer(2)]), "f"), x)
    assert np.allclose(found[0], [0, -1 / 6, 1 / 3, 5 / 6, 1, 4 / 3])
    assert np.all(found[1] == 2)


def test_float64_keeps_the_range_that_float32_has_not(device: Any) -> None:
    x = np.array([1e30], dtype=np.float32)
    narrow, wide = (
        device.run(device_function(Tape([Z**2 / (1 + Z**2)]), "f", w), x)[0] for w in ("float32", "float64")
    )
    assert np.isnan(narrow[0])
    assert wide[0] == 1


def test_the_text_holds_nothing_of_the_users_words() -> None:
    odd = sp.Symbol("__import__", real=True)
    text = device_function(Tape([sigmoid(odd) * 3], [odd]), "f")
    assert "__import__" not in text


def test_what_cannot_be_printed_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="loggamma"):
        device_function(Tape([sp.loggamma(Z)]), "f")
    with pytest.raises(InvalidArgument, match="no name"):
        device_function(Tape([Z]), "f(")
    with pytest.raises(InvalidArgument, match="float16"):
        device_function(Tape([Z]), "f", "float16")
