"""An experiment as it is declared: settings that all runs share, arms that are compared, seeds; in full and reduced."""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from gateflow.errors import InvalidArgument
from gateflow.runs.jobs import Job

Arms = Mapping[str, Mapping[str, Any]]


ROLES = ("plain", "order", "slope", "equivalence")


@dataclass(frozen=True)
class Question:
    """Two groups of arms that are compared, seed by seed.

    Parameters
    ----------
    name : str
    first, second : tuple of str
        Arms; of several the mean of log steps is taken.
    role : str
        ``plain``; ``order``, where the first has the higher order of saturation; ``slope``, where it has the steeper
        start; ``equivalence``, of what is looked at for equivalence only.
    """

    name: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    role: str = "plain"

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InvalidArgument(f"the role of a question is {', '.join(ROLES)}; got {self.role!r}")

    @property
    def tested(self) -> bool:
        """Whether it belongs to the family whose p-values are corrected together."""
        return self.role != "equivalence"


@dataclass(frozen=True)
class Experiment:
    """An experiment as it is declared.

    Parameters
    ----------
    base : mapping
        Settings of every run, as :func:`gateflow.training.loop` takes them.
    arms : mapping of str to mapping
        What is compared: a name, and settings over the base. What stands after the first comma of a name says under
        which conditions, and is a panel of its own where the curves are drawn.
    seeds : int
        Runs of each arm.
    reduced : mapping
        Settings over all others that make it small; what it does not say stays.
    reduced_arms : mapping of str to mapping, optional
        What is compared when it is reduced, where that is something else.
    reduced_seeds : int
        Runs of each arm, reduced.
    source : str
        Where the full settings come from.
    level : float
        Part of the loss of the best answer that remembers nothing, below which a run is said to have arrived.
    needs : tuple of str
        The files it reads from ``--data-dir``, as docs/data.md calls them.
    make : str
        What makes a run, one of `MAKERS`: a callable ``make(settings, out=, data_dir=, stop=)`` that goes on where it
        was and leaves the same files.
    score : str
        The measure its runs are judged by, where that is not the task's.
    first : int
        The first seed; the others follow.
    consecutive : int
        Evaluations in a row that must lie below the level.
    questions : tuple of Question
        What its analysis compares. With questions, or a conclusion, no outcome is shown before all runs have ended.
    told : mapping of str to mapping
        What ``make`` is given of each arm beside settings.
    predicted : mapping of str to int
        The steps that theory predicts of each arm of a bridge.
    otherwise : mapping of str to mapping
        Further predictions, by what they assume; exploratory.
    choose : callable, optional
        ``choose(results)`` names the arms that are run, from the stored results of an experiment before it.
    conclude : callable, optional
        ``conclude(analysis)`` makes the sentences that the registered rules allow.
    sources : mapping of str to str
        Where each of the full settings comes from: file and line of the authors' code, their paper, or "not known".
    may_be_cut : bool
        Whether it may be analysed with fewer seeds than planned, all arms of each.
    about : str
        What it is, in a line.
    path : str
        Its file, where that is the user's own.
    """

    base: Mapping[str, Any]
    arms: Arms
    seeds: int
    reduced: Mapping[str, Any] = field(default_factory=dict)
    reduced_arms: Arms | None = None
    reduced_seeds: int = 1
    source: str = ""
    level: float = 0.95
    needs: tuple[str, ...] = ()
    make: str = "train"
    score: str = ""
    first: int = 0
    consecutive: int = 1
    questions: tuple[Question, ...] = ()
    told: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    predicted: Mapping[str, int] = field(default_factory=dict)
    otherwise: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    choose: Callable[[Path], tuple[str, ...]] | None = None
    conclude: Callable[[Any], list[str]] | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    may_be_cut: bool = False
    about: str = ""
    path: str = ""

    def arms_of(self, reduced: bool = False) -> Arms:
        """The arms, in full or reduced."""
        return self.reduced_arms if reduced and self.reduced_arms is not None else self.arms

    def settings(self, arm: str, *, reduced: bool = False) -> dict[str, Any]:
        """The settings of an arm, its seed left out."""
        return {**self.base, **self.arms_of(reduced)[arm], **(self.reduced if reduced else {})}

    def runs(self, *, reduced: bool = False, seeds: int | None = None) -> Iterator[tuple[str, int]]:
        """Arms and seeds in the order they are run: one seed of all arms, then the next."""
        for seed in range(self.first, self.first + self.seeds_of(reduced, seeds)):
            for arm in self.arms_of(reduced):
                yield arm, seed

    @property
    def registered(self) -> bool:
        """Whether its outcomes are shown only when all runs have ended."""
        return bool(self.questions) or self.conclude is not None

    def small(self) -> Experiment:
        """The experiment as it is reduced, as one of its own."""
        arms = {arm: self.settings(arm, reduced=True) for arm in self.arms_of(True)}
        return replace(self, base={}, arms=arms, seeds=self.reduced_seeds, reduced={}, reduced_arms=None)

    def exploratory(self) -> Experiment:
        """The experiment with a question for each pair of arms under the same condition; none of them was registered.

        A condition is what stands after the first comma of an arm's name.
        """
        pairs = itertools.combinations(self.arms, 2)
        alike = [pair for pair in pairs if len({arm.partition(", ")[2] for arm in pair}) == 1]
        questions = tuple(Question(f"{one} against {other}", (one,), (other,)) for one, other in alike)
        return replace(self, questions=questions, conclude=_nothing, may_be_cut=True)

    def chosen(self, results: Path) -> Experiment:
        """The experiment with the arms that the results of an experiment before it have chosen, if it asks for that.

        Its questions name these arms by what stands before the comma.

        Raises
        ------
        InvalidArgument
            That experiment has not ended.
        """
        if self.choose is None:
            return self
        names = {arm.partition(", ")[0]: arm for arm in self.choose(results)}
        questions = [
            replace(each, first=tuple(map(names.get, each.first)), second=tuple(map(names.get, each.second)))
            for each in self.questions
        ]
        arms = {arm: self.arms[arm] for arm in names.values()}
        return replace(self, arms=arms, questions=tuple(questions), choose=None)

    def seeds_of(self, reduced: bool, seeds: int | None = None) -> int:
        """How many seeds an arm is given."""
        return seeds or (self.reduced_seeds if reduced else self.seeds)


def _nothing(_: Any) -> list[str]:
    return ["Exploratory: no question was registered before the runs, and nothing is concluded."]


def folder_of(arm: str, seed: int) -> Path:
    """Where a run has its files, relative to its experiment; two formulas have two folders.

    Examples
    --------
    >>> folder_of("fast, rmsprop", 2).as_posix()
    'fast-rmsprop/seed-2'
    >>> folder_of("sigmoid(3*z), rmsprop", 0).as_posix()
    'sigmoid(3-z)-rmsprop-129949ff/seed-0'
    """
    name = re.sub(r"[^\w.+=()-]+", "-", arm).strip("-")
    told_apart = re.fullmatch(r"[\w.+=()][\w.+=()-]*(, [\w.+=()-]+)*", arm)
    return Path(name if told_apart else f"{name}-{zlib.crc32(arm.encode()):08x}") / f"seed-{seed}"


MAKERS = {
    "train": "gateflow.training.loop:train",
    "cost": "gateflow.study.cost:cost",
    "bridge": "gateflow.study.bridge:bridge",
}
"""What makes a run, by the word that an experiment has for it."""


def carry_out(
    plan: Experiment,
    out: Path,
    *,
    reduced: bool = False,
    seeds: int | None = None,
    only: str | None = None,
    keep: Callable[[str, int, Path], None] | None = None,
    stored: Collection[tuple[str, int]] = (),
    tell: Callable[[str], None] | None = None,
    more: Mapping[str, Any] | None = None,
    **how: Any,
) -> dict[str, str]:
    """Make every run of an experiment from wherever an earlier call was left; the status of each, by its folder.

    ``keep`` is called with each run that has ended, its arm, seed and folder, to store what is small of it; a run in
    ``stored`` (arm, seed) was kept by an earlier call and is passed over. With ``only`` it is the runs of the arms
    whose name contains that. A run that another process is at work on is passed over: the same command, given twice,
    shares the work. ``more`` are settings over all others; ``how`` is what
    :func:`gateflow.training.grid.carried_out` takes.

    Raises
    ------
    GateflowError
        Runs have failed; all others have been made.
    """
    from gateflow.training.grid import carried_out

    wanted = [each for each in plan.runs(reduced=reduced, seeds=seeds) if (only or "") in each[0]]
    if not wanted:
        raise InvalidArgument(f"no arm has {only!r} in its name; there are: {'; '.join(plan.arms_of(reduced))}")
    jobs = {}
    for arm, seed in wanted:
        if (arm, seed) not in stored:
            settings = {**plan.settings(arm, reduced=reduced), **(more or {}), "seed": seed}
            job = Job(folder_of(arm, seed).as_posix(), {"settings": settings, **plan.told.get(arm, {})})
            jobs[job.name] = job, arm, seed

    def done(job: Job, outcome: dict[str, Any]) -> None:
        if keep is not None:
            _, arm, seed = jobs[job.name]
            keep(arm, seed, out / job.name)
        if tell is not None:
            tell(f"{job.name}: {outcome['status']} after {outcome['steps']} steps, {outcome['seconds']:.0f} s")

    module, _, name = MAKERS[plan.make].partition(":")
    make = getattr(import_module(module), name)
    found = carried_out([job for job, *_ in jobs.values()], out, make, done=done, silent=True, **how)
    return {folder_of(*each).as_posix(): found.get(folder_of(*each).as_posix(), "stored") for each in wanted}
