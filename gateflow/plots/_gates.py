"""Figures that can show any gates, and what several of them compute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from gateflow.errors import GateflowError, InvalidArgument
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.plots._figure import Figure
from gateflow.plots._style import DEFAULT_GATES, STROKES, LineStyles
from gateflow.plots._table import FigureTable

Gates: TypeAlias = Mapping[str, Gate | str] | Iterable[Gate | str]
"""Gates by name, formula or object; a mapping says what to call each."""


def named(gates: Gates) -> dict[str, Gate]:
    """The gates by what a figure calls them.

    Raises
    ------
    InvalidArgument
        None is given, more than lines can be told apart, one has an open parameter, or two are called alike.

    Examples
    --------
    >>> list(named(["fast", "sigmoid(z + z**3)"]))
    ['fast', 'sigmoid(z + z**3)']
    """
    given: Any = gates.items() if isinstance(gates, Mapping) else [(_name(one), one) for one in _several(gates)]
    found: dict[str, Gate] = {}
    for name, one in given:
        if name in found:
            raise InvalidArgument(f"two of the gates are called {name}; name each gate once")
        found[name] = as_gate(one)
        if len(found[name].expr.free_symbols) > 1:
            raise InvalidArgument(f"{name} has an open parameter: a figure needs a number for it")
    if not 1 <= len(found) <= len(STROKES):
        raise InvalidArgument(f"a figure shows one to {len(STROKES)} gates; got {len(found)}")
    return found


def _several(gates: Iterable[Gate | str]) -> list[Gate | str]:
    return [gates] if isinstance(gates, (str, Gate)) else list(gates)


def _name(one: Gate | str) -> str:
    return one.strip() if isinstance(one, str) else one.label


def figure_of_gates(
    rows: Callable[[Gate], Iterable[Mapping[str, Any]]],
    draw: Callable[[Any, FigureTable, LineStyles], None],
    meaning: Mapping[str, str],
    parameters: Mapping[str, Any] | None = None,
    *,
    gates: tuple[str, ...] = DEFAULT_GATES,
    **options: Any,
) -> Figure:
    """A figure that can show any gates.

    Parameters
    ----------
    rows : callable
        The blocks of rows of a gate, by column.
    draw : callable
        ``draw(axes, table, styles)``, with the style of each gate.
    meaning : mapping of str to str
        What each column holds.
    parameters : mapping, optional
        What is held fixed.
    gates : tuple of str
        Those it shows if no others are asked for.
    **options
        Of :class:`Figure`.
    """

    def compute(shown: Gates = gates) -> FigureTable:
        """A gate without such numbers is left out, with the reason among the parameters, unless all are."""
        blocks: list[Mapping[str, Any]] = []
        left_out: dict[str, str] = {}
        for name, one in named(shown).items():
            try:
                blocks += [{"gate": name, **block} for block in rows(one)]
            except GateflowError as why:
                left_out[name] = str(why)
        if not blocks:
            name, why = next(iter(left_out.items()))
            raise InvalidArgument(f"there is nothing to draw of {name}: {why}")
        fixed = {**(parameters or {}), **({"left_out": left_out} if left_out else {})}
        return FigureTable.of(blocks, {"gate": "name of the gate", **meaning}, **fixed)

    return Figure(compute, draw, gates=gates, **options)


def z_at(gate: Gate, time_constant: Any) -> np.ndarray:
    """The pre-activations at which a cell has these time constants, in steps: where phi is ``exp(-1/time_constant)``.

    Examples
    --------
    >>> z_at(as_gate("sigmoid"), np.array([1.0, 1e20]))
    array([-0.54132485, 46.05170186])
    """
    return gate.float64.z_of_u(-np.log(np.expm1(1 / time_constant)))


def at(grid: np.ndarray, value: float, numbers: np.ndarray) -> str:
    """The number where the falling grid is ``value``, between its neighbours in logarithms, in words."""
    with np.errstate(divide="ignore"):
        found = np.exp(np.interp(-np.log(value), -np.log(grid), np.log(numbers)))
    return f"{found:.3g}" if np.isfinite(found) else "not shown"
