"""The package as it would be published: built, checked, and used from the wheel alone.

    python -m benchmarks.package [--pythons python3.11 python3.12 python3.13] > results/package.txt

The source distribution and the wheel are built by ``build`` and checked by ``twine``. Then, for each Python, the wheel
goes into a fresh environment in an empty folder, with the newest dependencies that the index has, and the commands of
`benchmarks.lowest` are tried. The exit code is 1 where a step fails. It needs a package index, and takes some minutes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.lowest import ROOT, USED

LARGEST = 5 * 2**20
"""Bytes that a source distribution may have."""


def environment(python: str, folder: Path, *packages: str) -> Path:
    """The Python of a new environment with these packages."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    new = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([new, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], check=True)
    return new


def built(scratch: Path) -> list[Path]:
    """The source distribution and the wheel, checked."""
    tools = environment(sys.executable, scratch / "tools", "build", "twine")
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([tools, "-m", "build", "--outdir", scratch / "dist", ROOT], **quiet)
    made = sorted((scratch / "dist").iterdir(), reverse=True)
    subprocess.run([tools, "-m", "twine", "check", "--strict", *made], **quiet)
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pythons", nargs="+", default=[sys.executable])
    asked = parser.parse_args()
    wrong = False
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        made = built(scratch)
        for each in made:
            print(f"{each.name}: {each.stat().st_size / 2**20:.2f} MiB, passes twine check --strict", flush=True)
        (wheel,) = (each for each in made if each.suffix == ".whl")
        wrong |= max(each.stat().st_size for each in made) > LARGEST
        for number, python in enumerate(asked.pythons):
            new = environment(python, scratch / str(number), str(wheel))
            empty = scratch / f"work-{number}"
            empty.mkdir()
            done = subprocess.run([new, "-c", USED], cwd=empty, capture_output=True, text=True, check=False)
            version = subprocess.run([new, "-V"], capture_output=True, text=True, check=True).stdout.strip()
            said = done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]
            wrong |= done.returncode != 0
            print(f"{version}, from the wheel alone: {said}", flush=True)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
