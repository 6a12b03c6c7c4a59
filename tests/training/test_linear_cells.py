"""Layers with a linear state in the trainer, each that the registry finds, against loops written out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gateflow.errors import InvalidArgument
from gateflow.nn import INITS, MinGRU
from gateflow.nn.linear import LINEAR
from gateflow.nn.linear._stack import LinearStack
from gateflow.training import train
from gateflow.training.network import build
from gateflow.training.settings import Settings, make_task
from gateflow.training.timescales import of_run, statistics, timescales

TASK = "adding(horizon=6, held_out=8)"
SMALL = {"task": TASK, "hidden": 4, "layers": 2, "steps": 4, "evaluate_every": 2, "batch": 4, "device": "cpu"}


@pytest.fixture(params=list(LINEAR))
def cell(request: pytest.FixtureRequest) -> str:
    return request.param


def started(cell: str, **more: object) -> Any:
    settings = Settings.of({**SMALL, "cell": cell, "precision": "float64", **more})
    torch.manual_seed(0)
    made = build(settings, make_task(TASK)).cell
    assert isinstance(made, LinearStack)
    return made


@pytest.mark.sampled(7)
def test_a_run_that_was_stopped_ends_in_the_same_bits(cell, tmp_path):
    def stop_at(count):
        asked = iter(range(100))
        return lambda: next(asked) == count

    whole = train({**SMALL, "cell": cell})
    assert train({**SMALL, "cell": cell}, out=tmp_path, stop=stop_at(3)).status == "interrupted"
    resumed = train({**SMALL, "cell": cell}, out=tmp_path)
    assert resumed.network is not None
    assert whole.network is not None
    for mine, other in zip(resumed.network.parameters(), whole.network.parameters(), strict=True):
        assert torch.equal(mine, other)
    assert [line for line in resumed.metrics if line["kind"] == "gates"] == [
        line for line in whole.metrics if line["kind"] == "gates"
    ]
    assert len(of_run(tmp_path).trained) == 2


@pytest.mark.sampled(2)
def test_a_stack_in_two_halves_is_the_stack(cell):
    stack, x = started(cell), torch.randn(3, 7, 2, dtype=torch.float64)
    whole, final = stack(x)
    first, state = stack(x[:, :4])
    second, last = stack(x[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(last, final, rtol=1e-12, atol=1e-13)
    assert not final.is_complex()
    assert final.shape[:2] == (2, 3)


def test_a_stack_is_residual_blocks():
    stack, x = started("mingru"), torch.randn(3, 7, 2, dtype=torch.float64)
    wanted = x @ stack.encoder.weight.T + stack.encoder.bias
    for part in stack.parts:
        y = part.layer(F.layer_norm(wanted, (4,), part.norm.weight, part.norm.bias))[0]
        value, gate = (F.gelu(y) @ part.mix.weight.T + part.mix.bias).chunk(2, -1)
        wanted = wanted + value * torch.sigmoid(gate)
    torch.testing.assert_close(stack(x)[0], wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("gate", ["sigmoid", "fast"])
def test_initialisers_mean_the_decay_itself(cell, gate):
    stack = started(cell, forget_gate=gate, init="for-timescales(low=2, high=2e7)")
    silent = torch.zeros(5, 1, 4, dtype=torch.float64)
    for layer in stack.recurrences:
        log_a = layer.of_units(layer.drive(silent, False)[0])
        found = -1 / log_a.expand(5, 1, 4)[2, 0].detach().numpy()
        np.testing.assert_allclose(found, np.geomspace(2, 2e7, 4), rtol=1e-9)


def test_lru_keeps_its_input_in_proportion_to_its_moduli():
    (first, _) = started("lru", init="matched(f=0.95)").recurrences
    np.testing.assert_allclose(first.gamma_log.exp().detach(), np.sqrt(1 - 0.95**2), rtol=1e-12)


def test_gates_of_equal_slope_start_alike():
    for gate in ("sigmoid", "fast", "softsign"):
        stack = started("mingru", forget_gate=gate, init="matched(f=0.95, slope=1)")
        for layer in stack.recurrences:
            z = layer.projection.bias[:4].detach().requires_grad_()
            a = layer.decay_gate(z)
            (slope,) = torch.autograd.grad(a.sum(), z)
            np.testing.assert_allclose(a.detach(), 0.95, rtol=1e-12)
            np.testing.assert_allclose(slope, 0.95 * 0.05, rtol=1e-9)


def test_what_the_gates_do_is_that_of_the_plain_loop():
    network = build(Settings.of({**SMALL, "layers": 1, "cell": "mingru", "precision": "float64"}), make_task(TASK))
    stack: Any = network.cell
    task = make_task(TASK)
    batch = task.batch("valid", 0, 5, 0)
    batch = type(batch)(batch.inputs.double(), batch.targets.double())
    (part,), (layer,) = stack.parts, stack.recurrences
    embedded = stack.encoder(batch.inputs)
    z, c = layer.projection(part.norm(embedded)).chunk(2, -1)
    z = z.detach().requires_grad_()
    h, states = torch.zeros(5, 4, dtype=torch.float64), []
    for t in range(z.shape[1]):
        h = torch.sigmoid(z[:, t]) * h + torch.sigmoid(-z[:, t]) * c[:, t]
        states.append(h)
    output = embedded + F.glu(part.mix(F.gelu(torch.stack(states, 1))))
    (slope,) = torch.autograd.grad(task.loss(network.readout(output[:, -1]), batch), z)
    (found,) = statistics(network, task, batch, units=True)
    a = torch.sigmoid(z.detach())
    assert found["mean"] == pytest.approx(a.mean().item(), rel=1e-12)
    assert found["gradient"] == pytest.approx(slope.norm().item(), rel=1e-9)
    np.testing.assert_allclose(found["units"]["gradient"], slope.sum((0, 1)), rtol=1e-9)
    np.testing.assert_allclose(found["units"]["z"], z.detach().mean((0, 1)), rtol=1e-9)
    np.testing.assert_allclose(timescales(network, batch)[0], -1 / a.log().mean((0, 1)), rtol=1e-12)


@pytest.mark.sampled(4)
def test_every_layer_has_its_statistics(cell):
    result = train({**SMALL, "cell": cell, "record_units": True, "task": "recall(horizon=5, held_out=8)"})
    for line in (line for line in result.metrics if line["kind"] == "gates"):
        assert len(line["layers"]) == 2
        for layer in line["layers"]:
            assert 0 < layer["mean"] < 1
            assert layer["gradient"] > 0
            assert len(layer["units"]["z"]) == len(layer["units"]["gradient"]) == 4


@pytest.mark.parametrize("factor", [3.0, 0.25])
@pytest.mark.sampled(5)
def test_the_weights_of_the_decay_have_a_step_size_of_their_own(cell, factor):
    def moved(**more: object) -> Any:
        result = train(
            {**SMALL, "cell": cell, "steps": 1, "optimizer": "sgd", "precision": "float64", "clip": 0, **more}
        )
        assert result.network is not None
        return result.network.cell

    start, plain, other = started(cell, seed=0), moved(), moved(lr_of=f"decay={factor}")
    torch.manual_seed(0)
    for before, own, scaled in zip(start.recurrences, plain.recurrences, other.recurrences, strict=True):
        triples = zip(before.weights_of_decay(), own.weights_of_decay(), scaled.weights_of_decay(), strict=True)
        for (was, rows), (one, _), (times, _) in triples:
            torch.testing.assert_close(times[rows] - was[rows], factor * (one[rows] - was[rows]), rtol=1e-6, atol=1e-15)
            assert not torch.equal(one[rows], was[rows])


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
@pytest.mark.sampled(5)
def test_mixed_precision_and_dropout_train(cell, precision):
    result = train({**SMALL, "cell": cell, "precision": precision, "dropout": 0.5})
    assert result.status == "finished"
    assert np.isfinite(result.test["loss"])


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"cell": "minrgu"}, "unknown cell 'minrgu'; did you mean 'mingru'?"),
        ({"cell": "mingru(width=3)"}, "unknown option of the cell mingru 'width'"),
        ({"cell": "mingru(bias=false)", "init": "matched"}, "MinGRU was made without biases"),
        ({"cell": "mingru", "input_gate": "fast"}, "the cell mingru has no input gate to choose"),
        ({"cell": "mingru", "backend": "torch"}, "it must be auto; got .torch"),
        ({"cell": "mingru", "lr_of": "forget=2"}, "unknown gate in lr_of 'forget'; known: decay"),
        ({"cell": "rg-lru(heads=3)"}, "the width must be a multiple of heads; got 4 and 3"),
        ({"cell": "lru", "hidden": 2**40}, "no memory for 2 x 1099511627776 units of lru"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(chosen, said):
    with pytest.raises(InvalidArgument, match=said):
        train({**SMALL, **chosen})


def test_a_stack_of_a_layer_of_ones_own():
    class Slow(MinGRU):
        """A subclass is a cell too."""

    stack: Any = LinearStack(Slow, 2, 4, 2, positive=True)
    INITS["constant"](bias=3.0)(stack)
    assert stack.recurrences[1].projection.bias[:4].tolist() == [3.0] * 4
    assert isinstance(stack.recurrences[0], Slow)
    assert stack.recurrences[0].positive
