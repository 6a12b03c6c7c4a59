"""The NRU as its authors train it on permuted MNIST: 212 units, memory 256, 4 heads, Adam 1e-3, 50,000 steps."""

from gateflow.study.experiments._published import NRU
from gateflow.study.plan import Plan

EXPERIMENT = Plan(
    base={
        "task": "pmnist",
        "cell": "nru(memory_size=256, heads=4)",
        "init": "none",
        "layers": 1,
        "hidden": 212,
        "optimizer": "adam",
        "lr": 1e-3,
        "batch": 100,
        "clip": 1.0,
        "steps": 50_000,
    },
    arms={"nru": {}, "lstm": {"cell": "lstm", "forget_gate": "sigmoid", "hidden": 256, "clip": 5.0}},
    seeds=3,
    reduced={"task": "smnist(per_step=28, valid=1000)", "hidden": 32, "batch": 50, "steps": 40, "evaluate_every": 20},
    reduced_arms={"nru": {"cell": "nru(memory_size=64, heads=4)"}, "lstm": {"cell": "lstm", "forget_gate": "sigmoid"}},
    source=NRU,
    sources={
        "task": f"{NRU}, nru_project/config/nru.yaml:47",
        "cell": f"memory 256, k = 4: {NRU}, nru_project/config/nru.yaml:17 and 20; LSTM: config/default.yaml:9",
        "forget_gate": "the sigmoid of an LSTM",
        "init": f"PyTorch's own: {NRU} sets none in its configuration",
        "layers": f"{NRU}, nru_project/config/nru.yaml:15",
        "hidden": f"212: {NRU}, nru_project/config/nru.yaml:16; 256 of the LSTM: config/default.yaml:13",
        "optimizer": f"{NRU}, nru_project/config/nru.yaml:27",
        "lr": f"{NRU}, nru_project/config/nru.yaml:28",
        "batch": f"{NRU}, nru_project/config/nru.yaml:48",
        "clip": f"1 of the NRU: {NRU}, nru_project/config/nru.yaml:40; 5 of the LSTM: config/default.yaml:39",
        "steps": f"{NRU}, nru_project/config/nru.yaml:42",
    },
    needs=("MNIST",),
)
"""Copying with batches of 10 and a memory of 144 units, which are told of it, stand in no file that was read."""
