"""Where a run leaves its files, or nothing but memory."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from gateflow import record
from gateflow.errors import InvalidArgument
from gateflow.nn import checkpoint as checkpoints
from gateflow.nn.board import FOLDER as BOARD
from gateflow.nn.board import Board
from gateflow.nn.checkpoint import Checkpoint
from gateflow.nn.settings import MORE, Settings, read_toml

if TYPE_CHECKING:
    from gateflow.nn.network import Network
    from gateflow.nn.tasks._contract import Task
    from gateflow.nn.train import Result

SETTINGS, METRICS, CHECKPOINT, WEIGHTS, RESULT = (
    "settings.toml",
    "metrics.jsonl",
    "checkpoint.safetensors",
    "weights.safetensors",
    "result.json",
)
FILES = (SETTINGS, METRICS, CHECKPOINT, WEIGHTS, RESULT)
LOCK = ".lock"

REMEDY = "choose another --out, or give --restart to drop it"

OUTCOME = ("status", "steps", "best_step", "solved_at", "valid", "test", "seconds", "said")
"""What of a result its file holds, beside the record of what made it."""


class Memory:
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

    def end(self, result: Result, weights: Mapping[str, Tensor]) -> None:
        """Nothing."""


class Folder:
    """The folder of one run, held by one process at a time.

    A line of ``metrics.jsonl`` that was written after the last checkpoint will be written again by the run that goes on
    from it; so the checkpoint knows how long the file was, and what came later is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: Any = None
        self.board: Board | None = None

    @classmethod
    @contextmanager
    def opened(cls, path: Path, settings: Settings, *, restart: bool) -> Iterator[Folder]:
        """The folder, made if need be, locked, with the settings in it.

        Raises
        ------
        InvalidArgument
            Another process is at work in it, or it holds something else than this run.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise InvalidArgument(f"cannot write to {path}: {problem.strerror}") from None
        folder = cls(path)
        with folder._locked():
            folder._settle(settings, restart=restart)
            folder.file = open(path / METRICS, "ab")  # noqa: SIM115
            try:
                yield folder
            finally:
                folder.file.close()
                if folder.board is not None:
                    folder.board.close()

    def _settle(self, settings: Settings, *, restart: bool) -> None:
        for name in FILES:
            for left in self.path.glob(f".{name}.*"):  # of a process that was killed while it wrote
                left.unlink()
        file = self.path / SETTINGS
        if restart and file.exists() and not self._holds(settings):
            shutil.rmtree(self.path / BOARD, ignore_errors=True)
            for name in (checkpoints.previous(Path(CHECKPOINT)).name, *reversed(FILES)):
                (self.path / name).unlink(missing_ok=True)
        if file.exists():
            refuse_other(settings, settings_of(self.path), self.path)
        elif others := sorted(each.name for each in self.path.iterdir() if each.name != LOCK):
            (self.path / LOCK).unlink(missing_ok=True)  # none where there are no such locks
            raise InvalidArgument(f"{self.path} holds {others[0]}, which is no run; choose another --out")
        else:
            record.write_text(file, settings.as_toml())

    def _holds(self, settings: Settings) -> bool:
        """Whether there is a run of these settings that can go on or has ended."""
        try:
            refuse_other(settings, settings_of(self.path), self.path)
            return self.result() is not None or self._whole() is not None
        except InvalidArgument:
            return False

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            import fcntl
        except ImportError:  # no such locks on this system
            yield
            return
        with open(self.path / LOCK, "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InvalidArgument(f"another process is training in {self.path}") from None
            yield

    def note(self, line: dict[str, Any]) -> None:
        """Append a line; it is with the system at once, and a kill does not lose it."""
        self.file.write(record.to_json_line(line).encode())
        self.file.flush()
        if self.board is not None:
            self.board.note(line)

    def metrics(self) -> list[dict[str, Any]]:
        """Every whole line so far."""
        return read_metrics(self.path)

    def save(self, state: Checkpoint) -> None:
        """Write a checkpoint, and with it how long the metrics are."""
        state.facts["metrics"] = self.file.tell()
        checkpoints.write(self.path / CHECKPOINT, state)

    def latest(self) -> tuple[Checkpoint | None, str]:
        """The last whole checkpoint; the metrics are cut to its length."""
        state, note = self._whole()
        if note:  # the damaged one shall not come to be the one before
            os.replace(checkpoints.previous(self.path / CHECKPOINT), self.path / CHECKPOINT)
        length = 0 if state is None else state.facts["metrics"]
        self.file.truncate(length)
        self.file.seek(length)
        self.board = Board(self.path, -1 if state is None else state.facts["counters"]["step"])
        return state, note

    def _whole(self) -> tuple[Checkpoint | None, str]:
        """The last whole checkpoint, which is of these settings and of these metrics."""
        try:
            state, note = checkpoints.latest(self.path / CHECKPOINT)
        except checkpoints.Damaged as problem:
            raise InvalidArgument(f"{problem}; --restart begins anew") from None
        if state is None:
            return state, note
        refuse_other(settings_of(self.path), Settings(**state.facts["settings"]), self.path)
        file = self.path / METRICS
        if not file.exists() or os.path.getsize(file) < state.facts["metrics"]:
            raise InvalidArgument(f"{file} is shorter than its checkpoint says; --restart begins anew")
        return state, note

    def result(self) -> dict[str, Any] | None:
        """The outcome of a run that has ended."""
        return outcome(self.path)

    def network(self, settings: Settings, task: Task) -> Network:
        """The network with the weights that were kept."""
        return loaded(self.path, settings, task)

    def end(self, result: Result, weights: Mapping[str, Tensor]) -> None:
        """Write the weights and, last, the result, with which the run has ended."""
        state = Checkpoint({"settings": result.settings.as_dict()})
        state.add("network", weights)
        record.write_bytes(self.path / WEIGHTS, checkpoints.to_bytes(state))
        found = {name: getattr(result, name) for name in OUTCOME}
        made = record.record(seed=result.settings.seed, device=result.settings.device)
        record.write_text(self.path / RESULT, record.to_json({**found, "record": made}))


def settings_of(path: Path) -> Settings:
    """The settings of the run in a folder."""
    found = read_toml(path / SETTINGS)
    if "task" not in found or any(name in found for name in MORE):
        raise InvalidArgument(f"{path / SETTINGS} is not what a run has written")
    return Settings(**found)


def outcome(path: Path) -> dict[str, Any] | None:
    """How the run in a folder ended, None where it has not."""
    file = path / RESULT
    if not file.exists():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {name: _numbers(found[name]) if isinstance(found[name], dict) else found[name] for name in OUTCOME}
    except (ValueError, KeyError, TypeError):
        raise InvalidArgument(f"{file} is damaged; remove it, and the run goes on from its checkpoint") from None


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a run's metrics."""
    file = path / METRICS
    if not file.exists():
        return []
    found = []
    for number, text in enumerate(file.read_bytes().split(b"\n")[:-1], 1):
        try:
            line = _numbers(json.loads(text))
        except ValueError:
            line = None
        if not (isinstance(line, dict) and line.keys() >= {"step", "kind"}):
            raise InvalidArgument(f"{file}, line {number}: no line of a run")
        found.append(line)
    return found


def loaded(path: Path, settings: Settings, task: Task) -> Network:
    """The network of a run, with the weights that were kept, or the best so far of a run that has not ended."""
    from gateflow.nn.network import build
    from gateflow.nn.train import put

    ended = (path / WEIGHTS).exists()
    state, _ = (checkpoints.read(path / WEIGHTS), "") if ended else checkpoints.latest(path / CHECKPOINT)
    if state is None:
        raise InvalidArgument(f"{path} holds no weights yet")
    refuse_other(settings, Settings(**state.facts["settings"]), path)
    network = build(settings, task)
    put(network, state.under("network" if ended else "best"))
    return network


def refuse_other(settings: Settings, found: Settings, path: Path) -> None:
    """Complain of the first setting that is not that of the run in the folder."""
    for name, mine, theirs in settings.differences(found):
        raise InvalidArgument(f"{path} holds a run with {name} {theirs!r}, not {mine!r}; {REMEDY}")


def _numbers(found: Any) -> Any:
    """Infinities and NaN, which JSON writes as words, as numbers."""
    if isinstance(found, dict):
        return {key: value if key in WORDS else _numbers(value) for key, value in found.items()}
    if isinstance(found, list):
        return [_numbers(value) for value in found]
    return float(found) if found in ("inf", "-inf", "nan") else found


WORDS = ("kind", "said", "status")
