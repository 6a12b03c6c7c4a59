"""Finite differences against every cell's gradients, first and second, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from gateflow.gates.gate import Gate
from gateflow.nn import CELLS
from gateflow.nn.recurrent import BACKENDS

SMALL: dict[str, dict[str, Any]] = {"nru": {"memory_size": 8, "heads": 2}, "noisy": {"c": 0.5}}
"""What keeps a cell small, or its noise felt."""

GATES: dict[str, list[dict[str, Any]]] = {
    "lstm": [
        {},
        {"forget_gate": "fast", "input_gate": "softsign", "output_gate": "erf"},
        {"forget_gate": "fast", "tied": True},
    ],
    "gru": [{}, {"update_gate": "fast", "reset_gate": "arctan"}],
    "janet": [{"forget_gate": "fast"}],
    "refine": [{"forget_gate": "fast", "refine_gate": "cloglog"}, {"tied": False}],
}
CASES = [(name, setting) for name in CELLS for setting in GATES.get(name, [{}])]


@pytest.fixture(params=CASES, ids=[name + "".join(f",{k}={v}" for k, v in s.items()) for name, s in CASES])
def case(request: pytest.FixtureRequest) -> tuple[Callable[..., Any], list[torch.Tensor]]:
    """A function of the input, the state and every parameter, and where to take it."""
    name, setting = request.param
    settings = {"bidirectional": True, "backend": "reference", "dtype": torch.float64} | setting | SMALL.get(name, {})
    cell = CELLS[name](2, 3, **settings)
    names = [name for name, _ in cell.named_parameters()]
    x = torch.randn(2, 2, 2, dtype=torch.float64)
    state = [torch.randn(2, 2, size, dtype=torch.float64) for size in cell.state_sizes()]
    point = [t.clone().requires_grad_() for t in (x, *state, *(p.detach() for p in cell.parameters()))]

    def function(*args: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if getattr(cell, "generator", 0) != 0:
            cell.generator = torch.Generator().manual_seed(5)
        hx = args[1 : 1 + len(state)]
        parameters = dict(zip(names, args[1 + len(state) :], strict=True))
        output, final = torch.func.functional_call(cell, parameters, (args[0], hx if len(hx) > 1 else hx[0]))
        return (output, *(final if isinstance(final, tuple) else (final,)))

    return function, point


@pytest.mark.sampled(3)
def test_gradients(case: tuple[Callable[..., Any], list[torch.Tensor]]) -> None:
    function, point = case
    assert torch.autograd.gradcheck(function, point, fast_mode=True)


@pytest.mark.sampled(7)
def test_second_gradients(case: tuple[Callable[..., Any], list[torch.Tensor]]) -> None:
    function, point = case
    assert torch.autograd.gradgradcheck(function, point, fast_mode=True)


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "triton"])  # which has no float64
def test_full_jacobian_of_the_lstm(backend: str) -> None:
    gate = "sigmoid" if backend == "framework" else "fast"
    cell = CELLS["lstm"](2, 2, forget_gate=gate, backend=backend, dtype=torch.float64)
    x = torch.randn(4, 1, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: cell(x)[0], (x,))


FORMULAS = [
    "1/(1+exp(-z)+exp(-2*z))",
    "exp(z)/(1+exp(z)+exp(-z))",
    "1/sqrt(1+exp(-z))",
    "2/(1+sqrt(1+4*exp(-z)))",
    "(1+z/(1+z**4)**(1/4))/2",
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("backend", ["reference", "torch", "native"])
@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.sampled(3)
def test_a_saturated_gate_has_the_gradient_of_its_bias(text: str, backend: str, dtype: torch.dtype) -> None:
    """One step from the cell state 1 with a forget bias of 40: the gradient is phi'(40)."""
    layer = CELLS["lstm"](1, 1, forget_gate=text, backend=backend, dtype=dtype)
    for parameter in layer.parameters():
        torch.nn.init.zeros_(parameter)
    bias = next(parameter for name, parameter in layer.named_parameters() if "bias_ih" in name)
    with torch.no_grad():
        bias[1] = 40.0
    state = torch.zeros(1, 1, 1, dtype=dtype), torch.ones(1, 1, 1, dtype=dtype)
    layer(torch.zeros(1, 1, 1, dtype=dtype), state)[1][1].sum().backward()
    assert bias.grad is not None
    assert bias.grad[1].item() == pytest.approx(
        float(Gate(text).dphi(40.0)), rel=1e-6 if dtype == torch.float32 else 1e-12
    )
