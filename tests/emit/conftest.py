"""Triton device functions run here, where Triton is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def device(tmp_path: Path) -> Any:
    """What runs Triton device functions on the CPU."""
    pytest.importorskip("triton", reason="no Triton on this machine: its device functions were not run")
    from tests.triton_device import Device

    return Device(tmp_path)
