"""Shared by all tests: one Hypothesis profile, no window ever opened, what is made for many tests made once."""

import atexit
import gc
import importlib.util
import os
import signal
import sys
from collections import Counter

import pytest
from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("GATEFLOW_PROGRESS", "0")  # on a loaded machine a test may take long, and its log is read
os.environ.setdefault("SYMPY_CACHE_SIZE", "4000")  # as the program has it
os.environ.setdefault("TRITON_INTERPRET", "1")  # which counts only if it is there before Triton is imported
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # who spins has the processor of whom it waits for
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # a process that a test ends may end while it writes; this one keeps all
sys.dont_write_bytecode = False
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


def pytest_addoption(parser):
    help = "which cases of each test marked sampled run: K of n, counted round, so that n runs see all of them"
    parser.addoption("--turn", type=int, default=0, metavar="K", help=help)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Modules and tests stay to the end: the garbage collector looks through what comes after them only."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # what is left at the end counts as lost for some libraries
        gc.set_threshold(5000, 10, 20)  # SymPy makes much that lives long
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Of many cases of one test a sample runs; tests that look at one thing made for many run in one process.

    Such a thing is a fixture of a module or of the session. Who asks for cases by name (-k) gets each of them.
    """
    places = Counter()
    for item in items:
        if not config.option.keyword and (marker := item.get_closest_marker("sampled")) is not None:
            test = item.nodeid.partition("[")[0]
            if (places[test] - config.option.turn) % marker.args[0]:
                item.add_marker(pytest.mark.slow)
            places[test] += 1
        if item.get_closest_marker("xdist_group") is None and (made := sorted(shared(item))):
            item.add_marker(pytest.mark.xdist_group("+".join(made)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session):
    """Groups stay in one process, also where pytest (9.2) keeps ids elsewhere than pytest-xdist (3.8) marks them."""
    if getattr(session.config.option, "loadgroup", False):
        for item in session.items:
            group = item.get_closest_marker("xdist_group")
            if group is not None and "@" not in item.nodeid.rpartition("]")[2]:
                item._id = type(item._id).parse(f"{item.nodeid}@{group.args[0]}")


def shared(item):
    """The fixtures of our own that an item shares with others, with the number of the parameter they are made for."""
    for name, definitions in item._fixtureinfo.name2fixturedefs.items() if hasattr(item, "_fixtureinfo") else ():
        if definitions[-1].scope != "function" and definitions[-1].baseid:
            number = item.callspec.indices[name] if definitions[-1].params else ""
            yield f"{definitions[-1].baseid}:{name}{number}"


@pytest.fixture
def hears_ctrl_c():
    """Ctrl-C as in a terminal, here and in processes started here, also where the suite itself ignores it (nohup)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
