"""Tiny files in every format, and one small task of each kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_files import write_cifar, write_images28, write_ts

from gateflow.training.task import Task
from gateflow.training.tasks import TASKS


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data sets, each with a few rows of noise."""
    root = tmp_path_factory.mktemp("data")
    write_images28(root / "mnist", "", 0)
    write_images28(root / "fashion", ".gz", 1)
    write_cifar(root / "cifar")
    rng = np.random.default_rng(3)
    words = ["and", "the", "gate", "opens", "shuts", "cell", "holds"]
    lines = (" ".join(rng.choice(words, rng.integers(3, 9))) + "." for _ in range(300))
    (root / "text.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_ts(root / "tiny_TRAIN.ts", 40, 4)
    write_ts(root / "tiny_TEST.ts", 20, 5)
    days = "".join(f"{a:.4f},{b:.4f}\n" for a, b in rng.standard_normal((200, 2)))
    (root / "tiny_days.csv").write_text(f"load,price\n{days}", encoding="utf-8")
    return root


@pytest.fixture
def of_kind(files: Path) -> Callable[[str], Task]:
    """A small task by name; one that is not here is small as it is, and reads no file."""
    images = {"data_dir": str(files), "valid": 10}
    options: dict[str, dict[str, Any]] = {
        "adding": {"horizon": 12, "held_out": 40},
        "copying": {"horizon": 6, "symbols": 4, "held_out": 40},
        "selective-copying": {"horizon": 9, "symbols": 4, "held_out": 40},
        "associative-recall": {"horizon": 9, "pairs": 3, "alphabet": 5, "held_out": 40},
        "smnist": images,
        "pmnist": images,
        "fashion": images,
        "scifar": images,
        "digits": {},
        "characters": {"text": str(files / "text.txt"), "window": 20},
        "words": {"text": str(files / "text.txt"), "window": 8, "vocabulary": 5},
        "series": {"data": str(files / "tiny_TRAIN.ts")},
        "forecast": {"data": str(files / "tiny_days.csv"), "window": 4},
    }
    return lambda name: TASKS[name](**options.get(name, {}))


@pytest.fixture(params=list(TASKS))
def task(request: pytest.FixtureRequest, of_kind: Callable[[str], Task]) -> Task:
    return of_kind(request.param)
