"""The grid of numerics.md: every gate, horizons, gaps and starts on both sides; each time is held against a proved one.

Used by ``test_grid.py``, which takes a part of it, and by ``benchmarks/grid.py``, which takes all.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import flow_oracle as oracle
import mpmath
import numpy as np
from mpmath import mpf

from gateflow.errors import GateflowError
from gateflow.flows import LearningProblem, Status, enclose, hitting_time
from gateflow.gates.gate import GATES, Gate, gate

HORIZONS = (1.0, 10.0, 1e3, 1e6)
GAPS = (1e-2, 1e-4, 1e-6, 1e-8, 1e-12, 1e-16, 1e-30, 1e-60, 1e-100)
SIDES = ("below", "above")
USERS = (
    "sigmoid(z + z**3)",
    "(1 + erf(z/2))/2",
    "1/(1 + exp(-2*z))",
    "sigmoid(sign(z)*sqrt(abs(z)))",
    "sigmoid(z + 9*sin(z)/10)",
    "1 - exp(-exp(z))",
    "sigmoid(sinh(z) + z/2)",
    "(1 + tanh(z**3/3 + z))/2",
    "sigmoid(where(z < 1, z, 2*z - 1))",
    "where(z < -1, 0, where(z > 1, 1, (1 + z)/2))",
    "9*sigmoid(z)/10",
)
NAMES = (*GATES, *USERS)
DIGITS = 20


@dataclass(frozen=True)
class Case:
    """One place of the grid."""

    name: str
    horizon: float
    gap: float
    side: str

    @property
    def problem(self) -> LearningProblem:
        return LearningProblem(_gate(self.name), horizon=self.horizon, gap=self.gap)

    @property
    def z0(self) -> float:
        """Below: on the plateau, where h is 6 or 3 h*; above: further on in the profile by 20 and by half as much."""
        problem = self.problem
        if self.side == "below":
            u = -float(np.log(np.expm1(max(6.0, 3 * problem.h_star) / self.horizon)))
        else:
            u = problem.u_star + 20 + abs(problem.u_star) / 2
        with np.errstate(all="ignore"):
            z = float(np.asarray(problem.gate.float64.z_of_u(np.array([u])))[0])
        return float(np.clip(np.nan_to_num(z, nan=np.sign(u) * 50), -1e300, 1e300))

    def __str__(self) -> str:
        return f"{self.name}, T = {self.horizon:g}, gap {self.gap:g}, {self.side}"


CASES = [Case(*one) for one in itertools.product(NAMES, HORIZONS, GAPS, SIDES)]


@lru_cache(maxsize=64)
def _gate(name: str) -> Gate:
    return gate(name)


@dataclass(frozen=True)
class Verdict:
    """What became of a case: "right" to within its own estimate of the error, "refused" with a reason that holds, or
    "wrong"."""

    word: str
    why: str = ""
    miss: float = 0.0
    error: float = 0.0
    seconds: float = 0.0


def judged(case: Case) -> Verdict:
    """The time of a case beside the truth, or its refusal beside the reason."""
    problem, z0 = case.problem, case.z0
    begun = time.process_time()
    try:
        found = hitting_time(problem, z0)
    except GateflowError as refusal:
        return Verdict("wrong", str(refusal))
    seconds = time.process_time() - begun
    if found.status is not Status.REACHED:
        holds = refusal_holds(case, found.status)
        return Verdict("refused" if holds else "wrong", str(found.status), seconds=seconds)
    true = log_tau(case)
    with mpmath.workdps(40):
        miss = float(abs(mpf(found.log_tau) - true))
    right = miss <= found.error < 0.5
    return Verdict("right" if right else "wrong", "", miss, float(found.error), seconds)


def log_tau(case: Case) -> Any:
    """log of the time, from its certified enclosure; where that has none, from mpmath with the gate written by hand."""
    try:
        ball = enclose(case.problem, case.z0, DIGITS)
    except GateflowError:
        if case.name not in oracle.GATES:
            raise
        with mpmath.workdps(DIGITS):
            return mpmath.log(oracle.hitting_time(case.name, case.horizon, case.gap, case.z0, digits=DIGITS))
    assert ball.digits == DIGITS
    with mpmath.workdps(40):
        return mpmath.log(mpf(ball.mid))


# What each gate is at a point, in big floats, for the refusals: only gates that have some.
PHI_C = {
    "cubic": lambda z: 1 / (1 + mpmath.exp(z**3)),
    "log-slow": lambda z: 1 / (1 + mpmath.exp(mpmath.sign(z) * mpmath.log1p(mpmath.log1p(abs(z))))),
    "hard-sigmoid": lambda z: min(max((3 - z) / 6, mpf(0)), mpf(1)),
    "where(z < -1, 0, where(z > 1, 1, (1 + z)/2))": lambda z: min(max((1 - z) / 2, mpf(0)), mpf(1)),
    "9*sigmoid(z)/10": lambda z: 1 - mpf(9) / (1 + mpmath.exp(-z)) / 10,
}


def refusal_holds(case: Case, status: Status) -> bool:
    """Whether a flow does as its status says, seen with the gate written by hand."""
    if case.name not in PHI_C:
        return False
    with mpmath.workdps(150):
        phi_c, z0 = PHI_C[case.name], mpf(case.z0)
        wanted = -mpmath.expm1(mpmath.log1p(-mpf(case.gap)) / mpf(case.horizon))
        if status is Status.OUTSIDE:
            return phi_c(mpf(10) ** 6) > wanted
        if status is Status.STUCK:
            return phi_c(z0) in (0, 1) or (case.name == "cubic" and z0 < 0 < mpf("0.5") - wanted)
        if status is Status.OVERFLOW and case.name == "log-slow":  # the target is past the largest float
            return phi_c(mpf(float(np.finfo(float).max))) > wanted
        if status is Status.OVERFLOW:  # z0 and the target are neighbours, or one float, beside the point where phi is 1
            return abs(phi_c(z0) - wanted) < 2 * (phi_c(0) - phi_c(mpf(np.spacing(_edge(case)))))
    return False


def _edge(case: Case) -> float:
    """Where the gate becomes 1."""
    return 3.0 if case.name == "hard-sigmoid" else 1.0
