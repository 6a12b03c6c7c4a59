"""Pages made once for all tests, and a browser to open them in."""

import pytest

from gateflow.reports import report

from .chromium import Browser, program

GATES = ["fast", "sigmoid(z + z**3)", "hard-sigmoid"]


SMALL = {"horizons": [10], "gaps": [1e-6], "command": "gateflow report fast"}


@pytest.fixture(scope="session")
def three():
    """A report on a gate of the catalogue, a formula, and a gate outside of the class."""
    return report(GATES, horizons=[1, 1e6], gaps=[0.1, 1e-8, 1e-32], command="gateflow report")


@pytest.fixture(scope="session")
def fast():
    return report("fast", **SMALL)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    if program() is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened
