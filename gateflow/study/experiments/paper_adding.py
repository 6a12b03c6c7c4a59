"""Adding over T = 5000 as in the paper, one layer of 128 units; optimiser and rates are not known, and ours."""

from gateflow.study.experiments._published import FROM_THE_START, PAPER, PAPER_UNKNOWN, SOURCES_OF_THE_START
from gateflow.study.plan import Plan

BASELINES = {
    "chrono": {"forget_gate": "sigmoid", "init": "chrono"},
    "janet": {"cell": "janet", "forget_gate": "sigmoid", "init": "chrono"},
    "nru": {"cell": "nru(memory_size=64, heads=4)", "init": "none"},
}

EXPERIMENT = Plan(
    base={
        "task": "adding(horizon=5000)",
        "layers": 1,
        "hidden": 128,
        "optimizer": "rmsprop(alpha=0.9)",
        "lr": 1e-3,
        "batch": 50,
        "clip": 1.0,
        "steps": 20_000,
    },
    arms={**FROM_THE_START, **BASELINES},
    seeds=3,
    reduced={"task": "adding(horizon=20, held_out=100)", "hidden": 16, "batch": 32, "steps": 60, "evaluate_every": 20},
    source=PAPER,
    sources={
        **PAPER_UNKNOWN,
        **SOURCES_OF_THE_START,
        "task": f"T = 5000: {PAPER}",
        "layers": PAPER,
        "hidden": PAPER,
        "cell": f"{PAPER}; memory 64 and 4 heads of the NRU: not known, ours",
    },
)
