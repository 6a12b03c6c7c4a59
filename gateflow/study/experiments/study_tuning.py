"""Which step size of the forget gate suits each gate? Copying, T = 100, slopes matched; registered, for study-rates."""

from gateflow.study.experiments.study_slopes import BASE, GATES, SOURCE
from gateflow.study.plan import Plan

MULTIPLIERS = ("0.111", "0.333", "1", "3", "9", "27")
"""Of the step size of the forget gate's weights."""


def arms_of(gates: dict[str, str]) -> dict[str, dict[str, str]]:
    """An arm for each gate and multiplier."""
    return {
        f"{name}, x{factor}": {"forget_gate": gate, "lr_of": f"forget={factor}"}
        for name, gate in gates.items()
        for factor in MULTIPLIERS
    }


EXPERIMENT = Plan(
    base={**BASE, "init": "matched(f=0.95, slope=1)"},
    arms=arms_of(GATES),
    seeds=10,
    first=622_000,
    consecutive=2,
    conclude=lambda found: ["It chooses the arms of study-rates, and nothing is concluded from it."],
    reduced={"steps": 40, "task": "copying(horizon=10, symbols=1, held_out=20)", "evaluate_every": 10, "hidden": 8},
    source=SOURCE,
)
