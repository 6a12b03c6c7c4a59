"""Write ``honest.json``: generated problems with their true times, 34 of a family, by ball arithmetic.

    python tests/flows/make_honest.py

takes some minutes; the file is written as it goes and may be stopped. The formulas come from ``ball_cases.py``;
starts that lie by the target lie by the target as the
package finds it, so they are stored too.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import ball_cases
import ball_oracle

from gateflow.flows import LearningProblem

FILE = Path(__file__).with_name("honest.json")
EACH = 34
"""Problems of a family."""
PATIENCE = 5
"""Seconds of the processor after which a problem is passed over."""


class Late(Exception):
    """A true value took too long."""


def _late(*_: Any) -> None:
    raise Late


def row(number: int) -> dict[str, Any] | None:
    """A problem and log of its true time, in 25 digits; None where that was not found."""
    one = ball_cases.case(number)
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
    try:
        problem = LearningProblem(one.text, horizon=one.horizon, loss=one.loss, **{one.way: one.value})
        one = ball_cases.started(one, problem.z_star)
        true = ball_oracle.log_tau(one).mid().str(25, radius=False)
    except (Late, ball_oracle.NoTruth, SystemError, ArithmeticError):
        return None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    told = {"number": number, "family": one.family, "text": one.text, "horizon": one.horizon, "way": one.way}
    return {**told, "value": one.value, "z0": one.z0, "loss": one.loss, "log_tau": true}


def main() -> None:
    """Write the file."""
    signal.signal(signal.SIGVTALRM, _late)
    rows: list[dict[str, Any]] = []
    left = dict.fromkeys(ball_cases.FAMILIES, EACH)
    number = 0
    while any(left.values()):
        family = ball_cases.family(number)
        if left[family] and (found := row(number)) is not None:
            rows.append(found)
            left[family] -= 1
        number += 1 if family == "catalogue" else 2
        FILE.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
