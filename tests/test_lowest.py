"""The lowest versions that are allowed resolve, and commands answer with them."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_lowest_versions_do(tmp_path):
    """Needs a package index; some minutes."""
    script = Path(__file__).parents[1] / "benchmarks" / "lowest.py"
    done = subprocess.run(
        [sys.executable, script, "--keep", tmp_path / "new"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("every command answers as it should\n")
