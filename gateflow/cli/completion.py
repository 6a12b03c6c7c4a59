"""Completion of commands and options in a shell."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from gateflow.cli._options import Json
from gateflow.cli._terminal import print_json

Shell = Annotated[Literal["bash", "zsh", "fish"], Parameter(name="SHELL", help="The shell to write for.")]


def run(shell: Shell, /, *, json: Json = False) -> None:
    """Print a script that teaches a shell to complete gateflow's commands and options.

    Put it where the shell looks: eval "$(gateflow completion bash)" in ~/.bashrc; a file _gateflow on zsh's fpath;
    ~/.config/fish/completions/gateflow.fish.

    Examples
    --------
    $ gateflow completion bash
    $ gateflow completion zsh --json
    """
    from gateflow.cli import application

    script = application().generate_completion(prog_name="gateflow", shell=shell)
    if json:
        return print_json({"shell": shell, "script": script})
    sys.stdout.write(script)
    return None
