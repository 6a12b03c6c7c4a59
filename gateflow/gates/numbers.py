"""The numbers of one gate in one arithmetic: what the formulas say, put together so that no digit is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import sympy as sp

from gateflow.arithmetic import BigFloat, float64, named
from gateflow.codegen import Tape, log_composed, log_of, sign_of
from gateflow.formula.vocabulary import Expr, U, Z
from gateflow.gates.derivation import Formulas, factored
from gateflow.gates.holes import Filled, filled
from gateflow.gates.inversion import increasing_root

Kind = TypeVar("Kind")


def _silent(cls: type[Kind]) -> type[Kind]:
    """Every public method without floating-point warnings: the infinities on the way are meant."""
    for name, method in list(vars(cls).items()):
        if callable(method) and not name.startswith("_"):
            setattr(cls, name, float64.quiet(method))
    return cls


def _unfilled(exprs: list[Expr], symbol: sp.Symbol) -> Tape:
    return Tape(exprs, [symbol])


def _again(gate: Any, name: str) -> Numbers:
    return Numbers(gate, named(name))


@_silent
class Numbers:
    """The numbers of one gate in one arithmetic; arguments and results are numbers of that arithmetic."""

    def __init__(self, gate: Any, arithmetic: Any) -> None:
        self.gate: Any = gate
        self.arithmetic: Any = arithmetic
        self._inside: Any = float64.INSIDE if arithmetic is float64 else arithmetic

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.gate, self.arithmetic.name)

    def _play(self, key: str, exprs: Callable[[Formulas], list[Expr]], x: Any, symbol: sp.Symbol = Z) -> list[Any]:
        """The outputs of the gate's tape of this name, which all arithmetics share."""
        return self._tape(key, exprs, symbol)(self.arithmetic, x)

    def _tape(self, key: str, exprs: Callable[[Formulas], list[Expr]], symbol: sp.Symbol = Z) -> Tape | Filled:
        tapes: dict[Any, Tape | Filled] = self.gate.tapes
        big = isinstance(self.arithmetic, BigFloat)  # in which holes are not filled, and are not looked for
        found = tapes.get(key) or (tapes.get((key, "big")) if big else None)
        if found is None:
            made = _unfilled if big else filled
            found = self.gate.within_bounds(lambda: made(exprs(self.gate.formulas), symbol), key)
            tapes[(key, "big") if big else key] = found
        return found

    def _logs(self, z: Any) -> tuple[Any, Any]:
        """``log phi`` and ``log(1 - phi)``; the larger of the two probabilities is found from the smaller."""
        a = self._inside
        if self.gate.is_profile:
            u = self.u(z)
            return -a.softplus(-u), -a.softplus(u)
        log_value, log_rest = self._play("logs", lambda f: [f.log_phi, f.log_phi_c], z)
        below = a.less(log_value, log_rest)
        small = a.where(below, log_value, log_rest)
        large = a.log1mexp(-small)
        return a.where(below, small, large), a.where(below, large, small)

    def u(self, z: Any) -> Any:
        """``log phi - log(1 - phi)``; where that is small, from ``2 phi - 1 = tanh(u/2)``."""
        if self.gate.is_profile:
            return self._play("u", lambda f: [f.u], z)[0]
        return self._u_from(z, *self._logs(z))

    def _u_from(self, z: Any, log_phi: Any, log_phi_c: Any) -> Any:
        """The same of a gate that declares no profile; a balance that is 0 by an overflow is not that of the two."""
        a = self._inside
        balance = self._play("balance", lambda f: [f.balance], z)[0]
        apart = log_phi - log_phi_c
        small = a.less(a.abs(balance), a.constant(sp.Rational(1, 4))) & ~a.less(a.constant(1), a.abs(apart))
        near = a.atanh(a.where(small, balance, a.constant(0)))
        return a.where(small, near + near, apart)

    def log_phi(self, z: Any) -> Any:
        return self._logs(z)[0]

    def log_phi_c(self, z: Any) -> Any:
        return self._logs(z)[1]

    def value(self, z: Any) -> Any:
        """phi as its formula says, wherever it lies."""
        return self._play("value", lambda f: [f.phi], z)[0]

    def complement(self, z: Any) -> Any:
        return self._play("complement", lambda f: [f.phi_c], z)[0]

    def probabilities(self, z: Any) -> tuple[Any, Any]:
        """phi and 1 - phi."""
        log_phi, log_phi_c = self._logs(z)
        return self._inside.exp(log_phi), self._inside.exp(log_phi_c)

    def phi(self, z: Any) -> Any:
        return self._inside.exp(self._logs(z)[0])

    def phi_c(self, z: Any) -> Any:
        return self._inside.exp(self._logs(z)[1])

    def log_du(self, z: Any) -> Any:
        """The logarithm of ``|u'(z)|``; ``-inf`` at a critical point."""
        if self.gate.is_profile:
            return self._play("log_du", lambda f: [f.log_du], z)[0]
        return self._log_du_from(z, *self._logs(z))

    def _log_du_from(self, z: Any, log_phi: Any, log_phi_c: Any) -> Any:
        """The same of a gate that declares no profile."""
        a = self._inside
        left, right, log_dphi = self._play("hazards", lambda f: [*f.log_hazards, f.log_dphi], z)
        result = a.where(a.less(log_phi, log_phi_c), left - log_phi_c, right - log_phi)
        gone = a.lift(np.float64(-np.inf))
        return a.where(a.less_equal(log_dphi, gone) & ~a.less_equal(result, result), gone, result)

    def _u_and_log_du(self, z: Any) -> tuple[Any, Any]:
        """Both, from the same logarithms."""
        if self.gate.is_profile:
            return self.u(z), self.log_du(z)
        logs = self._logs(z)
        return self._u_from(z, *logs), self._log_du_from(z, *logs)

    def du(self, z: Any) -> Any:
        return self._with_sign_of_slope(z, self.log_du(z))

    def log_dphi(self, z: Any) -> Any:
        """The logarithm of ``|phi'(z)|``; ``-inf`` where u overflows, since phi' is then smaller than every float."""
        log_phi, log_phi_c = self._logs(z)
        log_slope = self.log_declared_slope(z)
        if self.gate.is_profile:
            log_slope = log_slope + (log_phi + log_phi_c)
        elif self.gate.value_outside is not None:
            return log_slope
        return self._or_gone(log_slope, log_phi + log_phi_c)

    def log_declared_slope(self, z: Any) -> Any:
        """The logarithm of ``|u'|``, or of ``|phi'|`` where there is no profile, as its formula says."""
        if self.gate.is_profile:
            return self._play("log_du", lambda f: [f.log_du], z)[0]
        return self._play("log_dphi", lambda f: [f.log_dphi], z)[0]

    def _or_gone(self, log_size: Any, both: Any) -> Any:
        """``log_size``, or ``-inf`` where ``log phi + log(1 - phi)`` is past the largest float, and a number."""
        a = self._inside
        return a.where(a.isfinite(both) | ~a.less_equal(both, both), log_size, a.lift(np.float64(-np.inf)))

    def dphi(self, z: Any) -> Any:
        return self._with_sign_of_slope(z, self.log_dphi(z))

    def _with_sign_of_slope(self, z: Any, log_size: Any) -> Any:
        """``exp(log_size)`` with the sign of phi'; about a hole that of what fills it: its formula cancels."""
        a = self._inside
        falls = a.less(self._play("sign", lambda f: [f.slope_sign], z)[0], a.constant(0))
        slope = self._tape("slope", lambda f: [f.du if self.gate.is_profile else f.dphi])
        if isinstance(slope, Filled) and not isinstance(self.arithmetic, BigFloat):
            below = a.less(slope(self.arithmetic, z)[0], a.constant(0))
            for filling in slope.fillings:
                _, inside = filling.place(a, z)
                falls = (inside & below) | (~inside & falls)
        size = a.exp(log_size)
        return a.where(falls, -size, size)

    def _signed(self, key: str, exprs: Callable[[Formulas], list[Expr]], z: Any, log_size: Any) -> Any:
        """``exp(log_size)`` with the sign of a formula."""
        a = self._inside
        negative = a.less(self._play(key, exprs, z)[0], a.constant(0))
        size = a.exp(log_size)
        return a.where(negative, -size, size)

    def d2phi(self, z: Any) -> Any:
        a = self._inside
        log_phi, log_phi_c = self._logs(z)
        both = log_phi + log_phi_c
        if not self.gate.is_profile:
            log_size = self._play("log_d2phi", lambda f: [log_of(f.d2phi)], z)[0]
            log_size = log_size if self.gate.value_outside is not None else self._or_gone(log_size, both)
            return self._signed("sign of d2phi", lambda f: [sign_of(f.d2phi)], z, log_size)
        du, log_d2u, log_du = self._play("d2u", lambda f: [f.du, log_of(f.d2u), f.log_du], z)
        d2u = self._signed("sign of d2u", lambda f: [sign_of(factored(f.d2u))], z, log_d2u)
        turn = a.tanh(self.u(z) / a.constant(2))
        bend = du * du * turn
        curvature = d2u - bend
        safe = a.isfinite(curvature) | a.isfinite(bend)  # where u'' is infinite, phi'' is too
        log_curvature = a.where(safe, a.log(a.abs(curvature)), log_du + log_du + a.log(a.abs(turn)))
        size = a.exp(self._or_gone(log_curvature + both, both))
        return a.where(a.less(a.where(safe, curvature, -turn), a.constant(0)), -size, size)

    def d2_log_phi(self, z: Any) -> Any:
        """The second derivative of ``log phi``: ``(1 - phi)(u'' - u'**2 phi)``."""
        return self._d2_log(z, *self._logs(z), turned=False)

    def d2_log_phi_c(self, z: Any) -> Any:
        """The second derivative of ``log(1 - phi)``: ``-phi (u'' + u'**2 (1 - phi))``."""
        return self._d2_log(z, *self._logs(z)[::-1], turned=True)

    def _d2_log(self, z: Any, log_one: Any, log_other: Any, turned: bool) -> Any:
        """That of the logarithm ``log_one`` of a probability; ``log_other`` is that of the other."""
        a = self._inside
        if not self.gate.is_profile:
            d2phi, log_rate = self.d2phi(z), self.log_dphi(z) - log_one
            return (-d2phi if turned else d2phi) * a.exp(-log_one) - a.exp(log_rate + log_rate)
        _, log_d2u, log_du = self._play("d2u", lambda f: [f.du, log_of(f.d2u), f.log_du], z)
        bend = self._signed("sign of d2u", lambda f: [sign_of(factored(f.d2u))], z, log_d2u + log_other)
        return (-bend if turned else bend) - a.exp(log_du + log_du + log_one + log_other)

    # --- inverses ---

    def z_of_u(self, u: Any) -> Any:
        """z with ``u(z) = u``."""
        if self.gate.formulas.inverse is not None:
            return self._play("inverse", lambda f: [f.inverse], u, U)[0]  # type: ignore[list-item]
        a = self._inside
        plain = self.gate.float64
        start = increasing_root(plain.u, plain.log_du, np.asarray(a.round(u), dtype=np.float64))
        if self.arithmetic is float64:
            return start
        return self._polished(a.lift(start), u)

    def _polished(self, z: Any, u: Any) -> Any:
        """Newton steps from a root right to float64, in this arithmetic."""
        a = self._inside
        for _ in range(2):
            here, log_du = self._u_and_log_du(z)
            step = (here - u) * a.exp(-log_du)
            z = a.where(a.isfinite(step), z - step, z)
        return z

    def inverse(self, p: Any) -> Any:
        return self.z_of_u(self._inside.logit(p))

    def inverse_c(self, q: Any) -> Any:
        return self.z_of_u(-self._inside.logit(q))

    def log_weight(self, u: Any) -> Any:
        """``log W(u)`` with ``W = (dz/du)**2``, the weight of the flow in the profile (numerics.md)."""
        if self.gate.is_profile and self.gate.formulas.inverse is not None:
            slope = self._play("log_du of u", lambda f: [log_composed(f.log_du.subs(Z, f.inverse))], u, U)[0]
        else:
            slope = self.log_du(self.z_of_u(u))
        return -(slope + slope)

    def slope_at(self, loss: Any) -> Any:
        a = self._inside
        u = -a.logit(loss)
        if not self.gate.is_profile:
            return a.exp(self.log_dphi(self.z_of_u(u)))
        log_slope = -(self.log_weight(u) / a.constant(2))
        slope = a.exp(log_slope + a.log(loss) + a.log1p(-loss))
        inside = a.less(a.constant(0), loss) & a.less(loss, a.constant(1))
        return a.where(inside | ~a.less_equal(loss, loss), slope, a.constant(0))
