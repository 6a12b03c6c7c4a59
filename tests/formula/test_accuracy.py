"""SymPy's digits, signs and comparisons of constants near a zero or a pole, against big floats."""

from __future__ import annotations

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
