"""``gateflow --help`` and what a shell asks at Tab import nothing heavy, which is what keeps them instant."""

import subprocess
import sys

HEAVY = ("sympy", "scipy", "numpy", "mpmath", "matplotlib", "torch", "xarray", "dask", "pandas")

PROGRAM = """
import sys
from gateflow.cli import main
for line in {lines}:
    code = main(line.split())
    print("after", line, code, *(name for name in {heavy} if name in sys.modules), file=sys.stderr, sep="|")
"""

LINES = {
    "--help": "0",
    "--version": "0",
    "time --help": "0",
    "figures --help": "0",
    "tiem": "2",
    "__complete order fa": "0",
    "__complete train ad": "0",
}


def test_help_imports_nothing_heavy():
    """One process does all of it: what one line imported would show after it."""
    program = PROGRAM.format(lines=list(LINES), heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    told = [line.split("|")[1:] for line in done.stderr.splitlines() if line.startswith("after|")]
    assert told == [[line, code] for line, code in LINES.items()]


def test_the_list_of_commands_imports_none_of_them():
    program = PROGRAM.format(lines=["--help"], heavy=("cyclopts", "rich", "gateflow.cli.time"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["after|--help|0"]
