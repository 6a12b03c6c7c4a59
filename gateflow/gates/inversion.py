"""Inverses of increasing functions: in closed form where peeling finds one, else by a safeguarded root search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from gateflow.formula.vocabulary import Expr, U, Z, expm1, log1p, logit, sigmoid, softplus, softsign

Array = np.ndarray[Any, np.dtype[np.float64]]


def closed_inverse(expr: Expr, z: sp.Symbol = Z, u: sp.Symbol = U) -> Expr | None:
    """z as a function of u where ``u = expr(z)``, by undoing one operation after another; None where that fails.

    Works when z stands in one place, and for odd extensions ``sign(z) g(|z|)`` of such a g.

    Examples
    --------
    >>> closed_inverse(sp.sinh(2 * Z) / 2)
    asinh(2*u)/2
    >>> closed_inverse(sp.sign(Z) * sp.log(1 + sp.Abs(Z)))
    (exp(Abs(u)) - 1)*sign(u)
    >>> closed_inverse(Z + Z**3) is None
    True
    """
    odd = _odd_part(expr, z)
    if odd is not None:
        size = sp.Symbol("size", positive=True)
        undone = _peel(odd.subs(sp.Abs(z), size), size, sp.Abs(u))
        return None if undone is None else sp.sign(u) * undone
    return _peel(expr, z, u)


def _odd_part(expr: Expr, z: sp.Symbol) -> Expr | None:
    """g where ``expr = sign(z) g(|z|)``."""
    if not expr.is_Mul or sp.sign(z) not in expr.args:
        return None
    rest = expr / sp.sign(z)
    return rest if not rest.subs(sp.Abs(z), U).has(z) else None


def _peel(expr: Expr, z: sp.Symbol, value: Expr) -> Expr | None:
    while expr != z:
        if expr.is_Add or expr.is_Mul:
            rest, inner = expr.as_independent(z, as_Add=bool(expr.is_Add))
            if inner == expr or (inner.is_Add == expr.is_Add and inner.is_Mul == expr.is_Mul):
                return None
            expr, value = inner, value - rest if expr.is_Add else value / rest
            continue
        step = _undo(expr, value)
        if step is None:
            return None
        expr, value = step
    return value


def _undo(expr: Expr, value: Expr) -> tuple[Expr, Expr] | None:
    """One operation taken off: ``f(x) = value`` becomes ``x = f^-1(value)``."""
    if expr.is_Pow and not isinstance(expr, sp.exp):
        base, n = expr.args
        if n.is_Integer and n > 0 and (n % 2 or base.is_positive):
            return base, sp.sign(value) * sp.Abs(value) ** (1 / n)
        return (base, value ** (1 / n)) if n.is_Rational and base.is_positive else None
    if len(expr.args) != 1:
        return None
    inverse = _INVERSES.get(expr.func)
    return None if inverse is None else (expr.args[0], inverse(value))


_INVERSES: dict[Any, Callable[[Expr], Expr]] = {
    sp.sinh: sp.asinh,
    sp.asinh: sp.sinh,
    sp.tanh: sp.atanh,
    sp.atanh: sp.tanh,
    sp.tan: sp.atan,
    sp.exp: sp.log,
    sp.log: sp.exp,
    expm1: log1p,
    log1p: expm1,
    sigmoid: logit,
    logit: sigmoid,
    softplus: lambda v: sp.log(expm1(v)),
    softsign: lambda v: v / (1 - sp.Abs(v)),
}


BESIDE = 1e-12
"""Relative size of a Newton step that is never too long: two floats as near as that lead to each other for ever."""


def increasing_root(
    f: Callable[[Array], Array], log_slope: Callable[[Array], Array], target: Array, steps: int = 200
) -> Array:
    """z with ``f(z) = target`` for increasing f, elementwise: doubling brackets, then Newton held inside by bisection.

    Parameters
    ----------
    f, log_slope : callables on float64 arrays
        The function and the logarithm of its derivative (which may be ``-inf``).
    target : ndarray of float64
        May hold infinities, whose roots are infinities.

    Returns
    -------
    ndarray
        ``target``'s shape; NaN where no bracket was found within the float range. Where two floats with the root
        between them lead to each other, it is the one on which that many ``steps`` would end.

    Examples
    --------
    A function that is defined on one side of 0 only is taken for infinitely small or large on the other.

    >>> increasing_root(lambda z: z**1.5, lambda z: np.log(1.5) + np.log(z) / 2, np.array([8.0])).round(9)
    array([4.])
    """
    target = np.asarray(target, dtype=np.float64)

    def extended(z: Array) -> Array:
        with np.errstate(all="ignore"):
            value = f(z)
        return np.where(np.isnan(value), np.copysign(np.inf, z), value)

    low, high = _brackets(extended, target)
    z = np.where(np.isfinite(low + high), 0.5 * (low + high), low)
    moved, still = np.full(target.shape, np.inf), np.isfinite(target)
    before = np.full(target.shape, np.nan)
    with np.errstate(all="ignore"):
        for step in range(1, steps + 1):
            residual = extended(z) - target
            held = low, high
            low, high = np.where(residual <= 0, z, low), np.where(residual >= 0, z, high)
            steep = log_slope(z)
            newton = z - residual * np.exp(-steep)
            inside = (newton >= low) & (newton <= high)  # an end may be the root
            inside &= ~np.isposinf(steep) | (residual == 0)  # from where the slope is infinite Newton does not move
            if step % 8 == 0:  # from far above the root of an exponential, Newton goes back by one unit a step
                inside &= np.abs(newton - z) <= np.maximum(moved / 2, BESIDE * np.abs(z))
            following = np.where(inside, newton, _middle(low, high))
            moved = np.abs(following - z)
            beside = moved <= BESIDE * np.minimum(np.abs(z), np.abs(following))  # two that are apart are halved above
            turns = still & beside & (following == before) & (low == held[0]) & (high == held[1])
            still &= (moved > 2e-16 * np.abs(z)) & (low < high) & ~turns
            last = np.where(turns & ((steps - step) % 2 == 0), before, z)
            before, z = z, np.where(still, following, last)
            if not still.any():
                break
        z = np.where(np.isnan(f(z)), np.nan, z)
    return np.where(np.isfinite(target), z, target)


def _middle(low: Array, high: Array) -> Array:
    """The bisection point: geometric between numbers of one sign that are orders of magnitude apart."""
    with np.errstate(all="ignore"):
        geometric = np.sign(low) * np.sqrt(np.abs(low)) * np.sqrt(np.abs(high))
        apart = (low * np.sign(high) > 0) & (
            np.maximum(np.abs(low), np.abs(high)) > 4 * np.minimum(np.abs(low), np.abs(high))
        )
        return np.where(apart, geometric, 0.5 * low + 0.5 * high)


def _brackets(f: Callable[[Array], Array], target: Array) -> tuple[Array, Array]:
    low, high = np.full(target.shape, -1.0), np.full(target.shape, 1.0)
    factor = 2.0
    with np.errstate(all="ignore"):
        for _ in range(60):
            down = (f(low) > target) & np.isfinite(low)
            up = (f(high) < target) & np.isfinite(high)
            if not (down.any() or up.any()):
                break
            low, high = np.where(down, low * factor, low), np.where(up, high * factor, high)
            factor = min(factor * factor, 1e10)
    lost = ~((f(low) <= target) & (f(high) >= target))
    return np.where(lost, np.nan, low), np.where(lost, np.nan, high)
