"""Results of training that come with gateflow, small, so that figures are drawn from them without training.

Each is a JSON file beside the module that makes it anew, ``make(runs, stop)``: from what the folder ``runs`` holds of
an earlier call, as every run does; None where it was stopped before its end.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateflow import record
from gateflow.errors import InvalidArgument
from gateflow.files import fits, folder_for, one_line, read_json
from gateflow.registry import Registry

KEPT = Registry("kept result", "gateflow.study.kept", "make")
"""Every result that is kept."""

HERE = Path(__file__).parent

LONGEST = 1 << 26
"""Bytes of a result."""


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
    with one_line("read", path, form="JSON"):
        found = read_json(path, LONGEST)
    if not fits(found, {"command": str, "record": {str: Any}, "runs": Any}) or not found["runs"]:
        raise InvalidArgument(f"{path} holds no result that is kept")
    return found


def renew(
    name: str,
    folder: str | Path,
    runs: str | Path = "runs",
    stop: Callable[[], bool] = lambda: False,
    *,
    force: bool = False,
) -> bool:
    """Train anew for a kept result, or go on with that, and write its file; False where it was stopped before that."""
    from gateflow.study.outcomes import output, text_of

    file = output(folder_for(folder) / f"{KEPT.spelled(name)}.json", force=force, early=True)
    made = KEPT[name](Path(runs), stop)
    if made is None:
        return False
    file.write(text_of(record.sealed({**made, "record": record.record(command=made["command"])})))
    return True


__all__ = ["KEPT", "read", "renew"]
