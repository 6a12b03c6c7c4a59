"""The decays in a checkpoint, and whether they start as published."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gateflow.cli._options import NOT_REACHED, Figure, Force, Json, picture_file
from gateflow.cli._terminal import Listing, number, print_json, say, tidy
from gateflow.errors import InvalidArgument, shown

if TYPE_CHECKING:
    from gateflow.descents.audit import Audit

Checkpoint = Annotated[
    Path,
    Parameter(
        name="CHECKPOINT", help="A safetensors file, the folder or index of several, or a state dict of PyTorch."
    ),
]
Lr = Annotated[float, Parameter(name="--lr", help="Step size of an optimizer whose steps are about that long.")]
Patterns = Annotated[
    list[str] | None,
    Parameter(
        name="--pattern",
        negative="",
        help="REGEX=GATE: tensors whose names match hold the pre-activation z of this gate; where that is a bias_ih of "
        "an LSTM or GRU, it is its forget gate. May be given again.",
    ),
]

NUMBERS = ("units", "2 %", "50 %", "98 %", "slope", "unmoved", "beyond")


def run(
    checkpoint: Checkpoint,
    /,
    *,
    lr: Lr = 1e-3,
    pattern: Patterns = None,
    figure: Figure = None,
    force: Force = False,
    json: Json = False,
) -> int:
    """Look at the decays in a checkpoint: time constants, what can move, and whether they start as published.

    Layers of Mamba, RWKV, RG-LRU, LRU, xLSTM, GLA, and PyTorch's LSTM and GRU are known by the names of their tensors.
    Time constants are in steps, at quantiles, without what the input adds. Unmoved is the part of the units that a
    step does not change in the tensor's format, beyond the part whose time constant the format does not hold. A start
    that was overwritten, or has moved far since, is flagged; the exit code is then 3. Units and slope of Mamba are
    those of A = 1, its time constants those of all states. The figure shows the time constants, flagged ones in red.

    Examples
    --------
    $ gateflow audit model.safetensors
    $ gateflow audit model.safetensors --lr 1e-4 --json
    $ gateflow audit sharded/model.safetensors.index.json
    $ gateflow audit model.safetensors --pattern "my_gate.bias$=fast" --figure decays.svg
    $ gateflow audit model.safetensors --pattern "bias_ih=sigmoid(z + z**3)"
    """
    from gateflow.descents.audit import audit

    given = {}
    for text in pattern or ():
        parts = re.fullmatch(r"((?:\(\?<?=|[^=])+)=(.+)", text, re.DOTALL)  # "(?=" and "(?<=" belong to the regex
        if not parts:
            raise InvalidArgument(f"--pattern takes REGEX=GATE; got {shown(text)}")
        given[parts[1]] = parts[2]
    picture = picture_file(figure, force)
    found = audit(checkpoint, lr=lr, patterns=given)
    written = []
    if picture is not None:
        from gateflow.plots._audit import audited

        written = [picture.save(audited(found)).as_posix()]
    if json:
        print_json({**found.to_json(), "written": written})
    else:
        _print(found)
        say(*(f"the pattern {shown(text)} is in no name of a tensor of floats" for text in found.unfit), *written)
    return NOT_REACHED if found.flagged else 0


def _print(found: Audit) -> None:
    if not found.layers:
        say("no decays are known by the names of these tensors; --pattern names others")
        return
    rows = [
        [
            tidy(one.name),
            one.model,
            str(one.units),
            *(number(time, 4) for time in one.times),
            number(one.slope, 3),
            *("nan" if math.isnan(part) else f"{part:.0%}" for part in (one.unmoved, one.beyond)),
            "; ".join(one.flags),
        ]
        for one in found.layers
    ]
    say(Listing(["layer", "model", *NUMBERS, "flagged"], rows, NUMBERS))
