"""Independent check of a certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gateflow.cli._options import NOT_REACHED, Json, Seconds
from gateflow.cli._terminal import Listing, pairs, print_json, say, title

File = Annotated[
    Path, Parameter(name="FILE", help="A certificate, written by order, rank, rate or check with --certificate.")
]
MARKS = {True: "holds", False: "FAILS", None: "open"}


def run(file: File, /, *, seconds: Seconds = 60.0, json: Json = False) -> int:
    """Check a certificate independently: its digest, each step of its chain, each limit, with other code than made it.

    The outcome is verified, refuted, or open where a limit could not be proved again or its numbers do not show it. The
    exit code is 3 unless it is verified.

    Examples
    --------
    $ gateflow order fast sigmoid --certificate order.json
    $ gateflow verify order.json
    $ gateflow verify order.json --json
    """
    from gateflow.asymptotics.proofs.checker import verify
    from gateflow.guards import bounded

    found = bounded.call(lambda: verify(file, seconds), bounded.checked(seconds) + 1, asked=seconds)
    if json:
        print_json(found.to_json())
    else:
        rows = [[check.what, check.how, MARKS[check.ok], check.detail] for check in found.checks]
        listing = Listing(("what", "how", "", "detail"), rows)
        say(title(f"{found.status}: {found.statement}"), pairs([("reason", found.reason)]), "", listing)
    return 0 if found.ok else NOT_REACHED
