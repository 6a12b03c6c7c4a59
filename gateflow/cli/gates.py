"""The catalogue of gates."""

from __future__ import annotations

from typing import Any

from gateflow.cli._options import Json
from gateflow.cli._terminal import Listing, print_json, say


def run(*, json: Json = False) -> None:
    """List the gates of the catalogue: name, formula, whether odd, source.

    A gate is odd when phi(-z) = 1 - phi(z). Other packages that offer gates are listed too.

    Examples
    --------
    $ gateflow gates
    $ gateflow gates --json
    """
    from gateflow.gates.gate import gate

    rows = catalogue()
    if json:
        return print_json({"gates": rows})
    cells = [[row["name"], gate(row["name"]).spelled, "yes" if row["odd"] else "no", row["source"]] for row in rows]
    return say(Listing(["name", "formula", "odd", "source"], cells, cut=True))


def catalogue() -> list[dict[str, Any]]:
    """One row a gate."""
    from gateflow.gates.gate import GATES, gate

    return [_row(name, gate(name)) for name in GATES]


def _row(name: str, gate: Any) -> dict[str, Any]:
    return {
        "name": name,
        "formula": gate.text,
        "parameters": dict(gate.parameters),
        "odd": bool(gate.odd),
        "source": gate.reference,
    }
