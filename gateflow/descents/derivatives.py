"""How a learning time answers to its problem: its derivatives, by differentiating the integral that it is.

With ``tau = integral of dz/v`` and ``log v = log c + log T + (T - 1) log phi + log phi'``, a derivative by a number
that v depends on is ``-integral of (d log v) dz/v``, a mean over the time spent along the way. An end that moves adds
its own rate times 1/v there. So all of them cost one more pass over the same path.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from gateflow.arithmetic import float64
from gateflow.codegen import Tape, stable
from gateflow.errors import InvalidArgument
from gateflow.flows.batch import Array, ProblemBatch
from gateflow.flows.problem import LearningProblem, check_problem, positions
from gateflow.flows.sampled_path import sampled_path
from gateflow.formula.vocabulary import Z, derivative
from gateflow.gates.gate import Gate
from gateflow.guards.arguments import together
from gateflow.results.byvalue import by_value
from gateflow.results.tabulated import Tabulated

CHUNK = 256
"""Problems integrated together."""

X, W = np.polynomial.legendre.leggauss(10)

RATES = {
    "gap": lambda value, h, horizon: 1 / ((1 - value) * horizon),
    "log_gap": lambda value, h, horizon: np.exp(value) / (-np.expm1(value) * horizon),
    "target": lambda value, h, horizon: -1 / (value * horizon),
    "decay": lambda value, h, horizon: 1 / horizon,
    "timescale": lambda value, h, horizon: -1 / value**2,
}
"""Derivative of ``-log phi*`` by the number that the target was given as."""


COLUMNS = {
    **{name: name for name in ("log_tau", "horizon", "target", "z0", "scale")},
    "parameters": "parameters",
    "by_log": lambda found: {f"log {name}": values for name, values in found.by_log.items()},
    "error": "error",
}
"""Columns of sensitivities as a table; each parameter of the gate has its own."""


@by_value
@dataclass(frozen=True)
class Sensitivities(Tabulated, columns=COLUMNS, plots=(None, ["horizon", "target", "z0", "scale"])):
    """Derivatives of log tau; scalars for one problem, else arrays of one shape. nan where the flow does not arrive.

    Parameters
    ----------
    log_tau : float or array
        log of the learning time.
    horizon : float or array
        By T, the target being held as it was given.
    target : float or array
        By the number that the target was given as: gap, log gap, target, decay or time scale.
    z0 : float or array
        By the start.
    scale : float or array
        By c.
    parameters : dict of str to float or array
        By each parameter of the gate, z0 being held.
    by_log : dict of str to float or array
        By the logarithm of each of these numbers that is above 0: the power of it that the time grows by, there.
    error : float or array
        By how much the quadrature here is off for tau itself, relatively.
    """

    log_tau: Any
    horizon: Any
    target: Any
    z0: Any
    scale: Any
    parameters: dict[str, Any]
    by_log: dict[str, Any]
    error: Any


def sensitivities(problem: LearningProblem, z0: Any) -> Sensitivities:
    """The derivatives of the learning time by all that it depends on.

    Parameters
    ----------
    problem : LearningProblem
        One problem, or many in arrays; with the absolute loss.
    z0 : float or array
        Where learning starts.

    Raises
    ------
    InvalidArgument
        Another loss, or z0 is not a finite number.

    Examples
    --------
    A scale twice as large halves the time: d log tau/dc = -1/c.

    >>> found = sensitivities(LearningProblem("fast", horizon=10, gap=0.01, scale=4.0), 0.0)
    >>> round(found.scale, 12), sorted(found.parameters)
    (-0.25, ['alpha'])
    """
    check_problem("sensitivities", problem)
    if problem.loss.name != "absolute":
        raise InvalidArgument("sensitivities are those of the absolute loss")
    z0 = positions(z0, "z0")
    shape = together(horizon=problem.horizon, target=problem.target.value, scale=problem.scale, z0=z0)
    batch = ProblemBatch.towards(problem, z0, shape)
    target = np.array(np.broadcast_to(np.asarray(problem.target.value, np.float64), shape)).reshape(-1)
    slopes = dict(_parameter_slopes(problem.gate))
    parts = [
        _chunk(batch.take(chosen), target[chosen], problem.target.way, slopes)
        for chosen in np.array_split(np.arange(target.size), max(1, -(-target.size // CHUNK)))
    ]
    rows = {name: np.concatenate([part[name] for part in parts]).reshape(shape)[()] for name in parts[0]}
    plain = {name: values.item() if np.ndim(values) == 0 else values for name, values in rows.items()}
    own = {name: plain.pop(f"by {name}") for name in slopes}
    numbers = {"horizon": problem.horizon, "target": problem.target.value, "scale": problem.scale}
    numbers |= {name: float(problem.gate.parameters[name]) for name in own}
    given = {name: np.asarray(number, np.float64) for name, number in numbers.items()}
    by_log = {name: value * {**plain, **own}[name] for name, value in given.items() if np.all(value > 0)}
    by_log = {name: value.item() if np.ndim(value) == 0 else value for name, value in by_log.items()}
    return Sensitivities(**plain, parameters=own, by_log=by_log)


def _chunk(batch: ProblemBatch, target: Array, way: str, slopes: dict[str, Tape]) -> dict[str, Array]:
    """The derivatives of some problems, in rows."""
    with np.errstate(all="ignore"):
        path = sampled_path(batch)
        middle, half = (path.z[:, 1:] + path.z[:, :-1]) / 2, (path.z[:, 1:] - path.z[:, :-1]) / 2
        z = (middle[:, :, None] + half[:, :, None] * X).reshape(middle.shape[0], -1)
        weight = np.exp(-batch.log_speed(z) - path.log_tau[:, None])
        weight = weight * (np.abs(half)[:, :, None] * W).reshape(z.shape)  # of the time spent there
        numbers, horizon = batch.float64, batch.horizon
        u, rest = numbers.u(z), 1 / horizon
        log_phi = -np.logaddexp(0.0, -u)
        per_end = batch.direction * np.exp(-batch.log_speed(batch.z_star) - path.log_tau)
        # how z* moves with log phi*: phi/phi' = 1/(u' sigma(-u))
        u_star = numbers.u(batch.z_star)
        per_log_phi = per_end * np.exp(np.logaddexp(0.0, u_star) - numbers.log_du(batch.z_star))
        moved = np.zeros(horizon.shape) if way == "timescale" else batch.target.h / horizon**2
        found = {
            "log_tau": path.log_tau,
            "horizon": -(rest + np.sum(weight * log_phi, axis=1)) + per_log_phi * moved,
            "target": -per_log_phi * RATES[way](target, batch.target.h, horizon),
            "z0": -batch.direction * np.exp(-batch.log_speed(batch.z0) - path.log_tau),
            "scale": -1 / batch.scale,
            "error": np.abs(np.sum(weight, axis=1) - 1),
        }
        below = np.exp(-np.logaddexp(0.0, u))
        for name, tape in slopes.items():
            by_u, by_log_du = (np.broadcast_to(part, z.shape) for part in tape(float64, z))
            log_v = (horizon[:, None] * below - (1 - below)) * by_u + by_log_du
            at_end = np.broadcast_to(tape(float64, batch.z_star)[0], u_star.shape)
            found[f"by {name}"] = -np.sum(weight * log_v, axis=1) - per_end * at_end / np.exp(
                numbers.log_du(batch.z_star)
            )
    there = path.arrives & np.isfinite(path.log_tau)
    return {name: np.where(there | (name == "log_tau"), values, np.nan) for name, values in found.items()}


def _parameter_slopes(gate: Gate) -> Iterator[tuple[str, Tape]]:
    """By parameter: u and log u' differentiated by it, in z, at its value."""
    for name, value in gate.parameters.items():
        if isinstance(value, str):
            continue
        kind = "positive" if float(value) > 0 else "real"
        opened = Gate(gate.text, parameters={**gate.parameters, name: kind})
        symbol = next((one for one in opened.expr.free_symbols if one.name == name), None)
        if symbol is None:
            continue
        u, du = opened.formulas.u, opened.formulas.du
        forms = (derivative(u, symbol), derivative(du, symbol) / du)
        yield name, Tape([stable(form.subs(symbol, sp.Rational(value))) for form in forms], [Z])
