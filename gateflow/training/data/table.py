"""Columns of numbers from a table of text, a row a time step."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gateflow.errors import InvalidArgument, shown
from gateflow.training.data.series import fields_of, lines


class Table(NamedTuple):
    """Named columns of numbers.

    Parameters
    ----------
    names : tuple of str
    values : array (rows, columns)
    times : tuple of str
        What the column of times says; numbers of rows, from 1, where there is none.
    """

    names: tuple[str, ...]
    values: np.ndarray
    times: tuple[str, ...]

    def columns(self, path: Path, names: tuple[str, ...]) -> np.ndarray:
        """These columns, (rows, names).

        Raises
        ------
        InvalidArgument
            There is no such column.
        """
        for name in names:
            if name not in self.names:
                raise InvalidArgument(f"{path} has no column {shown(name)}; it has {shown(', '.join(self.names))}")
        return self.values[:, [self.names.index(name) for name in names]]


def table(path: Path, time: str | None = None) -> Table:
    """A table whose first line names its columns, and whose rows are in the order of time.

    Parameters
    ----------
    path : Path
        Commas, tabs or semicolons stand between the fields, whichever the first line has.
    time : str, optional
        The column that says when a row was: ISO dates or numbers, which must rise. It is no input.

    Raises
    ------
    InvalidArgument
        It has no heading, a value is missing or no number, or times do not rise.
    """
    heading: list[str] = []
    rows: list[list[float]] = []
    times: list[str] = []
    between: str | None = None
    for number, line in lines(path):
        if not heading:
            between = next((mark for mark in ",\t;" if mark in line), None)
            heading = [name.strip() for name in fields_of(path, number, line, between)]
            _check_heading(path, heading, time)
            continue
        fields = fields_of(path, number, line, between)
        if len(fields) != len(heading):
            raise InvalidArgument(f"{path}, line {number}: {len(fields)} fields under {len(heading)} names")
        values = dict(zip(heading, (field.strip() for field in fields), strict=True))
        when = values.pop(time) if time is not None else str(len(rows) + 1)
        if time is not None and times and not _later(when, times[-1]):
            raise InvalidArgument(
                f"{path}, line {number}: {shown(when)} is not after {shown(times[-1])}; sort the rows"
            )
        times.append(when)
        rows.append([_number(path, number, name, value, time) for name, value in values.items()])
    if not rows:
        raise InvalidArgument(f"{path} holds no rows under a heading")
    names = tuple(name for name in heading if name != time)
    return Table(names, np.array(rows, dtype=np.float64), tuple(times))


def _check_heading(path: Path, heading: list[str], time: str | None) -> None:
    if all(_as_number(name) is not None for name in heading):
        raise InvalidArgument(f"{path} has no heading: its first line must name the columns")
    if len(set(heading)) < len(heading) or not all(heading):
        raise InvalidArgument(f"{path} must name each column, and none twice: {shown(', '.join(heading))}")
    if time is not None and time not in heading:
        raise InvalidArgument(f"{path} has no column {shown(time)}; it has {shown(', '.join(heading))}")


def _number(path: Path, line: int, name: str, value: str, time: str | None) -> float:
    found = _as_number(value)
    if found is None or not math.isfinite(found):
        if found is not None or value.lower() in ("", "?", "na"):
            hint = "fill it in first" if found is None or math.isnan(found) else "numbers must be finite"
        else:
            hint = (
                "name the column of times with --time" if time is None else f"all columns but {shown(time)} are numbers"
            )
        raise InvalidArgument(f"{path}, line {line}: {shown(name)} is {shown(value)}, no number; {hint}")
    return found


def _as_number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _later(this: str, that: str) -> bool:
    """Whether a time is after another: as numbers if both are, else as ISO dates, which texts order."""
    numbers = _as_number(this), _as_number(that)
    return numbers[0] > numbers[1] if None not in numbers else this > that  # type: ignore[operator]
