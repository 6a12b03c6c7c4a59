"""Whether a gate is in class F."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gateflow.cli._options import NOT_REACHED, PROOF, GateText, ProofOptions, Seconds, gate_of, left_of
from gateflow.cli._terminal import Listing, pairs, title

if TYPE_CHECKING:
    from gateflow.asymptotics.membership import Membership


def run(
    gate: GateText,
    /,
    *,
    seconds: Seconds = 20.0,
    proof: ProofOptions = PROOF,
) -> int:
    """Decide whether a gate is in class F, clause by clause of Definition 4.1.

    In F: differentiable, strictly increasing, onto (0, 1), with a derivative that is monotone beyond some z0. Each
    clause is proved, refuted with a witness, or undecided. A gate that does not fall to 0 but to a floor a is asked for
    the same on (a, 1). The exit code is 3 where the class is left undecided.

    Examples
    --------
    $ gateflow check fast
    $ gateflow check "sigmoid(z**3 - z)"
    $ gateflow check "0.05 + 0.9*sigmoid(z)" --json
    $ gateflow check "0.3 + 0.7*sigmoid(z)"
    $ gateflow check fast --certificate fast.json
    """
    from gateflow.asymptotics.membership import membership

    proof.check()
    chosen = gate_of(gate)
    found = replace(membership(chosen, seconds), gate=gate.strip())
    proof.show(found, found.to_json, lambda: _text(found))
    proof.certify(lambda made: made.membership_certificate(chosen, found, left_of(seconds, found.seconds)))
    return NOT_REACHED if found.verdict == "undecided" else 0


def _text(found: Membership) -> list[Any]:
    from gateflow.arithmetic import decimals

    clauses = [clause.to_json() for clause in found.clauses]
    rows = [[clause["statement"], clause["verdict"], clause["reason"]] for clause in clauses]
    about = [
        ("warning", "; ".join(found.warnings)),
        ("z0", None if found.z0 is None else decimals.above(found.z0)),
    ]
    return [title(f"{found.gate}: {found.verdict}"), pairs(about), "", Listing(("clause", "verdict", "why"), rows)]
