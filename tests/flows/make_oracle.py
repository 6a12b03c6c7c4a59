"""Write ``oracle.json``: hitting times of the grid of gates, horizons, gaps and sides, by mpmath to 30 digits.

    python tests/flows/make_oracle.py

takes some minutes; the suite reads the file, and computes a sample of it anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import flow_oracle as oracle
import mpmath
from mpmath import mp

FILE = Path(__file__).with_name("oracle.json")
DIGITS = 30
HORIZONS = (1.0, 100.0, 1e6)
GAPS = (0.5, 1e-2, 1e-6, 1e-12, 1e-100)
SIDES = ("below", "above")


def start(name: str, horizon: float, gap: float, side: str) -> float | None:
    """A float on one side: where h is the larger of 6 and 3 h*, or 6 further in the profile; None if out of range."""
    gate = oracle.GATES[name]
    with mp.workdps(150):
        h_star = -mpmath.log1p(-mpmath.mpf(gap))
        if side == "below":
            z0 = oracle.position_of_decay(gate, horizon, max(mpmath.mpf(6), 3 * h_star))
        else:
            z0 = gate.z_of_u(6 - mpmath.log(mpmath.expm1(h_star / mpmath.mpf(horizon))))
        if name == "cubic" and z0 * oracle.target_position(gate, horizon, gap) <= 0:
            return None
        return float(z0) if abs(z0) < 1e300 else None


def log_tau(name: str, horizon: float, gap: float, z0: float) -> Any:
    """log of the hitting time."""
    with mp.workdps(DIGITS):
        return mpmath.log(oracle.hitting_time(name, horizon, gap, z0, digits=DIGITS))


def case(name: str, horizon: float, gap: float, side: str) -> dict[str, Any] | None:
    """One row of the file."""
    z0 = start(name, horizon, gap, side)
    if z0 is None:
        return None
    value = mpmath.nstr(log_tau(name, horizon, gap, z0), DIGITS)
    return {"gate": name, "horizon": horizon, "gap": gap, "side": side, "z0": z0, "log_tau": value}


def main() -> None:
    """Write the file."""
    grid = [(n, t, g, s) for n in oracle.GATES for t in HORIZONS for g in GAPS for s in SIDES]
    rows = [row for row in (case(*one) for one in grid) if row is not None]
    FILE.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()
