"""The metrics of a run for TensorBoard, where that is installed: beside metrics.jsonl, never instead of it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

FOLDER = "tensorboard"


class Board:
    """Writes what TensorBoard shows; does nothing where it is not installed.

    Parameters
    ----------
    path : Path
        The folder of the run.
    step : int
        What an earlier session wrote after this step is not shown.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.writer: Any = None
        if find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(path / FOLDER), purge_step=step + 1)

    def note(self, line: dict[str, Any]) -> None:
        """The numbers of one line of metrics.jsonl."""
        if self.writer is None:
            return
        for name, value in flat({k: v for k, v in line.items() if k not in ("step", "kind")}):
            self.writer.add_scalar(f"{line['kind']}/{name}", value, line["step"])
        self.writer.flush()

    def close(self) -> None:
        """Write what is left."""
        if self.writer is not None:
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
