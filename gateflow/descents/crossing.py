"""From where on the order of saturation of two gates is the order in which they learn (theory.md §4 and §6).

At one step size the gate of higher order is the sooner one for small gaps. From which gap on, or from which start, is
found by roots of exact learning times. Their difference, as a function of where the way ends, rises or falls with the
sign of ``w' - 1``: it can only turn where the two gates are equally steep at equal output. Those places are looked for
between the points of a grid, which holds the places where either formula changes quickly. Two of them between
neighbouring points are overlooked, so what is not proved is reported as far as was searched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import brentq

from gateflow.asymptotics.order import Order, order
from gateflow.descents._through import is_convex, is_steeper
from gateflow.descents.optimizers import Optimizer
from gateflow.descents.optimizers.sgd import GradientDescent
from gateflow.descents.step_sizes import TOLERANCE, StepSize, step_size
from gateflow.errors import InvalidArgument
from gateflow.flows.batch import ProblemBatch
from gateflow.flows.density import decay_of_profile
from gateflow.flows.features import features
from gateflow.flows.problem import LearningProblem, check_problem, positions
from gateflow.flows.time import hitting_times
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.guards.arguments import ABOVE_0, IN_UNIT, items, one
from gateflow.losses import Decay
from gateflow.notebook import cards
from gateflow.results.byvalue import by_value
from gateflow.results.tabulated import Tabulated

OWN = ("lr", "set_by", "steps", "by_integral", "log_by_integral")
"""What is given of a gate at a step size of its own."""

SECONDS = 0.5
"""Time allowed for each proof."""

FAR = np.geomspace(1e-3, 1e5, 600)
"""Logits past the start at which ways may end, in search of a crossing: gaps down to ``exp(-1e5)``."""

LOOKS = 25
"""Places between turning points where times are looked at."""

SURE = 1e-9
"""Differences of log times below this are none."""

ROUGH, TINY = 1e-9, 1e-12
"""Relative error of the logits at which the order turns, and the error near 0."""

ROUNDING = 1e-12
"""Logits of two starts that differ by this, relative to them or to 1, are one."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Turn:
    """From where on one gate is ahead of another, going towards smaller gaps or towards later starts.

    Parameters
    ----------
    verdict : str
        "from": ahead from ``u`` on, behind just before; "always"; "never"; "undecided", in the range searched.
    u : float or None
        The logit of the gates' value where the order turns.
    proved : bool
        Whether the verdict is proved for all places further on, rather than found in the range searched.
    searched : tuple of float
        The range searched, as logits.
    """

    verdict: str
    u: float | None
    proved: bool
    searched: tuple[float, float]


COLUMNS = {
    "gate": "names",
    "log_tau": "log_tau",
    "lr": lambda found: [float(own.lr) for own in found.own],
    "steps": lambda found: [float(own.steps) for own in found.own],
}
"""Columns of a crossover as a table: a row each gate."""


@by_value
@dataclass(frozen=True)
class Crossover(Tabulated, columns=COLUMNS, plots=("gate", ["log_tau"])):
    """Which of two gates is ahead, from where on.

    Parameters
    ----------
    names : tuple of str
        The gate that is to be ahead comes first: that of higher order of saturation, where there is one.
    order : Order
        Of the first against the second.
    problem : LearningProblem
        The problem, of the first gate.
    log_tau : tuple of float
        log of the learning times of this problem.
    target : Turn
        From which target on the first gate is ahead, for this horizon, loss and start.
    start : Turn
        From which start of equal value on it is ahead, for this target.
    own : tuple of StepSize
        Each gate at a step size of its own.
    reverses : str
        Whether T8 shows that the second needs no more steps than the first, from one value and each at a step size of
        its own. By gradient descent: "always", for this target and every other that sets the step sizes, or "here". By
        other optimizers: "limit", in the limit of small steps, to this target. Else, or where the steps simulated say
        otherwise: "not shown".
    why_not : str
        What is in the way of T8, where it is not shown.
    """

    names: tuple[str, str]
    order: Order
    problem: LearningProblem
    log_tau: tuple[float, float]
    target: Turn
    start: Turn
    own: tuple[StepSize, StepSize]
    reverses: str
    why_not: str

    @property
    def _target_in_words(self) -> str:
        """The target of this problem in words."""
        if self.problem.target.way == "timescale":
            return f"a time constant of {self.problem.target.value:g}"
        return f"a gap of {cards.exponential(_log_gap(self.problem, float(self.problem.u_star)))}"

    @property
    def log_gap(self) -> float | None:
        """log of the gap ``1 - lambda*`` below which the first gate is ahead; None where there is no crossing."""
        u = self.target.u
        return None if u is None else _log_gap(self.problem, u)

    @property
    def timescale(self) -> float | None:
        """The same as a time constant in steps."""
        return None if self.target.u is None else _constant(self.target.u)

    @property
    def start_timescale(self) -> float | None:
        """The time constant of a start from which on the first gate is ahead on the way to this problem's target."""
        return None if self.start.u is None else _constant(self.start.u)

    def lines(self) -> list[tuple[str, str]]:
        """All of it in words: pairs of a heading and a sentence."""
        return [
            ("at one small step size", self._by_target()),
            ("from other starts", self._by_start()),
            ("at their own step sizes", self._by_own()),
        ]

    def _by_target(self) -> str:
        first, second = self.names
        tau, other = (cards.exponential(log) for log in self.log_tau)
        turn = self.target
        if turn.verdict == "from":
            found = (
                f"{first} learns sooner for gaps below {cards.exponential(self.log_gap)}, time constants above "
                f"{self.timescale:.4g}; {second} for the next larger gaps"
            )
        elif turn.verdict == "undecided":
            found = f"undecided for gaps down to {cards.exponential(_log_gap(self.problem, turn.searched[1]))}"
        else:
            found = f"{first if turn.verdict == 'always' else second} learns sooner, whatever the gap"
        doubt = "" if turn.proved or turn.verdict == "undecided" else ", as far as was searched"
        return f"{found}{doubt}; to {self._target_in_words} tau is {tau} for {first}, {other} for {second}"

    def _by_start(self) -> str:
        first, second = self.names
        doubt = "" if self.start.proved else ", as far as was searched"
        if self.start.verdict == "from":
            turn = f"from equal time constants above {self.start_timescale:.4g}, {second} from some below"
            return f"to {self._target_in_words} {first} learns sooner {turn}{doubt}"
        if self.start.verdict == "undecided":
            return "undecided"
        ahead = first if self.start.verdict == "always" else second
        return f"to {self._target_in_words} {ahead} learns sooner from every later start of equal value{doubt}"

    def _by_own(self) -> str:
        second = self.names[1]
        counts = (
            f"{name} takes {_steps(own)} steps at {own.lr:.3g} (set by the {own.set_by})"
            if np.isfinite(own.lr)
            else f"{name} has none that is known to arrive"
            for name, own in zip(self.names, self.own, strict=True)
        )
        words = {
            "always": f"; where the target sets the step sizes, as here, {second} never needs more from below",
            "here": f"; to this target {second} cannot need more",
            "limit": f"; in the limit of small steps {second} cannot need more",
            "not shown": f"; T8 says nothing here: {self.why_not}",
        }
        return f"to {self._target_in_words} {', '.join(counts)}{words[self.reverses]}"

    def to_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "gates": list(self.names),
            "log_tau": list(self.log_tau),
            "target": {**_plain(self.target), "log_gap": self.log_gap, "timescale": self.timescale},
            "start": {**_plain(self.start), "timescale": self.start_timescale},
            "own": [
                {"gate": name, **{key: getattr(own, key) for key in OWN}}
                for name, own in zip(self.names, self.own, strict=True)
            ],
            "reverses": self.reverses,
            **({"why_not": self.why_not} if self.why_not else {}),
        }

    def __str__(self) -> str:
        return "\n".join(f"{heading}: {sentence}" for heading, sentence in self.lines())

    def __repr__(self) -> str:
        return f"<Crossover of {self.names[0]} and {self.names[1]}: {self._by_target()}>"

    def _repr_html_(self) -> str:
        return cards.framed(f"{self.names[0]} against {self.names[1]}", cards.facts(self.lines()))


def crossover(
    phi: Gate | str,
    psi: Gate | str,
    problem: LearningProblem,
    z0: Any = 0.0,
    *,
    tolerance: float = TOLERANCE,
    optimizer: str | Optimizer = "sgd",
    seconds: float = SECONDS,
    names: tuple[str, str] | None = None,
    known: Order | None = None,
) -> Crossover:
    """From which gap, time scale or start on the gate of higher order of saturation is ahead of the other.

    Parameters
    ----------
    phi, psi : Gate or str
    problem : LearningProblem
        One problem, whose horizon, target, scale and loss are used; its gate is not.
    z0 : float or pair of float
        Where each gate starts; below the target.
    tolerance : float
        Relative error of the time scale that counts as arrived, for step sizes of their own.
    optimizer : str or Optimizer
        For those.
    seconds : float
        Time allowed for each proof.
    names : tuple of str, optional
        What to call the gates.
    known : Order, optional
        Their order, where it has been decided.

    Raises
    ------
    InvalidArgument
        Many problems, a target that is not above the start or at infinity, or a loss smooth at its least value.

    Examples
    --------
    >>> problem = LearningProblem("fast", horizon=10, gap=1e-6)
    >>> found = crossover("fast", "sigmoid(z + z**3)", problem)
    >>> found.target.verdict, f"{np.exp(found.log_gap):.2g}"
    ('from', '1.3e-10')
    """
    check_problem("crossover", problem)
    seconds = one("seconds", seconds, *ABOVE_0)
    tolerance = one("tolerance", tolerance, *IN_UNIT)
    if known is not None and not isinstance(known, Order):
        raise InvalidArgument(f"known must be an Order, as gateflow.order gives it; got {type(known).__name__}")
    gates = (as_gate(phi), as_gate(psi))
    called: Any = _pair_of_names(names, gates)
    found = replace(known or order(*gates, seconds), names=called)
    starts = _pair_of_starts(z0)
    if found.verdict == "lower":
        gates, called, starts, found = gates[::-1], called[::-1], starts[::-1], found.swapped()
    search = _Search.of(gates, problem, starts, seconds)
    first, second = (step_size(one, z, tolerance, optimizer) for one, z in zip(search.problems, starts, strict=True))
    target = search.target(found)
    reverses, why_not = search.reverses(first, second)
    return Crossover(
        names=called,
        order=found,
        problem=search.problems[0],
        log_tau=search.times(),
        target=target,
        start=search.start(target),
        own=(first, second),
        reverses=reverses,
        why_not=why_not.format(*called),
    )


def _pair_of_names(names: Any, gates: tuple[Gate, Gate]) -> tuple[str, ...]:
    if names is None:
        return gates[0].name, gates[1].name
    pair = items("names", names)
    if len(pair) != 2 or not all(isinstance(name, str) for name in pair):
        raise InvalidArgument("names must be two texts")
    return tuple(pair)


def _pair_of_starts(z0: Any) -> tuple[float, ...]:
    start = np.asarray(positions(z0, "z0"))
    if start.shape not in ((), (1,), (2,)):
        raise InvalidArgument(f"z0 must be one number or two; got an array of shape {start.shape}")
    return tuple(float(z) for z in np.broadcast_to(start, (2,)))


@dataclass(frozen=True)
class _Search:
    """Two gates on one problem, each from its start."""

    problems: tuple[LearningProblem, LearningProblem]
    starts: tuple[float, float]
    u0: float
    u_star: float
    seconds: float

    @classmethod
    def of(cls, gates: Any, problem: LearningProblem, starts: Any, seconds: float) -> _Search:
        if np.ndim(problem.z_star):
            raise InvalidArgument("crossover takes one problem")
        if not problem.loss.arrives:
            raise InvalidArgument(f"the {problem.loss.name} loss is smooth at its least value: its flow never arrives")
        given = {"horizon": problem.horizon, "scale": problem.scale, "target": problem.target, "loss": problem.loss}
        problems: Any = tuple(LearningProblem(one, **given) for one in gates)
        u0 = max(float(one.gate.float64.u(np.array([z]))[0]) for one, z in zip(problems, starts, strict=True))
        u_star = float(problem.u_star)
        if not u0 < u_star < np.inf:
            raise InvalidArgument("crossover takes a start below the target, and a target below lambda* = 1")
        return cls(problems, starts, u0, u_star, seconds)

    def lead(self, starts: tuple[Any, Any], end: Decay) -> Array:
        """``log tau`` of the second less that of the first: positive where the first is ahead; nan where unknown."""
        log_tau = [
            np.asarray(
                hitting_times(ProblemBatch.of(one, z, stop=end)).log_tau
            )
            for one, z in zip(self.problems, starts, strict=True)
        ]  # fmt: skip
        with np.errstate(invalid="ignore"):
            lead = log_tau[1] - log_tau[0]
        return np.where(np.isfinite(log_tau[0]) & np.isfinite(log_tau[1]), lead, np.nan)

    def times(self) -> tuple[float, float]:
        """log tau of both on this problem."""
        pairs = zip(self.problems, self.starts, strict=True)
        first, second = (float(hitting_times(ProblemBatch.of(one, z)).log_tau) for one, z in pairs)
        return first, second

    def steeper(self, u: Array) -> Array:
        """log w': how much steeper the first gate is at a value with the logit u."""
        slopes = []
        for problem in self.problems:
            numbers = problem.gate.float64
            slopes.append(np.broadcast_to(numbers.log_du(numbers.z_of_u(u)), u.shape))
        return slopes[0] - slopes[1]

    def target(self, found: Order) -> Turn:
        """Along the targets, from the start up."""

        def lead(u: Array) -> Array:
            return self.lead(self.starts, _decay(self.problems[0], u))

        turn = self._turn(lead, self.u0 + FAR)
        if turn.verdict in ("from", "always"):
            proved = self._is_ever_steeper(0, self.u0 if turn.u is None else turn.u)
            return replace(turn, proved=True) if proved else self._by_order(turn, found)
        if turn.verdict == "never" and self._is_ever_steeper(1, self.u0):
            return replace(turn, proved=True)
        return replace(turn, verdict="undecided")

    def _by_order(self, turn: Turn, found: Order) -> Turn:
        """What is not proved stands where the order of saturation says that it holds in the end."""
        return turn if found.verdict == "higher" else replace(turn, verdict="undecided")

    def start(self, target: Turn) -> Turn:
        """Along starts of equal value, up to this target; a gate proved steeper all the way is ahead from each."""
        end = _decay(self.problems[0], np.array(self.u_star))
        span = self.u_star - self.u0

        def lead(u: Array) -> Array:
            return self.lead(tuple(one.gate.float64.z_of_u(u) for one in self.problems), end)

        turn = self._turn(lead, self.u_star - span * np.geomspace(1.0, 1e-6, 400))
        steeper = target.proved and target.verdict in ("always", "never")
        return replace(turn, proved=steeper and turn.verdict == target.verdict)

    def _turn(self, lead: Callable[[Array], Array], grid: Array) -> Turn:
        """The last place where the lead becomes positive, and what it is before and after.

        The lead is looked at at places of the grid and where the gates are equally steep: it turns nowhere else. Those
        are looked for on the grid and where a formula changes quickly.
        """
        with np.errstate(all="ignore"):
            steeper = self.steeper(grid)
            if not np.isfinite(steeper).any():  # one of the gates takes none of these values
                return Turn("undecided", None, False, (float(grid[0]), float(grid[0])))
            grid = grid[np.isfinite(steeper)]
            looks = grid[np.unique(np.linspace(0, grid.size - 1, LOOKS).astype(int))]
            fine = self._with_features(grid)
            change = np.flatnonzero(np.diff(np.sign(self.steeper(fine))) != 0)
            turns = self._equally_steep(fine[change], fine[change + 1])
            places = np.unique(np.concatenate([looks, turns]))
            values = lead(places)
            known = np.isfinite(values)
            places, values = places[known], np.where(np.abs(values[known]) < SURE, 0.0, values[known])
            if not places.size:
                return Turn("undecided", None, False, (float(grid[0]), float(grid[-1])))
            searched = (float(places[0]), float(places[-1]))
            places, values = places[values != 0], values[values != 0]
            if not places.size:
                return Turn("undecided", None, False, searched)
            signs = np.sign(values)
            if np.all(signs > 0):
                return Turn("always", None, False, searched)
            if signs[-1] < 0:
                return Turn("never" if np.all(signs < 0) else "undecided", None, False, searched)
            last = int(np.flatnonzero(signs < 0)[-1])
            u = brentq(lambda u: float(lead(np.array([u]))[0]), places[last], places[last + 1], rtol=ROUGH)
            return Turn("from", u, False, searched)

    def _equally_steep(self, low: Array, high: Array) -> Array:
        """Logits between these at which neither gate is steeper, each halved down to: a wave has hundreds of them."""
        before = np.sign(self.steeper(low))
        while np.any(high - low > ROUGH * np.abs(low + high) / 2 + TINY):
            middle = low + (high - low) / 2
            beyond = np.sign(self.steeper(middle)) == before
            low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
        return low + (high - low) / 2

    def _with_features(self, grid: Array) -> Array:
        """A grid of logits, with those at which either formula changes quickly and the middles between these."""
        added = []
        for problem in self.problems:
            cuts = np.array(features(problem.gate).cuts)
            added.append(problem.gate.float64.u(np.concatenate([cuts, (cuts[1:] + cuts[:-1]) / 2])))
        inside = np.concatenate(added)
        fine = np.unique(np.concatenate([grid, inside[(inside > grid[0]) & (inside < grid[-1])]]))
        return fine[np.isfinite(self.steeper(fine))]

    def _is_ever_steeper(self, which: int, u: float) -> bool:
        """Whether one gate is proved steeper than the other at every value from u on."""
        one, other = self.problems[which].gate, self.problems[1 - which].gate
        z = float(one.float64.z_of_u(np.array([u]))[0])
        return bool(np.isfinite(z)) and is_steeper(one, other, z, self.seconds)

    def reverses(self, own: StepSize, other: StepSize) -> tuple[str, str]:
        """What T8 says of step sizes of their own, unless the steps say otherwise; and why not, with {0} and {1}."""
        first, second = (one.gate for one in self.problems)
        z0, end = self.starts[0], float(self.problems[0].z_star)
        for place, found in enumerate((own, other)):
            if found.set_by != "target":
                return "not shown", f"the way sets the step size of {{{place}}}, not the target"
            if not found.by_target:
                return "not shown", f"the step size of {{{place}}} is too large for it"
        if not self._start_at_one_value():
            return "not shown", "the gates start from unlike values"
        if own.steps < other.steps or own.log_by_integral < other.log_by_integral:
            return "not shown", "the steps are those of no small step size"
        exact = isinstance(own.optimizer, GradientDescent)
        if exact and is_convex(first, second, z0, np.inf, self.seconds):
            return "always", ""
        if not is_convex(first, second, z0, end, self.seconds):
            return "not shown", "it is not proved that {0} is ever steeper beside {1} on the way"
        return ("here" if exact else "limit"), ""

    def _start_at_one_value(self) -> bool:
        logits = [one.gate.float64.u(np.array([z])) for one, z in zip(self.problems, self.starts, strict=True)]
        return bool(np.isclose(*logits, rtol=ROUNDING, atol=ROUNDING)[0])


def _decay(problem: LearningProblem, u: Array) -> Decay:
    """The total decay where the logit is u."""
    return decay_of_profile(problem.horizon, problem.log_horizon, u)


def _log_gap(problem: LearningProblem, u: float) -> float:
    decay = _decay(problem, np.array(u))
    h = float(decay.h)
    return float(np.log(-np.expm1(-h))) if h > 1e-8 else float(decay.log)


def _constant(u: float) -> float:
    """The time constant of a gate whose value has the logit u."""
    return float(np.exp(min(u, 700.0))) if u > 30 else float(1 / np.logaddexp(0.0, -u))


def _plain(turn: Turn) -> dict[str, Any]:
    return {"verdict": turn.verdict, "proved": turn.proved}


def _steps(own: StepSize) -> str:
    return f"{own.steps:g}" if np.isfinite(own.steps) else f"about {cards.exponential(own.log_by_integral, 3)}"
