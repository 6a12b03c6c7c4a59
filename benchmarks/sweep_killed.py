"""Sweeps of 100,000 problems killed on the way, held against undisturbed ones: ``python benchmarks/sweep_killed.py``.

For NumPy and for the compiled times: the command in two processes is killed by SIGKILL ten times, at random moments,
and begun again; on a Dask cluster of three worker processes one is killed. The exit code is 1 where a file is not, byte
by byte, the one that is written at one go.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "sweeps"))
import killing

from gateflow.flows.compiled import backend_version

TIMES, WORKERS = 10, 3


def main() -> int:
    """Run all and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=9)
    seed = parser.parse_args().seed
    wrong = 0
    for backend in ("numpy", "compiled"):
        os.environ["GATEFLOW_BACKEND"] = backend
        with tempfile.TemporaryDirectory() as folder:
            whole, killed, spread = (Path(folder) / f"{name}.nc" for name in ("whole", "killed", "spread"))
            assert killing.commanded(whole, jobs=1).wait() == 0
            print(f"{backend_version()}: {killing.CHUNKS} chunks of {killing.CHUNK} problems", flush=True)
            counts = killing.killed_at_random(killed, times=TIMES, jobs=2, seed=seed)
            assert killing.commanded(killed, jobs=2).wait() == 0
            wrong += _told(f"killed {TIMES} times, with {' '.join(map(str, counts))} chunks there", killed, whole)
            inputs = {"gates": killing.GATES, **killing.AXES, "chunk": killing.CHUNK}
            count = killing.swept_with_a_worker_killed(spread, inputs, workers=WORKERS, wanted=60)
            wrong += _told(f"one of {WORKERS} Dask workers killed, with {count} chunks there", spread, whole)
    return int(wrong > 0)


def _told(what: str, file: Path, whole: Path) -> bool:
    """Print whether a file is the undisturbed one; whether it is not."""
    same = file.read_bytes() == whole.read_bytes()
    print(f"{what}: {file.stat().st_size} bytes, {'identical' if same else 'WRONG'}", flush=True)
    return not same


if __name__ == "__main__":
    sys.exit(main())
