"""The decays of today's linear recurrences."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gateflow.cli._options import Json, names_in
from gateflow.cli._terminal import Listing, number, print_json, say, title

if TYPE_CHECKING:
    from gateflow.descents.decays import DecayRow, DecayTable

Models = Annotated[
    list[str] | None,
    Parameter(name="MODELS", negative="", completer=names_in("gateflow.gates.decays"), help="Models; by default all."),
]
Timescale = Annotated[float, Parameter(name="--timescale", help="Time constant to learn, in steps of the recurrence.")]
Start = Annotated[float, Parameter(name="--start", help="Time constant to learn it from.")]

NUMBERS = ("2 %", "50 %", "98 %", "slope", "common", "own", "own lr")


def run(models: Models = None, /, *, timescale: Timescale = 100.0, start: Start = 20.0, json: Json = False) -> None:
    """Compare the decays of published linear recurrences as gates.

    A linear recurrence is h = a h + b. For each model: the class of its decay a and its order of saturation; the time
    constants at quantiles of its published start, and the slope at their median; the steps of gradient descent from
    one time constant to another, at a common step size (the sigmoid's own) and at its own; how the decay is handed to
    the recurrence, and the longest time constant that a float format holds so; the factor of the input, and its slope
    where a comes to 1.

    Examples
    --------
    $ gateflow decays mamba hgrn lru
    $ gateflow decays lru --timescale 1000 --start 100 --json
    """
    from gateflow.descents.decays import decays

    found = decays(models or None, timescale=timescale, start=start)
    if json:
        print_json(found.to_json())
    else:
        _print(found)


def _print(found: DecayTable) -> None:
    steps = (
        f"Start, and steps from {number(found.start)} to {number(found.timescale)} (common lr {number(found.lr, 3)})"
    )
    say(
        title("Class and order of saturation"),
        Listing(["model", "decay as a gate", "z", "class", "to sigmoid", "to fast"], [*map(_verdicts, found.rows)]),
        "",
        title(steps),
        Listing(["model", *NUMBERS], [*_numbers(found)], NUMBERS),
        "",
        title("What a float format holds, and the input"),
        Listing(
            ["model", "handed as", "float32", "bfloat16", "input", "slope at 1"],
            [*_formats(found)],
            ("float32", "bfloat16"),
        ),
    )


def _verdicts(row: DecayRow) -> list[str]:
    return [row.model, row.gate, row.z, row.membership, row.against_sigmoid, row.against_fast]


def _numbers(found: DecayTable) -> Iterator[list[str]]:
    """One row for each published start; steps are those of the gate it is of."""
    for row in found.rows:
        if not math.isnan(row.start[0]):
            numbers = [*row.start, row.slope, row.common_steps, row.own_steps, row.own_lr]
            yield [row.model, *("" if math.isnan(x) else number(x, 4) for x in numbers)]


def _formats(found: DecayTable) -> Iterator[list[str]]:
    """One row a model."""
    for row in {row.model: row for row in found.rows}.values():
        held = (number(row.longest[form], 4) for form in ("float32", "bfloat16"))
        yield [row.model, row.handed, *held, row.input, row.input_slope]
