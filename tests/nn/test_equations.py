"""Every cell against its published equations, written naively in NumPy: one sequence and one step at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from gateflow.gates.gate import gate
from gateflow.nn import GRU, JANET, LSTM, NRU, URLSTM, NoisyLSTM, RefineLSTM
from gateflow.nn.cells.noisy import noisy_hard_sigmoid

Array = np.ndarray
INPUT, HIDDEN, TIME, BATCH = 3, 4, 6, 2


def sigma(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def run(cell: torch.nn.Module, step: Callable[..., tuple[Array, ...]], sizes: tuple[int, ...]) -> None:
    """The cell over random input from a random state, and ``step(p, x, *state)`` from the same, must agree."""
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    start = tuple(torch.randn(1, BATCH, size, dtype=torch.float64) for size in sizes)
    output, final = cell(x, start if len(start) > 1 else start[0])
    final = final if isinstance(final, tuple) else (final,)
    p = {name.removesuffix("_l0"): value.detach().numpy() for name, value in cell.named_parameters()}
    for b in range(BATCH):
        state = tuple(part[0, b].numpy() for part in start)
        for t in range(TIME):
            state = step(p, x[t, b].numpy(), *state)
            np.testing.assert_allclose(output[t, b].detach().numpy(), state[0], rtol=1e-11)
        for found, wanted in zip(final, state, strict=True):
            np.testing.assert_allclose(found[0, b].detach().numpy(), wanted, rtol=1e-11)


def lines(p: dict[str, Array], x: Array, h: Array, names: str) -> dict[str, Array]:
    """``W x + b + U h + b'`` for each block of rows."""
    z = p["weight_ih"] @ x + p["bias_ih"] + p["weight_hh"] @ h + p["bias_hh"]
    return dict(zip(names.split(), np.split(z, len(names.split())), strict=True))


def fast(z: Array) -> Array:
    return sigma(np.sinh(z))


def softsign(z: Array) -> Array:
    return (1 + (z / 2) / (1 + np.abs(z / 2))) / 2


def double(cell: type, **settings: Any) -> Any:
    return cell(INPUT, HIDDEN, dtype=torch.float64, **settings)


def test_lstm_with_three_different_gates() -> None:
    def step(p: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        z = lines(p, x, h, "i f g o")
        c = fast(z["f"]) * c + softsign(z["i"]) * np.tanh(z["g"])
        return sigma(z["o"]) * np.tanh(c), c

    run(double(LSTM, forget_gate="fast", input_gate="softsign"), step, (HIDDEN, HIDDEN))


def test_lstm_with_a_tied_input_gate() -> None:
    def step(p: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        z = lines(p, x, h, "f g o")
        f = fast(z["f"])
        c = f * c + (1 - f) * np.tanh(z["g"])
        return sigma(z["o"]) * np.tanh(c), c

    run(double(LSTM, forget_gate="fast", tied=True), step, (HIDDEN, HIDDEN))


def test_gru_with_other_gates() -> None:
    def step(p: dict[str, Array], x: Array, h: Array) -> tuple[Array]:
        a_r, a_z, a_n = np.split(p["weight_ih"] @ x + p["bias_ih"], 3)
        b_r, b_z, b_n = np.split(p["weight_hh"] @ h + p["bias_hh"], 3)
        z, r = fast(a_z + b_z), softsign(a_r + b_r)
        n = np.tanh(a_n + r * b_n)
        return ((1 - z) * n + z * h,)

    run(double(GRU, update_gate="fast", reset_gate="softsign"), step, (HIDDEN,))


@pytest.mark.parametrize(("name", "phi"), [("sigmoid", sigma), ("fast", fast)])
def test_janet(name: str, phi: Callable[[Array], Array]) -> None:
    def step(p: dict[str, Array], x: Array, c: Array) -> tuple[Array]:
        z = lines(p, x, c, "s g")
        return (phi(z["s"]) * c + (1 - phi(z["s"] - 1)) * np.tanh(z["g"]),)

    run(double(JANET, forget_gate=name), step, (HIDDEN,))


def refined(f: Array, r: Array) -> Array:
    return r * (1 - (1 - f) ** 2) + (1 - r) * f**2


@pytest.mark.parametrize(("name", "phi"), [("sigmoid", sigma), ("fast", fast)])
def test_refine_gate_with_its_own_input_gate(name: str, phi: Callable[[Array], Array]) -> None:
    def step(p: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        z = lines(p, x, h, "i f g o r")
        c = refined(phi(z["f"]), sigma(z["r"])) * c + sigma(z["i"]) * np.tanh(z["g"])
        return sigma(z["o"]) * np.tanh(c), c

    run(double(RefineLSTM, forget_gate=name, tied=False), step, (HIDDEN, HIDDEN))


def test_ur_lstm() -> None:
    def step(p: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        z = lines(p, x, h, "f g o r")
        g = refined(sigma(z["f"]), sigma(z["r"]))
        c = g * c + (1 - g) * np.tanh(z["g"])
        return sigma(z["o"]) * np.tanh(c), c

    run(double(URLSTM), step, (HIDDEN, HIDDEN))


def test_the_refined_gate_keeps_its_complement_near_saturation() -> None:
    layer = double(RefineLSTM)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.bias_ih_l0[layer.rows("forget")] = 30.0
        layer.bias_ih_l0[layer.rows("refine")] = 30.0
    *_, gates = layer(torch.zeros(1, 1, INPUT, dtype=torch.float64), return_gates=True)
    q = gate("sigmoid").phi_c(30.0)
    # 1 - g = r q**2 + (1 - r)(1 - f**2) with r = f = 1 - q
    np.testing.assert_allclose(gates[0]["input"].detach().numpy(), (1 - q) * q**2 + q * q * (2 - q), rtol=1e-13)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_nru(relu: bool, reduction: str) -> None:
    heads, memory, side = 2, 8, 4
    rectify = (lambda x: np.maximum(x, 0)) if relu else (lambda x: x)
    gather = np.mean if reduction == "mean" else np.sum

    def directions(p: Array, q: Array) -> Array:
        v = rectify(np.outer(p, q).reshape(heads, memory))
        norms = (np.abs(v) ** 5).sum(axis=1, keepdims=True) ** 0.2
        return np.divide(v, norms, out=np.zeros_like(v), where=norms > 0)

    def step(p: dict[str, Array], x: Array, h: Array, m: Array) -> tuple[Array, Array]:
        h = np.maximum(p["weight_ih"] @ x + p["weight_hh"] @ h + p["weight_mh"] @ m + p["bias_ih"] + p["bias_hh"], 0)
        a, b, p1, q1, p2, q2 = np.split(
            p["weight_head"] @ np.concatenate([h, m]) + p["bias_head"], np.cumsum([heads, heads, side, side, side])
        )
        added = rectify(a)[:, None] * directions(p1, q1) - rectify(b)[:, None] * directions(p2, q2)
        return h, m + gather(added, axis=0)

    cell = double(NRU, memory_size=memory, heads=heads, relu=relu, reduction=reduction)
    run(cell, step, (HIDDEN, memory))


def test_nru_directions_neither_overflow_nor_vanish() -> None:
    cell = NRU(INPUT, HIDDEN, memory_size=8, heads=2)
    for size in (1e-12, 1.0, 1e15):
        v = cell._directions(torch.full((1, 4), size), torch.tensor([[1.0, 2.0, -1.0, 0.5]]))
        torch.testing.assert_close((v.abs() ** 5).sum(dim=2), torch.ones(1, 2))
    assert (cell._directions(torch.zeros(1, 4), torch.zeros(1, 4)) == 0).all()


def noisy(z: Array, p: Array, noise: Array | float, alpha: float, c: float) -> Array:
    """Algorithm of Gulcehre et al.: Delta, then the spread, then the direction."""
    u = 0.25 * z + 0.5
    h = np.maximum(np.minimum(u, 1), 0)
    delta = h - u
    d = -np.sign(z) * np.sign(1 - alpha)
    return alpha * h + (1 - alpha) * u + d * c * (sigma(p * delta) - 0.5) ** 2 * noise


@pytest.mark.parametrize("half_normal", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("alpha", [1.1, 0.9])
def test_noisy_lstm(half_normal: bool, training: bool, alpha: float) -> None:
    drawn = torch.Generator().manual_seed(3)
    cell = double(NoisyLSTM, alpha=alpha, c=0.5, half_normal=half_normal, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        cell.noise_p_l0.uniform_(0.5, 2.0)
        cell.weight_ih_l0.mul_(8)  # so that gates saturate
    cell.train(training)
    if training:
        noise = [torch.randn(BATCH, 3, HIDDEN, generator=drawn, dtype=torch.float64).numpy() for _ in range(TIME)]
        noise = np.abs(noise) if half_normal else np.array(noise)
    else:
        noise = np.full((TIME, BATCH, 3, HIDDEN), np.sqrt(2 / np.pi) if half_normal else 0.0)
    steps = iter([(t, b) for b in range(BATCH) for t in range(TIME)])

    def step(p: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        z = lines(p, x, h, "i f g o")
        e = noise[next(steps)]
        i, f, o = (noisy(z[k], p["noise_p"][n], e[n], alpha, 0.5) for n, k in enumerate("ifo"))
        c = f * c + i * np.tanh(z["g"])
        return o * np.tanh(c), c

    run(cell, step, (HIDDEN, HIDDEN))


def noisy_tanh(z: Array, p: Array, noise: Array | float) -> Array:
    h = np.maximum(np.minimum(z, 1), -1)
    delta = h - z
    return 1.15 * h - 0.15 * z + np.sign(z) * 0.5 * (sigma(p * delta) - 0.5) ** 2 * noise


@pytest.mark.parametrize("training", [True, False])
def test_noisy_lstm_with_the_noisy_tanh(training: bool) -> None:
    drawn = torch.Generator().manual_seed(3)
    cell = double(NoisyLSTM, noisy_tanh=True, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        cell.noise_p_tanh_l0.uniform_(0.5, 2.0)
        cell.weight_ih_l0.mul_(8)  # so that gates and candidates saturate
    cell.train(training)

    def normal(*shape: int) -> Array:
        return torch.randn(BATCH, *shape, generator=drawn, dtype=torch.float64).numpy()

    if training:  # in each step for the gates, the candidate, the cell
        noise = [(np.abs(normal(3, HIDDEN)), normal(HIDDEN), normal(HIDDEN)) for _ in range(TIME)]
    else:
        noise = [(np.full((BATCH, 3, HIDDEN), np.sqrt(2 / np.pi)), *np.zeros((2, BATCH, HIDDEN)))] * TIME
    steps = iter([(t, b) for b in range(BATCH) for t in range(TIME)])

    def step(p: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        z = lines(p, x, h, "i f g o")
        t, b = next(steps)
        gates, candidate, state = (each[b] for each in noise[t])
        i, f, o = (noisy(z[k], p["noise_p"][n], gates[n], 1.1, 0.15) for n, k in enumerate("ifo"))
        c = f * c + i * noisy_tanh(z["g"], p["noise_p_tanh"][0], candidate)
        return o * noisy_tanh(c, p["noise_p_tanh"][1], state), c

    run(cell, step, (HIDDEN, HIDDEN))


def test_the_noisy_gate_is_the_hard_gate_inside_and_unbiased_outside() -> None:
    z = torch.linspace(-2, 2, 9, dtype=torch.float64)
    one = torch.tensor(1.0)
    torch.testing.assert_close(noisy_hard_sigmoid(z, one, 5.0), z / 4 + 0.5, rtol=0, atol=1e-15)
    outside = torch.full((200_000,), 7.0, dtype=torch.float64)
    noise = torch.randn(outside.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).abs()
    sample = noisy_hard_sigmoid(outside, one, noise, c=2.0)
    expected = noisy_hard_sigmoid(outside[:1], one, (2 / torch.pi) ** 0.5, c=2.0)
    assert abs(sample.mean() - expected).item() < 4 * sample.std().item() / 200_000**0.5
