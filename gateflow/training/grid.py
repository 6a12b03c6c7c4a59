"""Many runs as one experiment: settings varied, several seeds, a folder for each run, in processes or on a cluster.

Each run is resumable by itself, and knows from its own folder what it is. So an experiment keeps no book: given again,
it goes on with what is not done, and with more seeds or values it grows.
"""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gateflow.errors import GateflowError, InvalidArgument, shown
from gateflow.guards.calls import known, name_of
from gateflow.notebook import cards as glance
from gateflow.progress import Meter, beat, silence
from gateflow.results.byvalue import by_value
from gateflow.runs import cluster, signals
from gateflow.training.folder import SETTINGS
from gateflow.training.loop import SAVE_EVERY, settled, train
from gateflow.training.network import build
from gateflow.training.settings import Settings

AGAIN = "the same command goes on"

Plan = dict[Path, Settings]
Done = Iterator[tuple[Path, str]]


@by_value
@dataclass(frozen=True)
class Experiment:
    """What became of an experiment.

    Parameters
    ----------
    out : Path
        Its folder.
    statuses : dict
        The status of each run by its folder under ``out``; see :class:`gateflow.training.loop.Result`.
    """

    out: Path
    statuses: dict[str, str]

    @property
    def ended(self) -> int:
        """How many runs have come to their end."""
        return sum(status != "interrupted" for status in self.statuses.values())

    @property
    def begun(self) -> bool:
        """Whether there is a run at all."""
        return any((self.out / path / SETTINGS).exists() for path in self.statuses)

    def _repr_html_(self) -> str:
        title = f"Experiment in {self.out.as_posix()}: {self.ended} of {len(self.statuses)} runs have ended"
        return glance.framed(title, glance.facts(self.statuses.items()))


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
) -> Experiment:
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
    """
    runs = planned(base, vary or {}, seeds, data_dir)
    if isinstance(jobs, bool) or not isinstance(jobs, int) or not 0 <= jobs <= 1024:
        raise InvalidArgument(f"jobs must be a whole number from 0 to 1024; got {shown(jobs)}")
    if scheduler is not None and jobs != 1:
        raise InvalidArgument("give jobs or a scheduler, not both: the workers of a scheduler are its own")
    folder = Path(out) if out is not None else Path("runs") / named(next(iter(runs.values())), *runs.values())
    more = {"data_dir": data_dir, "save_every": save_every, "restart": restart}
    stop = stop or (lambda: False)
    count = min(jobs or os.cpu_count() or 1, len(runs))
    if scheduler is not None:
        done = _on_cluster(runs, folder, more, stop, scheduler)
    elif count > 1:
        done = _in_processes(runs, folder, more, stop, count)
    else:
        done = _in_turn(runs, folder, {**more, "tell": tell}, stop)
    statuses = dict.fromkeys((path.as_posix() for path in runs), "interrupted")
    with closing(done), Meter("runs", len(runs)) as meter:  # type: ignore[type-var]
        for number, (path, status) in enumerate(done, 1):
            statuses[path.as_posix()] = status
            meter.update(number, path.as_posix())
    return Experiment(folder, statuses)


def planned(
    base: Mapping[str, Any], vary: Mapping[str, list[Any]], seeds: int, data_dir: str | Path | None = None
) -> Plan:
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
    found: Plan = {}
    for values in itertools.product(*vary.values()):
        settings, task = settled({**base, **dict(zip(vary, values, strict=True))}, {}, data_dir)
        with torch.random.fork_rng([]):
            build(settings, task)  # what does not fit is told now, rather than when its turn comes
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
    return "-".join([_plain(word) for word in words if word] + [digest])


def _word(name: str, value: Any) -> str:
    """A value as part of a folder's name; gates, cells and methods speak for themselves."""
    return _plain(str(value)) if name in ("forget_gate", "cell", "task", "method") else f"{name}={_plain(str(value))}"


def _plain(text: str) -> str:
    """A text that may name a folder anywhere; what is replaced is told apart by a digest."""
    found = re.sub(r"[^\w.+=()-]+", "_", text).rstrip(".")  # Windows takes no name that ends in a dot
    return (
        found if found == text and len(text) <= 60 else f"{found[:50]}_{hashlib.sha256(text.encode()).hexdigest()[:6]}"
    )


# --- one after another, in processes, on a cluster ------------------------------------------------------------------


def _in_turn(runs: Plan, folder: Path, more: dict[str, Any], stop: Callable[[], bool]) -> Done:
    for path, settings in runs.items():
        if stop():
            return
        yield path, train(settings, out=folder / path, stop=stop, **more).status


def _in_processes(runs: Plan, folder: Path, more: dict[str, Any], stop: Callable[[], bool], jobs: int) -> Done:
    """The runs as they end, in spawned processes; told to stop, each leaves a run that can go on.

    A process learns that it is to stop when the other end of a pipe closes, so it does also when this one is killed.
    """
    signals.spare_helpers()
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_settle, initargs=(reader,))
    problems: list[GateflowError] = []
    try:
        running = {pool.submit(_status, s.as_dict(), folder / path, more): path for path, s in runs.items()}
        while running:
            done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            beat()
            for future in done:
                path = running.pop(future)
                try:
                    yield path, future.result()
                except GateflowError as problem:
                    problems.append(problem)
            if stop() and not writer.closed:
                writer.close()
                running = {future: path for future, path in running.items() if not future.cancel()}
    except BrokenProcessPool:
        if stop():  # whatever asked to stop has ended the processes as well
            return
        raise GateflowError(f"a process was lost, perhaps for want of memory; {AGAIN}") from None
    finally:
        writer.close()
        pool.shutdown(wait=True, cancel_futures=True)
        reader.close()
    if problems:
        raise problems[0]


_stopped = threading.Event()
_one_at_a_time = threading.Lock()


def _settle(parent: Any) -> None:
    """What each process does first."""
    signals.leave_to_parent()
    threading.Thread(target=lambda: (parent.poll(None), _stopped.set()), daemon=True).start()


def _status(settings: dict[str, Any], out: Path, more: dict[str, Any]) -> str:
    """Make one run; how it ended."""
    with silence(), _one_at_a_time:  # a run sets PyTorch's global state
        return train(Settings(**settings), out=out, stop=_stopped.is_set, **more).status


def _on_cluster(runs: Plan, folder: Path, more: dict[str, Any], stop: Callable[[], bool], scheduler: str) -> Done:
    distributed, client = cluster.distributed(), cluster.client(scheduler)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    problems: list[GateflowError] = []
    with client:
        running = {client.submit(_seen, s.as_dict(), folder, path, more, pure=False): path for path, s in runs.items()}
        while running and not stop():
            for future in [each for each in running if each.done()]:
                path = running.pop(future)
                try:
                    yield path, future.result()
                except GateflowError as problem:
                    problems.append(problem)
                except distributed.KilledWorker:
                    problems.append(
                        GateflowError(f"workers were lost over {path}, perhaps for want of memory; {AGAIN}")
                    )
            if running:
                _pause()
        client.cancel(list(running))
    if problems:
        raise problems[0]


def _pause() -> None:
    threading.Event().wait(0.2)


def _seen(settings: dict[str, Any], folder: Path, path: Path, more: dict[str, Any]) -> str:
    if not folder.is_dir():
        raise InvalidArgument(f"a worker does not see the folder {folder.name} of the experiment: --out must be shared")
    return _status(settings, folder / path, more)
