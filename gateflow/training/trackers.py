"""Services that keep the numbers of runs: each, by its name, sends it the lines of a run's metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from gateflow.errors import InvalidArgument, unknown
from gateflow.training.board import flat
from gateflow.training.settings import Settings

Watch = Callable[[Mapping[str, Any]], None]
"""Called with each line of metrics.jsonl as it is recorded: ``step``, ``kind``, and numbers."""

TRACKERS = ("wandb", "mlflow")


@contextmanager
def tracked(name: str, settings: Settings, called: str) -> Iterator[Watch]:
    """Within, a run of a service that takes what it is sent.

    Parameters
    ----------
    name : str
        wandb (Weights & Biases) or mlflow; where they write to is for their own variables in the environment.
    settings : Settings
        Kept there as the run's configuration.
    called : str
        What the run is called there.

    Raises
    ------
    InvalidArgument
        There is no such service, or its package is not installed.
    """
    if name not in TRACKERS:
        raise InvalidArgument(unknown("service", name, TRACKERS))
    if find_spec(name) is None:
        raise InvalidArgument(f"{name} is not installed: python -m pip install {name}")
    if name == "wandb":
        import wandb  # pyright: ignore[reportMissingImports]

        with wandb.init(project="gateflow", name=called, config=settings.as_dict()) as run:
            yield lambda line: run.log(numbers(line), step=line["step"])
    else:
        import mlflow  # pyright: ignore[reportMissingImports]

        with mlflow.start_run(run_name=called):
            mlflow.log_params(settings.as_dict())
            yield lambda line: mlflow.log_metrics(numbers(line), step=line["step"])


def numbers(line: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a line by name, as TensorBoard has them too.

    Examples
    --------
    >>> numbers({"step": 3, "kind": "valid", "loss": 0.5})
    {'valid/loss': 0.5}
    """
    rest = {name: value for name, value in line.items() if name not in ("step", "kind")}
    return {f"{line['kind']}/{name}": value for name, value in flat(rest)}
