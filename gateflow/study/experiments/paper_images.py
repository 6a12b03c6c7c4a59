"""Images pixel by pixel as in the paper, 512 units; optimiser and rates are not known, and ours."""

from gateflow.study.experiments._published import FROM_THE_START, PAPER, PAPER_UNKNOWN, SOURCES_OF_THE_START
from gateflow.study.experiments.paper_adding import BASELINES
from gateflow.study.plan import Plan

TASKS = {"smnist": 55_000, "pmnist": 55_000, "scifar": 90_000}
"""With steps for a hundred epochs of batches of 100 or 50: ours."""

ARMS = {**FROM_THE_START, **BASELINES, "nru": {"cell": "nru(memory_size=144, heads=4)", "init": "none"}}

EXPERIMENT = Plan(
    base={"layers": 1, "hidden": 512, "optimizer": "adam", "lr": 1e-3, "batch": 100, "clip": 1.0},
    arms={
        f"{name}, {task}": {**settings, "task": task, "steps": steps}
        for task, steps in TASKS.items()
        for name, settings in ARMS.items()
    },
    seeds=3,
    reduced={"task": "smnist(per_step=28, valid=1000)", "hidden": 32, "batch": 50, "steps": 40, "evaluate_every": 20},
    reduced_arms={f"{name}, smnist": settings for name, settings in ARMS.items()},
    source=PAPER,
    sources={
        **PAPER_UNKNOWN,
        **SOURCES_OF_THE_START,
        "task": PAPER,
        "layers": PAPER,
        "hidden": PAPER,
        "cell": f"{PAPER}; memory 144 of the NRU: the same; 4 heads: not known, ours",
    },
    needs=("MNIST", "CIFAR-10"),
)
