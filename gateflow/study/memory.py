"""Rung 2: a layer of linear units that learns a spectrum of time scales from samples, beside what is predicted of it.

Unit k holds a signal ``s ~ N(0, 1)`` that enters at time 0 and decays by its forget gate, ``h <- f h + noise``, with
``f = phi(z_k)``, over ``T_k`` steps; it is asked for ``s/e``, so that it is to have the time constant ``T_k``. Its loss
over a batch is the mean of ``|h - s/e|``, and every step of the optimiser sees another batch.

Without noise the mean loss is ``E|s| |f^T - 1/e|``: the learning problem with ``c = E|s|``, which is not put in but
estimated, from 4,096 signals. What is left to chance is the batch. With noise of size sigma the loss is
``sqrt(2/pi) sqrt((f^T - 1/e)^2 + sigma^2 (1 - f^2T)/(1 - f^2))``: its kink is rounded and its least value elsewhere,
and the prediction, which knows of no noise, fails by as much as that says; :mod:`gateflow.study.noisy_units` knows of
noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gateflow.descents.optimizers import OPTIMIZERS
from gateflow.descents.simulation import descent, optimizer_named
from gateflow.errors import InvalidArgument
from gateflow.flows.problem import LearningProblem
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.nn.functional import gate_function
from gateflow.notebook import cards
from gateflow.study.agreement import Agreement, agreement
from gateflow.study.exact import in_torch
from gateflow.study.noisy_units import law

START = 5.0
"""Time constant of every unit at the start, in steps, whatever the gate."""

RATES = {"sgd": 0.05, "momentum": 0.005, "adam": 0.01, "rmsprop": 0.01}
"""Step sizes: for gradient descent half the largest useful one of the fast gate at T = 300, the same for all gates."""

AT = (100, 300, 1000, 2000)
"""Steps after which the time constants are looked at."""

CHANCE = 1e-9
"""Time constants that differ by less, relatively, are one."""

SAMPLES = 4096
"""Signals from which c is estimated."""


@dataclass(frozen=True)
class MemoryRun:
    """What the units of one layer learned, and what was predicted.

    Parameters
    ----------
    gate, optimizer : str
    lr, noise : float
    seed : int
    wanted : array, shape (units,)
        Time constants asked for, in steps.
    scale : array, shape (units,)
        c = E|s|, estimated from signals of their own.
    at : tuple of int
        Steps of the optimiser.
    reached, predicted : array, shape (len(at), units)
        Time constants after a number of steps; predicted by the mean loss without noise in the units.
    typical, share : array, shape (len(at), units)
        By the noise of the gradients (:mod:`gateflow.study.noisy_units`): the median time constant, and the probability
        of one below that reached: spread evenly over (0, 1) where that theory holds, nan where chance has no part.
    """

    gate: str
    optimizer: str
    lr: float
    noise: float
    seed: int
    wanted: np.ndarray
    scale: np.ndarray
    at: tuple[int, ...]
    reached: np.ndarray
    predicted: np.ndarray
    typical: np.ndarray
    share: np.ndarray

    def agreement(self) -> list[Agreement]:
        """Measured against predicted time constants, at each of the steps."""
        return [agreement(*pair) for pair in zip(self.reached, self.predicted, strict=True)]

    def _repr_html_(self) -> str:
        rows = [
            [steps, *(cards.number(x, 3) for x in (reached, predicted, found.median, found.ninth, found.rank))]
            for steps, reached, predicted, found in zip(
                self.at, self.reached, self.predicted, self.agreement(), strict=True
            )
        ]
        headings = ("step", "time constants", "predicted", "median error of log", "ninth decile", "rank correlation")
        asked = f"{self.wanted.size} units, for time constants from {cards.number(self.wanted, 3)} steps"
        learned = f"{self.optimizer}, lr {self.lr:g}, noise {self.noise:g}, seed {self.seed}"
        about = cards.facts([("asked of", asked), ("learned by", learned)])
        return cards.framed(f"A memory of many time scales: {self.gate}", about, cards.listed(headings, rows))

    def to_json(self) -> dict[str, Any]:
        """All of it as plain numbers, with the agreement."""
        plain = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in vars(self).items()}
        return {**plain, "agreement": [asdict(each) for each in self.agreement()]}


def spectrum(units: int = 24, shortest: float = 8.0, longest: float = 300.0) -> np.ndarray:
    """Time constants evenly spread in their logarithms, in whole steps."""
    if not 1 <= shortest <= longest < np.inf:
        raise InvalidArgument(f"time constants go from 1 step up; got {shortest:g} to {longest:g}")
    return np.round(np.geomspace(shortest, longest, units))


def memory(
    gate: str | Gate,
    optimizer: str = "sgd",
    *,
    lr: float | None = None,
    noise: float = 0.0,
    seed: int = 0,
    wanted: Sequence[float] | np.ndarray | None = None,
    start: float = START,
    at: Sequence[int] = AT,
    batch: int = 32,
) -> MemoryRun:
    """Train the layer, and say what was predicted of each unit.

    Parameters
    ----------
    gate : str or Gate
    optimizer : str
        "sgd", "momentum", "adam", "rmsprop".
    lr : float, optional
        By default one of :data:`RATES`.
    noise : float
        sigma, of what enters a unit at each step after the signal.
    seed : int
    wanted : array, optional
        T_k, by default :func:`spectrum`.
    start : float
        The time constant of every unit at the start.
    at : sequence of int
        Steps after which the units are looked at, in rising order.
    batch : int

    Raises
    ------
    InvalidArgument
        A number is out of range.

    Examples
    --------
    >>> found = memory("fast", "adam", wanted=[10, 20], at=[50, 400])
    >>> bool(abs(np.log(found.reached[-1] / [10, 20])).max() < 0.1)
    True
    """
    made = as_gate(gate)
    name = OPTIMIZERS.spelled(optimizer)
    wanted = spectrum() if wanted is None else np.asarray(wanted, dtype=float)
    lr = RATES[name] if lr is None and name in RATES else lr
    if lr is None or not 0 < lr < np.inf:
        raise InvalidArgument(f"lr must be above 0; got {lr}")
    if not 0 <= noise < np.inf:
        raise InvalidArgument(f"noise must be at least 0; got {noise}")
    if start <= 0:
        raise InvalidArgument(f"start must be above 0; got {start}")
    if not at or list(at) != sorted(set(at)) or at[0] < 1:
        raise InvalidArgument("at takes steps from 1 on, in rising order")
    z0 = float(made.float64.z_of_u(np.array(-np.log(np.expm1(1 / start)))))
    reached, scale = _train(made, name, lr, noise, seed, wanted, z0, at, batch)
    predicted = _predict(made, name, lr, wanted, scale, z0, at)
    using = optimizer_named(name, {})
    laws = [law(made, using, horizon, noise, lr, batch, z0, at, seed=k) for k, horizon in enumerate(wanted)]
    typical = np.array([np.median(one, axis=1) for one in laws]).T
    share = np.array([_share(one, now) for one, now in zip(laws, reached.T, strict=True)]).T
    told = (made.name, name, lr, noise, seed, wanted, scale, tuple(at))
    return MemoryRun(*told, reached, predicted, typical, share)


def _share(rows: np.ndarray, reached: np.ndarray) -> np.ndarray:
    """The share of the runs below what was reached, by row; nan where chance has no part, as before a unit moves."""
    spread = rows[:, -1] - rows[:, 0] > CHANCE * rows[:, 0]
    return np.where(spread, np.mean(rows < reached[:, None], axis=1), np.nan)


def _predict(
    gate: Gate, optimizer: str, lr: float, wanted: np.ndarray, scale: np.ndarray, z0: float, at: Sequence[int]
) -> np.ndarray:
    """Time constants of the units by the optimiser on the mean loss, after a number of steps."""
    problem = LearningProblem(gate, horizon=wanted, timescale=wanted, scale=scale)
    rows = []
    for steps in at:
        z = descent(problem, z0, optimizer, lr=lr, steps=steps).z
        rows.append(-1 / gate.log_phi(z))
    return np.array(rows)


def _train(
    gate: Gate,
    optimizer: str,
    lr: float,
    noise: float,
    seed: int,
    wanted: np.ndarray,
    z0: float,
    at: Sequence[int],
    batch: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Time constants of the units after a number of steps, and the c of each."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    function = gate_function(gate)
    z = torch.full((len(wanted),), z0, dtype=torch.float64, requires_grad=True)
    horizon = torch.from_numpy(wanted)
    keep = float(np.exp(-1.0))
    lags = torch.arange(int(wanted.max()), dtype=torch.float64)
    within = lags < horizon[:, None]

    def losses(rows: int) -> torch.Tensor:
        signal = torch.randn(rows, len(wanted), generator=generator, dtype=torch.float64)
        log_f = function.log(z)
        held = torch.exp(horizon * log_f) * signal
        if noise:
            faded = torch.where(within, torch.exp(lags * log_f[:, None]), 0.0)
            drawn = torch.randn(rows, *faded.shape, generator=generator, dtype=torch.float64)
            held = held + noise * (drawn * faded).sum(dim=-1)
        return (held - keep * signal).abs().mean(dim=0)

    with torch.no_grad():
        scale = torch.randn(SAMPLES, len(wanted), generator=generator, dtype=torch.float64).abs().mean(dim=0).numpy()
    descending = in_torch(optimizer_named(optimizer, {}), [{"params": [z], "lr": lr}])
    rows = []
    for step in range(1, at[-1] + 1):
        descending.zero_grad()
        losses(batch).sum().backward()
        descending.step()
        if step in at:
            rows.append((-1 / function.log(z.detach())).numpy().copy())
    return np.array(rows), scale
