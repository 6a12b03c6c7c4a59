"""Copying symbols after a wait: every gate with every initialiser at several lengths."""

from gateflow.study.experiments._tasks import crossed
from gateflow.study.plan import Plan

SMALL = "copying(horizon={horizon}, symbols=1, alphabet=4, held_out=200)"

EXPERIMENT = Plan(
    base={"optimizer": "rmsprop(alpha=0.9)", "lr": 1e-3, "batch": 20, "hidden": 128, "clip": 1.0, "steps": 20_000},
    arms=crossed("copying(horizon={horizon})", (100, 200, 300, 500)),
    seeds=5,
    reduced={
        "optimizer": "adam",
        "lr": 2e-2,
        "batch": 32,
        "hidden": 16,
        "steps": 500,
        "evaluate_every": 50,
        "stop_when_solved": True,
    },
    reduced_arms={**crossed(SMALL, (10,)), **crossed(SMALL, (20,), ("chrono",))},
    reduced_seeds=2,
    source="Arjovsky, Shah and Bengio 2016 (arXiv 1511.06464), §4.1: lengths, optimiser, batch; the size of adding",
)
