"""The decision of an order stands once, for search and checker: it is held against the definition, in big floats."""

from __future__ import annotations

import itertools

import mpmath
import pytest
import sympy as sp

from gateflow.asymptotics.limits.growth import Chain, Field
from gateflow.asymptotics.proofs.outline import decide_order
from gateflow.formula.vocabulary import Z as z

FAR = ("1e6", "1e12", "1e24", "1e48")
NEAR = ("20", "40", "80", "160")
log_z = sp.log(z)

BRANCHES = {
    "a power tail with a ratio": (3 * log_z + sp.log(1 + 1 / z), 3 * log_z + sp.log(5), FAR),
    "a power tail of another exponent": (3 * log_z, 2 * log_z, FAR),
    "a power tail below a faster one": (2 * log_z, 3 * log_z, FAR),
    "a threshold from X/Y": (2 * z, z, FAR),
    "a threshold from a root of X/Y": (9 * z**2 + z, z**2, FAR),
    "X/Y is infinite": (z**2, z, FAR),
    "X/Y is 0": (z, z**2, FAR),
    "slow variation, X/Y above 1": (2 * log_z**2, log_z**2, FAR),
    "slow variation, X/Y below 1": (log_z**2, 2 * log_z**2, FAR),
    "slow variation, a threshold from the shift": (log_z**2 + 2 * sp.log(3) * log_z, log_z**2, FAR),
    "slow variation, the shift is infinite": (log_z**2 + log_z ** sp.Rational(3, 2), log_z**2, FAR),
    "slow variation, the shift is -oo": (log_z**2 - log_z ** sp.Rational(3, 2), log_z**2, FAR),
    "a threshold one exponential up": (sp.exp(3 * z), sp.exp(z), NEAR),
    "one exponential up, higher": (sp.exp(z**2), sp.exp(z), NEAR),
    "a factor before an exponential moves no threshold": (z**5 * sp.exp(z), sp.exp(z), NEAR),
    "a threshold two exponentials up": (sp.exp(sp.exp(2 * z)), sp.exp(sp.exp(z)), ("3", "6", "12", "24")),
}


def differences(f, g, scale, points):
    """``g(a z) - f(z)``, the logarithm of (1 - phi(z))/(1 - psi(a z)), at each z."""
    f, g = (sp.lambdify(z, germ, "mpmath") for germ in (f, g))
    with mpmath.workdps(80):
        a = mpmath.mpf(sp.N(scale, 60))
        return [g(a * at) - f(at) for at in map(mpmath.mpf, points)]


def goes_to(values, side):
    return all(side * value > 3 for value in values) and all(side * (y - x) > 0 for x, y in itertools.pairwise(values))


@pytest.mark.parametrize("branch", BRANCHES)
def test_what_follows_from_the_limits_is_what_the_definition_says(branch):
    f, g, points = BRANCHES[branch]
    found = decide_order(f, g, Chain(Field(z)))
    if found.ratio is not None:
        for a in (sp.Rational(1, 4), 1, 4):
            with mpmath.workdps(60):
                limit = mpmath.mpf(sp.N(sp.log(found.ratio) + found.exponent * sp.log(a), 60))
                assert abs(differences(f, g, a, points)[-1] - limit) < mpmath.mpf("1e-40")
    elif found.threshold is not None:
        assert goes_to(differences(f, g, found.threshold * sp.Rational(1, 2), points), -1)
        assert goes_to(differences(f, g, found.threshold * 2, points), 1)
    else:
        for a in (sp.Rational(2, 3), 1, sp.Rational(3, 2)):
            assert goes_to(differences(f, g, a, points), {"higher": -1, "lower": 1}[found.verdict])


@pytest.mark.parametrize("branch", BRANCHES)
def test_the_order_told_the_other_way_round_is_the_order_of_the_pair_exchanged(branch):
    f, g, _ = BRANCHES[branch]
    one, other = decide_order(f, g, Chain(Field(z))).swapped(), decide_order(g, f, Chain(Field(z)))
    assert (one.verdict, one.exponent) == (other.verdict, other.exponent)
    for a, b in ((one.threshold, other.threshold), (one.ratio, other.ratio)):
        assert a == b or sp.simplify(a / b) == 1


def test_the_branches_are_all():
    """Each question of the outline is asked, and each verdict given."""
    chains = [Chain(Field(z)) for _ in BRANCHES]
    found = [decide_order(f, g, chain) for (f, g, _), chain in zip(BRANCHES.values(), chains, strict=True)]
    assert {step["name"] for chain in chains for step in chain} == {"p", "gap", "rho", "gamma", "shift"}
    assert {decision.verdict for decision in found} == {"higher", "lower", "equal"}
