"""The crossing of two gates on the command line: beside their order, beside their times, and in recommendations."""

from __future__ import annotations

import json

import pytest

from gateflow.cli import main


def test_order_tells_the_crossing_where_a_problem_is_given(capsys):
    assert main(["order", "fast", "sigmoid(z + z**3)", "--horizon", "10", "--gap", "1e-6", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["crossing"]["target"]["verdict"] == "from"
    assert answer["crossing"]["target"]["timescale"] == pytest.approx(7.5245e10, rel=1e-3)
    assert main(["order", "fast", "sigmoid", "--horizon", "100", "--timescale", "100", "--z0", "2"]) == 0
    out = capsys.readouterr().out
    assert "fast learns sooner, whatever the gap" in out
    assert "at their own step sizes" in out
    assert main(["order", "fast", "sigmoid"]) == 0
    assert "step size" not in capsys.readouterr().out


def test_a_target_without_a_horizon_is_told_in_one_line(capsys):
    assert main(["order", "fast", "sigmoid", "--gap", "0.1"]) == 2
    assert capsys.readouterr().err == "gateflow: error: --gap and --timescale need a --horizon\n"


def test_recommend_shows_the_reversal_in_words(capsys):
    line = "recommend --timescale 10000 --gates softsign sigmoid fast"
    assert main(line.split()) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Tuned gate by gate, softsign needs the fewest steps" in out
    assert "with lr 0.001 for all, fast does" in out
    assert main([*line.split(), "--lr", "1e-2", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ranked_by"] == "steps"
    assert answer["gates"][0]["gate"] == "fast"
    assert answer["warnings"][0].startswith(
        "lr 0.01 is above the largest that keeps the time scale within 5 %, for fast"
    )
