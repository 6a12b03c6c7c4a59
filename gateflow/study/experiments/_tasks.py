"""Arms of the synthetic tasks: every gate with every initialiser at several lengths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateflow.study.plan import GATES

INITS = {
    "constant": "constant(bias=1.0)",
    "matched": "matched",
    "chrono": "chrono(horizon={horizon})",
    "uniform": "uniform",
    "for-timescales": "for-timescales(low=1, high={horizon})",
    "power-law": "power-law",
}
"""Every initialiser; those that ask for a horizon are told that of the task."""


def crossed(
    task: str, horizons: Iterable[int], inits: Iterable[str] = INITS, gates: Mapping[str, Mapping[str, Any]] = GATES
) -> dict[str, dict[str, Any]]:
    """An arm for each gate, initialiser and horizon; ``{horizon}`` in the task is filled in.

    Examples
    --------
    >>> crossed("adding(horizon={horizon})", [20], ["chrono"], {"fast": {"forget_gate": "fast"}})
    {'fast, chrono, T=20': {'forget_gate': 'fast', 'init': 'chrono(horizon=20)', 'task': 'adding(horizon=20)'}}
    """
    return {
        f"{gate}, {init}, T={horizon}": {
            **settings,
            "init": INITS[init].format(horizon=horizon),
            "task": task.format(horizon=horizon),
        }
        for horizon in horizons
        for init in inits
        for gate, settings in gates.items()
    }
