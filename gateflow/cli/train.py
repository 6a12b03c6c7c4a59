"""Training of whole networks."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import make_dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import GATE_NAMES, OUT, DataDir, Jobs, Json, Restart, Scheduler, gates_flag, names_in, switch
from gateflow.cli._terminal import Listing, number, pairs, print_json, say, tidy, title
from gateflow.cli._training import asked_to_stop, ending, exit_code, of_runs
from gateflow.cli._usage import parameters
from gateflow.errors import InvalidArgument, shown
from gateflow.guards.calls import listed, name_of, option_defaults, value_of, with_options
from gateflow.training.settings import KINDS, Settings, read_toml

if TYPE_CHECKING:
    from gateflow.training.result import Result

TaskText = Annotated[
    str | None,
    Parameter(
        name="TASK",
        completer=names_in("gateflow.training.tasks"),
        help="What to learn: a name of --list, with its options as flags or in brackets.",
    ),
]
More = Annotated[str, Parameter(help="Options of the task, as --horizon 100.", show=False)]
Config = Annotated[Path | None, Parameter(name="--config", help="Settings in TOML; flags win.")]
Method = Annotated[str | None, Parameter(name="--method", help="A method of the literature, with its settings.")]
Epochs = Annotated[float | None, Parameter(name="--epochs", help="Passes over the training data, in place of steps.")]
Out = Annotated[Path | None, Parameter(name=OUT, help="The folder of the run; by default in runs.")]
Seeds = Annotated[int | None, Parameter(name="--seeds", help="An experiment: this many runs, seeds from --seed on.")]
Gates = Annotated[list[str] | None, gates_flag("An experiment: the forget gates to compare.")]
Vary = Annotated[
    list[str] | None,
    Parameter(name="--vary", negative="", help="An experiment: a setting and its values, lr=1e-3,3e-3."),
]
SaveEvery = Annotated[float, Parameter(name="--save-every", help="Seconds between checkpoints.")]
LogTo = Annotated[
    str | None, Parameter(name="--log-to", help="Send the numbers to a service as well: wandb or mlflow, if installed.")
]
LrRange = Annotated[bool, switch("--lr-range", "No run: raise the learning rate from step to step, suggest one.")]
Shown = Annotated[bool, switch("--list", "Show tasks, cells, gates, initialisers, methods.")]


_OFFERED = {
    "cell": names_in("gateflow.nn.cells"),
    "init": names_in("gateflow.nn.inits"),
    **dict.fromkeys(("forget_gate", "input_gate", "output_gate"), GATE_NAMES),
}
"""What a shell offers for a setting."""


_NAMED = {"start": "--from"}
"""Flags of settings that have another name."""


def _flags() -> Any:
    """Every setting but the task as an option of the command line, None where it was not given.

    The record of the settings declares them: names, types and, in its docstring, what the help says.
    """
    options = [
        (name, Annotated[reduce(or_, (*kinds, None)), Parameter(_NAMED.get(name), completer=_OFFERED.get(name))], None)
        for name, kinds in KINDS.items()
        if name != "task"
    ]
    made = make_dataclass(
        "Flags", options, frozen=True, kw_only=True, namespace={"__doc__": Settings.__doc__, "__module__": __name__}
    )
    return Parameter(name="*")(made)


Flags = _flags()


def run(
    task: TaskText = None,
    /,
    *,
    flags: Flags | None = None,  # type: ignore[valid-type]
    epochs: Epochs = None,
    config: Config = None,
    method: Method = None,
    seeds: Seeds = None,
    gates: Gates = None,
    vary: Vary = None,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
    out: Out = None,
    data_dir: DataDir = None,
    save_every: SaveEvery = 20.0,
    restart: Restart = False,
    log_to: LogTo = None,
    lr_range: LrRange = False,
    listing: Shown = False,
    json: Json = False,
    **options: More,
) -> int | None:
    """Train a recurrent network with any gates on a task.

    A run that was interrupted or killed goes on where it was when the same command is given again, and ends in the same
    weights, bit by bit; with more --steps, a run that has ended goes on. Its folder holds settings.toml, metrics.jsonl,
    weights.safetensors and result.json.

    With --lr-range nothing is kept: for 100 steps, or --steps, the rate grows from 1e-6 to 10, and the one at which the
    loss falls fastest is suggested.

    With --seeds, --gates or --vary it is an experiment, a folder for each run; gateflow results shows its table.

    Examples
    --------
    $ gateflow train --list
    $ gateflow train adding --horizon 10 --forget-gate fast --init chrono --hidden 8 --steps 20
    $ gateflow train adding --horizon 10 --hidden 8 --steps 20 --lr-range
    $ gateflow train adding --horizon 10 --hidden 8 --steps 20 --out runs/one
    $ gateflow train adding --horizon 10 --hidden 8 --steps 40 --out runs/one
    $ gateflow train adding --horizon 12 --hidden 8 --steps 20 --from runs/one --out runs/other
    $ gateflow train adding --horizon 10 --gates fast,sigmoid --seeds 2 --hidden 8 --steps 20 --out runs/adding --json
    """
    if listing:
        return _list(as_json=json)
    given = {**vars(flags or Flags()), "method": method, "epochs": epochs, "task": task}
    chosen = _choose(given, config, options)
    where = {"out": out, "data_dir": data_dir, "save_every": save_every, "restart": restart}
    if seeds is None and gates is None and not vary:
        _only_one(jobs, scheduler)
        return _range(chosen, data_dir, as_json=json) if lr_range else _one(chosen, where, log_to, as_json=json)
    if lr_range or log_to is not None:
        raise InvalidArgument(f"{'--lr-range' if lr_range else '--log-to'} is for one run, not for an experiment")
    varied = _vary(gates, vary or [])
    for name in varied:
        if given.get(name) is not None:
            raise InvalidArgument(f"{name} is varied, and given by --{name.replace('_', '-')} as well: leave one out")
    seeds = 1 if seeds is None else seeds
    return _many(chosen, varied, seeds, {**where, "jobs": jobs, "scheduler": scheduler}, as_json=json)


# --- what was asked for ---------------------------------------------------------------------------------------------


def _choose(given: dict[str, Any], config: Path | None, options: dict[str, str]) -> dict[str, Any]:
    """Settings by name: those of the file, and over them those of the command line."""
    chosen = {} if config is None else read_toml(config)
    chosen |= {name: value for name, value in given.items() if value is not None}
    if given["epochs"] is not None and given["steps"] is None:
        chosen.pop("steps", None)  # the file's
    if "task" not in chosen:
        raise InvalidArgument("TASK is missing; see 'gateflow train --list'")
    _only_options(chosen["task"], options)
    values = {name.replace("-", "_"): value_of(text) for name, text in options.items()}
    return {**chosen, "task": with_options(chosen["task"], values)}


def _only_options(task: str, options: dict[str, str]) -> None:
    """Complain of a flag that is neither ours nor an option of the task, and guess which was meant."""
    import difflib

    from gateflow.training.tasks import TASKS

    name = name_of(task)
    takes = [option.replace("_", "-") for option in option_defaults(TASKS[name])]
    for option in options:
        if option.replace("_", "-") not in takes:
            ours = [own.replace("_", "-") for own in parameters(run)]
            near = difflib.get_close_matches(option.replace("_", "-"), [*takes, *ours], n=1)
            flags = ", ".join(f"--{each}" for each in takes) or "none"
            hint = f"did you mean --{near[0]}?" if near else f"options of {name}: {flags}"
            raise InvalidArgument(f"unknown option --{option}; {hint}")


def _only_one(jobs: int, scheduler: str | None) -> None:
    """Complain of what would make no difference to a single run."""
    if jobs != 1 or scheduler is not None:
        flag = "--jobs" if scheduler is None else "--scheduler"
        raise InvalidArgument(f"{flag} is for an experiment: give --seeds, --gates or --vary as well")


def _vary(gates: list[str] | None, vary: list[str]) -> dict[str, list[Any]]:
    """The settings that an experiment varies, and their values."""
    found: dict[str, list[Any]] = {} if gates is None else {"forget_gate": gates}
    for text in vary:
        name, equals, values = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not values.strip():
            raise InvalidArgument(f"--vary takes a setting and its values, as in lr=1e-3,3e-3; got {shown(text)}")
        if name in found:
            raise InvalidArgument(f"{name} is varied twice")
        found[name] = [value_of(value) for value in listed(values)]
    return found


# --- runs -----------------------------------------------------------------------------------------------------------


def _range(chosen: dict[str, Any], data_dir: Path | None, *, as_json: bool) -> None:
    from gateflow.training.rates import lr_range

    found = lr_range(chosen, steps=chosen.get("steps", 100), data_dir=data_dir)
    told = {"suggested": found.suggested, "highest": found.highest}
    if as_json:
        return print_json({**told, "rates": found.rates.tolist(), "losses": found.losses.tolist()})
    shown_rows = range(0, len(found.rates), max(1, len(found.rates) // 12))
    rows = [[number(found.rates[n], 3), number(found.losses[n], 4)] for n in shown_rows]
    about = [(name, None if rate is None else number(rate, 3)) for name, rate in told.items()]
    return say(Listing(["lr", "loss"], rows, numeric=["lr", "loss"]), "", pairs(about))


def _one(chosen: dict[str, Any], where: dict[str, Any], log_to: str | None, *, as_json: bool) -> int:
    from gateflow.training.grid import named
    from gateflow.training.loop import settle, train
    from gateflow.training.trackers import tracked

    settings = settle(chosen, {}, where["data_dir"])[0]
    folder = where["out"] or Path("runs") / named(settings)
    service = nullcontext() if log_to is None else tracked(log_to, settings, folder.as_posix())
    with asked_to_stop() as stop, _told_how_to_go_on(), service as watch:
        result = train(settings, **{**where, "out": folder}, stop=stop, tell=_tell, watch=watch)
    if as_json:
        print_json({"folder": folder.as_posix(), "settings": settings.as_dict(), **_facts(result)})
    else:
        say(pairs([*_about(result), ("folder", folder.as_posix())]))
    return exit_code(result.status, f"stopped at step {result.steps}")


def _many(
    chosen: dict[str, Any], varied: dict[str, list[Any]], seeds: int, where: dict[str, Any], *, as_json: bool
) -> int:
    from gateflow.training.grid import experiment
    from gateflow.training.results import table

    with asked_to_stop() as stop, _told_how_to_go_on():
        done = experiment(chosen, vary=varied, seeds=seeds, **where, stop=stop, tell=_tell)
    found = table(done.out) if done.begun else None
    if as_json:
        results = [] if found is None else found.records()
        print_json({"folder": done.out.as_posix(), "status": done.statuses, "results": results})
    elif found is not None:
        say(of_runs(found), "", pairs([("folder", done.out.as_posix())]))
    return ending(done.statuses)


def _tell(text: str) -> None:
    print(f"gateflow: {tidy(text)}", file=sys.stderr)


@contextmanager
def _told_how_to_go_on() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:  # asked twice
        print("gateflow: the same command goes on from the last checkpoint", file=sys.stderr)
        raise


def _facts(result: Result) -> dict[str, Any]:
    names = ("status", "steps", "best_step", "solved_at", "valid", "test", "seconds", "said")
    return {name: getattr(result, name) for name in names}


def _about(result: Result) -> list[tuple[str, str | None]]:
    settings = result.settings
    gate = f", forget gate {settings.forget_gate}" if settings.forget_gate else ""
    solved = "" if result.solved_at is None else f", solved at {result.solved_at}"
    return [
        ("task", settings.task),
        ("network", f"{settings.cell}{gate}, init {settings.init}, {settings.layers} x {settings.hidden} units"),
        ("status", f"{result.status}{': ' if result.said else ''}{result.said}"),
        ("steps", f"{result.steps} of {settings.steps}, best at {result.best_step}{solved}"),
        ("valid", _in_words(result.valid)),
        ("test", _in_words(result.test)),
        ("seconds", number(result.seconds, 3)),
    ]


def _in_words(measures: dict[str, float]) -> str:
    return ", ".join(f"{name} {number(value, 4)}" for name, value in measures.items())


# --- what there is --------------------------------------------------------------------------------------------------


def _list(*, as_json: bool) -> None:
    found = catalogue()
    if as_json:
        return print_json(found)
    parts: list[Any] = []
    for kind, rows in found.items():
        columns = ["name", "about", *(["options"] if "options" in rows[0] else []), "source"]
        parts += [""] if parts else []
        parts += [title(kind), Listing(columns, [[row[column] for column in columns] for row in rows])]
    return say(*parts)


def catalogue() -> dict[str, list[dict[str, str]]]:
    """Tasks, cells, initialisers, methods and gates: name, what it is, its options, where it comes from."""
    from gateflow.gates.gate import GATES, gate
    from gateflow.nn.cells import CELLS
    from gateflow.nn.inits import INITS
    from gateflow.nn.linear import LINEAR
    from gateflow.registry import plain
    from gateflow.training.methods import METHODS
    from gateflow.training.tasks import TASKS

    layout = plain("gateflow.training.network", "LAYOUT")
    return {
        "tasks": [_row(TASKS, name) for name in TASKS],
        "cells": [_row(kind, name, layout) for kind in (CELLS, LINEAR) for name in kind],
        "initialisers": [_row(INITS, name) for name in INITS],
        "methods": [
            {"name": name, "about": ", ".join(f"{k} {v}" for k, v in method.settings.items()), "source": method.source}
            for name, method in METHODS.items()
        ],
        "gates": [{"name": name, "about": gate(name).text, "source": gate(name).reference} for name in GATES],
    }


def _row(registry: Any, name: str, besides: Sequence[str] = ()) -> dict[str, str]:
    """An entry by the first sentence of its module, which may end in its source in brackets; nothing is imported."""
    from gateflow.registry import attribute, options

    about, _, rest = registry.summary(name).rstrip(".").partition(" (")
    source, _, more = rest.partition("): ")
    about = f"{about}: {more}" if more else about
    made = registry.home(name), registry.attribute
    source = attribute(*made, "source") or source.removesuffix(")").removesuffix("):")
    given = options(*made)
    listed_options = ", ".join(_option(option, given[option]) for option in given if option not in besides)
    return {"name": name, "about": about.rstrip("."), "options": listed_options, "source": source}


def _option(name: str, default: Any) -> str:
    """An option with its default, as TOML writes it; one without stands alone."""
    import json

    return f"{name}={json.dumps(default)}" if isinstance(default, (bool, int, float, str)) else name
