"""Theorem 4.4 beside the numbers: orders of saturation, laws of learning, and observed ratios of learning times.

Under gradient flow, that is at one small step size for all, the time that another gate takes over that of one of higher
order of saturation grows without bound as the gap to the target falls. `compare` shows both sides of that sentence for
the gates named, and from which gap on it holds; and what is left of it at step sizes of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from gateflow.asymptotics.order import Order, order
from gateflow.asymptotics.rate import Rate, rate
from gateflow.descents.crossing import Crossover, crossover
from gateflow.descents.recommendation import start_of
from gateflow.errors import InvalidArgument, cut
from gateflow.flows.problem import LearningProblem
from gateflow.flows.time import hitting_time
from gateflow.formula import parse
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.guards.arguments import ABOVE_0, FINITE, items
from gateflow.guards.arguments import one as one_number
from gateflow.losses import Decay, Loss
from gateflow.losses import loss as as_loss
from gateflow.losses.absolute import LOSS as ABSOLUTE
from gateflow.notebook.cards import exponential, facts, framed, listed
from gateflow.results.byvalue import by_value

GAPS = (1e-1, 1e-2, 1e-4, 1e-8, 1e-16, 1e-32, 1e-64, 1e-128, 1e-200, 1e-300)
"""The ladder of gaps ``1 - lambda*``."""

SMALL = 0.1
"""The largest gap to which a law is held: laws are of small gaps, and say nothing of others, not even who is sooner."""

SECONDS = 10.0
"""Time allowed for each proof."""


@by_value
@dataclass(frozen=True)
class Rung:
    """One gap: how long each gate takes, and how many times longer than the first.

    Attributes
    ----------
    gap : float
    timescale : float or None
        The time constant of the target, where it was given as one.
    log_tau : dict of str to float
        Logarithm of the learning time; times past 1e308 have one, too.
    log_ratio : dict of str to float
        Of the other gates: ``log tau - log tau`` of the first.
    log_ratio_by_law : dict of str to float or None
        The same from the proved laws of hitting times; None where there is no law, or not for this loss, and at gaps
        above 0.1, of which laws say nothing.
    """

    gap: float
    timescale: float | None
    log_tau: dict[str, float]
    log_ratio: dict[str, float]
    log_ratio_by_law: dict[str, float | None]


@by_value
@dataclass(frozen=True)
class Comparison:
    """What `compare` found; prints as a table, shows itself in a notebook.

    Attributes
    ----------
    names : tuple of str
        The first is the one that the others are measured by.
    orders : list of Order
        The first gate against each of the others.
    laws : dict of str to Rate
        By gate; a reason in words where no law was proved.
    ladder : list of Rung
    horizon : float
    starts : tuple of float
        z at which each gate starts.
    gates : tuple of Gate
    loss : Loss
    tolerance : float or None
        Where the times of a loss that is smooth at the target end.
    scale : float
        c.
    start : float or None
        The time constant that all gates start from, where one was given; else they start from one z.
    """

    names: tuple[str, ...]
    orders: list[Order]
    laws: dict[str, Rate]
    ladder: list[Rung]
    horizon: float
    starts: tuple[float, ...]
    gates: tuple[Gate, ...]
    loss: Loss = ABSOLUTE
    tolerance: float | None = None
    scale: float = 1.0
    start: float | None = None

    @cached_property
    def crossings(self) -> tuple[Crossover | str, ...]:
        """From which gap on the order holds, for the first gate with each other one; a reason where nothing is said.

        The targets are those of the largest gap.
        """
        return tuple(self._crossing(k) for k in range(1, len(self.names)))

    def _crossing(self, k: int) -> Crossover | str:
        given: Any = {"horizon": self.horizon, "scale": self.scale, "loss": self.loss}
        pair, known = (self.names[0], self.names[k]), self.orders[k - 1]
        rung = max(self.ladder, key=lambda rung: (rung.gap, -(rung.timescale or 0.0)))
        given |= {"gap": rung.gap} if rung.timescale is None else {"timescale": rung.timescale}
        try:
            problem = LearningProblem(self.gates[0], **given)
            starts = (self.starts[0], self.starts[k])
            return crossover(self.gates[0], self.gates[k], problem, starts, names=pair, known=known)
        except InvalidArgument as why:
            return str(why)

    def crossing_lines(self) -> list[tuple[str, str]]:
        """The crossings in words: pairs of a heading and a sentence."""
        found: list[tuple[str, str]] = []
        for name, crossed in zip(self.names[1:], self.crossings, strict=True):
            about = "" if len(self.names) == 2 else f"against {name}, "
            lines = [("crossing", crossed)] if isinstance(crossed, str) else crossed.lines()
            found += [(f"{about}{heading}", sentence) for heading, sentence in lines]
        return found

    @property
    def about_the_starts(self) -> str:
        """What all gates start from: one time constant, or one z; and what that is for each."""
        if self.start is not None:
            places = ", ".join(f"{z:.4g} for {name}" for name, z in zip(self.names, self.starts, strict=True))
            return f"a time constant of {self.start:g} for every gate: z0 {places}"
        with np.errstate(all="ignore"):
            kept = [np.abs(one.log_phi(z)) for one, z in zip(self.gates, self.starts, strict=True)]
            constants = [f"{np.divide(1.0, logarithm):.4g}" for logarithm in kept]
        one_z = f"z0 {self.starts[0]:g} for every gate: a time constant of"
        if len(set(constants)) == 1:
            return f"{one_z} {constants[0]}"
        return f"{one_z} {', '.join(f'{x} for {name}' for name, x in zip(self.names, constants, strict=True))}"

    @property
    def about_the_loss(self) -> str | None:
        """What another loss makes of the laws; None for the absolute one, which they are of."""
        if self.loss.name == ABSOLUTE.name:
            return None
        pull = pull_at_one(self.loss)
        if pull is None:
            return f"{self.loss.name}; the laws are those of the absolute loss, and say nothing of its times"
        return f"{self.loss.name}; the laws are those of the absolute loss" + (
            "" if pull == 1 else f", c times {pull:g}"
        )

    def rate_of(self, name: str) -> str:
        """The law of learning of a gate, or why there is none."""
        law = self.laws[name]
        return f"~ {law.rate}" if law.rate else law.reason

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows: the gap, the first gate's time, and for each other gate the ratio observed and by law."""
        first, *others = self.names
        by_timescale = self.ladder[0].timescale is not None
        headings = [
            "time constant" if by_timescale else "gap",
            f"tau of {first}",
            *(text for name in others for text in (f"{name} / {first}", "by law")),
        ]
        return headings, [self._row(rung) for rung in self.ladder]

    def _row(self, rung: Rung) -> list[str]:
        first, *others = self.names
        ratios = ((rung.log_ratio[name], rung.log_ratio_by_law[name]) for name in others)
        return [
            f"{rung.timescale or rung.gap:g}",
            exponential(rung.log_tau[first]),
            *(exponential(x) for pair in ratios for x in pair),
        ]

    def to_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        kept = ("verdict", "rate", "hitting_time", "reason")
        laws = {name: {key: getattr(law, key) for key in kept} for name, law in self.laws.items()}
        return {
            "horizon": self.horizon,
            **({"z0": self.starts[0]} if self.start is None else {"start": self.start, "z0": list(self.starts)}),
            **({} if self.about_the_loss is None else {"loss": self.loss.name, "pull": pull_at_one(self.loss)}),
            **({} if self.tolerance is None else {"tolerance": self.tolerance}),
            "orders": [found.to_json() for found in self.orders],
            "crossings": [{"reason": found} if isinstance(found, str) else found.to_json() for found in self.crossings],
            "laws": laws,
            "ladder": [dict(vars(rung)) for rung in self.ladder],
        }

    def latex(self) -> str:
        """The orders, one a line, and the ladder as a tabular."""
        headings, rows = self.table()
        lines = [rf"${found.latex()}$ \\" for found in self.orders]
        body = [" & ".join(_escaped(cell) for cell in row) + r" \\" for row in (headings, *rows)]
        columns = "r" * len(headings)
        return "\n".join([*lines, rf"\begin{{tabular}}{{{columns}}}", body[0], r"\hline", *body[1:], r"\end{tabular}"])

    def __repr__(self) -> str:
        verdicts = ", ".join(f"{self.names[0]} against {found.names[1]}: {found.verdict}" for found in self.orders)
        return f"<Comparison at T = {self.horizon:g} over {len(self.ladder)} gaps; {cut(verdicts)}>"

    def __str__(self) -> str:
        headings, rows = self.table()
        widths = [max(len(row[i]) for row in (headings, *rows)) for i in range(len(headings))]
        verdicts = [f"{self.names[0]} against {found.names[1]}: {found.verdict}" for found in self.orders]
        laws = [f"l(tau) of {name} {self.rate_of(name)}" for name in self.names]
        laws += [f"from {self.about_the_starts}"]
        laws += [] if self.about_the_loss is None else [f"loss {self.about_the_loss}"]
        lines = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in (headings, *rows)]
        return "\n".join([*verdicts, *laws, *lines])

    def _repr_html_(self) -> str:
        headings, rows = self.table()
        verdicts = ((f"{self.names[0]} against {found.names[1]}", found.verdict) for found in self.orders)
        laws = [*((f"l(tau) of {name}", self.rate_of(name)) for name in self.names), ("loss", self.about_the_loss)]
        about = f"Learning times from {self.about_the_starts}, for T = {self.horizon:g}"
        return framed(about, facts([*verdicts, *laws]), listed(headings, rows))


def compare(
    gates: Iterable[Gate | str],
    horizon: float = 1.0,
    gaps: Sequence[float] = GAPS,
    z0: float = 0.0,
    scale: float = 1.0,
    seconds: float = SECONDS,
    names: Sequence[str] | None = None,
    loss: Loss | str = ABSOLUTE,
    tolerance: float | None = None,
    *,
    timescales: Sequence[float] | None = None,
    start: float | None = None,
) -> Comparison:
    """Orders, laws and learning times of gates, side by side.

    Parameters
    ----------
    gates : iterable of Gate or str
        Two or more; the others are measured by the first.
    horizon : float
        T.
    gaps : sequence of float
        ``1 - lambda*``, each in (0, 1).
    z0 : float
        Where learning starts, for all gates.
    scale : float
        c.
    seconds : float
        For each proof.
    names : sequence of str, optional
        What to call the gates.
    loss : Loss or str
        As in :class:`gateflow.flows.LearningProblem`. The laws hold for every loss whose slope in the total decay tends
        to a constant as target and gate go to 1: it multiplies c.
    tolerance : float, optional
        Where times end, as in :func:`gateflow.flows.hitting_time`; losses that are smooth at the target need one.
    timescales : sequence of float, optional
        The targets as time constants, in place of ``gaps``.
    start : float, optional
        The time constant that every gate starts from, in place of ``z0``: one value of all gates.

    Raises
    ------
    InvalidArgument
        Fewer than two gates, two of one name, or a number out of range.

    Examples
    --------
    >>> found = compare(["fast", "sigmoid"], gaps=[1e-100, 1e-300])
    >>> found.orders[0].verdict
    'higher'
    >>> [f"{r.log_ratio['sigmoid'] / r.log_ratio_by_law['sigmoid']:.4f}" for r in found.ladder]
    ['0.9992', '0.9998']
    """
    if isinstance(gates, str):
        raise InvalidArgument("compare takes a list of gates, such as compare(['fast', 'sigmoid'])")
    chosen = [as_gate(one) for one in items("gates", gates)]
    called = tuple(one.name for one in chosen) if names is None else tuple(map(str, items("names", names)))
    inside: Any = (lambda v: (v > 0) & (v < 1), "numbers between 0 and 1")
    gaps = [one_number("gaps", gap, *inside) for gap in items("gaps", gaps)] if timescales is None else []
    constants = [one_number("timescale", t, *ABOVE_0) for t in items("timescales", timescales or ())]
    given = {"horizon": horizon, "z0": z0, "scale": scale}
    horizon, z0, scale = (one_number(name, value, *FINITE) for name, value in given.items())
    _check(called, len(chosen), constants or gaps)
    kind = as_loss(loss)
    if start is None:
        starts = (z0,) * len(chosen)
    elif z0:
        raise InvalidArgument("give z0 or start, not both")
    else:
        start = one_number("start", start, *ABOVE_0)
        starts = tuple(start_of(one, start) for one in chosen)
    target = {"timescale": np.array(constants)} if constants else {"gap": np.array(gaps)}
    common: Any = {"horizon": horizon, "scale": scale, "loss": kind, **target}
    taus = [
        np.asarray(hitting_time(LearningProblem(one, **common), z, tolerance=tolerance).log_tau)
        for one, z in zip(chosen, starts, strict=True)
    ]
    gaps = gaps or [float(-np.expm1(-horizon / t)) for t in constants]
    pairs = zip(called[1:], chosen[1:], strict=True)
    orders = [replace(order(chosen[0], one, seconds), names=(called[0], name)) for name, one in pairs]
    laws = {name: rate(one, seconds=seconds) for name, one in zip(called, chosen, strict=True)}
    by_law = [_log_law(laws[name], horizon, gaps, scale, pull_at_one(kind)) for name in called]
    ladder = _ladder(called, gaps, constants or [None] * len(gaps), taus, by_law)
    return Comparison(called, orders, laws, ladder, horizon, starts, tuple(chosen), kind, tolerance, scale, start)


def _check(names: Sequence[str], gates: int, gaps: Sequence[float]) -> None:
    if len(names) != gates:
        raise InvalidArgument(f"names must be as many as the gates, {gates}; got {len(names)}")
    if len(names) < 2:
        raise InvalidArgument("compare takes two gates or more")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidArgument(f"two of the gates are called {twice}; write one of them as a formula")
    if not gaps:
        raise InvalidArgument("gaps must be numbers between 0 and 1; got none")


def pull_at_one(loss: Loss) -> float | None:
    """``|dL/dh|`` per unit scale as target and gate go to 1, for losses that arrive; None where that is 0 or infinite.

    A long learning time is spent near the target, where it is that of the absolute loss over this number.

    Examples
    --------
    >>> pull_at_one(as_loss("exp(-s/10)/2 + exp(-2*s)/2"))
    1.05
    >>> pull_at_one(as_loss("log-decay")) is None, pull_at_one(as_loss("squared")) is None
    (True, True)
    """
    if not loss.arrives:
        return None
    one = Decay(log=-np.inf)
    near, nearer = (float(np.exp(loss.log_slope(Decay(log=log), one))) for log in (-200.0, -400.0))
    return float(f"{near:.12g}") if 0 < near < math.inf and abs(near - nearer) < 1e-12 * near else None


def _log_law(law: Rate, horizon: float, gaps: Sequence[float], scale: float, pull: float | None) -> list[float | None]:
    """The logarithm of the proved law of hitting times at each gap."""
    if law.hitting_time is None or pull is None:
        return [None] * len(gaps)
    at = {"c": sp.Rational(repr(float(scale))) * sp.Rational(repr(pull)), "T": sp.Rational(repr(float(horizon)))}
    written = parse(law.hitting_time, variables=("gap",), parameters={"c": "positive", "T": "positive"})
    by_name = {symbol.name: symbol for symbol in written.free_symbols}
    fixed = written.subs({by_name[name]: value for name, value in at.items() if name in by_name})
    return [None if gap > SMALL else _log(fixed.subs(by_name["gap"], sp.Rational(repr(float(gap))))) for gap in gaps]


def _log(value: Any) -> float | None:
    found = sp.log(value).evalf(30)
    return float(found) if found.is_real else None


def _ladder(
    names: Sequence[str],
    gaps: Sequence[float],
    constants: Sequence[float | None],
    taus: list[np.ndarray],
    by_law: list[list[float | None]],
) -> list[Rung]:
    others = range(1, len(names))
    return [
        Rung(
            gap=float(gap),
            timescale=constants[i],
            log_tau={name: float(taus[k][i]) for k, name in enumerate(names)},
            log_ratio={names[k]: float(taus[k][i]) - float(taus[0][i]) for k in others},
            log_ratio_by_law={names[k]: _difference(by_law[k][i], by_law[0][i]) for k in others},
        )
        for i, gap in enumerate(gaps)
    ]


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _escaped(text: str) -> str:
    return "".join("\\" + ch if ch in "_%&#$" else r"\^{}" if ch == "^" else ch for ch in text)
