"""How fast a gate learns (theory.md §4, §5): its rate with the constant, and its place below the barrier.

With ``f = -log(1 - phi)`` the flow for lambda* = 1 is ``ds/dz = 1/phi'`` in the scaled time ``s = c T tau``. Hence,
up to a factor that tends to 1, ``s(z) = z/(phi' (2 + z f'))``; the factor is proved by ``lim phi' ds/dz = 1``.

The loss as a function of time is the inverse of s put into ``exp(-f)``. No inverse is taken: f is expanded in powers
of ``S = log s``, ``log S``, ``log log S``, ... (both are germs in z, so each term is a few limits) until the
remainder tends to a constant. The exponential of that sum is the rate ``l_hat``, and ``lim [f(z) + log l_hat(s(z))] =
0`` proves it, however it was found. Where the expansion does not end, some inverses being no exp-log functions, the
pair ``(s(z), 1 - phi(z))`` is the answer.

At the left end, where the gate forgets (target 0), ``q = phi(-z)`` plays the part of 1 - phi, and ``phi^(T-1)`` no
longer tends to 1: then ``s(z) = z exp(T f)/(f' (2 + T z f'))``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import sympy as sp

from gateflow.arithmetic.enclosed import accurate
from gateflow.asymptotics.germs import folded_steps, germ_of, left_germ_of, refuse_other_limits, simplify_germ
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.limits.growth import GRACE, Chain, Field, oscillating
from gateflow.asymptotics.limits.plain import polynomial
from gateflow.asymptotics.proofs.outline import find_kappa, prove_law, prove_time, slope
from gateflow.asymptotics.proofs.statements import GAP, TAU, C, L, Refuted, T, text_of
from gateflow.errors import Exceeded, InvalidArgument, cut, shown
from gateflow.formula.vocabulary import Expr, Z, softplus
from gateflow.gates.gate import gate as as_gate
from gateflow.guards import bounded
from gateflow.notebook.cards import curve, facts, framed, mathematics
from gateflow.notebook.html import Html
from gateflow.results.byvalue import by_value

SPAN = (10.0, 70.0)
"""Values of log tau over which a card draws the law: from some ten thousand to 1e30 steps of unit size."""

_SIGMA = sp.Dummy("S", positive=True)  # log s, or log(1/l): the variable of an expansion
Pair = tuple[Expr, Expr]
_SECONDS = 10.0
_POSITIVE = sp.Symbol("z", positive=True)
_LONG = 12  # operations in a germ to be differentiated
_LONG_SHOWN = 60  # and in a formula to be shown
_LEVELS = 6
_TERMS = 6


@dataclass(frozen=True)
class Expansion:
    """A germ as a sum of terms in ``S`` (and its logarithms) and a constant, up to o(1).

    Attributes
    ----------
    terms : list of sympy.Expr
        Infinitely large, in `variable`, largest first.
    constant : sympy.Expr
    next : sympy.Expr or None
        The first term that tends to 0, where it has the same form.
    """

    terms: list[Expr]
    constant: Expr
    next: Expr | None = None

    def at(self, variable: Expr) -> Expr:
        """The sum, with ``variable`` in place of S."""
        return sp.Add(*self.terms, self.constant).xreplace({_SIGMA: variable})


class _NoExpansion(Exception):
    """The germ has no finite expansion in powers of S and its logarithms."""


def _monomial(hardy: Field, h: Expr, scale: Expr, depth: int = 0) -> Expr:
    """The leading term of h as ``C S^e0 (log S)^e1 ...``, times an exponential of such terms where it must be."""
    try:
        sign = hardy.sign(h)
    except Undecided as error:
        if error.condition is None or depth > 3:
            raise
        return error.condition * _monomial(hardy, h / error.condition, scale, depth + 1)
    if sign == 0 or depth > 3:
        raise _NoExpansion
    size = sp.log(sign * h)
    result, level, variable = sp.Integer(sign), scale, _SIGMA
    for _ in range(_LEVELS):
        if (rest := hardy.limit(size)).is_finite:
            return result * sp.exp(rest)
        exponent = hardy.limit(size / sp.log(level))
        if exponent.is_infinite:
            if variable is _SIGMA:
                raise _NoExpansion
            inner = _expansion(hardy, size, scale, depth + 1)
            return result * sp.exp(inner.at(_SIGMA))
        result *= variable**exponent
        size -= exponent * sp.log(level)
        level, variable = sp.log(level), sp.log(variable)
    raise _NoExpansion


def _expansion(hardy: Field, h: Expr, scale: Expr, depth: int = 0) -> Expansion:
    """h in terms of ``scale``, until what is left tends to a constant."""
    terms: list[Expr] = []
    for _ in range(_TERMS):
        rest = hardy.limit(h)
        if rest.is_finite:
            return Expansion(terms, rest)
        term = _monomial(hardy, h, scale, depth)
        terms.append(term)
        h -= term.xreplace({_SIGMA: scale})
    raise _NoExpansion


# --- formulas ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Factored:
    """``exp(constant) s^power * slow`` where ``slow`` holds the factors in log s."""

    power: Expr
    constant: Expr
    slow: Expr

    @classmethod
    def exponential_of(cls, expansion: Expansion, sign: int) -> _Factored:
        power: Expr = sp.S.Zero
        slow: Expr = sp.S.One
        for term in expansion.terms:
            if term.has(_SIGMA) and not (term / _SIGMA).has(_SIGMA):
                power += sign * term / _SIGMA
            else:
                slow *= _exp_of_term(sign * term)
        return cls(sp.simplify(power), sp.exp(sign * expansion.constant), slow)

    def expr(self, s: Expr, log_s: Expr) -> Expr:
        """As a SymPy expression."""
        return self.constant * s**self.power * self.slow.xreplace({_SIGMA: log_s})

    def text(self, s: str, log_s: Expr, log_text: Callable[[Expr], str] = text_of) -> str:
        """As text, with the constant drawn into the power of s: ``(3*c*T*tau)**(-1/3)``."""
        slow = self.slow.xreplace({_SIGMA: log_s})
        if self.power == 0:
            return log_text(self.constant * slow)
        inside = sp.factor(sp.powsimp(sp.simplify(self.constant ** (1 / self.power))))
        if inside.has(T):
            inside, s = sp.factor(sp.powsimp(inside * T)), s.replace("*T", "")
        if abs(self.power) == 1:
            numer, denom = sp.fraction(sp.together(inside**self.power)), sp.fraction(slow)
            return _quotient((numer[0], denom[0]), (numer[1], denom[1]), s, self.power < 0, log_text)
        head = f"({_times(inside, s, log_text)})**({log_text(self.power)})"
        numer, denom = (sp.S.One, 1 / slow) if self.slow_in_denominator else (slow, sp.S.One)
        return _with_factor(head, numer, denom, log_text)

    @property
    def slow_in_denominator(self) -> bool:
        """Whether the slow factors read better as a divisor."""
        return sp.count_ops(1 / self.slow) <= sp.count_ops(self.slow)


def _exp_of_term(term: Expr) -> Expr:
    """``exp(term)``, with ``exp(k log x)`` as a power."""
    coefficient, rest = term.as_independent(_SIGMA, Z, as_Add=False)
    return rest.args[0] ** sp.simplify(coefficient) if isinstance(rest, sp.log) else sp.exp(term)


def _in_brackets(expr: Expr, write: Callable[[Expr], str]) -> str:
    text = write(expr)
    return f"({text})" if expr.is_Add else text


def _times(constant: Expr, s: str, write: Callable[[Expr], str]) -> str:
    return s if constant == 1 else f"{write(constant) if not constant.is_Add else '(' + write(constant) + ')'}*{s}"


def _with_factor(body: str, numer: Expr, denom: Expr, write: Callable[[Expr], str]) -> str:
    body = body if numer == 1 else f"{body}*{_in_brackets(numer, write)}"
    if denom == 1:
        return body
    return f"{body}/({write(denom)})" if denom.is_Mul else f"{body}/{_in_brackets(denom, write)}"


def _quotient(above: Pair, below: Pair, s: str, inverse: bool, write: Callable[[Expr], str]) -> str:
    """``above * s / below`` or ``above / (below * s)``, each pair a constant and its slow factors."""
    top = _join([above[0], "" if inverse else s, above[1]], write)
    bottom = _join([below[0], s if inverse else "", below[1]], write)
    if bottom == "1":
        return top
    return f"{top}/({bottom})"


def _join(factors: list[Expr | str], write: Callable[[Expr], str]) -> str:
    texts = [f if isinstance(f, str) else "" if f == 1 else _in_brackets(f, write) for f in factors]
    return "*".join(t for t in texts if t) or "1"


_MEANING = {
    "next_order": "with its next term",
    "distance": "distance to the end",
    "slope": "slope",
    "h": "slope at distance l",
    "kappa": "kappa; 1 is the barrier",
    "hitting_time": "time to a small gap",
    "reason": "note",
}
"""What a card shows beside the law."""

# --- the result -------------------------------------------------------------------------------------------------------


@by_value
@dataclass(frozen=True)
class Rate:
    """How fast a gate learns where lambda* = 1 (or forgets, at the other end).

    Formulas are text in the formula language; ``tau`` is learning time, ``c`` the loss scale, ``T`` the horizon, ``l``
    the distance to go, ``z`` the pre-activation, ``gap`` 1 - lambda*.

    Attributes
    ----------
    verdict : str
        ``explicit``, ``implicit`` (no formula in powers and logarithms of tau was found) or ``undecided``: nothing but
        the reason is then known.
    rate : str or None
        l(tau): its ratio to the true l tends to 1.
    next_order : str or None
        The rate with its next term; where convergence is slow, plot this one or the implicit form.
    implicit : dict of str
        ``s`` and ``l``: the scaled time c T tau and the distance, both as functions of z.
    distance, slope : str or None
        Leading terms of 1 - phi and of phi' for large z.
    h : str or None
        Leading behaviour of the slope as a function of the distance l.
    kappa : sympy.Expr or None
        ``lim log k/log f`` of theory.md T6; 1 is the barrier, -oo a power tail or slower.
    logarithms : int
        How many iterated logarithms, each squared, stand in the rate before it leaves the scale of T3.
    hitting_time : str or None
        Learning time to a target 1 - gap, as the gap tends to 0 at fixed T.
    steps : list of dict
        The limits that prove it.
    reason : str
        One line.
    name : str
    tail : str
        ``right`` (phi to 1) or ``left`` (phi to 0).
    seconds : float
    """

    rate: str | None = None
    next_order: str | None = None
    implicit: dict[str, str] = field(default_factory=dict)
    distance: str | None = None
    slope: str | None = None
    h: str | None = None
    kappa: Expr | None = None
    logarithms: int = 0
    hitting_time: str | None = None
    steps: list[dict[str, str]] = field(default_factory=list)
    reason: str = ""
    name: str = "phi"
    tail: str = "right"
    seconds: float = 0.0
    expr: Expr | None = None
    """The rate as a SymPy expression in TAU, C and T."""

    @property
    def verdict(self) -> str:
        """What is known."""
        return "undecided" if self.kappa is None else "implicit" if self.rate is None else "explicit"

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {
            "gate": self.name,
            "tail": self.tail,
            "verdict": self.verdict,
            "rate": self.rate,
            "next_order": self.next_order,
            "implicit": dict(self.implicit),
            "distance": self.distance,
            "slope": self.slope,
            "h": self.h,
            "kappa": None if self.kappa is None else text_of(self.kappa),
            "logarithms": self.logarithms,
            "hitting_time": self.hitting_time,
            "reason": self.reason,
            "steps": [dict(s) for s in self.steps],
            "seconds": self.seconds,
        }

    def log_distance(self, log_tau: Any, *, horizon: float = 1.0, scale: float = 1.0) -> Any:
        """log l by the law, at logarithms of learning times; no tau is too large, for only its logarithm is a float.

        Parameters
        ----------
        log_tau : float or array
            So large that the iterated logarithms of the law are positive; else nan.
        horizon, scale : float
            T and c.

        Raises
        ------
        Undecided
            The law is known as a parametric pair only, or not at all.

        Examples
        --------
        >>> from gateflow.gates.gate import gate
        >>> print(rate(gate("sigmoid")).log_distance(1e9))
        -1000000000.0
        """
        if self.expr is None:
            raise Undecided(f"{self.name}: no formula of the law in powers and logarithms of tau")
        law = self.expr.xreplace({T: sp.Rational(horizon), C: sp.Rational(scale)})
        found = [_log_at(law, float(x)) for x in np.ravel(log_tau)]
        return np.reshape(found, np.shape(log_tau))[()]

    def latex(self) -> str:
        """The rate in LaTeX."""
        return r"l(\tau) \sim " + (rf"\text{{({self.verdict})}}" if self.expr is None else sp.latex(self.expr))

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def _repr_html_(self) -> str:
        facts_of = self.to_json()
        rows = [(meaning, facts_of[key]) for key, meaning in _MEANING.items()]
        rows.insert(1, ("implicit", self.pair))
        title = f"{self.name}: law of {'learning' if self.tail == 'right' else 'forgetting'}"
        return framed(title, mathematics(self.latex()), facts(rows), folded_steps(self.steps), picture=self._curve())

    @property
    def pair(self) -> str | None:
        """The law as a parametric pair, in words; None where it is undecided."""
        return f"c T tau = {self.implicit['s']}, l = {self.implicit['l']}" if self.implicit else None

    def _curve(self) -> Html | None:
        """The law over the learning times that a run may see."""
        if self.expr is None:
            return None
        log_tau = np.linspace(*SPAN, 41)
        across, up = "log10 tau", "log10 l, c = T = 1"
        return curve(
            log_tau / np.log(10), self.log_distance(log_tau) / np.log(10), label="The law", across=across, up=up
        )

    def __repr__(self) -> str:
        return f"<Rate of {cut(str(self))}>"

    def __str__(self) -> str:
        if not self.implicit:
            return f"{self.name}: undecided; {self.reason}"
        return f"{self.name}: l ~ {self.rate or 'implicit, s = ' + self.implicit['s'] + ', l = ' + self.implicit['l']}"


def _log_at(law: Expr, log_tau: float) -> float:
    """The logarithm of a law of tau; nan where it is no positive number."""
    if not math.isfinite(log_tau):
        return math.nan
    ball = accurate(sp.log(law.xreplace({TAU: sp.exp(sp.Rational(log_tau))})), 60)
    return math.nan if ball is None else float(ball)


# --- the search -------------------------------------------------------------------------------------------------------


def _time_germ(f: Expr, p: Expr, horizon: Expr) -> Expr:
    """``log s(z)`` with ``s = z exp(N f)/(f' (2 + N z f'))``, the last factor replaced by its limit behaviour."""
    df = slope(f)
    f = sp.Add(*[horizon * term for term in sp.Add.make_args(f)])
    if p.is_finite:
        return f + sp.log(Z) - sp.log(df) - sp.log(2 + horizon * p)
    return f - 2 * sp.log(df) - sp.log(horizon)


def _short_germ(chain: Chain, f: Expr, tail: str, as_it_is: bool) -> Expr:
    """A germ g with ``f - g -> 0``, short enough to differentiate: f itself, its profile, or its leading behaviour."""
    g = simplify_germ("f", "phi", f, chain, tail)
    if not as_it_is and sp.count_ops(g) > _LONG and not _has_high_power(g):
        leading = sp.expand_log(-sp.log(chain.field.leading_term(sp.exp(-g)).xreplace({Z: _POSITIVE})))
        leading = leading.xreplace({_POSITIVE: Z})
        if sp.count_ops(leading) < sp.count_ops(g) and chain.ask("f is g", "f - g tends to 0", g - leading) == 0:
            return leading
    return g


def rate_of_germ(f: Expr, seconds: float = _SECONDS, horizon: Expr = sp.S.One) -> Rate:
    """The rate from ``f = -log(1 - phi)``.

    Parameters
    ----------
    f : sympy.Expr
        In z; tends to +oo.
    seconds : float
    horizon : sympy.Expr
        1 at the right end; T at the left end, where ``f = -log phi(-z)``.

    Raises
    ------
    Undecided
        Not answered in time, or f oscillates.

    Examples
    --------
    >>> rate_of_germ(sp.sinh(Z)).rate
    '1/(c*T*tau*log(tau)**2)'
    >>> rate_of_germ(sp.log(2 + Z)).rate
    '(3*c*T*tau)**(-1/3)'
    """
    if oscillating(f):
        raise Undecided("the gate oscillates as z grows: it has no rate in closed form")
    hardy = Field(Z, seconds)
    chain = Chain(hardy)
    tail = "right" if horizon == 1 else "left"
    declared, f = f, _in_powers(f)
    too_long = sp.count_ops(f) > _LONG_SHOWN
    g = _short_germ(chain, f, tail, as_it_is=f != declared)
    f = hardy.resolve(f)
    p = chain.ask("p", "p = lim z f'", Z * slope(g))
    S = _time_germ(g, p, horizon)
    if g != f and chain.ask("f' is g'", "f'/g' tends to 1", slope(f) / slope(g)) != 1:
        raise Undecided("the simpler germ has another slope")
    try:
        prove_time(sp.log(slope(g)) - horizon * g, S, chain, tail)
    except Refuted as why:
        raise Undecided(f"the time s(z) was not found: {why}") from None
    kappa = find_kappa(f, chain)
    found = _explicit(chain, f, g, S, horizon)
    return Rate(
        implicit=_implicit(hardy, *((S, g) if f == declared or too_long else map(_multiplied_out, (S, g)))),
        distance=text_of(_shorter(hardy, sp.exp(-f), sp.exp(-g))),
        slope=text_of(_shorter(hardy, slope(f) * sp.exp(-f), slope(g) * sp.exp(-g))),
        h=_if_found(hardy, lambda field: _slope_of_output(field, f)),
        kappa=kappa,
        hitting_time=_if_found(hardy, lambda field: _hitting_time(field, f, S)) if horizon == 1 else None,
        steps=list(chain),
        tail=tail,
        **found,
    )


HIGH = 24
"""Powers of sums up to which all that grows in them is written out."""


def _has_high_power(g: Expr) -> bool:
    return any(power.exp.is_Integer and power.exp > HIGH and power.base.has(sp.Add) for power in g.atoms(sp.Pow))


LONG_PRODUCT = 15
"""Operations from which on a polynomial that is a product, or has products of sums in it, is multiplied out."""


def _in_powers(f: Expr) -> Expr:
    """``softplus`` of a long product of polynomials as that of ``z^n (a + b/z + ...)``; any other germ as it is.

    The derivative of a product has the square of its length; and of a sum of positive powers SymPy looks for the real
    roots wherever it asks for a sign, which it does not of this form.

    Examples
    --------
    >>> _in_powers(softplus(sp.Mul(*(Z**2 - k for k in range(1, 7))))).args[0].args[1].coeff(Z, -2)
    -21
    """
    u = f.args[0] if isinstance(f, softplus) else None
    if u is None or sp.count_ops(u) < LONG_PRODUCT or not any(a.is_Add for m in u.atoms(sp.Mul) for a in m.args):
        return f
    found = polynomial(u, Z)
    if found is None:
        return f
    n = found.degree()
    return softplus(Z**n * sp.Add(*(c * Z ** (k - n) for (k,), c in found.terms())))


def _multiplied_out(expr: Expr) -> Expr:
    return sp.expand(expr, log=False, power_base=False, power_exp=False)


def _implicit(hardy: Field, S: Expr, g: Expr) -> dict[str, str]:
    """s and l as functions of z; a formula too long to read gives way to its leading term."""
    s, distance = _exp(S), sp.exp(-g)
    if sp.count_ops(s) > _LONG_SHOWN:
        s = _shorter(hardy, s, s)
    if sp.count_ops(distance) > _LONG_SHOWN:
        distance = _shorter(hardy, distance, distance)
    return {"s": text_of(s), "l": text_of(distance)}


def _shorter(hardy: Field, exact: Expr, equivalent: Expr) -> Expr:
    """The leading term, or a shorter expression that is equivalent too."""
    leading = _if_found(hardy, lambda field: field.leading_term(exact))
    return equivalent if leading is None else min(leading, equivalent, key=sp.count_ops)


def _apart(hardy: Field, work: Callable[[Field], Any]) -> Any:
    """What the answer can do without, by a field of its own; it must not use up the time for the rest.

    Raises
    ------
    Undecided
        It is not found in the part of the time that it may have.
    """
    seconds = min(hardy.budget.seconds / APART, hardy.budget.seconds_left / 2)
    if not seconds:
        raise hardy.budget.out_of_time()
    return bounded.call(lambda: work(Field(Z, seconds)), seconds, error=Undecided)


def _if_found(hardy: Field, work: Callable[[Field], Any]) -> Any:
    """As `_apart`; None where it is not found."""
    try:
        return _apart(hardy, work)
    except Undecided:
        return None


APART = 8
"""What the answer can do without may take one second in this number, each."""


def _exp(S: Expr) -> Expr:
    """``exp(S)`` with logarithms as factors."""
    return sp.Mul(*[_exp_of_term(term) for term in sp.Add.make_args(S)])


def _explicit(chain: Chain, f: Expr, g: Expr, S: Expr, horizon: Expr) -> dict[str, Any]:
    """The explicit rate and its proof, or the reason why there is none."""
    try:
        expansion = _apart(chain.field, lambda field: _expansion(field, g, S))
    except _NoExpansion:
        why = "the inverse of s(z) has no finite expansion in powers of log tau and its logarithms"
        return {"reason": f"{why}; use the implicit form"}
    except Undecided as error:
        if error.condition is not None:
            raise
        return {"reason": f"no explicit rate was found ({error.reason}); use the implicit form"}
    try:
        prove_law(f, -expansion.at(S), chain)
    except Refuted as why:
        raise Undecided(f"the rate that was found is not proved: {why}") from None
    l_hat = _Factored.exponential_of(expansion, -1)
    after = _if_found(chain.field, lambda field: _next_term(field, f, g, S, expansion, horizon))
    return {
        "rate": l_hat.text("c*T*tau", sp.log(TAU)),
        "next_order": None if after is None else _with_next_term(l_hat, after),
        "logarithms": _ladder(expansion),
        "reason": "l divided by the rate tends to 1" + _slowness(after),
        "expr": l_hat.expr(C * T * TAU, sp.log(TAU)),
    }


def _next_term(hardy: Field, f: Expr, g: Expr, S: Expr, expansion: Expansion, horizon: Expr) -> Expr | None:
    """The first two terms of ``g - expansion`` that tend to 0, as far as what was neglected before is smaller."""
    rest, found = g - expansion.at(S), sp.S.Zero
    try:
        neglected = [slope(S) * sp.exp(S - horizon * g) * slope(g) - 1]
        if f != g:
            neglected += [f - g, slope(f) / slope(g) - 1]
        for _ in range(2):
            if hardy.is_zero(rest) or any(hardy.limit(error / rest) != 0 for error in neglected):
                break
            term = _monomial(hardy, rest, S)
            found += term
            rest -= term.xreplace({_SIGMA: S})
    except (_NoExpansion, Undecided):
        pass
    return None if found == 0 else found


def _with_next_term(l_hat: _Factored, term: Expr) -> str:
    log_s = sp.log(C * T * TAU, evaluate=False)
    factor = sp.exp(-term).xreplace({_SIGMA: log_s})
    return f"{l_hat.text('c*T*tau', log_s)}*{text_of(factor)}"


def _slowness(term: Expr | None) -> str:
    return "" if term is None else "; slowly, so plot next_order or the implicit form"


def _ladder(expansion: Expansion) -> int:
    """How many of the factors (log s)^-2, (log log s)^-2, ... stand in the rate, from the first on."""
    if not expansion.terms or expansion.terms[0] != _SIGMA:
        return 0
    count, level = 0, sp.log(_SIGMA)
    for term in expansion.terms[1:]:
        if term != 2 * level:
            break
        count, level = count + 1, sp.log(level)
    return count


def _in_output(hardy: Field, h: Expr, f: Expr) -> Expr | None:
    """A formula in l for ``exp(h(z))``, where ``l = exp(-f(z))``: expanded in log(1/l), or where that fails in 1/l."""
    for scale, variable in ((f, sp.log(1 / L)), (sp.exp(f), 1 / L)):
        try:
            expansion = _expansion(hardy, h, scale)
        except (_NoExpansion, Undecided):
            continue
        factored = _Factored.exponential_of(expansion, 1)
        return factored.expr(sp.exp(variable), variable)
    return None


def _slope_of_output(hardy: Field, f: Expr) -> str | None:
    """h(l): the slope of the gate as a function of its own output."""
    found = _in_output(hardy, sp.log(slope(f)) - f, f)
    return None if found is None else text_of(found)


def _hitting_time(hardy: Field, f: Expr, S: Expr) -> str | None:
    """tau(gap): s as a function of l, divided by c T, at ``l = 1 - lambda*^(1/T)``.

    Its leading order ``gap/T`` is enough where s is a power of l times logarithms; else l is put in exactly.
    """
    found = _in_output(hardy, S, f)
    if found is None:
        return None
    if found.has(sp.exp):
        return text_of(found.xreplace({L: 1 - (1 - GAP) ** (1 / T)}) / (C * T))
    found = found.replace(sp.log, lambda x: sp.log(x.xreplace({L: GAP})))
    return text_of(sp.powsimp(found.xreplace({L: GAP / T}) / (C * T)))


def rate(gate: Any, tail: str = "right", seconds: float = _SECONDS) -> Rate:
    """How fast a gate learns where lambda* = 1, with the constant, proved.

    Parameters
    ----------
    gate : Gate or str
        A gate, or its name or formula.
    tail : str
        ``right``: phi tends to 1, long time scales. ``left``: phi tends to 0, forgetting.
    seconds : float
        Time allowed.

    Raises
    ------
    InvalidArgument
        There is no such tail.

    Examples
    --------
    >>> from gateflow.gates.gate import Gate
    >>> rate(Gate("(1 + erf(z))/2")).rate
    '1/(4*c*T*tau*log(tau))'
    """
    gate, germ, horizon = as_gate(gate), *at_end(tail)
    start, seconds = time.monotonic(), bounded.checked(seconds)

    def decided() -> Rate:
        refuse_other_limits(gate, tail=tail)
        return rate_of_germ(germ(gate), seconds, horizon)

    try:
        found = bounded.call(decided, seconds + GRACE, asked=seconds)
    except (Undecided, Exceeded) as why:  # it oscillates, or time ran out
        found = Rate(reason=why.reason, tail=tail)
    return replace(found, name=gate.name, seconds=time.monotonic() - start)


def at_end(tail: str) -> tuple[Callable[[Any], Expr], Expr]:
    """What makes the germ of a gate at one end, and the horizon there."""
    if not isinstance(tail, str) or tail not in ENDS:
        raise InvalidArgument(f"tail {shown(tail)} is neither 'right' nor 'left'")
    return ENDS[tail]


ENDS: dict[str, tuple[Callable[[Any], Expr], Expr]] = {"right": (germ_of, sp.S.One), "left": (left_germ_of, T)}
