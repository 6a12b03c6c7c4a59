"""Adding two numbers out of many: every gate with every initialiser at several lengths."""

from gateflow.study.experiments._tasks import crossed
from gateflow.study.plan import Plan

SMALL = "adding(horizon={horizon}, held_out=200)"

EXPERIMENT = Plan(
    base={"optimizer": "rmsprop(alpha=0.9)", "lr": 1e-3, "batch": 50, "hidden": 128, "clip": 1.0, "steps": 20_000},
    arms=crossed("adding(horizon={horizon})", (100, 200, 400, 750)),
    seeds=5,
    reduced={"optimizer": "adam", "lr": 2e-2, "batch": 32, "hidden": 16, "steps": 300, "evaluate_every": 50},
    reduced_arms={**crossed(SMALL, (20,)), **crossed(SMALL, (50,), ("chrono",))},
    reduced_seeds=2,
    source="Arjovsky, Shah and Bengio 2016 (arXiv 1511.06464), §4.2: lengths, optimiser, batch, hidden units",
)
