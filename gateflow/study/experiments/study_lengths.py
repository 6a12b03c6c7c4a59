"""Does the order of gates hold at longer waits? Copying over T = 200, 500 and 1000 with RMSprop, from f^T = e^-5."""

import math

from gateflow.study.experiments.study_copying import EXPERIMENT as SHORT
from gateflow.study.experiments.study_copying import RATES
from gateflow.study.plan import GATES, Plan

STEPS = {200: 4000, 500: 3000, 1000: 2000}
"""Fewer where a step takes longer."""

EXPERIMENT = Plan(
    base={**SHORT.base, "optimizer": "rmsprop", "lr": RATES["rmsprop"]},
    arms={
        f"{gate}, T={T}": {
            **settings,
            "task": f"copying(horizon={T}, symbols=3, held_out=200)",
            "init": f"matched(f={math.exp(-5 / T):.6f})",
            "steps": steps,
        }
        for T, steps in STEPS.items()
        for gate, settings in GATES.items()
    },
    seeds=5,
    reduced=SHORT.reduced,
    source=SHORT.source,
)
