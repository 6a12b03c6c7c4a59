"""SymPy's digits, signs and comparisons of constants near a zero or a pole, against big floats."""

from __future__ import annotations

import time

import mpmath
import pytest
import sympy as sp

from gateflow.formula import accuracy, parse
from gateflow.guards import bounded

TINY = {n: sp.Rational(1, 10**n) for n in (20, 25, 60, 300, 900)}

NEAR = {
    "acosh(1 + {})": lambda x: mpmath.acosh(1 + x),
    "atanh(1 - {})": lambda x: mpmath.atanh(1 - x),
    "loggamma(1 + {})": lambda x: mpmath.loggamma(1 + x),
    "loggamma(2 - {})": lambda x: mpmath.loggamma(2 - x),
    "logit(1/2 + {})": lambda x: mpmath.log((mpmath.mpf(1) / 2 + x) / (mpmath.mpf(1) / 2 - x)),
    "logit(1 - {})": lambda x: mpmath.log((1 - x) / x),
    "log(1 + {})": mpmath.log1p,
    "log(1 - {})": lambda x: mpmath.log1p(-x),
    "tan(1 + {}) - tan(1)": lambda x: mpmath.tan(1 + x) - mpmath.tan(1),
}
"""A function beside its zero or pole, and its value in big floats."""


def exact(n: int, value) -> mpmath.mpf:
    with mpmath.workdps(n + 60):
        return value(mpmath.mpf(10) ** -n)


@pytest.mark.parametrize("n", TINY)
@pytest.mark.parametrize("text", NEAR)
@pytest.mark.sampled(3)
def test_digits_signs_and_conditions_are_those_of_the_number_itself(text, n):
    """Within a call of gateflow, as `bounded.call` is.

    A difference may be unknown past SymPy's hundred digits.
    """
    true = exact(n, NEAR[text])
    number = parse(text.format(f"10**-{n}"), variables=())
    zero, value, above = bounded.call(lambda: (number.is_zero, number.evalf(20), number > 0), 10.0)
    if number.is_Add and n > 60:
        assert zero is not True
        return
    assert zero is False
    assert above == (true > 0)
    with mpmath.workdps(40):
        assert abs(mpmath.mpf(value) / true - 1) < mpmath.mpf(10) ** -18
    chosen = parse(f"where({text.format(f'10**-{n}')} > 0, z, 2*z)")
    assert chosen == (parse("z") if true > 0 else parse("2*z"))


@pytest.mark.parametrize("of", [sp.acosh, sp.log])
def test_what_does_not_settle_is_not_known(of):
    number = of(sp.sin(1) ** 2 + sp.cos(1) ** 2)
    assert bounded.call(lambda: (number.is_positive, number.is_negative), 10.0) == (None, None)
    assert bounded.call(lambda: (number - 1).is_positive, 10.0) in (False, None)


def test_what_sympy_keeps_of_a_number_is_right_whoever_asks_first():
    near = sp.acosh(1 + sp.Rational(1, 10**61))
    assert near.is_zero is False  # as a user of SymPy asks
    assert parse("where(acosh(1 + 10**-61) == 0, 1, z)") == parse("z")


def test_other_callers_get_what_sympy_says_of_what_does_not_settle(monkeypatch):
    monkeypatch.setattr(accuracy, "is_ours", lambda frame: False)
    assert sp.acosh(sp.sin(1) ** 2 + sp.cos(1) ** 2).evalf() == 0


def test_nested_functions_cost_a_few_evaluations_not_a_power():
    """Each of twelve took all precisions of the next: 4^12 evaluations; now the outermost alone takes several."""
    x = sp.Rational(1, 3)
    for _ in range(12):
        x = sp.tanh(x + 1)
    start = time.process_time()
    value = x.evalf(15)
    assert time.process_time() - start < 1
    true = mpmath.mpf(1) / 3
    for _ in range(12):
        true = mpmath.tanh(true + 1)
    assert abs(value - true) < 1e-14


WITHIN = {
    "exp(acosh(1 + 10**-60)) - 1": sp.sqrt(2) / 10**30,
    "tanh(logit(1/2 + 10**-60))": sp.Integer(4) / 10**60,
    "acosh(1 + acosh(1 + 10**-60))": sp.sqrt(2 * sp.sqrt(2) / sp.Integer(10) ** 30),
}
"""A function of digits that are lost, and its value to first order."""


@pytest.mark.parametrize("text", WITHIN)
def test_digits_lost_within_another_function_are_found(text):
    number = parse(text, variables=())
    value, positive = bounded.call(lambda: (number.evalf(20), number.is_positive), 10.0)
    assert abs(value / WITHIN[text].evalf(30) - 1) < sp.Rational(1, 10**14)
    assert positive is True
