"""Do gates learn to add in the order of their saturation? T = 100, three optimisers, from the same f."""

from gateflow.study.experiments.study_copying import EXPERIMENT as COPYING
from gateflow.study.plan import Plan, by_optimizer

RATES = {"rmsprop": 3e-3, "adam": 3e-3, "sgd": 0.1}
"""The first two as for copying."""

EXPERIMENT = Plan(
    base={**COPYING.base, "task": "adding(horizon=100, held_out=200)", "steps": 2500},
    arms=by_optimizer(RATES),
    seeds=5,
    reduced={"steps": 400, "task": "adding(horizon=20, held_out=100)"},
    source="the task as in Arjovsky, Shah and Bengio 2016; the gates as in Ohno, Kanai and Ida 2023",
    level=0.1,
)
