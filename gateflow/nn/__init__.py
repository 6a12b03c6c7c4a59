"""Recurrent layers with any gate, in PyTorch: the gate as a function, layers, initialisers.

This package and `gateflow.training`, and no other, import PyTorch. `INITS` has the initialisers of the catalogue by
name; each is called with a layer, or with a model that has some.

Examples
--------
>>> import torch
>>> from gateflow.nn import INITS, LSTM
>>> layer = LSTM(2, 64, forget_gate="fast", batch_first=True)
>>> INITS["chrono"](horizon=100)(layer, generator=0)
>>> output, (h, c) = layer(torch.randn(8, 50, 2))
"""

from __future__ import annotations

from importlib.util import find_spec

import lazy_loader

from gateflow.errors import MissingExtra

if find_spec("torch") is None:
    raise MissingExtra("training", "nn")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
