"""PyTorch arithmetic: the interface of `gateflow.arithmetic` on tensors of one type and device.

A gate's tape runs over it as over the others, so a formula is written once for all. Nothing here is meant to be
differentiated by autograd: derivatives are formulas of their own (`gateflow.nn.functional`).
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gateflow.arithmetic import composites, float64

SHIFT = 12
"""How far the recurrence takes the argument of trigamma before its asymptotic series is used."""

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
"""Bernoulli numbers B_2 to B_16."""


class TorchArithmetic(composites.Composing):
    """Arithmetic on tensors of one floating type, on one device.

    Parameters
    ----------
    dtype : torch.dtype
        The working precision, ``torch.float64`` or ``torch.float32``.
    device : torch.device or str

    Examples
    --------
    >>> a = TorchArithmetic(torch.float64)
    >>> a.sigmoid(a.lift([-700.0, 0.0]))
    tensor([9.8597e-305,  5.0000e-01], dtype=torch.float64)
    """

    exp = staticmethod(torch.exp)
    expm1 = staticmethod(torch.expm1)
    log = staticmethod(torch.log)
    log1p = staticmethod(torch.log1p)
    sqrt = staticmethod(torch.sqrt)
    sin = staticmethod(torch.sin)
    cos = staticmethod(torch.cos)
    tan = staticmethod(torch.tan)
    sinh = staticmethod(torch.sinh)
    cosh = staticmethod(torch.cosh)
    tanh = staticmethod(torch.tanh)
    asinh = staticmethod(torch.asinh)
    acosh = staticmethod(torch.acosh)
    atanh = staticmethod(torch.atanh)
    atan = staticmethod(torch.atan)
    abs = staticmethod(torch.abs)
    erf = staticmethod(torch.erf)
    erfcx = staticmethod(torch.special.erfcx)
    sigmoid = staticmethod(torch.sigmoid)
    maximum = staticmethod(lambda x, y: torch.clamp(x, min=y))
    minimum = staticmethod(lambda x, y: torch.clamp(x, max=y))
    isfinite = staticmethod(torch.isfinite)
    where = staticmethod(torch.where)
    digamma = staticmethod(torch.special.digamma)
    less = staticmethod(operator.lt)
    less_equal = staticmethod(operator.le)

    def __init__(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> None:
        self.dtype, self.device = dtype, torch.device(device)
        self.name = f"torch-{str(dtype).removeprefix('torch.')}"
        self._constants: dict[Any, Tensor] = {}

    def lift(self, x: Any) -> Tensor:
        """The numbers of this arithmetic with the values ``x``."""
        return torch.as_tensor(x, dtype=self.dtype, device=self.device)

    def constant(self, c: Any) -> Tensor:
        """A real constant, rounded once to the working precision."""
        if c not in self._constants:
            self._constants[c] = self.lift(float(float64.constant(c)))
        return self._constants[c]

    def round(self, x: Tensor) -> np.ndarray:
        """The numbers as float64 of NumPy."""
        return x.detach().to("cpu", torch.float64).numpy()

    @staticmethod
    def sign(x: Tensor) -> Tensor:
        """The sign; nan for nan, where torch says 0."""
        return torch.where(torch.isnan(x), x, torch.sign(x))

    def acot(self, x: Tensor) -> Tensor:
        """The inverse cotangent with values in (0, pi): one call where the composite takes two."""
        return torch.atan2(torch.ones_like(x), x)

    def loggamma(self, x: Tensor) -> Tensor:
        """``log|Gamma(x)|``."""
        return composites.loggamma(self, torch.lgamma, x)

    def trigamma(self, x: Tensor) -> Tensor:
        """The second derivative of log Gamma (DLMF 5.15); torch's own has ten digits."""
        left = x < 0.5
        y = torch.where(left, 1.0 - x, x)
        shifted = y + SHIFT
        series = torch.zeros_like(y)
        for coefficient in reversed(BERNOULLI):
            series = (series + coefficient) / (shifted * shifted)
        total = (1.0 + 0.5 / shifted + series) / shifted
        for k in reversed(range(SHIFT)):
            total = total + 1.0 / ((y + k) * (y + k))
        sine = torch.sin(math.pi * (x - torch.round(x)))
        return torch.where(left, (math.pi / sine) ** 2 - total, total)

    @staticmethod
    def integer_power(x: Tensor, n: int) -> Tensor:
        """``x**n`` for an integer n of either sign."""
        return torch.pow(x, n)

    def power(self, x: Tensor, y: Tensor) -> Tensor:
        """``x**y`` for x >= 0, with ``x**0 = 1``; nan for x < 0."""
        wrong = (x < 0.0) | torch.isnan(x) | torch.isnan(y)
        return torch.where(wrong, self.lift(math.nan), torch.pow(x.abs(), y))
