"""The numbers behind a figure: named columns of equal length, what each holds, and the parameters they belong to."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateflow.errors import cut
from gateflow.notebook import cards
from gateflow.results.byvalue import by_value

SHOWN = 4
"""Rows shown from either end."""


@by_value
@dataclass(frozen=True)
class FigureTable:
    """One row an observation, in the order drawn.

    Parameters
    ----------
    columns : mapping of str to array, shape (rows,)
        Numbers or words.
    meaning : mapping of str to str
        What each column holds, with its unit where it has one.
    parameters : mapping
        What was held fixed.

    Examples
    --------
    >>> table = FigureTable.of([{"gate": "fast", "z": [0.0, 1.0]}], {"gate": "name", "z": "pre-activation"})
    >>> print(table.csv(), end="")
    gate,z
    fast,0.0
    fast,1.0
    """

    columns: Mapping[str, np.ndarray]
    meaning: Mapping[str, str]
    parameters: Mapping[str, Any]

    def __post_init__(self) -> None:
        if set(self.columns) != set(self.meaning):
            raise ValueError(f"columns {sorted(self.columns)} are not those explained: {sorted(self.meaning)}")
        if len({column.shape for column in self.columns.values()}) > 1:
            raise ValueError(f"columns of unequal length: { {k: v.shape for k, v in self.columns.items()} }")

    @classmethod
    def of(cls, blocks: Iterable[Mapping[str, Any]], meaning: Mapping[str, str], **parameters: Any) -> FigureTable:
        """A table of blocks of rows, one below the other; a single value in a block is repeated along it."""
        kept = [dict(zip(block, np.broadcast_arrays(*block.values()), strict=True)) for block in blocks]
        return cls({name: np.concatenate([block[name] for block in kept]) for name in meaning}, meaning, parameters)

    def __getitem__(self, column: str) -> np.ndarray:
        return self.columns[column]

    def __repr__(self) -> str:
        return f"<FigureTable of {len(self)} rows: {cut(', '.join(self.columns))}>"

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def rows(self, **equal: Any) -> FigureTable:
        """The rows where each named column equals its value."""
        kept = np.ones(len(self), dtype=bool)
        for column, value in equal.items():
            kept &= self[column] == value
        return FigureTable({name: column[kept] for name, column in self.columns.items()}, self.meaning, self.parameters)

    def _repr_html_(self) -> str:
        ends = [*range(min(len(self), SHOWN)), *range(max(len(self) - SHOWN, SHOWN), len(self))]
        rows = [[_cell(column[i]) for column in self.columns.values()] for i in ends]
        if len(self) > len(ends):
            rows.insert(SHOWN, ["..."] * len(self.columns))
        about = [("rows", len(self)), *((name, str(value)) for name, value in self.parameters.items())]
        meant = cards.folded("what the columns hold", cards.facts(self.meaning.items()))
        return cards.framed("Numbers of a figure", cards.facts(about), cards.listed(list(self.columns), rows), meant)

    def csv(self) -> str:
        """Comma-separated text; each number is the shortest one that reads back to the same float."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(zip(*(column.tolist() for column in self.columns.values()), strict=True))
        return file.getvalue()


def _cell(value: Any) -> str:
    return cards.number(value) if isinstance(value, (float, np.floating)) else str(value)
