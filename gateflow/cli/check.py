"""Whether a gate is in class F."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateflow.cli._options import (
    NOT_REACHED,
    CertificateFile,
    Force,
    GateText,
    Json,
    Latex,
    Seconds,
    gate_of,
    left_of,
    may_write,
)
from gateflow.cli._terminal import Listing, pairs, print_json, say, title

if TYPE_CHECKING:
    from gateflow.asymptotics.membership import Membership


def run(
    gate: GateText,
    /,
    *,
    seconds: Seconds = 20.0,
    certificate: CertificateFile = None,
    force: Force = False,
    latex: Latex = False,
    json: Json = False,
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

    if certificate is not None:
        may_write(certificate, force)
    chosen = gate_of(gate)
    found = replace(membership(chosen, seconds), gate=gate.strip())
    if json:
        print_json(found.to_json())
    elif latex:
        print(found.latex())
    else:
        _print(found)
    if certificate is not None:  # after the verdict, which stands also where no certificate can be written
        from gateflow.asymptotics.certificates import membership_certificate, write

        write(membership_certificate(chosen, found, left_of(seconds, found.seconds)), certificate, force=force)
    return NOT_REACHED if found.verdict == "undecided" else 0


def _print(found: Membership) -> None:
    from gateflow.arithmetic import decimals

    clauses = [clause.to_json() for clause in found.clauses]
    rows = [[clause["statement"], clause["verdict"], clause["reason"]] for clause in clauses]
    about = [
        ("warning", "; ".join(found.warnings)),
        ("z0", None if found.z0 is None else decimals.above(found.z0)),
    ]
    say(title(f"{found.gate}: {found.verdict}"), pairs(about), "", Listing(("clause", "verdict", "why"), rows))
