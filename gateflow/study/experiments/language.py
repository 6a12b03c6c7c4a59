"""Language modelling by words, with and without power-law time scales; reduced: on the King James Bible."""

from typing import Any

from gateflow.nn.methods import METHODS
from gateflow.study.plan import GATES, Plan

INITS = {"matched": "matched", "power-law": "power-law(shape=0.56)"}


def _arms(*gates: str) -> dict[str, dict[str, Any]]:
    return {f"{gate}, {init}": {**GATES[gate], "init": INITS[init]} for init in INITS for gate in gates}


EXPERIMENT = Plan(
    base={
        **METHODS["power-law"].settings,
        "task": 'words(text="ptb.train.txt", valid_text="ptb.valid.txt", test_text="ptb.test.txt", window=70)',
        "batch": 20,
        "weight_decay": 1.2e-6,
        "steps": 330_000,
        "evaluate_every": 660,
    },
    arms=_arms(*GATES),
    seeds=3,
    reduced={
        "task": 'words(text="kjv.txt", vocabulary=1000, punctuation=true, window=35)',
        "layers": 2,
        "hidden": 64,
        "embedding": 32,
        "steps": 200,
        "evaluate_every": 100,
    },
    reduced_arms=_arms("sigmoid", "fast"),
    reduced_seeds=2,
    source="Mahto, Vo, Turek and Huth 2021 (arXiv 2009.12727): sizes, SGD, clipping, window; 500 epochs of batches "
    "of 20 as Merity, Keskar and Socher 2018 (arXiv 1708.02182), without their dropout and averaging",
    needs=("text",),
)
