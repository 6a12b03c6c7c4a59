"""Without PyTorch the package says which extra is missing, and the rest of the package does not need it."""

from __future__ import annotations

import subprocess
import sys

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import gateflow
gateflow.gate("fast").phi(1.0)
try:
    import gateflow.nn
except gateflow.errors.MissingExtra as error:
    print(error)
"""


def test_the_missing_extra_is_named() -> None:
    found = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, check=True)
    assert (
        found.stdout.strip()
        == "training needs the extra 'nn': python -m pip install torch safetensors scikit-learn pooch"
    )
