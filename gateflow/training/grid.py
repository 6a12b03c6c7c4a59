"""Many trained runs as one experiment: settings varied, several seeds, a folder for each run, by any workers.

Each run is resumable by itself, and knows from its own folder what it is. So an experiment keeps no book: given again,
it goes on with what is not done, and with more seeds or values it grows. Given twice at once, it shares the work.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gateflow.errors import Busy, InvalidArgument, shown
from gateflow.guards.calls import known, name_of
from gateflow.notebook import cards
from gateflow.progress import silence
from gateflow.results.byvalue import by_value
from gateflow.runs.jobs import Failure, Job, Stop, ended, never, refuse_failures, tracked
from gateflow.runs.workers import workers
from gateflow.training.folder import SETTINGS
from gateflow.training.loop import SAVE_EVERY, settle, train
from gateflow.training.network import build
from gateflow.training.settings import Settings

LEFT = ("not begun", "interrupted", "elsewhere")
"""Statuses of runs that have not ended: never begun, stopped, or under way in another process."""


@by_value
@dataclass(frozen=True)
class Statuses:
    """What became of the runs of an experiment.

    Parameters
    ----------
    out : Path
        Its folder.
    statuses : dict
        The status of each run by its folder under ``out``: one of :class:`~gateflow.training.result.Result`, or of
        `LEFT`.
    """

    out: Path
    statuses: dict[str, str]

    @property
    def ended(self) -> int:
        """How many runs have come to their end."""
        return sum(status not in LEFT for status in self.statuses.values())

    @property
    def begun(self) -> bool:
        """Whether there is a run at all."""
        return any((self.out / path / SETTINGS).exists() for path in self.statuses)

    def _repr_html_(self) -> str:
        title = f"Experiment in {self.out.as_posix()}: {self.ended} of {len(self.statuses)} runs have ended"
        return cards.framed(title, cards.facts(self.statuses.items()))


def experiment(
    base: Mapping[str, Any],
    *,
    vary: Mapping[str, list[Any]] | None = None,
    seeds: int = 1,
    out: str | Path | None = None,
    jobs: int = 1,
    scheduler: str | None = None,
    data_dir: str | Path | None = None,
    save_every: float = SAVE_EVERY,
    restart: bool = False,
    stop: Callable[[], bool] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Statuses:
    """Train over the product of varied settings and seeds, from wherever an earlier call was left.

    Parameters
    ----------
    base : mapping
        Settings of every run, as :func:`gateflow.training.loop` takes them.
    vary : mapping
        Names of settings, or ``method``, to lists of values.
    seeds : int
        Runs of each, with seeds from ``base["seed"]`` on.
    out : path, optional
        The folder of the experiment; by default one in ``runs``, named after the settings.
    jobs : int
        Runs at a time, in processes of their own; 0 for one a processor.
    scheduler : str, optional
        The address of a Dask scheduler. Its workers must see ``out`` under the same path.
    data_dir, save_every, restart, stop, tell
        As in :func:`gateflow.training.loop`.

    Raises
    ------
    InvalidArgument
        A setting is wrong, or a folder holds another run.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> base = {"task": "adding(horizon=5, held_out=16)", "hidden": 4, "steps": 2}
    >>> with TemporaryDirectory() as folder:
    ...     done = experiment(base, vary={"forget_gate": ["fast", "sigmoid"]}, out=f"{folder}/gates")
    >>> list(done.statuses.values())
    ['finished', 'finished']
    """
    runs = planned(base, vary or {}, seeds, data_dir)
    folder = Path(out) if out is not None else Path("runs") / named(next(iter(runs.values())), *runs.values())
    jobs_ = [Job(path.as_posix(), {"settings": settings.as_dict()}) for path, settings in runs.items()]
    more = {"data_dir": data_dir, "save_every": save_every, "restart": restart}
    if jobs == 1 and scheduler is None:
        more["tell"] = tell
    return Statuses(folder, carried_out(jobs_, folder, processes=jobs, scheduler=scheduler, stop=stop, **more))


def carried_out(
    jobs: Iterable[Job],
    out: Path,
    make: Callable[..., Any] = train,
    *,
    processes: int = 1,
    scheduler: str | None = None,
    stop: Stop | None = None,
    done: Callable[[Job, dict[str, Any]], None] = lambda job, outcome: None,
    silent: bool = False,
    **more: Any,
) -> dict[str, str]:
    """Make runs from wherever an earlier call was left; the status of each by its folder.

    Parameters
    ----------
    jobs : iterable of Job
        Each named after its folder under ``out``, with ``settings`` and whatever else ``make`` takes.
    out : path
    make : callable
        Makes a run: ``make(settings, out=, stop=, ...)``; it goes on where it was and leaves the same files.
    processes, scheduler
        Who does it: see :func:`gateflow.runs.workers.workers`. The workers of a scheduler must see ``out``.
    stop : callable, optional
        Asked whether to stop and leave runs that can go on.
    done : callable
        Called with each run that has ended, with its ``status``, ``steps`` and ``seconds``.
    silent : bool
        Show no progress but the number of runs, so that nobody sees a loss.
    **more
        Further keywords of ``make``.

    Raises
    ------
    GateflowError
        Some have failed; all others have been made.
    """
    every, stop = list(jobs), stop or never
    by = workers(processes, scheduler)
    if scheduler is not None:
        out = out.resolve()
        out.mkdir(parents=True, exist_ok=True)
    work = partial(_run_job, make=make, out=out, shared=scheduler is not None, silent=silent, more=more)
    asked = [Job(job.name, {"path": job.name, "arguments": dict(job.arguments)}) for job in every]
    statuses, failures = {job.name: "not begun" for job in every}, {}
    by_name = {job.name: job for job in every}
    with closing(tracked(ended(work, asked, by, stop), len(every), "runs")) as found:
        for job, outcome in found:
            if isinstance(outcome, Failure):
                failures[job.name] = outcome
                continue
            statuses[job.name] = outcome["status"]
            if outcome["status"] not in LEFT:
                done(by_name[job.name], outcome)
    refuse_failures(failures, len(every))
    return statuses


_one_at_a_time = threading.Lock()


def _run_job(
    *,
    path: str,
    arguments: dict[str, Any],
    make: Callable[..., Any],
    out: Path,
    shared: bool,
    silent: bool,
    more: dict[str, Any],
    stop: Stop,
) -> dict[str, Any]:
    """Make one run; how it ended."""
    if shared and not out.is_dir():
        raise InvalidArgument(f"a worker does not see the folder {out.name} of the experiment: --out must be shared")
    options = {key: value for key, value in arguments.items() if key != "settings"}
    with silence() if silent else nullcontext(), _one_at_a_time:  # a run sets PyTorch's global state
        try:
            found = make(arguments["settings"], out=out / path, stop=stop, **options, **more)
        except Busy:
            return {"status": "elsewhere"}
    return {"status": found.status, "steps": found.steps, "seconds": found.seconds}


def planned(
    base: Mapping[str, Any], vary: Mapping[str, list[Any]], seeds: int, data_dir: str | Path | None = None
) -> dict[Path, Settings]:
    """Each run's folder, relative to the experiment's, and its settings.

    Examples
    --------
    >>> runs = planned({"task": "adding"}, {"forget_gate": ["fast", "sigmoid"]}, 2)
    >>> [path.as_posix() for path in runs]
    ['fast/seed-0', 'fast/seed-1', 'sigmoid/seed-0', 'sigmoid/seed-1']
    """
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise InvalidArgument(f"seeds must be a whole number of at least 1; got {shown(seeds)}")
    if "seed" in vary:
        raise InvalidArgument("the seed is no setting to vary: seeds says how many there are")
    known(vary, [*Settings.__dataclass_fields__, "method"], "setting to vary")
    found: dict[Path, Settings] = {}
    for values in itertools.product(*vary.values()):
        settings, task = settle({**base, **dict(zip(vary, values, strict=True))}, {}, data_dir)
        with torch.random.fork_rng([]):
            build(settings, task)  # what does not fit is refused now, rather than when its turn comes
        words = [_word(name, value) for name, value in zip(vary, values, strict=True)]
        for seed in range(settings.seed, settings.seed + seeds):
            path = Path(",".join(words) or ".") / f"seed-{seed}"
            if path in found:
                raise InvalidArgument(f"two runs would have the folder {path}: is a value given twice?")
            found[path] = replace(settings, seed=seed)
    return found


def named(settings: Settings, *others: Settings) -> str:
    """A name for the folder of a run: its task, its cell and gate, and a digest of all settings.

    Examples
    --------
    >>> named(Settings(task="adding", forget_gate="fast"))
    'adding-lstm-fast-...'
    """
    digest = hashlib.sha256("".join(each.as_toml() for each in (settings, *others)).encode()).hexdigest()[:8]
    words = [
        name_of(settings.task),
        *([] if others else [name_of(settings.cell), settings.forget_gate or ""]),
    ]
    return "-".join([_slug(word) for word in words if word] + [digest])


def _word(name: str, value: Any) -> str:
    """A value as part of a folder's name; gates, cells and methods speak for themselves."""
    return _slug(str(value)) if name in ("forget_gate", "cell", "task", "method") else f"{name}={_slug(str(value))}"


def _slug(text: str) -> str:
    """A text that may name a folder anywhere; what is replaced is told apart by a digest."""
    found = re.sub(r"[^\w.+=()-]+", "_", text).rstrip(".")  # Windows takes no name that ends in a dot
    return (
        found if found == text and len(text) <= 60 else f"{found[:50]}_{hashlib.sha256(text.encode()).hexdigest()[:6]}"
    )
