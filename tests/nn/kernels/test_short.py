"""Products of bfloat16 in compiled layers: what PyTorch's switch allows, against rounded operands in float64."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from gateflow.codegen import compiler as compiled
from gateflow.nn import CELLS, GRU, JANET, LSTM, operators, trials
from gateflow.nn.kernels import native
from gateflow.nn.recurrent import Recurrent

pytestmark = pytest.mark.skipif(compiled.available() is None, reason="there is no C compiler")

NAMES = ("lstm", "tied lstm", "janet", "gru", "refine", "tied refine")
SIZES = [(1, 1, 1), (3, 5, 4), (9, 33, 37), (70, 2, 64), (5, 40, 101)]
"""Batch, inputs, hidden: odd numbers of neighbours, and of rows, among them."""

HALF = 2.0**-8
"""Half a unit in the last place of a bfloat16, relative."""


WITHOUT = "without its instructions"


@pytest.fixture(params=["as this processor does", pytest.param(WITHOUT, marks=pytest.mark.slow)])
def allowed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The switch is on, on any processor; where it has instructions for bfloat16, with them and without."""
    if request.param == WITHOUT:
        if not native.has_short():
            pytest.skip("it has none")
        flags = native._flags
        monkeypatch.setattr(native, "_flags", lambda *kind: (*flags(*kind), "-mno-avx512bf16"))
    native.library.cache_clear()  # type: ignore[attr-defined]
    native._form.cache_clear()
    operators.declared.cache_clear()
    monkeypatch.setattr(native, "has_short", lambda: True)
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision("highest")
    native.library.cache_clear()  # type: ignore[attr-defined]
    native._form.cache_clear()
    operators.declared.cache_clear()


def layer_of(name: str, **options: Any) -> Recurrent:
    if name.startswith("tied"):
        options["tied"] = True
    elif name == "refine":
        options["tied"] = False
    return CELLS[name.removeprefix("tied ")](**options)


def short(t: torch.Tensor) -> torch.Tensor:
    return t.bfloat16().to(t.dtype)


def problem(name: str, sizes: tuple[int, int, int], steps: int) -> tuple[Recurrent, torch.Tensor, list[torch.Tensor]]:
    """A layer, an input and a state, all of numbers that bfloat16 has."""
    batch, inputs, hidden = sizes
    torch.manual_seed(hidden)
    layer = layer_of(name, input_size=inputs, hidden_size=hidden)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(short(parameter))
    state = [short(torch.randn(1, batch, n)) for n in layer.state_sizes()]
    return layer, short(torch.randn(steps, batch, inputs)), state


def results(layer: Recurrent, x: torch.Tensor, state: list[torch.Tensor], dtype: torch.dtype) -> list[torch.Tensor]:
    """Output, and gradients of a sum of it by weights that go from .3 to 1."""
    x, *state = (t.to(dtype, copy=True).requires_grad_() for t in (x, *state))
    output, _ = layer(x, tuple(state) if len(state) > 1 else state[0])
    loss = (output * torch.linspace(0.3, 1, output.numel(), dtype=dtype).view(output.shape)).sum()
    leaves = [x, *state, *layer.parameters()]
    return [output.detach(), *torch.autograd.grad(loss, leaves)]


def loop(layer: Recurrent, name: str) -> Recurrent:
    """The plain loop in float64 with the same weights."""
    plain = layer_of(
        name, input_size=layer.input_size, hidden_size=layer.hidden_size, backend="reference", dtype=torch.float64
    )
    plain.load_state_dict({key: value.double() for key, value in layer.state_dict().items()})
    return plain


def largest(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.double() - wanted).abs().max() / wanted.abs().max().clamp(min=1e-30))


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.sampled(2)
def test_a_step_of_numbers_that_bfloat16_has_is_as_exact_as_in_float32(
    name: str, sizes: tuple[int, int, int], allowed: None
) -> None:
    layer, x, state = problem(name, sizes, 1)
    assert layer.backend_for(x) == "native"
    found, wanted = results(layer, x, state, torch.float32), results(loop(layer, name), x, state, torch.float64)
    assert largest(found[0], wanted[0]) < 1e-6
    for one, right in zip(found[1:], wanted[1:], strict=True):
        assert largest(one, right) < 2 * HALF  # of the gradients of pre-activations, which were rounded
    assert any(largest(one, right) > 1e-5 for one, right in zip(found, wanted, strict=True))


def test_factors_are_rounded_as_pytorch_rounds(allowed: None) -> None:
    layer, x, (h, c) = LSTM(5, 37), torch.randn(3, 4, 5), torch.randn(2, 1, 4, 37)
    x[0, 0] = 1 + torch.arange(5) * HALF  # each second one is a tie
    same = copy.deepcopy(layer)
    with torch.no_grad():
        for weight in same.parameters():
            if weight.dim() == 2:
                weight.copy_(short(weight))
    assert layer(x, (h, c))[0].equal(same(short(x), (short(h), c))[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_of_one_row_is_a_product_of_rounded_numbers(name: str, allowed: None) -> None:
    layer, _, state = problem(name, (1, 1, 37), 1)
    x = torch.ones(1, 1, 1)
    of_weight = results(layer, x, state, torch.float32)[2 + len(state)]  # those of the pre-activations, as x = 1
    wanted = results(loop(layer, name), x, state, torch.float64)[2 + len(state)]
    assert of_weight.equal(short(of_weight))
    assert of_weight.abs().max() > 0
    assert bool(((of_weight - wanted).abs() <= (HALF + 1e-5) * wanted.abs() + 1e-9).all())


@pytest.mark.parametrize("name", NAMES)
def test_over_many_steps_errors_stay_those_of_bfloat16(name: str, allowed: None) -> None:
    layer, x, state = problem(name, (6, 3, 45), 60)
    found, wanted = results(layer, x, state, torch.float32), results(loop(layer, name), x, state, torch.float64)
    for one, right in zip(found, wanted, strict=True):
        assert float((one - right).norm() / right.norm()) < 0.02


def test_factors_computed_again_are_the_same(allowed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x, state = problem("lstm", (6, 3, 45), 60)
    kept = results(layer, x, state, torch.float32)
    monkeypatch.setattr(native, "MOST_KEPT", 0)
    monkeypatch.setattr(native, "SEGMENT", 1 << 14)
    for one, other in zip(results(layer, x, state, torch.float32), kept, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_infinities_and_no_numbers_stay_what_they_are(allowed: None) -> None:
    layer, x, state = problem("lstm", (3, 5, 5), 2)  # of an odd number of units the last has none beside it
    longest = torch.tensor(2**31 - 1, dtype=torch.int32).view(torch.float32)  # NaN, and -0 if it were rounded
    for odd in (torch.inf, torch.nan, longest):
        x[0, 1, 2] = odd
        found = results(layer, x, state, torch.float32)[0]
        wanted = results(loop(layer, "lstm"), x, state, torch.float64)[0]
        assert found.isnan().equal(wanted.isnan())


SWITCHES = ["matmul", "rnn", "mkldnn", "medium"]


@pytest.mark.parametrize("switch", SWITCHES)
def test_each_of_pytorchs_switches_allows_it(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "has_short", lambda: True)
    mkldnn: Any = torch.backends.mkldnn
    assert not native.shortens(torch.float32)
    if switch == "medium":
        torch.set_float32_matmul_precision("medium")
    else:
        of = mkldnn if switch == "mkldnn" else getattr(mkldnn, switch)
        before = of.fp32_precision
        of.fp32_precision = "bf16"
    try:
        assert native.shortens(torch.float32)
        assert not native.shortens(torch.float64)
        monkeypatch.setattr(native, "has_short", lambda: False)
        assert not native.shortens(torch.float32)
    finally:
        if switch == "medium":
            torch.set_float32_matmul_precision("highest")
        else:
            of.fp32_precision = before
    assert not native.shortens(torch.float32)


def test_what_is_said_of_recurrent_layers_goes_before_what_is_said_of_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "has_short", lambda: True)
    rnn: Any = torch.backends.mkldnn.rnn
    before = rnn.fp32_precision
    torch.set_float32_matmul_precision("medium")
    try:
        rnn.fp32_precision = "ieee"
        assert not native.shortens(torch.float32)
        torch.set_float32_matmul_precision("highest")
        rnn.fp32_precision = "bf16"
        assert native.shortens(torch.float32)
    finally:
        rnn.fp32_precision = before
        torch.set_float32_matmul_precision("highest")
    assert not native.shortens(torch.float32)


@pytest.mark.parametrize("make", [LSTM, JANET, GRU])
def test_without_the_switch_nothing_is_rounded(make: type[Recurrent]) -> None:
    torch.manual_seed(0)
    layer, x = make(3, 20), torch.randn(10, 4, 3)
    plain = make(3, 20, backend="reference", dtype=torch.float64)
    plain.load_state_dict({key: value.double() for key, value in layer.state_dict().items()})
    assert largest(layer(x)[0].detach(), plain(x.double())[0].detach()) < 1e-6


def test_each_pass_goes_by_the_switch_as_it_is_then(allowed: None) -> None:
    layer, x = LSTM(3, 20), torch.randn(10, 4, 3)
    plain = loop(layer, "lstm")
    wanted = plain(x.double())[0]
    of_weight = torch.autograd.grad(wanted.sin().sum(), plain.get_parameter("weight_hh_l0"))[0]
    for forward, backward in itertools.product(("medium", "highest"), repeat=2):
        torch.set_float32_matmul_precision(forward)
        output = layer(x)[0]
        torch.set_float32_matmul_precision(backward)
        found = torch.autograd.grad(output.sin().sum(), layer.get_parameter("weight_hh_l0"))[0]
        assert (largest(output.detach(), wanted.detach()) > 1e-5) == (forward == "medium")
        assert (largest(found, of_weight) > 1e-5) == ("medium" in (forward, backward))


def test_without_a_compiler_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEFLOW_COMPILER", "none")
    assert not native.has_short()


def test_where_it_is_found_wrong_products_are_of_float32_and_a_line_says_so(
    allowed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(_: str, __: str, precision: native.Precision, *___: Any) -> float:
        return 0.5 if precision.short else 1e-8

    monkeypatch.setattr(trials, "_error", measured)
    monkeypatch.setattr(trials.trust.compiler, "recalled", lambda _: None)
    monkeypatch.setattr(trials.trust.compiler, "keep", lambda *_: None)
    trials.trust._known.clear()
    native._warned.clear()
    torch.manual_seed(0)
    layer, x = LSTM(3, 20), torch.randn(10, 4, 3)
    with pytest.warns(RuntimeWarning, match="float32 with products of bfloat16 is off its reference"):
        found = layer(x)[0].detach()
    assert layer.backend_for(x) == "native"
    assert largest(found, loop(layer, "lstm")(x.double())[0].detach()) < 1e-6
    trials.trust._known.clear()


@pytest.mark.parametrize("make", [LSTM, JANET, GRU])
def test_what_is_kept_from_step_to_step_is_not_rounded(make: type[Recurrent], allowed: None) -> None:
    layer = make(2, 40)
    assert layer.forget_block is not None
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        # time constants of 3e3 to 1e6
        layer.get_parameter("bias_ih_l0")[layer.rows(layer.forget_block)] = torch.linspace(8, 14, 40)
    x, start = torch.zeros(500, 3, 2), torch.rand(1, 3, 40)
    given = (torch.zeros(1, 3, 40), start) if make is LSTM else start
    last = lambda: layer(x, given)[1][-1].view(3, 40)  # noqa: E731
    found = last()
    torch.set_float32_matmul_precision("highest")
    assert found.equal(last())
    kept = torch.sigmoid(torch.linspace(8, 14, 40, dtype=torch.float64)) ** 500
    torch.testing.assert_close(found.double(), kept * start[0].double(), rtol=5e-5, atol=0.0)
