"""Sequential MNIST, pixel by pixel, with the methods of the literature; reduced: a row of pixels a step."""

from gateflow.study.experiments._images import METHODS, REDUCED, SMALL
from gateflow.study.plan import Plan

EXPERIMENT = Plan(
    base={"task": "smnist", "steps": 55_000},
    arms=METHODS,
    seeds=3,
    reduced={**REDUCED, "task": "smnist(per_step=28, valid=1000)"},
    reduced_arms=SMALL,
    reduced_seeds=2,
    source="each method its own settings; 100 epochs as van der Westhuizen and Lasenby 2018 (arXiv 1804.04849)",
    needs=("MNIST",),
)
