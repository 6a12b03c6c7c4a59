"""The functions gates are made of, in double-double: each in the form that loses nothing."""

from __future__ import annotations

import numpy as np

from gateflow.arithmetic import float64
from gateflow.arithmetic.doubledouble.errorfree import (
    DD,
    add,
    choose,
    div,
    divide,
    doubled,
    guarded,
    halved,
    magnitude,
    square,
)
from gateflow.arithmetic.doubledouble.exponential import exp_kernel, expm1_kernel, sinh_kernel
from gateflow.arithmetic.doubledouble.logarithm import log1p_kernel, log_of
from gateflow.arithmetic.doubledouble.tables import LN2, ONE


def _sigmoid(x: DD) -> DD:
    t = exp_kernel(-magnitude(x))
    return div(choose(x.hi < 0.0, t, ONE), add(ONE, t))


def _softplus(x: DD) -> DD:
    tail = log1p_kernel(exp_kernel(-magnitude(x)))
    return choose(x.hi > 0.0, add(x, tail), tail)


def _softsign(x: DD) -> DD:
    return divide(x, add(ONE, magnitude(x)))


def _logit(p: DD) -> DD:
    # log(p/(1 - p)); near p = 1/2 the quotient is 1 + (2 p - 1)/(1 - p).
    complement = add(ONE, -p)
    excess = add(doubled(p), -ONE)
    return log_of(div(p, complement), div(excess, complement))


def _log_cosh(x: DD) -> DD:
    # Near the double zero x = 0: (1/2) log1p(sinh(x)^2).
    r = magnitude(x)
    near = r.hi < 1.0
    s = square(sinh_kernel(choose(near, r, ONE)))
    y = log1p_kernel(choose(near, s, exp_kernel(-doubled(r))))
    return choose(near, halved(y), add(add(r, -LN2), y))


def _log1mexp(x: DD) -> DD:
    below = expm1_kernel(-x)
    return log_of(-below, -exp_kernel(-x))


abs = guarded(magnitude, np.abs)
sigmoid = guarded(_sigmoid, float64.sigmoid)
softplus = guarded(_softplus, float64.softplus)
softsign = guarded(_softsign, float64.softsign)
logit = guarded(_logit, float64.logit)
log_cosh = guarded(_log_cosh, float64.log_cosh)
log1mexp = guarded(_log1mexp, float64.log1mexp)
