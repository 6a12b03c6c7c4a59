"""The scan's kernels for GPUs, run on the CPU by Triton's interpreter, against a loop over time in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gateflow.errors import InvalidArgument
from gateflow.nn import gate_function
from gateflow.nn import scans as operators
from gateflow.nn.kernels.triton import launch, scan
from tests.nn.kernels.through import with_libraries_only

needs_triton = pytest.mark.skipif(not launch.installed(), reason="no Triton on this machine: its kernels were not run")

CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GATEFLOW_CACHE", str(with_libraries_only(tmp_path_factory.mktemp("cache"))))
        yield


@needs_triton
@pytest.mark.parametrize("given", ["a", "log a", "fast", "lru"])
@pytest.mark.sampled(5)
def test_states_and_gradients_are_those_of_a_loop(given: str) -> None:
    gate = None if given in scan.GIVEN else gate_function(given)
    assert scan.error(CPU, torch.float32, given if gate is None else "z", gate) < 1e-6


@needs_triton
def test_bfloat16_is_rounded_when_it_is_stored() -> None:
    assert 1e-4 < scan.error(CPU, torch.bfloat16, "z", gate_function("hgrn")) < 0.02


@needs_triton
@pytest.mark.parametrize(
    ("shape", "dim", "stretches"), [((1, 1), 0, 1), ((7, 130), 0, 3), ((2, 3, 5), 2, 5), ((5,), 0, 2)]
)
@pytest.mark.sampled(3)
def test_shapes_and_stretches(shape: tuple[int, ...], dim: int, stretches: int) -> None:
    a, b, g = (torch.rand(shape) for _ in range(3))
    wide = [t.double().requires_grad_() for t in (a, b)]
    expected = operators._forward(*(t.detach() for t in wide), None, "a", dim)
    found = scan.forward(a, b, None, "a", None, dim, stretches)
    assert torch.allclose(found.double(), expected, rtol=1e-6, atol=1e-6)
    *grads, none = scan.backward(g, a, found, None, "a", None, dim, stretches)
    wanted = operators._backward(g.double(), a.double(), expected, None, "a", dim)
    assert none is None
    for mine, theirs in zip(grads, wanted, strict=False):
        assert torch.allclose(mine.double(), theirs, rtol=2e-6, atol=1e-6)


@needs_triton
def test_the_state_keeps_what_its_rounding_loses() -> None:
    """Sums of a third; and 1 - a of 1.5e-8, where a is 1 in float32."""
    third = torch.full((60, 1), 1 / 3)
    exact, sums = third.double().cumsum(0), [third[0]]
    for _ in range(59):
        sums.append(sums[-1] + third[0])
    assert (torch.stack(sums) / exact - 1).abs().max() > 2.5e-7
    for stretches in (1, 3):
        found = scan.forward(torch.full_like(third, -1e-20), third, None, "log a", None, 0, stretches)
        assert (found / exact - 1).abs().max() < 1.2e-7
    z, zero, one = torch.full((60, 1), 18.0), torch.zeros(60, 1), torch.ones(1)
    kept = scan.forward(z, zero, one, "z", gate_function("sigmoid"), 0)[-1].double()
    assert abs(float(kept) - float(torch.sigmoid(z.double())[0]) ** 60) < 6e-8  # which is 9e-7 below 1


@needs_triton
def test_a_logarithm_above_0_is_no_decay() -> None:
    found = scan.forward(torch.tensor([-1.0, 1e-3, -torch.inf]), torch.ones(3), None, "log a", None, 0)
    assert found[0] == 1
    assert found[1].isnan()


@needs_triton
def test_kernels_are_tried_before_they_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_tried", {})
    assert scan.reason_against(CPU, torch.float32, "a", None) is None
    monkeypatch.setattr(scan, "_tried", {})
    monkeypatch.setattr(scan, "error", lambda *_: 0.5)
    assert "is off its reference" in str(scan.reason_against(CPU, torch.float32, "log a", None))
    assert "float64" in str(scan.reason_against(CPU, torch.float64, "a", None))


@needs_triton
def test_what_has_no_kernel_is_refused() -> None:
    one = torch.ones(2, 2, dtype=torch.float64)
    with pytest.raises(InvalidArgument, match="float64"):
        scan.forward(one, one, None, "a", None, 0)
