"""What made a result: versions, command line, seed, git commit, tolerances; kept as JSON beside the result.

A record holds nothing that changes between two runs of one command on one machine (no clock, no path, no user), so
that a result and its record can be compared byte by byte.
"""

from __future__ import annotations

import json
import platform
import shlex
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gateflow import __version__, files

PACKAGES = ("numpy", "scipy", "sympy", "mpmath", "matplotlib", "python-flint", "torch", "xarray", "dask")

PATIENCE = 10
"""Seconds that git is waited for."""


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Versions of gateflow, of Python, and of the installed ones among ``packages``."""
    found = {package: installed for package in packages if (installed := _installed(package)) is not None}
    return {"gateflow": __version__, "python": platform.python_version(), **found}


@lru_cache(maxsize=64)
def _installed(package: str) -> str | None:
    """Its version, read once a process: that takes milliseconds each time."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git_commit() -> str | None:
    """The commit of the source tree this package runs from; None when it was installed without one."""
    return _git("rev-parse", "HEAD") or None


@lru_cache(maxsize=1)
def source() -> str:
    """The commit of the code as this process first asked for it; empty where there is none.

    With ``+`` at its end where files of the package were changed or new beside the commit.
    """
    commit = git_commit()
    if commit is None:
        return ""
    return commit + "+" * (_git("status", "--porcelain", "--", ".") != "")


def _git(*words: str) -> str | None:
    """What git says of the source tree; None where it says nothing."""
    here = Path(__file__).resolve().parent
    if not (here.parent / ".git").exists():
        return None
    command = ["git", "--no-optional-locks", *words]
    try:
        answer = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):  # there is no git on this machine, or a very slow disk
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def command_line() -> str:
    """The command as typed, without the folder of the program."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def record(*, command: str | None = None, seed: int | None = None, device: str = "cpu", **facts: Any) -> dict[str, Any]:
    """A record of what makes a result; ``facts`` are added as they are.

    Examples
    --------
    >>> record(command="gateflow figures gates", rtol=1e-10)["rtol"]
    1e-10
    """
    made = {"command": command or command_line(), "versions": versions(), "device": device, **facts}
    if seed is not None:
        made["seed"] = seed
    return made


def sealed(data: dict[str, Any]) -> dict[str, Any]:
    """Plain data with a digest over it, by which its file is known again."""
    return files.sealed(_plain(data))


def to_json(data: Any) -> str:
    """JSON with a final newline; infinities and NaN are written as the strings ``"inf"``, ``"-inf"``, ``"nan"``."""
    return json.dumps(_plain(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_json_line(data: Any) -> str:
    """JSON in one line, as one line of a JSON-lines file; numbers as in :func:`to_json`."""
    return json.dumps(_plain(data), ensure_ascii=False, allow_nan=False) + "\n"


def _plain(data: Any) -> Any:
    if hasattr(data, "tolist"):
        data = data.tolist()
    if isinstance(data, float) and (data != data or abs(data) == float("inf")):
        return str(data)
    if isinstance(data, dict):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_plain(value) for value in data]
    return data
