"""The scan against a naive loop in float64, for decays of every kind; near 1 and over a million steps."""

from __future__ import annotations

import math
import warnings
from types import SimpleNamespace
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import torch
from torch.func import grad, hessian, vmap

from gateflow.errors import InvalidArgument, InvalidTensor
from gateflow.gates.gate import gate
from gateflow.nn import scan
from gateflow.nn.functional import gate_function
from gateflow.nn.kernels import native, trust
from gateflow.nn.kernels import scan as kernels
from gateflow.nn.scans import declared
from tests.nn.kernels import through
from tests.nn.kernels.test_tables import off

BENDS = "abs(z) - abs(z - 1) + abs(z - 2) - abs(z - 3) + abs(z - 4) - abs(z - 5)"
"""More kinks than a table takes."""


def bends(z):
    return sum((z - k).abs() * (-1) ** k for k in range(6))


DECAYS = {
    "a": (torch.sigmoid, lambda x: x, {}),
    "log a": (lambda z: -torch.exp(z), torch.exp, {"log": True}),
    "sigmoid": (lambda z: 3 * z, torch.sigmoid, {"gate": "sigmoid"}),
    "fast": (lambda z: 2 * z, lambda z: torch.sigmoid(torch.sinh(z)), {"gate": "fast"}),
    "lru": (lambda z: 3 * z, lambda z: torch.exp(-torch.exp(-z)), {"gate": "lru"}),
    "root": (lambda z: 3 * z, lambda z: torch.sigmoid(z).sqrt(), {"gate": "sigmoid(z)**(1/2)"}),
    "cloglog": (lambda z: 2 * z, lambda z: -torch.expm1(-torch.exp(z)), {"gate": "cloglog"}),
    "without a table": (lambda z: 3 * z, lambda z: 0.5 + bends(z) / 20, {"gate": f"1/2 + ({BENDS})/20"}),
    "hgrn": (lambda z: 3 * z, lambda z: 0.25 + 0.75 * torch.sigmoid(z), {"gate": gate("hgrn(low=1/4)")}),
    "high": (lambda z: 3 * z, lambda z: 0.75 + 0.25 * torch.sigmoid(z), {"gate": gate("hgrn(low=3/4)")}),
}
"""How z becomes what is given, and that the decay; both by PyTorch alone."""

SHAPES = {(9, 3, 37): 0, (3, 9, 5): 1, (2, 4, 7): -1, (3, 2, 2307): 0, (1, 1): 0, (40, 77): 1, (3, 257): 1}

needs_compiler = pytest.mark.skipif(not native.available(torch.float32), reason="there is no C compiler here")


def naive(a, b, h, dim):
    states = []
    for a_t, b_t in zip(a.unbind(dim), b.unbind(dim), strict=True):
        states.append(h := a_t * h + b_t)
    return torch.stack(states, dim)


def numbers(shape, dim, kind):
    """What is given for the decay, the input, the first state, and a gradient; in float64."""
    made = torch.Generator().manual_seed(1)
    z, b, g = (torch.randn(shape, dtype=torch.float64, generator=made) for _ in range(3))
    h = torch.randn(b.select(dim, 0).shape, dtype=torch.float64, generator=made)
    return DECAYS[kind][0](z), b, h, g


def assert_near(found, expected, tolerance):
    assert found.shape == expected.shape
    assert (found.double() - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize("kind", DECAYS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("shape", "dim"), SHAPES.items(), ids=str)
@pytest.mark.sampled(7)
def test_states_and_gradients_are_those_of_a_naive_loop(shape, dim, dtype, kind):
    _, decay_of, how = DECAYS[kind]
    x, b, h, g = numbers(shape, dim, kind)
    given = [t.requires_grad_() for t in (x, b, h)]
    expected = naive(decay_of(x), b, h, dim)
    ours = [t.detach().to(dtype).requires_grad_() for t in given]
    found = scan(*ours, dim=dim, **how)
    assert_near(found, expected, 1e-12 if dtype == torch.float64 else 4e-7)
    gradients = zip(torch.autograd.grad(found, ours, g.to(dtype)), torch.autograd.grad(expected, given, g), strict=True)
    for mine, theirs in gradients:
        assert_near(mine, theirs, 1e-10 if dtype == torch.float64 else 1e-6)


@pytest.mark.parametrize("kind", ["a", "log a", "lru"])
@pytest.mark.sampled(2)
def test_derivatives_of_first_and_second_order_are_those_of_differences(kind):
    x, b, h, _ = numbers((4, 3), 0, kind)
    given = [t.requires_grad_() for t in (x, b, h)]
    assert torch.autograd.gradcheck(lambda *t: scan(*t, **DECAYS[kind][2]), given)
    assert torch.autograd.gradgradcheck(lambda *t: scan(*t, **DECAYS[kind][2]), given)


@pytest.mark.slow
def test_the_operators_are_what_pytorch_asks_of_operators():
    x, b, h, _ = numbers((4, 2, 3), 0, "a")
    given = (x.requires_grad_(), b.requires_grad_(), h.requires_grad_(), "a", 0)
    torch.library.opcheck(torch.ops.gateflow.scan.default, given)


def log_space(log_a, b):
    """The form that parallel implementations use, for b > 0: a cumulative sum of logarithms and one of exponentials."""
    sums = log_a.cumsum(0)
    return torch.exp(sums + torch.logcumsumexp(b.log() - sums, 0))


def ratio_space(log_a, b):
    """The same without logarithms of sums."""
    sums = log_a.cumsum(0)
    return torch.exp(sums) * torch.cumsum(b * torch.exp(-sums), 0)


@needs_compiler
@pytest.mark.parametrize(("rate", "lost"), [(1e-6, 1e-6), (1e-3, 1e-5), (0.1, 1e-3), (1.0, 1e-2)])
def test_a_million_steps_lose_no_digit_where_the_log_space_form_loses_them(rate, lost):
    """``h_t = (1 - a^t)/(1 - a)`` from 0, with inputs of 1; rate is -log a, as float32 has it.

    ``lost`` is what the log-space form is off by at least, somewhere on the way.
    """
    steps, rate = 1_000_000, float(np.float32(rate))
    log_a, b = torch.full((steps, 1), -rate), torch.ones(steps, 1)
    exact = torch.from_numpy(np.expm1(-rate * np.arange(1, steps + 1)) / np.expm1(-rate))
    assert (scan(log_a, b, log=True)[:, 0].double() / exact - 1).abs().max() < 1e-6
    assert (log_space(log_a, b)[:, 0].double() / exact - 1).abs().max() > lost
    assert ratio_space(log_a, b).isnan().any() == (rate > 1e-5)


NEAR_1 = {
    "sigmoid": lambda z: -mp.log1p(mp.exp(-z)),
    "hgrn": lambda z: mp.log1p(-mp.exp(-z) / (1 + mp.exp(-z)) / 2),
    "hgrn(low=1/4)": lambda z: mp.log1p(-mp.exp(-z) / (1 + mp.exp(-z)) * 3 / 4),
    "lru": lambda z: -mp.exp(-z),
    "fast": lambda z: -mp.log1p(mp.exp(-mp.sinh(z))),
    "gla": lambda z: -mp.log1p(mp.exp(-z)) / 16,
    "rg-lru": lambda z: -4 * mp.log1p(mp.exp(-z)),
    "cloglog": lambda z: mp.log1p(-mp.exp(-mp.exp(z))),
}
"""log a in big floats: gates that are computed, and one that is a table."""


@needs_compiler
@pytest.mark.parametrize("name", NEAR_1)
def test_a_gate_keeps_the_digits_of_1_minus_a(name):
    """Where 1 - a is 1.5e-8, a is 1 in float32; and everywhere else, a and 1 - a are right."""
    z = torch.cat([torch.linspace(-4, 6, 37), torch.tensor([18.0, 0.0, -0.0])])
    log_a = [NEAR_1[name](mp.mpf(x)) for x in z.tolist()]
    z = z.expand(1000, -1).contiguous()
    one = scan(z[:1], torch.zeros_like(z[:1]), torch.ones(40), gate=name)[0]
    many = scan(z, torch.zeros_like(z), torch.ones(40), gate=name)[-1]
    for log, once, often in zip(log_a, one.tolist(), many.tolist(), strict=True):
        assert abs(once / mp.exp(log) - 1) < 4e-7 * (1 + abs(log)) or abs(log) > 87
        assert abs(often / mp.exp(1000 * log) - 1) < 3e-7 * (1 + 1000 * abs(log)) or abs(1000 * log) > 87


@needs_compiler
def test_a_million_steps_near_1():
    """At z = 18, 1 - a is 1.5e-8, and a is 1 in float32."""
    z = torch.full((1_000_000, 1), 18.0)
    exact = np.exp(1e6 * np.log1p(-1 / (1 + np.exp(18.0))))
    assert abs(scan(z, torch.zeros_like(z), torch.ones(1), gate="sigmoid")[-1].item() / exact - 1) < 1e-6
    assert scan(torch.sigmoid(z), torch.zeros_like(z), torch.ones(1))[-1].item() == 1.0


@needs_compiler
@pytest.mark.parametrize("name", ["sigmoid", "hgrn", "lru", "gla", "fast"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.sampled(3)
def test_a_gate_at_the_ends_of_floats(name, dtype):
    """Decays and slopes of what is as large as floats are: those of the gate's own function."""
    top = torch.finfo(dtype).max
    z = torch.tensor([[-torch.inf, -top, -800.0, -90.0, -30.0, 0.0, 30.0, 90.0, 800.0, top, torch.inf, torch.nan]])
    z = z.to(dtype).requires_grad_()
    found = scan(z, torch.zeros_like(z), torch.ones(12, dtype=dtype), gate=name)
    function = gate_function(name)
    tiny = 4 * torch.finfo(dtype).tiny
    assert torch.allclose(found, function(z)[0], rtol=4e-5 if name == "gla" else 1e-6, atol=tiny, equal_nan=True)
    slope = torch.autograd.grad(found.sum(), z)[0]
    wanted = function.derivative(z)
    assert torch.allclose(slope[:, :-1], wanted[:, :-1], rtol=4e-5 if name == "gla" else 1e-6, atol=tiny)


@needs_compiler
@pytest.mark.parametrize(("name", "u"), [("sigmoid", lambda z: z), ("fast", mp.sinh)])
def test_values_and_slopes_of_computed_gates_are_within_four_ulps(name, u):
    """At points of every magnitude and up to where ``exp(-u)`` is no normal number; there it may be 0."""
    rng = np.random.default_rng(7)
    sizes = [2.0 ** rng.uniform(-149, 1, 100), rng.uniform(0, 3, 100), np.arcsinh(rng.uniform(3, 89, 200))]
    sizes = np.concatenate([*(sizes if name == "fast" else (*sizes[:2], np.sinh(sizes[2]))), [0.0]]).astype(np.float32)
    z = torch.from_numpy(np.concatenate([sizes, -sizes]))[None].requires_grad_()
    found = scan(z, torch.zeros_like(z), torch.ones_like(z[0]), gate=name)
    slopes = torch.autograd.grad(through.LARGE * found.sum(), z)[0] / through.LARGE
    for x, value, slope in zip(z[0].tolist(), found[0].tolist(), slopes[0].double().tolist(), strict=True):
        e = mp.exp(-u(abs(mp.mpf(x))))
        wanted = (1 if x >= 0 else e) / (1 + e), e / (1 + e) ** 2 * mp.diff(u, x)
        for number, truth in zip((value, slope), wanted, strict=True):
            assert off(number, truth) <= 4 or (e < 2.0**-125 and number == 0), (x, number, truth)


@pytest.mark.parametrize("compiler", [True, False])
def test_a_logarithm_above_0_is_no_decay(compiler, monkeypatch):
    if not compiler:
        monkeypatch.setattr("gateflow.nn.scans._is_compiled", lambda _: False)
    found = scan(torch.tensor([-1.0, 1e-3, -torch.inf]), torch.ones(3), log=True)
    assert found[0] == 1
    assert found[1].isnan()


def test_narrow_rows_go_both_ways_and_then_the_faster(monkeypatch):
    """Halves of rows, and whole rows by one thread, by turns until each was tried; their results are the same bits."""
    if kernels.threads.team() is None:
        pytest.skip("this process has no OpenMP")
    a, b = (torch.rand(200, 512, generator=torch.Generator().manual_seed(k)) for k in (0, 1))
    kernels._ways.cache_clear()
    widths, now = [], [0]

    def clock():
        now[0] += widths[-1]
        return now[0]

    monkeypatch.setattr(kernels, "time", SimpleNamespace(perf_counter=clock))
    goes_past = kernels.ScanPass._goes_past
    monkeypatch.setattr(kernels.ScanPass, "_goes_past", lambda run: (widths.append(run.run.tile), goes_past(run))[1])
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        found = [scan(a, b, dim=0) for _ in range(9)]
    finally:
        torch.set_num_threads(before)
        kernels._ways.cache_clear()
    assert widths == [512, 256] * 3 + [256] * 3
    assert all(torch.equal(one, found[0]) for one in found)


def test_shares_of_threads_are_the_whole():
    x, b, _, _ = numbers((300, 2, 5000), 0, "a")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = scan(x.float(), b.float())
        torch.set_num_threads(3)
        assert torch.equal(scan(x.float(), b.float()), one)
    finally:
        torch.set_num_threads(before)


@needs_compiler
@pytest.mark.parametrize("kind", DECAYS)
@pytest.mark.parametrize(("shape", "dim"), SHAPES.items(), ids=str)
@pytest.mark.sampled(5)
def test_bfloat16_in_memory_is_single_that_is_rounded_when_it_is_stored(shape, dim, kind):
    how = DECAYS[kind][2]
    given = [t.to(torch.bfloat16) for t in numbers(shape, dim, kind)[:3]]
    x, b, h = (t.requires_grad_() for t in given)
    wide = [t.detach().float().requires_grad_() for t in given]
    states, expected = scan(x, b, h, dim=dim, **how), scan(*wide, dim=dim, **how)
    assert torch.equal(states, expected.to(torch.bfloat16))
    grad = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2)).to(torch.bfloat16)
    found = torch.autograd.grad(states, (x, b, h), grad)
    wanted = torch.autograd.grad(expected, wide, grad.float())
    for mine, other in zip(found, wanted, strict=True):
        assert mine.dtype == torch.bfloat16
        assert_near(mine.float(), other, 2**-7)  # the states before each step are rounded too


@needs_compiler
def test_bfloat16_keeps_what_is_no_number_and_rounds_to_even():
    for value in (math.nan, math.inf, -math.inf, 3.4e38):
        b = torch.full((1, 37), value).to(torch.bfloat16)
        found = scan(torch.zeros_like(b), b)
        assert torch.equal(found, b) or bool(b.isnan().all() and found.isnan().all())
    pairs = torch.tensor([1.0, 2**-8, 1.0078125, 2**-8]).to(torch.bfloat16).reshape(2, 2)
    sums = scan(torch.ones(2, 2).to(torch.bfloat16), pairs.T.contiguous())[-1]
    assert sums.tolist() == [1.0, 1.015625]  # 1 + 2^-8 and 1 + 3 2^-8 lie half-way


def test_half_precision_is_computed_in_single():
    x, b, h, _ = numbers((20, 3), 0, "a")
    for dtype in (torch.bfloat16, torch.float16):
        given = [t.to(dtype) for t in (x, b, h)]
        assert torch.equal(scan(*given), scan(*(t.float() for t in given)).to(dtype))


def test_a_decay_of_each_channel_is_for_all_steps():
    b = torch.randn(5, 2, 3)
    a = torch.tensor([0.5, 0.9, 1.0]).requires_grad_()
    scan(a, b).sum().backward()
    of_one, a.grad = a.grad, None
    scan(a.expand(5, 2, 3).clone(), b).sum().backward()
    torch.testing.assert_close(of_one, a.grad)


@pytest.mark.parametrize("kind", ["log a", "lru"])
def test_without_a_compiler_a_loop_does_it(kind, monkeypatch):
    monkeypatch.setenv("GATEFLOW_COMPILER", "none")
    x, b, h, g = numbers((6, 3), 0, kind)
    given = [t.requires_grad_() for t in (x, b, h)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = scan(*given, **DECAYS[kind][2])
        gradients = torch.autograd.grad(found, given, g)
    expected = naive(DECAYS[kind][1](x), b, h, 0)
    assert_near(found, expected, 1e-12)
    for mine, theirs in zip(gradients, torch.autograd.grad(expected, given, g), strict=True):
        assert_near(mine, theirs, 1e-10)


def test_a_sequence_without_steps_has_no_states_and_one_without_columns_no_numbers():
    given = [torch.ones(*shape).requires_grad_() for shape in ((0, 3), (0, 3), (3,))]
    states = scan(*given)
    assert states.shape == (0, 3)
    gradients = torch.autograd.grad(states.sum(), given, allow_unused=True, materialize_grads=True)
    assert [g.abs().sum() for g in gradients] == [0, 0, 0]
    given = [torch.ones(*shape).requires_grad_() for shape in ((4, 0), (4, 0), (0,))]
    scan(*given).sum().backward()


@pytest.mark.parametrize(
    ("given", "options", "error", "said"),
    [
        ((torch.ones(3), torch.ones(4)), {}, InvalidTensor, "does not broadcast"),
        ((torch.ones(3), torch.ones(3), torch.ones(2)), {}, InvalidTensor, "start"),
        ((torch.ones(3), torch.ones(3).double()), {}, InvalidTensor, "one type"),
        ((torch.ones(3, dtype=torch.int64), torch.ones(3, dtype=torch.int64)), {}, InvalidTensor, "floats"),
        (("a", torch.ones(3)), {}, InvalidTensor, "dense tensors; got str"),
        ((torch.ones(3), torch.ones(3), 1.0), {}, InvalidTensor, "dense tensors; got float"),
        ((torch.ones(3).to_sparse(), torch.ones(3)), {}, InvalidTensor, "dense tensors; got sparse_coo"),
        ((torch.ones(3), torch.ones(3, device="meta")), {}, InvalidTensor, "of one device"),
        ((torch.ones(3) + 0j, torch.ones(3)), {"gate": "fast"}, InvalidTensor, "a gate is of real numbers"),
        ((torch.ones(3) + 0j, torch.ones(3).double()), {}, InvalidTensor, "one type"),
        ((torch.ones(3), torch.ones(3)), {"dim": 1}, InvalidArgument, "dim"),
        ((torch.ones(3), torch.ones(3)), {"log": True, "gate": "fast"}, InvalidArgument, "not both"),
        ((torch.ones(3), torch.ones(3)), {"gate": "retnet"}, InvalidArgument, "not learned"),
    ],
)
def test_what_does_not_fit_is_refused(given, options, error, said):
    with pytest.raises(error, match=said):
        scan(*given, **options)


def test_a_gate_is_declared_with_its_parameters():
    assert declared("hgrn(low=1/4)") == "3*sigmoid(z)/4 + 1/4"
    assert declared("fast(alpha=2)") == "sigmoid(sinh(2*z)/2)"


def test_the_operator_itself_looks_at_what_compiled_code_takes_on_trust():
    one, op = torch.ones(4, 2), torch.ops.gateflow.scan
    for decay, start, dim in ((one[:3], None, 0), (one.double(), None, 0), (one, one, 0), (one, None, 2)):
        with pytest.raises(InvalidTensor, match="gateflow::scan"):
            op(decay, one, start, "a", dim)
    with pytest.raises(InvalidTensor, match="gateflow::scan"):
        torch.ops.gateflow.scan_backward(one, one[:3], one, None, "a", 0)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # by torch.func.jvp itself
@pytest.mark.parametrize("kind", ["a", "sigmoid"])
def test_transforms_of_a_scan_are_those_of_the_loop(kind):
    """Gradients, tangents and second derivatives in each argument, one by one and in bulk."""
    make, decay, options = DECAYS[kind]
    generator = torch.Generator().manual_seed(5)
    z, b = (torch.randn(5, 3, dtype=torch.float64, generator=generator) for _ in range(2))
    given, start = make(z), torch.randn(3, dtype=torch.float64, generator=generator)

    def ours(given, b, start):
        return scan(given, b, start, **options).sin().sum()

    def loop(given, b, start):
        return naive(decay(given), b, start, 0).sin().sum()

    args = given, b, start
    for n in range(3):
        for transform in (grad, hessian):
            assert torch.allclose(transform(ours, n)(*args), transform(loop, n)(*args), rtol=1e-10, atol=1e-12)
    several = torch.stack([given, given / 2])
    each = vmap(grad(ours), (0, None, None))(several, b, start)
    assert torch.allclose(each, vmap(grad(loop), (0, None, None))(several, b, start), rtol=1e-10, atol=1e-12)
    along = vmap(lambda given: scan(given, b, start, **options), 1, 2)(several.movedim(0, 1))
    wanted = torch.stack([scan(given, b, start, **options) for given in several], 2)
    assert torch.allclose(along, wanted, rtol=1e-12, atol=0)


def spirals(dtype, log):
    """A complex decay, as it is given and itself, input, first state and gradient."""
    made = torch.Generator().manual_seed(3)
    log_a, b, h, g = (
        torch.randn(shape, dtype=torch.complex128, generator=made) for shape in [(7, 2, 3)] * 2 + [(2, 3)] * 2
    )
    log_a = torch.complex(-log_a.real.abs(), 3 * log_a.imag).to(dtype)
    return log_a if log else log_a.exp(), b.to(dtype), h.to(dtype), g.expand(7, 2, 3).to(dtype)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_complex_states_and_gradients_are_those_of_a_naive_loop(dtype, log):
    *given, g = spirals(dtype, log)
    wide = [t.to(torch.complex128).requires_grad_() for t in given]
    ours = [t.requires_grad_() for t in given]
    expected, found = naive(wide[0].exp() if log else wide[0], *wide[1:], 0), scan(*ours, log=log)
    assert found.dtype == dtype
    near = 1e-12 if dtype == torch.complex128 else 1e-6
    assert (found - expected).abs().max() < near * expected.abs().max()
    wanted = torch.autograd.grad(expected, wide, g.to(torch.complex128))
    for mine, theirs in zip(torch.autograd.grad(found, ours, g), wanted, strict=True):
        assert (mine - theirs).abs().max() < near * theirs.abs().max()


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # by PyTorch itself
def test_complex_derivatives_of_first_and_second_order_and_in_bulk():
    *given, _ = spirals(torch.complex128, log=False)
    given = [t[:3, :1] if t.dim() == 3 else t[:1] for t in given]
    given[0] = torch.cat([given[0][:1] * 0, given[0][1:]])  # of a decay of 0 too
    given = [t.requires_grad_() for t in given]
    assert torch.autograd.gradcheck(scan, given, fast_mode=True)
    assert torch.autograd.gradgradcheck(scan, given, fast_mode=True)
    a, b, h = (t.detach() for t in given)
    assert torch.allclose(vmap(scan, (None, 0, None))(a, torch.stack([b, 2 * b]), h)[1], scan(a, 2 * b, h))


def test_complex_numbers_with_real_decays():
    x, b, h, _ = numbers((6, 4), 0, "lru")
    drive, start = torch.complex(b, 2 * b), torch.complex(h, -h)
    found = scan(x, drive, start, gate="lru")
    assert torch.allclose(found, torch.complex(scan(x, b, h, gate="lru"), scan(x, 2 * b, -h, gate="lru")), rtol=1e-12)
    assert torch.equal(scan(x, drive, gate="lru"), scan(x, drive, torch.zeros_like(h), gate="lru"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # by PyTorch itself
@pytest.mark.parametrize("kind", ["log a", "lru", "complex"])
@pytest.mark.xdist_group("compiler")
def test_a_compiled_scan_is_one_graph(kind):
    if kind == "complex":
        (x, b, h, g), how = spirals(torch.complex128, log=True), {"log": True}
    else:
        (x, b, h, g), how = numbers((7, 5), 0, kind), DECAYS[kind][2]
    given = [t.requires_grad_() for t in (x, b, h)]
    compiled = torch.compile(lambda *t: scan(*t, **how), fullgraph=True, backend="aot_eager")
    found, expected = compiled(*given), scan(*given, **how)
    assert torch.allclose(found, expected, rtol=1e-12)
    for mine, theirs in zip(torch.autograd.grad(found, given, g), torch.autograd.grad(expected, given, g), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-12)


@needs_compiler
def test_a_million_complex_steps_keep_their_digits():
    steps, log_a = 1_000_000, torch.tensor(-1e-5 + 0.3j, dtype=torch.complex64)
    found = scan(log_a.expand(steps, 1), torch.ones(steps, 1), log=True)[:, 0].to(torch.complex128).numpy()
    exact = log_a.to(torch.complex128).item()
    states = np.expm1(exact * np.arange(1, steps + 1)) / np.expm1(exact) * 1.0
    assert np.abs(found / states - 1).max() < 1e-6


@needs_compiler
@pytest.mark.parametrize("kind", ["a", "log a", "sigmoid", "lru", "cloglog", "high"])
@pytest.mark.parametrize("outer", [1, 3, 80])
@pytest.mark.sampled(7)
def test_long_sequences_are_cut_into_stretches_and_joined(kind, outer, monkeypatch):
    monkeypatch.setattr(kernels, "SMALL", 1)
    monkeypatch.setattr(kernels, "STRETCHED", 40)
    x, b, h, g = numbers((outer, 1237), 1, kind)
    _, decay_of, how = DECAYS[kind]
    given = [t.requires_grad_() for t in (x, b, h)]
    expected = naive(decay_of(x), b, h, 1)
    wanted = torch.autograd.grad(expected, given, g)
    may = {torch.float64: (1e-10, 1e-12), torch.float32: (1e-6, 1e-6), torch.bfloat16: (0.05, 0.02)}
    for dtype, (near, nearer) in may.items():
        ours = [t.detach().to(dtype).requires_grad_() for t in given]
        found = scan(*ours, dim=1, **how)
        assert_near(found, expected, nearer)
        for mine, theirs in zip(torch.autograd.grad(found, ours, g.to(dtype)), wanted, strict=True):
            assert_near(mine, theirs, near)
        assert_near(scan(*ours[:2], dim=1, **how), naive(decay_of(x), b, torch.zeros_like(h), 1), nearer)


@needs_compiler
@pytest.mark.parametrize("fault", ["forward", "backward", "raises"])
def test_compiled_scans_with_a_fault_are_left_for_the_loop(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*args: Any, **options: Any) -> Any:
        if fault == "raises":
            raise RuntimeError("illegal instruction")
        found = run(*args, **options)
        return found * 1.001 if fault == "forward" else (found[0], found[1] * 1.001, found[2])

    name = "backward" if fault == "backward" else "forward"
    run, x, b = getattr(kernels, name), torch.randn(5, 3), torch.randn(5, 3)
    wanted = scan(x, b, gate="cloglog")
    monkeypatch.setattr(kernels, "_tried", {})
    monkeypatch.setattr(trust, "_known", {})
    monkeypatch.setattr(trust.compiler, "recalled", lambda _: None)
    monkeypatch.setattr(trust.compiler, "keep", lambda *_: None)
    monkeypatch.setattr(native, "_warned", set())
    monkeypatch.setattr(kernels, name, faulty)
    with pytest.warns(
        RuntimeWarning, match=r"the compiled scan of 1 - \(exp\(-exp\(z\)\)\) in float32 (is off|does not run on this)"
    ):
        found = scan(x, b, gate="cloglog")
    torch.testing.assert_close(found, wanted)
