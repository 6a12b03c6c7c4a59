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
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what editors and type checkers see of the names that are imported when they are first used
    from gateflow.asymptotics.certificate import certify as certify
    from gateflow.asymptotics.checker import verify as verify
    from gateflow.asymptotics.membership import membership as membership
    from gateflow.asymptotics.rate import rate as rate
    from gateflow.asymptotics.saturation import order as order
    from gateflow.asymptotics.saturation import rank as rank
    from gateflow.asymptotics.saturation import saturation_order as saturation_order
    from gateflow.compare import compare as compare
    from gateflow.descent import crossover as crossover
    from gateflow.descent import descent as descent
    from gateflow.descent import fit as fit
    from gateflow.descent import sensitivities as sensitivities
    from gateflow.descent import step_size as step_size
    from gateflow.explore import explore as explore
    from gateflow.flow import LearningProblem as LearningProblem
    from gateflow.flow import Target as Target
    from gateflow.flow import Trajectory as Trajectory
    from gateflow.flow import flow as flow
    from gateflow.flow import hitting_time as hitting_time
    from gateflow.flow.recommend import recommend as recommend
    from gateflow.formula import parse as parse
    from gateflow.formula import unparse as unparse
    from gateflow.gate import GATES as GATES
    from gateflow.gate import Gate as Gate
    from gateflow.gate import gate as gate
    from gateflow.plots import figures as figures
    from gateflow.report import report as report
    from gateflow.sweep import sweep as sweep

__version__ = "0.1.0"

_HOMES = {
    "gateflow.gate": ("GATES", "Gate", "gate"),
    "gateflow.formula": ("parse", "unparse"),
    "gateflow.flow": ("LearningProblem", "Target", "Trajectory", "flow", "hitting_time"),
    "gateflow.descent": ("crossover", "descent", "fit", "sensitivities", "step_size"),
    "gateflow.flow.recommend": ("recommend",),
    "gateflow.asymptotics.membership": ("membership",),
    "gateflow.asymptotics.saturation": ("order", "rank", "saturation_order"),
    "gateflow.asymptotics.rate": ("rate",),
    "gateflow.asymptotics.certificate": ("certify",),
    "gateflow.asymptotics.checker": ("verify",),
    "gateflow.compare": ("compare",),
    "gateflow.sweep": ("sweep",),
    "gateflow.plots": ("figures",),
    "gateflow.report": ("report",),
    "gateflow.explore": ("explore",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

_MODULES = ("asymptotics", "errors", "formula", "losses", "nn", "plots", "record", "registry", "study")
"""Reached as ``gateflow.nn`` after ``import gateflow``, without an import of their own."""

__all__: list[str] = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"gateflow.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'gateflow' has no attribute {name!r}")
    home = importlib.import_module(_HOME[name])
    return home if home.__name__ == f"gateflow.{name}" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in _MODULES if name != "nn" or find_spec("torch") is not None)})
