"""Layers whose weights lie elsewhere than tensors do by default, as with ``torch.set_default_device("cuda")``.

What is made on the way, and what is made once and kept, has to lie where the weights do. "meta" stands in for a GPU.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from gateflow.nn import INITS, JANET, LRU, LSTM, RGLRU, MinGRU, SelectiveDecay

AWAY = """
import torch
from torch.nn.utils.rnn import pack_sequence
from gateflow.nn import GRU, LRU, LSTM, LSTMCell, MinGRU, RGLRU

gate = "sigmoid(z + z**3 + abs(z))"  # whose table is made here
torch.manual_seed(0)
torch.set_num_threads(2)
x, packed = torch.randn(4, 6, 3), pack_sequence([torch.randn(n, 3) for n in (4, 2)])
layers = [LSTM(3, 5, 2, forget_gate=gate), GRU(3, 5, bidirectional=True, update_gate=gate), MinGRU(3, 5, gate)]
layers += [LRU(3, 5), RGLRU(3), LSTMCell(3, 5)]


def results():
    found = [layer(x[0] if isinstance(layer, LSTMCell) else x)[0] for layer in layers]
    found += [layer(packed)[0].data for layer in layers[:2]]
    parameters = [p for layer in layers for p in layer.parameters()]
    return [*found, *torch.autograd.grad(sum(each.square().sum() for each in found), parameters)]


torch.set_default_device("meta")
away = results()
torch.set_default_device("cpu")
for layer in layers[:2]:
    layer.backend = "reference"
print(max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(away, results(), strict=True)))
"""


def test_layers_compute_where_their_weights_are() -> None:
    done = subprocess.run([sys.executable, "-c", AWAY], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) < 1e-5


@pytest.mark.parametrize("kind", [LRU, RGLRU, SelectiveDecay, MinGRU])
def test_layers_are_made_there(kind: type[torch.nn.Module]) -> None:
    with torch.device("meta"):
        layer = kind(3) if kind in (RGLRU, SelectiveDecay) else kind(3, 5)
    assert {each.device.type for each in layer.parameters()} == {"meta"}


@pytest.mark.parametrize("name", list(INITS))
@pytest.mark.parametrize("kind", [LSTM, JANET, LRU])
def test_initialisers_set_what_they_set_elsewhere(kind: type[torch.nn.Module], name: str) -> None:
    options = {"low": 2, "high": 50} if name == "for-timescales" else {}
    options = {"horizon": 50} if name == "chrono" else options
    here, there = kind(3, 5), kind(3, 5)
    there.load_state_dict(here.state_dict())
    INITS[name](**options)(here, torch.Generator().manual_seed(1))
    with torch.device("meta"):
        INITS[name](**options)(there, torch.Generator().manual_seed(1))
    for one, other in zip(here.parameters(), there.parameters(), strict=True):
        assert one.equal(other)
