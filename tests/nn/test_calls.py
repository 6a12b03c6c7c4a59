"""Some of the fuzzed calls of ``benchmarks/nn_calls.py``: as PyTorch's layers and a loop of NumPy, or their errors."""

from __future__ import annotations

import pytest

from benchmarks import nn_calls


@pytest.mark.parametrize("first", [0, 10, *(pytest.param(n, marks=pytest.mark.slow) for n in range(20, 200, 10))])
def test_a_call_gives_the_numbers_or_the_error_of_pytorch(first: int) -> None:
    found = [nn_calls.said_of(n, 0) for n in range(first, first + 10)]
    assert not [one["wrong"] + " " + one["of"] for one in found if one["wrong"]]
