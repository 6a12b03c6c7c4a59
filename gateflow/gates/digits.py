"""How many digits double-double loses of a gate near saturation, against big floats."""

from __future__ import annotations

import numpy as np

from gateflow.arithmetic import doubledouble
from gateflow.gates.numbers import Numbers


def losses(truth: Numbers, plain: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """Sample points of growing ``|z|`` and the digits of the smaller of phi and 1 - phi that are lost at each.

    Parameters
    ----------
    truth, plain : Numbers
        The gate's numbers in big floats, and in double-double.
    """
    size = np.geomspace(0.5, 1e8, 50)
    z = np.sort(np.concatenate([-size, size]))
    lost = np.zeros(z.shape)
    exactly, nearly = truth.probabilities(truth.arithmetic.lift(z)), plain.probabilities(doubledouble.lift(z))
    for exact, other in zip(exactly, nearly, strict=True):
        near = truth.arithmetic.lift(doubledouble.round(other))
        right = truth.arithmetic.round(exact)
        error = truth.arithmetic.round(truth.arithmetic.abs(near / exact - truth.arithmetic.lift(1.0)))
        with np.errstate(all="ignore"):
            digits = np.log10(error / np.finfo(float).eps)
        held = (right >= np.finfo(float).tiny) & np.isfinite(right)
        lost = np.maximum(lost, np.where(held & (error > 1e-15), np.minimum(digits, 16.0), 0.0))
    order = np.argsort(np.abs(z), kind="stable")
    return z[order], lost[order]
