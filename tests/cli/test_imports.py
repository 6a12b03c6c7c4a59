"""``gateflow --help`` imports nothing heavy, which is what keeps it instant."""

import subprocess
import sys

import pytest

HEAVY = ("sympy", "scipy", "numpy", "mpmath", "matplotlib", "torch", "xarray", "dask", "pandas")

PROGRAM = """
import sys
from gateflow.cli import main
code = main({arguments})
print(code, *(name for name in {heavy} if name in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["time", "--help"], ["figures", "--help"], ["tiem"]])
def test_help_imports_nothing_heavy(arguments):
    program = PROGRAM.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    code, *imported = done.stderr.splitlines()[-1].split()
    assert code == ("2" if arguments == ["tiem"] else "0")
    assert imported == []
