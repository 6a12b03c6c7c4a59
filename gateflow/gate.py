"""A gate, declared once as a formula; its numbers, derivatives, inverse and LaTeX are derived from it.

Near saturation digits are everything, and one rule keeps them: **evaluate in twice the working precision, round once**.
A gate is two logarithms, ``log phi`` and ``log(1 - phi)``, neither of which cancels or underflows; every other number
is made from them in double-double arithmetic (for float32, in float64) and rounded at the end. An error of one unit in
the last place of u would otherwise cost ``|u|``, up to 745, of them in ``1 - phi = sigmoid(-u)``.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np
import sympy as sp

from gateflow import formula as language
from gateflow._rooms import callable_room
from gateflow.arithmetic import bigfloat, doubledouble, machine
from gateflow.emit import Tape, log_of, log_ratio, sign_of, stable
from gateflow.errors import InvalidArgument
from gateflow.inversion import closed_inverse, increasing_root
from gateflow.registry import Registry
from gateflow.vocabulary import Expr, U, Z, derivative, log1p, sigmoid, softplus

SAMPLES = np.concatenate([np.linspace(-30.0, 30.0, 1201), np.geomspace(31, 1e9, 40), -np.geomspace(31, 1e9, 40)])
"""Where a formula is looked at to see whether it stays in (0, 1) and increases."""

CHUNK = 4096
"""Elements evaluated together in double-double: its temporaries then stay in cache."""


@dataclass(frozen=True)
class Formulas:
    """A gate's formulas as SymPy expressions in :data:`gateflow.vocabulary.Z`, each written so that it does not cancel.

    ``inverse`` is z as a function of the logit profile, in :data:`gateflow.vocabulary.U`, or None.
    """

    u: Expr
    phi: Expr
    phi_c: Expr
    log_phi: Expr
    log_phi_c: Expr
    du: Expr
    log_du: Expr
    d2u: Expr | None
    dphi: Expr
    log_dphi: Expr
    d2phi: Expr
    inverse: Expr | None
    balance: Expr
    """``2 phi - 1``: u is found from it where it is small."""
    whole_logs: tuple[Expr, Expr]
    """``log phi`` and ``log(1 - phi)`` with all digits also where these are near 0, as cases: the forms to print."""
    log_hazards: tuple[Expr, Expr]
    """Logarithms of ``phi'/phi``, for where phi is small, and of ``phi'/(1 - phi)``, for where 1 - phi is."""


class Gate:
    """A gate function phi of the pre-activation z (theory.md §2).

    Parameters
    ----------
    phi : str or SymPy expression, optional
        The gate's value, as a formula in ``z``.
    profile, complement : str or SymPy expression, optional
        The logit profile ``u = log(phi/(1 - phi))``, or ``1 - phi``, in place of ``phi``.
        Give exactly one of the three.
    inverse : str or SymPy expression, optional
        z in closed form, as a formula in the logit profile ``u``; found by itself where z stands in one place.
    name, reference : str, optional
        What it is called and where it comes from.
    parameters : mapping, optional
        Values for the formula's other names.

    Raises
    ------
    FormulaError
        The formula is refused; the message points at the fault.
    InvalidArgument
        Not exactly one formula, or one without z.

    Examples
    --------
    >>> fast = Gate("sigmoid(sinh(z))")
    >>> print(fast.phi_c(5.0))
    5.94...e-33
    >>> print(fast.inverse_c(1e-300))
    7.23...
    """

    declared: str
    expr: Expr
    parameters: Mapping[str, Any]
    name: str
    reference: str
    _text: str
    _inverse: Expr | None

    def __init__(
        self,
        phi: str | Expr | None = None,
        *,
        profile: str | Expr | None = None,
        complement: str | Expr | None = None,
        inverse: str | Expr | None = None,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        reference: str = "",
    ) -> None:
        given = {"phi": phi, "profile": profile, "complement": complement}
        declared = [key for key, value in given.items() if value is not None]
        if len(declared) != 1:
            raise InvalidArgument("a gate is declared by exactly one of phi, profile, complement")
        declaration = given[declared[0]]
        values = MappingProxyType(dict(parameters or {}))
        vars(self).update(declared=declared[0], parameters=values, reference=reference)
        expr = self._parsed(declaration, "z")
        if Z not in expr.free_symbols:
            raise InvalidArgument(f"a gate is a function of z; there is no z in {declaration}")
        text = declaration if isinstance(declaration, str) else language.unparse(expr)
        inverted = None if inverse is None else self._parsed(inverse, "u")
        vars(self).update(expr=expr, _text=text, _inverse=inverted)
        vars(self).update(name=name or self.text)

    def __setattr__(self, attribute: str, value: Any) -> NoReturn:
        raise AttributeError(f"a gate does not change; make another to have another {attribute}")

    def __delattr__(self, attribute: str) -> NoReturn:
        raise AttributeError(f"a gate does not change; {attribute} stays")

    def _parsed(self, declaration: str | Expr | None, variable: str) -> Expr:
        if isinstance(declaration, sp.Basic):
            return declaration
        return language.parse(declaration, variables=(variable,), parameters=self.parameters)  # type: ignore[arg-type]

    @property
    def text(self) -> str:
        """The gate as a formula for phi, readable by :func:`gateflow.formula.parse`."""
        shape = {"phi": "{}", "profile": "sigmoid({})", "complement": "1 - ({})"}[self.declared]
        return shape.format(self._text)

    # --- symbolic ---

    @cached_property
    def is_profile(self) -> bool:
        """Whether phi is ``sigmoid(u)`` of a known formula u, declared so or recognised."""
        return self.declared == "profile" or isinstance(self._value_pair[0], sigmoid)

    @cached_property
    def _value_pair(self) -> tuple[Expr, Expr]:
        """Stable forms of phi and 1 - phi."""
        if self.declared == "profile":
            u = stable(self.expr)
            return sigmoid(u), sigmoid(-u)
        forms = stable(self.expr), stable(1 - self.expr)
        return forms if self.declared == "phi" else forms[::-1]

    @cached_property
    def formulas(self) -> Formulas:
        """All derived formulas."""
        value, complement = self._value_pair
        if self.is_profile:
            u = self.expr if self.declared == "profile" else value.args[0]
            du, d2u = derivative(u), derivative(u, order=2)
            u, log_du = stable(u), log_of(du)
            log_phi, log_phi_c = -softplus(-u), -softplus(u)
            dphi = du * value * complement
            log_dphi = log_du + log_phi + log_phi_c
            balance, whole_logs = sp.tanh(u / 2), (log_phi, log_phi_c)
            d2phi = value * complement * (d2u - du**2 * sp.tanh(u / 2))
        else:
            raw = self.expr if self.declared == "phi" else 1 - self.expr
            dphi, d2u = _factored(derivative(raw)), None
            d2phi = _factored(derivative(dphi))
            balance = stable(sp.expand(2 * raw - 1))
            log_phi, log_phi_c, log_dphi = log_of(value), log_of(complement), log_of(dphi)
            whole_logs = _whole_log(log_phi, complement), _whole_log(log_phi_c, value)
            u, log_du = log_phi - log_phi_c, log_dphi - log_phi - log_phi_c
            du = dphi / (value * complement)
        inverse = closed_inverse(u) if self._inverse is None else stable(self._inverse)
        hazards = log_ratio(log_dphi, log_phi), log_ratio(log_dphi, log_phi_c)
        return Formulas(
            *(u, value, complement, log_phi, log_phi_c, du, log_du, d2u, dphi, log_dphi, d2phi, inverse),
            balance=balance,
            whole_logs=whole_logs,
            log_hazards=hazards,
        )

    @cached_property
    def odd(self) -> bool:
        """Whether the profile is odd, ``phi(-z) = 1 - phi(z)``, as far as the formulas show."""
        value, complement = self._value_pair
        return sp.expand(stable(value.subs(Z, -Z)) - complement) == 0

    @cached_property
    def kinks(self) -> tuple[float, ...]:
        """The z at which the formula changes branch (``abs``, ``sign``, ``where``), where found exactly."""
        expr = self.formulas.u if self.is_profile else self.expr
        edges = {node.args[0] for node in expr.atoms(sp.Abs, sp.sign)}
        edges |= {condition.lhs - condition.rhs for condition in expr.atoms(sp.core.relational.Relational)}
        return tuple(sorted({float(root) for edge in edges for root in _real_roots(edge)}))

    # --- numeric ---

    @cached_property
    def machine(self) -> Numbers:
        """The gate's numbers in plain float64: fast, with the rounding errors of that arithmetic."""
        return Numbers(self, machine)

    @cached_property
    def _double(self) -> Numbers:
        return Numbers(self, doubledouble)

    def at(self, digits: int) -> Numbers:
        """The gate's numbers in big floats of so many decimal digits."""
        return Numbers(self, bigfloat.BigFloat(digits))

    @cached_property
    def _stray(self) -> tuple[float, float] | None:
        """Some z and phi(z) outside [0, 1], if such were found among samples of every magnitude."""
        if self.is_profile:
            return None
        with np.errstate(all="ignore"):
            phi = np.broadcast_to(self.machine._play("value", lambda f: [f.phi], SAMPLES)[0], SAMPLES.shape)
        outside = np.flatnonzero((phi < -1e-9) | (phi > 1 + 1e-9))
        return (float(SAMPLES[outside[0]]), float(phi[outside[0]])) if outside.size else None

    @cached_property
    def _falls(self) -> float | None:
        """Some z at which phi decreases, if such was found among samples of every magnitude."""
        slope = np.broadcast_to(self.machine.dphi(SAMPLES), SAMPLES.shape)
        falling = np.flatnonzero(slope < 0)
        return float(SAMPLES[falling[0]]) if falling.size else None

    def _evaluate(self, x: Any, what: str) -> Any:
        x = _as_float(x)
        if self._stray is not None:
            if what not in ("phi", "phi_c", "dphi", "log_dphi", "d2phi"):
                z, phi = self._stray
                raise InvalidArgument(f"{self.name} has no {what}: it leaves (0, 1), phi({z:g}) = {phi:.3g}")
            what = {"phi": "value", "phi_c": "complement"}.get(what, what)
        if x.dtype == np.float32:
            result = getattr(self.machine, what)(np.asarray(x, dtype=np.float64))
            with np.errstate(all="ignore"):
                result = np.broadcast_to(np.asarray(result), x.shape).astype(np.float32, copy=True)
        else:
            result = np.empty(x.shape)
            flat_in, flat_out = x.reshape(-1), result.reshape(-1)
            for start in range(0, flat_in.size, CHUNK):
                part = slice(start, start + CHUNK)
                number = getattr(self._double, what)(doubledouble.lift(flat_in[part]))
                flat_out[part] = doubledouble.round(number)
        result[np.isnan(x)] = np.nan
        return result[()] if result.ndim == 0 else result

    def u(self, z: Any) -> Any:
        """The logit profile ``log(phi/(1 - phi))``."""
        return self._evaluate(z, "u")

    def phi(self, z: Any) -> Any:
        """The gate's value, in (0, 1)."""
        return self._evaluate(z, "phi")

    def phi_c(self, z: Any) -> Any:
        """``1 - phi(z)``, which underflows only where it is below the smallest float."""
        return self._evaluate(z, "phi_c")

    def log_phi(self, z: Any) -> Any:
        """``log(phi(z))``."""
        return self._evaluate(z, "log_phi")

    def log_phi_c(self, z: Any) -> Any:
        """``log(1 - phi(z))``; never underflows."""
        return self._evaluate(z, "log_phi_c")

    def du(self, z: Any) -> Any:
        """The derivative of the logit profile."""
        return self._evaluate(z, "du")

    def dphi(self, z: Any) -> Any:
        """The derivative of the gate."""
        return self._evaluate(z, "dphi")

    def log_dphi(self, z: Any) -> Any:
        """The logarithm of the absolute derivative."""
        return self._evaluate(z, "log_dphi")

    def d2phi(self, z: Any) -> Any:
        """The second derivative of the gate."""
        return self._evaluate(z, "d2phi")

    def inverse(self, p: Any) -> Any:
        """z with ``phi(z) = p``; the ends 0 and 1 give infinities.

        Raises
        ------
        InvalidArgument
            p lies outside [0, 1].
        """
        return self._inverted(_probability(p, "p"), "inverse")

    def inverse_c(self, q: Any) -> Any:
        """z with ``1 - phi(z) = q``: the inverse to use near saturation, where ``1 - q`` is no float."""
        return self._inverted(_probability(q, "q"), "inverse_c")

    def slope_at(self, loss: Any) -> Any:
        """``h(l) = phi'(phi^-1(1 - l))``: the gate's slope as a function of its own output (theory.md §4)."""
        return self._inverted(_probability(loss, "loss"), "slope_at")

    def _inverted(self, x: np.ndarray, what: str) -> Any:
        """Numbers that need the inverse, which not every formula has."""
        if self._stray is None and self._falls is not None:
            raise InvalidArgument(f"{self.name} has no inverse: phi falls at z = {self._falls:g}")
        result = self._evaluate(x, what)
        lost = np.isnan(result) & ~np.isnan(x)
        if lost.any():
            raise InvalidArgument(
                f"{self.name}: {what}({np.asarray(x)[lost].flat[0]:g}) was not found; is phi onto (0, 1)?"
            )
        return result

    # --- digits ---

    @cached_property
    def _digit_losses(self) -> tuple[np.ndarray, np.ndarray]:
        """Sample points of growing ``|z|`` and the digits of the smaller of phi and 1 - phi that are lost at each."""
        size = np.geomspace(0.5, 1e8, 50)
        z = np.sort(np.concatenate([-size, size]))
        truth, plain = self.at(400), self._double
        lost = np.zeros(z.shape)
        for what in ("phi", "phi_c"):
            exact = getattr(truth, what)(truth.arithmetic.lift(z))
            near = truth.arithmetic.lift(doubledouble.round(getattr(plain, what)(doubledouble.lift(z))))
            right = truth.arithmetic.round(exact)
            error = truth.arithmetic.round(truth.arithmetic.abs(near / exact - truth.arithmetic.lift(1.0)))
            with np.errstate(all="ignore"):
                digits = np.log10(error / np.finfo(float).eps)
            held = (right >= np.finfo(float).tiny) & np.isfinite(right)
            lost = np.maximum(lost, np.where(held & (error > 1e-15), np.minimum(digits, 16.0), 0.0))
        order = np.argsort(np.abs(z), kind="stable")
        return z[order], lost[order]

    @cached_property
    def digits_lost(self) -> float:
        """How many of sixteen digits phi or 1 - phi lose at worst, in float64, where they are representable.

        Measured against 400 digits on 100 points up to ``|z| = 1e8``; 0.0 where nothing cancels.

        Examples
        --------
        >>> gate("fast").digits_lost
        0.0
        >>> round(Gate("1/2 + tanh(z)*erf(z)**2/2").digits_lost)
        16
        """
        if self._stray is not None:
            return 0.0
        return float(self._digit_losses[1].max())

    @cached_property
    def digits_lost_from(self) -> float | None:
        """The smallest ``|z|`` of that measurement with fewer than 15 right digits; None if there is none."""
        if self.digits_lost == 0.0:
            return None
        z, lost = self._digit_losses
        return float(np.abs(z[np.flatnonzero(lost > 1.0)[0]])) if (lost > 1.0).any() else None

    @property
    def digits_sentence(self) -> str:
        """That measurement in words."""
        if self.digits_lost_from is None:
            return "phi and 1 - phi keep their digits near saturation"
        return (
            f"no rule keeps the digits of this formula near saturation: up to {self.digits_lost:.0f} of 16 are lost, "
            f"the first past |z| = {self.digits_lost_from:.2g}; declare the profile or the complement instead"
        )

    # --- identity and display ---

    def _key(self) -> tuple[Any, ...]:
        return self.declared, self.expr, self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Gate) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> tuple[Any, ...]:
        keywords = {
            self.declared: self._text,
            "inverse": self._inverse,
            "name": self.name,
            "parameters": dict(self.parameters),
            "reference": self.reference,
        }
        return _rebuilt, (keywords,)

    def __repr__(self) -> str:
        label = "" if self.name == self.text else f", name={self.name!r}"
        values = f", parameters={dict(self.parameters)!r}" if self.parameters else ""
        return f"Gate({self.text!r}{label}{values})"

    def latex(self) -> str:
        """The declaration as LaTeX, ``\\phi(z) = ...``."""
        body = sigmoid(self.expr) if self.declared == "profile" else self.expr
        left = r"1 - \phi(z)" if self.declared == "complement" else r"\phi(z)"
        return f"{left} = {sp.latex(body)}"

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def _repr_html_(self) -> str:
        from gateflow.card import card

        return card(self)


def _rebuilt(keywords: dict[str, Any]) -> Gate:
    return Gate(**keywords)


def _silent(cls: type) -> type:
    """Every public method without floating-point warnings: the infinities on the way are meant."""
    for name, method in list(vars(cls).items()):
        if callable(method) and not name.startswith("_"):
            setattr(cls, name, np.errstate(all="ignore")(method))
    return cls


@_silent
class Numbers:
    """The numbers of one gate in one arithmetic; arguments and results are numbers of that arithmetic."""

    def __init__(self, gate: Gate, arithmetic: Any) -> None:
        self.gate, self.arithmetic = gate, arithmetic
        self._tapes: dict[str, Tape] = {}

    def _play(self, key: str, exprs: Callable[[Formulas], list[Expr]], x: Any, symbol: sp.Symbol = Z) -> list[Any]:
        if key not in self._tapes:
            self._tapes[key] = Tape(exprs(self.gate.formulas), [symbol])
        return self._tapes[key](self.arithmetic, x)

    def _logs(self, z: Any) -> tuple[Any, Any]:
        """``log phi`` and ``log(1 - phi)``; the larger of the two probabilities is found from the smaller."""
        a = self.arithmetic
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
        a = self.arithmetic
        if self.gate.is_profile:
            return self._play("u", lambda f: [f.u], z)[0]
        log_phi, log_phi_c = self._logs(z)
        balance = self._play("balance", lambda f: [f.balance], z)[0]
        small = a.less(a.abs(balance), a.constant(sp.Rational(1, 4)))
        near = a.atanh(a.where(small, balance, a.constant(0)))
        return a.where(small, near + near, log_phi - log_phi_c)

    def log_phi(self, z: Any) -> Any:
        return self._logs(z)[0]

    def log_phi_c(self, z: Any) -> Any:
        return self._logs(z)[1]

    def value(self, z: Any) -> Any:
        """phi as its formula says, wherever it lies."""
        return self._play("value", lambda f: [f.phi], z)[0]

    def complement(self, z: Any) -> Any:
        return self._play("complement", lambda f: [f.phi_c], z)[0]

    def phi(self, z: Any) -> Any:
        return self.arithmetic.exp(self._logs(z)[0])

    def phi_c(self, z: Any) -> Any:
        return self.arithmetic.exp(self._logs(z)[1])

    def log_du(self, z: Any) -> Any:
        """The logarithm of ``|u'(z)|``; ``-inf`` at a critical point."""
        if self.gate.is_profile:
            return self._play("log_du", lambda f: [f.log_du], z)[0]
        a = self.arithmetic
        log_phi, log_phi_c = self._logs(z)
        left, right, log_dphi = self._play("hazards", lambda f: [*f.log_hazards, f.log_dphi], z)
        result = a.where(a.less(log_phi, log_phi_c), left - log_phi_c, right - log_phi)
        gone = a.lift(np.float64(-np.inf))
        return a.where(a.less_equal(log_dphi, gone) & ~a.less_equal(result, result), gone, result)

    def du(self, z: Any) -> Any:
        return self._signed("sign", lambda f: [_slope_sign(f)], z, self.log_du(z))

    def log_dphi(self, z: Any) -> Any:
        """The logarithm of ``|phi'(z)|``; ``-inf`` where u overflows, since phi' is then smaller than every float."""
        log_phi, log_phi_c = self._logs(z)
        if self.gate.is_profile:
            log_slope = self._play("log_du", lambda f: [f.log_du], z)[0] + (log_phi + log_phi_c)
        else:
            log_slope = self._play("log_dphi", lambda f: [f.log_dphi], z)[0]
            if self.gate._stray is not None:
                return log_slope
        return self._or_gone(log_slope, log_phi + log_phi_c)

    def _or_gone(self, log_size: Any, both: Any) -> Any:
        """``log_size``, or ``-inf`` where ``log phi + log(1 - phi)`` is past the largest float."""
        a = self.arithmetic
        return a.where(a.isfinite(both), log_size, a.lift(np.float64(-np.inf)))

    def dphi(self, z: Any) -> Any:
        return self._signed("sign", lambda f: [_slope_sign(f)], z, self.log_dphi(z))

    def _signed(self, key: str, exprs: Callable[[Formulas], list[Expr]], z: Any, log_size: Any) -> Any:
        """``exp(log_size)`` with the sign of a formula."""
        a = self.arithmetic
        negative = a.less(self._play(key, exprs, z)[0], a.constant(0))
        size = a.exp(log_size)
        return a.where(negative, -size, size)

    def d2phi(self, z: Any) -> Any:
        a = self.arithmetic
        log_phi, log_phi_c = self._logs(z)
        both = log_phi + log_phi_c
        if not self.gate.is_profile:
            log_size = self._play("log_d2phi", lambda f: [log_of(f.d2phi)], z)[0]
            log_size = log_size if self.gate._stray is not None else self._or_gone(log_size, both)
            return self._signed("sign of d2phi", lambda f: [sign_of(f.d2phi)], z, log_size)
        du, log_d2u, log_du = self._play("d2u", lambda f: [f.du, log_of(f.d2u), f.log_du], z)
        d2u = self._signed("sign of d2u", lambda f: [sign_of(_factored(f.d2u))], z, log_d2u)
        turn = a.tanh(self.u(z) / a.constant(2))
        bend = d2u - du * du * turn
        safe = a.isfinite(bend)
        log_bend = a.where(safe, a.log(a.abs(bend)), log_du + log_du + a.log(a.abs(turn)))
        size = a.exp(self._or_gone(log_bend + both, both))
        return a.where(a.less(a.where(safe, bend, -turn), a.constant(0)), -size, size)

    # --- inverses ---

    def z_of_u(self, u: Any) -> Any:
        """z with ``u(z) = u``."""
        if self.gate.formulas.inverse is not None:
            return self._play("inverse", lambda f: [f.inverse], u, U)[0]  # type: ignore[list-item]
        a = self.arithmetic
        plain = self.gate.machine
        start = increasing_root(plain.u, plain.log_du, np.asarray(a.round(u), dtype=np.float64))
        if a is machine:
            return start
        return self._polished(a.lift(start), u)

    def _polished(self, z: Any, u: Any) -> Any:
        """Newton steps from a root right to float64, in this arithmetic."""
        a = self.arithmetic
        for _ in range(2):
            step = (self.u(z) - u) * a.exp(-self.log_du(z))
            z = a.where(a.isfinite(step), z - step, z)
        return z

    def inverse(self, p: Any) -> Any:
        return self.z_of_u(self.arithmetic.logit(p))

    def inverse_c(self, q: Any) -> Any:
        return self.z_of_u(-self.arithmetic.logit(q))

    def log_weight(self, u: Any) -> Any:
        """``log W(u)`` with ``W = (dz/du)**2``, the weight of the flow in the profile (numerics.md)."""
        if self.gate.is_profile and self.gate.formulas.inverse is not None:
            slope = self._play("log_du of u", lambda f: [f.log_du.subs(Z, f.inverse)], u, U)[0]
        else:
            slope = self.log_du(self.z_of_u(u))
        return -(slope + slope)

    def slope_at(self, loss: Any) -> Any:
        a = self.arithmetic
        u = -a.logit(loss)
        if not self.gate.is_profile:
            return a.exp(self.log_dphi(self.z_of_u(u)))
        log_slope = -(self.log_weight(u) / a.constant(2))
        slope = a.exp(log_slope + a.log(loss) + a.log1p(-loss))
        inside = a.less(a.constant(0), loss) & a.less(loss, a.constant(1))
        return a.where(inside | ~a.less_equal(loss, loss), slope, a.constant(0))


def _as_float(x: Any) -> np.ndarray:
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise InvalidArgument(f"a gate takes real numbers, not {array.dtype}")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _probability(x: Any, name: str) -> np.ndarray:
    array = _as_float(x)
    outside = (array < 0) | (array > 1)
    if outside.any():
        raise InvalidArgument(f"{name} must lie in [0, 1]; got {array[outside].flat[0]:g}")
    return array


def _whole_log(log_size: Expr, rest: Expr) -> Expr:
    """The logarithm of a probability, from the rest to 1 where that is small."""
    if rest.has(sp.Piecewise):
        return log_size
    near_one = sp.StrictLessThan(rest, sp.Rational(1, 4), evaluate=False)
    return sp.Piecewise((log1p(-rest), near_one), (log_size, True), evaluate=False)


def _slope_sign(formulas: Formulas) -> Expr:
    return sign_of(_factored(formulas.du) if formulas.d2u is not None else formulas.dphi)


def _factored(expr: Expr) -> Expr:
    """A derivative as a product, so that its zeros are zeros of factors; formulas with cases stay as they are."""
    return stable(expr) if expr.has(sp.Piecewise) else stable(sp.factor(stable(expr)))


def _real_roots(expr: Expr) -> list[Any]:
    if not expr.is_polynomial(Z):
        return []
    return [root for root in sp.roots(sp.Poly(expr, Z), Z) if root.is_real]


GATES = Registry("gate", "gateflow.gates", "make")
"""Every gate of the catalogue, and of other installed packages."""


def gate(name: str | Gate, **parameters: Any) -> Gate:
    """A gate by its name in the catalogue, with its parameters, or by its formula.

    Raises
    ------
    UnknownName
        No gate has this name, and it is no formula.
    InvalidArgument
        The gate has no such parameter, or refuses its value.
    FormulaError
        The formula is refused.

    Examples
    --------
    >>> print(gate("fast", alpha=2).u(1.0))
    1.81...
    >>> gate("fast(alpha=2)") == gate("fast", alpha=2)
    True
    >>> gate("student-t(6)").name
    'student-t(6)'
    >>> print(gate("sigmoid(z**3)").phi(0.0))
    0.5
    """
    if isinstance(name, Gate):
        return name
    if not isinstance(name, str):
        raise InvalidArgument(f"a gate is a name or a formula, not {type(name).__name__}")
    called = _called(name)
    if called is not None:
        key, positional, keywords = called
        return _made(key, positional, {**keywords, **parameters})
    if name in GATES or re.fullmatch(r"[A-Za-z][\w-]*", name.strip()):
        return _made(name, [], parameters)
    return Gate(name, parameters=parameters)


def _called(text: str) -> tuple[str, list[Any], dict[str, Any]] | None:
    """The parts of ``name(numbers)`` for a gate of the catalogue; None where the text is a formula."""
    match = re.fullmatch(r"\s*([A-Za-z][\w-]*)\s*\((.{0,200})\)\s*", text)
    if match is None or match[1] not in GATES:
        return None
    try:
        call = ast.parse(f"f({match[2]})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        return None
    positional = [_number(node) for node in call.args]
    keywords = {str(item.arg): _number(item.value) for item in call.keywords}
    if None in positional:
        return None
    bad = [key for key, value in keywords.items() if value is None]
    if bad:
        raise InvalidArgument(f"gate {match[1]!r}: {bad[0]} must be a number")
    return match[1], positional, keywords


def _number(node: ast.expr) -> int | float | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        value = _number(node.operand)
        return None if value is None else -value if isinstance(node.op, ast.USub) else value
    is_number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
    return node.value if is_number else None  # type: ignore[attr-defined, return-value]


def _made(name: str, positional: list[Any], parameters: Mapping[str, Any]) -> Gate:
    make = GATES[name]
    known = inspect.signature(make).parameters
    listed = f"it has {', '.join(known)}" if known else "it has none"
    for key in parameters:
        if key not in known:
            raise InvalidArgument(f"gate {name!r} has no parameter {key!r}; {listed}")
    if len(positional) > len(known) or set(list(known)[: len(positional)]) & set(parameters):
        raise InvalidArgument(f"gate {name!r}: too many parameters; {listed}")
    for key, value in {**dict(zip(known, positional, strict=False)), **parameters}.items():
        if isinstance(value, (bool, str)) or not np.isfinite(value):
            raise InvalidArgument(f"gate {name!r}: {key} must be a finite number; got {value!r}")
    return make(*positional, **parameters)


callable_room(__name__)
