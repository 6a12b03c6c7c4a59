"""What must be shown for an order of saturation and for a rate: which limits, in turn, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp

from gateflow.asymptotics.proofs import enclosures
from gateflow.asymptotics.proofs.mrv import Unproved
from gateflow.asymptotics.proofs.statements import GAP, TAU, C, L, Refuted, T, constant, formula, require, same
from gateflow.formula.vocabulary import Expr, Z, derivative

Ask = Callable[[str, str, Expr], Expr]
"""``ask(name, sentence, expression)`` returns the limit of the expression at +infinity."""


def order_walk(f: Expr, g: Expr, ask: Ask) -> dict[str, Any]:
    """The decision on R(a) for germs f of phi and g of psi (docs/theory.md, "Order of saturation"), limit by limit.

    Returns verdict, threshold, exponent and ratio.
    """
    p = ask("p", "p = lim z g'", Z * sp.diff(g, Z))
    if p.is_finite:
        gap = ask("gap", "log R(1) = lim (g - f)", g - f)
        if gap.is_finite:
            return _found("equal", exponent=p, ratio=sp.exp(gap))
        return _found("higher" if gap == -sp.oo else "lower")
    F, G = f, g
    for _ in range(12):
        rho = ask("rho", "rho = lim log G/log z", sp.log(G) / sp.log(Z))
        if rho.is_finite:
            return _at_level(F, G, rho, ask)
        F, G = sp.log(F), sp.log(G)
    raise Refuted("more than 12 logarithms")


def _at_level(F: Expr, G: Expr, rho: Expr, ask: Ask) -> dict[str, Any]:
    kappa = ask("kappa", "kappa = lim F/G", F / G)
    if kappa in (0, sp.oo):
        return _found("higher" if kappa == sp.oo else "lower")
    if rho != 0:
        return _found("equal", threshold=kappa ** (1 / rho))
    if not same(kappa, sp.S.One):
        side = enclosures.sign_of(kappa - 1)
        if not side:
            raise Unproved(f"whether {kappa} is above 1")
        return _found("higher" if side > 0 else "lower")
    shift = ask("shift", "log a* = lim (F - G)/(z G')", (F - G) / (Z * sp.diff(G, Z)))
    if shift.is_finite:
        return _found("equal", threshold=sp.exp(shift))
    return _found("higher" if shift == sp.oo else "lower")


def _found(
    verdict: str, threshold: Expr | None = None, exponent: Expr | None = None, ratio: Expr | None = None
) -> dict[str, Any]:
    return {"verdict": verdict, "threshold": threshold, "exponent": exponent, "ratio": ratio}


def swapped(found: Mapping[str, Any]) -> dict[str, Any]:
    """The same fact with phi and psi exchanged: R(a) becomes 1/R(1/a)."""
    turned = {"higher": "lower", "lower": "higher"}
    return {
        "verdict": turned.get(found["verdict"], found["verdict"]),
        "threshold": None if found["threshold"] is None else 1 / found["threshold"],
        "exponent": found["exponent"],
        "ratio": None if found["ratio"] is None else 1 / found["ratio"],
    }


def germ_walk(letter: str, phi: Expr, germ: Expr, ask: Ask, tail: str = "right") -> None:
    """That ``germ`` stands for ``-log(1 - phi)``, or at the left end for ``-log phi(-z)``, and tends to infinity."""
    rest = 1 - phi if tail == "right" else phi.xreplace({Z: -Z})
    words = "1 - phi" if tail == "right" else "phi(-z)"
    require(ask(f"{letter} is the gate's", f"lim ({words}) exp({letter}) = 1", rest * sp.exp(germ)), sp.S.One)
    require(ask(f"{letter} is infinite", f"lim {letter} = oo", germ), sp.oo)


def rate_walk(statement: Mapping[str, Any], f: Expr, ask: Ask) -> None:
    """What proves a rate: s(z) is the scaled time c T tau, and ``f + log l_hat(s(z))`` tends to 0."""
    phi, left = formula(statement["gate"]), statement["tail"] == "left"
    rest = phi.xreplace({Z: -Z}) if left else 1 - phi
    slope = -derivative(rest)
    s = formula(statement["implicit"]["s"])
    germ_walk("f", phi, f, ask, statement["tail"])
    log_s = log_of_product(s)
    require(ask("time is infinite", "lim log s = oo", log_s), sp.oo)
    weight = (T - 1) * sp.log(rest) + sp.log(slope) if left else sp.log(slope)
    words = "phi(-z)^(T-1) phi'(-z) ds/dz" if left else "phi' ds/dz"
    require(ask("time", f"lim log({words}) = 0", weight + log_s + sp.log(sp.diff(log_s, Z))), sp.S.Zero)
    for name, of in (("l", rest), ("distance", rest), ("slope", slope)):
        claimed = statement["implicit"]["l"] if name == "l" else statement[name]
        require(ask(name, f"lim of the gate's over the claimed {name} = 1", of / formula(claimed)), sp.S.One)
    kappa = ask("kappa", "kappa = lim log f'/log f", sp.log(sp.diff(f, Z)) / sp.log(f))
    if not same(kappa, constant(statement["kappa"])):
        raise Refuted(f"kappa is {kappa}")
    if statement["h"] is not None:
        h = formula(statement["h"]).xreplace({L: rest})
        require(ask("h", "lim h(l)/phi' = 1", h / slope), sp.S.One)
    if statement["hitting_time"] is not None:
        gap = rest**T if left else 1 - phi**T
        tau = formula(statement["hitting_time"]).xreplace({GAP: gap})
        require(ask("hitting time", "lim c T tau(gap)/s = 1", C * T * tau / s), sp.S.One)
    if statement["rate"] is not None:
        _explicit_walk(statement, f, s, ask)
    if statement["logarithms"] and (left or statement["rate"] is None):
        raise Refuted("only a rate at the right end is put on the ladder of logarithms")


def _explicit_walk(statement: Mapping[str, Any], f: Expr, s: Expr, ask: Ask) -> None:
    l_hat = formula(statement["rate"])
    log_s = log_of_product(s)
    at = {TAU: s / (C * T), sp.log(TAU): log_s - sp.log(C) - sp.log(T), sp.log(C * T * TAU): log_s}
    error = f + log_of_product(l_hat.xreplace(at))
    require(ask("rate", "lim (f + log l_hat(s)) = 0", error), sp.S.Zero)
    if statement["next_order"] is not None:
        corrected = f + log_of_product(formula(statement["next_order"]).xreplace(at))
        name, words = "next order", "lim (f + log l_next(s))/(f + log l_hat(s)) = 0"
        require(ask(name, words, corrected / error), sp.S.Zero)
    if statement["tail"] == "right":
        _ladder_walk(int(statement["logarithms"]), l_hat, ask)


def _ladder_walk(count: int, l_hat: Expr, ask: Ask) -> None:
    """The squared iterated logarithms in the rate, one by one; z stands for tau, and c = T = 1."""
    rest = sp.log(l_hat.xreplace({TAU: Z, C: sp.S.One, T: sp.S.One})) + sp.log(Z)
    level = sp.log(Z)
    for k in range(1, count + 2):
        level = sp.log(level)
        power = ask(
            f"ladder {k}", f"the power of L_{k}: lim of log(l tau (L_1 ... L_{k - 1})^2)/log L_{k}", rest / level
        )
        if (power == -2) != (k <= count):
            raise Refuted(f"the power of L_{k} is {power}")
        rest += 2 * level


def log_of_product(x: Expr) -> Expr:
    """``log x`` as a sum over the factors; what stands under a power that is no integer is positive."""
    parts = [(factor, *factor.as_base_exp()) for factor in sp.Mul.make_args(sp.powsimp(x))]
    return sp.Add(*(sp.expand_log(sp.log(a)) if e.is_integer else e * _log_of_power(b) for a, b, e in parts))


def _log_of_power(base: Expr) -> Expr:
    return log_of_product(base) if base.is_Mul else sp.expand_log(sp.log(base))
