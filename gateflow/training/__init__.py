"""Training of networks with any gate: tasks, data, settings, the loop, checkpoints, results.

Examples
--------
>>> from gateflow.training import Settings, train
>>> settings = Settings(task="adding(horizon=10)", hidden=4, batch=4, steps=2, device="cpu")
>>> train(settings).status
'finished'
"""

from __future__ import annotations

from importlib.util import find_spec

import lazy_loader

from gateflow.errors import MissingExtra

if find_spec("torch") is None:
    raise MissingExtra("training", "nn")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
