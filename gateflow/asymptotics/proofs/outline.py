"""What must be shown for an order of saturation and for a rate: which limits, in turn, and what follows from them.

Each decision of docs/theory.md stands here once, and says nothing of how a limit is found: that is for a `Prover`.

- The search answers with `limits.growth` and notes each answer (`growth.Chain`); so a chain is a proof.
- The checker answers with what a certificate claims, once the step is found to be the one asked for
  (`checker.ClaimedChain`); then `mrv`, another algorithm, and big floats look at each claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import sympy as sp

from gateflow.asymptotics.proofs.statements import GAP, TAU, C, L, Refuted, T, constant, formula, same, text_of
from gateflow.formula.vocabulary import Expr, Z, derivative

LOGARITHMS = 12
"""Nested exponentials that the decision of an order goes through."""


class Prover(Protocol):
    """What an outline asks: limits, one after the other, and on which side of 0 a constant is."""

    def ask(self, name: str, sentence: str, expr: Expr) -> Expr:
        """The limit of ``expr`` at +infinity, a step of the proof with this name and sentence."""
        ...

    def sign(self, constant: Expr, /) -> int:
        """1, 0 or -1; raises where that is not proved."""
        ...


def require(prover: Prover, name: str, sentence: str, expr: Expr, wanted: Expr) -> None:
    """Ask for a limit that must be ``wanted``.

    Raises
    ------
    Refuted
        It is another.
    """
    limit = prover.ask(name, sentence, expr)
    infinite = limit.is_infinite or wanted.is_infinite
    if limit != wanted and (infinite or prover.sign(limit - wanted)):
        raise Refuted(f"the limit is {limit}, not {wanted}")


@lru_cache(maxsize=1024)
def slope(f: Expr) -> Expr:
    """``f'`` for large z: the branch of abs and sign is taken before the derivative."""
    x = sp.Symbol("z", positive=True)
    return derivative(f.xreplace({Z: x}), x).xreplace({x: Z})


# --- order of saturation ----------------------------------------------------------------------------------------------


class Decision(NamedTuple):
    """What the limits say of ``R(a) = lim (1 - phi(z))/(1 - psi(a z))`` for all a > 0.

    Attributes
    ----------
    verdict : str
        ``higher``: R is 0; ``lower``: R is infinite; ``equal``: R is 0 below a threshold and infinite above, or
        ``ratio * a**exponent``.
    threshold, exponent, ratio : sympy.Expr or None
    why : str
        The limit that decided between higher and lower, in words.
    """

    verdict: str
    threshold: Expr | None = None
    exponent: Expr | None = None
    ratio: Expr | None = None
    why: str = ""

    @property
    def convex(self) -> bool | None:
        """Germs of one Hardy field are convex through each other exactly where the order is strict."""
        return True if self.verdict in ("higher", "lower") else None

    def swapped(self) -> Decision:
        """The same fact with phi and psi exchanged: R(a) becomes 1/R(1/a)."""
        return Decision(
            {"higher": "lower", "lower": "higher"}.get(self.verdict, self.verdict),
            None if self.threshold is None else _reciprocal(self.threshold),
            self.exponent,
            None if self.ratio is None else _reciprocal(self.ratio),
            self.why,
        )


def _reciprocal(x: Expr) -> Expr:
    return sp.exp(-x.args[0]) if isinstance(x, sp.exp) else 1 / x


def decide_order(f: Expr, g: Expr, prover: Prover) -> Decision:
    """R(a) from the germs ``f = -log(1 - phi)`` and ``g = -log(1 - psi)``, limit by limit.

    No limit with a symbolic a is taken. Put ``p = lim z g'(z)``.

    - p finite: ``g(a z) - g(z) -> p log a``, so ``R(a) = R(1) a^p`` and ``R(1) = exp lim (g - f)`` is one limit.
    - p infinite: R is 0 or infinite except at one threshold a*. Start from X = f, Y = g and look at
      ``rho = lim log Y/log z``:

      - rho infinite: compare log X with log Y instead (``log X - log Y(a z)`` then tends to +-oo off the threshold, so
        the verdict carries back).
      - 0 < rho < oo: ``Y(a z)/Y(z) -> a^rho``, so with ``gamma = lim X/Y`` the threshold is ``gamma^(1/rho)``.
      - rho = 0: ``Y(a z)/Y(z) -> 1``, so ``gamma != 1`` decides; for gamma = 1, ``Y(a z) - Y(z) ~ z Y'(z) log a``,
        hence ``a* = exp lim (X - Y)/(z Y')``.

    Source: docs/theory.md, "Order of saturation".
    """
    if slope(g).has(sp.polygamma):  # no word of the formula language; by L'Hopital's rule the limit is the same
        p = prover.ask("p", "p = lim g/log z", g / sp.log(Z))
    else:
        p = prover.ask("p", "p = lim z g'", Z * slope(g))
    if p.is_finite:
        gap = prover.ask("gap", "log R(1) = lim (g - f)", g - f)
        if gap.is_finite:
            return Decision("equal", exponent=p, ratio=sp.exp(gap))
        return _strict(gap == -sp.oo, f"g - f tends to {gap}")
    X, Y = f, g
    for _ in range(LOGARITHMS):
        rho = prover.ask("rho", "rho = lim log Y/log z", sp.log(Y) / sp.log(Z))
        if rho.is_finite:
            return _decide_at_level(X, Y, rho, prover)
        X, Y = sp.log(X), sp.log(Y)
    raise Refuted(f"more than {LOGARITHMS} nested exponentials")


def _decide_at_level(X: Expr, Y: Expr, rho: Expr, prover: Prover) -> Decision:
    gamma = prover.ask("gamma", "gamma = lim X/Y", X / Y)
    if gamma in (0, sp.oo):
        return _strict(gamma == sp.oo, f"X/Y tends to {gamma}")
    if rho != 0:
        return Decision("equal", threshold=gamma ** (1 / rho))
    side = prover.sign(gamma - 1)
    if side:
        return _strict(side > 0, f"Y is slowly varying and X/Y tends to {text_of(gamma)}")
    shift = prover.ask("shift", "log a* = lim (X - Y)/(z Y')", (X - Y) / (Z * slope(Y)))
    if shift.is_finite:
        return Decision("equal", threshold=sp.exp(shift))
    return _strict(shift == sp.oo, f"(X - Y)/(z Y') tends to {shift}")


def _strict(higher: bool, why: str) -> Decision:
    return Decision("higher" if higher else "lower", why=why)


def prove_germ(letter: str, phi: Expr, germ: Expr, prover: Prover, tail: str = "right") -> None:
    """That ``germ`` stands for ``-log(1 - phi)``, or at the left end for ``-log phi(-z)``, and tends to infinity."""
    rest = 1 - phi if tail == "right" else phi.xreplace({Z: -Z})
    words = "1 - phi" if tail == "right" else "phi(-z)"
    require(prover, f"{letter} is the gate's", f"lim ({words}) exp({letter}) = 1", rest * sp.exp(germ), sp.S.One)
    require(prover, f"{letter} is infinite", f"lim {letter} = oo", germ, sp.oo)


# --- rate -------------------------------------------------------------------------------------------------------------


def prove_time(log_weight: Expr, log_s: Expr, prover: Prover, tail: str = "right") -> None:
    """That s(z) is the scaled time c T tau: ``ds/dz`` over its value by the flow, ``exp(-log_weight)``, tends to 1."""
    words = "phi' ds/dz" if tail == "right" else "phi(-z)^(T-1) phi'(-z) ds/dz"
    require(prover, "time", f"lim log({words}) = 0", log_weight + log_s + sp.log(slope(log_s)), sp.S.Zero)


def find_kappa(f: Expr, prover: Prover) -> Expr:
    """``lim log f'/log f`` (docs/theory.md T6); 1 is the barrier."""
    return prover.ask("kappa", "kappa = lim log f'/log f", sp.log(slope(f)) / sp.log(f))


def prove_law(f: Expr, log_law: Expr, prover: Prover) -> Expr:
    """That the law, its logarithm at s(z), is the distance to go up to a factor that tends to 1; returns the error."""
    error = f + log_law
    require(prover, "rate", "lim (f + log l_hat(s)) = 0", error, sp.S.Zero)
    return error


def prove_rate(statement: Mapping[str, Any], f: Expr, prover: Prover) -> None:
    """What proves a rate: s(z) is the scaled time c T tau, and ``f + log l_hat(s(z))`` tends to 0."""
    phi, tail = formula(statement["gate"]), statement["tail"]
    left = tail == "left"
    rest = phi.xreplace({Z: -Z}) if left else 1 - phi
    falling = -derivative(rest)
    s = formula(statement["implicit"]["s"])
    prove_germ("f", phi, f, prover, tail)
    log_s = log_of_product(s)
    require(prover, "time is infinite", "lim log s = oo", log_s, sp.oo)
    weight = (T - 1) * sp.log(rest) + sp.log(falling) if left else sp.log(falling)
    prove_time(weight, log_s, prover, tail)
    for name, of in (("l", rest), ("distance", rest), ("slope", falling)):
        claimed = statement["implicit"]["l"] if name == "l" else statement[name]
        require(prover, name, f"lim of the gate's over the claimed {name} = 1", of / formula(claimed), sp.S.One)
    kappa = find_kappa(f, prover)
    if not same(kappa, constant(statement["kappa"])):
        raise Refuted(f"kappa is {kappa}")
    if statement["h"] is not None:
        h = formula(statement["h"]).xreplace({L: rest})
        require(prover, "h", "lim h(l)/phi' = 1", h / falling, sp.S.One)
    if statement["hitting_time"] is not None:
        gap = rest**T if left else 1 - phi**T
        tau = formula(statement["hitting_time"]).xreplace({GAP: gap})
        require(prover, "hitting time", "lim c T tau(gap)/s = 1", C * T * tau / s, sp.S.One)
    if statement["rate"] is not None:
        _prove_explicit(statement, f, s, prover)
    if statement["logarithms"] and (left or statement["rate"] is None):
        raise Refuted("only a rate at the right end is put on the ladder of logarithms")


def _prove_explicit(statement: Mapping[str, Any], f: Expr, s: Expr, prover: Prover) -> None:
    l_hat = formula(statement["rate"])
    log_s = log_of_product(s)
    at = {TAU: s / (C * T), sp.log(TAU): log_s - sp.log(C) - sp.log(T), sp.log(C * T * TAU): log_s}
    error = prove_law(f, log_of_product(l_hat.xreplace(at)), prover)
    if statement["next_order"] is not None:
        corrected = f + log_of_product(formula(statement["next_order"]).xreplace(at))
        words = "lim (f + log l_next(s))/(f + log l_hat(s)) = 0"
        require(prover, "next order", words, corrected / error, sp.S.Zero)
    if statement["tail"] == "right":
        _prove_logarithms(int(statement["logarithms"]), l_hat, prover)


def _prove_logarithms(count: int, l_hat: Expr, prover: Prover) -> None:
    """The squared iterated logarithms in the rate, one by one; z stands for tau, and c = T = 1."""
    rest = sp.log(l_hat.xreplace({TAU: Z, C: sp.S.One, T: sp.S.One})) + sp.log(Z)
    level = sp.log(Z)
    for k in range(1, count + 2):
        level = sp.log(level)
        words = f"the power of L_{k}: lim of log(l tau (L_1 ... L_{k - 1})^2)/log L_{k}"
        power = prover.ask(f"ladder {k}", words, rest / level)
        if (power.is_finite and prover.sign(power + 2) == 0) != (k <= count):
            raise Refuted(f"the power of L_{k} is {power}")
        rest += 2 * level


def log_of_product(x: Expr) -> Expr:
    """``log x`` as a sum over the factors; what stands under a power that is no integer is positive."""
    parts = [(factor, *factor.as_base_exp()) for factor in sp.Mul.make_args(sp.powsimp(x))]
    return sp.Add(*(sp.expand_log(sp.log(a)) if e.is_integer else e * _log_of_power(b) for a, b, e in parts))


def _log_of_power(base: Expr) -> Expr:
    return log_of_product(base) if base.is_Mul else sp.expand_log(sp.log(base))
