"""Starts so near the target that float64 loses the way between: their times from big floats.

Over so short a way the flow has one speed, ``tau = |u0 - u*| / (c q |dL/dh| u'^2)``: the difference is taken in big
floats, from the numbers that were given, and the speed in float64.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gateflow.flows.critical import cuts
from gateflow.flows.density import decay_of_profile
from gateflow.flows.problem import LearningProblem
from gateflow.flows.rounding import lost_at
from gateflow.gates.gate import Gate
from gateflow.losses import Decay

NEAR = 1e-6
"""Relative distance of profiles up to which a start is near."""
DIGITS = (60, 300)
"""Of the big floats; the more of them where the fewer show no difference."""
MOST = 1024
"""Starts looked at in one call, at most; the errors of others stay infinite."""
SPREAD = 4
"""Spacings of floats about the way within which a kink makes the speed uncertain."""
EPS = float(np.finfo(np.float64).eps)


def refined(problem: LearningProblem, z0: Any, found: Any) -> Any:
    """The times with those of near starts put right; ``found`` is a :class:`gateflow.flows.time.HittingTime`."""
    poor = np.atleast_1d((np.asarray(found.status) == "reached") & ~(np.asarray(found.error) < NEAR))
    if not poor.any():
        return found
    shape = np.shape(found.log_tau)
    parts = (problem.horizon, problem.target.value, problem.scale, z0, problem.log_h_star, problem.z_star)
    horizon, value, scale, z0, log_h, z_end = (
        np.array(np.broadcast_to(np.asarray(part, dtype=np.float64), shape)).reshape(-1) for part in parts
    )
    log_tau, error = (np.array(part, dtype=np.float64).reshape(-1) for part in (found.log_tau, found.error))
    gate = problem.gate
    u0 = np.broadcast_to(gate.float64.u(z0), z0.shape)
    u_end = np.broadcast_to(np.asarray(problem.u_star, dtype=np.float64), shape).reshape(-1)
    with np.errstate(invalid="ignore"):
        poor = poor.reshape(-1) & (np.abs(u0 - u_end) <= NEAR * (1 + np.abs(u_end)))
    for k in np.flatnonzero(poor)[:MOST]:
        with np.errstate(all="ignore"):
            log_apart = _log_apart(gate, problem.target.way, float(horizon[k]), float(value[k]), float(z0[k]))
            if log_apart == -np.inf:
                log_tau[k], error[k] = -np.inf, 0.0
                continue
            speed, spread = _log_pace(problem, *(float(part[k]) for part in (horizon, log_h, z0, z_end)))
        spread += lost_at(gate, z0[k])
        if problem.target.is_rounded:  # the logarithm of an exact number: what it was rounded by is part of the way
            spread += EPS * abs(value[k]) * np.exp(min(-log_apart, 700.0))
        tau, off = (
            log_apart - speed - np.log(scale[k]),
            np.expm1(min(spread, 700.0)) + EPS * (16 + 4 * abs(log_apart) + 4 * abs(speed) + 2 * abs(u_end[k])),
        )
        if np.isfinite(tau) and off < error[k]:
            log_tau[k], error[k] = tau, off
    with np.errstate(over="ignore", under="ignore"):
        parts = [part.reshape(shape) for part in (np.exp(log_tau), log_tau, error)]
    tau, log_tau, error = (part.item() if part.ndim == 0 else part for part in parts)
    return replace(found, tau=tau, log_tau=log_tau, error=error)


def _log_apart(gate: Gate, way: str, horizon: float, value: float, z0: float) -> float:
    """log |u(z0) - u*|, from the numbers as they were given; ``-inf`` where no digits tell them apart."""
    for digits in DIGITS:
        numbers = gate.at(digits)
        big = numbers.arithmetic
        u_star = -big.log(big.expm1(_over_horizon(big, way, big.lift(horizon), big.lift(value))))
        apart = big.abs(numbers.u(big.lift(np.array([z0]))) - u_star)
        log_apart = float(np.atleast_1d(big.log(apart).values)[0])
        size = float(np.atleast_1d(big.log(big.abs(u_star) + big.lift(1.0)).values)[0])
        if log_apart > size - (digits - 20) * np.log(10.0):
            return log_apart
    return -np.inf


def _over_horizon(big: Any, way: str, horizon: Any, value: Any) -> Any:
    """The total decay of the target over the horizon."""
    return {
        "target": lambda: -big.log(value) / horizon,
        "gap": lambda: -big.log1p(-value) / horizon,
        "log_gap": lambda: -big.log1p(-big.exp(value)) / horizon,
        "decay": lambda: value / horizon,
        "timescale": lambda: big.lift(1.0) / value,
    }[way]()


def _log_pace(problem: LearningProblem, horizon: float, log_h: float, z0: float, z_end: float) -> tuple[float, float]:
    """log of ``q |dL/dh| u'^2`` half-way, and how far the mean over the way may be off."""
    gate, log_horizon = problem.gate, np.log(horizon)
    step = SPREAD * np.spacing(max(abs(z0), abs(z_end)))
    low, high = min(z0, z_end) - step, max(z0, z_end) + step
    at, inner = np.array([low, low / 2 + high / 2, high]), cuts(gate)
    u, log_du = (np.broadcast_to(number(at), at.shape) for number in (gate.float64.u, gate.float64.log_du))
    target = Decay(h=np.full(3, np.exp(log_h)), log=np.full(3, log_h))
    decay = decay_of_profile(np.full(3, horizon), np.full(3, log_horizon), u)
    pace = 2 * log_du + log_horizon - np.logaddexp(0.0, u) + problem.loss.log_slope(decay, target)
    change, bend = float(np.ptp(pace)), float(abs(pace[0] - 2 * pace[1] + pace[2]))
    cut = np.any((inner > low) & (inner < high))
    return float(pace[1]), change if cut else change * change + bend
