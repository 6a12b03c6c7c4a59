"""The numbers of the figures, computed once for all tests of this folder, which run in one process."""

from functools import cache

import pytest

from gateflow.plots import FIGURES
from gateflow.plots._table import FigureTable

IN_ONE_PROCESS = pytest.mark.xdist_group("figures")


@cache
def table(name: str) -> FigureTable:
    return FIGURES[name].compute()
