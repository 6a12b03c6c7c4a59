"""The error of a hitting time is honest: generated problems, whose true times ``make_honest.py`` found in balls."""

from __future__ import annotations

import importlib
import json
import math
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gateflow.flows import LearningProblem, hitting_time

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
ball_cases = importlib.import_module("ball_cases")
ROWS = json.loads((HERE / "honest.json").read_text(encoding="utf-8"))
ROUNDING = 2.0**-53
"""What log tau may be off by as a float, relative to it."""


def test_the_sample_is_whole():
    assert len(ROWS) >= 100
    assert {row["family"] for row in ROWS} == set(ball_cases.FAMILIES)


@pytest.mark.parametrize("share", [2, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("family", ball_cases.FAMILIES)
def test_the_true_error_is_at_most_the_claimed_one(family, share):
    wrong, claimed, rows = [], 0, [row for row in ROWS if row["family"] == family][::share]
    for row in rows:
        given = {row["way"]: row["value"]}
        problem = LearningProblem(row["text"], horizon=row["horizon"], loss=row["loss"], **given)
        found = hitting_time(problem, row["z0"], backend="numpy")
        if found.status == "reached" and found.error < math.inf:
            claimed += 1
            finite = np.isfinite(found.log_tau)
            miss = float(abs(Fraction(row["log_tau"]) - Fraction(found.log_tau))) if finite else math.inf
            if not miss <= found.error + ROUNDING * abs(float(row["log_tau"])):
                wrong.append((row["number"], miss, found.error))
    assert wrong == []
    assert claimed == len(rows)  # an infinite error would not be wrong, but idle
