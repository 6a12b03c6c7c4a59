"""``gateflow doctor``: what is installed, and checks that can fail."""

import json
import tomllib
from pathlib import Path

import pytest

from gateflow.cli import doctor
from gateflow.errors import EXTRAS
from gateflow.gates.gate import Gate

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_the_extras_are_those_of_the_package():
    declared = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
    for extra, packages in EXTRAS.items():
        assert [line.partition(">")[0] for line in declared[extra]] == list(packages)
    assert set(EXTRAS) == set(declared) - {"all", "test"}


def test_the_checks_pass_here_with_numbers(gateflow):
    code, out, err = gateflow("doctor", "--json")
    facts = json.loads(out)
    assert (code, err) == (0, "")
    assert set(facts) == {"versions", "extras", "device", "checks"}
    assert {"gateflow", "python", "numpy"} <= set(facts["versions"])
    assert len(facts["checks"]) == len(doctor.CHECKS)
    assert all(check["passed"] and check["measured"] <= check["bound"] for check in facts["checks"])


def test_a_wrong_gate_fails_its_check(gateflow, monkeypatch):
    monkeypatch.setattr(Gate, "phi_c", lambda self, z: 1 - self.phi(z))
    code, out, _ = gateflow("doctor")
    assert code == 1
    assert "FAILED" in out


def test_a_missing_extra_names_its_command(gateflow, monkeypatch):
    monkeypatch.setattr(doctor, "CHECKS", ())
    monkeypatch.setitem(EXTRAS, "sweep", ("numpy", "no-such-package"))
    said = "sweep     lacks no-such-package: python -m pip install numpy no-such-package"
    assert said in gateflow("doctor").out


@pytest.mark.parametrize("check", doctor.CHECKS)
def test_each_check_has_a_bound_that_is_tight(check):
    """A bound is not so loose that a lost digit or two would pass unseen."""
    found = check()
    assert found.passed
    assert found.bound <= {"ulps": 1, "relative": 1e-12}.get(found.unit, 0)
