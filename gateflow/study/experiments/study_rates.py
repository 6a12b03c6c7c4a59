"""Does the order of gates reverse at step sizes of their own (T8)? Each at its best of study-tuning; registered."""

from dataclasses import replace
from pathlib import Path

from gateflow.study.experiments.study_slopes import GATES
from gateflow.study.experiments.study_tuning import EXPERIMENT as TUNING
from gateflow.study.experiments.study_tuning import MULTIPLIERS
from gateflow.study.plan import Plan, Question
from gateflow.study.rules import of_rates

PAIRS = (("fast", "sigmoid"), ("fast", "softsign"), ("sigmoid", "softsign"))
GROUPS = {name: [f"{name}, x{factor}" for factor in MULTIPLIERS] for name in GATES}


def best(results: Path) -> tuple[str, ...]:
    """For each gate the multiplier with the least mean of log steps among the seeds of study-tuning."""
    from gateflow.study.analysis import fastest

    return fastest(TUNING, results, "study-tuning", GROUPS)


EXPERIMENT: Plan = replace(
    TUNING,
    seeds=40,
    first=623_000,
    choose=best,
    questions=tuple(Question(f"{one} against {other}", (one,), (other,)) for one, other in PAIRS),
    conclude=of_rates,
)
