"""Experiments that have a name: settings that all runs share, arms that are compared, seeds; in full and reduced."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateflow.errors import InvalidArgument
from gateflow.progress import Meter, silence

GATES: dict[str, dict[str, Any]] = {
    "softsign": {"forget_gate": "softsign"},
    "sigmoid": {"forget_gate": "sigmoid"},
    "fast": {"forget_gate": "fast"},
    "refine": {"cell": "refine", "forget_gate": "sigmoid", "tied": False},
}
"""Arms that differ in the forget gate only. The refine gate has an input gate of its own here, as the others do."""


@dataclass(frozen=True)
class Plan:
    """An experiment as it is declared.

    Parameters
    ----------
    base : mapping
        Settings of every run, as :func:`gateflow.nn.train` takes them.
    arms : mapping of str to mapping
        What is compared: a name, and settings over the base.
    seeds : int
        Runs of each arm.
    reduced : mapping
        Settings over all others that make it small; what it does not say stays.
    reduced_seeds : int
        Runs of each arm, reduced.
    source : str
        Where the full settings come from.
    level : float
        Part of the loss of the best answer that remembers nothing, below which a run is said to have arrived.
    """

    base: Mapping[str, Any]
    arms: Mapping[str, Mapping[str, Any]]
    seeds: int
    reduced: Mapping[str, Any] = field(default_factory=dict)
    reduced_seeds: int = 1
    source: str = ""
    level: float = 0.95

    def settings(self, arm: str, *, reduced: bool = False) -> dict[str, Any]:
        """The settings of an arm, its seed left out."""
        return {**self.base, **self.arms[arm], **(self.reduced if reduced else {})}

    def runs(self, *, reduced: bool = False, seeds: int | None = None) -> Iterator[tuple[str, int]]:
        """Arms and seeds in the order they are run: one seed of all arms, then the next."""
        for seed in range(self.seeds_of(reduced, seeds)):
            for arm in self.arms:
                yield arm, seed

    def seeds_of(self, reduced: bool, seeds: int | None = None) -> int:
        """How many seeds an arm is given."""
        return seeds or (self.reduced_seeds if reduced else self.seeds)


def folder_of(arm: str, seed: int) -> Path:
    """Where a run has its files, relative to its experiment.

    Examples
    --------
    >>> folder_of("fast, rmsprop", 2).as_posix()
    'fast-rmsprop/seed-2'
    """
    return Path(re.sub(r"[^\w.+=()-]+", "-", arm).strip("-")) / f"seed-{seed}"


def carry_out(
    plan: Plan,
    out: Path,
    *,
    reduced: bool = False,
    seeds: int | None = None,
    more: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    stop: Callable[[], bool] | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, str]:
    """Train every run of a plan from wherever an earlier call was left; the status of each, by its folder.

    A run that another process is at work on is passed over: the same command, given twice, shares the work.
    """
    from gateflow.nn.train import train

    stop = stop or (lambda: False)
    wanted = list(plan.runs(reduced=reduced, seeds=seeds))
    statuses = {folder_of(*each).as_posix(): "not begun" for each in wanted}
    with Meter("runs", len(wanted)) as meter:
        for number, (arm, seed) in enumerate(wanted, 1):
            path = folder_of(arm, seed)
            settings = {**plan.settings(arm, reduced=reduced), **(more or {}), "seed": seed}
            try:
                with silence():
                    found = train(settings, out=out / path, data_dir=data_dir, stop=stop)
            except InvalidArgument as problem:
                if "another process" not in str(problem):
                    raise
                statuses[path.as_posix()] = "elsewhere"
                continue
            statuses[path.as_posix()] = found.status
            if tell is not None and found.status != "interrupted":
                tell(f"{path.as_posix()}: {found.status} after {found.steps} steps, {found.seconds:.0f} s")
            meter.update(number, path.as_posix())
            if stop():
                break
    return statuses
