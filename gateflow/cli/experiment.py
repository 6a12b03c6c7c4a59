"""Experiments that have a name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import Json, names_in
from gateflow.cli._terminal import Listing, number, print_json, say, tidy

Action = Annotated[str, Parameter(name="ACTION", help="list, run or show.")]
Name = Annotated[
    str | None,
    Parameter(name="NAME", completer=names_in("gateflow.study.experiments"), help="An experiment of the list."),
]
Out = Annotated[Path | None, Parameter(name=["--out", "-o"], help="Its folder; by default runs/NAME.")]
Reduced = Annotated[bool, Parameter(name="--reduced", negative="", show_default=False, help="The small one.")]
Seeds = Annotated[int | None, Parameter(name="--seeds", help="Runs of each arm; by default as it is declared.")]
DataDir = Annotated[Path | None, Parameter(name="--data-dir", help="The folder with the files of the task.")]


def run(
    action: Action = "list",
    name: Name = None,
    /,
    *,
    out: Out = None,
    reduced: Reduced = False,
    seeds: Seeds = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> int | None:
    """List the experiments that have a name, run one, or show what became of it.

    An experiment that was killed goes on when the same command is given again; given twice at once, it shares the work.

    Examples
    --------
    $ gateflow experiment list
    $ gateflow experiment show study-copying
    $ gateflow experiment show study-copying --json
    """
    from gateflow.errors import InvalidArgument
    from gateflow.study.experiments import EXPERIMENTS

    if action == "list":
        return _list(as_json=json)
    if action not in ("run", "show"):
        raise InvalidArgument(f"ACTION is list, run or show; got {action!r}")
    if name is None:
        raise InvalidArgument("NAME is missing; see 'gateflow experiment list'")
    if seeds is not None and not 1 <= seeds <= 1000:
        raise InvalidArgument(f"seeds must be a whole number from 1 to 1000; got {seeds}")
    plan, spelled = EXPERIMENTS[name], EXPERIMENTS.spelled(name)
    folder = out or Path("runs") / (f"{spelled}-reduced" if reduced else spelled)
    if action == "show":
        return _show(spelled, plan, folder, reduced, as_json=json)
    from gateflow.cli.train import asked_to_stop
    from gateflow.study.plan import carry_out

    with asked_to_stop() as stop:
        found = carry_out(plan, folder, reduced=reduced, seeds=seeds, data_dir=data_dir, stop=stop, tell=_tell)
    if json:
        print_json({"folder": folder.as_posix(), "status": found})
    else:
        say(Listing(["run", "status"], [list(pair) for pair in found.items()]))
    return 130 if "interrupted" in found.values() else 0


def _tell(text: str) -> None:
    print(f"gateflow: {tidy(text)}", file=sys.stderr)


def _list(*, as_json: bool) -> None:
    from gateflow.study.experiments import EXPERIMENTS

    rows = [
        {"name": name, "about": EXPERIMENTS.summary(name), "arms": len(EXPERIMENTS[name].arms)} for name in EXPERIMENTS
    ]
    if as_json:
        return print_json(rows)
    return say(Listing(["name", "arms", "about"], [[r["name"], str(r["arms"]), r["about"]] for r in rows], ["arms"]))


def _show(name: str, plan: Any, folder: Path, reduced: bool, *, as_json: bool) -> None:
    from gateflow.study.networks import summary

    rows = summary(plan, folder, reduced=reduced)
    if as_json:
        declared = {arm: plan.settings(arm, reduced=reduced) for arm in plan.arms}
        return print_json({"experiment": name, "folder": folder.as_posix(), "settings": declared, "results": rows})
    keys = ["arm", "runs", "chance", "loss", "low", "high", "arrived", "mean_step"]
    cells = [[row["arm"], str(row["runs"]), *(number(row[k], 4) for k in keys[2:])] for row in rows]
    return say(Listing(keys, cells, keys[1:]))
