"""What an optimiser declares: its update, its memory, and what is predicted of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np

from gateflow.descents.precision import Format
from gateflow.errors import InvalidArgument
from gateflow.flows.batch import Array
from gateflow.flows.sampled_path import Band, SampledPath
from gateflow.guards.arguments import one
from gateflow.results.byvalue import by_value

EDGE = 2.0
"""The largest safe step in the logit profile: past it a step may run through the target (numerics.md)."""

ALLOWED = 1.0
"""Steps by which a prediction that is called valid may be off."""

State = tuple[Array, ...]
Rounding = Callable[[Array], Array]


class Reason(StrEnum):
    """Why a prediction does not hold; empty where it does."""

    VALID = ""
    NEVER = "the flow never reaches the target"
    OVERSHOOT = "the step is too large: it may run through the target"
    STALL = "a step on the way is below half an ulp of z"
    ROUNDING = "rounding of z on the way may cost more than a step"
    COARSE = "the gradient changes too much in a step"


@dataclass(frozen=True)
class InNoise:
    """What an optimiser makes of gradients that vary, where its memory is short beside the way.

    Parameters
    ----------
    scale : callable
        The mean square q of the gradient to the way per step size and gradient.
    delay, lag : float
        Steps by which the gradient that counts is old, and the mean square that divides it.
    start : float
        Steps lost while the means fill; below 0 where they are gained.
    """

    scale: Callable[[Array], Array]
    delay: float = 0.0
    lag: float = 0.0
    start: float = 0.0

    def speed(self, mean: Array, variance: Array) -> Array:
        """The mean way per step size and mean gradient, of normal gradients.

        Where the mean square s divides: to first order in the part of it that one gradient makes up, by which s
        fluctuates and the gradient itself makes it larger.
        """
        square = mean**2 + variance
        scale = self.scale(square)
        if not self.lag:
            return scale
        own = 1 / (1 + self.lag)  # 1 - beta2
        rest = np.where(square > 0, variance / np.where(square > 0, square, 1.0), 0.0)
        share = np.sqrt(square) * scale  # 1 where eps is negligible
        fluctuation = own / (2 - own) * rest * (4 - 2 * rest)  # variance of s over q^2
        together = own / (1 + self.delay * own)  # the part of s made up by the gradients of the step
        return scale * (1 + (share**2 / 4 + share / 8) * fluctuation - share * together * rest)

    def variance(self, mean: Array, variance: Array) -> Array:
        """What normal gradients add to the variance of z, each, over the square of the step size.

        Where the mean square divides, one that is larger than others shortens the steps after it, in all by
        ``mean (g^2 - q)/(2 q)`` of them.
        """
        square = mean**2 + variance
        scale = self.scale(square)
        if not self.lag:
            return scale**2 * variance
        rest = np.where(square > 0, variance / np.where(square > 0, square, 1.0), 0.0)
        share = np.sqrt(square) * scale
        return scale**2 * variance * ((1 - share * (1 - rest)) ** 2 + share**2 * (1 - rest) * rest / 2)


LEAST_MEMORY = 0.9
"""The least decay rate of a mean square that can be taken as a mean."""


def over_root(eps: float, decay: float) -> Callable[[Array], Array]:
    """``1/(root of the mean square + eps)``; 0 where there is no gradient.

    Raises
    ------
    InvalidArgument
        The mean is of so few gradients that it is not near its expectation.
    """
    if decay < LEAST_MEMORY:
        raise InvalidArgument(
            f"noise is predicted for mean squares that decay by {LEAST_MEMORY:g} or more; got {decay:g}"
        )

    def scale(square: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.where(square > 0, 1 / (np.sqrt(square) + eps), 0.0)

    return scale


@by_value
@dataclass(frozen=True)
class Prediction:
    """What is predicted of descent; arrays of one shape.

    Parameters
    ----------
    steps : array of float
        Steps until z is at the target or past it; infinite where it never is.
    error : array
        Estimate of how many steps that may be off by; infinite where the flow never arrives.
    reason : array of Reason
        Why ``steps`` does not hold; empty where it does.
    chatter : array
        Size of the steps to and fro around the target, in z.
    longest_step : array
        The largest step on the way, in the logit profile u.
    largest_lr : array
        The largest useful step size: that at which the longest step is 1.
    stalls_at : array
        z where the steps fall below half an ulp; nan where nowhere.
    """

    steps: Any
    error: Any
    reason: Any
    chatter: Any
    longest_step: Any
    largest_lr: Any
    stalls_at: Any

    @property
    def valid(self) -> Any:
        """Where ``steps`` holds."""
        return np.equal(self.reason, Reason.VALID)

    def at(self, index: int) -> Prediction:
        """That of one problem."""
        return Prediction(*(getattr(self, part.name)[index] for part in fields(self)))

    def shaped(self, shape: tuple[int, ...]) -> Prediction:
        """The same in another shape; scalars for ``()``."""
        return Prediction(*(getattr(self, part.name).reshape(shape)[()] for part in fields(self)))


@dataclass(frozen=True)
class Optimizer(ABC):
    """An optimiser with its hyperparameters, which are numbers; the step size comes with the problem."""

    RANGES: ClassVar[dict[str, tuple[Callable[[Any], Any], str]]] = {}
    """For each hyperparameter its test and its range in words."""

    def __post_init__(self) -> None:
        for name, (test, said) in self.RANGES.items():
            object.__setattr__(self, name, one(name, getattr(self, name), test, said))

    DEFAULT_LR: ClassVar[float] = 1e-3
    """PyTorch's default step size."""

    UPDATE_C: ClassVar[str] = ""
    """The update in C, in the order of :meth:`update`; empty where there is none.

    From the gradient ``g``, ``lr``, the state ``m`` and ``s`` and the hyperparameters ``hyper`` to ``taken``; ``one_m``
    and ``one_s`` are ``1 - beta1^k`` and the root of ``1 - beta2^k``.
    """

    is_sign_like: ClassVar[bool] = False
    """Whether steps have the size of lr, whatever that of the gradient."""

    @property
    @abstractmethod
    def memory(self) -> float:
        """Steps after which a gradient is forgotten."""

    @property
    def in_noise(self) -> InNoise:
        """What it makes of gradients that vary.

        Raises
        ------
        InvalidArgument
            Nothing is known of that.
        """
        raise InvalidArgument(f"what {type(self).__name__} makes of noise is not declared: it has no in_noise")

    @abstractmethod
    def start(self, count: int) -> State:
        """The state before the first step."""

    @abstractmethod
    def update(self, state: State, gradient: Array, k: Array, lr: Array, fl: Rounding) -> tuple[State, Array]:
        """The state after step k = 1, 2, ... and what to take from z; ``fl`` rounds after each operation."""

    @abstractmethod
    def log_pace(self, log_v: Array) -> Array:
        """log of the step in z per step size, once a gradient of size v has lasted."""

    @abstractmethod
    def largest_lr(self, path: SampledPath) -> Array:
        """The largest useful step size: that at which the longest step is 1."""

    @abstractmethod
    def chatter_lr(self, band: Band) -> Array:
        """The largest step size whose chatter around the target stays in the band."""

    def admissible_lr(self, path: SampledPath, band: Band) -> Array:
        """The largest step size that the target allows: chatter keeps to the band, no step runs through the target.

        For a loss smooth at the target this is, to first order, half the edge of stability for gradient descent:
        there a step from an end of the band leads to the target.
        """
        return np.minimum(self.chatter_lr(band), self.largest_lr(path))

    @abstractmethod
    def log_way(self, log_tau: Array, length: Array) -> Array:
        """log of steps times step size, in the limit of small steps: of a way so long, for which the flow takes tau."""

    @abstractmethod
    def predict(self, path: SampledPath, lr: Array, fmt: Format) -> Prediction:
        """What is predicted for the problems of a path, each with its step size."""


def counted(path: SampledPath, steps: Array) -> Array:
    """Whole steps: none from the target itself, else at least one; infinitely many where there is no arriving."""
    whole = np.where(path.length > 0, np.maximum(np.ceil(steps), 1.0), 0.0)
    return np.where(path.arrives, whole, np.inf)


def stalls_at(path: SampledPath, log_step: Array, fmt: Format) -> Array:
    """The first z on the path where a step is below half an ulp; nan where none is.

    Parameters
    ----------
    log_step : array, shape (n, nodes)
        log of the step's size in z at the nodes.
    """
    inner = slice(0, -1)  # on the target itself there is no step to make
    lost = _is_lost(log_step[:, inner], path.z[:, inner], fmt)
    node = np.argmax(lost, axis=1)[:, None]
    part = np.linspace(0.0, 1.0, 65)  # between the nodes an ulp may jump
    z, step = (_between(rows, np.maximum(node - 1, 0), node, part) for rows in (path.z, log_step))
    first = np.argmax(_is_lost(step, z, fmt), axis=1)[:, None]
    return np.where(lost.any(axis=1), np.take_along_axis(z, first, axis=1)[:, 0], np.nan)


def _is_lost(log_step: Array, z: Array, fmt: Format) -> Array:
    return log_step < np.log(fmt.spacing(z)) - np.log(2.0)


def _between(rows: Array, left: Array, right: Array, part: Array) -> Array:
    low, high = np.take_along_axis(rows, left, axis=1), np.take_along_axis(rows, right, axis=1)
    return np.where(part == 1, high, low + np.where(part == 0, 0.0, (high - low) * part))


def rounding_error(path: SampledPath, log_step: Array, fmt: Format) -> Array:
    """Steps that rounding of z may cost or save: the relative error of each step, summed over the steps."""
    middle = (log_step[:, 1:] + log_step[:, :-1]) / 2
    ulp = fmt.spacing(np.maximum(np.abs(path.z[:, 1:]), np.abs(path.z[:, :-1])))
    return np.sum(ulp / 2 * np.exp(-2 * middle) * path.pieces, axis=1)


def expanded(
    path: SampledPath,
    log_eta: Array,
    fmt: Format,
    *,
    steps: Array,
    expansion: Array,
    chatter: Array,
    largest_lr: Array,
    rest: float = 1.0,
) -> Prediction:
    """The prediction of an expansion in powers of the step size.

    Parameters
    ----------
    log_eta : array, shape (n,)
        log of the step per slope of the loss.
    expansion : array, shape (n,)
        The first term that is left out, in steps.
    rest : float
        The part of the velocity that a step gives up.
    """
    log_step = log_eta[:, None] + path.log_v
    rounding = rounding_error(path, log_step, fmt) + fmt.unit * np.abs(steps)
    return judged(
        path,
        log_step,
        fmt,
        steps=steps,
        error=expansion + rounding,
        coarse=(expansion > ALLOWED / 2) | (np.exp(log_eta) * path.sharpest / rest > 1),
        rounds=rounding > ALLOWED / 2,
        longest_step=np.exp(log_eta + path.log_stiffness) / rest,
        chatter=chatter,
        largest_lr=largest_lr,
    )


def judged(
    path: SampledPath,
    log_step: Array,
    fmt: Format,
    *,
    steps: Array,
    error: Array,
    coarse: Array,
    rounds: Array,
    longest_step: Array,
    chatter: Array,
    largest_lr: Array,
) -> Prediction:
    """A prediction with the first reason, if any, for which it does not hold.

    Parameters
    ----------
    log_step : array, shape (n, nodes)
        log of the step's size in z at the nodes.
    coarse, rounds : array of bool, shape (n,)
        Whether the gradient changes too much in a step, and whether rounding of z may cost more than a step.
    """
    stall = stalls_at(path, log_step, fmt)
    cases = {
        Reason.NEVER: ~path.arrives,
        Reason.STALL: ~np.isnan(stall),
        Reason.OVERSHOOT: longest_step > EDGE,
        Reason.COARSE: coarse,
        Reason.ROUNDING: rounds,
    }
    reason = np.full(longest_step.shape, Reason.VALID, dtype=object)
    for word, holds in reversed(cases.items()):
        reason[holds] = word
    error = np.where(path.arrives & ~np.isnan(error), error, np.inf)
    return Prediction(counted(path, steps), error, reason, chatter, longest_step, largest_lr, stall)
