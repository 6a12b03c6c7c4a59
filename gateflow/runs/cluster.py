"""A Dask cluster that is already there.

Dask moves work as pickles: whoever controls a scheduler or can reach its port can run code in this process and in
every worker. An address is therefore taken only as the user gave it, and only of another process.
"""

from __future__ import annotations

import re
from typing import Any

from gateflow.errors import InvalidArgument, MissingExtra, cut

PATIENCE = 10
"""Seconds to wait for the scheduler to answer."""

ADDRESS = re.compile(r"((tcp|tls|ucx|ws|wss)://)?[^/\s:]+:\d+/?|((tcp|tls|ucx|ws|wss)://)\S+")


def distributed() -> Any:
    """The module."""
    try:
        import distributed
    except ImportError:
        raise MissingExtra("a Dask cluster", "sweep") from None
    return distributed


def client(scheduler: str) -> Any:
    """A client of the scheduler at an address, to be used in a ``with``.

    Raises
    ------
    InvalidArgument
        It is no address of another process, or nobody answers there.
    """
    module = distributed()
    if not isinstance(scheduler, str) or not ADDRESS.fullmatch(scheduler.strip()):
        raise InvalidArgument(
            f"no Dask scheduler answers at {cut(str(scheduler), 60)}; an address is such as tcp://host:8786"
        )
    try:
        return module.Client(scheduler.strip(), timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, ImportError) as problem:
        said = "" if isinstance(problem, OSError) else f": {' '.join(str(problem).split())[:120]}"
        raise InvalidArgument(f"no Dask scheduler answers at {scheduler}{said}") from None
