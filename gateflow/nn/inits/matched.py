"""The same starting value f, and slope, for all units, whatever the gate (Ohno, Kanai and Ida, AAAI 2023, for f).

The slope is that of the logit profile, ``du/dz`` with ``u = log(phi/(1 - phi))``: 1 for the sigmoid everywhere. A gate
has one slope at each f; to have another it is rescaled, ``phi(k z)`` with ``k = slope/u'(phi^-1(f))``. That is a gate
like any other, with a formula of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
import torch

from gateflow import formula as language
from gateflow.errors import InvalidArgument
from gateflow.formula.vocabulary import Z
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as named_gate
from gateflow.nn.functional import gate_function
from gateflow.nn.initialiser import Initialiser, positive, sites, start_forget

DIGITS = 60
"""Decimal digits in which the slope is computed, before the factor is rounded once."""

AT_ONE = 0.7310585786300049
"""``1/(1 + exp(-1))``."""

NEARBY = 1e-25
"""How far to either side of f a kink is looked for, relative to z."""


@dataclass(frozen=True)
class Matched(Initialiser):
    """``b_f = phi^-1(f)``; by default f is where the sigmoid starts with ``b_f = 1``.

    Parameters
    ----------
    f : float
        The value at the start, in (0, 1).
    slope : float, optional
        du/dz at the start: the forget gate of the layer becomes its :func:`rescale` form. 0, the default, leaves the
        gate as it is.

    Examples
    --------
    >>> from gateflow.nn.cells.lstm import LSTM
    >>> layer = LSTM(2, 1, forget_gate="fast")
    >>> Matched()(layer)
    >>> print(f"{layer.bias_ih_l0[layer.rows('forget')].item():.6f}")
    0.881374
    >>> Matched(f=0.95, slope=1)(layer)
    >>> print(f"{layer.bias_ih_l0[layer.rows('forget')].item():.4f}", layer.forget_gate.gate.name)
    5.5996 sigmoid(sinh(z*k)); k=0.32158296152969756
    """

    f: float = AT_ONE
    slope: float = 0.0

    def __post_init__(self) -> None:
        _in_unit(self.f)
        if self.slope:
            positive(slope=self.slope)

    def gate(self, gate: str | Gate) -> Gate:
        """The gate that a layer with this one has after the call."""
        return rescale(gate, f=self.f, slope=self.slope) if self.slope else named_gate(gate)

    def start(self, cell: Any, generator: torch.Generator | None) -> None:
        places = list(sites(cell))
        if self.slope:
            name = f"{cell.forget_block}_gate"
            owner = getattr(cell, "gate_owner", cell)
            if not hasattr(owner, name):
                raise InvalidArgument(f"the gates of {type(owner).__name__} cannot be rescaled: leave out the slope")
            made = self.gate(cell.gates()[str(cell.forget_block)])
            _fits(made, self.f, next(cell.parameters()).dtype)
            setattr(owner, name, gate_function(made))
        for _, suffix in places:
            start_forget(cell, suffix, f=np.array(self.f))


def rescale(gate: str | Gate, *, f: float, slope: float) -> Gate:
    """The gate ``phi(k z)`` whose profile has the slope asked for where its value is f.

    Parameters
    ----------
    gate : str or Gate
        A name, a formula, or a gate; its parameters have values.
    f : float
        In (0, 1).
    slope : float
        du/dz there, above 0.

    Returns
    -------
    Gate
        Its ``name`` is a formula with the factor k to the last digit, which every command takes as a gate. The gate
        itself where k is 1.

    Raises
    ------
    InvalidArgument
        The gate has no such slope: it does not take the value f, is flat there, or has a kink.

    Examples
    --------
    >>> rescale("softsign", f=0.75, slope=1).name
    'softsign(z*k/2)/2 + 1/2; k=3.0'
    >>> rescale("cubic", f=0.5, slope=1)
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: cubic is flat where it is 0.5: no rescaling of z gives it a slope
    """
    made = named_gate(gate)
    factor = _factor(made, f, slope)
    if abs(factor - 1) < 4 * np.finfo(float).eps:
        return made
    taken = {symbol.name for symbol in made.expr.free_symbols} | {Z.name}
    letter = next(name for name in ("k", "k1", "k2") if name not in taken)
    inner = language.unparse(made.expr.subs(Z, sp.Symbol(letter, positive=True) * Z))
    text = f"{made.as_phi(inner)}; {letter}={factor!r}"
    return named_gate(text)._named(text)


def _factor(gate: Gate, f: float, slope: float) -> float:
    """k, correctly rounded unless it lies within 1e-40 of the middle between two floats."""
    _in_unit(f)
    positive(slope=slope)
    if len(gate.expr.free_symbols) > 1:
        raise InvalidArgument(f"{gate.name} has parameters without a value")
    gate.inverse(f)  # says why, where there is none
    numbers = gate.at(DIGITS)
    a = numbers.arithmetic
    with np.errstate(all="ignore"):
        z = numbers.inverse(a.lift(np.array(f)))
        slopes = [numbers.du(z + a.lift(np.array(step)) * (a.abs(z) + a.constant(1))) for step in (0, NEARBY, -NEARBY)]
        rounded = np.array([float(a.round(each)) for each in slopes])
        reached = float(a.round(numbers.phi(z)))
        factor = float(a.round(a.lift(np.array(float(slope))) / slopes[0]))
    if not abs(reached - f) <= 4 * np.finfo(float).eps * f:
        raise InvalidArgument(f"{gate.name} does not take the value {f:g}: it cannot start there")
    if not np.isfinite(rounded).all() or (rounded < 0).any():
        raise InvalidArgument(f"{gate.name} has no finite, rising slope where it is {f:g}")
    if rounded[0] == 0:
        raise InvalidArgument(f"{gate.name} is flat where it is {f:g}: no rescaling of z gives it a slope")
    if abs(rounded[1] - rounded[2]) > 1e-6 * rounded[0]:
        raise InvalidArgument(f"{gate.name} has a kink where it is {f:g}, and two slopes there")
    if not np.finfo(float).tiny <= factor <= np.finfo(float).max:
        raise InvalidArgument(f"{gate.name} would have to be rescaled by {factor:g}, which is no usable float")
    return factor


def _fits(gate: Gate, f: float, dtype: torch.dtype) -> None:
    """Refuse a start that the type of the weights cannot hold."""
    z, limits = abs(float(gate.inverse(f))), torch.finfo(dtype)
    if z and not limits.tiny <= z <= limits.max:
        raise InvalidArgument(f"{gate.name} is {f:g} at z = {z:.3g}, which is no {str(dtype).removeprefix('torch.')}")


def _in_unit(f: float) -> None:
    if isinstance(f, bool) or not isinstance(f, (int, float)) or not 0 < f < 1:
        raise InvalidArgument(f"f must lie in (0, 1); got {f}")


INIT = Matched
