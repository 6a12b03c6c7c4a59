"""Rung 1: the learning problem itself as a PyTorch model, beside the predicted number of steps.

One unit, no input: its only weight is z, ``f = phi(z)``, and its loss is ``c |f^T - lambda*|`` (theory.md, eq. 14). The
gate is the one that trains in networks, the gradient is autograd's, the optimiser is ``torch.optim``'s: nothing is
shared with :mod:`gateflow.descents.simulation` but the problem. The model has arrived at the first step after which
``f^T - lambda*`` has not the sign it began with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateflow.descents.optimizers import OPTIMIZERS, Optimizer
from gateflow.descents.simulation import optimizer_named, predict
from gateflow.errors import InvalidArgument
from gateflow.flows.problem import LearningProblem
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.nn.functional import gate_function
from gateflow.notebook import cards
from gateflow.results.byvalue import by_value

HORIZONS = (10.0, 100.0, 1000.0)
GAP = 0.1
STARTS = {"from below": 2.0, "from above": 0.02}
"""The total decay h at the start; the target's is 0.105."""

FEW, MOST = 30, 5_000
"""Predicted steps of a run: fewer test little, more take long."""

LADDER = 0.5 ** np.arange(15)
"""Step sizes that are tried, as parts of the largest useful one, the largest first."""

STEP_COUNTING = ("sgd", "momentum")
"""Optimisers whose prediction, inside its flag, is right to a step."""


@by_value
@dataclass(frozen=True)
class ExactRun:
    """One run of the model.

    Parameters
    ----------
    optimizer : str
    side : str
        ``from below`` or ``from above`` the target.
    horizon, z0, z_star, lr : float
    steps : int or None
        Steps until it had arrived; None where it did not in twice those predicted and a hundred.
    predicted : float
    allowed : float
        How far ``steps`` may be from that: 1 for gradient descent and momentum, else the error that is predicted too.
    reason : str
        Why the prediction does not hold; empty where it does.
    """

    optimizer: str
    side: str
    horizon: float
    z0: float
    z_star: float
    lr: float
    steps: int | None
    predicted: float
    allowed: float
    reason: str

    @property
    def valid(self) -> bool:
        """Whether the prediction is said to hold."""
        return not self.reason

    @property
    def agrees(self) -> bool:
        """Whether the run took as many steps as predicted."""
        return self.steps is not None and abs(self.steps - self.predicted) <= self.allowed


@dataclass(frozen=True)
class Exact:
    """The first rung for one gate."""

    gate: Gate
    runs: list[ExactRun]

    @property
    def valid(self) -> list[ExactRun]:
        """The runs inside their validity flags."""
        return [run for run in self.runs if run.valid]

    @property
    def holds(self) -> bool:
        """Whether every prediction that is said to hold does, and there is one."""
        return bool(self.valid) and all(run.agrees for run in self.valid)

    def _repr_html_(self) -> str:
        rows = [
            [run.optimizer, run.side, run.horizon, run.lr, run.steps, run.predicted, run.reason] for run in self.runs
        ]
        cells = [[cards.number(cell, 5) if isinstance(cell, float) else cell for cell in row] for row in rows]
        headings = ("optimizer", "start", "T", "lr", "steps", "predicted", "does not hold")
        return cards.framed(f"The exact problem as a PyTorch model: {self.gate.name}", cards.listed(headings, cells))


def exact(
    gate: str | Gate,
    optimizers: Iterable[str] = ("sgd", "momentum", "adam", "rmsprop"),
    *,
    horizons: Iterable[float] = HORIZONS,
    gap: float = GAP,
) -> Exact:
    """Train the one-unit model from both sides of the target, for each optimiser and horizon.

    The step size of a run is the largest for which the prediction holds and takes 30 steps at least.

    Parameters
    ----------
    gate : str or Gate
    optimizers : iterable of str
        "sgd", "momentum", "adam", "rmsprop".
    horizons : iterable of float
    gap : float
        ``1 - lambda*``.

    Raises
    ------
    InvalidArgument
        The gate, a horizon or the gap cannot be used.

    Examples
    --------
    >>> found = exact("fast", ["sgd"], horizons=[10])
    >>> [(run.side, run.steps, run.predicted) for run in found.runs], found.holds
    ([('from below', ..., ...), ('from above', ..., ...)], True)
    """
    made = as_gate(gate)
    names = [OPTIMIZERS.spelled(name) for name in optimizers]
    runs: list[ExactRun] = []
    for name in names:
        planned = [_planned(made, name, float(T), gap, side) for T in horizons for side in STARTS]
        counts = _train(made, optimizer_named(name, {}), gap, planned)
        runs += [_run(name, plan, steps) for plan, steps in zip(planned, counts, strict=True)]
    return Exact(made, runs)


@dataclass(frozen=True)
class _Planned:
    side: str
    horizon: float
    z0: float
    z_star: float
    lr: float
    predicted: float
    error: float
    reason: str


def _planned(gate: Gate, optimizer: str, horizon: float, gap: float, side: str) -> _Planned:
    """A run before it is made: where it starts, its step size, what is predicted of it."""
    problem = LearningProblem(gate, horizon=horizon, gap=gap)
    decay = STARTS[side] * problem.h_star / -np.log1p(-GAP)
    u0 = -np.log(np.expm1(decay / horizon))
    z0 = float(gate.float64.z_of_u(np.array(u0)))
    if not np.isfinite([z0, problem.z_star]).all():
        raise InvalidArgument(f"{gate.name} has no z for the start or the target of horizon {horizon:g}, gap {gap:g}")
    largest = predict(problem, z0, optimizer, lr=1.0).largest_lr
    ladder = np.where(np.isfinite(largest) & (largest > 0), largest, 1.0) * LADDER
    found = predict(problem, z0, optimizer, lr=ladder)
    good = found.valid & (found.steps <= MOST)
    k = _first(good & (found.steps >= FEW)) if (good & (found.steps >= FEW)).any() else _last(good)
    prediction = found.at(k)
    reason = str(prediction.reason) or ("" if prediction.steps <= MOST else "more steps than are made here")
    return _Planned(side, horizon, z0, problem.z_star, ladder[k], prediction.steps, prediction.error, reason)


def _first(mask: Any) -> int:
    return int(np.argmax(mask))


def _last(mask: Any) -> int:
    """The last that is marked, or the middle one where none is."""
    return int(np.flatnonzero(mask)[-1]) if mask.any() else len(mask) // 2


def _run(optimizer: str, plan: _Planned, steps: int | None) -> ExactRun:
    allowed = 1.0 if optimizer in STEP_COUNTING else max(1.0, plan.error)
    facts = (plan.z0, plan.z_star, plan.lr, steps, plan.predicted, allowed, plan.reason)
    return ExactRun(optimizer, plan.side, plan.horizon, *facts)


def _train(gate: Gate, optimizer: Optimizer, gap: float, planned: list[_Planned]) -> list[int | None]:
    """Steps until each of the units has arrived; every unit has a weight and a step size of its own."""
    import torch

    phi = gate_function(gate)
    weights = [torch.tensor(plan.z0, dtype=torch.float64, requires_grad=True) for plan in planned]
    horizon = torch.tensor([plan.horizon for plan in planned], dtype=torch.float64)
    groups = [{"params": [weight], "lr": float(plan.lr)} for weight, plan in zip(weights, planned, strict=True)]
    descending = in_torch(optimizer, groups)

    def residual() -> torch.Tensor:
        return phi(torch.stack(weights)) ** horizon - (1.0 - gap)

    first = residual().detach().sign()
    limits = torch.tensor([_limit(plan) for plan in planned])
    arrived = torch.zeros(len(planned), dtype=torch.int64)
    for step in range(1, int(limits.max()) + 1):
        descending.zero_grad()
        residual().abs().sum().backward()
        descending.step()
        with torch.no_grad():
            there = (residual().sign() != first) & (arrived == 0) & (step <= limits)
        arrived[there] = step
        if bool(((arrived > 0) | (step >= limits)).all()):
            break
    return [int(count) or None for count in arrived]


def _limit(plan: _Planned) -> int:
    return int(min(2 * plan.predicted, MOST)) + 100 if np.isfinite(plan.predicted) else 100


def in_torch(optimizer: Optimizer, groups: list[dict[str, Any]]) -> Any:
    """PyTorch's own optimiser for one of :mod:`gateflow.descents.optimizers`."""
    import torch

    kind = type(optimizer).__name__
    hyper = vars(optimizer)
    if kind == "Adam":
        return torch.optim.Adam(groups, betas=(hyper["beta1"], hyper["beta2"]), eps=hyper["eps"])
    if kind == "RMSprop":
        return torch.optim.RMSprop(groups, alpha=hyper["alpha"], eps=hyper["eps"])
    if kind == "GradientDescent":
        return torch.optim.SGD(groups, lr=0.0)
    if kind == "HeavyBall":
        return torch.optim.SGD(groups, lr=0.0, momentum=hyper["beta"])
    raise InvalidArgument(f"PyTorch has no optimiser for {kind}")
