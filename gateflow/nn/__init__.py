"""Recurrent networks with any gate, in PyTorch: the gate as a function, layers, initialisers.

This package, and no other, imports PyTorch.

Examples
--------
>>> import torch
>>> layer = LSTM(2, 64, forget_gate="fast", batch_first=True)
>>> INITS["chrono"](horizon=100)(layer, generator=0)
>>> output, (h, c) = layer(torch.randn(8, 50, 2))
"""

from gateflow.errors import MissingExtra

try:
    import torch as torch
except ImportError:
    raise MissingExtra("training", "nn") from None

from gateflow.nn import train
from gateflow.nn.cells import CELLS
from gateflow.nn.cells.gru import GRU
from gateflow.nn.cells.janet import JANET
from gateflow.nn.cells.lstm import LSTM
from gateflow.nn.cells.noisy import NoisyLSTM
from gateflow.nn.cells.nru import NRU
from gateflow.nn.cells.refine import RefineLSTM
from gateflow.nn.cells.ur_lstm import URLSTM
from gateflow.nn.functional import GateFunction, gate_function
from gateflow.nn.inits import INITS
from gateflow.nn.settings import Settings
from gateflow.nn.tasks import TASKS
from gateflow.nn.tasks._contract import Batch, Task
from gateflow.nn.train import Result

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
