"""The metrics of a run for TensorBoard, where that is installed: beside metrics.jsonl, never instead of it.

The names of its files end in a digest of the run's settings, by which they are known again.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gateflow.errors import InvalidArgument
from gateflow.files import Place, one_line

FOLDER = "tensorboard"


def ending(settings: str) -> str:
    """How the names of the files of a run end, from the digest of its settings."""
    return f".gateflow-{settings[:16]}"


def look(path: Path) -> None:
    """See that what is for TensorBoard can be written in the folder of a run, before anything of it is changed.

    Raises
    ------
    InvalidArgument
        What has the name of its folder is none.
    """
    board = path / FOLDER
    if find_spec("tensorboard") is None:
        return
    if board.is_symlink():
        raise InvalidArgument(f"{board} is a link, and nothing is written through one; remove it")
    if os.path.lexists(board) and not board.is_dir():
        raise InvalidArgument(f"{board} is in the way, and is no folder; move it away")


def drop(place: Place, settings: str) -> None:
    """Remove what was written for TensorBoard by the run of these settings, and its folder if nothing else is in it."""
    ours = re.compile(rf"events\.out\.tfevents\.\d+\.[^/\n]*{re.escape(ending(settings))}")
    with suppress(OSError):
        with Place(place.path / FOLDER, follow=False) as inner:
            inner.remove(*(name for name in inner.names() if ours.fullmatch(name)))
        os.rmdir(place.path / FOLDER)


class Board:
    """Writes what TensorBoard shows; does nothing where it is not installed.

    Parameters
    ----------
    place : Place
        The folder of the run.
    settings : str
        The digest of its settings.
    step : int
        What an earlier session wrote after this step is not shown.
    """

    def __init__(self, place: Place, settings: str, step: int) -> None:
        self.path, self.writer = place.path / FOLDER, None
        if find_spec("tensorboard") is not None:
            look(place.path)
            from torch.utils.tensorboard import SummaryWriter

            more: dict[str, Any] = {"purge_step": step + 1, "filename_suffix": ending(settings)}
            with one_line("write to", self.path):
                self.writer: Any = SummaryWriter(str(self.path), **more)

    def note(self, line: dict[str, Any]) -> None:
        """The numbers of one line of metrics.jsonl."""
        if self.writer is None:
            return
        with one_line("write to", self.path):
            for name, value in flat({k: v for k, v in line.items() if k not in ("step", "kind")}):
                self.writer.add_scalar(f"{line['kind']}/{name}", value, line["step"])
            self.writer.flush()

    def close(self) -> None:
        """Write what is left; where that fails it is no loss, for metrics.jsonl has it all."""
        if self.writer is not None:
            with suppress(Exception):
                self.writer.close()


def flat(facts: Any, name: str = "") -> list[tuple[str, float]]:
    """Every number with the way to it.

    Examples
    --------
    >>> flat({"loss": 0.5, "layers": [{"mean": 0.9, "quantiles": [0.1, 0.2]}], "said": "no"})
    [('loss', 0.5), ('layers/0/mean', 0.9), ('layers/0/quantiles/0', 0.1), ('layers/0/quantiles/1', 0.2)]
    """
    if isinstance(facts, dict):
        parts = list(facts.items())
    elif isinstance(facts, (list, tuple)):
        parts = list(enumerate(facts))
    else:
        return [(name, float(facts))] if isinstance(facts, (int, float)) else []
    return [found for key, value in parts for found in flat(value, f"{name}/{key}" if name else str(key))]
