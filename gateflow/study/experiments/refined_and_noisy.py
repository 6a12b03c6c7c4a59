"""The refine gate in both published forms, and noisy gates with and without the noisy tanh, on permuted MNIST."""

from gateflow.study.experiments._published import NOISY, REFINE, UNKNOWN
from gateflow.study.plan import Plan

ARMS = {
    "refine, as in the paper": {"cell": "ur-lstm", "forget_gate": "sigmoid", "init": "none"},
    "refine, as in later code": {"cell": "refine", "forget_gate": "sigmoid", "init": "uniform(refine=false)"},
    "noisy gates": {"cell": "noisy", "init": "none"},
    "noisy gates and tanh": {"cell": "noisy(noisy_tanh=true)", "init": "none"},
}

EXPERIMENT = Plan(
    base={
        "task": "pmnist",
        "layers": 1,
        "hidden": 512,
        "optimizer": "adam",
        "lr": 1e-3,
        "batch": 50,
        "clip": 1.0,
        "steps": 110_000,
    },
    arms=ARMS,
    seeds=3,
    reduced={"task": "smnist(per_step=28, valid=1000)", "hidden": 32, "steps": 40, "evaluate_every": 20},
    source=f"{REFINE}; Gulcehre et al. 2016",
    sources={
        "cell": f"r from its own weights in both: Gu et al. 2020 and {REFINE}:38 to 44; noisy: {NOISY}",
        "forget_gate": "the sigmoid, as in both sources",
        "init": f"b and -b, here each with its own to learn: Gu et al. 2020; b alone: {REFINE}:42 to 44",
        "task": "not known for noisy gates; permuted MNIST of Gu et al. 2020",
        "layers": UNKNOWN,
        **dict.fromkeys(("hidden", "optimizer", "lr", "batch", "clip", "steps"), UNKNOWN),
    },
    needs=("MNIST",),
)
