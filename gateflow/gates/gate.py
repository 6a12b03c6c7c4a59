"""A gate, declared once as a formula; its numbers, derivatives, inverse and LaTeX are derived from it.

Near saturation digits are everything, and one rule keeps them: **evaluate in twice the working precision, round once**.
A gate is two logarithms, ``log phi`` and ``log(1 - phi)``, neither of which cancels or underflows; every other number
is made from them in double-double arithmetic (for float32, in float64) and rounded at the end. An error of one unit in
the last place of u would otherwise cost ``|u|``, up to 745, of them in ``1 - phi = sigmoid(-u)``.
"""

from __future__ import annotations

import inspect
import math
import numbers
import re
from collections import ChainMap
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

import numpy as np
import sympy as sp

from gateflow import formula as language
from gateflow.arithmetic import bigfloat, decimals, doubledouble, float64
from gateflow.codegen import Tape, stable
from gateflow.errors import FormulaError, GateflowError, InvalidArgument, cut, shown
from gateflow.files import is_unicode
from gateflow.formula.spelling import placed, spelled
from gateflow.formula.vocabulary import SYMBOLIC, Expr, U, Z, log1p, logit, sigmoid
from gateflow.gates.derivation import Formulas
from gateflow.gates.digits import losses
from gateflow.gates.kinks import changes_of_branch, is_mirrored
from gateflow.gates.numbers import Numbers
from gateflow.gates.once import derived_once, within_bounds
from gateflow.gates.published import DECAYS
from gateflow.guards.arguments import reals
from gateflow.registry import Registry

T = TypeVar("T")

SAMPLES = np.concatenate([np.linspace(-30.0, 30.0, 1201), np.geomspace(31, 1e9, 40), -np.geomspace(31, 1e9, 40)])
"""Where a formula is looked at to see whether it stays in (0, 1) and increases."""

DROP = 1e-6
"""What phi, or its profile, has to fall by between two samples, beside its size; the rest may be rounding."""

CONFIRMED = 16
"""Samples that big floats look at together, until they agree on one."""

MENDING = 60
"""Digits of the big floats that step in where double-double finds no number."""

ROUNDING = 1e-12
"""How far below 0 rounding may take what stands under a logarithm or a root, for terms of size 1."""

NEAR = 400
"""Digits of the big floats by which a formula is followed towards a point where it is infinite or 0/0."""

DEEP = 1300
"""Digits in which a quotient of powers of the smallest floats is found."""

UNDERFLOW = 1e-90
"""Numbers z below this have powers that are no floats, and a quotient of two of these is lost."""

_OF_PROBABILITY = ("inverse", "inverse_c", "slope_at")

_SLOPES = ("du", "dphi", "log_dphi", "d2phi")
"""What has a value only where phi has one."""

CHUNK = 4096
"""Elements evaluated together in double-double: its temporaries then stay in cache."""


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
        for what, text in (("name", name), ("reference", reference)):
            if text is not None and not isinstance(text, str):
                raise InvalidArgument(f"the {what} of a gate is a text; got {shown(text)}")
        if parameters is not None and not isinstance(parameters, Mapping):
            raise InvalidArgument(f"parameters must be a mapping of names to values; got {shown(parameters)}")
        given = {"phi": phi, "profile": profile, "complement": complement}
        declared = [key for key, value in given.items() if value is not None]
        if len(declared) != 1:
            raise InvalidArgument("a gate is declared by exactly one of phi, profile, complement")
        declaration = given[declared[0]]
        if isinstance(declaration, str) and declaration.strip() in NAMED:
            raise InvalidArgument(
                f"{declaration.strip()!r} is a gate of the catalogue: gateflow.gate({declaration.strip()!r})"
            )
        values = MappingProxyType({**_open_parameters(declaration), **(parameters or {})})
        vars(self).update(declared=declared[0], parameters=values, reference=reference)
        expr, text = self._parsed(declaration, "z")
        if Z not in expr.free_symbols:
            raise InvalidArgument(f"a gate is a function of z; there is no z in {declaration}")
        inverted = None if inverse is None else self._parsed(inverse, "u")[0]
        vars(self).update(expr=expr, _text=text, _inverse=inverted)
        if name is not None and not is_unicode(name):
            raise InvalidArgument(f"the name of a gate must be a text that can be written; got {ascii(name)[:60]}")
        vars(self).update(name=name or self.text)

    def __setattr__(self, attribute: str, value: Any) -> NoReturn:
        raise AttributeError(f"a gate does not change; make another to have another {attribute}")

    def __delattr__(self, attribute: str) -> NoReturn:
        raise AttributeError(f"a gate does not change; {attribute} stays")

    def _parsed(self, declaration: str | Expr, variable: str) -> tuple[Expr, str]:
        """The formula and its text; an expression is read from its text too, so that its symbols are the real ones."""
        text = language.unparse(declaration) if isinstance(declaration, sp.Basic) else declaration
        return language.parse(text, variables=(variable,), parameters=self.parameters), text

    def within_bounds(self, derive: Callable[[], T], what: str) -> T:
        """What is derived, or a refusal where that takes too long; ``what`` says what it is."""
        return within_bounds(self, derive, what)

    @property
    def text(self) -> str:
        """The gate as a formula for phi, readable by :func:`gateflow.formula.parse`."""
        return self.as_phi(self._text)

    @property
    def spelled(self) -> str:
        """The same with its parameters, as :func:`gate` reads it: ``sigmoid(k*z); k=2``."""
        values = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.text}; {values}" if values else self.text

    def as_phi(self, formula: str) -> str:
        """The text of phi, from that of the formula that the gate is declared by."""
        return {"phi": "{}", "profile": "sigmoid({})", "complement": "1 - ({})"}[self.declared].format(formula)

    # --- symbolic ---

    @cached_property
    def is_profile(self) -> bool:
        """Whether phi is ``sigmoid(u)`` of a known formula u, declared so or recognised."""
        return self._unchecked.is_profile

    @cached_property
    def _unchecked(self) -> Formulas:
        return Formulas(self.expr, self.declared, self._inverse, self.within_bounds)

    @derived_once
    def formulas(self) -> Formulas:
        """All derived formulas, of which each is derived when it is first asked for."""
        if self._inverse is not None:
            self._check_inverse(self._unchecked)
        return self._unchecked

    def _check_inverse(self, made: Formulas) -> None:
        """Refuse an inverse that is not one, by a look at a few points; a gate with symbols is taken at its word."""
        if made.u.free_symbols != {Z}:
            return
        u = np.array([-3.0, -0.5, 0.25, 1.0, 4.0])
        z = Tape([made.inverse], [U])(float64, u)[0]
        back = Tape([made.u], [Z])(float64, z)[0]
        off = np.flatnonzero(np.isfinite(back) & (np.abs(back - u) > 1e-6 * np.abs(u)))
        if off.size:
            raise InvalidArgument(
                f"{self.name}: the inverse given is not that of u(z); u is {back[off[0]]:.6g} at inverse({u[off[0]]:g})"
            )

    @derived_once
    def odd(self) -> bool:
        """Whether the profile is odd, ``phi(-z) = 1 - phi(z)``, as far as the formulas show."""
        value, complement = self._unchecked.pair
        return is_mirrored(value, complement, self.kinks if value.has(sp.Piecewise) else ())

    @derived_once
    def kinks(self) -> tuple[float, ...]:
        """The z at which the formula changes branch (``abs``, ``sign``, ``softsign``, ``where``).

        Exact where what changes sign is a polynomial; other changes of sign are looked for up to ``|z| = 30`` in steps
        of 1/20 and refined to floats: those further out, and two within one step, go unseen. At most 32, nearest to 0.

        Examples
        --------
        >>> Gate("sigmoid(z + abs(z**2 - 4)/9)").kinks, Gate("sigmoid(z + abs(exp(z) - 2)/9)").kinks
        ((-2.0, 2.0), (0.693147180559945...,))
        """
        return changes_of_branch(self.formulas.u if self.is_profile else self.expr)

    @derived_once
    def lost_domain(self) -> str | None:
        """Where the formula as it is written has no value, though the one that SymPy makes of it has; None if nowhere.

        Looked for at some points of both signs up to ``|z| = 30``.

        Examples
        --------
        >>> Gate("sigmoid(exp(log(z)))").lost_domain
        'log(z) has no value at z = -0.1; it is read as sigmoid(z), which has a value'
        """
        if self.expr.free_symbols != {Z}:
            return None
        z = np.array([0.0, *(sign * size for size in (0.1, 0.5, 1, 1.5, 2, 3, 10, 30) for sign in (-1, 1))])
        parts = [node for node in sp.postorder_traversal(self.expr) if isinstance(node, sp.Expr)]
        parts += [sp.sqrt(node.args[0]) for node in self.expr.atoms(sp.loggamma)]  # numbers have log|Gamma| below 0
        finite = [np.broadcast_to(np.isfinite(value), z.shape) for value in Tape(parts, [Z])(float64, z)]
        has_value = np.all(finite, axis=0)
        for demand in language.demands(self._text, parameters=self.parameters):
            missing = [self._not_met(demand, z), *(self._holds(*step, z) for step in demand.path)]
            at = z[np.all([has_value, *missing], axis=0)]
            if at.size:
                lacks = f"there is a division by {demand.node}" if demand.least == 2 else f"{demand.node} has no value"
                return f"{lacks} at z = {at[0]:g}; it is read as {cut(language.unparse(self.expr))}, which has a value"
        return None

    def _at_points(self, expr: Expr, z: np.ndarray) -> np.ndarray:
        """An expression at floats; nan where it has symbols without numbers."""
        if expr.free_symbols - {Z}:
            return np.full(z.shape, np.nan)
        return np.broadcast_to(Tape([expr], [Z])(float64, z)[0], z.shape)

    def _not_met(self, demand: language.Demand, z: np.ndarray) -> np.ndarray:
        value = self._at_points(demand.expr, z)
        return value == 0 if demand.least == 2 else value < 0

    def _holds(self, condition: Any, wanted: bool, z: np.ndarray) -> np.ndarray:
        if condition in (sp.true, sp.false):
            return np.full(z.shape, (condition == sp.true) == wanted)
        side = self._at_points(condition.lhs - condition.rhs, z)
        found = {"<": side < 0, "<=": side <= 0, ">": side > 0, ">=": side >= 0, "==": side == 0, "!=": side != 0}
        return found[condition.rel_op] == wanted

    # --- numeric ---

    @cached_property
    def float64(self) -> Numbers:
        """The gate's numbers in plain float64: fast, with the rounding errors of that arithmetic."""
        return Numbers(self, float64)

    @cached_property
    def tapes(self) -> dict[Any, Any]:
        """The formulas that were evaluated so far, as tapes by name: its numbers in all arithmetics share them."""
        return {}

    @cached_property
    def _double(self) -> Numbers:
        return Numbers(self, doubledouble)

    def at(self, digits: int) -> Numbers:
        """The gate's numbers in big floats of a given number of decimal digits."""
        return Numbers(self, bigfloat.BigFloat(digits))

    @derived_once
    def value_outside(self) -> str | None:
        """Some z and phi(z) outside [0, 1] in words, if such were found among samples of every magnitude."""
        if self.is_profile:
            return None

        def outside(phi: Any) -> Any:
            return (phi < -1e-9) | (phi > 1 + 1e-9)

        z = self._sample(self.float64.value, outside)
        if z is None:
            return None
        phi = float(self.float64.value(np.float64(z)))
        return f"phi({z}) = {next(text for d in range(3, 18) if outside(np.float64(text := f'{phi:.{d}g}')))}"

    @derived_once
    def decreasing_at(self) -> str | None:
        """Some z at which phi decreases, if such was found among samples of every magnitude.

        Big floats say so too: a slope that cancels has the sign of its rounding in float64.
        """
        return self._sample(self.float64.dphi, lambda slope: slope < 0, lambda numbers, z: numbers.dphi(z))

    @derived_once
    def fall(self) -> str | None:
        """Where phi decreases, in words; or where it has no value, and a formula that continues it decreases."""
        if (z := self.decreasing_at) is None:
            return self._drop
        return f"phi {'has no value' if np.isnan(self.phi(float(z))) else 'falls'} at z = {z}"

    @property
    def _drop(self) -> str | None:
        """Two neighbouring samples between which phi falls though it rises at both, as over a jump or a pole."""
        z = np.sort(SAMPLES)
        with np.errstate(all="ignore"):
            value = np.broadcast_to(self.float64.u(z) if self.is_profile else self.float64.value(z), z.shape)
        z, value = z[np.isfinite(value)], value[np.isfinite(value)]

        def measure(numbers: Numbers, x: Any) -> Any:
            return numbers.u(x) if self.is_profile else numbers.value(x)

        for i in np.flatnonzero(np.diff(value) < -DROP * (1 + np.abs(value[1:]))):
            low, high = self._in_big_floats(measure, z[i : i + 2])
            if high < low:  # a power may have overflowed in between
                return f"phi falls between z = {z[i]:.6g} and z = {z[i + 1]:.6g}"
        return None

    def _in_big_floats(self, of: Callable[[Numbers, Any], Any], z: Any) -> Any:
        """Some numbers at floats, rounded to floats: with hundreds of digits little is lost where they cancel."""
        numbers = self.at(NEAR)
        with np.errstate(all="ignore"):
            found = numbers.arithmetic.round(of(numbers, numbers.arithmetic.lift(np.asarray(z, dtype=np.float64))))
        return np.broadcast_to(found, np.shape(z))

    def _sample(
        self,
        of: Callable[..., Any],
        holds: Callable[[Any], Any],
        sure: Callable[[Numbers, Any], Any] | None = None,
    ) -> str | None:
        """The first sample at which the values are such, or a number near it with fewer digits; None without one.

        With ``sure`` they are such in big floats too.
        """

        def such(z: float) -> bool:
            seen = bool(holds(of(np.float64(z))))
            return seen and (sure is None or bool(holds(self._in_big_floats(sure, z))))

        with np.errstate(all="ignore"):
            found = SAMPLES[np.flatnonzero(holds(np.broadcast_to(of(SAMPLES), SAMPLES.shape)))]
            if sure is not None:
                parts = (found[i : i + CONFIRMED] for i in range(0, found.size, CONFIRMED))
                confirmed = (part[np.flatnonzero(holds(self._in_big_floats(sure, part)))] for part in parts)
                found = next((part for part in confirmed if part.size), found[:0])
            return decimals.shortest(float(found[0]), lambda z: such(float(z))) if found.size else None

    def _evaluate(self, x: Any, what: str) -> Any:
        x = _as_float(x)
        if self.value_outside is not None:
            if what not in ("phi", "phi_c", "dphi", "log_dphi", "d2phi"):
                raise InvalidArgument(f"{self.name} has no {what}: it leaves (0, 1), {self.value_outside}")
            what = {"phi": "value", "phi_c": "complement"}.get(what, what)
        if x.dtype == np.float32:
            result = getattr(self.float64, what)(np.asarray(x, dtype=np.float64))
            with np.errstate(all="ignore"):
                result = np.broadcast_to(np.asarray(result), x.shape).astype(np.float32, copy=True)
        else:
            result = np.empty(x.shape)
            flat_in, flat_out = x.reshape(-1), result.reshape(-1)
            for start in range(0, flat_in.size, CHUNK):
                part = slice(start, start + CHUNK)
                number = getattr(self._double, what)(doubledouble.lift(flat_in[part]))
                flat_out[part] = doubledouble.round(number)
        self._mend(result, x, what)
        return result[()] if result.ndim == 0 else result

    def _mend(self, result: np.ndarray, x: np.ndarray, what: str) -> None:
        """Big floats, whose exponents have no end, where this arithmetic found no number; NaN where there is none.

        ``z**3 - z`` is no number at infinity either: the value there is that at the largest floats.
        """
        result[np.isnan(x)] = np.nan
        lost = np.isnan(result) & ~np.isnan(x)
        if lost.any():
            inside = np.where(np.isinf(x), np.nextafter(x, np.zeros_like(x)), x)[lost].astype(np.float64)
            numbers = self.at(MENDING)
            with np.errstate(all="ignore"):
                found = getattr(numbers, what)(numbers.arithmetic.lift(inside))
                result[lost] = np.broadcast_to(numbers.arithmetic.round(found), inside.shape)
        if self._singular and what not in _OF_PROBABILITY:
            self._mend_beside_poles(result, x, what)
        if what in _SLOPES and self._may_lack_a_value:
            with np.errstate(invalid="ignore"):
                result[np.isnan(self._evaluate(x, "phi"))] = np.nan
        if self._roots and what not in _OF_PROBABILITY:
            z = np.asarray(x, dtype=np.float64)
            with np.errstate(all="ignore"):
                for root in self._roots:
                    below, *terms = Tape([root, *_what_rounds(root)])(float64, z)
                    size = sum((np.abs(term) for term in terms), start=np.float64(0.0))
                    result[np.broadcast_to(below < -ROUNDING * size, x.shape)] = np.nan

    def _mend_beside_poles(self, result: np.ndarray, x: np.ndarray, what: str) -> None:
        """Limits, in big floats, where a part of the formula is infinite or 0/0; and where its powers underflow.

        So ``sin(z)/z`` has the value 1 at 0, and the slope of ``sigmoid(log(z))`` there is 1.
        """
        z = np.asarray(x, dtype=np.float64)
        with np.errstate(all="ignore"):
            doubt = np.isnan(result)
            for node in self.expr.atoms(sp.log):  # where one is 0 the formula has no value, though it may have a limit
                doubt &= Tape([sp.Abs(stable(node.args[0]))])(float64, z)[0] > 0
            if what in _SLOPES:
                slope = self.float64.log_declared_slope(z)
                doubt |= (np.isnan(slope) | (slope == np.inf)) & ~np.isinf(result)
            aside = 1e-6 * (1 + np.abs(z))
            beside = [np.isfinite(self.float64.value(z + side * aside)) for side in (-1, 1)]
            doubt &= np.isfinite(z) & (beside[0] | beside[1])
            found = {point: self._limit(point, what) for point in np.unique(z[doubt]).tolist()}
            tiny = (np.abs(z) < UNDERFLOW) & (z != 0) & self._divides
            numbers = self.at(DEEP)
            for point in np.unique(z[tiny]).tolist():
                value = getattr(numbers, what)(numbers.arithmetic.lift(np.float64(point)))
                found[point] = float(numbers.arithmetic.round(value))
        for point, value in found.items():
            if value is not None:
                result[z == point] = value

    def _limit(self, z: float, what: str) -> float | None:
        """The limit at a point, of both sides or of the only one on which phi has values; nan where there are two."""
        ends = [end for end in (self._limit_from(z, side, what) for side in (-1, 1)) if end is not math.nan]
        if None in ends or not ends:
            return None
        if any(map(math.isinf, ends)):  # type: ignore[arg-type]
            return ends[0] if ends[0] == ends[-1] else math.nan
        return ends[-1] if abs(ends[0] - ends[-1]) <= 1e-15 * abs(ends[-1]) else math.nan  # type: ignore[operator]

    def _limit_from(self, z: float, side: int, what: str) -> float | None:
        """What three numbers ever nearer to a point go to; None where that is not seen, nan where phi has no value."""
        numbers = self.at(NEAR)
        a, seen = numbers.arithmetic, []
        for bits in (60, 120, 240):
            point = a.lift(np.float64(z)) + a.lift(np.float64(side * 2.0**-bits))
            if any(float(a.round(root)) < 0 for root in Tape(self._roots)(a, point)):
                return math.nan
            seen.append(getattr(numbers, what)(point))
        first, second, third = (float(a.round(a.abs(value))) for value in seen)
        if second > 1.4 * first and third > 1.4 * second:
            return math.copysign(math.inf, float(a.round(seen[2])))
        if second < 0.7 * first and third < 0.7 * second:
            return 0.0
        steps = [float(a.round(a.abs(after - before))) for before, after in pairwise(seen)]
        settled = steps[1] <= 1e-17 * third and steps[1] <= 1e-9 * steps[0]
        return float(a.round(seen[2])) if settled else None

    @cached_property
    def _singular(self) -> bool:
        """Whether some part of the formula may be infinite, or 0/0, at a finite z."""
        nodes = self.expr.atoms(sp.log, sp.atanh, sp.tan, sp.loggamma, logit, log1p, sp.Pow)
        nodes = {node for node in nodes if not (node.is_Pow and (node.exp.is_nonnegative or isinstance(node, sp.exp)))}
        return any(not node.args[0].is_positive for node in nodes) or self._has_rough_powers

    @cached_property
    def _divides(self) -> bool:
        """Whether something is divided by that may be 0."""
        powers = (node for node in self.expr.atoms(sp.Pow) if not isinstance(node, sp.exp))
        return any(node.exp.is_integer and node.exp.is_negative and not node.base.is_positive for node in powers)

    @cached_property
    def _has_rough_powers(self) -> bool:
        """Whether a power of something that may be 0 has a slope that may be infinite there."""
        powers = (node for node in self.expr.atoms(sp.Pow) if not isinstance(node, sp.exp))
        return any(not node.exp.is_integer and not node.base.is_positive for node in powers)

    @cached_property
    def _may_lack_a_value(self) -> bool:
        """Whether some part of the formula has no value somewhere, and its derivative may have one there."""
        nodes = self.expr.atoms(sp.log, sp.acosh, sp.atanh, logit, log1p, sp.Pow)
        return any(not (node.is_Pow and node.exp.is_Integer) and not node.args[0].is_positive for node in nodes)

    @cached_property
    def _roots(self) -> tuple[Expr, ...]:
        """What stands under a logarithm or a fractional power and is not known to be positive; 1 on other branches."""
        return tuple(sorted(_under_roots(self.expr), key=str))

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
        """``log(1 - phi(z))``, finite also where ``1 - phi(z)`` underflows."""
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
        if self.value_outside is None and self.fall is not None:
            raise InvalidArgument(f"{self.name} has no inverse: {self.fall}")
        result = self._evaluate(x, what)
        lost = np.isnan(result) & ~np.isnan(x)
        if lost.any():
            raise InvalidArgument(
                f"{self.name}: {what}({np.asarray(x)[lost].flat[0]:g}) was not found; is phi onto (0, 1)?"
            )
        return result

    # --- digits ---

    @derived_once
    def _digit_losses(self) -> tuple[np.ndarray, np.ndarray]:
        """Sample points of growing ``|z|`` and the digits of the smaller of phi and 1 - phi that are lost at each."""
        return losses(self.at(400), self._double)

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
        if self.value_outside is not None:
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
        return self.declared, self.expr, self.name, self._inverse

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Gate) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _named(self, name: str, reference: str | None = None) -> Gate:
        """The same gate under another name, and with another source where one is given."""
        rebuild, (keywords,) = self.__reduce__()
        return rebuild({**keywords, "name": name} | ({} if reference is None else {"reference": reference}))

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

    @property
    def label(self) -> str:
        """The name; with the values of the parameters where the name is not enough to make the gate again.

        Examples
        --------
        >>> gate("fast").label, gate("fast", alpha=2).label, gate("sigmoid(k*z); k=2").label
        ('fast', 'fast(alpha=2)', 'sigmoid(k*z), k = 2')
        """
        try:
            if gate(self.name) == self:
                return self.name
        except GateflowError:
            pass
        missing = (f"{name} = {value}" for name, value in self.parameters.items() if f"{name}={value}" not in self.name)
        return ", ".join([self.name, *missing])

    def _repr_html_(self) -> str:
        from gateflow.gates.card import card

        return card(self)


def _what_rounds(expr: Expr) -> tuple[Expr, ...]:
    """The terms of a sum, whose rounding errors are those of the sum; 1 where a sum stands further inside."""
    if expr.is_Add:
        return expr.args
    return (sp.S.One,) if expr.has(sp.Add) else ()


def _rebuilt(keywords: dict[str, Any]) -> Gate:
    return Gate(**keywords)


def _open_parameters(declaration: Any) -> dict[str, str]:
    """The symbols of an expression that are neither z nor u, as parameters left open."""
    symbols = declaration.free_symbols if isinstance(declaration, sp.Basic) else ()
    own = {Z.name, U.name}
    return {s.name: "positive" if s.is_positive else "real" for s in symbols if s.name not in own}


def _as_float(x: Any) -> np.ndarray:
    return reals("a gate", x, "takes real numbers", truths=True)


def _probability(x: Any, name: str) -> np.ndarray:
    array = _as_float(x)
    outside = (array < 0) | (array > 1)
    if outside.any():
        raise InvalidArgument(f"{name} must lie in [0, 1]; got {array[outside].flat[0]:g}")
    return array


GATES = Registry("gate", "gateflow.gates.catalogue", "make")
"""Every gate of the catalogue, and of other installed packages."""

NAMED = ChainMap(GATES, DECAYS)  # type: ignore[arg-type]
"""All that a gate may be asked for by: names of the catalogue, and of models whose decay is a gate."""


def gate(name: str | Gate, **parameters: Any) -> Gate:
    """A gate by its name in the catalogue, with its parameters, or by its formula.

    Parameters
    ----------
    name : str or Gate
        A name, with parameters in brackets if wanted; or a formula in z; a gate comes back as it is.
    **parameters
        Values of the gate's parameters: numbers, or words for open ones.

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
    >>> gate("hgrn(low=1/4)").text, gate("lru").text
    ('low + (1 - low)*sigmoid(z)', 'exp(-exp(-z))')
    """
    if isinstance(name, Gate):
        return name
    if not isinstance(name, str):
        raise InvalidArgument(f"a gate is a name or a formula, not {type(name).__name__}")
    head, in_order, by_name = spelled(name, NAMED)
    if twice := by_name.keys() & parameters.keys():
        raise InvalidArgument(f"gate {head!r}: {min(twice)} is given twice")
    if head in NAMED or (re.fullmatch(r"[A-Za-z][\w-]*", head) and "z" not in head.split("-")):
        return _make(head, in_order, {**by_name, **parameters})
    if in_order:
        raise FormulaError("a parameter of a formula has a name, as in sigmoid(k*z); k=2", name)
    given = {**by_name, **parameters}
    return Gate(head, parameters=given) if given else _of_formula(head)


@lru_cache(maxsize=64)
def _of_formula(text: str) -> Gate:
    """A formula's gate; made once, so that the functions that are asked about a text share what was derived."""
    return Gate(text)


def _make(name: str, positional: list[Any], parameters: Mapping[str, Any]) -> Gate:
    values = placed(f"gate {name!r}", list(_maker(name)[1]), positional, parameters)
    for key, value in values.items():
        if not _is_parameter(value):
            raise InvalidArgument(f"gate {name!r}: {key} must be a finite number; got {shown(value)}")
    given = sorted(values.items())
    return _cached(name.strip().lower(), tuple(given), tuple(type(value) for _, value in given))


def _maker(name: str) -> tuple[Callable[..., Gate], Mapping[str, Any]]:
    """What makes the gates of a name, and their parameters with the defaults."""
    if name in GATES or name not in DECAYS:
        make = GATES[name]
        return make, {key: each.default for key, each in inspect.signature(make).parameters.items()}
    model, name = DECAYS[name], DECAYS.spelled(name)
    if not model.gate:
        raise InvalidArgument(f"the decay of {name} is no gate: it is not learned, {model.starts}")
    head, _, own = spelled(model.gate, GATES)
    return lambda **values: gate(head, **{**own, **values})._named(name, model.paper), own


def _is_parameter(value: Any) -> bool:
    """A finite real number, or one of the words that leave a parameter open."""
    if isinstance(value, (bool, str)):
        return value in SYMBOLIC
    try:
        return isinstance(value, numbers.Number) and math.isfinite(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False


@lru_cache(maxsize=256)
def _cached(name: str, parameters: tuple[tuple[str, Any], ...], _: tuple[type, ...]) -> Gate:
    """A gate of the catalogue; made once, since a gate never changes. The types tell 2 from 2.0, which are equal."""
    make, known = _maker(name)
    made = make(**dict(parameters))
    unusual = [f"{key}={value}" for key, value in parameters if value != known[key]]
    return made._named(f"{made.name}({', '.join(unusual)})") if unusual and "(" not in made.name else made


def _under_roots(expr: Any) -> set[Expr]:
    """What stands under logarithms and fractional powers of a formula: where its branch is taken, elsewhere 1."""
    if isinstance(expr, sp.Piecewise):
        found: set[Expr] = set()
        for k, (value, condition) in enumerate(expr.args):
            before = [(sp.S.One, other) for _, other in expr.args[:k]]
            rest = [] if condition == sp.true else [(sp.S.One, sp.true)]
            found |= {
                sp.Piecewise(*before, (x, condition), *rest, evaluate=False) if before or rest else x
                for x in _under_roots(value)
            }
        return found
    found = set().union(*(_under_roots(part) for part in expr.args)) if expr.args else set()
    under = None
    if isinstance(expr, sp.log | sp.loggamma):
        under = expr.args[0]
    elif expr.is_Pow and expr.exp.is_Rational and not expr.exp.is_Integer:
        under = expr.base
    return found if under is None or under.is_nonnegative or under.is_positive else found | {stable(under)}
