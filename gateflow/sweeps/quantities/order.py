"""How a gate's order of saturation stands to that of others: the proved verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateflow.asymptotics.order import order
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.sweeps.quantities import Input, Quantity, Variable, flags

VERDICTS = ["higher", "lower", "equal", "incomparable", "undecided"]


def values(gate: Gate, *, against: Any) -> dict[str, Any]:
    """The verdict on the gate against each of others, by its number."""
    return {"verdict": [VERDICTS.index(order(gate, as_gate(other)).verdict) for other in against.tolist()]}


def check(gate: Gate, columns: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """What it is held against are gates."""
    for other in columns["against"].ravel().tolist():
        as_gate(other)


QUANTITY = Quantity(
    "order of saturation against other gates",
    {
        "verdict": Variable(
            "i1",
            {
                "long_name": "order of saturation of the gate against the other",
                **flags(VERDICTS),
                "comment": "undecided also where the time allowed was not enough, which depends on the machine",
            },
        )
    },
    values,
    {"against": Input({"long_name": "gate it is held against, by name or formula in z"}, needed=True, text=True)},
    check=check,
    chunk=1,
    tried=False,
    packages=("sympy", "mpmath", "python-flint"),
)
