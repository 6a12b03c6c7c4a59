"""What a loss is: smooth branches of the total decay ``h = -T log phi``, and the kinks between them.

In ``h`` the horizon and the gate drop out of the loss (theory.md §1): the cell keeps ``exp(-h)`` of its value, the
target keeps ``exp(-h*)``. A loss is written in these two; everything about the gate stays in
``dh/dz = -T (1 - phi) u'``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import sympy as sp

H = sp.Symbol("h", positive=True)
"""The total decay over the horizon, ``h = -T log phi``."""

H_STAR = sp.Symbol("h_star", nonnegative=True)
"""The total decay the target asks for, ``h* = -log lambda*``."""


TINY = float(np.finfo(np.float64).tiny)


class Decay:
    """Total decays held as ``h``, as ``log h``, or as both: each is computed from the other only when asked for.

    ``apart`` is ``log |h - h*|``, where it is known better than from the difference of the two.

    Examples
    --------
    >>> float(Decay(log=-2000.0).h), float(Decay(h=1.0).log)
    (0.0, 0.0)
    """

    def __init__(self, h: Any = None, log: Any = None, apart: Any = None) -> None:
        self.apart = apart
        if h is not None:
            self.h = h
        if log is not None:
            self.log = log

    def take(self, index: Any) -> Decay:
        """Some of the decays, both forms of them."""
        return Decay(self.h[index], self.log[index], None if self.apart is None else self.apart[index])

    @cached_property
    def h(self) -> Any:
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(self.log)

    @cached_property
    def log(self) -> Any:
        with np.errstate(divide="ignore"):
            return np.log(self.h)


@dataclass(frozen=True)
class Branch:
    """One smooth piece of a loss.

    Parameters
    ----------
    name : str
        "below" where the gate value is below its target (h > h*), "above" on the other side.
    expression : sympy.Expr
        The loss over its scale ``c``, in ``H`` and ``H_STAR``.
    reciprocal : sympy.Expr, optional
        1 over its slope, where a form of it is known that does not cancel.
    """

    name: str
    expression: sp.Expr
    reciprocal: sp.Expr | None = None

    @property
    def slope(self) -> sp.Expr:
        """d(expression)/dh."""
        return sp.diff(self.expression, H)

    @property
    def reciprocal_slope(self) -> sp.Expr:
        """1/slope."""
        return 1 / self.slope if self.reciprocal is None else self.reciprocal


class Loss(ABC):
    """A loss with its least value, 0, at ``h = h*``, growing with ``|h - h*|``; all numbers are per unit scale."""

    name: str
    arrives: ClassVar[bool]
    """Whether the flow reaches the least value in finite time (a kink there), or only approaches it (smooth there)."""

    def __eq__(self, other: object) -> bool:
        """Losses of one kind are equal; those with parameters are data classes, and compare them."""
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self).__qualname__)

    branches: tuple[Branch, ...]
    kinks: tuple[sp.Expr, ...]
    """Where branches meet, in ``H_STAR``."""

    @abstractmethod
    def value(self, decay: Decay, target: Decay) -> Any:
        """The loss, without cancellation near its least value."""

    @abstractmethod
    def log_slope(self, decay: Decay, target: Decay) -> Any:
        """``log |dL/dh|``, on the branch that holds ``decay``."""

    @abstractmethod
    def relative_curvature(self, decay: Decay, target: Decay) -> Any:
        """(d2L/dh2) / (dL/dh), on the branch that holds ``decay``."""


def log_distance(decay: Decay, target: Decay) -> Any:
    """``log |h - h*|``, from the logs, so that neither the difference of tiny numbers nor their size is lost.

    Examples
    --------
    >>> float(log_distance(Decay(log=-1000.0), Decay(log=-np.inf)))
    -1000.0
    """
    if decay.apart is not None:
        return decay.apart
    high, low = np.maximum(decay.log, target.log), np.minimum(decay.log, target.log)
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        return np.where(high == low, -np.inf, high + np.log(-np.expm1(low - high)))


def log_saturation(y: Any, log_y: Any) -> Any:
    """``log(1 - exp(-y))`` from y and its logarithm, so that y may underflow.

    Examples
    --------
    >>> float(log_saturation(0.0, -1000.0))
    -1000.0
    """
    with np.errstate(under="ignore", divide="ignore"):
        return np.where(y > TINY, np.log(-np.expm1(-y)), log_y)


def log_kept_apart(decay: Decay, target: Decay) -> Any:
    """``log |exp(-h) - exp(-h*)|`` without cancellation, where they overflow or are one float.

    Examples
    --------
    >>> float(log_kept_apart(Decay(log=-50.0), Decay(log=-np.inf)))
    -50.0
    """
    apart = log_distance(decay, target)
    with np.errstate(over="ignore", under="ignore"):
        return -np.minimum(decay.h, target.h) + log_saturation(np.exp(apart), apart)
