"""What a task is: numbered batches, a loss, measures, and the settings to begin with.

Batch ``n`` of a split is a pure function of the seed and of ``n``. So nothing of a stream has to be stored to go on
with it: a run that was killed asks for the next number.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gateflow.files import fits
from gateflow.guards.arguments import whole
from gateflow.results.byvalue import by_value

Split = Literal["train", "valid", "test"]


@by_value
@dataclass(frozen=True)
class Batch:
    """One batch, batch first.

    Parameters
    ----------
    inputs : Tensor
        (batch, time, features) of floats, or (batch, time) of int64 tokens.
    targets : Tensor
        (batch, ...) for one answer a sequence, (batch, time, ...) for one a step.
    mask : Tensor of bool, optional
        (batch, time): the steps whose targets count; all of them by default.
    lengths : Tensor of int64, optional
        (batch,): how much of each sequence is real; all of it by default.
    """

    inputs: Tensor
    targets: Tensor
    mask: Tensor | None = None
    lengths: Tensor | None = None

    def __repr__(self) -> str:
        parts = (f"{name} {tuple(part.shape)}" for name, part in vars(self).items() if part is not None)
        return f"<Batch: {', '.join(parts)}>"

    def to(self, device: torch.device | str) -> Batch:
        """The batch on another device."""
        moved = {name: part.to(device) for name, part in vars(self).items() if part is not None}
        return replace(self, **moved)


class NewData(NamedTuple):
    """Series that a trained network is asked about."""

    series: list[np.ndarray]
    """(time, channels) each, as they stand in the file."""

    names: tuple[str, ...]
    """What they are called, in messages and answers."""

    given: tuple[str, ...] = ()
    """The class of each answer, where the file has them."""

    asked: tuple[list[int], ...] | None = None
    """The steps of each at which an answer counts, where the network answers each step; all by default."""


class Task(ABC):
    """One task. A subclass is a frozen dataclass whose fields are the task's options, each with a default.

    Attributes
    ----------
    source : str
        Where the task comes from.
    defaults : mapping
        The settings of the trainer that are this task's own: ``hidden``, ``lr``, ``optimizer``, ``batch``, ``steps``,
        ``clip``, ``init``, whichever differ from the trainer's.
    tokens : bool
        Inputs are tokens below ``input_size``, to be embedded; else vectors of ``input_size`` features.
    every_step : bool
        The network answers after every step; else after the last one only.
    carries : bool
        Batch n + 1 goes on where batch n ended, row by row: the state is carried over, its gradient is not.
    score : str
        The measure a run is judged by.
    better : "lower" or "higher"
    reads_by : mapping of str to type
        What of :meth:`prepares` it cannot read new data without, and the shapes that `gateflow.files.fits` knows.
    """

    source: ClassVar[str]
    defaults: ClassVar[Mapping[str, Any]] = {}
    tokens: ClassVar[bool] = False
    every_step: ClassVar[bool] = False
    carries: ClassVar[bool] = False
    score: ClassVar[str] = "loss"
    better: ClassVar[Literal["lower", "higher"]] = "lower"
    reads_by: ClassVar[Mapping[str, Any]] = {}

    @property
    @abstractmethod
    def input_size(self) -> int:
        """Features of an input vector, or the number of tokens."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """Numbers in an answer."""

    @property
    @abstractmethod
    def length(self) -> int:
        """Steps in a sequence, the longest where they differ; what initialisers of time scales are given."""

    @property
    def chance(self) -> float | None:
        """The loss of the best answer that remembers nothing, where it is known."""
        return None

    def blind(self, targets: Tensor) -> float | None:
        """The loss of the best answer that remembers nothing, on these very targets; None where it is not known."""
        return self.chance

    @abstractmethod
    def batch(self, split: Split, number: int, size: int, seed: int) -> Batch:
        """Batch ``number`` (from 0, without end for "train") of ``size`` rows.

        Raises
        ------
        IndexError
            Past the last batch of "valid" or "test", which are finite, the last one perhaps smaller.
        """

    def batches(self, split: Split, size: int) -> int | None:
        """Batches of ``size`` rows in one pass over a split; None where it has no end, or none that is known."""
        return None

    def fingerprint(self) -> str | None:
        """A digest of the data, for whoever goes on with a run; None where the task is made from its seed alone."""
        return None

    def prepares(self) -> dict[str, Any]:
        """What of the data answers to new data need, as JSON holds it; kept in a run beside its weights.

        ``mean`` and ``deviation`` of each channel of the inputs, ``target_mean`` and ``target_deviation`` of the
        answers, where the task scales them; ``classes``, the names of the outputs, where these are logits of classes,
        or ``targets``, where they are values; ``pool``, samples that are averaged to one step, and ``longest``, steps
        that are read at most. These are checked when a run is loaded, what else a task keeps by :meth:`can_read`.
        """
        return {}

    @classmethod
    def can_read(cls, facts: Mapping[str, Any]) -> bool:
        """Whether :meth:`read_new` can go by what :func:`served` kept."""
        return fits(facts, dict(cls.reads_by))

    @classmethod
    def read_new(cls, path: Path, facts: Mapping[str, Any], *, labelled: bool) -> NewData | None:
        """Series from a file, for a network that was trained on this task; None where it has no files of its own kind.

        Parameters
        ----------
        path : Path
        facts : mapping
            What :func:`served` kept.
        labelled : bool
            Whether the series stand there with their classes, as those of the training do.

        Raises
        ------
        InvalidArgument
            It cannot be read.
        """
        return None

    @abstractmethod
    def loss(self, answers: Tensor, batch: Batch) -> Tensor:
        """The mean loss, which is descended. ``answers`` is (batch, output_size), or (batch, time, output_size)."""

    @abstractmethod
    def measures(self, answers: Tensor, batch: Batch) -> dict[str, tuple[float, float]]:
        """Sum and count of each measure over a batch, so that whole splits are averaged exactly; "loss" among them."""

    def summarise(self, means: Mapping[str, float]) -> dict[str, float]:
        """The measures of a whole split from the means; where perplexity is made from the mean loss, it is here."""
        return dict(means)

    def solved(self, measures: Mapping[str, float]) -> bool | None:
        """Whether measures of this height count as the task solved; None where no one has said."""
        return None

    def whole(self, name: str, least: int, most: int | None = None, why: str = "") -> None:
        """Hold an option to be a whole number in a range."""
        object.__setattr__(self, name, whole(name, getattr(self, name), least, most, why))

    def __getstate__(self) -> dict[str, Any]:
        """The options alone: what was read from files is read again in the other process."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]


def served(task: Task) -> dict[str, Any]:
    """Everything of a task that a trained network needs when it is put to use."""
    shape = {name: getattr(task, name) for name in ("input_size", "output_size", "length", "tokens", "every_step")}
    return {**shape, **task.prepares()}


_SERVED = {
    "input_size": int,
    "output_size": int,
    "length": int,
    "tokens": bool,
    "every_step": bool,
}

_PREPARED = {
    "classes": [str],
    "mean": [float],
    "deviation": [float],
    "target_mean": [float],
    "target_deviation": [float],
    "targets": [str],
    "pool": int,
    "longest": int,
}
"""What :meth:`Task.prepares` may give for every task."""

_LENGTHS = {
    "classes": "output_size",
    "mean": "input_size",
    "deviation": "input_size",
    "target_mean": "output_size",
    "target_deviation": "output_size",
    "targets": "output_size",
}


def _sizes(name: str, size: int) -> tuple[int, ...]:
    """How many numbers a list may have: of scales, one may stand for all."""
    return (1, size) if _PREPARED[name] == [float] else (size,)


def is_served(found: Any) -> bool:
    """Whether a value is what :func:`served` gives: of the types, lengths and ranges that answers rest on.

    Examples
    --------
    >>> facts = {"input_size": 2, "output_size": 1, "length": 9, "tokens": False, "every_step": False}
    >>> is_served(facts), is_served({**facts, "mean": [0.5], "deviation": [0.0]})
    (True, False)
    """
    if not fits(found, _SERVED) or min(found["input_size"], found["output_size"], found["length"]) < 1:
        return False
    scales = [name for name, kind in _PREPARED.items() if kind == [float]]
    kept: dict[str, Any] = {name: found[name] for name in _PREPARED if name in found}
    kept = {name: value for name, value in kept.items() if value is not None or name not in scales}
    return (
        all(fits(value, _PREPARED[name]) for name, value in kept.items())
        and all(len(kept[name]) in _sizes(name, found[size]) for name, size in _LENGTHS.items() if name in kept)
        and all(np.isfinite(kept[name]).all() for name in scales if name in kept)
        and all(min(kept.get(name, [1.0]), default=0.0) > 0 for name in ("deviation", "target_deviation"))
        and all(kept.get(name, 1) >= 1 for name in ("pool", "longest"))
        and ("mean" in kept) == ("deviation" in kept)
        and ("target_mean" in kept) == ("target_deviation" in kept)
    )


def pooled(one: np.ndarray, pool: int) -> np.ndarray:
    """A series, (time, channels), with a number of samples averaged to one step; one shorter than that is one step.

    Examples
    --------
    >>> pooled(np.arange(5.0)[:, None], 2)[:, 0].tolist()
    [0.5, 2.5]
    """
    if pool == 1:
        return one
    steps = len(one) // pool
    cut = one[: steps * pool].reshape(steps, pool, -1) if steps else one[None]
    return cut.mean(1)
