"""The error of a hitting time is honest: generated problems, whose true times ``make_honest.py`` found in balls."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction
from pathlib import Path

import ball_cases
import ball_oracle
import numpy as np
import pytest

from gateflow.flows import LearningProblem, hitting_time

ROWS = json.loads(Path(__file__).with_name("honest.json").read_text(encoding="utf-8"))
ROUNDING = 2.0**-53
"""What log tau may be off by as a float, relative to it."""


def test_the_sample_is_whole():
    assert len(ROWS) >= 200
    assert {row["family"] for row in ROWS} == set(ball_cases.FAMILIES)


@pytest.mark.parametrize("number", [1736, 1740])
def test_a_start_on_a_kink_has_the_density_of_its_own_side(number):
    """Beyond the kink the density is lower by a factor 96, and so were the errors that were claimed."""
    case = ball_cases.case(number)
    problem = LearningProblem(case.text, horizon=case.horizon, loss=case.loss, **{case.way: case.value})
    case = ball_cases.started(case, problem.z_star)
    found = hitting_time(problem, case.z0, tolerance=case.tolerance, backend="numpy")
    true = ball_oracle.log_tau(case, found.error / 64)
    assert float(abs(true - ball_oracle.ball(found.log_tau)).upper()) <= found.error < 1e-10


@pytest.mark.parametrize("family", ball_cases.FAMILIES)
@pytest.mark.sampled(3)
def test_the_true_error_is_at_most_the_claimed_one(family):
    """The problems of one formula in one call."""
    wrong, claimed = [], 0
    rows = [row for row in ROWS if row["family"] == family]
    formulas = [list(same) for _, same in itertools.groupby(rows, lambda row: row["text"])]
    for of in formulas:
        one, text = of[0], of[0]["text"]
        given = {one["way"]: [row["value"] for row in of]}
        problem = LearningProblem(text, horizon=[row["horizon"] for row in of], loss=one["loss"], **given)
        tolerance = None if one["tolerance"] is None else [row["tolerance"] for row in of]
        found = hitting_time(problem, [row["z0"] for row in of], tolerance=tolerance, backend="numpy")
        claimed += np.sum((found.status == "reached") & (found.error < math.inf))
        for row, log_tau, error in zip(of, found.log_tau, found.error, strict=True):
            miss = float(abs(Fraction(row["log_tau"]) - Fraction(log_tau))) if np.isfinite(log_tau) else math.inf
            if not miss <= error + ROUNDING * abs(float(row["log_tau"])):
                wrong.append((row["number"], miss, error))
    assert wrong == []
    assert claimed == sum(map(len, formulas))  # an infinite error would not be wrong, but idle
