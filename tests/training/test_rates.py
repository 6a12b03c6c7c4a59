"""A learning rate suggested by a short run, and who is told the numbers of a run."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gateflow import cli
from gateflow.errors import InvalidArgument
from gateflow.training import Batch, Task, lr_range, train

TINY: dict[str, Any] = {"hidden": 4, "batch": 4, "init": "none"}
ADDING = "adding(horizon=5, held_out=16)"


def test_rates_rise_evenly_and_the_run_stops_where_the_loss_is_too_high() -> None:
    before = torch.random.get_rng_state()
    found = lr_range(ADDING, lowest=1e-5, highest=1e4, steps=60, optimizer="sgd", clip=0.0, **TINY)
    assert torch.random.get_rng_state().equal(before)
    np.testing.assert_allclose(np.diff(np.log(found.rates)), np.log(1e9) / 59)
    assert found.highest is not None
    assert found.rates[0] == 1e-5 < found.suggested < found.highest <= 1e4
    slopes = np.gradient(found.losses, np.log(found.rates))
    assert found.suggested == found.rates[np.argmin(slopes)]


class Hopeless(Task):
    """A task whose inputs are no numbers."""

    source = "none"
    input_size = output_size = 1
    length = 2

    def batch(self, split: Any, number: int, size: int, seed: int) -> Batch:
        return Batch(torch.full((size, 2, 1), float("nan")), torch.zeros(size, 1))

    def loss(self, answers: torch.Tensor, batch: Batch) -> torch.Tensor:
        return answers.square().mean()

    def measures(self, answers: torch.Tensor, batch: Batch) -> dict[str, tuple[float, float]]:
        return {"loss": (0.0, 1.0)}


def test_a_loss_that_never_was_finite_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateflow.training.loop._text", lambda task: ADDING)
    with pytest.raises(InvalidArgument, match="not finite from the start"):
        lr_range(Hopeless(), **TINY)


@pytest.mark.parametrize(
    ("chosen", "said"), [({"steps": 9}, "steps"), ({"lowest": 2.0, "highest": 1.0}, "rise"), ({"lowest": 0.0}, "rise")]
)
def test_wrong_ranges_are_refused(chosen: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        lr_range(ADDING, **chosen, **TINY)


def test_a_watcher_is_told_every_line(tmp_path: Path) -> None:
    seen: list[Mapping[str, Any]] = []
    train(ADDING, steps=4, evaluate_every=2, log_every=2, out=tmp_path / "run", watch=seen.append, **TINY)
    assert seen == [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {line["kind"] for line in seen} == {"train", "valid", "gates", "test"}


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_service_is_told_settings_and_numbers(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a module that has of the service what is called: names and arguments of its documentation."""
    said: list[Any] = []

    @contextmanager
    def begun(**options: Any) -> Any:
        said.append(options)
        yield types.SimpleNamespace(log=lambda data, step: said.append((step, data)))
        said.append("ended")

    fake = types.ModuleType(name)
    fake.__spec__ = types.SimpleNamespace(name=name)  # type: ignore[assignment]
    fake.init = fake.start_run = begun  # type: ignore[attr-defined]
    fake.log_params = lambda params: said.append(params)  # type: ignore[attr-defined]
    fake.log_metrics = lambda metrics, step: said.append((step, metrics))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, fake)
    words = [
        "train",
        "adding",
        "--horizon",
        "5",
        "--held-out",
        "16",
        "--hidden",
        "4",
        "--steps",
        "2",
        "--log-every",
        "1",
    ]
    assert cli.main([*words, "--out", str(tmp_path / "run"), "--log-to", name]) == 0
    assert any(isinstance(each, dict) and "hidden" in str(each) for each in said)
    told = [each for each in said if isinstance(each, tuple)]
    assert {step for step, _ in told} == {0, 1, 2}
    assert any("valid/loss" in data for _, data in told)
    assert said[-1] == "ended"
    capsys.readouterr()


def test_services_that_are_not_there_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "adding", "--log-to", "paper"]) == 2
    assert "unknown service 'paper'" in capsys.readouterr().err
    assert cli.main(["train", "adding", "--gates", "fast,sigmoid", "--log-to", "wandb"]) == 2
    assert "--log-to is for one run" in capsys.readouterr().err


def test_the_command_suggests_a_rate(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "adding", "--horizon", "5", "--hidden", "4", "--steps", "12", "--lr-range"]
    assert cli.main(words) == 0
    assert "suggested" in capsys.readouterr().out
    assert cli.main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["suggested"] in told["rates"]
    assert len(told["rates"]) == len(told["losses"])
