"""Orders of saturation beside learning times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gateflow.cli._options import (
    GATE_NAMES,
    HORIZON,
    NOT_REACHED,
    Json,
    Latex,
    LossText,
    OneZ,
    Seconds,
    StartScale,
    Tolerance,
    gate_of,
    several,
    z0_or_start,
)
from gateflow.cli._terminal import Listing, pairs, print_json, say

if TYPE_CHECKING:
    from gateflow.descents.comparison import Comparison

First = Annotated[
    str,
    Parameter(name="GATE", completer=GATE_NAMES, help="The gate that the others are measured by, by name or formula."),
]
Others = Annotated[
    list[str], Parameter(name="OTHERS", negative="", completer=GATE_NAMES, help="One or more gates to compare with it.")
]
Gaps = Annotated[list[float] | None, several("--gaps", "Gaps 1 - lambda*; by default 0.1 to 1e-300.")]
Timescales = Annotated[
    list[float] | None, several("--timescale", "The targets as time constants in steps, in place of --gaps.")
]
Horizon = Annotated[float, Parameter(name=HORIZON, help="T, the steps over which the cell decays.")]


def run(
    gate: First,
    others: Others,
    /,
    *,
    horizon: Horizon = 1.0,
    gaps: Gaps = None,
    timescale: Timescales = None,
    z0: OneZ = None,
    start: StartScale = None,
    loss: LossText = "absolute",
    tolerance: Tolerance = None,
    seconds: Seconds = 10.0,
    latex: Latex = False,
    json: Json = False,
) -> int:
    """Compare gates: order of saturation, laws of learning, and learning times for a series of gaps.

    At one small step size for all gates, times of the others over that of GATE grow without bound as the gap falls,
    where GATE is of higher order (Theorem 4.4). The answer names the gap and the start from which GATE is ahead at this
    horizon, and the steps to the largest of the gaps at step sizes of their own, where the order may reverse: T8 of
    docs/theory.md says when. --z0 starts all gates at one z, --start at one value. Beside
    each ratio of times to a gap of 0.1 or less stands the one that the laws predict, for the losses whose slope at the
    target is that of the absolute one, up to a factor. The exit code is 3 where an order is left undecided.

    Examples
    --------
    $ gateflow compare fast sigmoid
    $ gateflow compare fast sigmoid softsign --horizon 10 --json
    $ gateflow compare fast sigmoid --gaps 1e-10 1e-100 1e-300 --latex
    $ gateflow compare fast sigmoid --horizon 100 --timescale 100 1000 --start 20
    $ gateflow compare fast sigmoid --loss "exp(-s/10)/2 + exp(-2*s)/2"
    $ gateflow compare fast sigmoid --loss squared --tolerance 1e-3
    """
    from gateflow.descents.comparison import GAPS, compare
    from gateflow.errors import InvalidArgument

    names = [name.strip() for name in (gate, *others)]
    gates = [gate_of(name) for name in names]
    if gaps is not None and timescale is not None:
        raise InvalidArgument("give --gaps or --timescale, not both")
    kind = {"loss": loss, "tolerance": tolerance, "timescales": timescale, **z0_or_start(z0, start)}
    found = compare(gates, horizon, gaps or GAPS, seconds=seconds, names=names, **kind)
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
    laws = ((f"l(tau) of {name}", found.rate_of(name)) for name in found.names)
    rates = pairs([*laws, ("loss", found.about_the_loss)])
    headings, rows = found.table()
    crossings = [("from", found.about_the_starts), *found.crossing_lines()]
    say(verdicts, "", pairs(crossings), "", rates, "", Listing(headings, rows, numeric=headings))
