"""Language modelling by words, with and without power-law time scales; reduced: on the King James Bible."""

from typing import Any

from gateflow.study.experiments._published import MAHTO
from gateflow.study.plan import GATES, Plan
from gateflow.training.methods import METHODS

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
    sources={
        "task": f"PTB, windows of 70: {MAHTO}, train_mts.py:34",
        "layers": f"{MAHTO}, train_mts.py:24",
        "hidden": f"{MAHTO}, train_mts.py:22; there the last layer has 400 (model_mts.py:22) and here 1150, untied",
        "embedding": f"{MAHTO}, train_mts.py:20; tied to the readout there (train_mts.py:75), not here",
        "optimizer": f"{MAHTO}, train_mts.py:65; there averaged from a plateau on (train_mts.py:343), not here",
        "lr": f"{MAHTO}, train_mts.py:26",
        "clip": f"{MAHTO}, train_mts.py:28",
        "batch": f"{MAHTO}, run.sh:3",
        "weight_decay": f"{MAHTO}, train_mts.py:61; not here: AR 2, TAR 1 (57, 59), weight drop .5 (44), dropout",
        "steps": f"500 epochs; {MAHTO}, run.sh:8 and 10 have 1000",
        "evaluate_every": "an epoch",
        "forget_gate": "the gates that are compared",
        "cell": "the gates that are compared",
        "tied": "an input gate of its own, as the others have",
        "init": f"time constants 3 and 4, then inverse-gamma: {MAHTO}, model_mts.py:39-45, fixed at 59; matched: ours",
        "method": "as above",
    },
    needs=("text",),
)
