"""The losses."""

from __future__ import annotations

from typing import Any

from gateflow.cli._options import Json
from gateflow.cli._terminal import Listing, print_json, say


def run(*, json: Json = False) -> None:
    """List the losses that --loss takes: name, formula below the target, whether the flow arrives.

    The cell keeps exp(-h) of its value, and exp(-h_star) is wanted: h = -T log phi. A loss that is smooth at the target
    is never reached: it needs a --tolerance. In place of a name, --loss takes a formula in s, M(s) = E exp(-s X):
    the horizon is then X T with X random, and the loss |M(h) - M(h_star)|.

    Examples
    --------
    $ gateflow losses
    $ gateflow losses --json
    """
    rows = catalogue()
    if json:
        return print_json({"losses": rows})
    cells = [[row["name"], row["formula"], "yes" if row["arrives"] else "no", row["summary"]] for row in rows]
    return say(Listing(["name", "formula", "arrives", "what"], cells, cut=True))


def catalogue() -> list[dict[str, Any]]:
    """One row a loss."""
    from gateflow.losses import LOSSES

    return [_row(name, LOSSES.module(name), LOSSES.summary(name)) for name in LOSSES]


def _is_long(node: Any) -> bool:
    """Whether a number is a float's exact ratio, which nobody reads."""
    return bool(node.is_Rational and node.q > 10**6)


def _row(name: str, module: Any, summary: str) -> dict[str, Any]:
    return {
        "name": name,
        "formula": getattr(module, "FORMULA", None) or _formula(module.LOSS),
        "arrives": bool(module.LOSS.arrives),
        "summary": summary.rstrip("."),
    }


def _formula(loss: Any) -> str:
    return str(loss.branches[0].expression.replace(_is_long, lambda ratio: ratio.evalf(6)))
