"""What a step of training costs, and how much memory it takes, for every method of the literature."""

from gateflow.study.cost import cost
from gateflow.study.plan import Plan
from gateflow.training.methods import METHODS

EXPERIMENT = Plan(
    base={"task": "adding(horizon=1000)", "layers": 1, "hidden": 512, "batch": 100, "steps": 20},
    arms={name: {"method": name} for name in METHODS},
    seeds=3,
    reduced={"task": "adding(horizon=200)", "hidden": 128, "batch": 32, "steps": 5, "device": "cpu"},
    reduced_seeds=2,
    source="each method as its source has it, all of one layer of the same size; the NRU with its memory of 256",
    make=cost,
    score="cpu_ratio",
)
