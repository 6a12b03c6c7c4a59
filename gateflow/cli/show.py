"""One gate in full."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from gateflow.cli._options import GateText, Json, gate_of, several
from gateflow.cli._terminal import Listing, draws, number, pairs, print_json, say, title

if TYPE_CHECKING:
    from gateflow.gates.gate import Gate

FORMULAS = ("u", "phi", "phi_c", "log_phi_c", "du", "dphi", "inverse")
VALUES = ("u", "phi", "phi_c", "log_phi_c", "dphi")
SIGNS = {"phi_c": "1 - phi", "log_phi_c": "log(1 - phi)", "du": "u'", "dphi": "phi'", "inverse": "z(u)"}
"""How a quantity is written where a reader sees it; u and phi are written as they are named."""

POINTS = (-5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0)

Points = Annotated[list[float] | None, several("--z", "Where to print values: --z -3 0 5.")]


def run(gate: GateText, /, *, z: Points = None, json: Json = False) -> None:
    """Show a gate: its formula, what is derived from it, and its values.

    The formulas are those that are computed with: u is the logit profile, phi = sigmoid(u).

    Examples
    --------
    $ gateflow show fast
    $ gateflow show "fast(alpha=2)" --z -3 0 3
    $ gateflow show "sigmoid(z**3)" --json
    """
    from gateflow.errors import InvalidArgument
    from gateflow.gates.card import sketch
    from gateflow.guards import bounded

    if any(math.isnan(point) for point in z or ()):
        raise InvalidArgument("--z takes numbers; got nan")
    chosen = gate_of(gate)
    facts = {"gate": gate.strip()} | bounded.call(lambda: sheet(chosen, tuple(z or POINTS)), SECONDS, processor=True)
    if json:
        return print_json(facts)
    return _print(facts, sketch(chosen) if draws() else None)


SECONDS = 4.5
"""Seconds of CPU time for all of a gate's facts."""


def sheet(chosen: Gate, points: tuple[float, ...]) -> dict[str, Any]:
    """The facts of a gate, ready for JSON."""
    formulas = {name: _formula_text(getattr(chosen.formulas, name)) for name in FORMULAS}
    values = {"z": points, **{name: getattr(chosen, name)(list(points)).tolist() for name in VALUES}}
    return {
        "formula": chosen.text,
        "parameters": dict(chosen.parameters),
        "odd": bool(chosen.odd),
        "inverse": "closed form" if formulas["inverse"] else "root search",
        "digits": _digits(chosen),
        "kinks": list(chosen.kinks),
        "beware": chosen.lost_domain,
        "source": chosen.reference,
        "latex": chosen.latex(),
        "formulas": formulas,
        "values": [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)],
    }


def _digits(chosen: Gate) -> str:
    from gateflow.errors import Exceeded

    try:
        return chosen.digits_sentence
    except Exceeded:
        return "not measured: the formula is too involved"


def _formula_text(expr: Any) -> str | None:
    """A formula as text, in the formula language where that has words for it."""
    from gateflow.errors import FormulaError
    from gateflow.formula import unparse
    from gateflow.formula.powers import text_with_powers

    if expr is None:
        return None
    try:
        return unparse(expr)
    except FormulaError:
        return text_with_powers(expr)


def _print(facts: dict[str, Any], picture: str | None) -> None:
    formulas = pairs([(SIGNS.get(name) or name, text) for name, text in facts["formulas"].items()])
    headings = ["z", *(SIGNS.get(name, name) for name in VALUES)]
    values = Listing(headings, [[number(x) for x in row.values()] for row in facts["values"]], numeric=headings)
    seen = [] if picture is None else ["", picture]
    say(title(facts["gate"]), pairs(_about(facts)), *seen, "", formulas, "", values)


def _about(facts: dict[str, Any]) -> list[tuple[str, str]]:
    values = ", ".join(f"{name} = {value}" for name, value in facts["parameters"].items())
    return [
        ("formula", facts["formula"]),
        ("parameters", values),
        ("odd", "yes" if facts["odd"] else "no"),
        ("inverse", facts["inverse"]),
        ("digits", facts["digits"]),
        ("kinks", ", ".join(f"z = {number(z)}" for z in facts["kinks"])),
        ("source", facts["source"]),
        ("beware", facts["beware"] or ""),
    ]
