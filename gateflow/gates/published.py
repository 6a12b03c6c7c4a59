"""What the authors of a linear recurrence ``h_t = a_t h_(t-1) + b_t`` published of its decay a_t, read from one file.

A file of ``gates/decays`` is a declaration: the gate as a text, what z is in the authors' code, the start, the factor
of the input, and where it stands in which commit. Nothing of that code is here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp

from gateflow.arithmetic import float64
from gateflow.codegen import Tape, stable
from gateflow.errors import InvalidArgument
from gateflow.files import read_toml
from gateflow.formula import parse
from gateflow.registry import Registry

P, A = sp.symbols("p a", real=True)


@dataclass(frozen=True)
class AlsoPublished:
    """The same decay as a gate of another variable: ``gate`` and ``z`` as in `Published`."""

    gate: str
    z: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Published:
    """The decay of one model as its authors have it.

    Attributes
    ----------
    about : str
        What the model is, in one line.
    gate : str
        The decay as a gate, by name or formula, so turned that it rises with z; empty where it is not learned.
    z : str
        What z is in the authors' code.
    start : str
        z at the quantile p of the published start, a formula in p; a rises with p.
    starts : str
        The published start in words.
    fixed : str
        The decay at the quantile p, a formula in p, where it is not learned.
    input : str
        The factor of the input, a formula in a; what does not depend on a is left out.
    handed : str
        As what the decay is handed to the recurrence: ``a`` or ``log a``.
    paper, repository, commit : str
    lines : tuple of str
        Files of the repository, with lines.
    also : tuple of AlsoPublished
    """

    about: str
    starts: str
    input: str
    handed: str
    paper: str
    repository: str
    commit: str
    lines: tuple[str, ...]
    gate: str = ""
    z: str = ""
    start: str = ""
    fixed: str = ""
    also: tuple[AlsoPublished, ...] = ()

    def start_at(self, p: Any) -> np.ndarray:
        """z at a quantile of the published start, in (0, 1); of a decay that is not learned, the decay itself.

        Examples
        --------
        >>> float(DECAYS["xlstm"].start_at(0.5)), float(DECAYS["retnet"].start_at(0.0))
        (4.5, 0.96875)
        """
        formula = stable(parse(self.start or self.fixed, variables=("p",)))
        p = np.asarray(p, dtype=np.float64)
        return np.broadcast_to(Tape([formula], [P])(float64, p)[0], p.shape)[()]

    @property
    def input_slope(self) -> sp.Expr:
        """How fast the factor of the input changes with a where a comes to 1: finite, or infinite.

        Examples
        --------
        >>> DECAYS["lru"].input_slope, DECAYS["mingru"].input_slope
        (-oo, -1)
        """
        return sp.limit(sp.diff(parse(self.input, variables=("a",)), A), A, 1, "-")


def read(path: Path) -> Published:
    """What a file of the folder declares.

    Raises
    ------
    InvalidArgument
        It says what no declaration says.
    """
    found = read_toml(path)
    also = tuple(AlsoPublished(**{**part, "lines": tuple(part["lines"])}) for part in found.pop("also", ()))
    if unknown := found.keys() - {each.name for each in fields(Published)}:
        raise InvalidArgument(f"{path.name}: no declaration of a decay has {min(unknown)}")
    try:
        return Published(**{**found, "lines": tuple(found.get("lines", ()))}, also=also)
    except TypeError as lack:
        raise InvalidArgument(f"{path.name}: {lack}") from None


DECAYS = Registry("decay", "gateflow.gates.decays", "PUBLISHED", read)
"""The decays of published recurrences; those of other packages by entry points, to modules with a `PUBLISHED`."""
