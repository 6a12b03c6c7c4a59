"""Shared by all tests: one Hypothesis profile, and no window ever opened."""

import importlib.util
import os

from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault(
    "TRITON_INTERPRET", "1"
)  # kernels for GPUs run on the CPU; it must be set before the first import
settings.register_profile("suite", deadline=None, max_examples=100, derandomize=True)
settings.load_profile("suite")

collect_ignore = (
    []
    if importlib.util.find_spec("triton")
    else [
        "gateflow/emit/tritonmath.py",
        "gateflow/nn/kernels/triton/lstm_kernels.py",
    ]
)
"""Modules that need Triton to be imported, which searching them for examples does."""
