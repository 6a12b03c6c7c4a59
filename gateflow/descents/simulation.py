"""Optimisers on the learning problem: simulated step by step in bulk, beside what is predicted of them.

An optimiser takes steps where the flow moves smoothly, in a float format where the flow has real numbers (theory.md
§6). It arrives at the first step that reaches the kink or crosses it; then it chatters around it. All problems of a
call step together; those that have arrived or stopped are left out as they do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from gateflow.descents.compiled import ARRIVED, STALLED, Stepping
from gateflow.descents.optimizers import OPTIMIZERS, Optimizer, Prediction
from gateflow.descents.optimizers._optimizer import State
from gateflow.descents.precision import FORMATS, Format, format_named
from gateflow.errors import InvalidArgument, NoCompiler, shown
from gateflow.flows.batch import Array, ProblemBatch
from gateflow.flows.compiled import by_kernel
from gateflow.flows.problem import LearningProblem, check_problem, positions
from gateflow.flows.sampled_path import Band, sampled_path
from gateflow.guards.arguments import ABOVE_0, number, whole
from gateflow.notebook import cards
from gateflow.progress import track
from gateflow.results.byvalue import by_value
from gateflow.results.status import Status
from gateflow.results.tabulated import Ended

MOST = 100_000
"""Steps given by default, at most."""

PATIENCE = 8
"""A run that has not moved for this many memories of its optimiser will not move again."""

SETTLING = 4
"""Memories of the optimiser that a run is given to settle around the target."""

CYCLE = 64
"""Steps over which the size of the chatter is averaged."""

PAYS = 1.0
"""Seconds in NumPy from which on the kernel is chosen by itself: it takes half a second to compile, once a machine."""

NUMPY_STEP, NUMPY_RUN = 5e-5, 1e-6
"""Seconds of a step in NumPy, and for each problem of it (measured)."""

STRIDE = 1000
"""Steps between two looks at the progress bar."""


COLUMNS = {
    **{name: name for name in ("lr", "status", "steps", "z", "overshoot", "overshoot_u", "chatter")},
    "predicted_steps": "predicted.steps",
    "predicted_chatter": "predicted.chatter",
    "prediction_holds": "predicted.valid",
}
"""Columns of descents as a table."""


@by_value
@dataclass(frozen=True)
class Descent(Ended, columns=COLUMNS, plots=("lr", ["steps", "predicted_steps"]), scales=("log", "log")):
    """Descents of many problems; scalars for one, else arrays of one shape.

    Parameters
    ----------
    steps : int or array
        Steps until z was at the target or past it; where it never was, the steps taken.
    z : float or array
        Where that step led.
    status : Status or array
        What became of the run.
    overshoot : float or array
        How far past the target it went, in z; 0 where it did not arrive.
    overshoot_u : float or array
        The same in the logit profile: the way back takes about ``exp`` of it.
    chatter : float or array
        Mean size of the last steps around the target; nan where it did not settle there.
    backend : {"numpy", "compiled"}
        What computed it; the two differ in the last bits of a gradient.
    """

    problem: LearningProblem
    optimizer: Optimizer
    lr: Any
    dtype: str
    gradient: str
    steps: Any
    z: Any
    status: Any
    overshoot: Any
    overshoot_u: Any
    chatter: Any
    backend: str
    asked: _Request = field(repr=False, compare=False)

    @cached_property
    def predicted(self) -> Prediction:
        """What theory says of the same runs."""
        with np.errstate(all="ignore"):
            return self.asked.predicted().shaped(self.asked.shape)

    def __repr__(self) -> str:
        name = type(self.optimizer).__name__
        if np.ndim(self.steps):
            counts = cards.counts(self.status)
            return f"<Descent of {np.size(self.steps)} problems by {name} in {self.dtype}; {counts}>"
        said = f"predicted {self.predicted.steps:.0f}" + ("" if self.predicted.valid else ", not valid")
        return f"<Descent by {name} in {self.dtype}: {self.status.sentence}; {self.steps} steps, {said}>"

    def _repr_html_(self) -> str:
        many = np.ndim(self.steps)
        predicted = cards.number(self.predicted.steps) + ("" if np.all(self.predicted.valid) else ", not valid")
        about = [
            ("problem", repr(self.problem)),
            ("status", cards.counts(self.status) if many else self.status.sentence),
            ("steps", cards.number(self.steps)),
            ("predicted", predicted),
            ("z at the end", cards.number(self.z)),
            ("overshoot in z", cards.number(self.overshoot)),
            ("chatter", cards.number(self.chatter)),
        ]
        hyper = "".join(f", {name} {value:g}" for name, value in vars(self.optimizer).items())
        title = f"Descent by {type(self.optimizer).__name__}, lr {cards.number(self.lr)}{hyper}, in {self.dtype}"
        return cards.framed(title, cards.facts(about))


def descent(
    problem: LearningProblem,
    z0: Any,
    optimizer: str | Optimizer = "sgd",
    *,
    lr: Any,
    steps: int | None = None,
    dtype: str = "float64",
    gradient: str = "stable",
    backend: str | None = None,
    **hyper: float,
) -> Descent:
    """Descend from ``z0`` with an optimiser, and say what theory predicts of it.

    Parameters
    ----------
    problem : LearningProblem
        One problem, or many in arrays.
    z0 : float or array
        Where learning starts.
    optimizer : str or Optimizer
        "sgd", "momentum", "adam" or "rmsprop".
    lr : float or array
        The step size eta, above 0.
    steps : int, optional
        Steps given; by default twice those predicted and a thousand, at most 100,000.
    dtype : str
        "float64", "float32", "float16" or "bfloat16": each operation of the optimiser is rounded to it.
    gradient : str
        "stable": the exact gradient, rounded once; "naive": ``c T phi^(T-1) phi (1 - phi) u'`` and the sign of
        ``phi^T - lambda*``, each operation rounded.
    backend : {"auto", "numpy", "compiled"}, optional
        "compiled" is a loop in C, made from the gate's formula on its first use on a machine: for the absolute loss in
        float64 with the stable gradient. "auto", and by default ``GATEFLOW_BACKEND`` in the environment, takes it where
        NumPy would take seconds.
    **hyper : float
        Hyperparameters of an optimiser given by its name: ``beta``; ``beta1``, ``beta2``, ``eps``; or ``alpha``.

    Raises
    ------
    InvalidArgument
        A number is out of range, or the loss has no kink to arrive at.
    UnknownName
        No such optimiser or dtype.
    NoCompiler
        "compiled" is asked for and cannot be had.

    Examples
    --------
    >>> problem = LearningProblem("fast", horizon=10, gap=0.1)
    >>> run = descent(problem, 0.0, lr=0.05)
    >>> run.status, int(run.steps), float(run.predicted.steps)
    (<Status.REACHED: 'reached'>, 995, 995.0)
    """
    if steps is not None:
        steps = min(whole("steps", steps), 10**15)
    if gradient not in ("stable", "naive"):
        raise InvalidArgument(f"gradient must be 'stable' or 'naive'; got {shown(gradient)}")
    _check_loss(problem, gradient)
    asked = _Request.of(problem, z0, optimizer, lr, dtype, hyper)
    with np.errstate(all="ignore"):
        limits = _limits(asked, steps)
        given = (asked.batch, asked.optimizer, asked.rates, asked.fmt, gradient)
        run = _run_of(*given, limits, backend)
        run.go(limits)
        run.settle()
    shape = asked.shape
    results = {name: getattr(run, name).reshape(shape)[()] for name in _Run.RESULTS}
    inputs = (problem, asked.optimizer, asked.lr, asked.fmt.name, gradient)
    return Descent(*inputs, **results, backend=run.backend, asked=asked)


def predict(
    problem: LearningProblem,
    z0: Any,
    optimizer: str | Optimizer = "sgd",
    *,
    lr: Any,
    dtype: str = "float64",
    **hyper: float,
) -> Prediction:
    """What theory predicts of a descent, without a step of it; as :func:`descent`, which takes the steps too.

    Raises
    ------
    InvalidArgument
        A number is out of range, or the loss has no kink to arrive at.
    UnknownName
        No such optimiser or dtype.

    Examples
    --------
    >>> problem = LearningProblem("fast", horizon=10, gap=0.1)
    >>> float(predict(problem, 0.0, lr=0.05).steps)
    995.0
    """
    _check_loss(problem, "stable")
    asked = _Request.of(problem, z0, optimizer, lr, dtype, hyper)
    with np.errstate(all="ignore"):
        return asked.predicted().shaped(asked.shape)


@dataclass(frozen=True)
class _Request:
    """Problems, starts and step sizes of one shape, in a float format."""

    batch: ProblemBatch
    optimizer: Optimizer
    lr: Any
    rates: Array
    fmt: Format
    shape: tuple[int, ...]

    @classmethod
    def of(
        cls,
        problem: LearningProblem,
        z0: Any,
        optimizer: str | Optimizer,
        lr: Any,
        dtype: str,
        hyper: dict[str, float],
    ) -> _Request:
        chosen, fmt = optimizer_named(optimizer, hyper), format_named(dtype)
        z0 = positions(z0, "z0")
        lr = number("lr", lr, *ABOVE_0)
        shape = problem.shape_with(z0=z0, lr=lr)
        rates = fmt.round(np.array(np.broadcast_to(lr, shape)).reshape(-1))
        return cls(ProblemBatch.towards(problem, fmt.round(z0), shape), chosen, lr, rates, fmt, shape)

    def predicted(self) -> Prediction:
        return self.optimizer.predict(sampled_path(self.batch), self.rates, self.fmt)


def optimizer_named(optimizer: str | Optimizer, hyper: dict[str, float]) -> Optimizer:
    """The optimiser by its name, with its hyperparameters."""
    if isinstance(optimizer, Optimizer):
        if hyper:
            raise InvalidArgument(
                f"{', '.join(hyper)}: an optimiser given as an object has its hyperparameters already"
            )
        return optimizer
    kind = OPTIMIZERS[optimizer]
    known = [part.name for part in fields(kind)]
    for name in hyper:
        if name not in known:
            takes = f"its hyperparameters: {', '.join(known)}" if known else "it has none besides lr"
            raise InvalidArgument(f"optimizer {shown(optimizer)} does not take {name}; {takes}")
    return kind(**hyper)


def _check_loss(problem: LearningProblem, gradient: str) -> None:
    check_problem("descent", problem)
    if not problem.loss.arrives:
        raise InvalidArgument(f"the {problem.loss.name} loss is smooth at its least value: descent never arrives there")
    if gradient == "naive" and problem.loss.name != "absolute":
        raise InvalidArgument("the naive gradient is that of the absolute loss")


def _limits(asked: _Request, steps: int | None) -> Array:
    if steps is not None:
        return np.full(asked.rates.size, steps, dtype=np.int64)
    predicted = asked.predicted()
    wanted = np.where(np.isfinite(predicted.steps), 2 * predicted.steps + 1000, MOST)
    return np.minimum(wanted, MOST).astype(np.int64)


Gradient = Callable[[Array], Array]


def stable_gradient(batch: ProblemBatch, fmt: Format) -> Gradient:
    """``dL/dz`` from logarithms, rounded once."""

    def gradient(z: Array) -> Array:
        side = np.sign(z - batch.z_star)
        return fmt.round(side * np.exp(batch.log_speed(z)))

    return gradient


def naive_gradient(batch: ProblemBatch, fmt: Format) -> Gradient:
    """``dL/dz`` as it is written down: through phi and ``1 - phi``, each operation rounded."""
    fl, numbers = fmt.round, batch.float64
    front = fl(fl(batch.scale) * fl(batch.horizon))
    kept = fl(np.exp(-batch.target.h))

    def gradient(z: Array) -> Array:
        phi = fl(1 / fl(1 + fl(np.exp(-fl(numbers.u(z))))))
        dphi = fl(fl(phi * fl(1 - phi)) * fl(np.exp(numbers.log_du(z))))
        side = np.sign(fl(fl(phi**batch.horizon) - kept))
        return fl(fl(side * front) * fl(fl(phi ** (batch.horizon - 1)) * dphi))

    return gradient


GRADIENTS = {"stable": stable_gradient, "naive": naive_gradient}


@dataclass
class _Live:
    """The runs still going: their numbers, and the state of each."""

    at: Array
    batch: ProblemBatch
    gradient: Gradient
    lr: Array
    limit: Array
    z: Array
    k: Array
    idle: Array
    state: State

    def keep(self, mask: Array, remake: Callable[[ProblemBatch], Gradient]) -> _Live:
        """The runs under the mask."""
        batch = self.batch.take(mask)
        state = tuple(part[mask] for part in self.state)
        rows = {name: getattr(self, name)[mask] for name in ("at", "lr", "limit", "z", "k", "idle")}
        return replace(self, batch=batch, gradient=remake(batch), state=state, **rows)


def _repeated(word: Status, count: int) -> Array:
    """An array of a word; NumPy's ``full`` would make it a plain string."""
    words = np.empty(count, dtype=object)
    words[:] = [word] * count
    return words


class _Run:
    """Many descents on their way, and what became of those that have ended."""

    RESULTS = ("steps", "z", "status", "overshoot", "overshoot_u", "chatter")
    backend = "numpy"

    def __init__(self, batch: ProblemBatch, optimizer: Optimizer, lr: Array, fmt: Format, gradient: str) -> None:
        count = batch.z0.size
        self.batch, self.optimizer, self.lr, self.fmt = batch, optimizer, lr, fmt
        self.make = lambda part: GRADIENTS[gradient](part, fmt)
        self.patience = int(1 if optimizer.memory == 1 else PATIENCE * optimizer.memory)
        self.steps = np.zeros(count, dtype=np.int64)
        self.z = batch.z0.copy()
        self.status = _repeated(Status.STEP_LIMIT, count)
        self.overshoot, self.overshoot_u = np.zeros(count), np.zeros(count)
        self.chatter = np.full(count, np.nan)
        self.state = optimizer.start(count)

    def _all(self, limit: Array) -> _Live:
        everyone = np.arange(self.z.size)
        idle = np.zeros(everyone.size, dtype=np.int64)
        return _Live(everyone, self.batch, self.make(self.batch), self.lr, limit, self.z, self.steps, idle, self.state)

    def _step(self, live: _Live) -> Array:
        """One step of each; returns how far they moved."""
        live.k = live.k + 1
        live.state, taken = self.optimizer.update(live.state, live.gradient(live.z), live.k, live.lr, self.fmt.round)
        before, live.z = live.z, self.fmt.round(live.z - taken)
        moved = live.z - before
        live.idle = np.where(moved == 0, live.idle + 1, 0)
        return moved

    def _put_back(self, live: _Live, done: Array) -> None:
        """Note where the runs under the mask are."""
        at = live.at[done]
        self.z[at], self.steps[at] = live.z[done], live.k[done]
        for mine, theirs in zip(self.state, live.state, strict=True):
            mine[at] = theirs[done]

    def go(self, limit: Array) -> None:
        """Step until each run has arrived, stalled, or used up its steps."""
        there = self.batch.z0 == self.batch.z_star
        self.status[there] = Status.REACHED
        live = self._all(limit).keep(~there, self.make)
        for _ in track(range(int(limit.max(initial=0)) // STRIDE + 1), "descent (thousands of steps)"):
            for _ in range(STRIDE):
                if live.at.size == 0:
                    return
                self._step(live)
                arrived = live.batch.direction * (live.z - live.batch.z_star) >= 0
                stalled = (live.idle >= self.patience) | ~np.isfinite(live.z)
                done = arrived | stalled | (live.k >= live.limit)
                if done.any():
                    self.status[live.at[stalled]] = Status.STALLED
                    self.status[live.at[arrived]] = Status.REACHED
                    self._put_back(live, done)
                    live = live.keep(~done, self.make)

    def settle(self) -> None:
        """Follow those that have arrived: how far past the target they go, and how they chatter around it."""
        arrived = self.status == Status.REACHED
        quiet = arrived & (self.steps == 0)
        self.chatter[quiet] = 0.0
        window = int(CYCLE + SETTLING * self.optimizer.memory)
        live = self._all(np.maximum(self.steps, window)).keep(arrived & ~quiet, self.make)
        self._settle(live, window)
        self._note_overshoot()

    def _note_overshoot(self) -> None:
        """Overshoots in the logit profile, from those in z."""
        peak = self.batch.z_star + self.batch.direction * self.overshoot
        u = self.batch.float64.u
        self.overshoot_u = np.where(self.overshoot > 0, np.abs(u(peak) - u(self.batch.z_star)), 0.0)

    def _settle(self, live: _Live, window: int) -> None:
        """Until back at the target, for at most as long as the way there took; then for the window."""
        far = live.batch.direction * (live.z - live.batch.z_star)
        left = live.limit.copy()
        back = np.zeros(live.at.size, dtype=bool)
        sizes = np.zeros(live.at.size)
        while live.at.size:
            moved = self._step(live)
            beyond = live.batch.direction * (live.z - live.batch.z_star)
            far = np.maximum(far, beyond)
            returns = ~back & (beyond <= 0)
            left = np.where(returns, window, left - 1)
            back |= returns
            sizes += np.where(back & (left < CYCLE), np.abs(moved), 0.0)
            lost = ~back & (live.idle >= self.patience)
            done = (left <= 0) | lost
            if done.any():
                at = live.at[done]
                self.overshoot[at] = far[done]
                self.chatter[at] = np.where(back, sizes / CYCLE, np.nan)[done]
                self.status[at[~back[done]]] = Status.TRAPPED
                keep = ~done
                far, left, back, sizes = far[keep], left[keep], back[keep], sizes[keep]
                live = live.keep(keep, self.make)

    def stay(self, at: Array, band: Band, limit: Array, window: int) -> Array:
        """Of the runs ``at`` the step after which they are in the band for a window of steps; else infinite."""
        found = np.full(self.z.size, np.inf)
        ends, outside = band.take(at), np.where(band.holds(self.z), -1, 0)[at]
        live = self._all(limit).keep(at, self.make)
        for _ in track(range(int(live.limit.max(initial=0)) // STRIDE + 1), "descent (thousands of steps)"):
            for _ in range(STRIDE):
                if live.at.size == 0:
                    return found
                self._step(live)
                outside = np.where(ends.holds(live.z), outside, live.k)
                settled = live.k - outside > window
                done = settled | (live.k >= live.limit) | ~np.isfinite(live.z)
                if done.any():
                    found[live.at[settled]] = outside[settled] + 1
                    ends, outside, live = ends.take(~done), outside[~done], live.keep(~done, self.make)
        return found


class _CompiledRun(_Run):
    """The same by the kernel in C."""

    backend = "compiled"

    def __init__(self, batch: ProblemBatch, optimizer: Optimizer, lr: Array, fmt: Format, gradient: str) -> None:
        super().__init__(batch, optimizer, lr, fmt, gradient)
        self.stepping = Stepping(batch, optimizer, lr)

    def go(self, limit: Array) -> None:
        """Step until each run has arrived, stalled, or used up its steps."""
        there = self.batch.z0 == self.batch.z_star
        self.stepping.put(limit=limit)
        self.stepping.run(np.flatnonzero(~there), 0, patience=self.patience)
        self.z, self.steps = self.stepping.z.copy(), self.stepping.k.astype(np.int64)
        self.status[(self.stepping.code == ARRIVED) | there] = Status.REACHED
        self.status[self.stepping.code == STALLED] = Status.STALLED

    def settle(self) -> None:
        """Follow those that have arrived: how far past the target they go, and how they chatter around it."""
        arrived = self.status == Status.REACHED
        self.chatter[arrived & (self.steps == 0)] = 0.0
        at = np.flatnonzero(arrived & (self.steps > 0))
        window = int(CYCLE + SETTLING * self.optimizer.memory)
        far = self.batch.direction * (self.z - self.batch.z_star)
        self.stepping.put(code=0, idle=0, back=0, sizes=0, far=far, left=np.maximum(self.steps, window))
        self.stepping.run(at, 1, patience=self.patience, window=window, cycle=CYCLE)
        self.overshoot[at] = self.stepping.far[at]
        self.chatter[at] = np.where(self.stepping.back == 1, self.stepping.sizes / CYCLE, np.nan)[at]
        self.status[at[self.stepping.back[at] == 0]] = Status.TRAPPED
        self._note_overshoot()

    def stay(self, at: Array, band: Band, limit: Array, window: int) -> Array:
        """Of the runs ``at`` the step after which they are in the band for a window of steps; else infinite."""
        self.stepping.put(low=band.low, high=band.high, far=np.where(band.holds(self.z), -1, 0), limit=limit)
        self.stepping.run(at, 2, window=window)
        found, settled = np.full(self.z.size, np.inf), at[self.stepping.code[at] == ARRIVED]
        found[settled] = self.stepping.far[settled] + 1
        return found


def _run_of(
    batch: ProblemBatch, optimizer: Optimizer, lr: Array, fmt: Format, gradient: str, limits: Array, backend: str | None
) -> _Run:
    """The runs, by the kernel where that is the way to take."""

    def compiled() -> _Run:
        if fmt.name != "float64" or gradient != "stable":
            raise NoCompiler("compiled descents are in float64, with the stable gradient; use backend='numpy'")
        return _CompiledRun(batch, optimizer, lr, fmt, gradient)

    found = by_kernel(compiled, backend, pays=seconds_in_numpy(limits) >= PAYS)
    return found or _Run(batch, optimizer, lr, fmt, gradient)


def steps_to_stay(batch: ProblemBatch, optimizer: Optimizer, lr: Array, band: Band, most: Array) -> Array:
    """Steps after which z is in the band and does not leave it again; infinite where it is not, in ``most`` steps.

    A run stays where it has not left the band for 64 steps and four memories of its optimiser.
    """
    at = np.flatnonzero(np.isfinite(lr) & (lr > 0) & np.isfinite(band.radius))
    window = int(CYCLE + SETTLING * optimizer.memory)
    run = _run_of(batch, optimizer, lr, FORMATS["float64"], "stable", most[at] + window, None)
    return run.stay(at, band, most + window, window)


def seconds_in_numpy(limits: Array) -> float:
    """About how long the steps take in NumPy, at most."""
    return float(NUMPY_STEP * np.max(limits, initial=0) + NUMPY_RUN * np.sum(limits, dtype=np.float64))
