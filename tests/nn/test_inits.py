"""Initialisers: the gates' starting values, read back from the biases through the gate, against the published laws."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from scipy import stats

from gateflow.errors import InvalidArgument
from gateflow.gates.gate import Gate, gate
from gateflow.nn import (
    GRU,
    INITS,
    JANET,
    LRU,
    LSTM,
    NRU,
    RGLRU,
    URLSTM,
    GRUCell,
    LSTMCell,
    MinGRU,
    MinLSTM,
    NoisyLSTM,
    RefineLSTM,
    SelectiveDecay,
)
from gateflow.nn.inits.matched import rescale
from gateflow.nn.linear._stack import LinearStack
from gateflow.nn.recurrent import Recurrent

UNITS = 400
SETTINGS: dict[str, dict[str, Any]] = {"chrono": {"horizon": 500}, "for-timescales": {"low": 2, "high": 1e4}}
CELLS_WITH_A_FORGET_GATE = [LSTM, GRU, JANET, RefineLSTM, URLSTM, NoisyLSTM]
GATES = ["sigmoid", "fast", "softsign", "erf"]


def bias(cell: Recurrent, block: str, suffix: str = "l0") -> np.ndarray:
    weights = cell.weights(suffix)
    total = weights.bias_ih + weights.bias_hh  # type: ignore[operator]
    return total[cell.rows(block)].detach().double().numpy()


def lstm(name: str, **options: Any) -> LSTM:
    return LSTM(2, UNITS, forget_gate=name, input_gate=name, dtype=torch.float64, **options)


def ks(sample: np.ndarray, law: Any) -> float:
    return float(stats.kstest(sample, law.cdf).pvalue)


@pytest.fixture(params=GATES)
def any_gate(request: pytest.FixtureRequest) -> Gate:
    return gate(request.param)


def test_constant(any_gate: Gate) -> None:
    cell = lstm(any_gate.name, num_layers=2, bidirectional=True)
    INITS["constant"](bias=2.0)(cell)
    for _, suffix in cell.layers():
        assert (bias(cell, "forget", suffix) == 2.0).all()


def test_matched(any_gate: Gate) -> None:
    cell = lstm(any_gate.name)
    INITS["matched"]()(cell)
    np.testing.assert_allclose(any_gate.phi(bias(cell, "forget")), 1 / (1 + np.exp(-1)), rtol=1e-14)
    INITS["matched"](f=0.999)(cell)
    np.testing.assert_allclose(any_gate.phi_c(bias(cell, "forget")), 0.001, rtol=1e-12)


def test_chrono(any_gate: Gate) -> None:
    cell = lstm(any_gate.name)
    INITS["chrono"](horizon=500)(cell, generator=1)
    f_c = any_gate.phi_c(bias(cell, "forget"))
    assert ks(1 / f_c - 1, stats.uniform(1, 498)) > 0.01
    np.testing.assert_allclose(any_gate.phi(bias(cell, "input")), f_c, rtol=1e-12)


def test_chrono_is_the_source_for_sigmoids() -> None:
    cell = lstm("sigmoid")
    INITS["chrono"](horizon=500)(cell, generator=1)
    u = 1 + 498 * torch.rand(UNITS, generator=torch.Generator().manual_seed(1), dtype=torch.float64).numpy()
    np.testing.assert_allclose(bias(cell, "forget"), np.log(u), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(bias(cell, "input"), -np.log(u), rtol=1e-13, atol=1e-15)


def test_uniform(any_gate: Gate) -> None:
    cell = lstm(any_gate.name)
    INITS["uniform"]()(cell, generator=1)
    f = any_gate.phi(bias(cell, "forget"))
    assert ks(f, stats.uniform(1 / UNITS, 1 - 2 / UNITS)) > 0.01
    np.testing.assert_allclose(any_gate.phi_c(bias(cell, "input")), f, rtol=1e-9)


def test_ur_lstm_starts_from_its_own_law() -> None:
    cell = URLSTM(2, UNITS, dtype=torch.float64)
    b = bias(cell, "forget")
    assert ks(1 / (1 + np.exp(-b)), stats.uniform(1 / UNITS, 1 - 2 / UNITS)) > 0.01
    np.testing.assert_allclose(bias(cell, "refine"), -b, rtol=1e-9, atol=1e-12)


def test_uniform_without_the_refine_gate_starts_that_at_a_half() -> None:
    cell = RefineLSTM(2, UNITS, dtype=torch.float64)
    INITS["uniform"](refine=False)(cell, generator=1)
    assert (bias(cell, "refine") == 0).all()
    f = 1 / (1 + np.exp(-bias(cell, "forget")))
    assert ks(f, stats.uniform(1 / UNITS, 1 - 2 / UNITS)) > 0.01


def test_power_law(any_gate: Gate) -> None:
    cell = lstm(any_gate.name, num_layers=3)
    before = bias(cell, "forget", "l2")
    INITS["power-law"]()(cell)
    tau = -1 / any_gate.log_phi(bias(cell, "forget", "l0"))
    np.testing.assert_allclose(tau, [3.0] * (UNITS // 2) + [4.0] * (UNITS // 2), rtol=1e-12)
    tau = np.sort(-1 / any_gate.log_phi(bias(cell, "forget", "l1")))
    wanted = 1 / stats.gamma.isf((np.arange(UNITS) + 0.5) / UNITS, 0.56)
    np.testing.assert_allclose(tau, wanted, rtol=1e-9)
    assert (bias(cell, "forget", "l2") == before).all()
    assert not cell.bias_hh_l1.requires_grad
    assert cell.bias_hh_l2.requires_grad


def test_power_law_is_the_source_for_sigmoids_and_may_be_learned() -> None:
    cell = lstm("sigmoid", num_layers=2)
    INITS["power-law"](fixed=False)(cell)
    tau = -1 / gate("sigmoid").log_phi(bias(cell, "forget"))
    np.testing.assert_allclose(bias(cell, "forget"), -np.log(np.exp(1 / tau) - 1), rtol=1e-12)
    np.testing.assert_allclose(bias(cell, "input"), np.log(np.exp(1 / tau) - 1), rtol=1e-12)
    assert cell.bias_ih_l0.requires_grad


def test_for_timescales_far_past_the_precision_of_f(any_gate: Gate) -> None:
    if any_gate.name == "softsign":
        pytest.skip("its z for a time scale of 1e30 is 1e30")
    cell = lstm(any_gate.name)
    INITS["for-timescales"](low=1, high=1e30, tied=True)(cell)
    tau = -1 / any_gate.log_phi(bias(cell, "forget"))
    np.testing.assert_allclose(np.log10(tau), np.linspace(0, 30, UNITS), atol=1e-12)
    np.testing.assert_allclose(any_gate.phi(bias(cell, "input")), -np.expm1(-1 / tau), rtol=1e-11)


def test_random_timescales_are_log_uniform() -> None:
    cell = lstm("fast")
    INITS["for-timescales"](low=10, high=1000, random=True)(cell, generator=3)
    tau = -1 / gate("fast").log_phi(bias(cell, "forget"))
    assert ks(np.log(tau), stats.uniform(np.log(10), np.log(100))) > 0.01


@pytest.mark.parametrize("cell", CELLS_WITH_A_FORGET_GATE)
@pytest.mark.parametrize("name", list(INITS))
def test_every_initialiser_sets_every_forget_gate_and_nothing_but_gates(name: str, cell: type[Recurrent]) -> None:
    layer = cell(2, 6, num_layers=2, bidirectional=True)
    old = {key: value.clone() for key, value in layer.state_dict().items()}
    start = INITS[name](**SETTINGS.get(name, {}))
    start(layer, generator=0)
    first = {key: value.clone() for key, value in layer.state_dict().items()}
    start(layer, generator=0)
    assert all(value.equal(first[key]) for key, value in layer.state_dict().items())
    for _, suffix in layer.layers():
        weights, rows = layer.weights(suffix), layer.rows(str(layer.forget_block))
        assert weights.bias_hh is not None
        assert (weights.bias_hh[rows] == 0).all()
        assert not weights.bias_ih[rows].equal(old[f"bias_ih_{suffix}"][rows])  # type: ignore[index]
        candidate = layer.rows("candidate")
        assert weights.bias_ih[candidate].equal(old[f"bias_ih_{suffix}"][candidate])  # type: ignore[index]
    assert all(layer.state_dict()[key].equal(value) for key, value in old.items() if "weight" in key)


def test_the_refine_gate_starts_where_it_changes_nothing() -> None:
    cell = RefineLSTM(2, 6)
    INITS["matched"](f=0.9)(cell)
    with torch.no_grad():
        for key in ("weight_ih_l0", "weight_hh_l0"):
            getattr(cell, key).zero_()
    *_, gates = cell(torch.zeros(1, 1, 2), return_gates=True)
    np.testing.assert_allclose(gates[0]["effective"].detach().numpy(), 0.9, rtol=1e-6)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (lambda: INITS["matched"](f=1.0), r"f must lie in \(0, 1\)"),
        (lambda: INITS["chrono"](horizon=2), "a horizon of more than 2 steps; got 2"),
        (lambda: INITS["constant"](bias=float("nan")), "bias must be finite"),
        (lambda: INITS["power-law"](shape=0), "shape must be a positive number"),
        (lambda: INITS["for-timescales"](low=10, high=1), "low must not exceed high"),
        (lambda: INITS["uniform"]()(LSTM(2, 1)), "at least 2 units"),
        (lambda: INITS["constant"]()(NRU(2, 4)), "NRU has no forget gate"),
        (lambda: INITS["constant"]()(LSTM(2, 4, bias=False)), "made without biases"),
    ],
)
def test_what_is_refused(start: Any, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        start()


def test_a_gate_without_an_inverse_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"no inverse|not found"):
        INITS["chrono"](horizon=10)(LSTM(2, 4, forget_gate="sigmoid(z**2)"))


# --- the same value and slope -----------------------------------------------------------------------------------------

PROFILES = {
    "sigmoid": lambda z: z,
    "fast": mpmath.sinh,
    "softsign": lambda z: mpmath.sign(z) * mpmath.log(1 + abs(z)),
    "erf": lambda z: mpmath.log(1 + mpmath.erf(z)) - mpmath.log(mpmath.erfc(z)),
    "cloglog": lambda z: mpmath.log(mpmath.expm1(mpmath.exp(z))),
    "sigmoid(z + z**3)": lambda z: z + z**3,
}
"""Logit profiles, written down anew."""


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize(("f", "slope"), [(0.95, 1.0), (0.731, 3.11), (1 - 1e-9, 1e-3)])
@pytest.mark.sampled(7)
def test_a_rescaled_gate_has_the_value_and_the_slope(name: str, f: float, slope: float) -> None:
    made = rescale(name, f=f, slope=slope)
    factor = float(made.name.rpartition("=")[2]) if ";" in made.name else 1.0
    with mpmath.workdps(50):
        u = mpmath.log(mpmath.mpf(f) / (1 - mpmath.mpf(f)))
        low, high = mpmath.mpf(0), mpmath.mpf(1)
        while PROFILES[name](high) < u:
            high *= 2
        z = mpmath.findroot(lambda x: PROFILES[name](x) - u, (low, high), solver="anderson", tol=1e-45)
        wanted = slope / mpmath.diff(PROFILES[name], z)
        assert abs(factor / wanted - 1) < 2e-15
    z = made.inverse(f)
    assert made.phi(z) == pytest.approx(f, rel=1e-15)
    assert made.du(z) == pytest.approx(slope, rel=1e-14)
    again = gate(made.name)  # an ordinary gate: its name is its formula
    assert (again.expr, again.phi_c(7.0)) == (made.expr, made.phi_c(7.0))
    assert rescale(made, f=f, slope=slope) is made


@pytest.mark.parametrize(
    ("text", "f", "said"),
    [
        ("cubic", 0.5, "cubic is flat where it is 0.5"),
        ("sigmoid(z+abs(z))", 0.5, "has a kink where it is 0.5"),
        ("where(z<0, 0, 1)", 0.9, "does not take the value 0.9"),
        ("1/2+erf(z)/4", 0.9, "was not found"),
        ("sigmoid(z**2)", 0.9, "has no inverse"),
        ("sin(z)", 0.5, "leaves"),
        ("sigmoid(k*z); k=positive", 0.5, "parameters without a value"),
        ("sigmoid(z*1e-320)", 0.5, "no usable float"),
        ("sigmoid", 1.0, "must lie in"),
    ],
)
def test_a_gate_that_cannot_be_matched_is_refused_in_one_line(text: str, f: float, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said) as told:
        rescale(text, f=f, slope=1)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("kind", [LSTM, GRU, JANET, RefineLSTM, URLSTM])
def test_matched_with_a_slope_rescales_the_gate_of_a_cell(kind: type[Recurrent]) -> None:
    word = "update_gate" if kind is GRU else "forget_gate"
    cell = kind(2, 3, num_layers=2, dtype=torch.float64, **{word: "softsign"})
    INITS["matched"](f=0.95, slope=2)(cell)
    made = cell.gates()[str(cell.forget_block)]
    for _, suffix in cell.layers():
        z = bias(cell, str(cell.forget_block), suffix)
        np.testing.assert_allclose(made.phi(z), 0.95, rtol=1e-14)
        np.testing.assert_allclose(made.du(z), 2, rtol=1e-13)
    cell.backend = "reference"
    assert cell(torch.randn(4, 1, 2, dtype=torch.float64))[0].isfinite().all()


@pytest.mark.parametrize(("kind", "block"), [(LSTMCell, "forget"), (GRUCell, "update")])
def test_matched_with_a_slope_rescales_the_gate_of_a_single_cell(kind: Any, block: str) -> None:
    cell = kind(2, 3, **{f"{block}_gate": "fast"})
    INITS["matched"](f=0.95, slope=2)(torch.nn.Sequential(cell))
    found = cell.equations.gates()[block]
    z = float(found.inverse(0.95))
    assert float(found.dphi(z)) == pytest.approx(2 * 0.95 * 0.05, rel=1e-12)  # phi' = u' phi (1 - phi)


def test_matched_with_a_slope_is_refused_where_gates_are_fixed() -> None:
    with pytest.raises(InvalidArgument, match="cannot be rescaled"):
        INITS["matched"](f=0.95, slope=2)(NoisyLSTM(2, 3))


@pytest.mark.parametrize("slope", [1e60, 1e-60])
def test_a_start_that_the_weights_cannot_hold_is_refused(slope: float) -> None:
    with pytest.raises(InvalidArgument, match="which is no float32"):
        INITS["matched"](f=0.95, slope=slope)(LSTM(2, 3, forget_gate="sigmoid"))
    INITS["matched"](f=0.95, slope=slope)(LSTM(2, 3, forget_gate="sigmoid", dtype=torch.float64))


@pytest.mark.parametrize("slope", [-1, math.inf, math.nan])
def test_a_slope_is_positive(slope: float) -> None:
    with pytest.raises(InvalidArgument, match="slope must be a positive number"):
        INITS["matched"](f=0.95, slope=slope)


# --- whole models -----------------------------------------------------------------------------------------------------


class Mixed(torch.nn.Module):
    """A model with every kind of layer, one of them in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = LSTM(2, 6, num_layers=2, bidirectional=True, forget_gate="fast")
        self.again = self.lstm
        self.others = torch.nn.ModuleList([MinGRU(3, 6, decay_gate="erf"), LSTMCell(2, 6, forget_gate="fast")])
        self.gru, self.readout = GRUCell(2, 6, update_gate="softsign"), torch.nn.Linear(6, 1)


def test_a_model_starts_in_every_layer() -> None:
    model = Mixed().double()
    kept = {name: p.clone() for name, p in model.named_parameters() if "weight" in name or "readout" in name}
    INITS["for-timescales"](low=200, high=200)(model)
    found = [bias(model.lstm, "forget", suffix) for _, suffix in model.lstm.layers()]
    mingru, cell = model.others
    pairs = [("fast", z) for z in found] + [("erf", mingru.projection.bias[:6])]  # type: ignore[index]
    pairs += [
        ("fast", (cell.bias_ih + cell.bias_hh)[6:12]),
        ("softsign", (model.gru.bias_ih + model.gru.bias_hh)[6:12]),
    ]
    for name, z in pairs:
        log_phi = gate(name).log_phi(np.asarray(torch.as_tensor(z).detach()))
        np.testing.assert_allclose(-1 / log_phi, 200.0, rtol=1e-12)
    assert all(p.equal(kept[name]) for name, p in model.named_parameters() if name in kept)


def test_a_seed_is_one_stream_for_all_layers() -> None:
    model, alone = Mixed(), LSTM(2, 6)
    INITS["chrono"](horizon=500)(model, generator=4)
    INITS["chrono"](horizon=500)(alone, generator=torch.Generator().manual_seed(4))
    first, second = (gate("fast").phi_c(bias(model.lstm, "forget", suffix)) for suffix in ("l0", "l1"))
    assert not np.allclose(first, second)
    np.testing.assert_allclose(first, gate("sigmoid").phi_c(bias(alone, "forget")), rtol=1e-5)


@pytest.mark.parametrize("kind", [MinGRU, MinLSTM, RGLRU, LRU, SelectiveDecay])
@pytest.mark.parametrize("name", list(INITS))
def test_a_linear_state_starts_alone_as_in_a_stack(name: str, kind: Any) -> None:
    torch.manual_seed(0)
    stack = LinearStack(kind, 6, 6, decay_gate="fast")
    alone = kind(6, decay_gate="fast") if kind.IS_SQUARE else kind(6, 6, decay_gate="fast")
    alone.load_state_dict(stack.recurrences[0].state_dict())
    for module in (stack, alone):
        INITS[name](**SETTINGS.get(name, {}))(module, generator=0)
    for mine, theirs in zip(alone.parameters(), stack.recurrences[0].parameters(), strict=True):
        assert mine.equal(theirs)
        assert mine.requires_grad == theirs.requires_grad


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (torch.nn.LSTM(2, 3), r"LSTM has no layer of gateflow to initialise; gateflow\.nn\.replace"),
        (MinLSTM(2, 3, bias=False), "without biases"),
        (LSTMCell(2, 3, bias=False), "without biases"),
        (torch.nn.Sequential(NRU(2, 4)), "NRU has no forget gate"),
    ],
)
def test_a_model_without_such_biases_is_refused(model: Any, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        INITS["constant"]()(model)
