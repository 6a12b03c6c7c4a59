"""What a sweep can compute: one file a quantity, each declaring ``QUANTITY``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateflow.registry import Registry

QUANTITIES = Registry("quantity", "gateflow.sweeps.quantities", "QUANTITY")
"""Every quantity, and those of other installed packages."""


@dataclass(frozen=True)
class Variable:
    """One number a problem: how it is kept, and its netCDF attributes."""

    dtype: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Quantity:
    """Numbers of learning problems.

    Parameters
    ----------
    title : str
        What it is.
    variables : mapping of str to Variable
        What it yields.
    values : callable
        ``values(gate, z0=..., horizon=..., gap=..., scale=...)`` for arrays of equal length; the target in the way
        given. Returns one array a variable; the same bits for the same arrays, in any process.
    """

    title: str
    variables: Mapping[str, Variable]
    values: Callable[..., Mapping[str, Any]]
