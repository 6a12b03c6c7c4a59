"""Compiled kernels under AddressSanitizer and UBSan, by hand: ``python -m pytest -m sanitized``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateflow.codegen import compiler as compiled


def libraries() -> list[str]:
    """The libraries of the sanitizers, where the compiler is GCC and has them."""
    try:
        found = [
            subprocess.run(
                [*compiled.compiler(), f"-print-file-name=lib{name}.so"], capture_output=True, text=True
            ).stdout
            for name in ("asan", "ubsan")
        ]
    except Exception:
        return []
    return [line.strip() for line in found if Path(line.strip()).is_absolute()]


@pytest.mark.slow
@pytest.mark.sanitized
@pytest.mark.parametrize("first", range(0, 1000, 250))
def test_no_call_reads_or_writes_where_it_may_not(first: int) -> None:
    if len(libraries()) < 2:
        pytest.skip("the compiler has no sanitizers")
    options = {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0", "LD_PRELOAD": ":".join(libraries())}
    command = [sys.executable, "-W", "ignore", "-m", "tests.nn.kernels.sanitized", str(first), "250"]
    root = Path(__file__).parents[3]
    done = subprocess.run(
        command, env={**os.environ, **options}, capture_output=True, text=True, timeout=3000, cwd=root
    )
    assert done.stdout.splitlines()[-1:] == ["250 calls"], done.stdout[-2000:] + done.stderr[-4000:]
