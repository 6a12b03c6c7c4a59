"""Time constants and statistics of gates against a loop written out by hand."""

import numpy as np
import pytest
import torch

from gateflow.errors import InvalidArgument
from gateflow.nn import LSTM, NRU, MinGRU, NoisyLSTM, RefineLSTM
from gateflow.training import train
from gateflow.training.network import Network
from gateflow.training.settings import make_task
from gateflow.training.task import Batch
from gateflow.training.timescales import SHARES, log_retention, of_run, statistics, timescales

TASK = make_task("adding(horizon=6, held_out=20)")


def batch(rows=5):
    return TASK.batch("valid", 0, rows, 0)


def by_hand(network, data):
    """The pre-activation z of the forget gate at every step, and the gradient of the loss in it."""
    cell = network.cell
    h = c = torch.zeros(len(data.inputs), cell.hidden_size)
    zs = []
    for x in data.inputs.unbind(1):
        rows = x @ cell.weight_ih_l0.T + cell.bias_ih_l0 + h @ cell.weight_hh_l0.T + cell.bias_hh_l0
        z_i, z_f, z_g, z_o = rows.chunk(4, dim=1)
        z_f = z_f.clone()
        z_f.retain_grad()
        c = torch.sigmoid(torch.sinh(z_f)) * c + torch.sigmoid(z_i) * torch.tanh(z_g)
        h = torch.sigmoid(z_o) * torch.tanh(c)
        zs.append(z_f)
    TASK.loss(network.readout(h), data).backward()
    return torch.stack(zs), torch.stack([z.grad for z in zs])


def test_statistics_are_those_of_the_plain_loop():
    network, data = Network(LSTM(2, 7, batch_first=True, forget_gate="fast"), 1), batch()
    with torch.no_grad():
        network.cell.bias_ih_l0[network.cell.rows("forget")] += torch.linspace(-1, 5, 7)
    z, slope = by_hand(network, data)
    (found,) = statistics(network, TASK, data)
    f = torch.sigmoid(torch.sinh(z.detach().double())).float().double()
    assert found["mean"] == pytest.approx(f.mean().item(), rel=1e-6)
    assert found["quantiles"] == pytest.approx(np.quantile(f.numpy(), SHARES).tolist(), rel=1e-5)
    assert found["saturated"] == pytest.approx(((f == 1) | (f == 0)).double().mean().item(), abs=1e-12) != 0
    assert found["gradient"] == pytest.approx(slope.norm().item(), rel=1e-4)


def test_time_constants_are_those_of_the_plain_loop():
    network, data = Network(LSTM(2, 7, batch_first=True, forget_gate="fast"), 1), batch()
    z, _ = by_hand(network, data)
    z = z.detach().double()
    log_f = -torch.nn.functional.softplus(-torch.sinh(z))
    (found,) = timescales(network, data)
    assert found == pytest.approx((-1 / log_f.mean(dim=(0, 1))).numpy(), rel=1e-5)


class Foreign(torch.nn.Module):
    """A model of somebody else's, which calls its layers in its own way."""

    def __init__(self):
        super().__init__()
        self.mingru, self.unused = MinGRU(6, 4, decay_gate="erf", batch_first=True), LSTM(3, 3)
        self.lstm = LSTM(2, 3, bidirectional=True, forget_gate="fast", batch_first=True)
        self.frozen = torch.nn.Dropout(0.5).eval()

    def forward(self, x):
        return self.mingru(self.frozen(self.lstm(input=2 * x)[0]))[0]


def test_time_constants_of_any_model_are_those_of_its_layers():
    model, x = Foreign(), torch.randn(4, 6, 2)
    forwards, backwards, last = timescales(model, x)
    assert (model.training, model.lstm.training, model.frozen.training) == (True, True, False)
    hidden, _, gates = model.lstm(2 * x, return_gates=True)
    for found, each in zip((forwards, backwards), gates, strict=True):
        log_f = -torch.nn.functional.softplus(-torch.sinh(each["forget_z"].double()))
        assert found == pytest.approx((-1 / log_f.mean(dim=(0, 1))).detach().numpy(), rel=1e-6)
    z = model.mingru.projection(hidden)[..., :4].double()
    log_a = torch.special.log_ndtr(z * 2**0.5)
    assert last == pytest.approx((-1 / log_a.mean(dim=(0, 1))).detach().numpy(), rel=1e-5)


class Packs(torch.nn.Module):
    def forward(self, x):
        return torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3, 2, 1]), batch_first=True)


def test_a_model_without_such_layers_has_no_time_constants():
    with pytest.raises(InvalidArgument, match="Linear calls no layer of gateflow with a forget gate"):
        timescales(torch.nn.Linear(2, 2), torch.zeros(3, 2))
    with pytest.raises(InvalidArgument, match="on one sequence; give it a batch"):
        timescales(LSTM(2, 3), torch.zeros(5, 2))
    packs = torch.nn.Sequential(Packs(), LSTM(2, 3, batch_first=True))
    with pytest.raises(InvalidArgument, match="packs the sequences of its LSTM"):
        timescales(packs, torch.zeros(4, 5, 2))
    with pytest.raises(InvalidArgument, match="a model and a tensor"):
        timescales(torch.nn.Linear(2, 2), batch())


def test_a_gate_that_has_reached_one_has_its_time_constant():
    cell = LSTM(2, 2, batch_first=True, forget_gate="fast")
    for weight in cell.parameters():
        torch.nn.init.zeros_(weight)
    cell.set_bias("forget", "l0", torch.tensor([4.0, 6.0]))
    network, data = Network(cell, 1), batch()
    (found,) = statistics(network, TASK, data)
    assert found["saturated"] == 1.0
    # the time constant of f is 1/(1 - f) - 1/2 to within 1 - f; 1 - f = sigmoid(-sinh z)
    expected = [1 + np.exp(np.sinh(z)) - 0.5 for z in (4.0, 6.0)]
    assert timescales(network, data)[0] == pytest.approx(expected, rel=1e-9)


def test_steps_past_the_end_do_not_count():
    network, data = Network(LSTM(2, 4, batch_first=True), 1), batch(3)
    padded = Batch(torch.cat([data.inputs, torch.full((3, 5, 2), 9.0)], 1), data.targets, lengths=torch.full((3,), 6))
    assert timescales(network, padded)[0] == pytest.approx(timescales(network, data)[0], rel=1e-6)
    (mine,), (plain,) = statistics(network, TASK, padded), statistics(network, TASK, data)
    for name, value in plain.items():
        assert mine[name] == pytest.approx(value, rel=1e-5)


def test_of_a_refine_gate_the_effective_gate_counts():
    cell = RefineLSTM(2, 5, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        cell.bias_ih_l0[cell.rows("forget")] += torch.linspace(-6, 6, 5)
    *_, (values,) = cell(batch().inputs.double(), return_gates=True)
    torch.testing.assert_close(log_retention(cell, values), values["effective"].log(), rtol=1e-9, atol=1e-12)


def test_a_noisy_gate_is_held_to_what_it_can_keep():
    network = Network(NoisyLSTM(2, 4, batch_first=True), 1)
    assert np.isfinite(timescales(network, batch())[0]).all()


def test_without_a_forget_gate_there_are_none():
    network = Network(NRU(2, 4, memory_size=4, heads=1, batch_first=True), 1)
    assert statistics(network, TASK, batch()) == []
    with pytest.raises(InvalidArgument, match="NRU has no forget gate"):
        timescales(network, batch())


def test_watching_leaves_no_trace():
    network = Network(LSTM(2, 4, batch_first=True), 1).train()
    state = torch.get_rng_state()
    statistics(network, TASK, batch())
    assert network.training
    assert all(weight.grad is None for weight in network.parameters())
    assert "step" not in vars(network.cell)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_start_of_a_run_is_made_anew(tmp_path):
    told = {"hidden": 4, "batch": 4, "steps": 9, "evaluate_every": 3}
    result = train("adding(horizon=6, held_out=32)", out=tmp_path, **told)
    found = of_run(tmp_path, rows=8)
    assert [step for step, _ in found.history] == [0, 3, 6, 9]
    data = make_task("adding(horizon=6, held_out=32)").batch("valid", 0, 4, 0)
    start = of_run(tmp_path, rows=4)
    assert np.quantile(start.start[0], SHARES, method="nearest") == pytest.approx(found.history[0][1][0]["timescales"])
    assert start.trained[0] == pytest.approx(timescales(result.network, data)[0])
    with pytest.raises(InvalidArgument, match="is not the folder of a run"):
        of_run(tmp_path / "none")


def test_the_path_of_a_unit_is_that_of_the_plain_loop():
    network, data = Network(LSTM(2, 7, batch_first=True, forget_gate="fast"), 1), batch()
    z, slope = by_hand(network, data)
    (found,) = statistics(network, TASK, data, units=True)
    assert found["units"]["z"] == pytest.approx(z.detach().mean(dim=(0, 1)).tolist(), rel=1e-4, abs=1e-6)
    assert found["units"]["gradient"] == pytest.approx(slope.sum(dim=(0, 1)).tolist(), rel=1e-4, abs=1e-9)
    assert found["units"]["timescale"] == pytest.approx(timescales(network, data)[0].tolist())


def test_the_gradient_of_a_unit_is_that_of_its_bias_in_every_layer_and_gate():
    network, data = Network(RefineLSTM(2, 4, 2, batch_first=True), 1), batch()
    found = statistics(network, TASK, data, units=True)
    TASK.loss(network(data.inputs)[0], data).backward()
    cell = network.cell
    for layer, told in enumerate(found):
        bias = getattr(cell, f"bias_ih_l{layer}").grad
        for block, name in (("forget", "gradient"), ("refine", "gradient_refine")):
            expected = bias[cell.rows(block)].tolist()
            assert told["units"][name] == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_units_are_recorded_where_the_settings_say_so():
    few = {"steps": 2, "hidden": 3, "evaluate_every": 1, "device": "cpu"}
    told = [line for line in train(TASK, record_units=True, **few).metrics if line["kind"] == "gates"]
    assert [len(line["layers"][0]["units"]["z"]) for line in told] == [3, 3, 3]
    plain = [line for line in train(TASK, **few).metrics if line["kind"] == "gates"]
    assert all("units" not in line["layers"][0] for line in plain)
