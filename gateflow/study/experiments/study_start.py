"""The paper's start, f = sigma(1), on adding over T = 500: slope or order? Optimiser and rate are ours; registered."""

import math

from gateflow.study.experiments.study_slopes import SOURCE
from gateflow.study.plan import Plan, Question
from gateflow.study.rules import of_start

STEEP = "sigmoid(k*z); k=1.4142135623730951"
"""The sigmoid with the slope that the fast gate has where it is sigma(1)."""

GATES = {"softsign": "softsign", "sigmoid": "sigmoid", "steep sigmoid": STEEP, "fast": "fast"}
PAIRS = (("fast", "sigmoid"), ("fast", "steep sigmoid"), ("sigmoid", "softsign"))

EXPERIMENT = Plan(
    base={
        "task": "adding(horizon=500, held_out=400)",
        "hidden": 128,
        "batch": 32,
        "clip": 1.0,
        "optimizer": "adam",
        "lr": 1e-3,
        "steps": 10_000,
        "evaluate_every": 50,
        "log_every": 10_000,
        "stop_when_solved": True,
        "init": f"matched(f={1 / (1 + math.exp(-1)):.17g})",
        "backend": "native",
        "device": "cpu",
    },
    arms={name: {"forget_gate": gate} for name, gate in GATES.items()},
    seeds=10,
    first=633_000,
    consecutive=2,
    questions=tuple(Question(f"{one} against {other}", (one,), (other,)) for one, other in PAIRS),
    conclude=of_start,
    may_be_cut=True,
    reduced={"steps": 40, "task": "adding(horizon=20, held_out=20)", "evaluate_every": 10, "hidden": 8},
    source=SOURCE,
)
