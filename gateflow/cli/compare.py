"""Order of saturation beside learning times, so that theorem and numbers can be seen to agree."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import NOT_REACHED, Json, Latex, Seconds, Start, gate_of
from gateflow.cli._terminal import Listing, number, pairs, print_json, say

if TYPE_CHECKING:
    from gateflow.gate import Gate

GAPS = (1e-1, 1e-2, 1e-4, 1e-8, 1e-16, 1e-32, 1e-64, 1e-128, 1e-200, 1e-300)

First = Annotated[str, Parameter(name="GATE", help="The gate that the others are measured by, by name or formula.")]
Others = Annotated[list[str], Parameter(name="OTHERS", negative="", help="One or more gates to compare with it.")]
Horizon = Annotated[float, Parameter(name="--horizon", help="T, the steps over which the cell decays.")]


def run(
    gate: First,
    others: Others,
    /,
    *,
    horizon: Horizon = 1.0,
    z0: Start = 0.0,
    seconds: Seconds = 10.0,
    latex: Latex = False,
    json: Json = False,
) -> int:
    """Compare gates: order of saturation, laws of learning, and learning times along a ladder of gaps.

    A higher order of saturation means faster learning (Theorem 4.4): times of the others, over that of GATE, grow
    without bound as the gap falls where GATE is higher. Beside each ratio stands the one that the laws predict. The
    exit code is 3 where an order is left undecided.

    Examples
    --------
    $ gateflow compare fast sigmoid
    $ gateflow compare fast sigmoid softsign --horizon 10 --json
    $ gateflow compare fast sigmoid --latex
    """
    names = [name.strip() for name in (gate, *others)]
    gates = [gate_of(name) for name in names]
    orders = [_order(names[0], gates[0], *other, seconds) for other in zip(names[1:], gates[1:], strict=True)]
    if latex:
        for found in orders:
            print(found.latex())
    else:
        laws = {name: _law(chosen, seconds) for name, chosen in zip(names, gates, strict=True)}
        ladder = _ladder(names, gates, laws, horizon, z0)
        facts = {"horizon": horizon, "z0": z0, "orders": [found.to_json() for found in orders], "laws": laws}
        if json:
            print_json({**facts, "ladder": ladder})
        else:
            _print(names, orders, laws, ladder)
    return NOT_REACHED if any(found.verdict == "undecided" for found in orders) else 0


def _order(first: str, phi: Gate, second: str, psi: Gate, seconds: float) -> Any:
    from dataclasses import replace

    from gateflow.asymptotics.saturation import order

    return replace(order(phi, psi, seconds), names=(first, second))


def _law(gate: Gate, seconds: float) -> dict[str, str | None]:
    """The proved law of learning and of hitting times, as formulas; None where there is none."""
    from gateflow.asymptotics.constants import Undecided
    from gateflow.asymptotics.rate import rate

    try:
        found = rate(gate, seconds=seconds)
    except Undecided as reason:
        return {"rate": None, "hitting_time": None, "reason": str(reason)}
    return {"rate": found.rate, "hitting_time": found.hitting_time, "reason": found.reason}


def _ladder(
    names: list[str], gates: list[Gate], laws: dict[str, dict[str, str | None]], horizon: float, z0: float
) -> list[dict[str, Any]]:
    """For each gap, log tau of every gate; and the ratios to the first, observed and predicted, as logarithms."""
    import numpy as np

    from gateflow.flow.problem import LearningProblem
    from gateflow.flow.time import hitting_time

    problems = [LearningProblem(gate, horizon=horizon, gap=np.array(GAPS)) for gate in gates]
    log_tau = [hitting_time(problem, z0).log_tau for problem in problems]
    law = [_log_law(laws[name]["hitting_time"], horizon) for name in names]
    return [
        {
            "gap": gap,
            "log_tau": {name: float(log_tau[k][i]) for k, name in enumerate(names)},
            "log_ratio": {name: float(log_tau[k][i] - log_tau[0][i]) for k, name in enumerate(names) if k},
            "log_ratio_by_law": {name: _difference(law[k][i], law[0][i]) for k, name in enumerate(names) if k},
        }
        for i, gap in enumerate(GAPS)
    ]


def _log_law(text: str | None, horizon: float) -> list[float | None]:
    """The logarithm of a law of hitting times at each gap, for scale 1."""
    import sympy as sp

    from gateflow.formula import parse

    if text is None:
        return [None] * len(GAPS)
    law = parse(text, variables=("gap", "c", "T"))
    symbol = {s.name: s for s in law.free_symbols}
    at = law.subs(
        {symbol[name]: value for name, value in (("c", 1), ("T", sp.Rational(str(horizon)))) if name in symbol}
    )
    return [_log(at.subs(symbol["gap"], sp.Rational(repr(gap)))) for gap in GAPS]


def _log(value: Any) -> float | None:
    import sympy as sp

    found = sp.log(value).evalf(30)
    return float(found) if found.is_real else None


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _print(names: list[str], orders: list[Any], laws: dict[str, Any], ladder: list[dict[str, Any]]) -> None:
    first, *others = names
    verdicts = pairs((f"{first} against {found.names[1]}", f"{found.verdict}: {found.reason}") for found in orders)
    rates = pairs(
        (f"l(tau) of {name}", f"~ {law['rate']}" if law["rate"] else law["reason"]) for name, law in laws.items()
    )
    headings = ["gap", f"tau of {first}", *(text for name in others for text in (f"{name} / {first}", "by law"))]
    rows = [_row(row, first, others) for row in ladder]
    say(verdicts, "", rates, "", Listing(headings, rows, numeric=headings))


def _row(row: dict[str, Any], first: str, others: list[str]) -> list[str]:
    ratios = ((row["log_ratio"][name], row["log_ratio_by_law"][name]) for name in others)
    return [number(row["gap"]), _exp(row["log_tau"][first]), *(_exp(log) for pair in ratios for log in pair)]


def _exp(log: float | None) -> str:
    """``exp(log)`` with five digits, past the range of floats too."""
    if log is None or not math.isfinite(log):
        return "" if log is None else "inf" if log > 0 else "0"
    if abs(log) < 600:
        return number(math.exp(log), 5)
    power = math.floor(log / math.log(10))
    return f"{math.exp(log - power * math.log(10)):.4f}e{power:+d}"
