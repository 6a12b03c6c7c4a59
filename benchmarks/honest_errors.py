"""Whether the error that hitting_time claims is honest: ``python benchmarks/honest_errors.py --count 5000``.

Generated problems (``tests/flows/ball_cases.py``): every gate of the catalogue that has a formula in balls, straight
pieces with plateaus of slopes down to 1e-200, narrow steps, bumps in the slope, powers at a flat crossing and waves;
five losses, horizons 1 to 1e6, gaps 0.8 to 1e-300, starts on both sides, by the target, at ulps from it, on kinks. The
true time is that of ball arithmetic (``tests/flows/ball_oracle.py``), which shares no code with the package.

The problems of one formula are solved in one call, and each is a line of ``results/honest_errors.jsonl``; a run goes on
where the last one was stopped, and one that has all writes ``results/honest_errors.txt``. The exit code is 1 where a
true error is above twice the claimed one, or an answer is no answer.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "flows"))

import ball_cases  # noqa: E402
import ball_oracle  # noqa: E402

from gateflow.errors import GateflowError  # noqa: E402
from gateflow.flows import LearningProblem, Status, hitting_time  # noqa: E402
from gateflow.record import source  # noqa: E402

PATIENCE = 40
"""Seconds of the processor that the problems of one formula may take."""
OF_TRUTH = 4
"""Seconds of the processor that a true value may take; nearly all take some hundredths."""
COMPILED_EVERY = 5
"""One formula in so many is also solved by the compiled kernel: compiling is what takes the time. No family is left
out, as their number has no factor in common with this."""
WORDS = ("honest", "wrong", "late", "nothing claimed", "refused", "no truth")


class Late(Exception):
    """It took too long."""


@contextmanager
def patience(seconds: float) -> Any:
    """Raises Late within, after a while."""

    def late(*_: Any) -> None:
        raise Late

    signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def judged(group: int) -> list[dict[str, Any]]:
    """The problems of one formula: what became of each, and its true error over the claimed one."""
    numbers = range(group * ball_cases.TOGETHER, (group + 1) * ball_cases.TOGETHER)
    cases = [ball_cases.case(number) for number in numbers]
    one = cases[0]
    rows: list[dict[str, Any]] = [
        {"number": number, "commit": source(), "family": one.family, "loss": one.loss} for number in numbers
    ]
    begun = time.process_time()
    try:
        with patience(PATIENCE):
            given = {one.way: [case.value for case in cases]}
            problem = LearningProblem(one.text, horizon=[case.horizon for case in cases], loss=one.loss, **given)
            starts = zip(cases, problem.z_star.tolist(), strict=True)
            cases = [ball_cases.started(case, z_star) for case, z_star in starts]
            z0 = [case.z0 for case in cases]
            tolerance = None if one.tolerance is None else [case.tolerance for case in cases]
            both = one.loss == "absolute" and group % COMPILED_EVERY == 0
            found = {
                backend: hitting_time(problem, z0, tolerance=tolerance, backend=backend)
                for backend in ("numpy", "compiled")[: 1 + both]
            }
    except GateflowError as refusal:
        return [{**row, "word": "refused", "why": str(refusal), "text": one.text} for row in rows]
    except Late:
        return [{**row, "word": "late", "why": "gateflow", "text": one.text} for row in rows]
    seconds = round((time.process_time() - begun) / len(rows), 4)
    for k, (row, case) in enumerate(zip(rows, cases, strict=True)):
        row |= {"seconds": seconds, "backends": list(found), "log_tau": [float(f.log_tau[k]) for f in found.values()]}
        row |= {"error": [float(f.error[k]) for f in found.values()], "status": str(found["numpy"].status[k])}
        row |= _word(case, row)
        if row["word"] != "honest":
            asked = {"text": case.text, "horizon": case.horizon, case.way: case.value, "z0": case.z0}
            row |= asked | ({} if case.tolerance is None else {"tolerance": case.tolerance})
    return rows


def _word(case: Any, row: dict[str, Any]) -> dict[str, Any]:
    """What became of a problem."""
    answers = list(zip(row["log_tau"], row["error"], strict=True))
    if any(math.isnan(log_tau) or math.isnan(error) for log_tau, error in answers):
        return {"word": "wrong", "why": "nan"}
    if row["status"] not in (Status.REACHED, Status.UNRESOLVED, Status.UNDECIDED, Status.OVERFLOW):
        return {"word": "wrong", "why": "every problem here has a time"}
    if row["status"] != Status.REACHED or any(not error < math.inf for _, error in answers):
        return {"word": "nothing claimed"}
    begun = time.process_time()
    try:
        with patience(OF_TRUTH):
            least = min(error for _, error in answers)
            true = ball_oracle.log_tau(case, max(least / 64, ball_oracle.FINEST))
    except (Late, ball_oracle.NoTruth, SystemError):  # the last where time was up within flint
        return {"word": "no truth"}
    ratio = max(_ratio(true, *answer) for answer in answers)
    seconds = round(time.process_time() - begun, 4)
    return {"word": "honest" if ratio <= 2 else "wrong", "ratio": ratio, "seconds of truth": seconds}


def _ratio(true: Any, log_tau: float, error: float) -> float:
    """The true relative error of tau over the claimed one, at most."""
    if math.isinf(log_tau) or not true.is_finite():
        return 0.0 if log_tau == -math.inf and not true.is_finite() else math.inf
    miss = math.expm1(min(float(abs(true - ball_oracle.ball(log_tau)).upper()), 700.0))
    return miss / error if error > 0 else math.inf


def main() -> int:
    """Run what is missing, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--folder", type=Path, default=ROOT / "results")
    options = parser.parse_args()
    lines = options.folder / "honest_errors.jsonl"
    rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()] if lines.exists() else []
    done = {row["number"] // ball_cases.TOGETHER for row in rows}
    left = [group for group in range(-(-options.count // ball_cases.TOGETHER)) if group not in done]
    begun = time.monotonic()
    with lines.open("a", encoding="utf-8") as out:
        for k, group in enumerate(left, 1):
            found = judged(group)
            rows += found
            out.write("".join(json.dumps(row) + "\n" for row in found))
            out.flush()
            if k % 20 == 0:
                rest = (time.monotonic() - begun) / k * (len(left) - k)
                print(f"{len(rows)} of {options.count}, {rest / 60:.0f} min left", file=sys.stderr, flush=True)
    text = told(sorted(rows, key=lambda row: row["number"]))
    (options.folder / "honest_errors.txt").write_text(text, encoding="utf-8")
    print(text, end="")
    return int(any(row["word"] in ("wrong", "late") for row in rows))


def told(rows: list[dict[str, Any]]) -> str:
    """The counts by family, and every problem that is not honest."""
    commits = collections.Counter(row["commit"] for row in rows)
    counts = collections.Counter((row["family"], row["word"]) for row in rows)
    out = ["$ python benchmarks/honest_errors.py"]
    out += [f"commit {commit}: {count} problems" for commit, count in commits.items()]
    out.append(f"{len(rows)} problems: the true error of tau is at most twice the claimed one ('honest')")
    out.append(f"{'family':12}" + "".join(f"{word:>17}" for word in WORDS))
    for family in [*ball_cases.FAMILIES, "all"]:
        of = [sum(n for (f, w), n in counts.items() if w == word and family in (f, "all")) for word in WORDS]
        out.append(f"{family:12}" + "".join(f"{n:17}" for n in of))
    ratios = sorted(row["ratio"] for row in rows if "ratio" in row)
    if ratios:
        parts = ", ".join(f"{100 * q:g} %: {ratios[int(q * (len(ratios) - 1))]:.2g}" for q in (0.5, 0.9, 0.99, 1.0))
        out.append(f"true error over claimed error, {parts}")
    compiled = sum("compiled" in row.get("backends", ()) for row in rows)
    out.append(f"{compiled} of them by both backends")
    seconds = [sum(row.get(part, 0) for row in rows) for part in ("seconds", "seconds of truth")]
    out.append(f"seconds of the processor: {seconds[0]:.0f} of gateflow, {seconds[1]:.0f} of ball arithmetic")
    out += [f"{row['word']}: {json.dumps(row)}" for row in rows if row["word"] not in ("honest", "nothing claimed")]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    sys.exit(main())
