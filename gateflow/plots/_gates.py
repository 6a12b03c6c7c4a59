"""Tables of any gates: what a figure computes of each, and the law that theory proves of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from gateflow.errors import GateflowError, InvalidArgument
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.plots._style import STROKES
from gateflow.plots._table import Table

Gates: TypeAlias = Mapping[str, Gate | str] | Iterable[Gate | str]
"""Gates by name, formula or object; a mapping says what to call each."""

DIGITS = 30
"""Of big floats in which laws are evaluated."""


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
    from gateflow.gates.card import label

    return one.strip() if isinstance(one, str) else label(one)


Block: TypeAlias = Mapping[str, Any]


def table_of_gates(
    gates: Gates, blocks: Callable[[str, Gate], Iterable[Block]], meaning: Mapping[str, str], **parameters: Any
) -> Table:
    """The blocks of rows of each gate; a gate without such numbers is left out, with the reason among the parameters.

    Raises
    ------
    InvalidArgument
        No gate has them; the reason is that of the first.
    """
    rows: list[Block] = []
    left_out: dict[str, str] = {}
    for name, one in named(gates).items():
        try:
            rows += blocks(name, one)
        except GateflowError as why:
            left_out[name] = str(why)
    if not rows:
        name, why = next(iter(left_out.items()))
        raise InvalidArgument(f"there is nothing to draw of {name}: {why}")
    return Table.of(rows, meaning, **parameters, **({"left_out": left_out} if left_out else {}))


def log_law(gate: Gate, log_tau: Any, *, horizon: float = 1.0) -> np.ndarray:
    """The logarithm of ``T l(tau)``, the leading order of the loss to ``lambda* = 1`` for large tau and c = 1.

    In big floats, for log tau may be a hundred million. All nan where no law was proved in its time.

    Parameters
    ----------
    gate : Gate
    log_tau : array
        Logarithms of learning times.
    horizon : float
        T, in steps.

    Examples
    --------
    >>> log_law(as_gate("sigmoid"), np.array([2.0, 1e8]))
    array([-2.e+00, -1.e+08])
    """
    from gateflow.arithmetic.bigfloat import BigFloat
    from gateflow.asymptotics.constants import Undecided
    from gateflow.asymptotics.rate import TAU, C, T, rate
    from gateflow.codegen.tape import Tape

    log_tau = np.asarray(log_tau, dtype=float)
    try:
        law = rate(gate).expr
    except (GateflowError, Undecided):
        law = None
    if law is None:
        return np.full(log_tau.shape, np.nan)
    big = BigFloat(DIGITS)
    late = log_tau > 0  # logarithms of tau stand in most laws, which hold for large tau
    tape = Tape([law.subs({C: 1, T: horizon})], [TAU])
    (distance,) = tape(big, big.exp(big.lift(np.where(late, log_tau, 1.0))))
    found = np.asarray(big.round(big.log(distance))) + np.log(horizon)
    return np.where(late & np.isfinite(found), found, np.nan)


def at(grid: np.ndarray, value: float, numbers: np.ndarray) -> str:
    """The number where the falling grid is ``value``, between its neighbours in logarithms, in words."""
    with np.errstate(divide="ignore"):
        found = np.exp(np.interp(-np.log(value), -np.log(grid), np.log(numbers)))
    return f"{found:.3g}" if np.isfinite(found) else "not shown"
