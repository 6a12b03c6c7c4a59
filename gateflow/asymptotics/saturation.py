"""The order of saturation by name: the simplest g with ``1 - phi = O(g)`` (theory.md §3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sympy as sp

from gateflow.asymptotics.germs import germ_of, simplify_germ
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.limits.growth import Chain, Field, oscillating
from gateflow.asymptotics.order import SECONDS, Order, order_of_germs
from gateflow.asymptotics.proofs.outline import slope
from gateflow.asymptotics.proofs.statements import text_of
from gateflow.errors import cut
from gateflow.formula.vocabulary import Expr, Z
from gateflow.gates.gate import gate as as_gate
from gateflow.guards import bounded
from gateflow.notebook.cards import facts, framed, mathematics
from gateflow.results.byvalue import by_value


@by_value
@dataclass(frozen=True)
class SaturationOrder:
    """The class ``O(g(z))`` of a gate, named by its simplest member.

    Attributes
    ----------
    g : sympy.Expr or None
        Decreasing; ``g(a z)/(1 - phi(z)) -> 0`` for ``a`` past the threshold. None where it is undecided.
    order : Order
        The gate against a gate with ``1 - psi = g``: ``equal``, or ``undecided`` with the reason.
    strict : bool
        False for power tails, where ``g(a z)/(1 - phi(z))`` tends to a positive constant for every a, so that only the
        class is named: no power of z is the least admissible g.
    """

    g: Expr | None
    order: Order
    strict: bool = False

    def __repr__(self) -> str:
        return f"<SaturationOrder {cut(str(self))}>"

    def __str__(self) -> str:
        return f"undecided; {self.order.reason}" if self.g is None else f"O({text_of(self.g)})"

    def latex(self) -> str:
        """``O(g(z))``."""
        return r"\text{(undecided)}" if self.g is None else rf"O\left({sp.latex(self.g)}\right)"

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def _repr_html_(self) -> str:
        if self.g is None:
            return framed("Order of saturation", facts([("undecided", self.order.reason)]))
        note = None if self.strict else "a power tail: the class only, no power of z is the least"
        about = facts([("g(z)", text_of(self.g)), ("note", note)])
        return framed("Order of saturation", mathematics(self.latex()), about)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        g = None if self.g is None else text_of(self.g)
        return {"g": g, "strict": self.strict, "order": self.order.to_json()}


def saturation_order(gate: Any, seconds: float = SECONDS) -> SaturationOrder:
    """The simplest g with the same order of saturation as the gate.

    Parameters
    ----------
    gate : Gate or str
        A gate, or its name or formula.
    seconds : float
        Time allowed.

    Examples
    --------
    >>> from gateflow.gates.gate import Gate
    >>> saturation_order(Gate("sigmoid(sinh(z))")).g, saturation_order(Gate("(1 + erf(z))/2")).g
    (exp(-exp(z)), exp(-z**2))
    """
    gate, seconds = as_gate(gate), bounded.checked(seconds)
    try:
        return saturation_order_of_germ(germ_of(gate), seconds)
    except Undecided as why:
        return SaturationOrder(None, Order("undecided", reason=why.reason))


def saturation_order_of_germ(f: Expr, seconds: float = SECONDS) -> SaturationOrder:
    """See `saturation_order`; ``f = -log(1 - phi)``.

    Raises
    ------
    Undecided
        f oscillates, no simpler function of the same order was found, or time ran out.
    """
    if oscillating(f):
        raise Undecided("the gate oscillates as z grows: no simple g names its order")
    hardy = Field(Z, seconds / 2)
    f = simplify_germ("f", "phi", f, Chain(hardy))
    p = hardy.limit(Z * slope(f))
    if p.is_finite:
        g = _unit(hardy.leading_term(sp.exp(-f)))
        return SaturationOrder(g, order_of_germs(f, -sp.log(g), seconds), strict=False)
    for candidate in _simpler(hardy, f):
        found = order_of_germs(f, candidate, seconds / 2)
        if found.verdict == "equal":
            return SaturationOrder(sp.exp(-candidate), found, strict=True)
    raise Undecided("no simpler germ of the same order was found")


def _unit(term: Expr) -> Expr:
    """A leading term without its constant factor."""
    return sp.Mul(*[a for a in sp.Mul.make_args(term) if a.has(Z)])


def _simpler(hardy: Field, f: Expr) -> Iterable[Expr]:
    """Germs that may be of the same order as f, the simplest first."""
    term = _unit(hardy.leading_term(f))
    factors = sp.Mul.make_args(term)
    fastest = max(factors, key=lambda a: _height(a))
    if isinstance(fastest, sp.exp):
        exponents = list(_simpler(hardy, fastest.args[0]))
        yield from (sp.exp(h) for h in exponents)
    yield fastest
    yield term
    yield f


def _height(a: Expr) -> tuple[int, int]:
    """Nested exponentials less nested logarithms: a crude measure of speed, used only to order candidates."""
    inner = max((_height(b)[0] for b in a.args), default=0) if a.args else 0
    return (inner + isinstance(a, sp.exp) - isinstance(a, sp.log), sp.count_ops(a))
