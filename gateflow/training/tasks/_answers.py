"""What is asked of answers: one class out of several, by cross entropy, or a number, by how far it is off."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gateflow.training.task import Batch, Task


def wide(answers: Tensor) -> Tensor:
    """Answers in float32 at least: sums of half precision lose the digits that a loss is judged by."""
    return answers.float() if answers.dtype in (torch.float16, torch.bfloat16) else answers


def relevant(answers: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """The answers that count, (n, output_size), and their targets, (n,)."""
    if batch.mask is not None:
        return wide(answers)[batch.mask], batch.targets[batch.mask]
    return wide(answers).flatten(0, -2), batch.targets.flatten()


class Choice(Task):
    """A task whose answers are the logits of ``output_size`` classes; the loss is in nats."""

    score: ClassVar[str] = "accuracy"
    better: ClassVar[Literal["lower", "higher"]] = "higher"

    def loss(self, answers: Tensor, batch: Batch) -> Tensor:
        return cross_entropy(*relevant(answers, batch))

    def measures(self, answers: Tensor, batch: Batch) -> dict[str, tuple[float, float]]:
        logits, targets = relevant(answers.detach(), batch)
        count = float(len(targets))
        right = float((logits.argmax(-1) == targets).sum())
        return {"loss": (float(cross_entropy(logits, targets, reduction="sum")), count), "accuracy": (right, count)}


class NumberTask(Task):
    """A task whose answers are numbers, solved where the mean loss is below :attr:`below`."""

    below: ClassVar[float]

    @staticmethod
    @abstractmethod
    def off(answers: Tensor, targets: Tensor, /) -> Tensor:
        """The mean over a batch of how far answers are off."""

    def loss(self, answers: Tensor, batch: Batch) -> Tensor:
        answers = wide(answers)
        return self.off(answers, batch.targets.to(answers.dtype))

    def measures(self, answers: Tensor, batch: Batch) -> dict[str, tuple[float, float]]:
        count = float(len(batch.targets))
        return {"loss": (float(self.loss(answers.detach(), batch)) * count, count)}

    def solved(self, measures: Mapping[str, float]) -> bool:
        return measures["loss"] < self.below
