"""Plans: stopped half-way they end in the same table; the pace of units is told from their paths."""

import json
from dataclasses import replace

import pytest

from gateflow.errors import InvalidArgument
from gateflow.study.experiment import Experiment, carry_out
from gateflow.study.networks import pace, summary

SMALL = Experiment(
    base={
        "task": "copying(horizon=5, symbols=1, held_out=16)",
        "hidden": 4,
        "batch": 4,
        "steps": 6,
        "evaluate_every": 2,
        "init": "matched",
        "record_units": True,
        "device": "cpu",
    },
    arms={
        "fast": {"forget_gate": "fast"},
        "refine": {"cell": "refine", "forget_gate": "sigmoid", "tied": False},
    },
    seeds=2,
)


def test_stopped_half_way_it_ends_in_the_same_table(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert set(carry_out(SMALL, whole).values()) == {"finished"}
    asked = iter([False] * 9 + [True] * 100)
    first = carry_out(SMALL, parts, stop=lambda: next(asked))
    assert "not begun" in first.values()
    assert set(carry_out(SMALL, parts).values()) == {"finished"}
    assert json.dumps(summary(SMALL, whole)) == json.dumps(summary(SMALL, parts))
    assert [row["runs"] for row in summary(SMALL, whole)] == [2, 2]


def test_a_task_that_is_none_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="expected a name"):
        carry_out(replace(SMALL, base={}), tmp_path)


@pytest.mark.parametrize("law", [0.0, 1.0])
def test_the_pace_of_made_up_units_is_found(law):
    gradients = [[0.001 * 2.0**k * (j + 1) for j in range(4)] for k in range(6)]
    z, lines = [0.0] * 4, []
    for k, row in enumerate(gradients):
        lines.append({"kind": "gates", "step": 10 * k, "layers": [{"units": {"z": list(z), "gradient": row}}]})
        z = [a + 10 * g**law for a, g in zip(z, row, strict=True)]
    assert pace(lines) == pytest.approx(law, abs=1e-6)
