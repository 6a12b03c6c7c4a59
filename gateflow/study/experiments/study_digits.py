"""Do gates learn images in the order of their saturation? Digits pixel by pixel, three optimisers, from the same f."""

from gateflow.study.experiments.study_copying import EXPERIMENT as COPYING
from gateflow.study.plan import Plan, by_optimizer

RATES = {"rmsprop": 3e-3, "adam": 3e-3, "sgd": 0.1}
"""The first two as for copying."""

EXPERIMENT = Plan(
    base={**COPYING.base, "task": "digits(per_step=1)", "steps": 2500},
    arms=by_optimizer(RATES),
    seeds=5,
    reduced={"steps": 300, "task": "digits(per_step=8)"},
    source="the task of Le, Jaitly and Hinton 2015, on smaller images; the gates as in Ohno, Kanai and Ida 2023",
    level=0.5,
)
