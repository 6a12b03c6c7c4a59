"""Recurrent networks with any gate, in PyTorch: the gate as a function, layers, initialisers.

This package, and no other, imports PyTorch.

Examples
--------
>>> import torch
>>> from gateflow.nn import INITS, LSTM
>>> layer = LSTM(2, 64, forget_gate="fast", batch_first=True)
>>> INITS["chrono"](horizon=100)(layer, generator=0)
>>> output, (h, c) = layer(torch.randn(8, 50, 2))
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from gateflow.errors import MissingExtra

if find_spec("torch") is None:
    raise MissingExtra("training", "nn")

if TYPE_CHECKING:  # what editors and type checkers see of the names that are imported when they are first used
    from gateflow.nn import train as train
    from gateflow.nn.cells import CELLS as CELLS
    from gateflow.nn.cells.gru import GRU as GRU
    from gateflow.nn.cells.janet import JANET as JANET
    from gateflow.nn.cells.lstm import LSTM as LSTM
    from gateflow.nn.cells.noisy import NoisyLSTM as NoisyLSTM
    from gateflow.nn.cells.nru import NRU as NRU
    from gateflow.nn.cells.refine import RefineLSTM as RefineLSTM
    from gateflow.nn.cells.ur_lstm import URLSTM as URLSTM
    from gateflow.nn.functional import GateFunction as GateFunction
    from gateflow.nn.functional import gate_function as gate_function
    from gateflow.nn.inits import INITS as INITS
    from gateflow.nn.settings import Settings as Settings
    from gateflow.nn.tasks import TASKS as TASKS
    from gateflow.nn.tasks._contract import Batch as Batch
    from gateflow.nn.tasks._contract import Task as Task
    from gateflow.nn.train import Result as Result

_HOMES = {
    "gateflow.nn.cells": ("CELLS",),
    "gateflow.nn.cells.gru": ("GRU",),
    "gateflow.nn.cells.janet": ("JANET",),
    "gateflow.nn.cells.lstm": ("LSTM",),
    "gateflow.nn.cells.noisy": ("NoisyLSTM",),
    "gateflow.nn.cells.nru": ("NRU",),
    "gateflow.nn.cells.refine": ("RefineLSTM",),
    "gateflow.nn.cells.ur_lstm": ("URLSTM",),
    "gateflow.nn.functional": (
        "GateFunction",
        "gate_function",
    ),
    "gateflow.nn.inits": ("INITS",),
    "gateflow.nn.settings": ("Settings",),
    "gateflow.nn.tasks": ("TASKS",),
    "gateflow.nn.tasks._contract": (
        "Batch",
        "Task",
    ),
    "gateflow.nn.train": ("Result", "train"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CELLS",
    "GRU",
    "INITS",
    "JANET",
    "LSTM",
    "NRU",
    "TASKS",
    "URLSTM",
    "Batch",
    "GateFunction",
    "NoisyLSTM",
    "RefineLSTM",
    "Result",
    "Settings",
    "Task",
    "gate_function",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gateflow.nn' has no attribute {name!r}")
    home = importlib.import_module(_HOME[name])
    return home if home.__name__ == f"gateflow.nn.{name}" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted(__all__)
