"""Experiments with a name: run, shown, analysed."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import OUT, DataDir, Estimate, Force, Jobs, Json, Scheduler, names_in, switch
from gateflow.cli._terminal import Listing, pairs, print_json, say, title
from gateflow.cli._training import FEWEST, analysed, arrived, asked_to_stop, by_unit, compared, ending, of_runs, tell

Action = Annotated[str, Parameter(name="ACTION", help="list, run, show or analyse.")]
Name = Annotated[
    str | None,
    Parameter(
        name="NAME", completer=names_in("gateflow.study.experiments"), help="One of the list, or a TOML file of yours."
    ),
]
Out = Annotated[Path | None, Parameter(name=OUT, help="Its folder; by default runs/NAME.")]
Reduced = Annotated[bool, switch("--reduced", "The reduced experiment, which takes minutes.")]
Seeds = Annotated[int | None, Parameter(name="--seeds", help="Runs of each arm; by default as it is declared.")]
Only = Annotated[str | None, Parameter(name="--only", help="Run only the arms whose name contains this.")]
Keep = Annotated[
    Path | None,
    Parameter(name="--keep", help="Store the small files of each finished run in a folder NAME of this one."),
]
Results = Annotated[Path, Parameter(name="--results", help="The folder of stored runs that is analysed.")]
Cut = Annotated[bool, switch("--cut-short", "Analyse the seeds that are whole, where allowed.")]
Write = Annotated[Path | None, Parameter(name="--write", help="Write what is shown to NAME.* in this folder.")]


def run(
    action: Action = "list",
    name: Name = None,
    /,
    *,
    out: Out = None,
    reduced: Reduced = False,
    seeds: Seeds = None,
    only: Only = None,
    data_dir: DataDir = None,
    keep: Keep = None,
    estimate: Estimate = False,
    results: Results = Path("results/study"),
    cut_short: Cut = False,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
    write: Write = None,
    force: Force = False,
    json: Json = False,
) -> int | None:
    """List the experiments that have a name, run one or one of your own, show what became of it, or analyse it.

    An experiment is a TOML file: settings, arms that are compared, seeds (docs/training.md). NAME may be the path of
    one that you have written.

    In full they want a GPU and days; reduced, some minutes of two processors. The same command resumes an experiment
    that was killed; given twice at once, it shares the work. show prints means and standard deviations over seeds, with
    n runs that have ended; --write puts the table (.txt, .csv), the curves (.svg) and all of it (.json) into a folder.

    The experiments of docs/study/protocol.md are registered: their runs are stored as they end, in results/study or the
    folder of --keep, and analyse computes outcomes and conclusions from them alone, once all have ended. Until then it
    says how many have. Of any other experiment it compares all pairs of arms, as exploratory.

    Examples
    --------
    $ gateflow experiment list
    $ gateflow experiment run cost --reduced --only gru --seeds 1
    $ gateflow experiment show cost --reduced
    $ gateflow experiment show study-copying --json
    $ gateflow experiment run study-copying --reduced --estimate
    """
    from gateflow.errors import InvalidArgument
    from gateflow.study.experiments import experiment

    if action == "list":
        return _list(as_json=json)
    if action not in ("run", "show", "analyse"):
        raise InvalidArgument(f"ACTION is list, run, show or analyse; got {action!r}")
    if name is None:
        raise InvalidArgument("NAME is missing; see 'gateflow experiment list'")
    if seeds is not None and not 1 <= seeds <= 1000:
        raise InvalidArgument(f"seeds must be a whole number from 1 to 1000; got {seeds}")
    spelled, plan = experiment(name)
    folder = out or Path("runs") / (f"{spelled}-reduced" if reduced else spelled)
    if action == "analyse":
        found, plan = _analysed(spelled, plan, folder, results, cut_short, reduced)
        return _show_analysis(found, plan, results, cut_short, write, force=force, as_json=json)
    if action == "show":
        if plan.registered and not reduced:
            raise InvalidArgument(f"{spelled} is registered: see 'gateflow experiment analyse {spelled}'")
        return _show(spelled, plan, folder, reduced, write, force=force, as_json=json)
    from gateflow.study import stored
    from gateflow.study.experiment import carry_out

    plan = plan if reduced else plan.chosen(keep or results)
    silent = plan.registered and not reduced  # nobody looks at outcomes before the end
    if estimate or silent:
        from gateflow.study.estimate import estimate as measured

        duration = str(measured(plan, reduced=reduced, seeds=seeds, data_dir=data_dir))
        if estimate:
            return say(duration)
        print(f"gateflow: {duration}", file=sys.stderr, flush=True)
    keep = keep or (results if silent else None)
    store = None if keep is None else partial(stored.keep, keep, spelled)
    there = stored.runs(plan, keep, spelled) if keep is not None and not reduced else ()
    where = {"data_dir": data_dir, "only": only, "keep": store, "stored": there, "tell": None if silent else tell}
    where |= {"processes": jobs, "scheduler": scheduler}
    with asked_to_stop() as stop:
        found = carry_out(plan, folder, reduced=reduced, seeds=seeds, stop=stop, **where)
    if silent:
        done, of = stored.count(plan, keep or results, spelled)
        print(f"gateflow: {done} of {of} runs are stored in {keep}", file=sys.stderr)
        return None if done == of else ending(dict.fromkeys(found, "interrupted"))
    if json:
        print_json({"folder": folder.as_posix(), "status": found})
    else:
        say(Listing(["run", "status"], [list(pair) for pair in found.items()]))
    return ending(found)


def _list(*, as_json: bool) -> None:
    from gateflow.study.experiments import EXPERIMENTS

    rows = [_declared(name, EXPERIMENTS[name], EXPERIMENTS.summary(name)) for name in EXPERIMENTS]
    if as_json:
        return print_json({"experiments": rows})
    cells = [[row["name"], _runs(row["full"]), _runs(row["reduced"]), row["needs"], row["about"]] for row in rows]
    return say(Listing(["name", "runs", "reduced", "needs", "about"], cells, ["runs", "reduced"]))


def _declared(name: str, plan: Any, about: str) -> dict[str, Any]:
    sizes = {
        key: {"arms": len(plan.arms_of(small)), "seeds": plan.seeds_of(small)}
        for key, small in (("full", False), ("reduced", True))
    }
    return {"name": name, "about": about, **sizes, "needs": ", ".join(plan.needs), "source": plan.source}


def _runs(size: dict[str, int]) -> str:
    return f"{size['arms']} x {size['seeds']}"


def _show(name: str, plan: Any, folder: Path, reduced: bool, write: Path | None, *, force: bool, as_json: bool) -> None:
    from gateflow.study.outcomes import collected, command, table

    found = table(plan, folder, reduced=reduced)
    facts = {
        "experiment": f"{name}{', reduced' if reduced else ''}",
        "command": command(name, plan, reduced),
        "source": plan.source,
        "needs": ", ".join(plan.needs),
    }
    parts: list[Any] = [pairs(facts.items()), "", of_runs(found)]
    if plan.sources and not reduced:
        parts[1:1] = ["", Listing(["setting", "value", "source"], _sourced(plan))]
    arrivals = _arrivals(plan, folder, reduced)
    if arrivals:
        parts += ["", title("on the way"), arrived(arrivals)]
    pairs_of_gates = _contrasts(arrivals)
    if pairs_of_gates:
        parts += ["", title("gate against gate"), compared(pairs_of_gates)]
    if any(each for row in arrivals for each in row["units"]):
        parts += ["", title("unit by unit"), by_unit(arrivals)]
    written = [] if write is None else _write_files(name, plan, folder, reduced, found, parts, write, force)
    if as_json:
        runs = collected(name, plan, folder, reduced=reduced)
        return print_json(
            {
                **runs,
                "table": found.records(),
                "arrivals": arrivals,
                "contrasts": [vars(each) for each in pairs_of_gates],
                "written": written,
            }
        )
    return say(*parts, *(["", *written] if written else []))


def _analysed(name: str, plan: Any, folder: Path, results: Path, cut: bool, reduced: bool) -> tuple[Any, Any]:
    """The analysis of an experiment and its plan; one that is not registered needs only some of its runs."""
    from gateflow.errors import InvalidArgument
    from gateflow.study.analysis import analyse, analysis_of
    from gateflow.study.stored import ended

    if plan.registered and not reduced:
        return analyse(name, plan, results, cut=cut), plan.chosen(results)
    if plan.needs or plan.score:
        raise InvalidArgument(
            f"{name} has no loss of an answer without memory: 'gateflow experiment show {plan.path or name}'"
        )
    plan = (plan.small() if reduced else plan).exploratory()
    return analysis_of(name, plan, ended(plan, folder), cut=True, fewest=2), plan


def _show_analysis(
    found: Any, plan: Any, results: Path, cut: bool, write: Path | None, *, force: bool, as_json: bool
) -> None:
    from gateflow.study.analysis import to_json

    facts, parts = to_json(found), analysed(found)
    if write is not None:
        from gateflow import record
        from gateflow.cli._terminal import as_text
        from gateflow.files import Output, folder_for, write_all
        from gateflow.plots._figure import PictureFile
        from gateflow.plots._study import pictures

        flags = f" --results {results.as_posix()}" + " --cut-short" * cut
        shown = f"gateflow experiment analyse {plan.path or found.name}{flags} --write {write.as_posix()}"
        files = [Output(folder_for(write) / f"{found.name}.{kind}", force=force) for kind in ("txt", "json")]
        texts = (f"$ {shown}\n{as_text(*parts)}", record.to_json(facts))
        drawn = [
            PictureFile(write / f"{found.name}-{ending}.svg", force=force).drawn(picture)
            for ending, picture in pictures(found, plan).items()
        ]
        write_all([*zip(files, texts, strict=True), *drawn])
    return print_json(facts) if as_json else say(*parts)


def _sourced(plan: Any) -> list[list[str]]:
    """Each setting that a plan declares, with where it comes from."""
    values: dict[str, list[str]] = {}
    for arm in plan.arms:
        for key, value in plan.settings(arm).items():
            values.setdefault(key, []).append(str(value))
    return [[key, "; ".join(dict.fromkeys(found)), plan.sources.get(key, "")] for key, found in values.items()]


def _arrivals(plan: Any, folder: Path, reduced: bool) -> list[dict[str, Any]]:
    """When the runs began to remember, for tasks that say what the best answer without memory loses."""
    from gateflow.study.networks import summary

    if plan.needs or plan.score or not folder.exists():
        return []
    return [row for row in summary(plan, folder, reduced=reduced) if row["runs"]]


def _contrasts(rows: list[dict[str, Any]]) -> list[Any]:
    from gateflow.study.networks import COMPARED, contrasts

    enough = [row for row in rows if row["runs"] >= FEWEST]
    return contrasts([row for row in enough if row["arm"].partition(", ")[0] in COMPARED])


def _write_files(
    name: str, plan: Any, folder: Path, reduced: bool, found: Any, parts: list[Any], where: Path, force: bool
) -> list[str]:
    """The files of an experiment: its table for readers and for programs, its curves, and all of it with its record."""
    from gateflow import record
    from gateflow.cli._terminal import as_text
    from gateflow.files import Output, folder_for, write_all
    from gateflow.study import outcomes

    flags = " --reduced" if reduced else ""
    shown = f"gateflow experiment show {plan.path or name}{flags} --write {where.as_posix()}"
    kept = outcomes.collected(name, plan, folder, reduced=reduced)
    kept["record"] = record.record(command=shown)
    texts = {"txt": f"$ {shown}\n{as_text(*parts)}", "csv": found.csv()}
    folder_for(where)
    files: list[tuple[Output, bytes | str]] = [
        (Output(where / f"{name}.{kind}", force=force), text) for kind, text in texts.items()
    ]
    files.append((outcomes.output(where / f"{name}.json", force=force), outcomes.text_of(record.sealed(kept))))
    if any(run.curve(found.score) for group in found.groups for run in group.runs):
        from gateflow.plots._figure import PictureFile
        from gateflow.plots._training import panels

        files.append(PictureFile(where / f"{name}.svg", force=force).drawn(panels(found)))
    return [path.as_posix() for path in write_all(files)]
