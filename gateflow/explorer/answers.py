"""The numbers that follow a slider, in parts: curves and learning times first, then steps, then noise.

Between two parts, and between two gates within a part, None is yielded: whoever goes through them may leave off there.
All problems of a curve are one call of the bulk kernels. The kernel in C, which takes a moment to compile, is used for
a gate once it is there (`warm`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import Any

import numpy as np

from gateflow.descents.simulation import predict
from gateflow.descents.step_sizes import step_size
from gateflow.errors import Exceeded, GateflowError, InvalidArgument, NoCompiler
from gateflow.explorer.asked import Asked
from gateflow.explorer.lines import lines
from gateflow.flows.batch import ProblemBatch
from gateflow.flows.problem import LearningProblem
from gateflow.flows.time import finished, hitting_time, hitting_times
from gateflow.formula import unparse
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.guards import bounded
from gateflow.losses import Decay
from gateflow.noise import NoisyDescent, Samples
from gateflow.plots._style import STROKES, LineStyles
from gateflow.reports.mathml import formula
from gateflow.results.status import Status

SECONDS = 3.0
"""Seconds of the processor that one gate may take for one part."""
NOISY = 8.0
"""The same for noise, which comes last: a partial differential equation, two seconds on a processor of 2 GHz."""

GRID = np.linspace(-6.0, 6.0, 161)
"""Pre-activations at which a gate and its derivative are drawn."""

WAY = np.concatenate([1 - np.geomspace(1e-9, 0.1, 30), np.geomspace(0.88, 1e-9, 70), [0.0]])
"""Parts of the way in total decay that are still to go, at the points of a learning curve."""

SHARES = (0.1, 0.5, 0.9)
"""Shares of noisy runs whose steps are shown."""

DIGITS = 6
"""Significant digits of numbers that are only drawn."""

_compiled: set[str] = set()
"""Gates whose kernel in C is there."""

_begun: set[str] = set()
"""Gates whose kernel in C is there, or is being made."""


@lru_cache(maxsize=64)
def made(text: str) -> Gate:
    """The gate of a text, with a number for each of its parameters.

    Raises
    ------
    GateflowError
        In one line, with the place in the formula as a note.
    """
    found = bounded.call(lambda: as_gate(text), SECONDS, processor=True)
    if len(found.expr.free_symbols) > 1:
        raise InvalidArgument("the formula has an open parameter; give it a number, as in sigmoid(k*z); k=2")
    return found


def told(problem: Exception) -> dict[str, str]:
    """An error as the page shows it: one line, and the formula with a caret where the fault lies in one."""
    if isinstance(problem, GateflowError):
        return {"error": str(problem), "pointed": "\n".join(getattr(problem, "__notes__", ()))}
    return {"error": f"{type(problem).__name__}: {problem} (a fault of gateflow)"[:300], "pointed": ""}


def attempted(work: Callable[[], dict[str, Any]], seconds: float = SECONDS) -> dict[str, Any]:
    """What the work returns, or why it does not."""
    try:
        with np.errstate(all="ignore"):
            return bounded.call(work, seconds, processor=True)
    except Exception as problem:
        return told(problem)


def drawn(values: Any) -> list[float | None]:
    """Numbers for a curve: short, and None where there is no finite one."""
    return [float(f"{x:.{DIGITS}g}") if np.isfinite(x) else None for x in np.asarray(values, dtype=float)]


def answers(asked: Asked) -> Iterator[dict[str, Any] | None]:
    """The parts of an answer; None where it may be left off.

    Examples
    --------
    >>> parts = [part for part in answers(Asked(gates=("fast",))) if part]
    >>> [part["part"] for part in parts]
    ['picture', 'steps', 'own', 'done']
    >>> round(parts[0]["gates"][0]["flow"]["tau"], 1)
    4478.4
    """
    shown = []
    for text in asked.gates:
        shown.append(_picture(text, asked))
        yield None
    for one, stroke in zip(shown, strokes(asked.gates), strict=True):
        one["stroke"] = stroke
    yield {"part": "picture", "asked": vars(asked), "gates": shown, "lines": lines(asked, shown)}
    yield from _each("steps", _steps, shown, asked)
    yield from _each("own", _own, shown, asked)
    if asked.noise:
        yield from _each("noise", _noise, shown, asked, NOISY)
    yield {"part": "done"}


def _each(
    part: str,
    ask: Callable[[str, float, Asked], dict[str, Any]],
    shown: list[dict[str, Any]],
    asked: Asked,
    seconds: float = SECONDS,
) -> Iterator[dict[str, Any] | None]:
    """One part for all gates that have a flow."""
    found = []
    for one in shown:
        flow = one.get("flow", {})
        able = "z0" in flow
        work = partial(ask, one["gate"], flow.get("z0", 0.0), asked)
        found.append(attempted(work, seconds) if able else None)
        yield None
    yield {"part": part, "gates": found}


# --- a gate, and its flow ---------------------------------------------------------------------------------------------


def _picture(text: str, asked: Asked) -> dict[str, Any]:
    """The gate and its learning curve, or why there is none."""
    try:
        gate = made(text)
    except Exception as problem:
        return {"gate": text, **told(problem)}
    return {"gate": text, **_shape(text), "flow": attempted(lambda: _flow(text, gate, asked))}


@lru_cache(maxsize=64)
def _shape(text: str) -> dict[str, Any]:
    """A gate and its derivative, and its formula for a browser."""

    def ask() -> dict[str, Any]:
        gate = made(text)
        valued = gate.as_phi(unparse(gate.expr)) if gate.parameters else gate.text
        markup = str(formula(valued, left="φ(z) ="))
        return {"formula": gate.text, "markup": markup, "phi": drawn(gate.phi(GRID)), "dphi": drawn(gate.dphi(GRID))}

    return attempted(ask)


def _flow(text: str, gate: Gate, asked: Asked) -> dict[str, Any]:
    """The learning curve: short of the kink the flow does not know its target, so that each point is an arrival."""
    z0, problem = start_of(text, asked.start), problem_of(text, asked.horizon, asked.gap)
    aim = problem.target_decay
    to_go = -asked.horizon * _log_phi_at(text, z0) - float(aim.h)
    way = aim.h + to_go * WAY[:-1]
    ends = Decay(np.append(way, aim.h), np.append(np.log(way), aim.log))
    batch = ProblemBatch.broadcast(gate, problem.loss, problem.horizon, ends, problem.scale, z0)
    times = hitting_times(batch, backend="compiled" if text in _compiled else "numpy")
    found = finished(problem, z0, times.at(-1))
    loss = float(np.exp(-problem.h_star)) * np.abs(np.expm1(-to_go * WAY))
    log_tau = np.append(times.log_tau[:-1], found.log_tau)
    arrives = found.status is Status.REACHED
    return {
        "z0": z0,
        "z_star": _finite(problem.z_star),
        "loss_at_start": float(abs(to_go and -np.exp(-problem.h_star) * np.expm1(-to_go))),
        "log_tau": drawn(log_tau / np.log(10)),
        "log_loss": drawn(np.log10(np.maximum(loss, 1e-320))),
        "tau": _finite(found.tau) if arrives else None,
        "log10_tau": _finite(found.log_tau / np.log(10)) if arrives else None,
        "relative_error": _finite(found.error),
        "status": found.status.sentence,
    }


@lru_cache(maxsize=1024)
def start_of(text: str, value: float) -> float:
    """Where a gate has a value.

    Raises
    ------
    InvalidArgument
        Nowhere.
    """
    gate = made(text)
    z0 = float(gate.inverse(value) if value <= 0.5 else gate.inverse_c(1 - value))
    if not np.isfinite(z0):
        raise InvalidArgument(f"the gate is nowhere {value:g}: choose another start")
    return z0


@lru_cache(maxsize=64)
def problem_of(text: str, horizon: float, gap: float) -> LearningProblem:
    """The problem of a gate: one for all parts of an answer, as it keeps what it has found of its target."""
    return LearningProblem(made(text), horizon=horizon, gap=gap)


@lru_cache(maxsize=1024)
def _log_phi_at(text: str, z0: float) -> float:
    return float(made(text).log_phi(z0))


def warm(text: str) -> None:
    """Have the kernel in C made for a gate, for the questions that come next; nothing where there is no compiler."""
    if text in _begun:
        return
    _begun.add(text)
    try:
        hitting_time(LearningProblem(made(text), horizon=1.0, gap=0.1), 0.0, backend="compiled")
    except (NoCompiler, GateflowError):
        return
    _compiled.add(text)


# --- steps, and noise -------------------------------------------------------------------------------------------------


def _steps(text: str, z0: float, asked: Asked) -> dict[str, Any]:
    """Steps of the optimiser at the common step size, as predicted."""
    problem = problem_of(text, asked.horizon, asked.gap)
    found = predict(problem, z0, asked.optimizer, lr=asked.lr)
    return {"steps": _finite(found.steps), "holds": bool(found.valid)}


def _own(text: str, z0: float, asked: Asked) -> dict[str, Any]:
    """The largest step size of the gate's own, and the steps with it by the integral."""
    problem = problem_of(text, asked.horizon, asked.gap)
    found = step_size(problem, z0, optimizer=asked.optimizer, most=1)
    return {"lr": _finite(found.lr), "steps": _finite(found.by_integral)}


def _noise(text: str, z0: float, asked: Asked) -> dict[str, Any]:
    """Steps to arrive for shares of noisy runs, and the time constants to which they settle."""
    problem = problem_of(text, asked.horizon, asked.gap)
    samples = Samples(scale=f"normal(1, {asked.noise!r})")
    noisy = NoisyDescent(problem, samples, asked.lr, asked.optimizer)
    found: dict[str, Any] = {"shares": list(SHARES)}
    for name, ask in (("steps", lambda: noisy.steps(z0, SHARES)), ("timescale", lambda: noisy.spread(SHARES))):
        try:
            found[name] = [_finite(x) for x in ask()]
        except Exceeded:
            raise
        except GateflowError as why:
            found[name], found[f"no_{name}"] = None, str(why)
    return found


def _finite(x: Any) -> float | None:
    """A number, or None where it is infinite or none, for which JSON has no word."""
    return float(x) if np.isfinite(x) else None


def strokes(gates: Iterable[str]) -> list[dict[str, Any]]:
    """How the line of each gate is drawn: as in every figure with a legend, in the terms of SVG.

    Examples
    --------
    >>> strokes(["fast", "sigmoid"])[1]
    {'index': 1, 'colour': '#b5480a', 'dashes': '5 1.5'}
    """
    names = list(gates)
    styles = LineStyles(dict.fromkeys(names), legend=True)
    colours = [colour for colour, *_ in STROKES]
    return [
        {
            "index": colours.index(styles[name].colour),
            "colour": styles[name].colour,
            "dashes": "" if styles[name].dashes == "-" else " ".join(f"{x:g}" for x in styles[name].dashes[1]),
        }
        for name in names
    ]
