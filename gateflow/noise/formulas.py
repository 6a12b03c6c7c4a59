"""Closed forms of noise to first order in the step size, as formulas and as numbers (theory.md section 6).

With a random target the kink of the mean loss is smoothed: about the median the law is normal. With a random scale the
kink stays, and the law about it is Laplace's; and on the way a step is as random as it is long, so that the time of
arrival is inverse Gaussian.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp
from scipy import stats

from gateflow.descents.optimizers import OPTIMIZERS
from gateflow.errors import InvalidArgument
from gateflow.flows.time import hitting_time
from gateflow.noise.descent import NoisyDescent

ETA, BETA, B, C, F, G, R, N = sp.symbols("eta beta B c d g r N", positive=True)

MEANING = {
    ETA: "step size",
    BETA: "decay rate of momentum",
    B: "samples of a batch",
    C: "scale of the loss, or its mean",
    F: "density of the targets at their median",
    G: "slope of phi^T in z at the target",
    R: "deviation of the scale over its mean",
    N: "steps without noise",
}
"""What the symbols mean."""

SETTLES = {
    ("target", "sgd"): sp.sqrt(ETA * C / (4 * B * F)),
    ("target", "momentum"): sp.sqrt(ETA * C / (4 * (1 - BETA) * B * F)),
    ("target", "normalised"): sp.sqrt(ETA / (4 * sp.sqrt(B) * F * G)),
    ("scale", "sgd"): ETA * C * G * R**2 / (sp.sqrt(2) * B),
    ("scale", "momentum"): ETA * C * G * R**2 / (sp.sqrt(2) * (1 - BETA) * B),
}
"""Deviation of z about the target, by what varies and by the optimiser."""

ARRIVES = R * sp.sqrt(N / B)
"""Deviation of the steps to arrive, for gradient descent and a random scale: of an inverse Gaussian law of mean N."""


@dataclass(frozen=True)
class Formula:
    """A closed form, and its number.

    Attributes
    ----------
    what : str
        The number it is.
    law : str
        Of what law.
    expr : SymPy expression
    given : mapping of symbol to float
        What its symbols are; :data:`MEANING` says what they mean.
    """

    what: str
    law: str
    expr: Any
    given: Mapping[Any, float] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The number."""
        return float(self.expr.subs(dict(self.given)))

    def __str__(self) -> str:
        numbers = ", ".join(f"{symbol} = {self.given[symbol]:.5g}" for symbol in sorted(self.given, key=str))
        return f"{self.expr} = {self.value:.5g}, {self.law}, to first order ({numbers})"


def settles(noisy: NoisyDescent) -> Formula:
    """The deviation of z about the target to which descent settles, to first order in the step size.

    Raises
    ------
    InvalidArgument
        There is no closed form: the lag varies, two things vary, the targets have no density, or the loss is not the
        absolute one.

    Examples
    --------
    >>> from gateflow.flows import LearningProblem
    >>> from gateflow.noise import NoisyDescent, Samples
    >>> problem = LearningProblem("fast", horizon=10, target=0.5)
    >>> found = settles(NoisyDescent(problem, Samples(target="beta(2, 2)"), lr=1e-4))
    >>> found.expr, round(found.value, 6)
    (sqrt(c)*sqrt(eta)/(2*sqrt(B)*sqrt(d)), 0.004082)
    """
    varies, optimizer = _varies(noisy), noisy.optimizer
    kind = "normalised" if optimizer.is_sign_like else OPTIMIZERS.spelled(_named(optimizer))
    if (varies, kind) not in SETTLES:
        raise InvalidArgument(f"no closed form is known of a random {varies} with {type(optimizer).__name__}")
    problem, samples = noisy.problem, noisy.samples
    if varies == "target":
        law = samples.target
        if law.distribution is None:
            raise InvalidArgument("targets of separate values have no closed form: they have no density")
        kept = float(law.distribution.median())
        place = float(problem.gate.inverse_c(-np.expm1(np.log(kept) / problem.horizon)))
        numbers = {C: float(problem.scale), F: float(law.distribution.pdf(kept))}
    else:
        place = float(problem.z_star)
        numbers = {C: samples.scale.moments()[0], R: _deviation(noisy)}
    gate, t = problem.gate, float(problem.horizon)
    numbers |= {ETA: noisy.lr, B: float(samples.batch), BETA: getattr(optimizer, "beta", 0.0)}
    numbers[G] = t * float(np.exp((t - 1) * gate.log_phi(place))) * float(gate.dphi(place))
    expr = SETTLES[varies, kind]
    given = {symbol: numbers[symbol] for symbol in expr.free_symbols}
    return Formula("deviation of z about the target", "normal" if varies == "target" else "Laplace", expr, given)


def arrives(noisy: NoisyDescent, z0: float) -> Formula:
    """The deviation of the steps in which the target is reached, for gradient descent and a random scale.

    Raises
    ------
    InvalidArgument
        There is no closed form.

    Examples
    --------
    >>> from gateflow.flows import LearningProblem
    >>> from gateflow.noise import NoisyDescent, Samples
    >>> problem = LearningProblem("fast", horizon=10, target=0.5)
    >>> found = arrives(NoisyDescent(problem, Samples(scale="normal(1, 2)"), lr=1e-3), 0.0)
    >>> found.expr, found.law
    (sqrt(N)*r/sqrt(B), 'inverse Gaussian')
    """
    if _varies(noisy) != "scale" or type(noisy.optimizer) is not OPTIMIZERS["sgd"]:
        raise InvalidArgument("arrivals have a closed form for gradient descent with a random scale")
    steps = float(hitting_time(noisy.problem, z0).tau) * noisy.problem.scale / noisy.lr
    steps /= noisy.samples.scale.moments()[0]
    return Formula(
        "deviation of the steps to arrive",
        "inverse Gaussian",
        ARRIVES,
        {N: steps, R: _deviation(noisy), B: float(noisy.samples.batch)},
    )


def arrival_law(formula: Formula) -> Any:
    """The law of :func:`arrives` in SciPy's form, of the steps."""
    shape = formula.given[N] ** 2 * formula.given[B] / formula.given[R] ** 2
    return stats.invgauss(formula.given[N] / shape, scale=shape)


def _deviation(noisy: NoisyDescent) -> float:
    mean, variance = noisy.samples.scale.moments()
    return float(np.sqrt(variance) / mean)


def _named(optimizer: Any) -> str:
    return next((name for name in OPTIMIZERS if type(optimizer) is OPTIMIZERS[name]), "sgd")


def _varies(noisy: NoisyDescent) -> str:
    """The one thing that varies, where there may be a closed form."""
    samples = noisy.samples
    varying = [name for name in ("target", "horizon", "scale") if getattr(samples, name) is not None]
    if len(varying) != 1 or varying == ["horizon"]:
        raise InvalidArgument("closed forms are known where the target or the scale varies, and nothing else")
    if noisy.problem.loss.name != "absolute":
        raise InvalidArgument(f"closed forms are those of the absolute loss; this is {noisy.problem.loss.name}")
    return varying[0]
