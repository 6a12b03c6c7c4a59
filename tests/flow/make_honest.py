"""Write ``honest.json``: 200 generated problems with their true times, by ball arithmetic.

    python tests/flow/make_honest.py

takes some minutes. The formulas come from ``ball_cases.py``, one problem of each; starts that lie by the target lie by
the target as the package finds it, so they are stored too.
"""

from __future__ import annotations

import json
from pathlib import Path

import ball_cases
import ball_oracle

from gateflow.flow import LearningProblem

FILE = Path(__file__).with_name("honest.json")
COUNT = 204


def main() -> None:
    """Write the file."""
    rows: list[dict[str, object]] = []
    number = 0
    wanted = {family: COUNT // len(ball_cases.FAMILIES) for family in ball_cases.FAMILIES}
    while any(wanted.values()):
        one = ball_cases.case(number)
        if wanted[one.family]:
            problem = LearningProblem(one.text, horizon=one.horizon, loss=one.loss, **{one.way: one.value})
            one = ball_cases.started(one, problem.z_star)
            try:
                true = ball_oracle.log_tau(one)
            except (ball_oracle.NoTruth, SystemError):
                true = None
            if true is not None:
                row = {"number": number, "family": one.family, "text": one.text, "horizon": one.horizon, "way": one.way}
                row |= {"value": one.value, "z0": one.z0, "loss": one.loss, "log_tau": true.mid().str(25, radius=False)}
                rows.append(row)
                wanted[one.family] -= 1
        number += 1 if one.family == "catalogue" else ball_cases.TOGETHER // 2
    FILE.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()
