"""Experiments that have a name: settings that all runs share, arms that are compared, seeds; in full and reduced."""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
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

Arms = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Question:
    """Two groups of arms that are compared, seed by seed.

    Parameters
    ----------
    name : str
    first, second : tuple of str
        Arms; of several the mean of log steps is taken.
    tested : bool
        Whether it belongs to the family whose p-values are corrected together. What does not is looked at for
        equivalence only.
    """

    name: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    tested: bool = True


def by_optimizer(rates: Mapping[str, float], gates: Arms = GATES) -> Arms:
    """An arm for each gate with each optimiser at its learning rate.

    Examples
    --------
    >>> by_optimizer({"sgd": 0.1}, {"fast": {"forget_gate": "fast"}})
    {'fast, sgd': {'forget_gate': 'fast', 'optimizer': 'sgd', 'lr': 0.1}}
    """
    return {
        f"{gate}, {optimizer}": {**settings, "optimizer": optimizer, "lr": rate}
        for optimizer, rate in rates.items()
        for gate, settings in gates.items()
    }


@dataclass(frozen=True)
class Plan:
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
    make : callable, optional
        Makes a run: ``make(settings, out=, data_dir=, stop=)``. By default it is :func:`gateflow.training.train`;
        whatever it is, it goes on where it was and leaves the same files.
    score : str
        The measure its runs are judged by, where that is not the task's.
    first : int
        The first seed; the others follow.
    consecutive : int
        Evaluations in a row that must lie below the level.
    questions : tuple of Question
        What its analysis compares. A plan with questions, or a conclusion, tells no outcome before all runs have ended.
    told : mapping of str to mapping
        What ``make`` is told of each arm beside settings.
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
    make: Callable[..., Any] | None = None
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
        """Whether its outcomes are told only when all runs have ended."""
        return bool(self.questions) or self.conclude is not None

    def small(self) -> Plan:
        """The plan as it is reduced, as a plan of its own."""
        arms = {arm: self.settings(arm, reduced=True) for arm in self.arms_of(True)}
        return replace(self, base={}, arms=arms, seeds=self.reduced_seeds, reduced={}, reduced_arms=None)

    def exploratory(self) -> Plan:
        """The plan with a question for each pair of arms under the same condition; none of them was registered.

        A condition is what stands after the first comma of an arm's name.
        """
        pairs = itertools.combinations(self.arms, 2)
        alike = [pair for pair in pairs if len({arm.partition(", ")[2] for arm in pair}) == 1]
        questions = tuple(Question(f"{one} against {other}", (one,), (other,)) for one, other in alike)
        return replace(self, questions=questions, conclude=_nothing, may_be_cut=True)

    def chosen(self, results: Path) -> Plan:
        """The plan with the arms that the results of an experiment before it have chosen, if it asks for that.

        Its questions speak of these arms by what stands before the comma.

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


def carry_out(
    plan: Plan,
    out: Path,
    *,
    reduced: bool = False,
    seeds: int | None = None,
    only: str | None = None,
    more: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    keep: Callable[[str, int, Path], None] | None = None,
    stored: Collection[tuple[str, int]] = (),
    stop: Callable[[], bool] | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, str]:
    """Make every run of a plan from wherever an earlier call was left; the status of each, by its folder.

    ``keep`` is told of each run that has ended, its arm, seed and folder, to store what is small of it; a run in
    ``stored`` (arm, seed) was kept by an earlier call and is passed over. With ``only`` it is the runs of the arms
    whose name contains that. A run that another process is at work on is passed over: the same command, given twice,
    shares the work.
    """
    make, stop = plan.make or _trained, stop or (lambda: False)
    wanted = [each for each in plan.runs(reduced=reduced, seeds=seeds) if (only or "") in each[0]]
    if not wanted:
        raise InvalidArgument(f"no arm has {only!r} in its name; there are: {'; '.join(plan.arms_of(reduced))}")
    statuses = {folder_of(*each).as_posix(): "not begun" for each in wanted}
    with Meter("runs", len(wanted)) as meter:
        for number, (arm, seed) in enumerate(wanted, 1):
            path = folder_of(arm, seed)
            if (arm, seed) in stored:
                statuses[path.as_posix()] = "stored"
                continue
            settings = {**plan.settings(arm, reduced=reduced), **(more or {}), "seed": seed}
            meter.update(number - 1, path.as_posix())
            try:
                with silence():
                    found = make(settings, out=out / path, data_dir=data_dir, stop=stop, **plan.told.get(arm, {}))
            except InvalidArgument as problem:
                if "another process" not in str(problem):
                    raise
                statuses[path.as_posix()] = "elsewhere"
                continue
            statuses[path.as_posix()] = found.status
            if keep is not None and found.status != "interrupted":
                keep(arm, seed, out / path)
            if tell is not None and found.status != "interrupted":
                tell(f"{path.as_posix()}: {found.status} after {found.steps} steps, {found.seconds:.0f} s")
            meter.update(number, path.as_posix())
            if stop():
                break
    return statuses


def _trained(*arguments: Any, **keywords: Any) -> Any:
    from gateflow.training.loop import train

    return train(*arguments, **keywords)
