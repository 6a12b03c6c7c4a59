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

import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import lazy_loader

from gateflow.errors import MissingExtra

if find_spec("torch") is None:
    raise MissingExtra("training", "nn")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def _register() -> None:
    """Let PyTorch know all operators, and all classes that it may load with weights only, whoever asks for them."""
    for name in __all__:
        __getattr__(name)


class _WhenTorchComes(MetaPathFinder):
    """Lists of names need no PyTorch, so it may be imported after this package, and learns of it then."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        """Of PyTorch alone, as it would be found without this."""
        spec = PathFinder.find_spec(fullname, path) if fullname == "torch" else None
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def executed(module: ModuleType) -> None:
                run(module)
                with suppress(ValueError):
                    sys.meta_path.remove(self)
                with suppress(Exception):  # it is raised where a name is used
                    _register()

            spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec


if "torch" in sys.modules:
    _register()
else:
    sys.meta_path.insert(0, _WhenTorchComes())
