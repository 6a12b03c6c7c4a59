"""gateflow: a numerical laboratory for the gates of recurrent networks.

The public names stand in ``__init__.pyi``, once. Each is imported when it is first used, so that ``import gateflow``
costs nothing.

Examples
--------
>>> import gateflow
>>> fast = gateflow.gate("fast")
>>> problem = gateflow.LearningProblem(fast, horizon=100, gap=0.01)
>>> gateflow.hitting_time(problem, 0.0).status.sentence
'the target is reached'
"""

from __future__ import annotations

from importlib.util import find_spec

import lazy_loader

__version__ = "1.0.0"

__getattr__, _, _names = lazy_loader.attach_stub(__name__, __file__)
_NEED_TORCH = {"nn", "training"}
__all__ = sorted({*_names, "__version__"} - _NEED_TORCH)


def __dir__() -> list[str]:
    return sorted({*__all__, *(_NEED_TORCH if find_spec("torch") is not None else ())})
