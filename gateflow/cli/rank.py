"""Gates in order of saturation."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from gateflow.cli._options import (
    GATE_NAMES,
    NOT_REACHED,
    CertificateFile,
    Force,
    Json,
    Latex,
    Seconds,
    gate_of,
    may_write,
)
from gateflow.cli._terminal import print_json, say
from gateflow.errors import InvalidArgument

Gates = Annotated[
    list[str] | None, Parameter(name="GATES", negative="", completer=GATE_NAMES, help="Gates, by name or formula.")
]


def run(
    gates: Gates = None,
    /,
    *,
    seconds: Seconds = 30.0,
    certificate: CertificateFile = None,
    force: Force = False,
    latex: Latex = False,
    json: Json = False,
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

    if certificate is not None:
        may_write(certificate, force)
    catalogue = [name for name in GATES if getattr(GATES.module(name), "IN_CLASS_F", True)]
    chosen = [gate_of(text, numeric=False) for text in gates or catalogue]
    names = [gate.name for gate in chosen]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidArgument(f"two of the gates are called {twice}; write one of them as a formula")
    found = rank(chosen, seconds)
    if json:
        print_json(found.to_json())
    elif latex:
        print(found.latex())
    else:
        say(found.text)
    if certificate is not None:  # after the verdict, which stands also where no certificate can be written
        from gateflow.asymptotics.certificates import ranking_certificate, write

        write(ranking_certificate(chosen, found, seconds), certificate, force=force)
    return NOT_REACHED if any(order.verdict == "undecided" for order in found.open) else 0
