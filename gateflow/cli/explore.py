"""A page to play with: gates, proofs, curves and times that follow sliders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gateflow.cli._options import GATE_NAMES, Json, gate_of, switch
from gateflow.cli._terminal import print_json, say

Gates = Annotated[
    list[str] | None,
    Parameter(
        name="GATES",
        negative="",
        completer=GATE_NAMES,
        help="One to six gates to begin with, by name or formula; by default softsign, sigmoid and fast.",
    ),
]
Checkpoint = Annotated[Path | None, Parameter(name="--checkpoint", help="A file of weights whose audit is shown.")]
Port = Annotated[int, Parameter(name="--port", help="The port; 0 for one that is free.")]
Idle = Annotated[
    float | None,
    Parameter(name="--idle", help="Seconds without an open page after which it ends; by default it ends at Ctrl-C."),
]


def run(
    gates: Gates = None,
    /,
    *,
    checkpoint: Checkpoint = None,
    port: Port = 0,
    no_browser: Annotated[bool, switch("--no-browser", "Print the address; open no browser.")] = False,
    idle: Idle = None,
    json: Json = False,
) -> None:
    """Open a page on which gates are typed, and curves, proofs and times follow.

    Class with its proof, order, crossing, learning curves, times and steps follow the sliders of horizon, gap, start,
    step size, optimizer and noise. The page exports its figure, its numbers, and the lines that make them. It is served
    on this machine only, under an address that holds a random token, until Ctrl-C; the exit code is then 130. Formulas
    are read by gateflow's own parser, in a process of their own, within bounds of time and memory.

    Examples
    --------
    $ gateflow explore fast "sigmoid(z + z**3)" --no-browser --idle 0
    $ gateflow explore mamba lru --port 0 --no-browser --idle 0 --json
    $ gateflow explore --checkpoint model.safetensors --no-browser --idle 0
    """
    import asyncio
    import webbrowser
    from typing import Any

    from gateflow.errors import InvalidArgument
    from gateflow.explorer.exploration import first_sight
    from gateflow.explorer.server import serve

    if not 0 <= port <= 65535:
        raise InvalidArgument(f"port must be from 0 to 65535; got {port}")
    if idle is not None and not 0 <= idle < float("inf"):
        raise InvalidArgument(f"idle must be 0 or more seconds; got {idle}")
    for text in gates or ():
        gate_of(text)

    def opened(server: Any) -> None:
        if json:
            print_json({"address": server.address, "port": server.port})
        else:
            say(server.address)
        import sys

        sys.stdout.flush()
        if not no_browser:
            webbrowser.open(server.address)

    asyncio.run(serve(first_sight(gates or (), checkpoint), port, idle, opened))
