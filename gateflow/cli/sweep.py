"""Learning times, or another quantity, on a grid of problems."""

from __future__ import annotations

import json as text_json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import (
    HORIZON,
    OUT,
    GateTexts,
    Jobs,
    Json,
    LossText,
    Restart,
    Scheduler,
    Tolerance,
    gate_of,
    names_in,
    read_file,
)
from gateflow.cli._terminal import number, pairs, print_json, say


def _axis(name: str | list[str], help: str) -> Any:
    return Parameter(name=name, help=help, allow_leading_hyphen=True)


Horizon = Annotated[str | None, _axis(HORIZON, "T, the steps over which the cell decays; at least 1.")]
Gap = Annotated[str | None, _axis("--gap", "The target as 1 - lambda*, what may be lost over the horizon.")]
Target = Annotated[str | None, _axis("--target", "The target as lambda*, what is to be kept.")]
Timescale = Annotated[str | None, _axis("--timescale", "The target as a time constant in steps, -1/log phi.")]
LogGap = Annotated[str | None, _axis("--log-gap", "The target as log(1 - lambda*), for gaps below 1e-308.")]
Decay = Annotated[str | None, _axis("--decay", "The target as a total decay, -log lambda*.")]
Start = Annotated[str | None, _axis("--z0", "Where learning starts, z at tau = 0; by default 0.")]
Scale = Annotated[str | None, _axis("--scale", "c, the size of the loss; by default 1.")]
Quantity = Annotated[
    str, Parameter(name="--quantity", completer=names_in("gateflow.sweeps.quantities"), help="What to compute.")
]
Out = Annotated[Path, Parameter(name=OUT, converter=read_file, help="The netCDF file to write.")]
Chunk = Annotated[
    int | None, Parameter(name="--chunk", help="Problems computed together; by default as the quantity says.")
]
Varied = Annotated[
    list[str] | None,
    Parameter(name="--vary", negative="", help="Another input of the quantity and its values, as in lr=0.1:1:3."),
]
Said = Annotated[
    list[str] | None, Parameter(name="--set", negative="", help="A setting of the quantity, as in task=copying.")
]


def run(
    gates: GateTexts,
    /,
    *,
    horizon: Horizon = None,
    gap: Gap = None,
    target: Target = None,
    timescale: Timescale = None,
    log_gap: LogGap = None,
    decay: Decay = None,
    z0: Start = None,
    scale: Scale = None,
    loss: LossText = "absolute",
    tolerance: Tolerance = None,
    quantity: Quantity = "hitting-time",
    vary: Varied = None,
    said: Said = None,
    out: Out = Path("times.nc"),
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
    chunk: Chunk = None,
    restart: Restart = False,
    json: Json = False,
) -> None:
    """Compute learning times, or another quantity, over the product of axes, and write them as netCDF.

    An axis is a number, several with commas between (1,10,100), or a range with both its ends and a number of points
    (-3:3:7), evenly spaced in the logarithm if log follows (1:1e6:61:log). The target is given in one way: --gap,
    --target, --timescale, --log-gap or --decay.

    Other quantities (--quantity) have inputs of their own: descent-steps needs --vary lr=..., and takes --vary
    optimizer=sgd,adam; order needs --vary against=fast,sigmoid; trained needs --set task=..., and takes --vary
    seed=0,1,2 and other settings of training.

    The same command resumes a sweep that was interrupted or killed; until it is complete, its results are in the folder
    OUT.parts. The file is the same whatever the interruptions, --jobs or --scheduler.

    Examples
    --------
    $ gateflow sweep fast sigmoid --horizon 1:1e6:7:log --gap 1e-12:0.5:5:log
    $ gateflow sweep fast --horizon 10,100 --gap 0.01 --loss "1/(1 + s)" --out geometric.nc
    $ gateflow sweep fast --horizon 10,100 --timescale 1e3 --z0 -3:3:7 --out starts.nc --json
    $ gateflow sweep fast sigmoid --quantity descent-steps --horizon 10 --gap 0.1 --vary lr=0.05,0.1 --out steps.nc
    """
    from gateflow.guards.calls import value_of
    from gateflow.sweeps import sweep

    ways = {"gap": gap, "target": target, "timescale": timescale, "log_gap": log_gap, "decay": decay}
    chosen = {text.strip(): gate_of(text) for text in _once(gates)}
    try:
        data = sweep(
            chosen,
            horizon=horizon,
            **ways,
            z0=z0,
            scale=scale,
            loss=None if loss == "absolute" else loss,
            tolerance=tolerance,
            quantity=quantity,
            out=out,
            jobs=jobs,
            scheduler=scheduler,
            chunk=chunk,
            restart=restart,
            **_pairs("--vary", vary or [], "lr=0.1,0.2"),
            **{name: value_of(value) for name, value in _pairs("--set", said or [], "task=copying").items()},
        )
    except KeyboardInterrupt:
        if Path(f"{out}.parts").exists():
            print(f"what is done is kept in {out}.parts; the same command goes on from there", file=sys.stderr)
        raise
    facts = {"out": out.as_posix(), "problems": _count(data), "axes": dict(data.sizes), **_statuses(data)}
    if json:
        return print_json({**facts, "record": text_json.loads(data.attrs["record"])})
    return _print(facts, data)


def _pairs(flag: str, texts: list[str], such: str) -> dict[str, str]:
    """Names and what is given for them."""
    from gateflow.errors import InvalidArgument, shown

    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        name = name.replace("-", "_")
        if not equals or not value or name in found:
            raise InvalidArgument(f"{flag} takes a name and what it is, each once, as in {such}; got {shown(text)}")
        found[name] = value
    return found


def _once(gates: list[str]) -> list[str]:
    from gateflow.errors import InvalidArgument

    for text in gates:
        if gates.count(text) > 1:
            raise InvalidArgument(f"the gate {text} is given twice")
    return gates


def _count(data: Any) -> int:
    import math

    return math.prod(data.sizes.values())


def _statuses(data: Any) -> dict[str, Any]:
    """How many problems ended how, where the quantity says."""
    from gateflow.sweeps.card import statuses

    return {name: statuses(data[name]) for name in data.data_vars if "flag_meanings" in data[name].attrs}


def _print(facts: dict[str, Any], data: Any) -> None:
    rows = [
        ("file", facts["out"]),
        ("problems", str(facts["problems"])),
        ("axes", ", ".join(f"{name} {size}" for name, size in facts["axes"].items())),
    ]
    for name in data.data_vars:
        if name in facts:
            rows.append((name, ", ".join(f"{word} {count}" for word, count in facts[name].items())))
    for name in data.data_vars:
        if "flag_meanings" not in data[name].attrs and name not in ("tau", "evaluations"):
            rows.append((name, f"{number(data[name].min())} to {number(data[name].max())}"))
    say(pairs(rows))
