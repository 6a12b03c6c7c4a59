"""Order of saturation beside learning times, so that theorem and numbers can be seen to agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gateflow.cli._options import NOT_REACHED, Json, Latex, Seconds, Start, gate_of
from gateflow.cli._terminal import Listing, pairs, print_json, say

if TYPE_CHECKING:
    from gateflow.compare import Comparison

First = Annotated[str, Parameter(name="GATE", help="The gate that the others are measured by, by name or formula.")]
Others = Annotated[list[str], Parameter(name="OTHERS", negative="", help="One or more gates to compare with it.")]
Gaps = Annotated[
    list[float] | None,
    Parameter(name="--gaps", negative="", consume_multiple=True, help="Gaps 1 - lambda*; by default 0.1 to 1e-300."),
]
Horizon = Annotated[float, Parameter(name="--horizon", help="T, the steps over which the cell decays.")]


def run(
    gate: First,
    others: Others,
    /,
    *,
    horizon: Horizon = 1.0,
    gaps: Gaps = None,
    z0: Start = 0.0,
    seconds: Seconds = 10.0,
    latex: Latex = False,
    json: Json = False,
) -> int:
    """Compare gates: order of saturation, laws of learning, and learning times along a ladder of gaps.

    A higher order of saturation means faster learning (Theorem 4.4): times of the others, over that of GATE, grow
    without bound as the gap falls where GATE is higher. Beside each ratio stands the one that the laws predict. The
    exit code is 3 where an order is left undecided.

    Examples
    --------
    $ gateflow compare fast sigmoid
    $ gateflow compare fast sigmoid softsign --horizon 10 --json
    $ gateflow compare fast sigmoid --gaps 1e-10 1e-100 1e-300 --latex
    """
    from gateflow.compare import GAPS, compare

    names = [name.strip() for name in (gate, *others)]
    found = compare([gate_of(name) for name in names], horizon, gaps or GAPS, z0, seconds=seconds, names=names)
    if json:
        print_json(found.to_json())
    elif latex:
        print(found.latex())
    else:
        _print(found)
    return NOT_REACHED if any(order.verdict == "undecided" for order in found.orders) else 0


def _print(found: Comparison) -> None:
    first = found.names[0]
    verdicts = pairs(
        (f"{first} against {order.names[1]}", f"{order.verdict}: {order.reason}") for order in found.orders
    )
    rates = pairs((f"l(tau) of {name}", found.rate_of(name)) for name in found.names)
    headings, rows = found.table()
    say(verdicts, "", rates, "", Listing(headings, rows, numeric=headings))
