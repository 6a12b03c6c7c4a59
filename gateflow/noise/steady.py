"""What gradient descent with normal gradients settles to, step by step: the law that a step leaves as it is.

About a target a step may be long beside the law, and a diffusion is then too narrow: to first order it lacks half the
variance of a step. With ``z -> z - eta L'(z) + eta s(z) xi`` the density solves ``p(z) = int n(z; y) p(y) dy``, n(.; y)
being the normal density of a step from y. It is solved at Gauss-Lobatto nodes on pieces of about two steps (Nystrom).

Source: R. Kress, *Linear Integral Equations* (2014), section 12.2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from gateflow.noise.diffusion import StationaryLaw
from gateflow.noise.elements import WEIGHTS, Array, Elements

DEPTH = 34.0
"""log of the largest density over that at the ends: exp(-34) is 2e-15."""

PIECE = 2.0
"""Deviations of a step in a piece: a normal density is its interpolant there to 1e-9."""

REACH = 8.5
"""Deviations of a step past which it does not lead, to 2e-17."""

MOST = 400
"""Pieces; a law that needs more is wide enough to be that of the diffusion."""


def settled(
    law: StationaryLaw, move: Callable[[Array], Array], deviation: Callable[[Array], Array], kinks: tuple[float, ...]
) -> StationaryLaw:
    """The law that steps leave as it is.

    Parameters
    ----------
    law : StationaryLaw
        That of the diffusion, for where to look.
    move, deviation : callable
        Of an array of positions: mean and deviation of the step from there.
    kinks : tuple of float
        Where these are not smooth.

    Examples
    --------
    ``z -> z/2 + xi`` settles to a normal law of the variance 4/3; the diffusion to one of 1.

    >>> from gateflow.noise.diffusion import Diffusion
    >>> flat = lambda z: np.ones_like(z)
    >>> law = Diffusion(lambda z: -z / 2, flat, -15.0, 15.0).stationary()
    >>> found = settled(law, lambda z: -z / 2, flat, ())
    >>> round(law.deviation**2, 9), round(found.deviation**2, 9)
    (1.0, 1.333333333)
    """
    parts = _pieces(law, deviation, kinks)
    if parts is None:
        return law
    z = parts.nodes
    inside = z.copy()  # a kink belongs to both pieces that meet there
    inside[:, 0] += 1e-12 * parts.half
    inside[:, -1] -= 1e-12 * parts.half
    z, inside, weight = z.ravel(), inside.ravel(), (parts.half[:, None] * WEIGHTS).ravel()
    mean, spread = inside + move(inside), deviation(inside)
    rows, columns, values = [], [], []
    for first in range(0, z.size, 256):
        away = (z[first : first + 256, None] - mean) / spread
        row, column = np.nonzero(np.abs(away) < REACH)
        rows.append(row + first)
        columns.append(column)
        values.append((np.exp(-(away**2) / 2) / spread * weight)[row, column] / np.sqrt(2 * np.pi))
    step = sparse.csc_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (z.size,) * 2)
    top = int(np.argmin(np.abs(z - law.mean)))
    rest = np.arange(z.size) != top  # the density there is 1, and one equation follows from the others
    density = np.ones(z.size)
    matrix = (sparse.identity(z.size, format="csc") - step)[rest][:, rest].tocsc()
    density[rest] = splu(matrix).solve(step[rest][:, [top]].toarray()[:, 0])
    density = density.reshape(parts.nodes.shape)
    cumulated = parts.integral(density)
    return StationaryLaw(parts, density / cumulated[-1, -1], cumulated / cumulated[-1, -1])


def _pieces(law: StationaryLaw, deviation: Callable[[Array], Array], kinks: tuple[float, ...]) -> Elements | None:
    """Pieces of about two steps, to where nothing is left of the law; None where they are too many."""
    with np.errstate(divide="ignore"):
        deep = np.log(law.density) > np.log(law.density.max()) - DEPTH
    z = law.elements.nodes[deep]
    low, high = float(z.min()), float(z.max())
    grid = np.linspace(low, high, 2001)
    steps = np.diff(grid) / deviation((grid[1:] + grid[:-1]) / 2)
    total = np.concatenate([[0.0], np.cumsum(steps)])
    count = int(np.ceil(total[-1] / PIECE))
    if not count <= MOST:
        return None
    edges = np.interp(np.linspace(0.0, total[-1], count + 1), total, grid)
    edges = np.concatenate([edges, [kink for kink in kinks if low < kink < high]])
    edges = np.unique(edges)
    return Elements(edges[np.append(True, np.diff(edges) > 1e-9 * (high - low))])
