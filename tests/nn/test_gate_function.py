"""Gates as torch functions: against the double-double numbers, over every bfloat16 and float16 number there is."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from gateflow.errors import GateflowError, InvalidArgument, UnknownName
from gateflow.gates.gate import GATES, Gate
from gateflow.gates.gate import gate as named_gate
from gateflow.nn import LSTM, GateFunction, gate_function

SETTINGS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in GATES),
    ("fast", {"alpha": 2}),
    ("sigmoid", {"sharpness": 0.5}),
    ("softsign", {"sharpness": 2}),
    ("iterated-sinh", {"depth": 3}),
    ("student-t", {"df": 6}),
    ("sigmoid(z + 0.9*sin(z))", {}),
    ("1/(1 + exp(-z - z**5))", {}),
]
IDS = [name + "".join(f",{key}={value}" for key, value in setting.items()) for name, setting in SETTINGS]

INTEGERS = {torch.float64: torch.int64, torch.float32: torch.int32}

Z = np.concatenate([np.linspace(-40, 40, 321), *(s * np.geomspace(1e-30, 1e30, 121) for s in (-1, 1))])


@pytest.fixture(params=SETTINGS, ids=IDS, scope="module")
def function(request: pytest.FixtureRequest) -> GateFunction:
    name, setting = request.param
    return gate_function(name, **setting)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_slopes_in_and_beside_a_hole(dtype: torch.dtype) -> None:
    """u = 2 z + sin(z)/z is 1 + 2 z - z^2/6 + z^4/120 to 2e-16 up to 1e-3; so is u' in all of its ways."""
    z = torch.tensor([0.0, 1e-30, 1e-8, -1e-5, 1e-3], dtype=dtype, requires_grad=True)
    function, exact = gate_function("sigmoid(2*z + sin(z)/z)"), z.detach().double()
    phi = torch.sigmoid(1 + 2 * exact - exact**2 / 6 + exact**4 / 120)
    slope = phi * (1 - phi) * (2 - exact / 3 + exact**3 / 30)
    room = 4 * torch.finfo(dtype).eps
    found = function(z)
    torch.testing.assert_close(found.detach().double(), phi, rtol=room, atol=0)
    torch.testing.assert_close(torch.autograd.grad(found.sum(), z)[0].double(), slope, rtol=room, atol=0)


@pytest.mark.parametrize(
    ("text", "u"),
    [
        ("sigmoid(z)", lambda z: z),
        ("fast", torch.sinh),
        ("sigmoid(z + z**3)", lambda z: z + z**3),
        ("(1 + tanh(z))/2", lambda z: 2 * z),
        ("1/(1 + exp(-z - z**3/3))", lambda z: z + z**3 / 3),
    ],
)
def test_logarithms_are_twice_differentiable(text: str, u: Any) -> None:
    """As PyTorch differentiates its own logsigmoid."""
    z = torch.linspace(-4, 4, 41, dtype=torch.float64).requires_grad_()
    function = gate_function(text)
    for ours, sign in ((function.log, 1), (function.log_complement, -1)):
        found, wanted = (
            torch.autograd.grad(torch.autograd.grad(y.sum(), z, create_graph=True)[0].sum(), z)[0]
            for y in (ours(z), torch.nn.functional.logsigmoid(sign * u(z)))
        )
        torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{1: 2}",
        '{"phi": "sigmoid(z)", "x": 1}',
        '{"phi": ' + "[" * 100_000,
        "{}",
        '{"phi": 3}',
        '{"phi": "z", "name": 5}',
    ],
)
def test_a_declaration_that_is_none_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(GateflowError) as caught:
        torch.ops.gateflow.gate(torch.zeros(2), text, "phi")
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 300


@pytest.fixture(params=[False, True], ids=["short", "careful"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param:
        monkeypatch.setattr(GateFunction, "_is_plain", lambda *_: False)


def away_from_kinks(gate: Gate, z: np.ndarray) -> np.ndarray:
    return z[~np.isin(z, gate.kinks)]


def room(gate: Gate, z: np.ndarray) -> np.ndarray:
    """A few ulps, times what an ulp in z or in a logarithm does: an exponential loses what its argument gains."""
    with np.errstate(all="ignore"):
        sizes = [gate.log_phi(z), gate.log_phi_c(z), gate.log_dphi(z), z * gate.du(z)]
    return 4 * np.finfo(float).eps * (2 + np.abs(np.clip(sizes, -1e4, 1e4)).max(axis=0))


def compare(found: torch.Tensor, truth: np.ndarray, relative: Any, tiny: float) -> None:
    found_ = found.detach().double().numpy()
    error = np.abs(found_ - truth)
    worst = int((error / (relative * np.abs(truth) + tiny)).argmax())
    assert (error <= relative * np.abs(truth) + tiny).all(), (worst, found_[worst], truth[worst])


@pytest.mark.usefixtures("either_way")
@pytest.mark.sampled(11)
def test_float64_values_and_derivatives(function: GateFunction) -> None:
    gate = function.gate
    z = away_from_kinks(gate, Z)
    x = torch.tensor(z, requires_grad=True)
    room_ = room(gate, z)
    phi, phi_c = function(x), function.complement(x)
    compare(phi, gate.phi(z), room_, 1e-300)
    compare(phi_c, gate.phi_c(z), room_, 1e-300)
    (slope,) = torch.autograd.grad(phi.sum(), x, create_graph=True)
    (slope_c,) = torch.autograd.grad(phi_c.sum(), x)
    compare(slope, gate.dphi(z), room_, 1e-300)
    assert torch.allclose(slope_c, -slope, rtol=1e-12)


@pytest.mark.usefixtures("either_way")
@pytest.mark.sampled(11)
def test_double_backward_is_the_second_derivative(function: GateFunction) -> None:
    gate = function.gate
    z = away_from_kinks(gate, np.linspace(-4, 4, 161) + 1e-3)
    x = torch.tensor(z, requires_grad=True)
    for value, sign in ((function(x), 1), (function.complement(x), -1)):
        (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), x)
        # near an inflection d2phi is a difference of larger terms
        scale = np.abs(gate.dphi(z)) * (1 + np.abs(gate.du(z)).clip(max=1e300)) + np.abs(gate.d2phi(z))
        assert (np.abs(bend.numpy() - sign * gate.d2phi(z)) <= room(gate, z) * scale + 1e-300).all()


@pytest.mark.usefixtures("either_way")
@pytest.mark.sampled(5)
def test_float32_is_float64_rounded_once(function: GateFunction) -> None:
    gate = function.gate
    x = torch.tensor(away_from_kinks(gate, Z), dtype=torch.float32, requires_grad=True)
    z = x.detach().double().numpy()
    # half an ulp, and half the smallest number; the plain sigmoid is computed in float32 itself, to a few ulps
    room_ = (4e-7, 2e-38) if gate == named_gate("sigmoid") else (2.0**-24 * 1.001, 1.5e-45)
    phi, phi_c = function(x), function.complement(x)
    compare(phi, gate.phi(z), *room_)
    compare(phi_c, gate.phi_c(z), *room_)
    compare(torch.autograd.grad(phi.sum(), x)[0], gate.dphi(z), *room_)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.sampled(5)
def test_low_precision_is_float32_rounded(function: GateFunction, dtype: torch.dtype) -> None:
    x = torch.tensor(away_from_kinks(function.gate, Z[np.abs(Z) < 6e4])).to(dtype)
    z = x.double().numpy()
    relative = torch.finfo(dtype).eps * 0.51
    # half a spacing of subnormal float16; what is subnormal in float32 may be flushed to 0
    tiny = {torch.bfloat16: torch.finfo(torch.float32).smallest_normal, torch.float16: 2.0**-25 * 1.01}[dtype]
    compare(function(x), function.gate.phi(z), relative, tiny)
    compare(function.complement(x), function.gate.phi_c(z), relative, tiny)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("step", [37, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.sampled(7)
def test_every_16_bit_number_gives_a_number(function: GateFunction, step: int, dtype: torch.dtype) -> None:
    z = torch.arange(-(2**15), 2**15, step, dtype=torch.int32).to(torch.int16).view(dtype)
    check_no_nan(function, z)
    order = z[~z.isnan()].sort().values
    if function.gate.name not in ("sigmoid(z + 0.9*sin(z))",):
        assert (function(order).diff() >= 0).all()
        assert (function.complement(order).diff() <= 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [400, pytest.param(4000, marks=pytest.mark.slow)])
@pytest.mark.sampled(5)
def test_any_bit_pattern_gives_a_number(function: GateFunction, count: int, dtype: torch.dtype) -> None:
    integer = torch.iinfo(INTEGERS[dtype])
    bits = torch.randint(integer.min, integer.max, (count,), dtype=INTEGERS[dtype])
    edges = [0.0, -0.0, 1e30, -1e30, np.inf, -np.inf, np.nan, torch.finfo(dtype).max, *function.gate.kinks]
    check_no_nan(function, torch.cat([bits.view(dtype), torch.tensor(edges, dtype=dtype)]))


def check_no_nan(function: GateFunction, z: torch.Tensor) -> None:
    number = ~z.isnan()
    z = z.clone().requires_grad_()
    for part in (function, function.complement):
        value = part(z)
        assert value.isnan().equal(~number)
        assert ((value >= 0) & (value <= 1))[number].all()
        (slope,) = torch.autograd.grad(value, z, torch.ones_like(value), create_graph=True)
        assert slope[number].isfinite().all()
        (bend,) = torch.autograd.grad(slope, z, torch.ones_like(value))
        assert bend[number].isfinite().all()
    for part in (function.log, function.log_complement):
        value = part(z)
        assert not value[number].isnan().any()
        assert torch.autograd.grad(value, z, torch.ones_like(value))[0][number].isfinite().all()


@pytest.mark.sampled(5)
def test_logarithms_and_their_slopes(function: GateFunction) -> None:
    gate = function.gate
    z = away_from_kinks(gate, np.linspace(-5, 5, 101) + 1e-3)
    z = z[(gate.phi(z) > 1e-290) & (gate.phi_c(z) > 1e-290) & (np.abs(gate.log_dphi(z)) < 700)]
    x = torch.tensor(z, requires_grad=True)
    for value, truth, slope in (
        (function.log(x), gate.log_phi(z), gate.dphi(z) / gate.phi(z)),
        (function.log_complement(x), gate.log_phi_c(z), -gate.dphi(z) / gate.phi_c(z)),
    ):
        compare(value, truth, room(gate, z), 1e-300)
        compare(torch.autograd.grad(value.sum(), x)[0], slope, room(gate, z), 1e-300)


def test_log_complement_never_underflows_in_float32() -> None:
    z = torch.tensor([5.0, 7.0])
    fast = gate_function("fast")
    assert fast.complement(torch.tensor(6.0)).item() == 0.0
    np.testing.assert_allclose(fast.log_complement(z).numpy(), -np.sinh([5.0, 7.0]), rtol=1e-6)


def test_infinities_go_to_the_limits() -> None:
    z = torch.tensor([-torch.inf, torch.inf], dtype=torch.float64)
    for name in ("sigmoid", "fast", "erf", "log-slow"):
        function = gate_function(name)
        assert function(z).tolist() == [0, 1] == function.complement(-z).tolist()
        assert function.log(z).tolist() == [-torch.inf, 0] == function.log_complement(-z).tolist()


def test_values_do_not_depend_on_whether_a_gradient_is_wanted(function: GateFunction) -> None:
    z = torch.randn(100)
    assert function(z).equal(function(z.clone().requires_grad_()))


@pytest.mark.parametrize("name", list(GATES))
def test_the_short_way_serves_the_whole_catalogue(name: str) -> None:
    for dtype in (torch.float64, torch.float32):
        assert gate_function(name)._is_plain(dtype, torch.device("cpu"))


@pytest.mark.parametrize("formula", ["exp(-exp(-z))*(1 + tanh(z))/2", "sigmoid(z + 0.9*sin(z))"])
def test_where_the_careful_way_has_no_number_the_formula_as_it_stands_has(formula: str) -> None:
    function = gate_function(formula)
    z = torch.tensor([-torch.inf, -1e300, -1e30, -800, 800, 1e30, 1e300, torch.inf], dtype=torch.float64)
    assert torch.allclose(function(z), (z > 0).double(), atol=1e-300)
    check_no_nan(function, z)


def test_a_formula_without_a_number_somewhere_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"has no number at z = -\d.*declare its profile"):
        gate_function("1/(1 + exp(-sqrt(z)))")


def test_torch_checks_the_derivatives() -> None:
    for name in ("fast", "erf", "cloglog"):
        function = gate_function(name)
        z = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
        for part in (function, function.complement, function.log, function.log_complement, function.derivative):
            assert torch.autograd.gradcheck(part, (z,))
        assert torch.autograd.gradgradcheck(function, (z,))
        assert torch.autograd.gradgradcheck(function.complement, (z,))


def test_a_third_derivative_is_refused() -> None:
    z = torch.zeros(1, requires_grad=True)
    (slope,) = torch.autograd.grad(gate_function("fast")(z), z, create_graph=True)
    (bend,) = torch.autograd.grad(slope, z, create_graph=True)
    with pytest.raises(InvalidArgument, match="cannot be differentiated once more"):
        torch.autograd.grad(bend, z)


def test_shapes_empty_and_strided() -> None:
    fast = gate_function("fast")
    scalar = torch.tensor(0.5, requires_grad=True)
    fast(scalar).backward()
    assert scalar.grad is not None
    assert scalar.grad.shape == ()
    assert fast(torch.empty(0, 3)).shape == (0, 3)
    z = torch.randn(4, 6).t()
    assert fast(z).equal(fast(z.contiguous()))


def test_copies_and_pickles() -> None:
    fast = gate_function("fast")
    z = torch.linspace(-2, 2, 5)
    for other in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        assert other.gate == fast.gate
        assert other(z).equal(fast(z))
    assert list(fast.parameters()) == []
    assert fast.state_dict() == {}


def test_a_function_that_leaves_the_unit_interval_has_values_and_no_logarithm() -> None:
    tanh = gate_function("tanh(z)")
    z = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    assert torch.allclose(tanh(z), torch.tanh(z), rtol=1e-14)
    assert torch.allclose(torch.autograd.grad(tanh(z).sum(), z)[0], 1 - torch.tanh(z) ** 2, rtol=1e-13)
    with pytest.raises(InvalidArgument, match="no logarithm"):
        tanh.log(z)


def test_what_is_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean 'fast'"):
        gate_function("fsat")
    with pytest.raises(InvalidArgument, match="floating-point"):
        gate_function("fast")(torch.tensor([1]))
    with pytest.raises(InvalidArgument, match="without a value: alpha"):
        gate_function("fast(alpha=positive)")


def test_an_unknown_function_of_a_gate_is_an_error():
    with pytest.raises(UnknownName, match="unknown function of a gate 'phy'"):
        gate_function("fast").value(torch.zeros(2), "phy")


def test_parameters_of_a_gate_of_ones_own_are_saved():
    class Learned(GateFunction):
        def __init__(self):
            super().__init__(named_gate("fast"))
            self.k = torch.nn.Parameter(torch.ones(()))

    state = Learned().state_dict()
    assert list(state) == ["k"]
    assert state._metadata[""]["gate"] == "sigmoid(sinh(z))"


def test_weights_that_were_saved_with_another_gate_are_loaded_with_a_warning(tmp_path, recwarn):
    formula = "1 - exp(-softplus(z)**2)"
    model = torch.nn.Sequential(LSTM(2, 3, forget_gate=formula))
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    read = torch.load(tmp_path / "weights.pt", weights_only=True)
    torch.nn.Sequential(LSTM(2, 3, forget_gate=Gate(formula, name="mine"))).load_state_dict(read)
    torch.nn.Sequential(torch.nn.LSTM(2, 3)).load_state_dict(read)
    LSTM(2, 3, forget_gate="fast").load_state_dict(torch.nn.LSTM(2, 3).state_dict())
    assert not recwarn
    with pytest.warns(UserWarning, match=r"^0\.forget_gate was 1 - exp\(-softplus\(z\)\*\*2\) where these weights"):
        torch.nn.Sequential(LSTM(2, 3, forget_gate="fast")).load_state_dict(read)
