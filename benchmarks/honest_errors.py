"""Whether the error that hitting_time claims is honest: ``python benchmarks/honest_errors.py --count 5000``.

Generated problems (``tests/flows/ball_cases.py``): every gate of the catalogue that has a formula in balls, straight
pieces with plateaus of slopes down to 1e-200, narrow steps, bumps in the slope, powers at a flat crossing and waves;
horizons 1 to 1e6, gaps 0.8 to 1e-300, starts on both sides, by the target, at ulps from it, on kinks. The true time is
that of ball arithmetic (``tests/flows/ball_oracle.py``), which shares no code with the package.

Each problem is a line of ``results/honest_errors.jsonl``; a run goes on where the last one was stopped, and one that
has all writes ``results/honest_errors.txt``. The exit code is 1 where a true error is above twice the claimed one.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import signal
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "flow"))

import ball_cases  # noqa: E402
import ball_oracle  # noqa: E402

from gateflow.errors import GateflowError  # noqa: E402
from gateflow.flows import LearningProblem, hitting_time  # noqa: E402

PATIENCE = 40
"""Seconds that one problem, or its true value, may take."""
COMPILED_EVERY = 8
"""One formula in so many is also solved by the compiled kernel: compiling is what takes the time."""


class Late(Exception):
    """A problem took too long."""


def _late(*_: Any) -> None:
    raise Late


def judged(number: int) -> dict[str, Any]:
    """One problem: its family, what became of it, the true error over the claimed one."""
    one = ball_cases.case(number)
    row: dict[str, Any] = {"number": number, "family": one.family, "text": one.text, "loss": one.loss}
    signal.alarm(PATIENCE)
    begun = time.perf_counter()
    try:
        problem = LearningProblem(one.text, horizon=one.horizon, loss=one.loss, **{one.way: one.value})
        one = ball_cases.started(one, problem.z_star)
        backends = ["numpy"]
        if one.loss == "absolute" and (number // ball_cases.TOGETHER) % COMPILED_EVERY == 0:
            backends.append("compiled")
        found = [hitting_time(problem, one.z0, backend=backend) for backend in backends]
    except GateflowError as refusal:
        return {**row, "word": "refused", "why": str(refusal)}
    except Late:
        return {**row, "word": "late"}
    finally:
        signal.alarm(0)
    row |= {"seconds": round(time.perf_counter() - begun, 3), "z0": one.z0, "horizon": one.horizon, one.way: one.value}
    row |= {"status": str(found[0].status), "backends": backends, "log_tau": [str(time_.log_tau) for time_ in found]}
    row["error"] = [str(time_.error) for time_ in found]
    if any(math.isnan(time_.log_tau) or math.isnan(time_.error) for time_ in found):
        return {**row, "word": "wrong", "why": "nan"}
    if found[0].status != "reached" or any(math.isinf(time_.error) for time_ in found):
        return {**row, "word": "nothing claimed"}
    signal.alarm(PATIENCE)
    try:
        true = ball_oracle.log_tau(one)
    except (Late, ball_oracle.NoTruth, SystemError, ArithmeticError):
        return {**row, "word": "no truth"}
    finally:
        signal.alarm(0)
    ratios = [_ratio(true, time_) for time_ in found]
    return {**row, "word": "honest" if max(ratios) <= 2 else "wrong", "ratio": max(ratios)}


def _ratio(true: Any, found: Any) -> float:
    """The true relative error over the claimed one."""
    if math.isinf(found.log_tau):
        return 1.0 if found.error >= 1 else math.inf
    miss = math.expm1(min(abs(float((true - ball_oracle.arb(found.log_tau)).mid())), 700.0))
    return 0.0 if miss == 0 else miss / found.error if found.error > 0 else math.inf


def main() -> int:
    """Run what is missing, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--folder", type=Path, default=ROOT / "results")
    options = parser.parse_args()
    lines = options.folder / "honest_errors.jsonl"
    rows = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
    done = {row["number"] for row in rows}
    left = [number for number in range(options.count) if number not in done]
    signal.signal(signal.SIGALRM, _late)
    begun = time.monotonic()
    with lines.open("a") as out:
        for k, number in enumerate(left, 1):
            rows.append(judged(number))
            out.write(json.dumps(rows[-1]) + "\n")
            out.flush()
            if k % 20 == 0:
                rest = (time.monotonic() - begun) / k * (len(left) - k)
                print(f"{len(rows)} of {options.count}, {rest / 60:.0f} min left", file=sys.stderr, flush=True)
    text = told(rows)
    (options.folder / "honest_errors.txt").write_text(text)
    print(text, end="")
    return int(any(row["word"] in ("wrong", "late") for row in rows))


def told(rows: list[dict[str, Any]]) -> str:
    """The counts by family, and every problem that is wrong."""
    words = ("honest", "wrong", "late", "nothing claimed", "refused", "no truth")
    counts = collections.Counter((row["family"], row["word"]) for row in rows)
    out = [f"{len(rows)} problems: the true error of tau is at most twice the claimed one ('honest')"]
    out.append(f"{'family':12}" + "".join(f"{word:>17}" for word in words))
    for family in [*ball_cases.FAMILIES, "all"]:
        of = [sum(n for (f, w), n in counts.items() if w == word and family in (f, "all")) for word in words]
        out.append(f"{family:12}" + "".join(f"{n:17}" for n in of))
    ratios = sorted(row["ratio"] for row in rows if "ratio" in row)
    if ratios:
        parts = ", ".join(f"{100 * q:g} %: {ratios[int(q * (len(ratios) - 1))]:.2g}" for q in (0.5, 0.9, 0.99, 1.0))
        out.append(f"true error over claimed error, {parts}")
    compiled = sum("compiled" in row.get("backends", ()) for row in rows)
    out.append(f"{compiled} of them by both backends")
    out += [f"{row['word']}: {json.dumps(row)}" for row in rows if row["word"] in ("wrong", "late")]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    sys.exit(main())
