"""The grid of numerics.md, all of it, for every gate of the catalogue and some formulas: ``python benchmarks/grid.py``.

Horizons 1 to 1e6, nine gaps from 1e-2 to 1e-100, starts on the plateau below and far above: 72 cases a gate. A time is
right where it is within its own estimate of the error from a certified one; a refusal is held against its reason. What
is neither is printed, and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "flows"))
import grid


def main() -> int:
    """Run the cases of all gates, or of those named, and print one line a gate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gates", nargs="*", default=grid.NAMES)
    total: Counter[str] = Counter()
    print(f"{'gate':<46}{'right':>6}  {'refused':<26}{'wrong':>6}  {'max error':>9}  {'longest, s':>10}")
    for name in parser.parse_args().gates:
        verdicts = []
        for case in (case for case in grid.CASES if case.name == name):
            verdicts.append(grid.judged(case))
            if verdicts[-1].word == "wrong":
                print(f"wrong: {case}: {verdicts[-1]}")
        words = Counter(verdict.word for verdict in verdicts)
        total += words
        reasons = Counter(verdict.why for verdict in verdicts if verdict.word == "refused")
        refused = ", ".join(f"{count} {why}" for why, count in reasons.items()) or "0"
        worst = max((verdict.miss for verdict in verdicts if verdict.word == "right"), default=0.0)
        longest = max(verdict.seconds for verdict in verdicts)
        print(f"{name:<46}{words['right']:>6}  {refused:<26}{words['wrong']:>6}  {worst:>9.1e}  {longest:>10.2f}")
    print(f"{total.total()} cases: {total['right']} right, {total['refused']} refused, {total['wrong']} wrong")
    return int(total["wrong"] > 0)


if __name__ == "__main__":
    begun = time.process_time()
    code = main()
    print(f"{time.process_time() - begun:.0f} s of computing")
    sys.exit(code)
