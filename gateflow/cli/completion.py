"""Completion of commands, options and names in a shell."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from gateflow.cli._options import Json
from gateflow.cli._terminal import print_json

Shell = Annotated[Literal["bash", "zsh", "fish"], Parameter(name="SHELL", help="The shell to write for.")]

_READ_BY_ZSH = """
if [[ $funcstack[1] == _gateflow ]]; then
  _gateflow "$@"
else
  compdef _gateflow gateflow
fi
"""
"""Both ways to load it: as a file _gateflow on fpath, which is the function; or read by eval, which has to say so."""


def run(shell: Shell, /, *, json: Json = False) -> None:
    """Print a script with which a shell completes commands, options and names of gates, losses, tasks and figures.

    Load it when the shell starts: eval "$(gateflow completion bash)" in ~/.bashrc; eval "$(gateflow completion
    zsh)" in ~/.zshrc, after compinit; gateflow completion fish | source in ~/.config/fish/config.fish.

    Examples
    --------
    $ gateflow completion bash
    $ gateflow completion zsh --json
    """
    from gateflow.cli import application

    script = application().generate_completion(prog_name="gateflow", shell=shell)
    if shell == "zsh":
        script = script.replace("_cyclopts_gateflow", "_gateflow") + _READ_BY_ZSH
    if json:
        return print_json({"shell": shell, "script": script})
    sys.stdout.write(script)
    return None
