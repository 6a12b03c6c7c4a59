"""Shared by all tests: one Hypothesis profile, no window ever opened, and kernels for GPUs run on the CPU."""

import importlib.util
import os
import signal

import pytest
from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("GATEFLOW_PROGRESS", "0")  # on a loaded machine a test may take long, and its log is read
os.environ.setdefault("TRITON_INTERPRET", "1")  # which counts only if it is there before Triton is imported
os.fsync = lambda file: None  # thousands of small files are written here; tests/files says what must be flushed
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # under nohup, say: Ctrl-C is tried on processes all the same
    signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("suite", deadline=None, max_examples=100, derandomize=True)
settings.load_profile("suite")

NEED_TRITON = [
    "gateflow/codegen/tritonmath.py",
    "gateflow/nn/kernels/triton/lstm_kernels.py",
    "tests/codegen/triton_device.py",
]
"""Modules that cannot be imported without it, which searching them for examples does."""

collect_ignore = [] if importlib.util.find_spec("triton") else NEED_TRITON


@pytest.fixture
def hears_ctrl_c():
    """Ctrl-C as in a terminal, here and in processes started here, also where the suite itself ignores it (nohup)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
