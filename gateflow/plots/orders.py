"""The gates of the catalogue by order of saturation, lowest at the foot, with the law of learning of each class.

A gate is above another if its distance from 1 is the smaller one for large z, at every scale of z. The higher, the
faster the loss falls, and no gate passes the law of the barrier.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from gateflow.asymptotics.order import order
from gateflow.asymptotics.proofs.statements import text_of
from gateflow.asymptotics.ranking import rank
from gateflow.asymptotics.rate import rate
from gateflow.asymptotics.saturation import saturation_order
from gateflow.formula import parse
from gateflow.formula.vocabulary import Z
from gateflow.gates.gate import GATES, gate
from gateflow.plots._figure import Figure
from gateflow.plots._laws import tex_of
from gateflow.plots._table import FigureTable

OUTSIDE = ("hard-sigmoid",)
"""Not in class F."""

MEANING = {
    "gate": "name of the gate",
    "rung": "which class of equal order, from the lowest",
    "order": "g of the order of saturation O(g(z)) of the class",
    "rate": "law of learning of the gate for lambda* = 1 and c = T = 1, as a formula in tau",
    "kappa": "lim log k/log f; 1 is the barrier",
    "relation": "threshold a*, or R(a), against the first gate of its class",
}


def compute() -> FigureTable:
    """Classes by `rank`, each law proved."""
    gates = {name: gate(name) for name in GATES if name not in OUTSIDE}
    classes = rank(gates.values()).classes[::-1]
    called = {one.name: one for one in gates.values()}
    return FigureTable.of((_row(called, names, i, name) for i, names in enumerate(classes) for name in names), MEANING)


def _row(called: dict[str, Any], names: list[str], rung: int, name: str) -> dict[str, Any]:
    found = rate(called[name])
    row = {
        "gate": name,
        "rung": float(rung),
        "order": text_of(saturation_order(called[names[0]]).g),
        "rate": (found.rate or "").replace("c*T*", ""),
        "kappa": text_of(found.kappa),
        "relation": _relation(called[name], called[names[0]]),
    }
    return {key: np.atleast_1d(value) for key, value in row.items()}


def _relation(one: Any, first: Any) -> str:
    found = order(one, first)
    if found.threshold is not None:
        return f"a* = {text_of(found.threshold)}"
    return f"R(a) = {text_of(found.ratio)} * a**{text_of(found.exponent)}"


def draw(axes: Any, table: FigureTable) -> None:
    """A ladder: g at the left, the gates of the class, and at the right its law of learning."""
    count = int(table["rung"].max()) + 1
    axes.plot([_NODE] * count, range(count), color="0.45", linewidth=0.8, zorder=1)
    axes.plot([_NODE] * count, range(count), "o", color="black", markersize=3.2, zorder=2)
    for rung in range(count):
        part = table.rows(rung=float(rung))
        axes.text(_NODE - 0.03, rung, f"${_tex_of_order(part['order'][0])}$", ha="right", va="center", fontsize=7)
        axes.text(_NODE + 0.03, rung, _lines(list(part["gate"])), va="center", fontsize=7, linespacing=1.05)
        axes.text(1.0, rung, f"${tex_of(part['rate'][0])}$", ha="right", va="center", fontsize=7)
    heads = (
        (_NODE - 0.03, "$g(z)$", "right"),
        (_NODE + 0.03, "gates of order $O(g)$", "left"),
        (1.0, r"$l(\tau)$ of the first", "right"),
    )
    for x, word, side in heads:
        axes.text(x, count - 0.15, word, ha=side, va="center", fontsize=7, color="0.35")
    axes.set(xlim=(0, 1), ylim=(-0.5, count + 0.2))
    axes.axis("off")


_NODE = 0.22


def _lines(names: list[str]) -> str:
    """Names with commas, at most two a line."""
    pairs = [", ".join(names[i : i + 2]) for i in range(0, len(names), 2)]
    return ",\n".join(pairs)


def _tex_of_order(text: str) -> str:
    """g as mathematics: powers of z by their exponent."""
    g = parse(text)
    if g.is_Pow and g.base == Z:
        return f"z^{{{g.exp}}}"
    return sp.latex(g, fold_short_frac=True).replace(r"\log{\left(z \right)}", r"\log\,z")


FIGURE = Figure(compute, draw, height=3.9)
