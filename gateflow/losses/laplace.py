"""The absolute loss over a random horizon of any law: a formula in s, its Laplace transform."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp

from gateflow.arithmetic import bigfloat, float64
from gateflow.codegen import Tape, log_of
from gateflow.errors import Exceeded, FormulaError, InvalidArgument, cut, shown
from gateflow.formula import parse
from gateflow.formula.spelling import spelled
from gateflow.formula.vocabulary import Expr, Z
from gateflow.gates.derivation import Formulas
from gateflow.guards import bounded
from gateflow.losses._loss import H_STAR, Branch, Decay, H, Loss, log_distance

SECONDS = 4.0
"""Seconds of the processor for all that is derived of a transform."""

SAMPLES = np.geomspace(1e-6, 1e6, 241)
"""Where a formula is looked at to see whether it falls and is convex, as every Laplace transform of a law is."""
LADDER = np.geomspace(1e-300, 1e20, 65)
"""Where a formula is held against big floats, to see where float64 loses its digits."""
STEP = 1e6
"""A little more than the ratio of neighbours there."""
LOST = 1e-12
"""Relative error that counts as loss; the absolute one of logarithms."""
DIGITS = 40
"""Digits of the big floats at s = 1; three more for each factor of ten away from it, since M'' may cancel thrice."""
NEAR = 0.5
"""Relative distance of h and h* up to which the loss is the integral of its slope, without cancellation."""

FORMULA = "M(h_star) - M(h)"
"""The loss below its target for any law; the formula in ``s`` that a user gives is M(s) = E exp(-s X)."""

_X, _W = np.polynomial.legendre.leggauss(20)


@dataclass(frozen=True)
class Laplace(Loss):
    """``|M(h) - M(h*)|`` with ``M(s) = E exp(-s X)``: the horizon is ``X T``, X random, T that of the problem.

    With ``h = -T log phi`` the expectation of ``phi^(X T)`` is M(h). The target is where the gate is to be,
    ``phi* = lambda*^(1/T)``. A gamma law is ``(1 + s/k)**(-k)``, the inverse Gaussian ``exp((1 - sqrt(1 + 2*v*s))/v)``,
    a horizon of two lengths ``exp(-s/10)/2 + exp(-2*s)/2``.

    Parameters
    ----------
    transform : str
        M, a formula in ``s``, parameters after a semicolon: ``"(1 + s/k)**(-k); k=2"``.

    Raises
    ------
    FormulaError
        The formula is refused.
    InvalidArgument
        It has no s, or is no Laplace transform of a law: not 1 at s = 0, not falling, or not convex.

    Examples
    --------
    >>> float(Laplace("1/(1 + s/2)**2").value(Decay(h=2.0), Decay(h=0.0)))
    0.75
    """

    transform: str = "exp(-s)"
    arrives = True
    kinks = (H_STAR,)

    def __post_init__(self) -> None:
        if not isinstance(self.transform, str):
            raise InvalidArgument(f"a Laplace transform is a formula in s; got {shown(self.transform)}")
        bounded.call(self._refuse_no_law, SECONDS, processor=True, error=self._refused)

    def _refused(self, why: str) -> Exceeded:
        return Exceeded(f"{cut(self.transform)} is too involved for a Laplace transform ({why})")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.transform,)

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.transform

    @cached_property
    def _expr(self) -> Expr:
        """M in the symbol of gates."""
        head, in_order, by_name = spelled(self.transform, ())
        if in_order:
            raise FormulaError("a parameter of a formula has a name, as in (1 + s/k)**(-k); k=2", self.transform)
        s = sp.Symbol("s", real=True)
        expr = parse(head, variables=("s",), parameters=by_name)
        if s not in expr.free_symbols:
            raise InvalidArgument(f"a Laplace transform is a function of s; there is no s in {self.transform}")
        if left := expr.free_symbols - {s}:
            raise InvalidArgument(f"{min(map(str, left))} needs a number in {self.transform}")
        return expr.subs(s, Z)

    @property
    def branches(self) -> tuple[Branch, ...]:  # type: ignore[override]
        kept, wanted = self._expr.subs(Z, H), self._expr.subs(Z, H_STAR)
        return Branch("below", wanted - kept), Branch("above", kept - wanted)

    @cached_property
    def _tapes(self) -> dict[str, Tape]:
        f = Formulas(self._expr, "complement")
        forms = {
            "kept": f.phi_c,
            "lost": f.phi,
            "slope": f.dphi,
            "log_slope": f.log_dphi,
            "bent": -f.d2phi,
            "log_bent": log_of(-f.d2phi),
        }
        return {what: Tape([form], [Z]) for what, form in forms.items()}

    def _numbers(self, what: str, s: Any) -> np.ndarray:
        """One of the forms at s > 0; in big floats where float64 has no number for it, or not its digits."""
        s = np.asarray(s, dtype=np.float64)
        tape = self._tapes[what]
        found = np.array(np.broadcast_to(tape(float64, s)[0], s.shape), dtype=np.float64)
        low, high = self._lossy(what)
        lost = ((~np.isfinite(found) | ((s > low) & (s < high))) & np.isfinite(s) & (s > 0)) if s.size else s > 0
        if lost.any():
            found[lost] = _in_big_floats(tape, s[lost])
        return found

    def _lossy(self, what: str) -> tuple[float, float]:
        """Between which s float64 loses digits of a form, as ``(1 - exp(-s))/s`` does near 0; measured once."""
        if what not in self._measured:
            tape = self._tapes[what]
            plain = np.broadcast_to(tape(float64, LADDER)[0], LADDER.shape)
            exact = _in_big_floats(tape, LADDER)
            with np.errstate(all="ignore"):
                off = np.abs(plain - exact) > LOST * (np.abs(exact) + (1.0 if what.startswith("log") else 0.0))
            at = LADDER[off & np.isfinite(exact)]
            self._measured[what] = (at.min() / STEP, at.max() * STEP) if at.size else (0.0, 0.0)
        return self._measured[what]

    @cached_property
    def _measured(self) -> dict[str, tuple[float, float]]:
        return {}

    def _refuse_no_law(self) -> None:
        refused = f"{self.transform} is not the Laplace transform of a random horizon: "
        at_zero = float(self._numbers("kept", np.array([1e-300]))[0])
        if not abs(at_zero - 1) < 1e-3:
            raise InvalidArgument(f"{refused}it is {at_zero:.6g} at s = 0, not 1")
        for what, said in (("slope", "it does not fall at"), ("bent", "it is not convex at")):
            numbers = self._numbers(what, SAMPLES)
            wrong = np.flatnonzero(~(numbers >= 0) | ((numbers == 0) & (SAMPLES < 1)))
            if wrong.size:
                raise InvalidArgument(f"{refused}{said} s = {SAMPLES[wrong[0]]:.3g}")

    def value(self, decay: Decay, target: Decay) -> Any:
        """The difference of M or of 1 - M, whichever is small; close to the target the integral of its slope."""
        h, h_star = np.broadcast_arrays(np.asarray(decay.h, np.float64), np.asarray(target.h, np.float64))
        with np.errstate(all="ignore"):
            apart = np.broadcast_to(np.exp(log_distance(decay, target)), h.shape)
            low, high = np.minimum(h, h_star), np.maximum(h, h_star)
            kept, lost = (np.abs(self._numbers(what, low) - self._numbers(what, high)) for what in ("kept", "lost"))
            far = np.where(self._numbers("kept", low) < 0.5, kept, lost)
            close = apart <= NEAR * high
            nodes = np.where(close, low, 1.0)[..., None] + np.where(close, apart, 0.0)[..., None] * (_X + 1) / 2
            near = apart * (np.exp(self._numbers("log_slope", nodes)) @ (_W / 2))
            return np.where(apart == 0, 0.0, np.where(close, near, far))

    def log_slope(self, decay: Decay, target: Decay) -> Any:
        """``log(-M'(h))``."""
        return self._numbers("log_slope", decay.h)

    def relative_curvature(self, decay: Decay, target: Decay) -> Any:
        """``M''/M'`` on both branches."""
        return -np.exp(self._numbers("log_bent", decay.h) - self._numbers("log_slope", decay.h))


def _in_big_floats(tape: Tape, s: np.ndarray) -> np.ndarray:
    """A form in as many digits as it may take."""
    found = np.empty(s.shape)
    digits = DIGITS + 60 * np.ceil(np.abs(np.log10(s)) / 20).astype(int)
    for count in np.unique(digits):
        big, part = bigfloat.BigFloat(int(count)), digits == count
        with np.errstate(all="ignore"):
            found[part] = np.broadcast_to(big.round(tape(big, big.lift(s[part]))[0]), (int(part.sum()),))
    return found


@lru_cache(maxsize=64)
def laplace(transform: str) -> Laplace:
    """The loss of a formula; made once, since what is measured of it costs."""
    return Laplace(transform)


LOSS = Laplace()
