"""Do gates learn to copy in the order of their saturation? T = 100, three optimisers, from the same f."""

from gateflow.study.plan import GATES, Plan

RATES = {"rmsprop": 1e-3, "adam": 1e-3, "sgd": 1.0}
"""None of them is tuned: 1.0 was the one rate of plain gradient descent that was tried, with the sigmoid gate."""

EXPERIMENT = Plan(
    base={
        "task": "copying(horizon=100, held_out=200)",
        "hidden": 64,
        "batch": 32,
        "clip": 1.0,
        "init": "matched",
        "steps": 8000,
        "evaluate_every": 200,
        "log_every": 200,
        "stop_when_solved": True,
        "record_units": True,
        "device": "cpu",
    },
    arms={
        f"{gate}, {optimizer}": {**settings, "optimizer": optimizer, "lr": rate}
        for optimizer, rate in RATES.items()
        for gate, settings in GATES.items()
    },
    seeds=5,
    reduced={"steps": 600, "task": "copying(horizon=20, symbols=2, held_out=100)", "hidden": 32},
    source="the task as in Arjovsky, Shah and Bengio 2016; the gates as in Ohno, Kanai and Ida 2023",
)
