"""The analysis of a registered experiment from its stored runs: docs/study/protocol.md says why each number is made.

Before all planned runs are stored no outcome is computed, let alone shown.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gateflow.errors import InvalidArgument
from gateflow.study.agreement import Arrival
from gateflow.study.experiment import Experiment, Question
from gateflow.study.paired import (
    Slope,
    Survival,
    detectable,
    equivalence,
    holm,
    log_rank,
    ratio,
    sign_flips,
    slope_of,
    survival,
)
from gateflow.study.stored import StoredRun, kept

ALPHA = 0.05
"""Level of each family of tests, and of each equivalence."""

MARGIN = math.log(1.5)
"""Within a factor of 1.5 two arms are called equivalent."""

ENOUGH = 0.8
"""Part of the runs of an arm that must have arrived before it may be called equivalent to another."""

FEWEST = 5
"""Seeds of an experiment that was cut short, below which nothing is reported."""


@dataclass(frozen=True)
class Answer:
    """What is found of one question.

    Parameters
    ----------
    question : Question
    pairs : int
        Seeds.
    ratio, low, high : float
        Geometric mean over seeds of steps of the first over steps of the second, and its interval of 95 %: below 1 the
        first arrives sooner.
    p, corrected : float
        Of sign flips; corrected over the family, nan outside it.
    equivalent_low, equivalent_high : float
        The interval of 90 %, which for equivalence must lie between 1/1.5 and 1.5.
    p_equivalent : float
        Of two one-sided tests at a factor of 1.5.
    arrived : float
        Least share of runs that arrived among its arms.
    p_log_rank : float
        Of the log-rank test, arms of a group pooled; not paired.
    spread : float
        Standard deviation over seeds of the log ratio.
    detectable : float
        The least factor that these seeds show at that spread with a probability of .9, at the level of the family
        shared evenly.
    """

    question: Question
    pairs: int
    ratio: float
    low: float
    high: float
    p: float
    corrected: float
    equivalent_low: float
    equivalent_high: float
    p_equivalent: float
    arrived: float
    p_log_rank: float
    spread: float
    detectable: float

    @property
    def differs(self) -> bool:
        """Whether the corrected test rejects."""
        return self.corrected <= ALPHA

    @property
    def equivalent(self) -> bool:
        """Whether the two are equivalent within a factor of 1.5, with enough runs that arrived."""
        return self.p_equivalent <= ALPHA and self.arrived >= ENOUGH

    @property
    def sooner(self) -> str:
        """Which is sooner: "first", "second", or "" where the test does not decide."""
        return "" if not self.differs else "first" if self.ratio < 1 else "second"


@dataclass(frozen=True)
class BridgeRung:
    """One rung of the bridge.

    Parameters
    ----------
    number : int
    slope : Slope
    arrived : float
        Share of its runs that arrived.
    path : Slope or None
        The same line for the steps until the mean forget gate was where the prediction ends; exploratory. Where it
        holds and the slope does not, the gate moves as predicted and the loss does not follow it alone. None where the
        units have no layer, or in some run it never was there: runs end when their loss is low.
    came : float or None
        Share of the runs in which it was.
    otherwise : dict of str to Slope
        The line against further predictions, by what they assume; exploratory.
    """

    number: int
    slope: Slope
    arrived: float
    path: Slope | None = None
    came: float | None = None
    otherwise: dict[str, Slope] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether theory predicts it: nine runs in ten arrive, and the interval of the slope lies in [.8, 1.25]."""
        return self.arrived >= 0.9 and self.slope.low >= 0.8 and self.slope.high <= 1.25


@dataclass(frozen=True)
class Analysis:
    """A registered experiment, all its runs stored.

    Parameters
    ----------
    name : str
    seeds : int
        Of each arm.
    cut : bool
        Whether it was cut short.
    commits : list of str
        Of the code that made its runs.
    arrivals : dict of str to list of Arrival
        By arm, in the order of the seeds.
    survivals : dict of str to Survival
    answers : list of Answer
    rungs : list of Rung
    not_finite : int
        Runs that stopped at a loss that was no number; they count as not arrived.
    conclusions : list of str
        What the registered rules allow to say.
    """

    name: str
    seeds: int
    cut: bool
    commits: list[str]
    arrivals: dict[str, list[Arrival]]
    survivals: dict[str, Survival]
    answers: list[Answer]
    rungs: list[BridgeRung]
    not_finite: int
    conclusions: list[str] = field(default_factory=list)

    def answer(self, name: str) -> Answer:
        """The answer to a question by its name."""
        return next(each for each in self.answers if each.question.name == name)


def analyse(name: str, plan: Experiment, results: Path, *, cut: bool = False) -> Analysis:
    """Every number of a registered experiment, from its stored runs.

    Parameters
    ----------
    name : str
    plan : Experiment
        With questions, or arms of a bridge.
    results : path
        The folder of stored runs.
    cut : bool
        Take the seeds of which all arms have ended, where the plan may be cut short.

    Raises
    ------
    InvalidArgument
        Not all planned runs are stored, or a stored one is damaged; or the experiment is not a registered one.
    """
    if not plan.registered:
        raise InvalidArgument(f"{name} asks no question that was registered")
    plan = plan.chosen(results)
    return analysis_of(name, plan, kept(plan, results, name), cut=cut)


def analysis_of(
    name: str, plan: Experiment, runs: dict[str, dict[int, StoredRun]], *, cut: bool = False, fewest: int = FEWEST
) -> Analysis:
    """The same of runs by arm and seed, wherever they were read; reported where ``fewest`` seeds are whole."""
    seeds = _seeds(name, plan, runs, cut, fewest)
    if any(math.isnan(run.chance) for found in runs.values() for run in found.values()):
        raise InvalidArgument(f"{name}: its task does not say what an answer without memory loses, so no run arrives")
    chosen = {arm: [found[seed] for seed in seeds] for arm, found in runs.items()}
    arrivals = {arm: [run.arrival(plan.level, plan.consecutive) for run in each] for arm, each in chosen.items()}
    flat = [run for each in chosen.values() for run in each]
    found = Analysis(
        name,
        len(seeds),
        len(seeds) < plan.seeds,
        sorted({run.commit for run in flat}),
        arrivals,
        {arm: survival(each) for arm, each in arrivals.items()},
        answers(plan.questions, arrivals),
        rungs(plan, arrivals, chosen),
        sum(run.status == "not finite" for run in flat),
    )
    found.conclusions[:] = plan.conclude(found) if plan.conclude else []
    return found


def _seeds(
    name: str, plan: Experiment, runs: dict[str, dict[int, StoredRun]], cut: bool, fewest: int = FEWEST
) -> list[int]:
    """The seeds that are analysed: all that are planned, or where it was cut short those that are whole."""
    planned = list(range(plan.first, plan.first + plan.seeds))
    whole = [seed for seed in planned if all(seed in found for found in runs.values())]
    if len(whole) == len(planned) > 1:
        return planned
    done, of = sum(map(len, runs.values())), len(planned) * len(runs)
    if not cut:
        raise InvalidArgument(f"{name} is planned with {of} runs, and {done} are done: outcomes are shown when all are")
    if not plan.may_be_cut:
        raise InvalidArgument(f"{name} may not be cut short: {done} of {of} runs are done")
    if len(whole) < fewest:
        raise InvalidArgument(f"{name}: {len(whole)} seeds are whole, and {fewest} are the fewest that are analysed")
    return whole


def answers(questions: Sequence[Question], arrivals: dict[str, list[Arrival]]) -> list[Answer]:
    """The answer to each question; p-values of those that are tested are corrected together."""
    logs = {arm: np.log([max(run.step, 1) for run in runs]) for arm, runs in arrivals.items()}
    gaps = [(_mean(logs, each.first) - _mean(logs, each.second)).tolist() for each in questions]
    plain = [sign_flips(gap) for gap in gaps]
    tested = [k for k, each in enumerate(questions) if each.tested]
    corrected = dict(zip(tested, holm([plain[k] for k in tested]), strict=True))
    found = []
    for k, (question, gap) in enumerate(zip(questions, gaps, strict=True)):
        groups = [list(itertools.chain(*(arrivals[arm] for arm in arms))) for arms in (question.first, question.second)]
        shares = [_share(arrivals[arm]) for arm in (*question.first, *question.second)]
        found.append(
            Answer(
                question,
                len(gap),
                *ratio(gap),
                plain[k],
                corrected.get(k, math.nan),
                *ratio(gap, 1 - 2 * ALPHA)[1:],
                equivalence(gap, MARGIN),
                min(shares),
                log_rank(*groups),
                spread := float(np.std(gap, ddof=1)),
                detectable(len(gap), spread, ALPHA / max(1, len(tested))),
            )
        )
    return found


def rungs(plan: Experiment, arrivals: dict[str, list[Arrival]], runs: dict[str, list[StoredRun]]) -> list[BridgeRung]:
    """The rungs of a bridge, by the geometric mean over seeds of each of their arms; none for others."""
    found = []
    for number in sorted({plan.told[arm]["rung"] for arm in plan.predicted}):
        arms = [arm for arm in plan.predicted if plan.told[arm]["rung"] == number]
        wanted = [plan.predicted[arm] for arm in arms]
        measured = [_typical([run.step for run in arrivals[arm]]) for arm in arms]
        fitted = slope_of(measured, wanted)
        others = {
            name: slope_of(measured, [steps[arm] for arm in arms])
            for name, steps in plan.otherwise.items()
            if steps.keys() >= set(arms)
        }
        share = _share([run for arm in arms for run in arrivals[arm]])
        path, came = _way_of_gate([(number, runs[arm]) for arm in arms], wanted)
        found.append(BridgeRung(number, fitted, share, path, came, others))
    return found


def _way_of_gate(cells: list[tuple[int, list[StoredRun]]], wanted: list[int]) -> tuple[Slope | None, float | None]:
    """The line for the steps until the mean forget gate was where the prediction ends, and the share where it was."""
    if not all(run.forget for _, runs in cells for run in runs):
        return None, None
    steps = [_reached(rung, runs) for rung, runs in cells]
    there = [[step for step in each if step is not None] for each in steps]
    came = sum(map(len, there)) / sum(map(len, steps))
    return (slope_of([_typical(each) for each in there], wanted) if came == 1 else None), came


def _reached(rung: int, runs: list[StoredRun]) -> list[int | None]:
    from gateflow.guards.calls import name_and_options
    from gateflow.study.bridge import value_at_level

    horizon = name_and_options(runs[0].settings["task"])[1]["horizon"]
    return [run.reached(value_at_level(rung, horizon)) for run in runs]


def _typical(steps: list[int]) -> float:
    return math.exp(float(np.mean(np.log([max(step, 1) for step in steps]))))


def first_failure(found: Analysis) -> BridgeRung | None:
    """The lowest rung that theory does not predict."""
    return next((rung for rung in found.rungs if not rung.holds), None)


def _mean(logs: dict[str, np.ndarray], arms: tuple[str, ...]) -> np.ndarray:
    return np.mean([logs[arm] for arm in arms], axis=0)


def _share(runs: list[Arrival]) -> float:
    return sum(run.arrived for run in runs) / len(runs)


def fastest(plan: Experiment, results: Path, name: str, groups: dict[str, list[str]]) -> tuple[str, ...]:
    """Of each group of arms the one with the least mean of log steps, the first of several alike.

    Raises
    ------
    InvalidArgument
        Not all planned runs are stored.
    """
    runs = kept(plan, results, name)
    seeds = _seeds(name, plan, runs, cut=False)

    def late(arm: str) -> float:
        arrivals = (runs[arm][seed].arrival(plan.level, plan.consecutive) for seed in seeds)
        return float(np.mean([math.log(max(each.step, 1)) for each in arrivals]))

    return tuple(min(arms, key=late) for arms in groups.values())


def to_json(found: Analysis) -> dict[str, Any]:
    """All of it as plain numbers."""
    return {
        "experiment": found.name,
        "seeds": found.seeds,
        "cut short": found.cut,
        "commits": found.commits,
        "not finite": found.not_finite,
        "arms": {
            arm: {
                "runs": len(runs),
                "arrived": sum(run.arrived for run in runs),
                "steps": [run.step for run in runs],
                "median": found.survivals[arm].median,
                "survival": vars(found.survivals[arm]),
            }
            for arm, runs in found.arrivals.items()
        },
        "questions": [
            {
                **{key: value for key, value in vars(each).items() if key != "question"},
                "name": each.question.name,
                "differs": each.differs,
                "equivalent": each.equivalent,
            }
            for each in found.answers
        ],
        "rungs": [
            {
                "rung": each.number,
                **vars(each.slope),
                "arrived": each.arrived,
                "holds": each.holds,
                "path, exploratory": None if each.path is None else vars(each.path),
                "came, exploratory": each.came,
                "otherwise, exploratory": {name: vars(line) for name, line in each.otherwise.items()},
            }
            for each in found.rungs
        ],
        "conclusions": found.conclusions,
    }
