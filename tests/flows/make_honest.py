"""Write ``honest.json``: generated problems with their true times by ball arithmetic, some 200.

    python tests/flows/make_honest.py

takes a minute of the processor. The formulas come from ``ball_cases.py``; starts that lie by the target lie by the
target as the package finds it, so they are stored too.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import ball_cases
import ball_oracle

from gateflow.flows import LearningProblem

FILE = Path(__file__).with_name("honest.json")
FORMULAS, EACH = 7, 5
"""Of a family, and problems of each."""
GATES, OF_GATES = 14, 3
"""Of the catalogue, which cost little, and problems of each."""
FINE = 2.0**-55
"""Relative error of a true time."""
FIRST = 500_000
"""Of the generated problems: none that the benchmark of honest errors takes."""


def row(number: int) -> dict[str, Any] | None:
    """A problem and log of its true time, right to 16 digits of tau; None where it has arrived at its start."""
    one = ball_cases.case(number)
    problem = LearningProblem(one.text, horizon=one.horizon, loss=one.loss, **{one.way: one.value})
    one = ball_cases.started(one, problem.z_star)
    try:
        true = ball_oracle.log_tau(one, FINE)
    except ball_oracle.NoTruth:
        print(f"{number} is left out: {one.text}")
        return None
    if not true.is_finite():
        return None
    told = {"number": number, "family": one.family, "text": one.text, "horizon": one.horizon, "way": one.way}
    told |= {"value": one.value, "z0": one.z0, "loss": one.loss, "tolerance": one.tolerance}
    return {**told, "log_tau": true.mid().str(25, radius=False)}


def main() -> None:
    """Write the file."""
    rows: list[dict[str, Any]] = []
    left = Counter(dict.fromkeys(ball_cases.FAMILIES, FORMULAS) | {"catalogue": GATES})
    seen: set[str] = set()
    for first in count(FIRST, ball_cases.TOGETHER):
        family = ball_cases.family(first)
        text = ball_cases.case(first).text
        if left[family] and text not in seen:
            seen.add(text)
            left[family] -= 1
            numbers = range(first, first + (OF_GATES if family == "catalogue" else EACH))
            rows += [found for number in numbers if (found := row(number)) is not None]
        if not left.total():
            break
    FILE.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
