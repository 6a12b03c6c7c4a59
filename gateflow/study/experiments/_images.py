"""Arms of the tasks on images: the methods of the literature, each with the settings of its source."""

from __future__ import annotations

from typing import Any

NAMED = ("lstm", "softsign", "fast", "refine", "ur-lstm", "chrono", "noisy", "janet", "nru", "gru")

METHODS: dict[str, dict[str, Any]] = {name: {"method": name} for name in NAMED}

SMALL: dict[str, dict[str, Any]] = {**METHODS, "nru": {"method": "nru", "cell": "nru(memory_size=64, heads=4)"}}
"""The NRU's memory in proportion to 64 units."""

REDUCED: dict[str, Any] = {"hidden": 64, "batch": 50, "lr": 3e-3, "steps": 300, "evaluate_every": 50}
