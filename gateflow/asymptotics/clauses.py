"""What is said about a gate's membership of class F: one verdict for each clause of Definition 4.1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateflow.arithmetic import decimals
from gateflow.errors import UnknownName, cut, shown
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
    """One clause of Definition 4.1.

    Attributes
    ----------
    name : str
        A key of `CLAUSES`.
    verdict : str
        ``proved``, ``refuted`` or ``undecided``.
    reason : str
        One line: the proof in a word, the witness in words, or why it is undecided.
    witness : dict or None
        For a refutation, and for the z0 of the last clause: numbers to check it with.
    """

    name: str
    verdict: str
    reason: str
    witness: Witness | None = None

    def to_json(self) -> dict[str, Any]:
        """The clause as plain data."""
        return {
            "clause": self.name,
            "statement": CLAUSES[self.name],
            "verdict": self.verdict,
            "reason": self.reason,
            "witness": self.witness,
        }

    def __repr__(self) -> str:
        return f"<Clause {cut(str(self))}>"

    def __str__(self) -> str:
        return f"{CLAUSES[self.name]}: {self.verdict}" + (f" ({self.reason})" if self.reason else "")


@by_value
@dataclass(frozen=True)
class Membership:
    """Whether a gate is in class F.

    Attributes
    ----------
    gate : str
    verdict : str
        ``in F``, ``not in F`` or ``undecided``.
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

    def clause(self, name: str) -> Clause:
        """A clause by its name.

        Raises
        ------
        UnknownName
            There is no such clause.
        """
        found = next((c for c in self.clauses if c.name == name), None)
        if found is None:
            raise UnknownName(f"unknown clause {shown(name)}; known: {', '.join(CLAUSES)}")
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
        relation = {"in F": r"\in", "not in F": r"\notin"}.get(self.verdict, r"\overset{?}{\in}")
        name = "".join("\\" + ch if ch in "_%&#$" else r"\^{}" if ch == "^" else ch for ch in self.gate)
        line = rf"\text{{{name}}} {relation} \mathcal{{F}}"
        return line + (rf",\quad z_0 = {decimals.above(self.z0)}" if self.z0 is not None else "")

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def _repr_html_(self) -> str:
        rows = [[CLAUSES[c.name], c.verdict, c.reason] for c in self.clauses]
        about = [("warning", warning) for warning in self.warnings]
        clauses = listed(("clause", "verdict", "why"), rows)
        return framed(f"{self.gate}: {self.verdict}", mathematics(self.latex()), clauses, facts(about))


__all__ = ["CLAUSES", "Clause", "Membership", "Witness"]
