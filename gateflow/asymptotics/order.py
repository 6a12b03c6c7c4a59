"""Order of saturation (theory.md §3): who saturates faster, decided for every rescaling of z at once.

With ``f = -log(1 - phi)`` and ``g = -log(1 - psi)`` the question is ``R(a) = lim exp(g(a z) - f(z))`` for all a > 0.
`proofs.outline.decide_order` says which limits answer it; here they are taken.

Convexity of ``psi^-1(phi(z))`` follows from R = 0 for all a where both tails lie in one Hardy field: w = psi^-1 o phi
then outgrows every line and w'' has an eventual sign. Formulas with sin or cos of a growing argument are outside;
they are put between two germs, and convexity is checked on its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import sympy as sp

from gateflow.asymptotics.germs import folded_steps, germ_of, refuse_other_limits, simplify_germ
from gateflow.asymptotics.limits import constants
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.limits.growth import GRACE, Chain, Field, SearchBudget, oscillating
from gateflow.asymptotics.oscillation import bounds, is_convex
from gateflow.asymptotics.proofs.outline import Decision, decide_order
from gateflow.asymptotics.proofs.statements import Refuted, text_of
from gateflow.errors import Exceeded, cut
from gateflow.formula.vocabulary import Expr, Z
from gateflow.gates.gate import gate as as_gate
from gateflow.guards import bounded
from gateflow.notebook.cards import facts, framed, mathematics
from gateflow.results.byvalue import by_value

Inverses = tuple[Expr | None, Expr | None]

SECONDS = 10.0
"""Time allowed for one pair."""

RANKING_SECONDS = 30.0
"""Time allowed for a ranking."""


@by_value
@dataclass(frozen=True)
class Order:
    """How the order of saturation of one gate stands to another's.

    Attributes
    ----------
    verdict : str
        ``higher``, ``lower``, ``equal``, ``incomparable`` or ``undecided``: phi against psi.
    threshold : sympy.Expr or None
        a* for gates of equal order: R(a) = 0 below it and oo above.
    exponent, ratio : sympy.Expr or None
        For power tails: R(a) = ratio * a**exponent.
    convex : bool or None
        Whether the higher gate's output, seen through the inverse of the lower, is eventually convex; None where
        nothing asks for it, or it is not decided.
    reason : str
        One line.
    steps : list of dict
        The limits that decided it: ``statement``, ``expr`` and ``limit``, as formulas.
    seconds : float
    names : tuple of str
    condition : sympy.Expr or None
        Where the verdict is undecided because it depends on a parameter: the constant whose sign decides it.
    """

    verdict: str
    threshold: Expr | None = None
    exponent: Expr | None = None
    ratio: Expr | None = None
    convex: bool | None = None
    reason: str = ""
    steps: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    names: tuple[str, str] = ("phi", "psi")
    condition: Expr | None = None

    def swapped(self) -> Order:
        """The same fact, said of psi against phi: R(a) becomes 1/R(1/a).

        Examples
        --------
        >>> print(order_of_germs(2 * Z, Z).swapped())
        psi against phi: equal; R(a) is 0 for a < 1/2 and infinite for larger a
        """
        other = Decision(self.verdict, self.threshold, self.exponent, self.ratio).swapped()
        order = replace(
            self,
            verdict=other.verdict,
            threshold=other.threshold,
            ratio=other.ratio,
            steps=[{**step, "statement": _exchange(step["statement"])} for step in self.steps],
            names=self.names[::-1],
        )
        return replace(order, reason=order._reason_from(self.reason))

    def _reason_from(self, other: str) -> str:
        """The reason, from that of the order with phi and psi exchanged."""
        if self.threshold is not None:
            return other.rpartition(": ")[0] + (": " if ": " in other else "") + _threshold_in_words(self.threshold)
        if self.ratio is not None and self.exponent is not None:
            return _ratio_in_words(self.ratio, self.exponent)
        _, prefix, original = other.partition(_EXCHANGE)
        if prefix:
            return original
        value = {"higher": "0", "lower": "infinite"}.get(self.verdict)
        return f"{_EXCHANGE}{other}" if value is None else f"R(a) is {value} for every a > 0: {_EXCHANGE}{other}"

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain data."""
        return {
            "gates": list(self.names),
            "verdict": self.verdict,
            "threshold": None if self.threshold is None else text_of(self.threshold),
            "exponent": None if self.exponent is None else text_of(self.exponent),
            "ratio": None if self.ratio is None else text_of(self.ratio),
            "convex": self.convex,
            "reason": self.reason,
            "steps": [dict(step) for step in self.steps],
            "seconds": self.seconds,
        }

    def latex(self) -> str:
        """The verdict in LaTeX."""
        relation = {"higher": r"\succ", "lower": r"\prec", "equal": r"\asymp", "incomparable": r"\parallel"}
        left, right = (rf"\text{{{escaped(name)}}}" for name in self.names)
        line = f"{left} {relation.get(self.verdict, '?')} {right}"
        if self.threshold is not None:
            line += rf",\quad a^* = {sp.latex(self.threshold)}"
        if self.ratio is not None and self.exponent is not None:
            a = sp.Symbol(_scale(self.ratio, self.exponent), positive=True)
            line += rf",\quad R({a}) = {sp.latex(self.ratio * a**self.exponent)}"
        return line

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def _repr_html_(self) -> str:
        kept = ("reason", "threshold", "exponent", "ratio")
        known = self.to_json()
        steps = folded_steps(self.steps)
        return framed(
            f"{self.names[0]} against {self.names[1]}: {self.verdict}",
            mathematics(self.latex()),
            facts((name, known[name]) for name in kept),
            steps,
        )

    def __repr__(self) -> str:
        return f"<Order {cut(str(self))}>"

    def __str__(self) -> str:
        return f"{self.names[0]} against {self.names[1]}: {self.verdict}; {self.reason}"


_EXCHANGE = "with phi and psi exchanged, "
"""Before a fact about psi against phi."""


def _exchange(sentence: str) -> str:
    return sentence.removeprefix(_EXCHANGE) if sentence.startswith(_EXCHANGE) else _EXCHANGE + sentence


def _scale(*exprs: Expr) -> str:
    """A name for the scale a of the definition that no parameter bears already."""
    taken = {s.name for expr in exprs for s in expr.free_symbols}
    return next(name for name in (*"asrtqw", "scale") if name not in taken)


_LONG = 3
"""Operations in a constant from which on a simpler form is looked for."""


def simplest(x: Expr) -> Expr:
    """A positive constant as a root of a small fraction, where it is proved to be one.

    Examples
    --------
    >>> simplest((sp.sqrt(2) + sp.sqrt(3)) / sp.sqrt(5 + 2 * sp.sqrt(6))), simplest(sp.sqrt(2) + 1)
    (1, 1 + sqrt(2))
    """
    if x.is_Rational or x.free_symbols or not x.is_finite or sp.count_ops(x) < _LONG:
        return x
    for n in (1, 2, 3):
        near = Fraction(str(x.evalf(40) ** n)).limit_denominator(10_000)
        root = sp.Rational(near.numerator, near.denominator) ** sp.Rational(1, n)
        if abs((x - root).evalf(30)) > sp.Float(10) ** -25 * x.evalf(15):
            continue
        try:
            return root if constants.is_zero(constants.number(x - root)) else x
        except Undecided:
            return x
    return x


def escaped(name: str) -> str:
    return "".join("\\" + ch if ch in "_%&#$" else r"\^{}" if ch == "^" else ch for ch in name)


# --- order of two germs -----------------------------------------------------------------------------------------------


def order_of_germs(f: Expr, g: Expr, seconds: float = SECONDS) -> Order:
    """The order of phi against psi from ``f = -log(1 - phi)`` and ``g = -log(1 - psi)``.

    Examples
    --------
    >>> order_of_germs(sp.sinh(Z), Z).verdict
    'higher'
    >>> order_of_germs(2 * Z**3, Z**3 + Z).threshold
    2**(1/3)
    """
    return _within(lambda: _order(f, g, (None, None), seconds), seconds)


def _within(decide: Callable[[], Order], seconds: float) -> Order:
    """The order that is decided within the time; undecided past it."""
    start, seconds = time.monotonic(), bounded.checked(seconds)
    try:
        result = bounded.call(decide, seconds + GRACE, asked=seconds)
    except Exceeded as error:
        result = Order("undecided", reason=error.reason)
    return replace(result, seconds=time.monotonic() - start)


def _order(f: Expr, g: Expr, inverses: Inverses, seconds: float) -> Order:
    """Decide directly, then with the pair swapped, then between bounds."""
    if oscillating(f) or oscillating(g):
        return _between_bounds(f, g, inverses, seconds)
    first: Order | None = None
    for swap in (False, True):
        chain = Chain(Field(Z, SearchBudget(seconds / 2)))
        pair = (g, f) if swap else (f, g)
        try:
            found = bounded.call(lambda p=pair, c=chain: _in_hardy_field(*p, c), seconds / 2, error=Undecided)
        except Undecided as error:
            first = first or Order("undecided", reason=error.reason, steps=list(chain), condition=error.condition)
            if error.condition is not None:
                break
        else:
            return found.swapped() if swap else found
    assert first is not None
    return first


def _in_hardy_field(f: Expr, g: Expr, chain: Chain) -> Order:
    a = _scale(f, g)
    f = simplify_germ("f", "phi", f, chain)
    g = simplify_germ("g", "psi", g, chain)
    try:
        found = decide_order(f, g, chain)
    except Refuted as why:
        raise Undecided(str(why)) from None
    steps = list(chain)
    if found.threshold is not None:
        threshold = simplest(found.threshold)
        return Order("equal", threshold=threshold, reason=_threshold_in_words(threshold), steps=steps)
    if found.ratio is not None and found.exponent is not None:
        ratio, p = simplest(found.ratio), found.exponent
        return Order("equal", exponent=p, ratio=ratio, reason=_ratio_in_words(ratio, p), steps=steps)
    value = "0" if found.verdict == "higher" else "infinite"
    proof = f"R({a}) is {value} for every {a} > 0 ({found.why})"
    reason = f"{proof}; both tails lie in one Hardy field, which makes the convexity condition automatic"
    return Order(found.verdict, convex=found.convex, reason=reason, steps=steps)


def _threshold_in_words(threshold: Expr) -> str:
    a = _scale(threshold)
    return f"R({a}) is 0 for {a} < {text_of(threshold)} and infinite for larger {a}"


def _ratio_in_words(ratio: Expr, exponent: Expr) -> str:
    a = _scale(ratio, exponent)
    return f"R({a}) = {text_of(ratio)} * {a}^({text_of(exponent)})"


# --- oscillating profiles ---------------------------------------------------------------------------------------------


def _between_bounds(f: Expr, g: Expr, inverses: Inverses, seconds: float) -> Order:
    try:
        f_low, f_high, f_touches = bounds(f)
        g_low, g_high, g_touches = bounds(g)
    except Undecided as error:
        return Order("undecided", reason=error.reason)
    least = _order(f_high, g_low, (None, None), seconds / 3)
    most = _order(f_low, g_high, (None, None), seconds / 3)
    steps = [
        {**s, "statement": f"{side} R: {s['statement']}"}
        for side, o in (("least", least), ("most", most))
        for s in o.steps
    ]
    if "undecided" in (least.verdict, most.verdict):
        return Order("undecided", reason=least.reason if least.verdict == "undecided" else most.reason, steps=steps)
    if _same(least, most):
        if least.verdict == "equal":
            return replace(least, steps=steps, reason="both bounds of the oscillating profile agree: " + least.reason)
        return _with_convexity(least.verdict, f, g, inverses, steps)
    if f_touches and g_touches and not (oscillating(f) and oscillating(g)):
        reason = f"R(a) has no limit: along two sequences the pair behaves as {least.verdict} and as {most.verdict}"
        if least.verdict == most.verdict == "equal":
            reason = f"R(a) has no limit between two scales: {least.reason}, and {most.reason}, along two sequences"
        return Order("incomparable", reason=reason, steps=steps)
    return Order("undecided", reason="the bounds of the oscillating profiles disagree", steps=steps)


def _same(x: Order, y: Order) -> bool:
    parts = ((x.threshold, y.threshold), (x.exponent, y.exponent), (x.ratio, y.ratio))
    return x.verdict == y.verdict and all(
        a == b or (a is not None and b is not None and sp.simplify(a - b) == 0) for a, b in parts
    )


def _with_convexity(verdict: str, f: Expr, g: Expr, inverses: Inverses, steps: list[dict[str, str]]) -> Order:
    """R is 0 (or infinite) for every a; the clause on convexity is checked on its own."""
    value = "0" if verdict == "higher" else "infinite"
    pair = (f, g, *inverses) if verdict == "higher" else (g, f, *inverses[::-1])
    convex = is_convex(*pair)
    if convex is None:
        reason = f"R(a) is {value} for every a > 0, but whether the convexity clause holds is not decided (oscillation)"
        return Order("undecided", reason=reason, steps=steps)
    if convex:
        reason = f"R(a) is {value} for every a > 0, and the convexity clause was checked on its own"
        return Order(verdict, convex=True, reason=reason, steps=steps)
    reason = f"R(a) is {value} for every a > 0, but the convexity clause fails: the curvature changes sign for ever"
    return Order("incomparable", convex=False, reason=reason, steps=steps)


# --- gates ------------------------------------------------------------------------------------------------------------


def order(phi: Any, psi: Any, seconds: float = SECONDS) -> Order:
    """The order of saturation of the gate ``phi`` against the gate ``psi``, for every rescaling of z.

    Parameters
    ----------
    phi, psi : Gate or str
        Gates, or their names or formulas.
    seconds : float
        Time allowed.

    Examples
    --------
    >>> from gateflow.gates.gate import Gate
    >>> result = order(Gate("sigmoid(sinh(z))"), Gate("sigmoid(z)"))
    >>> result.verdict, result.convex
    ('higher', True)
    >>> order(Gate("sigmoid(2*z)"), Gate("sigmoid(z)")).threshold
    2
    """
    phi, psi = as_gate(phi), as_gate(psi)

    def decided() -> Order:
        try:
            refuse_other_limits(phi)
            refuse_other_limits(psi, "psi")
        except Undecided as why:
            return Order("undecided", reason=why.reason)
        f, g = germ_of(phi), germ_of(psi)
        inverses = (None, None)
        if f.has(sp.sin, sp.cos) or g.has(sp.sin, sp.cos):
            inverses = (phi.formulas.inverse, psi.formulas.inverse)
        return _order(f, g, inverses, seconds)

    return replace(_within(decided, seconds), names=(phi.name, psi.name))
