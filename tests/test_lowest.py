"""The lowest versions that are allowed resolve, and commands answer with them."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "lowest.py"


def test_the_versions_that_were_tried_are_the_lowest_that_are_allowed():
    tried = (ROOT / "results" / "lowest.txt").read_text(encoding="utf-8").splitlines()[1].partition(": ")[2]
    assert tried.split(", ") == runpy.run_path(str(SCRIPT))["bounds"](["sweep"])


@pytest.mark.slow
def test_the_lowest_versions_do(tmp_path):
    """Needs a package index; some minutes."""
    done = subprocess.run(
        [sys.executable, SCRIPT, "--keep", tmp_path / "new"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("every command answers as it should\n")
