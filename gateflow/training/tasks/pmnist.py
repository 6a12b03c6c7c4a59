"""Permuted sequential MNIST: the pixels in one fixed random order (Le, Jaitly and Hinton 2015)."""

from __future__ import annotations

from dataclasses import dataclass

from gateflow.training.tasks.smnist import SequentialMNIST


@dataclass(frozen=True)
class PermutedMNIST(SequentialMNIST):
    """Sequential MNIST with ``permutation`` given: the order is the task's, the same whatever the seed of the run.

    Published permutations are their authors' own; results over several orders say how much one matters.

    Examples
    --------
    >>> PermutedMNIST().reading[:28].tolist() == sorted(PermutedMNIST().reading[:28].tolist())
    False
    """

    permutation: int | None = 0


TASK = PermutedMNIST
