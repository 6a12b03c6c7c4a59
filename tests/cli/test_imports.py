"""``gateflow --help`` and what a shell asks at Tab import nothing heavy, which is what keeps them instant."""

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


COMMANDS = [
    "--help",
    "--version",
    "time --help",
    "figures --help",
    "tiem",
    "__complete order fa",
    "__complete train ad",
]


@pytest.mark.parametrize("line", COMMANDS)
def test_help_imports_nothing_heavy(line):
    program = PROGRAM.format(arguments=line.split(), heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    code, *imported = done.stderr.splitlines()[-1].split()
    assert code == ("2" if line == "tiem" else "0")
    assert imported == []


def test_the_list_of_commands_imports_none_of_them():
    program = PROGRAM.format(arguments=["--help"], heavy=("cyclopts", "rich", "gateflow.cli.time"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["0"]
