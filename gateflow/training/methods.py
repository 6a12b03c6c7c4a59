"""The methods of the literature as settings of one trainer: ``gateflow train TASK --method janet``.

A method says only what its source says; the task and the trainer fill in the rest, and flags win over all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Method:
    """A published way to hold a state.

    Parameters
    ----------
    settings : mapping
        Names of :class:`gateflow.training.settings.Settings` to values.
    source : str
    """

    settings: Mapping[str, Any]
    source: str


METHODS: dict[str, Method] = {
    "lstm": Method(
        {"cell": "lstm", "forget_gate": "sigmoid", "init": "constant(bias=1.0)"},
        "Hochreiter and Schmidhuber 1997; Gers, Schmidhuber and Cummins 2000",
    ),
    "fast": Method(
        {"cell": "lstm", "forget_gate": "fast", "init": "matched"},
        "Ohno, Kanai and Ida, AAAI 2023, arXiv 2210.01348",
    ),
    "softsign": Method(
        {"cell": "lstm", "forget_gate": "softsign", "init": "matched"},
        "Ohno, Kanai and Ida, AAAI 2023, arXiv 2210.01348",
    ),
    "refine": Method(
        {"cell": "refine", "forget_gate": "sigmoid", "init": "constant(bias=1.0)"},
        "Gu, Gulcehre, Paine, Hoffman and Pascanu, ICML 2020, arXiv 1910.09890",
    ),
    "ur-lstm": Method(
        {"cell": "ur-lstm", "forget_gate": "sigmoid", "init": "none"},
        "Gu, Gulcehre, Paine, Hoffman and Pascanu, ICML 2020, arXiv 1910.09890",
    ),
    "chrono": Method(
        {"cell": "lstm", "forget_gate": "sigmoid", "init": "chrono"},
        "Tallec and Ollivier, ICLR 2018, arXiv 1804.11188",
    ),
    "power-law": Method(
        {
            "cell": "lstm",
            "forget_gate": "sigmoid",
            "init": "power-law(shape=0.56)",
            "layers": 3,
            "hidden": 1150,
            "embedding": 400,
            "optimizer": "sgd",
            "lr": 30.0,
            "clip": 0.25,
        },
        "Mahto, Vo, Turek and Huth, ICLR 2021, arXiv 2009.12727",
    ),
    "noisy": Method(
        {"cell": "noisy", "init": "none"},
        "Gulcehre, Moczulski, Denil and Bengio, ICML 2016, arXiv 1603.00391",
    ),
    "janet": Method(
        {
            "cell": "janet",
            "forget_gate": "sigmoid",
            "init": "chrono",
            "hidden": 128,
            "optimizer": "adam",
            "lr": 1e-3,
            "clip": 5.0,
        },
        "van der Westhuizen and Lasenby 2018, arXiv 1804.04849",
    ),
    "nru": Method(
        {
            "cell": "nru(memory_size=256, heads=4)",
            "init": "none",
            "hidden": 212,
            "optimizer": "adam",
            "lr": 1e-3,
            "clip": 1.0,
            "batch": 100,
            "steps": 50_000,
        },
        "Chandar, Sankar, Vorontsov, Kahou and Bengio, AAAI 2019, arXiv 1902.06704",
    ),
    "gru": Method(
        {"cell": "gru", "forget_gate": "sigmoid", "init": "none"},
        "Cho et al., EMNLP 2014, arXiv 1406.1078",
    ),
}
"""By the name that ``--method`` takes."""
