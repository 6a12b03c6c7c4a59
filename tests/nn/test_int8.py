"""Weights in eight bits are what NumPy makes of them, and the layer is the float layer with these weights."""

from __future__ import annotations

import copy
import io
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from gateflow.errors import InvalidArgument
from gateflow.nn import GRU, LSTM, NRU, Int8, int8_weights


def rounded(matrix: torch.Tensor) -> np.ndarray:
    """The nearest multiples of a 127th of the largest of each row, in float64."""
    rows = matrix.detach().double().numpy()
    scale = np.abs(rows).max(axis=1, keepdims=True) / 127
    return np.rint(rows / np.where(scale == 0, 1, scale)) * scale


@pytest.mark.parametrize("kind", [LSTM, GRU, NRU])
def test_a_layer_in_eight_bits_is_the_layer_with_the_rounded_weights(kind: Any) -> None:
    torch.manual_seed(1)
    layer = kind(3, 8, num_layers=2, bidirectional=True)
    wanted = copy.deepcopy(layer)
    with torch.no_grad():
        for name, parameter in wanted.named_parameters():
            if name.startswith("weight"):
                parameter.copy_(torch.from_numpy(rounded(parameter)))
    x = torch.randn(5, 2, 3)
    made = int8_weights(torch.nn.Sequential(layer))
    torch.testing.assert_close(made(x)[0], wanted(x)[0])
    assert not any(parameter.requires_grad for parameter in made.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_a_weight_is_off_by_half_a_step_at_most(dtype: torch.dtype) -> None:
    torch.manual_seed(2)
    layer = LSTM(40, 30, dtype=dtype)
    with torch.no_grad():
        layer.weight_ih_l0[0] = 0.0
        layer.weight_ih_l0[1] = 1e-45
        layer.weight_ih_l0[2] *= torch.finfo(dtype).max / 4
        layer.weight_ih_l0[3] *= 1e-4  # its scale is a few of the least numbers of float16
    before = layer.weight_ih_l0.detach().double().clone()
    after = int8_weights(layer).weight_ih_l0.detach().double()
    largest = before.abs().amax(dim=1, keepdim=True)
    rounding = torch.finfo(dtype).eps * largest + 64 * torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
    assert bool(((after - before).abs() <= largest / 254 + rounding).all())
    assert not after[0].any()
    q, scale = (layer.state_dict()[f"parametrizations.weight_ih_l0.original{n}"].double() for n in (0, 1))
    assert bool((scale > 0).all())
    assert q.equal((before / scale).round().clamp(-127, 127))


def test_a_file_is_a_quarter_and_loads_into_a_model_changed_so() -> None:
    sizes, models = [], [torch.nn.Sequential(LSTM(64, 64)), int8_weights(torch.nn.Sequential(LSTM(64, 64)))]
    for model in models:
        file = io.BytesIO()
        torch.save(model.state_dict(), file)
        sizes.append(len(file.getvalue()))
    assert sizes[1] < 0.3 * sizes[0]
    other = int8_weights(torch.nn.Sequential(LSTM(64, 64)))
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    x = torch.randn(5, 2, 64)
    torch.testing.assert_close(other(x), models[1](x), rtol=0, atol=0)
    torch.testing.assert_close(copy.deepcopy(other)(x), other(x), rtol=0, atol=0)


def test_pytorchs_quantisation_takes_the_layers_and_keeps_their_hooks() -> None:
    model, seen = torch.nn.Sequential(LSTM(3, 4), torch.nn.Identity()), []
    model[0].register_forward_hook(lambda *_: seen.append(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made = torch.ao.quantization.quantize_dynamic(model, {LSTM}, mapping={LSTM: Int8})
    x = torch.randn(5, 2, 3)
    found = made(x)[0]
    assert seen == [1]
    torch.testing.assert_close(found, int8_weights(copy.deepcopy(model))(x)[0])
    assert model[0].weight_hh_l0.dtype == torch.float32
    assert model[0].weight_hh_l0.requires_grad


def test_what_pytorch_is_given_is_a_copy() -> None:
    layer, x = LSTM(3, 4), torch.randn(5, 2, 3)
    before = layer(x)[0]
    made, again = Int8.from_float(layer), Int8.from_float(layer)
    wanted = made(x)[0]
    assert layer(x)[0].equal(before)
    with torch.no_grad():
        layer.get_parameter("bias_hh_l0").add_(1)
    assert made(x)[0].equal(wanted)
    assert again(x)[0].equal(wanted)


def test_what_has_no_scale_is_refused_and_nothing_is_changed() -> None:
    with pytest.raises(InvalidArgument, match="no recurrent layer"):
        int8_weights(torch.nn.Linear(2, 2))
    with pytest.raises(InvalidArgument, match="a model is a"):
        int8_weights(3)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="has no values yet"):
        int8_weights(LSTM(2, 3, device="meta"))
    model = torch.nn.Sequential(LSTM(2, 3), GRU(3, 3))
    with torch.no_grad():
        model[1].weight_hh_l0[0, 0] = float("nan")
    with pytest.raises(InvalidArgument, match="weight_hh_l0 of 1 is not finite"):
        int8_weights(model)
    assert model[0].weight_hh_l0.requires_grad
    with pytest.raises(InvalidArgument, match="parametrised already"):
        int8_weights(int8_weights(LSTM(2, 3)))
