"""Step sizes by gate: the same as an optimiser of its own for those rows, in every optimiser, across a checkpoint."""

from __future__ import annotations

import pytest
import torch

from gateflow.errors import InvalidArgument
from gateflow.training import train
from gateflow.training.network import build
from gateflow.training.optimizers import make_optimizer
from gateflow.training.settings import Settings, make_task

TASK = "adding(horizon=6, held_out=8)"
SMALL = {"task": TASK, "hidden": 3, "steps": 6, "evaluate_every": 2, "batch": 4, "device": "cpu"}


def stepped(optimizer: str, lr: float, **more: object) -> tuple[Settings, dict[str, torch.Tensor]]:
    """The weights after some steps along gradients that are the same for every call."""
    settings = Settings.of({**SMALL, "optimizer": optimizer, "lr": lr, "precision": "float64", **more})
    torch.manual_seed(1)
    network = build(settings, make_task(TASK))
    made = make_optimizer(settings, network)
    noise = torch.Generator().manual_seed(2)
    for _ in range(5):
        for weight in network.parameters():
            weight.grad = torch.randn(weight.shape, generator=noise, dtype=weight.dtype)
        made.step()
    return settings, {name: weight.detach() for name, weight in network.named_parameters()}


@pytest.mark.parametrize("optimizer", ["sgd", "sgd(momentum=0.9)", "rmsprop", "rmsprop(momentum=0.5)", "adam"])
@pytest.mark.parametrize("factor", [3.0, 0.25])
@pytest.mark.sampled(3)
def test_the_rows_of_a_gate_move_as_with_a_learning_rate_of_their_own(optimizer, factor):
    _, plain = stepped(optimizer, 1e-2)
    _, other = stepped(optimizer, factor * 1e-2)
    _, found = stepped(optimizer, 1e-2, lr_of=f"forget={factor}")
    for name, weight in found.items():
        wanted = plain[name].clone()
        if name.startswith("cell."):
            wanted[3:6] = other[name][3:6]  # i, f, g, o, as in torch.nn.LSTM
        torch.testing.assert_close(weight, wanted, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("cell", ["lstm", "gru", "janet", "refine", "ur-lstm", "noisy"])
@pytest.mark.sampled(2)
def test_every_cell_with_gates_takes_them(cell):
    gate = "update" if cell == "gru" else "forget"
    assert train({**SMALL, "cell": cell, "forget_gate": None, "lr_of": f"{gate}=2"}).status == "finished"


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"lr_of": "forgte=2"}, "unknown gate in lr_of 'forgte'; did you mean 'forget'?"),
        ({"cell": "gru", "lr_of": "forget=2"}, "unknown gate in lr_of 'forget'; known: reset, update"),
        ({"method": "nru", "lr_of": "forget=2"}, "unknown gate in lr_of 'forget'"),
        ({"optimizer": "rprop", "lr_of": "forget=2"}, "the steps of rprop are no multiple of the learning rate"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(chosen, said):
    with pytest.raises(InvalidArgument, match=r"^[^\n]*$") as told:
        train({**SMALL, **chosen})
    assert said in str(told.value)


def test_a_run_with_them_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    chosen = {**SMALL, "lr_of": "forget=3, input=0.5", "optimizer": "adam", "init": "matched(f=0.9, slope=2)"}
    whole = train(chosen, out=tmp_path / "whole")
    asked = iter([False] * 3 + [True])
    assert train(chosen, out=tmp_path / "parts", stop=lambda: next(asked)).status == "interrupted"
    parts = train(chosen, out=tmp_path / "parts")
    assert parts.metrics == whole.metrics
    for name, weight in whole.network.state_dict().items():
        assert torch.equal(weight, parts.network.state_dict()[name])
    with pytest.raises(InvalidArgument, match=r"lr_of 'forget=3, input=0.5', not 'forget=2'"):
        train({**chosen, "lr_of": "forget=2"}, out=tmp_path / "whole")
