"""A registry is a mapping like any other, and says what was meant."""

import inspect
import sys
from types import SimpleNamespace

import pytest

from gateflow import registry
from gateflow.errors import UnknownName
from gateflow.gates.gate import GATES
from gateflow.registry import Registry


def test_a_registry_keeps_the_laws_of_mappings() -> None:
    assert GATES.get("no-such-gate") is None
    assert "no-such-gate" not in GATES
    assert 3 not in GATES
    assert len(GATES) == len(list(GATES))


def test_names_are_found_in_any_spelling() -> None:
    assert GATES[" Hard_Sigmoid "] is GATES["hard-sigmoid"]


@pytest.mark.parametrize("name", ["fsat", 3, None])
def test_an_unknown_name_is_an_unknown_key(name: object) -> None:
    with pytest.raises(UnknownName, match="unknown gate"):
        GATES[name]


def test_a_summary_is_read_without_an_import() -> None:
    before = set(sys.modules)
    cells = Registry("cell", "gateflow.nn.cells", "CELL")
    assert cells.summary("gru").startswith("Gated recurrent unit")
    assert all(cells.summary(name) for name in cells)
    assert set(sys.modules) == before


def test_a_summary_is_the_first_line_of_the_docstring() -> None:
    for name in GATES:
        assert GATES.summary(name) == inspect.getdoc(GATES.module(name)).partition("\n")[0]


def test_entry_points_of_another_make_are_entries_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backport of importlib.metadata, once imported, answers for the standard one with a class of its own."""
    point = SimpleNamespace(
        name="mine", module="gateflow.gates.catalogue.fast", load=lambda: sys.modules[GATES.__module__]
    )
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    gates = Registry("gate", "gateflow.gates.catalogue", "__name__")
    assert gates["mine"] == GATES.__module__
    assert gates.summary("mine") == gates.summary("fast")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("make = 1 / 0\n", "in broken_pieces.half: ZeroDivisionError: division by zero"),
        ("made = 1\n", "in broken_pieces.half: it has no make"),
    ],
)
def test_a_fault_in_an_extension_names_its_file(text, said, tmp_path, monkeypatch):
    (tmp_path / "broken_pieces").mkdir()
    (tmp_path / "broken_pieces" / "__init__.py").write_text("")
    (tmp_path / "broken_pieces" / "half.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        with pytest.raises(RuntimeError, match=f"the gate half cannot be had, by a fault {said}"):
            Registry("gate", "broken_pieces", "make")["half"]
    finally:
        for name in [name for name in sys.modules if name.startswith("broken_pieces")]:
            del sys.modules[name]
