"""One gate seen through the inverse of another, ``w = psi^-1 o phi``, and what is proved of it by intervals."""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.signs.sign import Signed, Tools, on_compact, on_tail
from gateflow.asymptotics.signs.tails import X
from gateflow.errors import GateflowError
from gateflow.formula.vocabulary import Expr, U, Z, derivative
from gateflow.gates.gate import Gate

MOST = 300
"""Operations of a formula up to which a proof is tried."""


def is_steeper(phi: Gate, psi: Gate, z0: float, seconds: float) -> bool:
    """Whether it is proved that phi is steeper than psi at equal output, ``w' >= 1``, for all z from z0 on.

    By bounds on w'; or, where they meet at z0, since w' is 1 there and w is convex.
    """
    if _proved(lambda: slope(phi, psi) - 1, z0, sp.oo, seconds):
        return True
    return _is_at_least_1(phi, psi, z0) and is_convex(phi, psi, z0, float("inf"), seconds)


def _is_at_least_1(phi: Gate, psi: Gate, z0: float) -> bool:
    try:
        return bool((slope(phi, psi).subs(Z, sp.Rational(z0)) >= 1) == True)  # noqa: E712 - SymPy may not know
    except (Undecided, GateflowError, TypeError):
        return False


def is_convex(phi: Gate, psi: Gate, z0: float, end: float, seconds: float) -> bool:
    """Whether it is proved that w is convex on [z0, end]; ``end`` may be infinite."""
    return _proved(lambda: derivative(slope(phi, psi)), z0, end, seconds)


def slope(phi: Gate, psi: Gate) -> Expr:
    """w' in z.

    Raises
    ------
    Undecided
        psi has no closed inverse.

    Examples
    --------
    >>> from gateflow.gates.gate import gate
    >>> slope(gate("fast"), gate("sigmoid"))
    cosh(z)
    """
    if psi.formulas.inverse is None:
        raise Undecided(f"{psi.name} has no inverse in closed form")
    w = psi.formulas.inverse.subs(U, phi.formulas.u)
    return phi.formulas.du / psi.formulas.du.subs(Z, w)


def _proved(formula: Callable[[], Expr], low: float, high: float, seconds: float) -> bool:
    """Whether a formula in z is at least 0 on [low, high], and 0 at isolated points only."""
    try:
        expr = formula()
        if sp.count_ops(expr) > MOST:
            return False
        tools = Tools.new(seconds)
        start, end = sp.Rational(low), sp.oo if high == float("inf") else sp.Rational(high)
        if start < 0:
            mirrored = Signed(expr.subs(Z, -X), tools)
            below = on_compact(mirrored, max(-end, sp.S.Zero), -start, 1, explain=False)
            if below.verdict != "proved" or end <= 0:
                return below.verdict == "proved"
            start = sp.S.Zero
        rest = Signed(expr.subs(Z, X), tools)
        if end == sp.oo:
            tail = on_tail(rest, start, 1)
            if tail.sign != 1 or tail.start is None:
                return False
            end = max(tail.start, start)
        return end <= start or on_compact(rest, start, end, 1, explain=False).verdict == "proved"
    except (Undecided, GateflowError, TypeError):  # TypeError: a constant that SymPy writes with roots of -1
        return False
