"""Results of training that come with gateflow, small, so that figures are drawn from them without training.

Each is a JSON file beside the module that makes it anew, ``make(runs, stop)``: from what the folder ``runs`` holds of
an earlier call, as every run does; None where it was stopped before its end.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateflow import record
from gateflow.errors import InvalidArgument
from gateflow.registry import Registry

KEPT = Registry("kept result", "gateflow.study.kept", "make")
"""Every result that is kept."""

HERE = Path(__file__).parent


def read(name: str, folder: str | Path | None = None) -> dict[str, Any]:
    """A kept result.

    Parameters
    ----------
    name : str
        One of :data:`KEPT`.
    folder : path, optional
        Where the file is; by default where gateflow has its own.

    Raises
    ------
    InvalidArgument
        There is no such file, or it is no JSON.

    Examples
    --------
    >>> sorted(read("memory"))
    ['at', 'command', 'record', 'runs', 'start', 'wanted']
    """
    path = Path(folder or HERE) / f"{KEPT.spelled(name)}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InvalidArgument(f"cannot read {path}: {problem.strerror}") from None
    except ValueError as problem:
        raise InvalidArgument(f"{path} is no JSON: {problem}") from None


def renew(name: str, folder: str | Path, runs: str | Path = "runs", stop: Callable[[], bool] = lambda: False) -> bool:
    """Train anew for a kept result, or go on with that, and write its file; False where it was stopped before that."""
    from gateflow.study.outcomes import write

    made = KEPT[name](Path(runs), stop)
    if made is None:
        return False
    made["record"] = record.record(command=made["command"])
    write(made, Path(folder) / f"{KEPT.spelled(name)}.json")
    return True


__all__ = ["KEPT", "read", "renew"]
