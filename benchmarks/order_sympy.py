"""The order of saturation by this project's engine and by SymPy's `limit`, side by side on the same ordered pairs.

    python benchmarks/order_sympy.py --timeout 10

SymPy is asked for ``lim (1 - phi(z))/(1 - psi(a z))`` with a symbolic a > 0; each question runs in a process of its
own, which is ended at the timeout. Equal orders have no single such limit where R jumps, so they are counted apart.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import time
from collections import Counter

import sympy as sp

from gateflow.asymptotics.order import order_of_germs

x = sp.Symbol("x", positive=True)
A = sp.Symbol("a", positive=True)

TAILS = {  # 1 - phi for z > 0
    "sigmoid": 1 / (1 + sp.exp(x)),
    "softsign": 1 / (2 + x),
    "fast": 1 / (1 + sp.exp(sp.sinh(x))),
    "arctan": sp.S.Half - sp.atan(x) / sp.pi,
    "erf": sp.erfc(x) / 2,
    "algebraic": (1 - x / sp.sqrt(1 + x**2)) / 2,
    "gudermannian": 1 - 2 * sp.atan(sp.exp(x)) / sp.pi,
    "scaled-tanh": (1 - sp.tanh(x)) / 2,
    "gompertz": 1 - sp.exp(-sp.exp(-x)),
    "cloglog": sp.exp(-sp.exp(x)),
    "asinh": 1 / (1 + x + sp.sqrt(1 + x**2)),
    "log-slow": 1 / (2 + sp.log(1 + x)),
    "cubic": 1 / (1 + sp.exp(x**3)),
    "linear-cubic": 1 / (1 + sp.exp(x**3 + x)),
    "exp-square": 1 / (1 + sp.exp(x * sp.exp(x**2))),
    "iterated-sinh": 1 / (1 + sp.exp(sp.sinh(sp.sinh(x)))),
}


def ask(phi: sp.Expr, psi: sp.Expr, out) -> None:
    try:
        out.put(str(sp.limit(phi / psi.xreplace({x: A * x}), x, sp.oo)))
    except Exception as error:  # whatever it raises is its answer here
        out.put(f"raised {type(error).__name__}")


def by_sympy(phi: sp.Expr, psi: sp.Expr, timeout: float) -> str:
    out = multiprocessing.Queue()
    process = multiprocessing.Process(target=ask, args=(phi, psi, out))
    process.start()
    process.join(timeout)
    if process.is_alive():
        process.kill()
        process.join()
        return "hung"
    return out.get()


def judged(answer: str, verdict: str) -> str:
    if answer.startswith("raised") or answer == "hung":
        return answer.split()[0]
    if "Limit" in answer:
        return "unevaluated"
    if verdict == "equal":
        return "wrong" if answer in ("0", "oo") else "equal order: one limit of many"
    return "right" if answer == {"higher": "0", "lower": "oo"}[verdict] else "wrong"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timeout", type=float, default=10.0)
    parser.add_argument("--pairs", type=int, default=240, help="only so many of the ordered pairs")
    options = parser.parse_args()
    counts, ours, theirs = Counter(), 0.0, 0.0
    for a, b in itertools.islice(itertools.permutations(TAILS, 2), options.pairs):
        start, z = time.process_time(), sp.Symbol("z", real=True)
        found = order_of_germs(*(-sp.log(TAILS[name]).xreplace({x: z}) for name in (a, b)))
        ours += time.process_time() - start
        start = time.perf_counter()
        answer = by_sympy(TAILS[a], TAILS[b], options.timeout)
        theirs += time.perf_counter() - start
        verdict = judged(answer, found.verdict)
        counts[verdict] += 1
        if verdict != "right":
            print(f"{a:14s} {b:14s} here: {found.verdict:7s} sympy: {verdict}: {answer[:60]}", flush=True)
    print(f"here: {ours:.2f} s of CPU; SymPy: {theirs:.1f} s, at most {options.timeout:g} s a pair: {dict(counts)}")


if __name__ == "__main__":
    main()
