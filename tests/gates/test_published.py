"""Decays of published models: equal to their authors' code, and right near 1.

``published.json`` holds numbers that the authors' code gave, once, at the commits it names, in float64; none of that
code is here.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy as sp

from gateflow.errors import FormulaError, InvalidArgument, UnknownName
from gateflow.formula.vocabulary import Z, sigmoid, softplus
from gateflow.gates.gate import Gate, gate
from gateflow.gates.published import DECAYS, read

THEIRS = json.loads((Path(__file__).parent / "published.json").read_text(encoding="utf-8"))
LEARNED = [name for name in DECAYS if DECAYS[name].gate]
ALL = sorted({text for name in LEARNED for text in (name, *(one.gate for one in DECAYS[name].also))})


def test_every_model_names_its_source():
    assert set(DECAYS) == set(THEIRS)
    for name in DECAYS:
        model = DECAYS[name]
        assert (model.repository, model.commit) == (THEIRS[name]["repository"], THEIRS[name]["commit"])
        assert re.fullmatch("[0-9a-f]{40}", model.commit)
        assert "arXiv" in model.paper
        for line in (*model.lines, *(line for one in model.also for line in one.lines)):
            assert re.fullmatch(r"[\w./-]+#L\d+(-L\d+)?", line)
        assert model.handed in ("a", "log a")
        assert DECAYS.summary(name) == model.about


@pytest.mark.parametrize("name", LEARNED)
def test_decays_agree_with_their_authors_code(name):
    theirs = THEIRS[name]
    assert len(theirs["z"]) >= 18
    np.testing.assert_allclose(gate(name, **theirs["parameters"]).phi(theirs["z"]), theirs["decay"], rtol=1e-6, atol=0)


def test_the_recurrent_gate_of_griffin_agrees_too():
    theirs, (also,) = THEIRS["rg-lru"]["also"], DECAYS["rg-lru"].also
    found = Gate(also.gate.partition(";")[0], parameters=theirs["parameters"]).phi(theirs["z"])
    np.testing.assert_allclose(found, theirs["decay"], rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in LEARNED if THEIRS[name]["start"]])
def test_starts_are_those_of_their_authors_code(name):
    start, model = THEIRS[name]["start"], gate(name)
    found = DECAYS[name].start_at(start["p"])
    assert (np.diff(found) > 0).all()
    np.testing.assert_allclose(model.log_phi(found), model.log_phi(start["z"]), rtol=2e-6)


@pytest.mark.parametrize("name", [name for name in LEARNED if "start of zeros" in THEIRS[name]])
def test_starts_that_wait_for_the_input_are_those_of_their_authors_code_where_it_is_zero(name):
    theirs = THEIRS[name]["start of zeros"]
    found = np.log(theirs["decay"]) if "decay" in theirs else np.array(theirs["log_decay"])
    floors = [{"low": n / len(found)} for n in range(len(found))] if name == "hgrn" else [{}] * len(found)
    z = DECAYS[name].start_at(0.5)
    for theirs_log, floor in zip(found, floors, strict=True):
        ours = gate("sigmoid" if floor.get("low") == 0 else name, **(floor if floor.get("low") else {}))
        assert ours.log_phi(z) == pytest.approx(theirs_log, rel=1e-6)


def test_every_learned_decay_has_a_start_that_was_compared():
    assert [name for name in LEARNED if not (THEIRS[name]["start"] or "start of zeros" in THEIRS[name])] == []


def test_a_decay_that_is_not_learned_is_no_gate():
    heads = np.arange(8)
    np.testing.assert_allclose(DECAYS["retnet"].start_at(heads / 7), THEIRS["retnet"]["decay"], rtol=1e-15)
    with pytest.raises(InvalidArgument, match="retnet is no gate: it is not learned"):
        gate("retnet")


@pytest.mark.parametrize("text", ALL)
def test_decays_are_right_within_1e_minus_30_of_1(text):
    """Against 400 digits of the formula written out."""
    found = gate(text)
    formula = found.expr if found.declared == "phi" else sigmoid(found.expr)
    for node in (sigmoid, softplus):
        formula = formula.replace(node, node.written_out)
    for z in (4.0, 40.0, 71.0, 300.0):
        with mpmath.workdps(400):
            exact = mpmath.mpf(1) - mpmath.mpf(str(sp.N(formula.subs(Z, sp.Float(z, 400)), 390)))
            if exact < mpmath.mpf("1e-300"):  # S4's sinh leaves the floats
                continue
            assert abs(mpmath.mpf(float(found.phi_c(z))) / exact - 1) < 1e-15
            assert abs(mpmath.mpf(float(found.log_phi(z))) / mpmath.log1p(-exact) - 1) < 1e-15


def test_the_factor_of_the_input_has_a_steep_slope_at_1_where_it_is_a_root():
    found = {name: DECAYS[name].input_slope for name in DECAYS}
    assert {name for name, slope in found.items() if slope.is_infinite} == {"lru", "rg-lru"}
    assert found["mamba"] == found["s4d"] == -1


def test_names_and_parameters_are_those_of_any_gate():
    assert gate("hgrn(low=1/4)").name == "hgrn(low=1/4)"
    assert gate("mamba(3)") == gate("mamba", A=3) == gate("Mamba(A=3)")
    assert gate("rg_lru").label == "rg-lru"
    assert gate("lru").expr == gate("gompertz").expr
    assert "2303.06349" in gate("lru").reference
    for text, error in (("hgrn(high=1)", InvalidArgument), ("mamba(1, 2)", InvalidArgument), ("hgnr", UnknownName)):
        with pytest.raises(error):
            gate(text)
    with pytest.raises((InvalidArgument, FormulaError)):
        Gate("lru")


def test_a_declaration_with_an_unknown_field_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('about = "mine"\nlines = []\ngates = "sigmoid"\n', encoding="utf-8")
    with pytest.raises(InvalidArgument, match="no declaration of a decay has gates"):
        read(path)
    path.write_text('about = "mine"\n', encoding="utf-8")
    with pytest.raises(InvalidArgument, match=r"mine.toml: .*missing"):
        read(path)
