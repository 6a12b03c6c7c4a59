"""How many ulps the gates' numbers are off, against big floats; ``--write`` puts the table into docs/accuracy.md.

python -m benchmarks.accuracy [--points 200] [--gates sigmoid fast] [--write]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gateflow.gates.gate import GATES, gate
from tests.gates.ulps import FUNCTIONS, Worst, measure

PAGE = Path(__file__).resolve().parents[1] / "docs" / "accuracy.md"

HEAD = """# Accuracy of the gates

The largest error of every function of every catalogue gate, in units of the last place, over the whole float range.
Made by `python -m benchmarks.accuracy --points {points} --write`: {compared} comparisons. Each cell is
float64 / float32.

The truth is the declared formula, evaluated by mpmath with as many digits as it takes (`tests/gates/oracle.py`), where
mpmath can write it down: `phi` and `log_phi` and their like at every magnitude of z, `phi'` and its like down to the
smallest subnormal. An ulp is the spacing of floats around the true value; below the smallest normal number it is the
one spacing that subnormals have. The points lie dense around 0, at every magnitude of z, wherever phi or 1 - phi is of
every magnitude down to the smallest subnormal, at kinks, and on the floats either side of each zero of `u` and
`phi''`: no zero is excused. An inverse is judged by the distance of its result from the true root. At a kink, what has
two one-sided values is left out. The best possible is 0.5. Errors above 1 are
next to a zero of `u` or `phi''`, where most digits of twice the working precision cancel, or at a subnormal `u`.
"""

TABLES = {
    "Values": ["u", "phi", "phi_c", "log_phi", "log_phi_c"],
    "Derivatives": ["du", "dphi", "log_dphi", "d2phi"],
    "Inverses": ["inverse", "inverse_c", "slope_at"],
}
"""The functions by table; all in one would be wider than a page."""


def rows(names: list[str], points: int) -> Iterator[tuple[str, list[dict[str, Worst]]]]:
    """Each gate with its worst errors in float64 and float32."""
    for name in names:
        inverses = getattr(GATES.module(name), "IN_CLASS_F", True)
        yield name, [measure(gate(name), dtype, points, inverses=inverses) for dtype in (np.float64, np.float32)]


def cell(pair: list[Worst]) -> str:
    """``float64 / float32``."""
    return " / ".join(f"{worst.ulps:.2f}" if worst.points else "-" for worst in pair)


def table(columns: list[str], lines: list[dict[str, str]]) -> list[str]:
    """Some columns, each gate a line, in Markdown."""
    head = ["gate", *columns]
    rows = [head, ["---"] * len(head), *([line[column] for column in head] for line in lines)]
    return [f"| {' | '.join(row)} |" for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=200, help="about how many arguments a gate and type")
    parser.add_argument("--gates", nargs="*", default=list(GATES))
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(PAGE.parents[1])}")
    options = parser.parse_args()
    start, lines, compared, worst = time.perf_counter(), [], 0, 0.0
    for name, both in rows(options.gates, options.points):
        compared += sum(found.points for one in both for found in one.values())
        worst = max([worst, *(found.ulps for one in both for found in one.values())])
        lines.append({"gate": name, **{f"`{what}`": cell([one[what] for one in both]) for what in FUNCTIONS}})
        print(" | ".join(lines[-1].values()), flush=True)
    print(f"worst {worst:.2f} ulps in {compared} comparisons, {time.perf_counter() - start:.0f} s")
    if options.write:
        text = HEAD.format(points=options.points, compared=compared)
        parts = [text]
        for title, columns in TABLES.items():
            parts += [f"## {title}\n", *table([f"`{what}`" for what in columns], lines), ""]
        parts.append(f"Worst of all: {worst:.2f} ulps.")
        PAGE.write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
