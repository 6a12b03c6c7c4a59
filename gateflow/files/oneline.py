"""What the system, or its form, has against a file, in one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from gateflow.errors import GateflowError, InvalidArgument


@contextmanager
def one_line(
    doing: str, path: str | os.PathLike[str], *, form: str = "", error: type[GateflowError] = InvalidArgument
) -> Iterator[None]:
    """Within, an error of the system while ``doing`` a file is one line; with ``form``, so is a file of another form.

    Examples
    --------
    >>> with one_line("read", "lr.toml", form="TOML"):
    ...     raise ValueError("it nests too deep")
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: lr.toml is no TOML: it nests too deep
    """
    try:
        yield
    except OSError as problem:
        raise error(f"cannot {doing} {path}: {problem.strerror or problem}") from None
    except ValueError as problem:
        if not form or isinstance(problem, GateflowError):
            raise
        raise error(f"{path} is no {form}: {problem}") from None
