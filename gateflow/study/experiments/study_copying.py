"""Do gates learn to copy in the order of their saturation? T = 100, three optimisers, from the same f."""

from gateflow.study.plan import Plan, by_optimizer

RATES = {"rmsprop": 3e-3, "adam": 3e-3, "sgd": 1.0}
"""Not tuned gate by gate: the first is the one of two at which a pilot (fast gate, RMSprop, seed 7) began to remember
in 3,000 steps, the second repeats it, and the third was the only one tried for gradient descent, with the sigmoid."""

EXPERIMENT = Plan(
    base={
        "task": "copying(horizon=100, symbols=3, held_out=200)",
        "hidden": 32,
        "batch": 32,
        "clip": 1.0,
        "init": "matched(f=0.95)",
        "steps": 4000,
        "evaluate_every": 100,
        "log_every": 100,
        "stop_when_solved": True,
        "record_units": True,
        "device": "cpu",
    },
    arms=by_optimizer(RATES),
    seeds=5,
    reduced={"steps": 600, "task": "copying(horizon=20, symbols=2, held_out=100)"},
    source="the task as in Arjovsky, Shah and Bengio 2016; the gates as in Ohno, Kanai and Ida 2023",
)
