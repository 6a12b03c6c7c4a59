"""Where a run leaves its files, or nothing but memory."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from gateflow import record
from gateflow.errors import InvalidArgument
from gateflow.files import Held, digest, fits, from_json, held, one_line, read_bytes, read_json
from gateflow.guards.calls import name_of
from gateflow.training import checkpoint as checkpoints
from gateflow.training.board import Board, drop
from gateflow.training.board import look as look_at_board
from gateflow.training.checkpoint import Checkpoint
from gateflow.training.network import Network, build, set_weights, weights_of
from gateflow.training.result import Result
from gateflow.training.settings import MORE, Settings, read_toml
from gateflow.training.task import Task, is_served

SETTINGS, SOURCES, METRICS, CHECKPOINT, WEIGHTS, RESULT = (
    "settings.toml",
    "sources.json",
    "metrics.jsonl",
    "checkpoint.safetensors",
    "weights.safetensors",
    "result.json",
)
CHECKPOINTS = (CHECKPOINT, checkpoints.previous(CHECKPOINT))
FILES = (SETTINGS, SOURCES, METRICS, *CHECKPOINTS, WEIGHTS, RESULT)
"""Every file of a run, besides the marker of the folder and what TensorBoard reads."""

LONGEST = 1 << 31
"""Bytes of metrics that are read."""

REMEDY = "choose another --out, or give --restart to drop it"

OUTCOME = ("status", "steps", "best_step", "solved_at", "valid", "test", "seconds", "said")
"""What of a result its file holds, beside the record of what made it."""

MAKERS = ("numpy", "torch")
"""Packages whose versions are kept from the start of a run."""

NOT_KNOWN = "not known"
"""The commit of a run, or of a part of it, that was made before commits were kept."""


_SHAPE = {
    "status": str,
    "steps": int,
    "best_step": int,
    "solved_at": (int, None),
    "valid": {str: float},
    "test": {str: float},
    "seconds": float,
    "said": str,
}

_LAYER = {"mean": float, "quantiles": [float], "timescales": [float], "saturated": float}

_LINES: dict[str, Any] = {
    **{kind: {"loss": float} for kind in ("train", "valid", "test")},
    "gates": {"layers": [_LAYER]},
    "stopped": {"said": str},
}
"""What a line of the metrics holds, by its kind; the measures of a task are numbers."""


_STATE = {
    "settings": {str: Any},
    "data": Any,
    "counters": {"step": int, "best_step": int, "solved_at": (int, None), "best": {str: float}, "seconds": float},
    "optimizer": {"groups": [{str: Any}], "state": {str: {str: Any}}},
    "schedule": ({str: Any}, None),
    "said": str,
    "metrics": int,
}
"""What a checkpoint holds besides tensors."""


class RunMemory:
    """A run that leaves no files."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def note(self, line: dict[str, Any]) -> None:
        self.lines.append(line)

    def metrics(self) -> list[dict[str, Any]]:
        return list(self.lines)

    def save(self, state: Checkpoint) -> None:
        """Nothing."""

    def latest(self) -> tuple[Checkpoint | None, str]:
        return None, ""

    def result(self) -> dict[str, Any] | None:
        return None

    def network(self, settings: Settings, task: Task) -> Network | None:
        return None

    def end(self, result: Result, weights: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Nothing."""


class RunFolder:
    """The folder of one run, held by one process at a time.

    A line of ``metrics.jsonl`` that was written after the last checkpoint will be written again by the run that goes on
    from it; so the checkpoint knows how long the file was, and what came later is cut off.
    """

    def __init__(self, found: Held) -> None:
        self.path, self.held, self.place = found.path, found, found.place
        self.file = -1
        self.board: Board | None = None

    @classmethod
    @contextmanager
    def open(
        cls, path: Path, settings: Settings, *, restart: bool, tried: Callable[..., None] = lambda _: None
    ) -> Iterator[RunFolder]:
        """The folder, made if need be, locked, with the settings in it.

        Parameters
        ----------
        path : Path
        settings : Settings
        restart : bool
            Drop another run, or a damaged one.
        tried : callable
            Asked before a file of a run is removed: complains where no run of these settings can go on from a
            checkpoint, or begin if there is None.

        Raises
        ------
        InvalidArgument
            Another process is at work in it, or it holds something else than this run.
        """
        with held(
            path,
            "run",
            busy=f"another process is training in {path}",
            refused=f"{path} is not the folder of a run: it holds {{name}}; choose a new or an empty folder (--out)",
            adopted=lambda: _adopts(path, settings),
        ) as found:
            folder = cls(found)
            folder._settle(settings, restart, tried)
            folder._note_source()
            folder.file = found.place.regular(METRICS, os.O_RDWR | os.O_APPEND | os.O_CREAT)
            try:
                yield folder
            finally:
                os.close(folder.file)
                if folder.board is not None:
                    folder.board.close()

    def _settle(self, settings: Settings, restart: bool, tried: Callable[..., None]) -> None:
        """Begin a run, or go on with that of these settings; with ``restart``, drop another or a damaged one.

        What may refuse comes first: then nothing of what is there has been changed.
        """
        if self.place.stat(SETTINGS) is None:
            self._look()
            if not restart and self._has(RESULT, WEIGHTS, *CHECKPOINTS):
                raise InvalidArgument(f"{SETTINGS} of the run in {self.path} is missing; {REMEDY}")
            if self._has(*FILES):
                tried(None)
            self._begin(settings)
            return
        drops = restart and not self._holds(settings)
        found = settings_of(self.path)
        if not drops:
            refuse_other(settings, found, self.path, longer=True)
        if drops or settings.steps > found.steps or self.result() is None:
            self._look()
        written = self._proved() if drops else ""
        if drops:
            tried(None)
        if self.held.facts is None:  # as older versions left it
            self._mark(read_bytes(self.path / SETTINGS))
        if drops:
            self._drop(written)
            self._begin(settings)
        elif settings.steps > found.steps:
            self._lengthen(settings, found.steps, tried)

    def _has(self, *names: str) -> bool:
        """Whether anything has one of these names."""
        return any(self.place.stat(name) is not None for name in names)

    def _look(self) -> None:
        """See that every file of a run can be removed and written here."""
        self.held.look(FILES)
        look_at_board(self.path)

    def _lengthen(self, settings: Settings, before: int, tried: Callable[..., None]) -> None:
        """Let a run go on to more steps: what it ended with is removed first, so that a kill leaves the shorter run."""
        ended = (self.result() or {"status": "finished"})["status"]
        if ended != "finished":
            raise InvalidArgument(f"the run in {self.path} has ended early ({ended}); more steps change nothing")
        if name_of(settings.schedule).lower() not in ENDLESS:
            raise InvalidArgument(
                f"the schedule {settings.schedule} ends with the run's {before} steps; a longer run is another one: "
                "choose another --out, perhaps with --from"
            )
        state = self._whole()[0]
        if state is None and self._has(RESULT, WEIGHTS):
            raise InvalidArgument(
                f"there is no checkpoint in {self.path} from which its run of {before} steps could go on; {REMEDY}"
            )
        tried(state)
        self.held.remove((RESULT, WEIGHTS))
        text = settings.as_toml().encode()
        self._mark(text)
        self.place.write(SETTINGS, text)

    def _begin(self, settings: Settings) -> None:
        self.held.remove(FILES)
        text = settings.as_toml().encode()
        self._mark(text)
        self.place.write(SETTINGS, text)

    def _note_source(self) -> None:
        """Keep what code is about to begin the run, or to go on with it, unless that is what made it so far."""
        if self.result() is not None:
            return
        now = {"commit": record.source(), "versions": record.versions(MAKERS)}
        begun = bool(self.place.stat(METRICS))
        noted = sources(self.path) or [{"commit": NOT_KNOWN, "versions": {}}] * begun
        if not noted or noted[-1] != now:
            self.place.write(SOURCES, record.to_json([*noted, now]).encode())

    def _mark(self, settings: bytes) -> None:
        self.held.mark({"settings": digest(settings)})

    def _proved(self) -> str:
        """The digest of the run's settings, if it proves to be one: they are as they were written.

        A folder without a marker, as older versions left it, has proved to be one already.
        """
        written = digest(read_bytes(self.path / SETTINGS))
        if self.held.facts is not None and self.held.facts.get("settings") != written:
            raise InvalidArgument(f"{self.path / SETTINGS} is not what the run has written; choose another --out")
        return written

    def _drop(self, written: str) -> None:
        """Remove the run of these settings."""
        drop(self.place, written)
        self.held.remove(reversed(FILES))

    def _holds(self, settings: Settings) -> bool:
        """Whether there is a run of these settings that can go on or has ended."""
        try:
            refuse_other(settings, settings_of(self.path), self.path)
            return self.result() is not None or self._whole() is not None
        except InvalidArgument:
            return False

    def note(self, line: dict[str, Any]) -> None:
        """Append a line; it is with the system at once, and a kill does not lose it."""
        data = memoryview(record.to_json_line(line).encode())
        with one_line("write", self.path / METRICS):
            while data:
                data = data[os.write(self.file, data) :]
        if self.board is not None:
            self.board.note(line)

    def metrics(self) -> list[dict[str, Any]]:
        """Every whole line so far."""
        return read_metrics(self.path)

    def save(self, state: Checkpoint) -> None:
        """Write a checkpoint, and with it how long the metrics are, which are on the disk before it."""
        state.facts["metrics"] = os.fstat(self.file).st_size
        with one_line("write", self.path / CHECKPOINT):
            os.fsync(self.file)
            checkpoints.write(self.place, CHECKPOINT, state)

    def latest(self) -> tuple[Checkpoint | None, str]:
        """The last whole checkpoint; the metrics are cut to its length."""
        state, note = self._whole()
        if note:  # the damaged one shall not come to be the one before
            self.place.rename(checkpoints.previous(CHECKPOINT), CHECKPOINT)
        os.ftruncate(self.file, 0 if state is None else state.facts["metrics"])
        written = (self.held.facts or {}).get("settings", "")
        self.board = Board(self.place, written, -1 if state is None else state.facts["counters"]["step"])
        return state, note

    def _whole(self) -> tuple[Checkpoint | None, str]:
        """The last whole checkpoint whose metrics are all there, and a note where it is not the last."""
        found = self.place.stat(METRICS)
        length = 0 if found is None else found.st_size

        def fitting(state: Checkpoint) -> None:
            if not fits(state.facts, _STATE):
                raise checkpoints.Damaged(f"{self.path / CHECKPOINT} holds no state of training")
            found = _settings_in(state, self.path / CHECKPOINT)
            refuse_other(settings_of(self.path), found, self.path, longer=True)
            if not 0 <= state.facts["metrics"] <= length:
                raise checkpoints.Damaged(f"{self.path / METRICS} is shorter than its checkpoint says")

        try:
            return checkpoints.latest(self.path / CHECKPOINT, fitting)
        except checkpoints.Damaged as problem:
            raise InvalidArgument(f"{problem}; --restart begins anew") from None

    def result(self) -> dict[str, Any] | None:
        """The outcome of a run that has ended."""
        return outcome(self.path)

    def network(self, settings: Settings, task: Task) -> Network:
        """The network with the weights that were kept."""
        return load_network(self.path, settings, task)

    def end(self, result: Result, weights: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Write the weights, with how inputs are prepared, and, last, the result, with which the run has ended."""
        state = Checkpoint({"settings": result.settings.as_dict(), "served": dict(facts)})
        state.add("network", weights)
        found = {name: getattr(result, name) for name in OUTCOME}
        made = record.record(seed=result.settings.seed, device=result.settings.device)
        for name, data in (
            (WEIGHTS, checkpoints.to_bytes(state)),
            (RESULT, record.to_json({**found, "record": made}).encode()),
        ):
            with one_line("write", self.path / name):
                self.place.write(name, data)


def settings_of(path: Path) -> Settings:
    """The settings of the run in a folder."""
    found = read_toml(path / SETTINGS)
    if "task" not in found or any(name in found for name in MORE):
        raise InvalidArgument(f"{path / SETTINGS} is not what a run has written")
    return Settings(**found)


def _settings_in(state: Checkpoint, file: Path) -> Settings:
    """The settings that a checkpoint was written with."""
    try:
        return Settings(**state.facts["settings"])
    except (TypeError, KeyError, InvalidArgument):
        raise checkpoints.Damaged(f"{file} holds settings that are none here") from None


def _adopts(path: Path, settings: Settings) -> bool:
    """Whether a folder without a marker is a run of these settings: older versions wrote none.

    A checkpoint or weights, whose digest fits, say that they are of these settings.
    """
    try:
        if settings_of(path).differences(settings):
            return False
        files = [path / name for name in (WEIGHTS, CHECKPOINT) if (path / name).is_file()]
        return any(not _settings_in(checkpoints.read(file), file).differences(settings) for file in files)
    except (InvalidArgument, OSError):
        return False


def sources(path: Path) -> list[dict[str, Any]]:
    """The commits and versions that made the run in a folder, one after another; none where that was not kept."""
    shape = [{"commit": str, "versions": {str: str}}]
    return _content(path / SOURCES, shape, "what made the run is then not known") or []


def outcome(path: Path) -> dict[str, Any] | None:
    """How the run in a folder ended, None where it has not."""
    found = _content(path / RESULT, _SHAPE, "the run goes on from its checkpoint")
    return found and {name: found[name] for name in OUTCOME}


def _content(file: Path, shape: Any, without: str) -> Any:
    """What a JSON file holds, None where there is none; ``without`` says what its removal would mean.

    Raises
    ------
    InvalidArgument
        It cannot be read, or is not of this shape.
    """
    with one_line("read", file):
        try:
            found = _numbers(read_json(file))
        except FileNotFoundError:
            return None
        except ValueError:
            found = None
    if not fits(found, shape):
        raise InvalidArgument(f"{file} is damaged; remove it, and {without}")
    return found


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a run's metrics."""
    file = path / METRICS
    with one_line("read", file):
        try:
            data = read_bytes(file, LONGEST)
        except FileNotFoundError:
            return []
    found = []
    for number, text in enumerate(data.split(b"\n")[:-1], 1):
        try:
            line = _numbers(from_json(text))
        except ValueError:
            line = None
        if not _is_line(line):
            raise InvalidArgument(f"{file}, line {number}: no line of a run")
        found.append(line)
    return found


def _is_line(found: Any) -> bool:
    """Whether a value is what a run writes in a line of its metrics."""
    if not fits(found, {"step": int, "kind": str}):
        return False
    rest = {name: value for name, value in found.items() if name not in ("step", "kind")}
    if not fits(rest, _LINES.get(found["kind"], {})):
        return False
    if found["kind"] == "gates":
        return bool(rest["layers"]) and all(layer["timescales"] for layer in rest["layers"])
    return found["kind"] not in ("train", "valid", "test") or fits(rest, {str: float})


def kept_facts(path: Path) -> dict[str, Any] | None:
    """What of the task is kept in a run that has ended; None where it has not, or was made before that was kept."""
    if not os.path.lexists(path / WEIGHTS):
        return None
    found = checkpoints.read(path / WEIGHTS).facts.get("served")
    if found is not None and not is_served(found):
        raise checkpoints.Damaged(f"{path / WEIGHTS} does not hold how data are prepared")
    return found


def load_network(path: Path, settings: Settings, task: Any) -> Network:
    """The network of a run, with the weights that were kept, or the best so far of a run that has not ended."""
    file = path / (WEIGHTS if os.path.lexists(path / WEIGHTS) else CHECKPOINT)
    state = checkpoints.read(file) if file.name == WEIGHTS else checkpoints.latest(file)[0]
    if state is None:
        raise InvalidArgument(f"{path} holds no weights yet")
    refuse_other(settings, _settings_in(state, file), path, longer=file.name != WEIGHTS)
    values = state.under("network" if file.name == WEIGHTS else "best")
    try:
        _check_ends(values, settings, task)
        network = build(settings, task)
        set_weights(network, values)
        for name, weight in network.named_parameters():
            if not weight.isfinite().all():
                raise ValueError(f"{name} has numbers that are not finite")
    except ValueError as problem:
        if isinstance(problem, InvalidArgument):
            raise
        raise checkpoints.Damaged(f"{file} does not hold the weights of this network: {problem}") from None
    return network


def _check_ends(values: Mapping[str, Tensor], settings: Settings, task: Any) -> None:
    """Complain of weights of another size, before a network is built that may be too large."""
    wanted = {"readout.weight": (task.output_size, settings.hidden)}
    if task.tokens:
        wanted["embedding.weight"] = (task.input_size, settings.embedding or settings.hidden)
    if settings.tie_embedding:  # one matrix, which stands under one of its names
        del wanted["readout.weight"]
    for name, shape in wanted.items():
        if (found := tuple(values[name].shape) if name in values else None) != shape:
            raise ValueError(f"{name} is {found or 'missing'}, where the network has {shape}")
    if (most := sum(part.numel() for part in values.values())) < task.input_size:
        raise ValueError(f"it has {most} numbers, where the network has {task.input_size} inputs")


def started(settings: Settings, task: Any) -> tuple[Network, list[str]]:
    """The network with the weights it begins with: its own draws, or those of the run that it starts from; and the
    names of what that run has in another shape, or for other classes.

    Raises
    ------
    InvalidArgument
        The recurrent layers have other shapes.
    """
    network = build(settings, task)
    if settings.start is None:
        return network, []
    file = _weights_of_start(settings.start)
    state, own = checkpoints.read(file), weights_of(network)
    kept, anew = state.under("network"), []
    facts = state.facts.get("served")
    same_classes = (facts.get("classes") if isinstance(facts, dict) else None) == task.prepares().get("classes")
    for name, value in own.items():
        fits_in = name in kept and kept[name].shape == value.shape
        if name.startswith("cell.") and not fits_in:
            raise InvalidArgument(f"{settings.start} has other recurrent layers: {name} does not fit")
        if not fits_in or not (name.startswith("cell.") or same_classes):
            kept[name] = value.detach()
            anew.append(name)
    set_weights(network, {name: value.to(own[name].dtype) for name, value in kept.items() if name in own})
    return network, anew


def pinned(start: str) -> str:
    """Where a run starts from, with a digest of the weights there: ``runs/one@0123456789abcdef``.

    Raises
    ------
    InvalidArgument
        There is no run that has ended, or its weights are others.
    """
    if _PIN.fullmatch(start.rpartition("@")[2]):
        _weights_of_start(start)
        return start
    file = Path(start) / WEIGHTS
    if not file.exists():
        raise InvalidArgument(f"{start} is not the folder of a run that has ended: there is no {WEIGHTS}")
    return f"{start}@{_pin(file)}"


def _weights_of_start(start: str) -> Path:
    path, _, digits = start.rpartition("@")
    file = Path(path) / WEIGHTS
    if not file.exists():
        raise InvalidArgument(f"{path} is not the folder of a run that has ended: there is no {WEIGHTS}")
    if _pin(file) != digits:
        raise InvalidArgument(f"the weights in {path} are not those that this run starts from; train it anew from them")
    return file


def _pin(file: Path) -> str:
    return digest(read_bytes(file, checkpoints.LARGEST))[:16]


_PIN = re.compile("[0-9a-f]{16}")

ENDLESS = ("constant", "reducelronplateau", "plateau")
"""Schedules that do not depend on how many steps a run has."""


def refuse_other(settings: Settings, found: Settings, path: Path, *, longer: bool = False) -> None:
    """Complain of the first setting that is not that of the run in the folder; with ``longer``, steps may be more."""
    besides = ("steps",) if longer and settings.steps >= found.steps else ()
    for name, mine, theirs in settings.differences(found, besides):
        raise InvalidArgument(f"{path} holds a run with {name} {theirs!r}, not {mine!r}; {REMEDY}")


def _numbers(found: Any) -> Any:
    """Infinities and NaN, which JSON writes as words, as numbers."""
    if isinstance(found, dict):
        return {key: value if key in WORDS else _numbers(value) for key, value in found.items()}
    if isinstance(found, list):
        return [_numbers(value) for value in found]
    return float(found) if found in ("inf", "-inf", "nan") else found


WORDS = ("kind", "said", "status")
