"""A gate's parameter fitted to a purpose: by default the fewest steps at a step size of its own over time scales."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from gateflow.descents.optimizers import Optimizer
from gateflow.descents.recommendation import edge_of_plateau
from gateflow.descents.step_sizes import TOLERANCE, step_size
from gateflow.errors import InvalidArgument
from gateflow.flows.problem import LearningProblem
from gateflow.formula import open_names
from gateflow.gates.gate import GATES, Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.guards.arguments import ABOVE_0, number, reals
from gateflow.guards.calls import call
from gateflow.notebook import cards
from gateflow.results.tabulated import Tabulated

GRID = 25
"""Values of the parameter that are tried first."""

CLOSE = 1e-8
"""Relative error of the parameter that is found."""

SAME = 1e-9
"""Objectives this near, in shares of their size, differ by rounding."""


@dataclass(frozen=True)
class Steps:
    """A purpose: few steps at a step size of the gate's own, for all of these time scales alike.

    Parameters
    ----------
    timescales : tuple of float
        The time constants wanted; T is as many.
    starts : tuple of float, optional
        The time constants to start from: one for each, or one for all. By default the edges of the plateaus.
    tolerance : float
        Relative error of a time scale that counts as arrived.
    optimizer : str or Optimizer
    """

    timescales: tuple[float, ...]
    starts: tuple[float, ...] | None = None
    tolerance: float = TOLERANCE
    optimizer: str | Optimizer = "sgd"

    def __post_init__(self) -> None:
        object.__setattr__(self, "timescales", _constants("timescales", self.timescales))
        if self.starts is not None:
            object.__setattr__(self, "starts", _constants("starts", self.starts))
            if len(self.starts) not in (1, len(self.timescales)):
                raise InvalidArgument(
                    f"starts must be one, or one for each of the {len(self.timescales)} timescales; "
                    f"got {len(self.starts)}"
                )

    @property
    def begins(self) -> tuple[float, ...]:
        """The time constant that each time scale starts from."""
        if self.starts is None:
            return tuple(float(edge_of_plateau(scale, scale)) for scale in self.timescales)
        return self.starts * len(self.timescales) if len(self.starts) == 1 else self.starts

    def __call__(self, gate: Gate) -> float:
        """The mean logarithm of the steps, by the integral of theory.md §6, T8."""
        scales = np.array(self.timescales)
        z0 = gate.inverse(np.exp(-1 / np.array(self.begins)))
        problem = LearningProblem(gate, horizon=scales, timescale=scales)
        found = step_size(problem, z0, self.tolerance, self.optimizer, most=1)
        return float(np.mean(found.log_by_integral))


COLUMNS = {
    "gate": "gate.name",
    **{name: name for name in ("parameter", "value", "least", "at_bound", "flat", "evaluations")},
}
"""Columns of a fit as a table."""


@dataclass(frozen=True)
class Fit(Tabulated, columns=COLUMNS, plots=("value", ["least"])):
    """A gate with the parameter that suits a purpose best.

    Parameters
    ----------
    gate : Gate
    parameter : str
        Its name.
    value : float
    least : float
        The objective there.
    at_bound : bool
        Whether it lies at an end of the range: beyond it the purpose may be served better still.
    flat : bool
        Whether the objective is the same over the whole range, up to rounding: the parameter makes no difference.
    evaluations : int
        Gates that were tried.
    """

    gate: Gate
    parameter: str
    value: float
    least: float
    at_bound: bool
    flat: bool
    evaluations: int

    @property
    def where(self) -> str:
        """Where the value lies, in words."""
        if self.flat:
            return "as good as any other in the range"
        return "at an end of the range" if self.at_bound else "inside the range"

    def _repr_html_(self) -> str:
        about = [(self.parameter, f"{cards.number(self.value)}, {self.where}"), ("objective", cards.number(self.least))]
        return cards.framed(f"A fit of {self.gate.name}", cards.facts(about))


def fit(text: str, objective: Callable[[Gate], float], *, within: tuple[float, float] = (0.1, 10.0)) -> Fit:
    """Find the value of a gate's one open parameter for which an objective is least.

    Parameters
    ----------
    text : str
        A gate of the catalogue with the name of its parameter, ``"fast(alpha)"``, or a formula with one open parameter,
        ``"sigmoid(k*z)"``.
    objective : callable
        From a gate to a number, such as :class:`Steps`; values that are not finite count as worst.
    within : pair of float
        The range of the parameter; on a logarithmic scale where both ends are above 0.

    Raises
    ------
    InvalidArgument
        There is not exactly one open parameter, the range is empty, or the objective is finite nowhere on it.

    Examples
    --------
    From below the fewest steps at step sizes of their own are those of the gate that saturates slowest (T8).

    >>> from gateflow.descents import Steps
    >>> found = fit("fast(alpha)", Steps((100.0, 1000.0)), within=(0.25, 4.0))
    >>> found.value, found.at_bound
    (0.25, True)
    """
    if not callable(objective):
        raise InvalidArgument("objective must be a function from a gate to a number, such as Steps((100, 1000))")
    if not isinstance(text, str):
        raise InvalidArgument(f"fit takes a gate as a text, such as 'fast(alpha)'; got {type(text).__name__}")
    make, parameter = _family(text)
    low, high = _range(within)
    forth, back = (np.log, np.exp) if low > 0 else (lambda x: x, lambda x: x)
    values: dict[float, float] = {}

    def worth(value: float) -> float:
        if value not in values:
            found = reals("the objective", objective(make(value)))
            if found.ndim:
                raise InvalidArgument(f"the objective must be one number; got an array of shape {found.shape}")
            values[value] = float(found) if np.isfinite(found) else np.inf
        return values[value]

    def value_at(x: float) -> float:
        return min(max(float(back(x)), low), high)

    grid = np.linspace(forth(low), forth(high), GRID)
    worths = np.array([worth(value) for value in (low, *map(value_at, grid[1:-1]), high)])
    if not np.isfinite(worths).any():
        raise InvalidArgument(f"the objective is finite nowhere for {parameter} from {low:g} to {high:g}")
    best = int(np.argmin(worths))
    at_bound = best in (0, GRID - 1)
    flat = bool(np.isfinite(worths).all() and np.ptp(worths) <= SAME * max(1, abs(worths[best])))
    if not (at_bound or flat):
        bracket, close = (grid[best - 1], grid[best + 1]), CLOSE * max(1, abs(grid[best]))
        minimize_scalar(lambda x: worth(value_at(x)), bounds=bracket, method="bounded", options={"xatol": close})
    value = min(values, key=lambda tried: values[tried])
    return Fit(make(value), parameter, value, values[value], at_bound, flat, len(values))


def _constants(name: str, given: Any) -> tuple[float, ...]:
    found = np.atleast_1d(number(name, given, *ABOVE_0))
    if found.ndim != 1 or not found.size:
        raise InvalidArgument(f"{name} must be one time constant or more, in a row")
    return tuple(found.tolist())


def _range(within: Any) -> tuple[float, float]:
    ends = np.atleast_1d(number("within", within, np.isfinite, "two finite numbers"))
    if ends.shape != (2,) or not ends[0] < ends[1]:
        raise InvalidArgument("within must be two numbers, the lower first")
    return float(ends[0]), float(ends[1])


def _family(text: str) -> tuple[Callable[[float], Gate], str]:
    """The gates of a parameter, and its name."""
    head, given = call(text) or (text.strip(), [])
    if head in GATES:
        known = list(inspect.signature(GATES[head]).parameters)
        name = given[0].text if len(given) == 1 and given[0].name is None else ""
        if name.isidentifier() and name != "z":
            if name not in known:
                raise InvalidArgument(f"gate {head!r} has no parameter {name}; it has {', '.join(known) or 'none'}")
            return (lambda value: as_gate(head, **{name: value})), name
        if all(each.name in known or _is_number(each.text) for each in given):
            such = f", such as '{head}({known[0]})'" if known else ""
            raise InvalidArgument(f"fit takes a gate with one open parameter{such}; {text.strip()} has none")
    names = open_names(text)
    if len(names) != 1:
        if not names:
            Gate(text)  # what is no formula is refused as such
        said = " and ".join(names) or "none"
        raise InvalidArgument(f"fit takes a gate with one open parameter; {text.strip()} has {said}")
    return (lambda value: Gate(text, parameters={names[0]: value})), names[0]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
