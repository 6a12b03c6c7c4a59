"""Which gate, bias and step size suit a wanted time scale: the theory's answer for one unit of a network.

The unit is to keep ``lambda* = exp(-T/timescale)`` of its value over T steps. Every gate starts from the same time
constant, at the edge of the plateau or where the user says, with a bias of its own. The gates are ranked by the steps
predicted, each gate at a step size of its own: the largest that its target allows. Where a step size is given, they are
ranked by the steps at that one. The two orders may be opposite (theory.md §6, T8).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gateflow.descents.optimizers import EDGE, Optimizer, Prediction, Reason
from gateflow.descents.precision import Format, format_named
from gateflow.descents.simulation import optimizer_named
from gateflow.errors import InvalidArgument, cut
from gateflow.flows.batch import Array, ProblemBatch
from gateflow.flows.density import profile_of_decay
from gateflow.flows.problem import LearningProblem
from gateflow.flows.sampled_path import Band, SampledPath, sampled_path
from gateflow.flows.time import hitting_time
from gateflow.gates.gate import GATES, Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.guards.arguments import ABOVE_0, items, one
from gateflow.losses import Decay
from gateflow.notebook import cards
from gateflow.results.byvalue import by_value

SHALLOW = 0.1
"""At the edge of the plateau ``h exp(-h)``, the slope per unit of u, is this part of its largest on the way."""

PLATEAU = 8.0
"""T/start from which a start is said to lie on the plateau."""

NOTABLE = 0.2
"""Part of the steps from which their error is worth a word."""

TOLERANCE = 0.05
"""Relative error of the time scale within which a gate at its own step size stays."""

GRID = 1001
"""Time scales among which the longest is looked for."""


@by_value
@dataclass(frozen=True)
class Advice:
    """What to expect of one gate.

    Parameters
    ----------
    gate : Gate
        The gate.
    bias, target : float
        The pre-activation to start from, and the one that holds the time scale.
    lr : float
        The step size of these numbers.
    steps, error : float
        Steps predicted until the time scale is held, infinite where it never is; and how many that may be off by.
    largest_lr : float
        The largest useful step size: past twice that a step may run through the target.
    own_lr, own_steps : float
        The largest step size whose chatter keeps the time scale within 5 % and that is useful; the steps predicted with
        it.
    floor : float
        The longest time scale that steps of lr reach before they are lost to rounding.
    resolution : float
        Relative error of a time scale whose z is rounded to dtype: half an ulp of the target times u'.
    trap : Trap
        Where the longest step on the way leads.
    prediction : Prediction
        All that is predicted.
    reason : str
        Why it stands where it does, in words.
    """

    gate: Gate
    bias: float
    target: float
    lr: float
    steps: float
    error: float
    largest_lr: float
    own_lr: float
    own_steps: float
    floor: float
    resolution: float
    trap: Trap
    prediction: Prediction
    reason: str

    @property
    def trapped(self) -> bool:
        """Whether a step may lead into saturation, from where the way back is longer than the way there."""
        return bool(self.prediction.longest_step > EDGE) and self.trap.sprung

    def __repr__(self) -> str:
        return f"<Advice on {self.gate.name}: {self.steps:.4g} steps from bias {self.bias:.4g}; {cut(self.reason)}>"

    def _repr_html_(self) -> str:
        about = [
            ("bias", cards.number(self.bias)),
            ("target", cards.number(self.target)),
            ("steps", f"{cards.number(self.steps)} at lr {self.lr:g}, off by {cards.number(self.error, 2)} at most"),
            ("at its own lr", f"{cards.number(self.own_steps)} steps at {cards.number(self.own_lr)}"),
            ("longest time scale", f"{cards.number(self.floor)} steps, before steps are lost to rounding"),
            ("resolution", cards.number(self.resolution, 2)),
            ("why", self.reason),
        ]
        return cards.framed(f"What to expect of {self.gate.name}", cards.facts(about))


@by_value
@dataclass(frozen=True)
class Trap:
    """A saturation trap: a step from the way that leads far past the target, where the slope is small.

    Parameters
    ----------
    past : float
        How far past the target a step may lead, in the logit profile; 0 where none does.
    log_way_back : float
        log of the learning time back from there over that of the way there.
    """

    past: float
    log_way_back: float

    @property
    def sprung(self) -> bool:
        """Whether the way back is longer than the way there."""
        return self.log_way_back > 0

    def __str__(self) -> str:
        if not np.isfinite(self.past):
            return (
                "saturation trap: a step may lead to where the gate is 1 and its slope 0, from where no way leads back"
            )
        if self.log_way_back > 100:
            back = "from where there is no way back in practice"
        else:
            back = f"and the way back is {np.exp(self.log_way_back):.2g} times the way there"
        return f"saturation trap: a step may lead {self.past:.3g} past the target in u, {back}"


@by_value
@dataclass(frozen=True)
class Recommendation:
    """Gates for a time scale, the best first.

    Parameters
    ----------
    timescale, horizon, start : float
        The time constant wanted, T, and the time constant to start from.
    optimizer : Optimizer
        With what it is learned.
    lr : float
        The common step size: the one given, else PyTorch's default.
    is_given : bool
        Whether it was given, and gates are ranked by the steps at it; else they are by those at their own step sizes.
    dtype : str
        The float format of z.
    advice : tuple of Advice
        The gates, by rising number of steps; with a given step size, those that would be trapped last.
    warnings : tuple of str
        What to beware of, whichever gate is chosen.
    """

    timescale: float
    horizon: float
    start: float
    optimizer: Optimizer
    lr: float
    is_given: bool
    dtype: str
    advice: tuple[Advice, ...]
    warnings: tuple[str, ...]

    @property
    def best(self) -> Advice:
        """The first of the gates."""
        return self.advice[0]

    def __iter__(self) -> Iterator[Advice]:
        return iter(self.advice)

    def __repr__(self) -> str:
        names = ", ".join(f"{one.gate.name} ({self.ranked_by(one):.4g})" for one in self.advice[:3])
        return f"<Recommendation for a time scale of {self.timescale:g} by predicted steps: {names}>"

    def ranked_by(self, one: Advice) -> float:
        """The steps by which a gate stands where it does."""
        return one.steps if self.is_given else one.own_steps

    @property
    def in_words(self) -> str:
        """What the two columns of steps say, side by side; empty for a single gate."""
        able = [one for one in self if np.isfinite(one.own_steps)]
        if len(self.advice) < 2 or not able:
            return ""
        own = min(able, key=lambda one: one.own_steps)
        common = min(self, key=lambda one: (one.trapped, one.steps))
        tuned = (
            f"Tuned gate by gate, {own.gate.name} needs the fewest steps, {own.own_steps:.4g} at lr {own.own_lr:.3g}"
        )
        if not np.isfinite(common.steps) or common.trapped:
            return f"{tuned}; with lr {self.lr:g} for all, none gets there"
        with_one = f"with lr {self.lr:g} for all, {common.gate.name} does, {common.steps:.4g}"
        if common is own:
            return f"{tuned}, and with lr {self.lr:g} for all too, {common.steps:.4g}"
        return (
            f"{tuned}; {with_one}. The order turns because {common.gate.name}, steeper near its target, moves farther "
            f"at one step size, and needs a smaller one ({common.own_lr:.3g}) to stay within {100 * TOLERANCE:g} % of "
            "the target. A network has one step size for all its weights: only training shows which column counts"
        )

    @property
    def columns(self) -> tuple[str, str, str]:
        """Headings: each gate's own step size, the steps at it, the steps at the common one."""
        return "own lr", "steps at it", f"steps at {self.lr:g}"

    def _repr_html_(self) -> str:
        headings = ("gate", "bias", "target", *self.columns, "floor", "why")
        rows = [
            [one.gate.name, *(cards.number(x, 4) for x in numbers), one.reason]
            for one in self
            for numbers in [(one.bias, one.target, one.own_lr, one.own_steps, one.steps, one.floor)]
        ]
        title = f"Gates for a time constant of {self.timescale:g} steps"
        learning = f"{type(self.optimizer).__name__}, lr {self.lr:g}, z in {self.dtype}; T = {self.horizon:g}"
        start = f"a time constant of {self.start:.4g}"
        words = [("in words", self.in_words)] if self.in_words else []
        about = [("learned by", learning), ("from", start), *words, *(("beware", text) for text in self.warnings)]
        return cards.framed(title, cards.facts(about), cards.listed(headings, rows))


def recommend(
    timescale: float,
    optimizer: str | Optimizer = "sgd",
    lr: float | None = None,
    dtype: str = "float32",
    *,
    gates: Iterable[Gate | str] | None = None,
    horizon: float | None = None,
    start: float | None = None,
    scale: float = 1.0,
    **hyper: float,
) -> Recommendation:
    """Rank gates for a wanted time scale by the steps predicted, each gate at its own step size or all at a given one.

    Parameters
    ----------
    timescale : float
        The time constant wanted, ``-1/log phi*`` in steps.
    optimizer : str or Optimizer
        As in :func:`gateflow.descents.simulation.descent`, with ``hyper``.
    lr : float, optional
        A step size for all gates: they are ranked by the steps at it. By default they are ranked by the steps at each
        gate's own step size, and the steps at PyTorch's default stand beside those.
    dtype : str
        The float format of z.
    gates : iterable of Gate or str, optional
        Which gates; by default the whole catalogue.
    horizon : float, optional
        T, the steps over which the loss looks; by default the time scale.
    start : float, optional
        The time constant to start from, in steps; by default the edge of the plateau, below which each unit of
        ``h = T/start`` costs gradient descent a factor e in steps.
    scale : float
        c.
    **hyper : float
        Hyperparameters of an optimiser given by its name: ``beta``; ``beta1``, ``beta2``, ``eps``; or ``alpha``.

    Raises
    ------
    InvalidArgument
        A number is out of range.
    UnknownName
        No such gate, optimiser or dtype.

    Examples
    --------
    >>> [one.gate.name for one in recommend(1000, gates=["sigmoid", "fast", "softsign"])]
    ['softsign', 'sigmoid', 'fast']
    >>> [one.gate.name for one in recommend(1000, gates=["sigmoid", "fast", "softsign"], lr=1e-3, dtype="float64")]
    ['fast', 'sigmoid', 'softsign']
    """
    timescale = one("timescale", timescale, lambda v: (v >= 2) & (v <= 1e250), "from 2 to 1e250")
    horizon = timescale if horizon is None else horizon
    horizon = one("horizon", horizon, lambda v: (v >= 1) & (v <= 1e250), "from 1 to 1e250")
    scale = one("scale", scale, *ABOVE_0)
    start = edge_of_plateau(timescale, horizon) if start is None else start
    start = one("start", start, *ABOVE_0)
    chosen, fmt = optimizer_named(optimizer, hyper), format_named(dtype)
    is_given, lr = lr is not None, chosen.DEFAULT_LR if lr is None else lr
    lr = one("lr", lr, *ABOVE_0)
    problems = [LearningProblem(one, horizon=horizon, timescale=timescale, scale=scale) for one in _gates(gates)]
    advice = _advice(problems, start, chosen, lr, fmt)
    rank = (lambda one: (one.trapped, one.steps)) if is_given else (lambda one: (one.own_steps, one.steps))
    advice = tuple(sorted(advice, key=lambda one: (*rank(one), one.gate.name)))
    warnings = _warnings(advice, timescale, horizon / start, fmt, lr)
    return Recommendation(timescale, horizon, start, chosen, lr, is_given, fmt.name, advice, warnings)


def _gates(gates: Iterable[Gate | str] | None) -> list[Gate]:
    if isinstance(gates, (str, Gate)):
        gates = [gates]
    chosen = [as_gate(one) for one in (GATES if gates is None else items("gates", gates))]
    if not chosen:
        raise InvalidArgument("gates must name at least one gate")
    return chosen


def edge_of_plateau(timescale: float, horizon: float) -> float:
    """The time constant below which the gradient fades: ``h exp(-h)`` is there a tenth of its largest on the way.

    Examples
    --------
    >>> h = 1000 / edge_of_plateau(1000, 1000)
    >>> round(float(h * np.exp(1 - h)), 12)
    0.1
    """
    highest = max(1.0, horizon / timescale)
    h = highest - np.log(SHALLOW)
    for _ in range(100):  # h = highest + log(h/highest) - log(SHALLOW), a contraction at rate 1/h
        h = highest + np.log(h / highest) - np.log(SHALLOW)
    return horizon / h


def start_of(gate: Gate, timescale: float) -> float:
    """Where a gate has this time constant, ``-1/log phi = timescale``.

    Examples
    --------
    >>> gate = GATES["sigmoid"]()
    >>> round(float(-1 / gate.log_phi(start_of(gate, 20.0))), 9)
    20.0
    """
    u = profile_of_decay(1.0, 0.0, Decay(h=1 / timescale))
    return float(gate.float64.z_of_u(np.atleast_1d(u))[0])


def _advice(
    problems: list[LearningProblem], start: float, optimizer: Optimizer, lr: float, fmt: Format
) -> Iterator[Advice]:
    with np.errstate(all="ignore"):
        batches = [_batch_from(problem, start) for problem in problems]
        paths = [sampled_path(batch) for batch in batches]
        path = SampledPath.stack(paths)
        largest = optimizer.largest_lr(path)
        given = optimizer.predict(path, np.full(largest.shape, lr), fmt)
        bands = [Band.of(batch, np.array([TOLERANCE])) for batch in batches]
        own = np.concatenate([np.minimum(optimizer.chatter_lr(band), largest[i]) for i, band in enumerate(bands)])
        with_own = optimizer.predict(path, np.where(np.isfinite(own) & (own > 0), own, lr), fmt)
        steep = np.exp(np.max(path.log_du, axis=1))
        for i, problem in enumerate(problems):
            one, best = (prediction.at(i) for prediction in (given, with_own))
            trap = _trap(problem, paths[i], optimizer, lr)
            yield Advice(
                gate=problem.gate,
                bias=float(path.z[i, 0]),
                target=float(batches[i].z_star[0]),
                lr=lr,
                steps=_unless_stalled(one),
                error=float(one.error),
                largest_lr=float(largest[i]),
                own_lr=float(own[i]),
                own_steps=_unless_stalled(best),
                floor=longest_time_scale(problem, start, optimizer, lr, fmt),
                resolution=float(fmt.spacing(path.z[i, -1]) / 2 * np.exp(path.log_du[i, -1])),
                trap=trap,
                prediction=one,
                reason=_words(one, trap, float(steep[i]), lr),
            )


def _batch_from(problem: LearningProblem, start: float) -> ProblemBatch:
    return ProblemBatch.towards(problem, start_of(problem.gate, start), (1,))


def _unless_stalled(prediction: Prediction) -> float:
    return float(prediction.steps) if np.isnan(prediction.stalls_at) else np.inf


def longest_time_scale(problem: LearningProblem, start: float, optimizer: Optimizer, lr: float, fmt: Format) -> float:
    """The first time scale from ``start`` on where steps of lr, with stable gradients, are below half an ulp of z.

    ``start`` itself where they are so there already; infinite where they are not up to 1e290.
    """
    low, high = np.log(start), np.log(1e290)
    for _ in range(2):  # past the plateau steps only shrink and ulps only grow: there is one place to find
        log_scale = np.linspace(low, high, GRID)
        lost = _is_lost(problem, log_scale, optimizer, lr, fmt)
        if not lost.any():
            return np.inf
        first = int(np.argmax(lost))
        low, high = log_scale[max(first - 1, 0)], log_scale[first]
    return float(np.exp(high))


def _is_lost(problem: LearningProblem, log_scale: Array, optimizer: Optimizer, lr: float, fmt: Format) -> Array:
    """Where on a ladder of time scales a step is below half an ulp of z, or z past the largest number."""
    u = -np.log(np.expm1(np.exp(-log_scale)))
    z = np.asarray(problem.gate.float64.z_of_u(u))
    log_step = optimizer.log_pace(ProblemBatch.of(problem, z).log_speed(z)) + np.log(lr)
    return ~(log_step >= np.log(fmt.spacing(z)) - np.log(2.0)) | (np.abs(z) > fmt.largest)


def _trap(problem: LearningProblem, path: SampledPath, optimizer: Optimizer, lr: float) -> Trap:
    """Where the longest step leads, coasting included, from anywhere on the way."""
    # at the largest useful step size the longest step is 1: the coasting per step size is found by comparison
    coast = optimizer.largest_lr(path)[0]
    steady = np.exp(optimizer.log_pace(path.log_v[0]))
    per_lr = 1 / (coast * np.max(steady * np.exp(path.log_du[0])))
    landing = path.z[0] + path.direction[0] * lr * steady * max(per_lr, 1.0)
    far = float(landing[np.argmax(path.direction[0] * landing)])
    z_star = float(path.z[0, -1])
    if not np.isfinite(far) or path.direction[0] * (far - z_star) <= 0:
        return Trap(0.0, -np.inf)
    u = problem.gate.float64.u(np.array([far, z_star]))
    return Trap(float(abs(u[0] - u[1])), float(hitting_time(problem, far).log_tau - path.log_tau[0]))


def _words(prediction: Prediction, trap: Trap, steep: float, lr: float) -> str:
    """One line on a gate."""
    if not np.isnan(prediction.stalls_at):
        return f"stalls at z = {prediction.stalls_at:.4g} with lr {lr:g}: {Reason.STALL}"
    if not np.isfinite(prediction.steps):
        return str(Reason.NEVER)
    if prediction.longest_step > EDGE:
        return str(trap) if trap.sprung else f"{Reason.OVERSHOOT}, but comes back soon"
    shape = "about as steep as" if 0.8 < steep < 1.25 else "steeper than" if steep > 1 else "flatter than"
    words = f"its profile is {shape} that of sigmoid on the way: u' up to {steep:.3g}"
    if prediction.error > NOTABLE * prediction.steps:
        words += f"; rounding may change the steps by {100 * prediction.error / prediction.steps:.0f} %"
    return words


def _warnings(advice: tuple[Advice, ...], timescale: float, h_start: float, fmt: Format, lr: float) -> tuple[str, ...]:
    found = []
    if timescale > 2.0**fmt.bits:
        found.append(
            f"{fmt.name} holds time scales up to {2.0**fmt.bits:.4g} in the gate itself: past that it rounds to 1, "
            "and naive gradients vanish; keep 1 - f or log f, and take gradients from those"
        )
    if h_start > PLATEAU:
        found.append(
            f"the start lies on the plateau, h = T/start = {h_start:.4g}: each unit of h above a few costs gradient "
            "descent a factor e in steps; start from a larger bias"
        )
    above = [one for one in advice if lr > one.own_lr]
    if above:
        names = ", ".join(f"{one.gate.name} ({one.own_lr:.3g})" for one in above)
        found.append(
            f"lr {lr:g} is above the largest that keeps the time scale within {100 * TOLERANCE:g} %, for {names}"
        )
    trapped = [one.gate.name for one in advice if one.trapped]
    if trapped:
        found.append(f"the step is past the largest useful one: saturation trap for {', '.join(trapped)}")
    return tuple(found)
