"""``gateflow --help`` is instant: it imports nothing heavy."""

import subprocess
import sys

import pytest

HEAVY = ("sympy", "scipy", "numpy", "mpmath", "matplotlib", "torch", "xarray", "dask", "pandas")

PROGRAM = """
import resource, sys
from gateflow.cli import main
code = main({arguments})
used = resource.getrusage(resource.RUSAGE_SELF)
print(code, used.ru_utime + used.ru_stime, *(name for name in {heavy} if name in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["time", "--help"], ["figures", "--help"], ["tiem"]])
def test_help_imports_nothing_heavy_and_takes_no_time(arguments):
    program = PROGRAM.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    code, seconds, *imported = done.stderr.splitlines()[-1].split()
    assert code == ("2" if arguments == ["tiem"] else "0")
    assert imported == []
    assert float(seconds) < 0.3
