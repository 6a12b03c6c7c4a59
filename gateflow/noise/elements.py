"""Functions on an interval by polynomials on pieces of it: values at Gauss-Lobatto nodes, integrals, refinement.

Source: C. Canuto, M. Y. Hussaini, A. Quarteroni and T. A. Zang, *Spectral Methods: Fundamentals in Single Domains*
(2006), sections 2.2-2.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.polynomial import legendre

from gateflow.errors import GateflowError

DEGREE = 12

MOST = 6000
"""Pieces, past which a function is not resolved."""

Array = np.ndarray[Any, np.dtype[Any]]


def _lobatto(degree: int) -> tuple[Array, Array]:
    """Nodes and weights of Gauss-Lobatto quadrature on [-1, 1]: the ends, and the zeros of P'_N."""
    last = np.zeros(degree + 1)
    last[-1] = 1.0
    nodes = np.concatenate([[-1.0], np.sort(legendre.legroots(legendre.legder(last)).real), [1.0]])
    return nodes, 2 / (degree * (degree + 1) * legendre.legval(nodes, last) ** 2)


NODES, WEIGHTS = _lobatto(DEGREE)
_VALUES = legendre.legvander(NODES, DEGREE)
COEFFICIENTS = np.linalg.inv(_VALUES)
"""Values at the nodes to coefficients of Legendre polynomials."""

DERIVATIVE = np.stack([legendre.legval(NODES, legendre.legder(row)) for row in np.eye(DEGREE + 1)], 1) @ COEFFICIENTS
"""Values at the nodes to values of the derivative there, on [-1, 1]."""

INTEGRAL = (
    np.stack([legendre.legval(NODES, legendre.legint(row, lbnd=-1)) for row in np.eye(DEGREE + 1)], 1) @ COEFFICIENTS
)
"""Values at the nodes to integrals from -1 to each node."""

_BETWEEN = (NODES[1:] + NODES[:-1]) / 2
_AT_MIDDLES = legendre.legvander(_BETWEEN, DEGREE) @ COEFFICIENTS


FIRST = 16
"""Pieces between two edges, to begin with."""


HALVINGS = 80
"""Of a bracket, until it is two neighbouring floats."""


def bisected(is_below: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Where a rising function crosses a level between ``low`` and ``high``, elementwise, by bisection."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = is_below(middle)
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


class Unresolved(GateflowError):
    """A function changes too quickly, in too many places, to be followed to the accuracy asked for."""


@dataclass(frozen=True)
class Elements:
    """An interval in pieces, with ``DEGREE + 1`` nodes on each; neighbours share a node.

    Parameters
    ----------
    edges : array, shape (n + 1,)
        Where pieces meet, rising.

    Examples
    --------
    >>> parts = Elements(np.linspace(0.0, 3.0, 4))
    >>> float(parts.integral(np.exp(parts.nodes))[-1, -1] - np.expm1(3.0)) < 1e-12
    True
    """

    edges: Array

    @cached_property
    def half(self) -> Array:
        """Half the lengths of the pieces, shape (n,)."""
        return np.diff(self.edges) / 2

    @cached_property
    def nodes(self) -> Array:
        """Shape (n, DEGREE + 1)."""
        middle = (self.edges[1:] + self.edges[:-1]) / 2
        nodes = middle[:, None] + self.half[:, None] * NODES
        nodes[:, 0], nodes[:, -1] = self.edges[:-1], self.edges[1:]
        return nodes

    def integral(self, values: Array) -> Array:
        """From the left end of the interval to each node, of a function given at the nodes."""
        inside = self.half[:, None] * (values @ INTEGRAL.T)
        before = np.concatenate([[0.0], np.cumsum(inside[:-1, -1])])
        return before[:, None] + inside

    def at(self, x: Any, values: Array) -> Array:
        """A function given at the nodes, between them; outside the interval, its value at the end."""
        x = np.clip(np.asarray(x, dtype=float), self.edges[0], self.edges[-1])
        which = np.clip(np.searchsorted(self.edges, x, side="right") - 1, 0, self.half.size - 1)
        local = (x - self.edges[which]) / self.half[which] - 1
        coefficients = values @ COEFFICIENTS.T
        powers = legendre.legvander(local, DEGREE).reshape(*x.shape, DEGREE + 1)
        return np.einsum("...k,...k->...", powers, coefficients[which])


def resolved(
    function: Callable[[Array], Array],
    edges: Sequence[float] | Array,
    tolerance: float = 1e-11,
    most: int = MOST,
    least: float | Array = 1e-300,
) -> Elements:
    """Pieces on which a function is its interpolant, to ``tolerance`` of its largest size there, or of ``least``.

    It is held against the function between the nodes too. What is narrower than a four-hundredth of the distance
    between two edges may still pass unseen.

    Parameters
    ----------
    function : callable
        Of an array of positions; its values have the shape of that, or one more axis before it for several functions.
    edges : array
        The interval, and where the function is not smooth.
    least : float or array
        A size that counts, one for each function: where a function is smaller, digits of it are not looked at.

    Raises
    ------
    Unresolved
        More than ``most`` pieces would be needed.
    """
    given = np.unique(np.asarray(edges, dtype=float))
    waiting = np.unique(np.concatenate([np.linspace(*pair, FIRST + 1) for pair in pairwise(given)]))
    done: list[Array] = []
    low, high = waiting[:-1], waiting[1:]
    count = 0
    while low.size:
        fits = _fits(function, low, high, tolerance, least) | (
            high - low < 1e-13 * np.maximum(np.abs(low), np.abs(high))
        )
        done.append(low[fits])
        count += int(fits.sum())
        low, high = low[~fits], high[~fits]
        if count + 2 * low.size > most:
            raise Unresolved(
                f"drift and variance are not resolved to {tolerance:g} about z = {low[0]:g}: they change too quickly, "
                "or the law of the samples is too concentrated for its digits; take one that is less so, or values(...)"
            )
        middle = (low + high) / 2
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
    return Elements(np.append(np.sort(np.concatenate(done)), waiting[-1]))


def _fits(function: Callable[[Array], Array], low: Array, high: Array, tolerance: float, least: float | Array) -> Array:
    middle, half = (low + high) / 2, (high - low) / 2
    inner = half[:, None] * (1 - 1e-14)  # a jump at an edge belongs to one side of it
    known = function(middle[:, None] + inner * NODES)
    between = function(middle[:, None] + inner * _BETWEEN)
    size = np.max(np.abs(known), axis=-1)
    off = np.max(np.abs(known @ _AT_MIDDLES.T - between), axis=-1)
    tail = np.max(np.abs((known @ COEFFICIENTS.T)[..., -2:]), axis=-1)
    fits = np.maximum(off, tail) <= tolerance * np.maximum(size, np.asarray(least)[..., None])
    return fits if fits.ndim == 1 else fits.all(axis=0)
