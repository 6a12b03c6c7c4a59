"""Order of saturation (theory.md §3): who saturates faster, decided for every rescaling of z at once.

With ``f = -log(1 - phi)`` and ``g = -log(1 - psi)`` the question is ``R(a) = lim exp(g(a z) - f(z))`` for all a > 0.
No limit with a symbolic a is taken. Put ``p = lim z g'(z)``.

- p finite: ``g(a z) - g(z) -> p log a``, so ``R(a) = R(1) a^p`` and ``R(1) = exp lim (g - f)`` is one limit.
- p infinite: R is 0 or infinite except at one threshold a*. Start from F = f, G = g and look at
  ``rho = lim log G/log z``:

  - rho infinite: compare log F with log G instead (``log F - log G(a z)`` then tends to +-oo off the threshold, so the
    verdict carries back).
  - 0 < rho < oo: ``G(a z)/G(z) -> a^rho``, so with ``kappa = lim F/G`` the threshold is ``kappa^(1/rho)``.
  - rho = 0: ``G(a z)/G(z) -> 1``, so ``kappa != 1`` decides; for kappa = 1, ``G(a z) - G(z) ~ z G'(z) log a``, hence
    ``a* = exp lim (F - G)/(z G')``.

Convexity of ``psi^-1(phi(z))`` follows from R = 0 for all a where both germs lie in one Hardy field: w = psi^-1 o phi
then outgrows every line and w'' has an eventual sign. Formulas with sin or cos of a growing argument are outside;
they are put between two germs, and convexity is checked on its own.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cmp_to_key, lru_cache
from typing import Any

import sympy as sp
from sympy.simplify.fu import TR8

from gateflow.arithmetic.intervals import Interval, Intervals
from gateflow.asymptotics import constants
from gateflow.asymptotics.constants import Undecided
from gateflow.asymptotics.growth import GRACE, Budget, Case, Field, affine_in, cases, oscillating
from gateflow.codegen import Tape
from gateflow.errors import Exceeded, FormulaError, InvalidArgument, cut
from gateflow.formula import unparse
from gateflow.formula.vocabulary import FUNCTIONS, Expr, U, Z, derivative, softplus
from gateflow.gates.gate import gate as as_gate
from gateflow.guards import bounded
from gateflow.guards.arguments import items
from gateflow.notebook.cards import code, facts, folded, framed, listed, mathematics
from gateflow.notebook.html import Html
from gateflow.results.byvalue import by_value

Inverses = tuple[Expr | None, Expr | None]

SECONDS = 10.0
"""Time allowed for one pair."""

RANKING_SECONDS = 30.0
"""Time allowed for a ranking."""


@lru_cache(maxsize=4096)
def text_of(expr: Expr) -> str:
    """A formula readable by `gateflow.formula.parse`; ``oo`` and ``-oo`` stand for the infinities."""
    if expr in (sp.oo, -sp.oo):
        return str(expr)
    try:
        return unparse(expr)
    except FormulaError:  # digamma has no word in the formula language
        return str(expr)


class Steps(list[dict[str, str]]):
    """The chain of limits that decided a question; each entry can be checked by itself."""

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.field = field
        self.scale = "a"
        """The letter for the scale of z, which no parameter bears."""

    def limit(self, statement: str, expr: Expr) -> Expr:
        """The limit of ``expr`` at +infinity, noted under ``statement``."""
        value = self.field.limit(expr)
        self.append({"statement": statement, "expr": text_of(expr), "limit": text_of(value)})
        return value

    def germ(self, letter: str, gate: str, germ: Expr) -> Expr:
        """A germ that differs from ``germ`` by what tends to 0: u for softplus(u), and abs, sign and where resolved.

        Raises
        ------
        Undecided
            It does not tend to +infinity.
        """
        plain = self.field.settled(germ)
        if plain.is_infinite or plain is sp.nan:
            raise Undecided(f"{gate} reaches 1 at a finite z: there is no saturation to compare")
        plain = plain.args[0] if isinstance(plain, softplus) else plain
        if self.limit(f"{letter} = -log(1 - {gate}) tends to infinity", plain) != sp.oo:
            raise Undecided(f"{gate} does not tend to 1 from below")
        if plain != germ:
            self.limit(f"{letter} in a simpler form: the difference tends to 0", germ - plain)
        return plain


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
        """The same fact, told of psi against phi: R(a) becomes 1/R(1/a).

        Examples
        --------
        >>> print(order_of_germs(2 * Z, Z).swapped())
        psi against phi: equal; R(a) is 0 for a < 1/2 and infinite for larger a
        """
        made = replace(
            self,
            verdict={"higher": "lower", "lower": "higher"}.get(self.verdict, self.verdict),
            threshold=None if self.threshold is None else _reciprocal(self.threshold),
            ratio=None if self.ratio is None else _reciprocal(self.ratio),
            steps=[{**step, "statement": _exchanged(step["statement"])} for step in self.steps],
            names=self.names[::-1],
        )
        return replace(made, reason=made._reason_from(self.reason))

    def _reason_from(self, other: str) -> str:
        """The reason, from that of the order with phi and psi exchanged."""
        if self.threshold is not None:
            return other.rpartition(": ")[0] + (": " if ": " in other else "") + _threshold_in_words(self.threshold)
        if self.ratio is not None and self.exponent is not None:
            return _ratio_in_words(self.ratio, self.exponent)
        _, told, original = other.partition(_EXCHANGE)
        if told:
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
        left, right = (rf"\text{{{_escaped(name)}}}" for name in self.names)
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
        told = self.to_json()
        steps = folded_steps(self.steps)
        return framed(
            f"{self.names[0]} against {self.names[1]}: {self.verdict}",
            mathematics(self.latex()),
            facts((name, told[name]) for name in kept),
            steps,
        )

    def __repr__(self) -> str:
        return f"<Order {cut(str(self))}>"

    def __str__(self) -> str:
        return f"{self.names[0]} against {self.names[1]}: {self.verdict}; {self.reason}"


_EXCHANGE = "with phi and psi exchanged, "
"""Before a fact that is told of psi against phi."""


def _exchanged(told: str) -> str:
    return told.removeprefix(_EXCHANGE) if told.startswith(_EXCHANGE) else _EXCHANGE + told


def _reciprocal(x: Expr) -> Expr:
    return sp.exp(-x.args[0]) if isinstance(x, sp.exp) else 1 / x


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


def _escaped(name: str) -> str:
    return "".join("\\" + ch if ch in "_%&#$" else r"\^{}" if ch == "^" else ch for ch in name)


def folded_steps(steps: Sequence[dict[str, str]]) -> Html | None:
    """A chain of limits, folded; None for an empty one."""
    rows = [[step["statement"], code(step["expr"]), step["limit"]] for step in steps]
    return folded("the limits that prove it", listed(("limit", "of", "is"), rows)) if rows else None


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
    return _timed(lambda: _order(f, g, (None, None), seconds), seconds)


def _timed(decide: Callable[[], Order], seconds: float) -> Order:
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
        steps = Steps(Field(Z, Budget(seconds / 2)))
        pair = (g, f) if swap else (f, g)
        try:
            found = bounded.call(lambda p=pair, s=steps: _in_hardy_field(*p, s), seconds / 2, error=Undecided)
        except Undecided as error:
            first = first or Order("undecided", reason=error.reason, steps=list(steps), condition=error.condition)
            if error.condition is not None:
                break
        else:
            return found.swapped() if swap else found
    assert first is not None
    return first


@lru_cache(maxsize=1024)
def slope(f: Expr) -> Expr:
    """``f'`` for large z: the branch of abs and sign is taken before the derivative."""
    x = sp.Symbol("z", positive=True)
    return derivative(f.xreplace({Z: x}), x).xreplace({x: Z})


def _in_hardy_field(f: Expr, g: Expr, steps: Steps) -> Order:
    steps.scale = _scale(f, g)
    f = steps.germ("f", "phi", f)
    g = steps.germ("g", "psi", g)
    if slope(g).has(sp.polygamma):  # no word of the formula language; by L'Hopital's rule the limit is the same
        p = steps.limit("p = lim g/log z", g / sp.log(Z))
    else:
        p = steps.limit("p = lim z g'", Z * slope(g))
    if p.is_finite:
        return _power_tail(f, g, p, steps)
    F, G = f, g
    for _ in range(12):
        rho = steps.limit("rho = lim log G/log z", sp.log(G) / sp.log(Z))
        if rho.is_finite:
            return _regular(F, G, rho, steps)
        F, G = sp.log(F), sp.log(G)
    raise Undecided("more than 12 nested exponentials")


def _power_tail(f: Expr, g: Expr, p: Expr, steps: Steps) -> Order:
    gap = steps.limit("log R(1) = lim (g - f)", g - f)
    if gap.is_finite:
        ratio = simplest(sp.exp(gap))
        reason = _ratio_in_words(ratio, p)
        return Order("equal", exponent=p, ratio=ratio, reason=reason, steps=list(steps))
    return _strict(gap < 0, "g - f tends to " + str(gap), steps)


def _regular(F: Expr, G: Expr, rho: Expr, steps: Steps) -> Order:
    kappa = steps.limit("kappa = lim F/G", F / G)
    if kappa in (0, sp.oo):
        return _strict(kappa == sp.oo, f"F/G tends to {kappa}", steps)
    if rho != 0:
        return _equal(kappa ** (1 / rho), steps)
    side = steps.field.sign(kappa - 1)
    if side:
        return _strict(side > 0, f"G is slowly varying and F/G tends to {text_of(kappa)}", steps)
    shift = steps.limit("log a* = lim (F - G)/(z G')", (F - G) / (Z * slope(G)))
    if shift.is_finite:
        return _equal(sp.exp(shift), steps)
    return _strict(shift > 0, f"(F - G)/(z G') tends to {shift}", steps)


def _equal(threshold: Expr, steps: Steps) -> Order:
    threshold = simplest(threshold)
    return Order("equal", threshold=threshold, reason=_threshold_in_words(threshold), steps=list(steps))


def _threshold_in_words(threshold: Expr) -> str:
    a = _scale(threshold)
    return f"R({a}) is 0 for {a} < {text_of(threshold)} and infinite for larger {a}"


def _ratio_in_words(ratio: Expr, exponent: Expr) -> str:
    a = _scale(ratio, exponent)
    return f"R({a}) = {text_of(ratio)} * {a}^({text_of(exponent)})"


def _strict(higher: Any, why: str, steps: Steps) -> Order:
    verdict, value = ("higher", "0") if higher else ("lower", "infinite")
    a = steps.scale
    reason = f"R({a}) is {value} for every {a} > 0 ({why}); both germs lie in one Hardy field, so convexity follows"
    return Order(verdict, convex=True, reason=reason, steps=list(steps))


def order_by_cases(f: Expr, g: Expr, parameter: sp.Symbol, seconds: float = SECONDS) -> list[Case]:
    """`order_of_germs` where it depends on a parameter: the range of the parameter in parts, with the order in each.

    Examples
    --------
    >>> k = sp.Symbol("k", positive=True)
    >>> for case in order_by_cases(Z**k, Z**2, k):
    ...     print(case.condition, case.answer.verdict)
    (0 < k) & (k < 2) lower
    Eq(k, 2) equal
    (2 < k) & (k < oo) higher
    """

    def question(value: Expr) -> Order:
        germs = [x.xreplace({parameter: value}) for x in (f, g)]
        first = order_of_germs(germs[0], germs[1], seconds)
        if first.condition is not None:
            raise Undecided(first.reason, first.condition)
        return first

    return cases(question, parameter)


# --- oscillating profiles ---------------------------------------------------------------------------------------------


def _profile(f: Expr) -> Expr | None:
    """u where f = softplus(u)."""
    return f.args[0] if isinstance(f, softplus) else None


def _bounds(f: Expr) -> tuple[Expr, Expr, bool]:
    """Germs below and above f, and whether f touches both again and again.

    Each oscillating node may take any value in [-1, 1]. Where the profile is affine in each of them, or monotone in the
    only one, its extremes are at the corners; these are germs, so one is the largest and one the smallest for large z.
    Else the terms that oscillate are put between two numbers.
    """
    if not oscillating(f):
        return f, f, True
    u = _profile(f)
    back: Callable[[Expr], Expr] = softplus if u is not None else lambda germ: germ
    u = _waves_apart(f if u is None else u)
    nodes = oscillating(u)
    if not (affine_in(u, nodes) or _monotone(u, nodes)):
        low, high = _beside_what_waves(u, nodes)
        return back(low), back(high), False
    ends = [u.xreplace(dict(zip(nodes, c, strict=True))) for c in itertools.product((-1, 1), repeat=len(nodes))]
    hardy = Field(Z, 2.0)
    low = high = ends[0]
    for end in ends[1:]:
        low = end if hardy.sign(end - low) < 0 else low
        high = end if hardy.sign(end - high) > 0 else high
    return back(low), back(high), len(nodes) == 1 and _runs_off(nodes[0].args[0])


def _waves_apart(u: Expr) -> Expr:
    """Logarithms of positive products as sums, and products of sines and cosines as sums of them.

    Examples
    --------
    >>> _waves_apart(Z + sp.sin(Z) ** 2), _waves_apart(-sp.log((2 + sp.sin(Z)) * sp.exp(-Z)))
    (z - cos(2*z)/2 + 1/2, z - log(sin(z) + 2))
    """
    apart = sp.expand_mul(u.replace(sp.log, _log_of_product))
    return TR8(apart) if sp.count_ops(apart) <= _LARGEST_WAVES else apart


_LARGEST_WAVES = 200
"""Operations of the largest formula whose products of sines are written as sums."""


def _log_of_product(x: Expr) -> Expr:
    factors = sp.Mul.make_args(x)
    waves = [factor for factor in factors if factor.has(sp.sin, sp.cos)]
    if len(factors) == 1 or not all(_positive_whatever_the_phase(factor) for factor in waves):
        return sp.log(x)
    return sp.expand_log(sp.log(x / sp.Mul(*waves))) + sp.Add(*map(sp.log, waves))


def _positive_whatever_the_phase(wave: Expr) -> bool:
    found = _range_of_waves(wave, list(wave.atoms(sp.sin, sp.cos)))
    return found is not None and found.positive


def _range_of_waves(wave: Expr, nodes: Sequence[Expr]) -> Interval | None:
    """Where the values lie if each node may be anything in [-1, 1]; None where z has a say besides."""
    letters = {node: sp.Dummy("s", real=True) for node in nodes}
    open_form = wave.xreplace(letters)
    if open_form.free_symbols - set(letters.values()):
        return None
    ball = Intervals()
    found = Tape([open_form], letters.values())(ball, *[ball.interval(-1, 1) for _ in letters])[0]
    return found if found.bounded else None


def _beside_what_waves(u: Expr, nodes: Sequence[Expr]) -> tuple[Expr, Expr]:
    """Germs below and above ``u = steady + waves``, where the waves have bounds."""
    waves = [term for term in sp.Add.make_args(u) if term.has(*nodes)]
    found = _range_of_waves(sp.Add(*waves), nodes)
    if found is None:
        raise Undecided(f"{unparse(nodes[0])} oscillates as z grows")
    steady = u - sp.Add(*waves)
    low, high = (steady + sp.Rational(end) for end in found.ends)
    return low, high


def _monotone(u: Expr, nodes: Sequence[Expr]) -> bool:
    """Whether u is eventually monotone in the value of its only oscillating node."""
    if len(nodes) > 1:
        return False
    value = sp.Dummy("s", real=True)
    sensitivity = u.xreplace({nodes[0]: value}).diff(value)
    if sensitivity.has(sp.Derivative, sp.Subs):  # a node whose derivative is not known
        return False
    return _circle_sign(sensitivity.xreplace({value: nodes[0]})) in (-1, 1)


def _runs_off(argument: Expr) -> bool:
    """Whether the argument of sin or cos tends to infinity, so that every value in [-1, 1] is met for ever."""
    try:
        return bool(Field(Z, 1.0).limit(argument).is_infinite)
    except Undecided:
        return False


def _between_bounds(f: Expr, g: Expr, inverses: Inverses, seconds: float) -> Order:
    try:
        f_low, f_high, f_touches = _bounds(f)
        g_low, g_high, g_touches = _bounds(g)
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
    convex = _convex(*pair)
    if convex is None:
        reason = f"R(a) is {value} for every a > 0, but whether the convexity clause holds is not decided (oscillation)"
        return Order("undecided", reason=reason, steps=steps)
    if convex:
        reason = f"R(a) is {value} for every a > 0, and the convexity clause was checked on its own"
        return Order(verdict, convex=True, reason=reason, steps=steps)
    reason = f"R(a) is {value} for every a > 0, but the convexity clause fails: the curvature changes sign for ever"
    return Order("incomparable", convex=False, reason=reason, steps=steps)


def _convex(upper: Expr, lower: Expr, inverse_upper: Expr | None, inverse_lower: Expr | None) -> bool | None:
    """Whether ``w = v^-1(u(z))`` is eventually convex, u and v the profiles of the higher and the lower gate.

    Where v oscillates its inverse has no formula; then the inverse function ``u^-1(v(z))`` must be concave.
    """
    u, v = _profile(upper), _profile(lower)
    if u is None or v is None:
        return None
    try:
        if not oscillating(v):
            w = _through_inverse(u, v, inverse_lower)
            curvature = None if w is None else slope(slope(w))
        else:
            w = _through_inverse(v, u, inverse_upper)
            curvature = None if w is None else -slope(slope(w))
        found = None if curvature is None else _circle_sign(curvature)
    except Undecided:
        return None
    return None if found is None else found > 0


def _through_inverse(u: Expr, v: Expr, inverse: Expr | None) -> Expr | None:
    """``v^-1(u(z))`` for large z, v free of oscillation."""
    if v == Z:
        return u
    x = sp.Symbol("z", positive=True)
    if inverse is not None and not inverse.has(sp.Abs, sp.sign):
        return inverse.xreplace({U: u})
    if oscillating(v):
        return None
    y = sp.Dummy("y", positive=True)
    try:
        roots = sp.solve(Field(Z, 1.0).settled(v).xreplace({Z: x}) - y, x)
    except NotImplementedError:
        return None
    return roots[0].xreplace({y: u}) if len(roots) == 1 else None


def _circle_sign(expr: Expr) -> int | None:
    """The eventual sign of an expression in z and in sin and cos of one growing argument.

    1 or -1 where it is constant, 0 where both signs are met for ever, None where that is not decided. The pair
    (cos, sin) runs round the unit circle for ever, so only its values there matter, uniformly.
    """
    if not oscillating(expr):
        return Field(Z, 2.0).sign(expr)
    if expr.is_Pow and expr.exp.is_rational:
        base = _circle_sign(expr.base)
        return 1 if base == 1 or (base == -1 and expr.exp.is_even) else base if expr.exp.is_odd else None
    if isinstance(expr, sp.exp):
        return 1
    factored = sp.factor(sp.together(expr)) if not expr.is_Mul else expr
    if factored.is_Mul:
        signs = [_circle_sign(factor) for factor in factored.args]
        return None if None in signs or signs.count(0) > 1 else int(sp.prod(signs))
    return _sum_circle_sign(expr)


def _sum_circle_sign(expr: Expr) -> int | None:
    nodes = oscillating(expr)
    arguments = {node.args[0] for node in nodes}
    argument = arguments.pop()
    if arguments or not _runs_off(argument):
        return None
    hardy = Field(Z, 2.0)
    met = [{sp.sin(argument): s, sp.cos(argument): c} for s, c in ((0, 1), (1, 0), (0, -1), (-1, 0))]
    if {-1, 1} <= {hardy.sign(expr.xreplace(values)) for values in met}:
        return 0
    s, c = sp.Dummy("s"), sp.Dummy("c")
    open_form = sp.expand(expr.xreplace({sp.sin(argument): s, sp.cos(argument): c}))
    if not open_form.is_polynomial(s, c):
        return None
    terms = sp.Poly(open_form, s, c).terms()
    size = max((coefficient for _, coefficient in terms), key=_Growth(hardy))
    form = sp.Add(*[hardy.limit(coefficient / size) * s**i * c**j for (i, j), coefficient in terms])
    return _sign_on_circle(form, s, c, hardy.sign(size))


class _Growth:
    """A sort key: the faster germ is the larger."""

    def __init__(self, hardy: Field) -> None:
        self.hardy = hardy

    def __call__(self, expr: Expr) -> Any:
        return cmp_to_key(lambda x, y: "<~>".index(self.hardy.compare(x, y).relation) - 1)(expr)


def _sign_on_circle(form: Expr, s: Expr, c: Expr, up: int) -> int | None:
    """The sign of a polynomial in s, c on the circle; the point (-1, 0) is missed by the parametrisation."""
    t = sp.Dummy("t", real=True)
    numer = sp.numer(sp.together(form.xreplace({s: 2 * t / (1 + t**2), c: (1 - t**2) / (1 + t**2)})))
    last = form.xreplace({s: sp.S.Zero, c: sp.S.NegativeOne})
    polynomial = sp.Poly(numer, t)
    if not all(a.is_rational for a in polynomial.all_coeffs()) or last == 0:
        return None
    roots = sp.real_roots(polynomial, multiple=False)
    if any(multiplicity % 2 for _, multiplicity in roots):
        return 0
    if roots:
        return None
    return up * int(sp.sign(last))


# --- gates ------------------------------------------------------------------------------------------------------------


def germ_of(gate: Any) -> Expr:
    """``-log(1 - phi)`` of a gate, as a formula in z for large z.

    Examples
    --------
    >>> from gateflow.gates.gate import Gate
    >>> germ_of(Gate("sigmoid(z**3)")), germ_of(Gate(complement="erfc(z)/2"))
    (softplus(z**3), -log(erfc(z)) + log(2))
    """
    declared = -sp.log(gate.expr if gate.declared == "complement" else 1 - gate.expr)
    return _tail_germ(gate, "log_phi_c", 1, declared)


def left_germ_of(gate: Any) -> Expr:
    """``-log phi(-z)``: the gate's other tail, where it forgets, turned to +infinity."""
    declared = -sp.log(1 - gate.expr if gate.declared == "complement" else gate.expr)
    return _tail_germ(gate, "log_phi", -1, declared.xreplace({Z: -Z}))


def _tail_germ(gate: Any, formula: str, side: int, declared: Expr) -> Expr:
    """The gate's stable formula where all its nodes have words in the formula language, else its declaration."""
    if gate.declared == "profile":
        return softplus(side * gate.expr.xreplace({Z: side * Z}))
    found = _in_words(-getattr(gate.formulas, formula).xreplace({Z: side * Z}))
    return declared if found is None else found


@lru_cache(maxsize=256)
def _in_words(expr: Expr) -> Expr | None:
    """A stable formula in the words of the formula language, with its branches for large z; None where a word lacks."""
    for name, words in _WORDS.items():
        expr = expr.replace(lambda node, name=name: node.func.__name__ == name, lambda node, w=words: w(*node.args))
    known = {*FUNCTIONS.values(), sp.Abs, sp.sign, sp.Piecewise}
    if any(node.func not in known for node in expr.atoms(sp.Function)):
        return None
    try:
        return expr if isinstance(expr, softplus) else Field(Z, 5.0).settled(expr)
    except Undecided:
        return None


def _acot(x: Expr) -> Expr:
    """``pi/2 - atan(x)`` without cancellation where x is positive for large z."""
    try:
        return sp.atan(1 / x) if Field(Z, 1.0).sign(x) > 0 else sp.pi / 2 - sp.atan(x)
    except Undecided:
        return sp.pi / 2 - sp.atan(x)


_WORDS: dict[str, Callable[..., Expr]] = {
    "erfc": sp.erfc,
    "acot": _acot,
    "log_add": lambda x, y: sp.log(sp.exp(x) + sp.exp(y)),
    "log_erfc": lambda x: sp.log(sp.erfc(x)),
    "log_erfcx": lambda x: sp.log(sp.erfc(x)) + x**2,
    "log_atan_exp": lambda x: sp.log(sp.atan(sp.exp(x))),
    "log_atan_ratio": lambda x: sp.log(sp.atan(sp.exp(x))) - x,
    "log_cosh": lambda x: sp.log(sp.cosh(x)),
    "log1mexp": lambda x: sp.log(1 - sp.exp(-x)),
    "log_cloglog": lambda x: sp.log(1 - sp.exp(-sp.exp(x))),
    "log_softplus": lambda x: sp.log(softplus(x)),
    "log_expm1": lambda x: sp.log(sp.exp(x) - 1),
    "log1p": lambda x: sp.log(1 + x),
    "expm1": lambda x: sp.exp(x) - 1,
}
"""Nodes that keep floating-point digits, in the words of the formula language; exact arithmetic needs no more."""


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
        f, g = germ_of(phi), germ_of(psi)
        inverses = (None, None)
        if f.has(sp.sin, sp.cos) or g.has(sp.sin, sp.cos):
            inverses = (phi.formulas.inverse, psi.formulas.inverse)
        return _order(f, g, inverses, seconds)

    return replace(_timed(decided, seconds), names=(phi.name, psi.name))


HIGHEST_FIRST = "Order of saturation, highest first"


@by_value
@dataclass(frozen=True)
class Ranking:
    """Gates by order of saturation.

    Attributes
    ----------
    classes : list of list of str
        Gates of equal order together, highest first: each is proved to be above the next.
    covers : list of (int, int)
        The Hasse diagram: ``(i, j)`` where class i is directly above class j.
    open : list of Order
        The pairs that are incomparable or undecided.
    apart : list of list of str
        Gates of equal order together that have no place among the classes, as some pair with them is open.
    known : list of (str, str)
        What is known of them all the same: the first is higher than the second.
    """

    classes: list[list[str]]
    covers: list[tuple[int, int]]
    open: list[Order]
    apart: list[list[str]] = field(default_factory=list)
    known: list[tuple[str, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """A heading, and one line a class, highest first; then what has no place among them, and why."""
        ranked = [f"{i + 1}. " + " = ".join(names) for i, names in enumerate(self.classes)]
        apart = [f"not ranked: {' = '.join(names)}" for names in self.apart]
        known = [f"{high} is higher than {low}" for high, low in self.known]
        return "\n".join([HIGHEST_FIRST, *ranked, *apart, *known, *(str(o) for o in self.open)])

    def __repr__(self) -> str:
        return f"<Ranking, highest first: {cut('; '.join(' = '.join(names) for names in self.classes))}>"

    def __str__(self) -> str:
        return self.text

    def latex(self) -> str:
        """The classes as a chain."""
        labels = [r" \asymp ".join(rf"\text{{{_escaped(n)}}}" for n in names) for names in self.classes]
        return r" \succ ".join(labels)

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def _repr_html_(self) -> str:
        rows = [[str(i + 1), ", ".join(names)] for i, names in enumerate(self.classes)]
        left_open = [(f"{found.names[0]}, {found.names[1]}", f"{found.verdict}: {found.reason}") for found in self.open]
        apart = [("not ranked", ", ".join(names)) for names in self.apart]
        table = listed(("rung", "gates of equal order"), rows)
        return framed(HIGHEST_FIRST, table, facts([*apart, *left_open]))

    def to_json(self) -> dict[str, Any]:
        """Classes, covers, open pairs and what stands apart as plain data."""
        return {
            "classes": self.classes,
            "covers": [list(c) for c in self.covers],
            "open": [o.to_json() for o in self.open],
            "apart": self.apart,
            "known": [list(pair) for pair in self.known],
        }


def rank(gates: Iterable[Any], seconds: float = RANKING_SECONDS) -> Ranking:
    """Sort gates by order of saturation, highest first.

    Parameters
    ----------
    gates : iterable of Gate or str
    seconds : float
        Time allowed for all pairs together; those that are not decided by then are open.

    Examples
    --------
    >>> from gateflow.gates.gate import Gate
    >>> print(rank([Gate("sigmoid(sinh(z))"), Gate("sigmoid(z)"), Gate("sigmoid(2*z)")]))
    Order of saturation, highest first
    1. sigmoid(sinh(z))
    2. sigmoid(z) = sigmoid(2*z)
    >>> print(rank(["fast", "hard-sigmoid", "sigmoid"]).text.partition(" against ")[0])
    Order of saturation, highest first
    1. fast
    2. sigmoid
    not ranked: hard-sigmoid
    hard-sigmoid
    """
    if isinstance(gates, str):
        raise InvalidArgument("rank takes a list of gates, such as rank(['fast', 'sigmoid'])")
    end = time.monotonic() + bounded.checked(seconds)
    classes, pairs = _classes_and_pairs([as_gate(gate) for gate in items("gates", gates)], end)
    ranked = _without_open_pairs(len(classes), pairs)
    chain = sorted(ranked, key=lambda i: sum(_is_higher(pairs, j, i) for j in ranked))
    names = [[gate.name for gate in members] for members in classes]
    apart = [i for i in range(len(classes)) if i not in chain]
    told = [(i, j) for i in range(len(classes)) for j in range(len(classes)) if {i, j} & {*apart}]
    return Ranking(
        [names[i] for i in chain],
        list(itertools.pairwise(range(len(chain)))),
        [found for found in pairs.values() if _is_open(found)],
        [names[i] for i in apart],
        [(names[i][0], names[j][0]) for i, j in told if _is_higher(pairs, i, j)],
    )


Pairs = dict[tuple[int, int], Order]


def _classes_and_pairs(gates: Sequence[Any], end: float) -> tuple[list[list[Any]], Pairs]:
    """Gates of equal order together, and the order of each class against each before it; no pair is asked twice."""
    classes: list[list[Any]] = []
    pairs: Pairs = {}
    for gate in gates:
        found: dict[int, Order] = {}
        for i, members in enumerate(classes):
            found[i] = order(gate, members[0], max(end - time.monotonic(), _LEAST))
            if found[i].verdict == "equal":
                members.append(gate)
                break
        else:
            pairs.update({(len(classes), i): answer for i, answer in found.items()})
            classes.append([gate])
    return classes, pairs


_LEAST = 0.01
"""Seconds for each pair that is asked when the time is up: it is left open."""


def _is_open(found: Order) -> bool:
    return found.verdict not in ("higher", "lower")


def _is_higher(pairs: Pairs, i: int, j: int) -> bool:
    """Whether class i is proved to be above class j."""
    if (i, j) in pairs:
        return pairs[i, j].verdict == "higher"
    return (j, i) in pairs and pairs[j, i].verdict == "lower"


def _without_open_pairs(count: int, pairs: Pairs) -> list[int]:
    """Classes of which each pair is decided: those with the most open pairs are left out, the last of them first."""
    kept = list(range(count))
    while True:
        open_pairs = [pair for pair, found in pairs.items() if _is_open(found) and set(pair) <= set(kept)]
        if not open_pairs:
            return kept
        kept.remove(max(kept, key=lambda i: (sum(i in pair for pair in open_pairs), i)))


# --- order of saturation by name --------------------------------------------------------------------------------------


@by_value
@dataclass(frozen=True)
class SaturationOrder:
    """The class ``O(g(z))`` of a gate, named by its simplest member.

    Attributes
    ----------
    g : sympy.Expr
        Decreasing; ``g(a z)/(1 - phi(z)) -> 0`` for ``a`` past the threshold.
    order : Order
        The gate against a gate with ``1 - psi = g``; ``equal``.
    strict : bool
        False for power tails, where ``g(a z)/(1 - phi(z))`` tends to a positive constant for every a, so that only the
        class is named: no power of z is the least admissible g.
    """

    g: Expr
    order: Order
    strict: bool

    def __repr__(self) -> str:
        return f"<SaturationOrder {cut(str(self))}>"

    def __str__(self) -> str:
        return f"O({text_of(self.g)})"

    def latex(self) -> str:
        """``O(g(z))``."""
        return rf"O\left({sp.latex(self.g)}\right)"

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def _repr_html_(self) -> str:
        note = None if self.strict else "a power tail: the class only, no power of z is the least"
        about = facts([("g(z)", text_of(self.g)), ("note", note)])
        return framed("Order of saturation", mathematics(self.latex()), about)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"g": text_of(self.g), "strict": self.strict, "order": self.order.to_json()}


def saturation_order(gate: Any, seconds: float = SECONDS) -> SaturationOrder:
    """The simplest g with the same order of saturation as the gate.

    Examples
    --------
    >>> from gateflow.gates.gate import Gate
    >>> saturation_order(Gate("sigmoid(sinh(z))")).g, saturation_order(Gate("(1 + erf(z))/2")).g
    (exp(-exp(z)), exp(-z**2))
    """
    return saturation_order_of_germ(germ_of(as_gate(gate)), bounded.checked(seconds))


def saturation_order_of_germ(f: Expr, seconds: float = SECONDS) -> SaturationOrder:
    """See `saturation_order`; ``f = -log(1 - phi)``."""
    if oscillating(f):
        raise Undecided("the gate oscillates as z grows: no simple g names its order")
    hardy = Field(Z, seconds / 2)
    f = Steps(hardy).germ("f", "phi", f)
    p = hardy.limit(Z * slope(f))
    if p.is_finite:
        g = _unit(hardy.leading_term(sp.exp(-f)))
        return SaturationOrder(g, order_of_germs(f, -sp.log(g), seconds), strict=False)
    for candidate in _simpler(hardy, f):
        found = order_of_germs(f, candidate, seconds / 2)
        if found.verdict == "equal":
            return SaturationOrder(sp.exp(-candidate), found, strict=True)
    raise Undecided("no simpler germ of the same order was found")


def _unit(term: Expr) -> Expr:
    """A leading term without its constant factor."""
    return sp.Mul(*[a for a in sp.Mul.make_args(term) if a.has(Z)])


def _simpler(hardy: Field, f: Expr) -> Iterable[Expr]:
    """Germs that may be of the same order as f, the simplest first."""
    term = _unit(hardy.leading_term(f))
    factors = sp.Mul.make_args(term)
    fastest = max(factors, key=lambda a: _height(a))
    if isinstance(fastest, sp.exp):
        exponents = list(_simpler(hardy, fastest.args[0]))
        yield from (sp.exp(h) for h in exponents)
    yield fastest
    yield term
    yield f


def _height(a: Expr) -> tuple[int, int]:
    """Nested exponentials less nested logarithms: a crude measure of speed, used only to order candidates."""
    inner = max((_height(b)[0] for b in a.args), default=0) if a.args else 0
    return (inner + isinstance(a, sp.exp) - isinstance(a, sp.log), sp.count_ops(a))
