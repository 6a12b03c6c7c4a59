"""Sequential CIFAR-10, pixel by pixel, with the methods of the literature; reduced: a row of pixels a step."""

from gateflow.study.experiments._images import METHODS, REDUCED, SMALL
from gateflow.study.plan import Plan

EXPERIMENT = Plan(
    base={"task": "scifar", "steps": 90_000},
    arms=METHODS,
    seeds=3,
    reduced={**REDUCED, "steps": 200, "task": "scifar(per_step=32, valid=1000)"},
    reduced_arms=SMALL,
    reduced_seeds=2,
    source="each method its own settings; the task, 256 units and 100 epochs as Gu et al. 2020 (arXiv 1910.09890)",
    needs=("CIFAR-10",),
)
