"""Where does theory stop on the way from the exact unit to a whole network? Recall, six rungs; registered."""

from gateflow.study.bridge import LEVEL, RUNGS, bridge
from gateflow.study.experiments.study_slopes import SOURCE
from gateflow.study.plan import Plan
from gateflow.study.rules import of_bridge

START = 0.9
"""f of every unit at the start, where every gate is rescaled to the slope 1."""

PREDICTED = {
    1: {
        "softsign": {
            (10, 0.003): 972,
            (10, 0.01): 266,
            (30, 0.003): 3593,
            (30, 0.01): 1134,
            (100, 0.003): 12347,
            (100, 0.01): 3718,
        },
        "sigmoid": {
            (10, 0.003): 355,
            (10, 0.01): 59,
            (30, 0.003): 670,
            (30, 0.01): 127,
            (100, 0.003): 827,
            (100, 0.01): 150,
        },
        "fast": {
            (10, 0.003): 244,
            (10, 0.01): 36,
            (30, 0.003): 383,
            (30, 0.01): 57,
            (100, 0.003): 358,
            (100, 0.01): 50,
        },
    },
    3: {
        "softsign": {
            (10, 0.003): 263,
            (10, 0.01): 43,
            (30, 0.003): 1607,
            (30, 0.01): 486,
            (100, 0.003): 5915,
            (100, 0.01): 1832,
        },
        "sigmoid": {
            (10, 0.003): 131,
            (10, 0.01): 18,
            (30, 0.003): 469,
            (30, 0.01): 82,
            (100, 0.003): 789,
            (100, 0.01): 148,
        },
        "fast": {
            (10, 0.003): 102,
            (10, 0.01): 14,
            (30, 0.003): 301,
            (30, 0.01): 45,
            (100, 0.003): 420,
            (100, 0.01): 61,
        },
    },
}
"""Steps as gateflow.study.bridge.predicted tells, by horizon and rate: for one lag, from rung 3 on for U{1..T}."""

TWO_BIASES = {
    "softsign": {
        (10, 0.003): 97,
        (10, 0.01): 14,
        (30, 0.003): 817,
        (30, 0.01): 217,
        (100, 0.003): 3000,
        (100, 0.01): 947,
    },
    "sigmoid": {(10, 0.003): 43, (10, 0.01): 6, (30, 0.003): 183, (30, 0.01): 26, (100, 0.003): 320, (100, 0.01): 46},
    "fast": {(10, 0.003): 33, (10, 0.01): 5, (30, 0.003): 105, (30, 0.01): 14, (100, 0.003): 145, (100, 0.01): 19},
}
"""The same for U{1..T} where b_f is two biases that both learn, as in the standard start: z moves twice as fast."""

ROOM = 4
"""A run is given so many times the steps predicted."""

CELLS = [
    (f"rung {rung}, {gate}, T={horizon}, lr={rate:g}", rung, gate, horizon, rate, steps)
    for rung in RUNGS
    for gate, row in PREDICTED[1 if rung <= 2 else 3].items()
    for (horizon, rate), steps in row.items()
]

EXPERIMENT = Plan(
    base={
        "hidden": 8,
        "batch": 32,
        "clip": 0.0,
        "optimizer": "rmsprop",
        "init": f"matched(f={START}, slope=1)",
        "log_every": 10**6,
        "stop_when_solved": True,
        "backend": "native",
        "device": "cpu",
    },
    arms={
        arm: {
            "task": f"recall(horizon={horizon}, held_out=400)",
            "forget_gate": gate,
            "lr": rate,
            "steps": ROOM * steps,
            "evaluate_every": max(1, steps // 50),
        }
        for arm, _, gate, horizon, rate, steps in CELLS
    },
    told={arm: {"rung": rung} for arm, rung, *_ in CELLS},
    predicted={arm: steps for arm, *_, steps in CELLS},
    otherwise={
        "one lag": {arm: PREDICTED[1][gate][T, rate] for arm, rung, gate, T, rate, _ in CELLS if rung > 2},
        "two biases": {arm: TWO_BIASES[gate][T, rate] for arm, rung, gate, T, rate, _ in CELLS if rung == 6},
    },
    seeds=10,
    first=644_000,
    level=LEVEL,
    consecutive=2,
    conclude=of_bridge,
    make=bridge,
    reduced={"steps": 4, "evaluate_every": 2},
    source=SOURCE,
)
