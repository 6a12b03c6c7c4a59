"""Which of two gates saturates faster."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gateflow.cli._options import GATE_NAMES, NOT_REACHED, CertificateFile, Json, Latex, Seconds, gate_of, no_gate
from gateflow.cli._terminal import Listing, pairs, print_json, say, title

if TYPE_CHECKING:
    from gateflow.asymptotics.saturation import Order

First = Annotated[str, Parameter(name="GATE", completer=GATE_NAMES, help="phi: a gate, by name or formula.")]
Second = Annotated[str, Parameter(name="OTHER", completer=GATE_NAMES, help="psi: the gate to compare with.")]


def run(
    gate: First,
    other: Second,
    /,
    *,
    seconds: Seconds = 10.0,
    certificate: CertificateFile = None,
    latex: Latex = False,
    json: Json = False,
) -> int:
    """Decide which of two gates has the higher order of saturation, with the limits that prove it.

    R(a) is the limit of (1 - phi(z))/(1 - psi(a z)), phi being GATE and psi OTHER: 0 for every a > 0 where GATE is
    higher. Equal gates have a threshold a*, or power tails with R(a) = ratio a^exponent. The exit code is 3 where the
    question is left undecided.

    Examples
    --------
    $ gateflow order fast sigmoid
    $ gateflow order fast "sigmoid(z**3)" --json
    $ gateflow order fast erf --certificate order.json
    $ gateflow order "sigmoid(2*z)" sigmoid --latex
    """
    from gateflow.asymptotics.saturation import order

    phi, psi = gate_of(gate, numeric=False), gate_of(other, numeric=False)
    found = replace(order(phi, psi, seconds), names=(gate.strip(), other.strip()))
    beware = "; ".join(why for why in map(no_gate, (phi, psi)) if why)
    if json:
        print_json({**found.to_json(), **({"beware": beware} if beware else {})})
    elif latex:
        print(found.latex())
    else:
        _print(found, beware)
    if certificate is not None:  # after the verdict, which stands also where no certificate can be written
        from gateflow.asymptotics.certificate import certify, write

        write(certify(phi, psi, found, seconds), certificate)
    return NOT_REACHED if found.verdict == "undecided" else 0


def _print(found: Order, beware: str) -> None:
    facts = found.to_json()
    convex = {True: "yes", False: "no", None: None}[found.convex]
    about = [
        ("reason", facts["reason"]),
        ("threshold", facts["threshold"]),
        ("exponent", facts["exponent"]),
        ("ratio", facts["ratio"]),
        ("convex", convex),
        ("beware", beware),
    ]
    steps = [[step["statement"], step["expr"], step["limit"]] for step in facts["steps"]]
    first, second = facts["gates"]
    say(title(f"{first} against {second}: {found.verdict}"), pairs(about), "", Listing(("limit", "of", "is"), steps))
