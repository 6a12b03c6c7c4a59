"""Errors cross from one process to another whole, and read as one line."""

import pickle

import pytest

from gateflow.errors import FormulaError, GateflowError, InvalidArgument, MissingExtra, NotReached, UnknownName

ERRORS = (
    FormulaError("unknown function 'sinhh'", "sinhh(z)", 0, 5),
    InvalidArgument("horizon must be at least 1; got 0"),
    MissingExtra("a sweep", "sweep"),
    NotReached("the flow never arrives"),
    UnknownName("unknown gate 'fsat'; did you mean 'fast'?"),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_comes_back_from_another_process_as_it_was(error: GateflowError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert getattr(back, "__notes__", []) == getattr(error, "__notes__", [])


def test_a_message_stands_without_quotes() -> None:
    assert str(UnknownName("unknown gate 'x'")) == "unknown gate 'x'"
