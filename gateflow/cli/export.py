"""A trained network as a file that is run elsewhere: torch.export, ONNX, plain PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gateflow.cli._options import Force, Json, read_file
from gateflow.cli._terminal import print_json, say

Folder = Annotated[Path, Parameter(name="RUN", help="The folder of a run.")]
To = Annotated[
    Path,
    Parameter(name="--to", converter=read_file, help="The file: .pt2, .onnx, or .py with .safetensors beside it."),
]


def run(folder: Folder, /, *, to: To, force: Force = False, json: Json = False) -> None:
    """Write the network of a run, with the preparation of its inputs, to a file that is run elsewhere.

    .pt2 is a program of torch.export, which needs gateflow.nn where it is loaded; .onnx needs nothing of ours; .py is
    one module of plain PyTorch, with its weights beside it in .safetensors. Each takes series as they stand in files,
    (batch, time, channels) of any batch and length, and has the names of the classes with it.

    Examples
    --------
    $ gateflow train series --data waves.csv --hidden 4 --steps 2 --out runs/waves
    $ gateflow export runs/waves --to waves.py
    $ gateflow export runs/waves --to again.py --json
    """
    from gateflow.training import export

    written = export(folder, to, force=force)
    if json:
        return print_json({"written": [path.as_posix() for path in written]})
    return say(*(path.as_posix() for path in written))
