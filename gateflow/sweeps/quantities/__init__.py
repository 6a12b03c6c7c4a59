"""What a sweep can compute: one file a quantity, each declaring ``QUANTITY``.

A quantity says along which inputs it can be swept, in the order of the dimensions, and what it yields. A new one is one
file of this folder, or of another package by an entry point in the group ``gateflow.sweeps.quantities``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gateflow.flows.problem import LearningProblem, positions
from gateflow.gates.gate import GATES, Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.losses import loss as named
from gateflow.registry import Registry

QUANTITIES = Registry("quantity", "gateflow.sweeps.quantities", "QUANTITY")
"""Every quantity, and those of other installed packages."""


@dataclass(frozen=True)
class Variable:
    """One number a problem: how it is kept, and its netCDF attributes."""

    dtype: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Input:
    """Something besides the gate along which a quantity can be swept.

    Parameters
    ----------
    attributes : mapping
        Of its coordinate: ``long_name`` and ``units``.
    default : axis, optional
        Taken where it is not given; with None it is then no input at all.
    needed : bool
        Whether it must be given.
    text : bool
        Whether its values are texts and not numbers.
    """

    attributes: Mapping[str, Any]
    default: Any = None
    needed: bool = False
    text: bool = False


def accept(gate: Gate, columns: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """No check."""


@dataclass(frozen=True)
class Quantity:
    """Numbers of gates under conditions.

    Parameters
    ----------
    title : str
        What it is.
    variables : mapping of str to Variable
        What it yields.
    values : callable
        ``values(gate, z0=..., horizon=..., gap=...)`` for arrays of equal length, each input in the way given, and the
        settings as they are. Returns one array a variable; the same bits for the same arrays, in any process.
    inputs : mapping of str to Input
        Along what it is swept.
    settings : mapping of str to object
        Further keywords, the same for all problems, each with a word on what it is.
    check : callable
        ``check(gate, columns, settings)`` complains before the work of inputs that do not fit; ``columns`` broadcast.
    chunk : int
        Problems computed together, by default: what a kill can cost.
    tried : bool
        Whether one problem of each gate is computed before the rest, so that mistakes are reported at once.
    packages : tuple of str
        Whose versions can change a number, besides gateflow's and Python's.
    """

    title: str
    variables: Mapping[str, Variable]
    values: Callable[..., Mapping[str, Any]]
    inputs: Mapping[str, Input]
    settings: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[Gate, Mapping[str, Any], Mapping[str, Any]], None] = accept
    chunk: int = 4096
    tried: bool = True
    packages: tuple[str, ...] = ("numpy", "scipy", "sympy", "mpmath")


def flags(words: list[str]) -> dict[str, Any]:
    """The netCDF attributes of numbers 0, 1, ... that stand for words; a blank inside one is written as ``_``.

    Examples
    --------
    >>> flags(["reached", "time limit"])["flag_meanings"]
    'reached time_limit'
    """
    meanings = " ".join(word.replace(" ", "_") for word in words)
    return {"flag_values": np.arange(len(words), dtype=np.int8), "flag_meanings": meanings}


def text_of(gate: Gate) -> str:
    """A gate by its name, where that is one of the catalogue and says it all, else as a formula.

    Examples
    --------
    >>> text_of(as_gate("fast")), text_of(as_gate("sigmoid(2*z)"))
    ('fast', 'sigmoid(2*z)')
    """
    named_so = gate.name in GATES and as_gate(gate.name).spelled == gate.spelled
    return gate.name if named_so else gate.spelled


# --- learning problems ------------------------------------------------------------------------------------------------

HORIZON = {"long_name": "horizon T: the steps over which the cell decays", "units": "steps"}

PROBLEM = {
    "horizon": Input(HORIZON, needed=True),
    "target": Input({"long_name": "target lambda*: what the cell is to keep over the horizon", "units": "1"}),
    "gap": Input({"long_name": "gap to the target 1 - lambda*: what may be lost over the horizon", "units": "1"}),
    "log_gap": Input({"long_name": "natural logarithm of the gap to the target 1 - lambda*", "units": "1"}),
    "decay": Input({"long_name": "total decay of the target h* = -log lambda*", "units": "1"}),
    "timescale": Input({"long_name": "time constant of the target -1/log phi", "units": "steps"}),
    "z0": Input({"long_name": "pre-activation z at learning time 0", "units": "1"}, 0.0),
    "scale": Input({"long_name": "scale c of the loss", "units": "1"}, 1.0),
}
"""The inputs of a learning problem, its target in one way, and where it starts."""


def check_problem(gate: Gate, columns: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Complain of what is no learning problem, or where phi leaves (0, 1) or falls."""
    if (loss := settings.get("loss")) is not None:
        named(loss)
    positions(columns["z0"], "z0")
    LearningProblem(gate, **{name: columns[name] for name in columns if name in PROBLEM and name != "z0"})
    gate.inverse(gate.phi(0.0))
