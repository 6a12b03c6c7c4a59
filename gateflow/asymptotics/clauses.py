"""What is said about a gate's membership of class F: one verdict for each clause of Definition 4.1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from gateflow.arithmetic import decimals
from gateflow.errors import UnknownName, cut, unknown
from gateflow.formula import parse
from gateflow.notebook.cards import facts, framed, listed, mathematics
from gateflow.results.byvalue import by_value

CLAUSES = {
    "differentiable": "phi is differentiable",
    "increasing": "phi is strictly increasing",
    "onto": "phi is onto (0, 1)",
    "monotone_slope": "phi' is monotone beyond some z0 >= 0",
}
"""The clauses of Definition 4.1, in order."""

Witness = dict[str, Any]


@by_value
@dataclass(frozen=True)
class Clause:
    """One clause of Definition 4.1, or of its like on (a, 1), for a gate with a floor a (theory.md §2).

    Attributes
    ----------
    name : str
        A key of `CLAUSES`.
    verdict : str
        ``proved``, ``refuted`` or ``undecided``.
    reason : str
        One line: the proof in a word, the witness in words, or why it is undecided.
    witness : dict or None
        For a refutation, for a floor, and for the z0 of the last clause: numbers to check it with.
    """

    name: str
    verdict: str
    reason: str
    witness: Witness | None = None

    @property
    def floor(self) -> str:
        """For the clause ``onto``, the a of the interval (a, 1) that it is about, exactly; else ``0``."""
        return self.witness["floor"] if self.witness is not None and self.witness["kind"] == "floor" else "0"

    @property
    def statement(self) -> str:
        """The clause in words."""
        return CLAUSES[self.name].replace("(0, 1)", f"({self.floor}, 1)")

    def to_json(self) -> dict[str, Any]:
        """The clause as plain data."""
        return {
            "clause": self.name,
            "statement": self.statement,
            "verdict": self.verdict,
            "reason": self.reason,
            "witness": self.witness,
        }

    def __repr__(self) -> str:
        return f"<Clause {cut(str(self))}>"

    def __str__(self) -> str:
        return f"{self.statement}: {self.verdict}" + (f" ({self.reason})" if self.reason else "")


@by_value
@dataclass(frozen=True)
class Membership:
    """Whether a gate is in class F.

    Attributes
    ----------
    gate : str
    verdict : str
        ``in F``; ``in F on (a, 1)`` for a gate with an exact floor a > 0, as in ``in F on (3/10, 1)``; ``not in F``, on
        (a, 1) for no a; or ``undecided``.
    clauses : tuple of Clause
    warnings : tuple of str
    z0, z0_left : float or None
        ``phi'`` is monotone on ``z >= z0``, and on ``z <= -z0_left`` (which Definition 4.1 does not ask for).
    seconds : float
    """

    gate: str
    verdict: str
    clauses: tuple[Clause, ...]
    warnings: tuple[str, ...] = ()
    z0: float | None = None
    z0_left: float | None = None
    seconds: float = 0.0

    @property
    def floor(self) -> str:
        """The a of the interval (a, 1) that the verdict is about, exactly: ``0`` except for gates with a floor."""
        return self.clause("onto").floor

    def clause(self, name: str) -> Clause:
        """A clause by its name.

        Raises
        ------
        UnknownName
            There is no such clause.
        """
        found = next((c for c in self.clauses if c.name == name), None)
        if found is None:
            raise UnknownName(unknown("clause", name, CLAUSES))
        return found

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "gate": self.gate,
            "verdict": self.verdict,
            "clauses": [c.to_json() for c in self.clauses],
            "warnings": list(self.warnings),
            "z0": self.z0,
            "z0_left": self.z0_left,
            "seconds": self.seconds,
        }

    def __repr__(self) -> str:
        left = next((f"; {clause}" for clause in self.clauses if clause.verdict != "proved"), "")
        return f"<Membership {cut(f'{self.gate}: {self.verdict}{left}')}>"

    def __str__(self) -> str:
        lines = [f"{self.gate}: {self.verdict}", *(f"  {c}" for c in self.clauses)]
        return "\n".join(lines + [f"  warning: {w}" for w in self.warnings])

    def latex(self) -> str:
        """The verdict in LaTeX."""
        relation = {"not in F": r"\notin", "undecided": r"\overset{?}{\in}"}.get(self.verdict, r"\in")
        name = "".join("\\" + ch if ch in "_%&#$" else r"\^{}" if ch == "^" else ch for ch in self.gate)
        line = rf"\text{{{name}}} {relation} \mathcal{{F}}"
        if self.verdict.startswith("in F") and self.floor != "0":
            line += rf"\left({sp.latex(parse(self.floor, variables=()))}, 1\right)"
        return line + (rf",\quad z_0 = {decimals.above(self.z0)}" if self.z0 is not None else "")

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def _repr_html_(self) -> str:
        rows = [[c.statement, c.verdict, c.reason] for c in self.clauses]
        about = [("warning", warning) for warning in self.warnings]
        clauses = listed(("clause", "verdict", "why"), rows)
        return framed(f"{self.gate}: {self.verdict}", mathematics(self.latex()), clauses, facts(about))


__all__ = ["CLAUSES", "Clause", "Membership", "Witness"]
