"""The lowest versions that pyproject.toml allows: installed into a fresh environment, and used.

    python benchmarks/lowest.py [--extras sweep] [--keep FOLDER]

Each dependency of the core, and of the extras named, is installed at exactly its lower bound; what those need in turn
is pip's choice. Then a few commands run, and their answers are compared with values known otherwise. The exit code is 1
where the bounds do not resolve or an answer is wrong. It needs a package index, and takes some minutes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

USED = """
import json, math, subprocess, sys

def gateflow(*words):
    done = subprocess.run([sys.executable, "-m", "gateflow", *words], capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout

told = json.loads(gateflow("time", "sigmoid", "--horizon", "1", "--gap", "0.1", "--json"))
# T = 1 from z = 0: d phi/d tau = (phi (1 - phi))**2, so tau is an integral with a closed form
F = lambda p: -1 / p + 1 / (1 - p) + 2 * math.log(p / (1 - p))
assert math.isclose(told["tau"], F(0.9) - F(0.5), rel_tol=1e-12), told["tau"]
assert json.loads(gateflow("order", "fast", "sigmoid", "--certificate", "order.json", "--json"))["verdict"] == "higher"
assert "verified" in gateflow("verify", "order.json")
gateflow("gates")
gateflow("flow", "fast", "--horizon", "10", "--gap", "0.1", "--figure", "flow.svg")
gateflow("figures", "slope", "--format", "svg,pdf,png", "-o", "drawn")
if "sweep" in sys.argv[1:]:
    import xarray
    gateflow("sweep", "sigmoid", "--horizon", "1", "--gap", "0.1", "-o", "t.nc")
    tau = xarray.load_dataset("t.nc", engine="h5netcdf").tau.values.item()
    assert math.isclose(tau, F(0.9) - F(0.5), rel_tol=1e-12), tau
print("every command answers as it should")
"""


def bounds(extras: list[str]) -> list[str]:
    """Each dependency at its lower bound, as pip takes it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(each for name in extras for each in project["optional-dependencies"][name])]
    return [re.sub(r">=\s*", "==", each.partition(";")[0].strip()) for each in wanted]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--extras", nargs="*", default=["sweep"])
    parser.add_argument("--keep", type=Path, help="a folder for the environment, which then stays")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = asked.keep or Path(scratch) / "environment"
        venv.create(home, with_pip=True)
        python = home / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        print(f"{sys.version.split()[0]}: {', '.join(bounds(asked.extras))}", flush=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--prefer-binary"]
        if subprocess.run([*install, *bounds(asked.extras), str(ROOT)], check=False).returncode:
            return 1
        work = Path(scratch) / "work"
        work.mkdir()
        return subprocess.run([python, "-c", USED, *asked.extras], cwd=work, check=False).returncode and 1


if __name__ == "__main__":
    sys.exit(main())
