"""gateflow: a numerical laboratory for the gates of recurrent networks.

Everything below is imported when it is first used, so that ``import gateflow`` costs nothing.

Examples
--------
>>> import gateflow
>>> fast = gateflow.gate("fast")
>>> problem = gateflow.LearningProblem(fast, horizon=100, gap=0.01)
>>> gateflow.hitting_time(problem, 0.0).status.sentence
'the target is reached'
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "gateflow.gate": ("GATES", "Gate", "gate"),
    "gateflow.formula": ("parse", "unparse"),
    "gateflow.flow": ("LearningProblem", "Target", "Trajectory", "flow", "hitting_time"),
    "gateflow.flow.descent": ("descent",),
    "gateflow.flow.recommend": ("recommend",),
    "gateflow.asymptotics.membership": ("membership",),
    "gateflow.asymptotics.saturation": ("order", "rank", "saturation_order"),
    "gateflow.asymptotics.rate": ("rate",),
    "gateflow.asymptotics.checker": ("verify",),
    "gateflow.compare": ("compare",),
    "gateflow.sweep": ("sweep",),
    "gateflow.plots": ("figures",),
    "gateflow.report": ("report",),
    "gateflow.explore": ("explore",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gateflow' has no attribute {name!r}")
    home = importlib.import_module(_HOME[name])
    return home if home.__name__ == f"gateflow.{name}" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
