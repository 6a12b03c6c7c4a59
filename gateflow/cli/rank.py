"""Gates in order of saturation."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from gateflow.cli._options import GATE_NAMES, NOT_REACHED, PROOF, ProofOptions, Seconds, gate_of
from gateflow.errors import InvalidArgument

Gates = Annotated[
    list[str] | None, Parameter(name="GATES", negative="", completer=GATE_NAMES, help="Gates, by name or formula.")
]


def run(
    gates: Gates = None,
    /,
    *,
    seconds: Seconds = 30.0,
    proof: ProofOptions = PROOF,
) -> int:
    """Sort gates into classes of equal order of saturation, highest first.

    Without GATES, the catalogue's gates of class F. Pairs that are incomparable or undecided are named below the
    classes; the exit code is 3 where a pair is left undecided.

    Examples
    --------
    $ gateflow rank fast sigmoid softsign "sigmoid(z**3)"
    $ gateflow rank sigmoid scaled-tanh fast --json
    $ gateflow rank fast erf sigmoid --latex
    $ gateflow rank fast erf sigmoid --certificate ranking.json
    """
    from gateflow.asymptotics.ranking import rank
    from gateflow.gates.gate import GATES

    proof.check()
    catalogue = [name for name in GATES if getattr(GATES.module(name), "IN_CLASS_F", True)]
    chosen = [gate_of(text, numeric=False) for text in gates or catalogue]
    names = [gate.name for gate in chosen]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidArgument(f"two of the gates are called {twice}; write one of them as a formula")
    found = rank(chosen, seconds)
    proof.show(found, found.to_json, lambda: [found.text])
    proof.certify(lambda made: made.ranking_certificate(chosen, found, seconds))
    return NOT_REACHED if any(order.verdict == "undecided" for order in found.open) else 0
