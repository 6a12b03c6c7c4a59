"""What varies from sample to sample in a learning problem: the target, the horizon (a lag), the scale.

Laws are frozen distributions of :mod:`scipy.stats`, or numbers that are equally likely; :func:`law` reads them from
text too, through a table of names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from gateflow.errors import InvalidArgument, UnknownName, unknown
from gateflow.guards.arguments import whole
from gateflow.guards.calls import call
from gateflow.noise.elements import Array

_X, _W = np.polynomial.legendre.leggauss(32)
_X, _W = (_X + 1) / 2, _W / 2
SHARES, WEIGHTS = _X**2 * (3 - 2 * _X), _W * 6 * _X * (1 - _X)
"""Gauss-Legendre nodes in (0, 1), drawn to both ends, where quantile functions may be steep."""

MOST_ATOMS = 20_000
LARGEST = 1e100
"""Numbers of a law are below it in size: their squares are to be floats."""

LAWS: dict[str, Callable[..., Any]] = {
    "uniform": lambda low, high: stats.uniform(low, high - low),
    "normal": lambda mean, deviation: stats.norm(mean, deviation),
    "lognormal": lambda median, spread: stats.lognorm(spread, scale=median),
    "gamma": lambda shape, mean: stats.gamma(shape, scale=mean / shape),
    "beta": lambda a, b: stats.beta(a, b),
    "exponential": lambda mean: stats.expon(scale=mean),
    "steps": lambda low, high: np.arange(low, high + 1),
}
"""Laws by name; ``steps(a, b)`` is each whole number from a to b with the same probability."""


LONGEST = 2000
"""Characters of a law as text."""


@dataclass(frozen=True, eq=False)
class Law:
    """A law of one number: values with weights, or a continuous distribution.

    Parameters
    ----------
    values, weights : array, shape (n,), or None
        Of a discrete law.
    distribution : frozen distribution of scipy.stats, or None
        Of a continuous one.
    """

    values: Array | None = None
    weights: Array | None = None
    distribution: Any = None

    def __post_init__(self) -> None:
        if (self.values is None or self.weights is None) == (self.distribution is None):
            raise InvalidArgument("a Law has values with weights, or a distribution")

    def nodes(self, split: Any = 0.0) -> tuple[Array, Array]:
        """Values and weights for means of functions that are smooth except at one place, ``split``.

        Parameters
        ----------
        split : array, shape (...)

        Returns
        -------
        values, weights : array, shape (..., nodes)
        """
        split = np.asarray(split, dtype=float)
        if self.values is not None:
            assert self.weights is not None
            shape = (*split.shape, self.values.size)
            return np.broadcast_to(self.values, shape), np.broadcast_to(self.weights, shape)
        below = np.clip(self.distribution.cdf(split), 0.0, 1.0)[..., None]
        shares = np.concatenate([below * SHARES, below + (1 - below) * SHARES], axis=-1)
        weights = np.concatenate([below * WEIGHTS, (1 - below) * WEIGHTS], axis=-1)
        return self.distribution.ppf(np.clip(shares, 1e-300, 1 - 1e-16)), weights

    def sides(self, split: Array) -> tuple[Array, Array]:
        """The same for functions that only ask on which side of ``split`` a value is."""
        if self.values is not None:
            return self.nodes(split)
        below = np.clip(self.distribution.cdf(split), 0.0, 1.0)
        return np.stack([np.zeros_like(split), np.ones_like(split)], axis=-1), np.stack([below, 1 - below], axis=-1)

    def support(self) -> tuple[float, float]:
        """The least and the greatest value, perhaps infinite."""
        if self.values is not None:
            return float(self.values.min()), float(self.values.max())
        low, high = self.distribution.support()
        return float(low), float(high)

    def moments(self) -> tuple[float, float]:
        """Mean and variance."""
        if self.values is not None:
            assert self.weights is not None
            mean = float(self.weights @ self.values)
            return mean, float(self.weights @ (self.values - mean) ** 2)
        mean, variance = (float(x) for x in self.distribution.stats("mv"))
        return mean, variance

    def draw(self, generator: np.random.Generator, shape: Any) -> Array:
        """Independent values."""
        if self.values is not None:
            return generator.choice(self.values, shape, p=self.weights)
        return self.distribution.rvs(size=shape, random_state=generator)


def law(given: Any, name: str = "law") -> Law:
    """A law from what a user gives.

    Parameters
    ----------
    given : frozen distribution, sequence of numbers, or str
        Numbers are equally likely. A text is a name with numbers, such as ``"uniform(0, 500)"`` (:data:`LAWS`).
    name : str
        What it is a law of, for messages.

    Raises
    ------
    InvalidArgument
        It is no law, or a number of it is out of range.
    UnknownName
        No law has such a name.

    Examples
    --------
    >>> law("uniform(0, 500)").moments()[0], law([1.0, 3.0]).moments()
    (250.0, (2.0, 1.0))
    >>> law("cauchy(0, 1)")
    Traceback (most recent call last):
    gateflow.errors.UnknownName: unknown law 'cauchy'; known: uniform, normal, lognormal, ...
    """
    if isinstance(given, Law):
        return given
    if isinstance(given, str):
        return _read(given, name)
    if hasattr(given, "ppf") and hasattr(given, "support"):
        return _frozen(given, name)
    try:
        values = np.atleast_1d(np.asarray(given, dtype=float))
    except (TypeError, ValueError):
        raise InvalidArgument(f"the law of {name} is a distribution, numbers or a text; got {given!r:.60}") from None
    return _of_values(values, name)


def _of_values(values: Array, name: str) -> Law:
    if values.ndim != 1 or not 1 <= values.size <= MOST_ATOMS or not np.isfinite(values).all():
        raise InvalidArgument(f"the law of {name} takes 1 to {MOST_ATOMS} finite numbers")
    if not np.all(np.abs(values) < LARGEST):
        raise InvalidArgument(f"the law of {name}: its numbers are below 1e100 in size")
    different, counts = np.unique(values, return_counts=True)
    return Law(different, counts / values.size)


@np.errstate(all="ignore")
def _frozen(given: Any, name: str) -> Law:
    if np.ndim(given.mean()):
        raise InvalidArgument(f"the law of {name} is one distribution, not an array of them")
    if not hasattr(given, "pdf"):
        low, high = given.support()
        if not (np.isfinite(low) and np.isfinite(high) and high - low < MOST_ATOMS):
            low, high = given.ppf(1e-12), given.ppf(1 - 1e-12)
        if not high - low < MOST_ATOMS:
            raise InvalidArgument(f"the law of {name} takes more than {MOST_ATOMS} values; give a continuous one")
        values = np.arange(low, high + 1)
        weights = given.pmf(values)
        kept = weights > 0
        return Law(values[kept], weights[kept] / weights[kept].sum())
    mean, variance = given.stats("mv")
    if not (np.abs(mean) < LARGEST and variance < LARGEST**2):
        raise InvalidArgument(f"the law of {name} has no finite variance, or numbers from 1e100 on")
    return Law(distribution=given)


def _read(text: str, name: str) -> Law:
    found = call(text) if len(text) <= LONGEST and text.rstrip().endswith(")") else None
    if found is None or not found[0].isalpha():
        raise InvalidArgument(f"the law of {name} reads like 'uniform(0, 500)'; got {text!r:.60}")
    kind, inside = found
    try:
        if any(argument.name for argument in inside):
            raise ValueError
        numbers = [float(number) for argument in inside for number in argument.text.split()]
    except ValueError:
        raise InvalidArgument(f"{text}: the arguments of a law are numbers") from None
    if kind == "values":
        return _of_values(np.array(numbers), name)
    if kind not in LAWS:
        raise UnknownName(unknown("law", kind, [*LAWS, "values"]))
    whole = all(x.is_integer() for x in numbers)
    if kind == "steps" and not (len(numbers) == 2 and whole and 0 <= numbers[1] - numbers[0] < MOST_ATOMS):
        raise InvalidArgument(f"{text}: steps takes two whole numbers, at most {MOST_ATOMS} apart")
    if not np.all(np.abs(numbers) < LARGEST):
        raise InvalidArgument(f"{text}: the numbers of a law are below 1e100 in size")
    try:
        made = LAWS[kind](*numbers)
    except TypeError:
        named = list(inspect.signature(LAWS[kind]).parameters)
        raise InvalidArgument(f"{text}: write {kind}({', '.join(named)})") from None
    if isinstance(made, np.ndarray):
        return _of_values(made, name)
    with np.errstate(all="ignore"):
        moments = made.stats("mv")
    if not np.isfinite([*moments]).all():
        raise InvalidArgument(f"{text}: out of range")
    return _frozen(made, name)


@dataclass(frozen=True, eq=False)
class Samples:
    """What varies from sample to sample, and how many samples a step sees.

    Parameters
    ----------
    target : law, optional
        Of lambda*, what is to be kept, in (0, 1); by default that of the problem.
    horizon : law, optional
        Of T, the steps to be bridged; by default that of the problem.
    scale : law, optional
        Of c; by default that of the problem. Some samples may have a c below 0, their mean is above it.
    batch : int
        Independent samples that a step averages over.

    Raises
    ------
    InvalidArgument
        Target and horizon both vary, nothing does, a law is out of range, or the batch is no whole number above 0.

    Examples
    --------
    >>> Samples(horizon="uniform(1, 500)", batch=32).batch
    32
    """

    target: Any = None
    horizon: Any = None
    scale: Any = None
    batch: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "batch", whole("batch", self.batch))
        ranges = {"target": (0.0, 1.0), "horizon": (1e-300, np.inf), "scale": (-np.inf, np.inf)}
        given = {name: getattr(self, name) for name in ranges if getattr(self, name) is not None}
        if not given:
            raise InvalidArgument("name what varies from sample to sample: target, horizon or scale")
        if {"target", "horizon"} <= set(given):
            raise InvalidArgument("let the target or the horizon vary, not both")
        for name, one in given.items():
            made = law(one, name)
            low, high = made.support()
            if low < ranges[name][0] - 1e-12 or high > ranges[name][1]:
                fits = "uniform(low, high), beta(a, b) or values(...)" if name == "target" else "a law above 0"
                inside = f"({ranges[name][0]:g}, {ranges[name][1]:g})"
                raise InvalidArgument(f"the law of {name} must lie in {inside}; got {low:g} to {high:g}: take {fits}")
            if made.moments()[0] <= 0:
                raise InvalidArgument(f"the law of {name} must have a mean above 0")
            object.__setattr__(self, name, made)
