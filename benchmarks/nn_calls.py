"""Calls of layers as people make them, right and wrong, beside ``torch.nn.LSTM`` and a loop of NumPy; for `nn_fuzz`.

Each case draws a cell, a gate, a backend, types, devices, views, sizes, packed or padded input, a state, autocast, a
mode of gradients, and what is done to the weights: pruned, parametrised, tied, or one of another type, shape or device.
Where PyTorch's own layer raises, this must raise an error of the same kind (or `InvalidTensor`, where PyTorch stumbles
over an attribute or an index); else output and states must be those of a loop in NumPy, in float64, and of PyTorch's
type.
"""

from __future__ import annotations

import random
import warnings
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from gateflow.errors import InvalidArgument, InvalidTensor
from gateflow.gates.gate import GATES
from gateflow.gates.gate import gate as named_gate
from gateflow.nn import GRU, LSTM
from gateflow.nn.functional import gate_function

TYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
ODD_TYPES = (*TYPES, torch.int64, torch.bool, torch.complex64)
TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-5, torch.bfloat16: 0.1, torch.float16: 0.02}
VIEWS = ("whole", "whole", "turned", "every other", "to be negated", "expanded", "offset", "sparse")
EDITS = ("none",) * 8 + (
    "pruned",
    "doubled",
    "weight norm",
    "tied",
    "more",
    "other type",
    "short",
    "meta",
    "gone",
    "no bias",
)
STUMBLES = (NotImplementedError, AttributeError, IndexError, KeyError)
OTHERS = {"LSTM": ("input_gate", "output_gate"), "GRU": ("reset_gate",)}
known_gate = lru_cache(maxsize=None)(gate_function)
"""The gate's function, made once for all cases."""


class _Doubled(torch.nn.Module):
    def forward(self, w: torch.Tensor) -> torch.Tensor:
        return 2 * w


def drawn(rng: random.Random) -> dict[str, Any]:
    """A case."""
    often = lambda usual, others, share=0.05: rng.choice(others) if rng.random() < share else usual  # noqa: E731
    dtype = rng.choice((torch.float32, *TYPES))
    cell = rng.choice(("LSTM", "GRU"))
    gate = rng.choice(("sigmoid", rng.choice(list(GATES))))
    layers = rng.choice((1, 1, 2))
    device = often("cpu", ["meta"], 0.04)
    case = {
        "cell": cell,
        "gate": gate,
        "backend": rng.choice(("auto", "auto", "native", "torch", "reference", "framework")),
        "dtype": dtype,
        "input_type": often(dtype, ODD_TYPES),
        "state_type": often(dtype, ODD_TYPES),
        "device": device,
        "input_device": often(device, ["cpu", "meta"]),
        "state_device": often(device, ["cpu", "meta"]),
        "view": rng.choice(VIEWS),
        "inputs": rng.randint(1, 9),
        "hidden": rng.choice((1, 2, 5, 16, 17, 40)),
        "features": often(0, [-1, 1]),
        "batch": often(rng.randint(1, 9), [0, 70]),
        "time": often(rng.randint(1, 9), [0, 40]),
        "layers": layers,
        "bidirectional": rng.random() < 0.3,
        "batch_first": rng.random() < 0.5,
        "bias": rng.random() < 0.8,
        "form": rng.choice(("padded", "padded", "packed", "single")),
        "lengths": often("right", ["short", "rising", "int32"]),
        "state": often(
            rng.choice(("none", "given")), ["one more", "batch", "size", "flat", "parts", "words", "nested"], 0.1
        ),
        "autocast": often(None, [torch.bfloat16, torch.float16], 0.2),
        "mode": rng.choice(("grad", "grad", "no_grad", "inference")),
        "edit": rng.choice(EDITS) if device == "cpu" else "none",
        "threads": rng.choice((1, 1, 2)),
    }
    elsewhere = "meta" in (case["device"], case["input_device"])
    if (case["backend"] == "framework" and gate != "sigmoid") or elsewhere:
        case["backend"] = "auto"
    if layers == 1 and case["edit"] == "tied":
        case["edit"] = "none"
    return case


def viewed(t: torch.Tensor, view: str) -> torch.Tensor:
    """The same numbers in another layout; for expanded, those of the first row."""
    match view:
        case "turned":
            return t.movedim(0, -1).contiguous().movedim(-1, 0)
        case "every other":
            return torch.stack([t, t], -1).flatten(-2)[..., ::2]
        case "to be negated" if t.dtype in (torch.float32, torch.float64):
            return torch.complex(torch.zeros_like(t), -t).conj().imag
        case "expanded" if t.shape[0]:
            return t[:1].expand_as(t)
        case "offset":
            return torch.cat([t.flatten()[:1], t.flatten()])[t.numel() > 0 :].view(t.shape)
        case "sparse":
            return t.to_sparse()
    return t


def made(case: dict[str, Any], seed: int) -> tuple[Any, Any, Any, Any]:
    """Our layer, PyTorch's with the same weights (None where it would read past their ends), input and state."""
    generator = torch.Generator().manual_seed(seed)
    numbers = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    words = ("layers", "bias", "batch_first", "bidirectional")
    options = {{"layers": "num_layers"}.get(word, word): case[word] for word in words}
    options |= {"dtype": case["dtype"], "device": case["device"]}
    sizes = case["inputs"], case["hidden"]
    theirs = getattr(torch.nn, case["cell"])(*sizes, **options)
    word = {"LSTM": "forget_gate", "GRU": "update_gate"}[case["cell"]]
    words = {word: known_gate(case["gate"])} | {other: known_gate("sigmoid") for other in OTHERS[case["cell"]]}
    ours = {"LSTM": LSTM, "GRU": GRU}[case["cell"]](*sizes, backend=case["backend"], **words, **options)
    if case["device"] == "cpu":
        with torch.no_grad():
            for parameter in ours.parameters():
                parameter.copy_(numbers(*parameter.shape) / case["hidden"] ** 0.5)
    edited(ours, case["edit"])
    if case["edit"] in ("short", "gone", "meta", "no bias", "other type"):
        theirs = None
    elif case["device"] == "cpu":
        with torch.no_grad():
            for name, parameter in theirs.named_parameters():
                parameter.copy_(getattr(ours, name))
    features, time, batch = case["inputs"] + case["features"], case["time"], case["batch"]
    first = {"padded": (batch, time) if case["batch_first"] else (time, batch), "single": (time,)}
    if case["form"] == "packed":
        lengths = sorted(
            (int(n) for n in torch.randint(1, max(time, 1) + 1, (batch,), generator=generator)), reverse=True
        )
        counts = [sum(length > t for length in lengths) for t in range(max(lengths, default=0))]
        rows = sum(counts)
        if case["lengths"] == "rising":
            counts = counts[::-1]
        kind = torch.int32 if case["lengths"] == "int32" else torch.int64
        data = numbers(rows + (case["lengths"] == "short"), features)
        x = PackedSequence(_as(data, case, "input"), torch.tensor(counts, dtype=kind))
        batch = max(counts, default=0)
    else:
        x = _as(numbers(*first[case["form"]], features), case, "input")
    return ours, theirs, x, _state(case, numbers, batch)


def _as(t: torch.Tensor, case: dict[str, Any], what: str) -> torch.Tensor:
    t = viewed(t.to(case[f"{what}_type"]), case["view"])
    return t if t.is_sparse and case[f"{what}_device"] == "meta" else t.to(case[f"{what}_device"])


def _state(case: dict[str, Any], numbers: Any, batch: int) -> Any:
    kind, parts = case["state"], {"LSTM": 2, "GRU": 1}[case["cell"]]
    if kind == "none":
        return None
    if kind == "words":
        return "state"
    count = case["layers"] * (2 if case["bidirectional"] else 1) + (kind == "one more")
    shape = (count, batch + (kind == "batch"), case["hidden"] + (kind == "size"))
    single = case["form"] == "single"
    shape = shape[::2] if single != (kind == "flat") else shape
    tensors = tuple(_as(numbers(*shape), case, "state") for _ in range(parts + (kind == "parts")))
    only = tensors if len(tensors) > 1 else next(iter(tensors))
    return (tensors,) if kind == "nested" else only


def edited(layer: Any, edit: str) -> None:
    """What is done to the weights."""
    weight = layer.weight_hh_l0
    match edit:
        case "pruned":
            prune.random_unstructured(layer, "weight_hh_l0", 0.5)
        case "doubled":
            parametrize.register_parametrization(layer, "weight_hh_l0", _Doubled())
        case "weight norm" if weight.dtype in (torch.float32, torch.float64):
            parametrizations.weight_norm(layer, "weight_hh_l0")
        case "tied":
            layer.weight_hh_l1 = layer.weight_hh_l0
        case "more":
            layer.scale = torch.nn.Parameter(torch.ones(3))
        case "other type":
            other = torch.float32 if weight.dtype == torch.float64 else torch.float64
            layer.weight_hh_l0 = torch.nn.Parameter(weight.detach().to(other))
        case "short":
            layer.weight_hh_l0 = torch.nn.Parameter(weight.detach()[:-1].clone())
        case "meta":
            layer.weight_hh_l0 = torch.nn.Parameter(weight.detach().to("meta"))
        case "gone":
            del layer.weight_hh_l0
        case "no bias" if layer.bias:
            layer.bias_ih_l0 = None


def looped(layer: Any, case: dict[str, Any], x: Any, hx: Any) -> list[np.ndarray]:
    """Output and states by NumPy in float64, from the weights as they are."""
    array = lambda t: t.detach().double().resolve_neg().numpy()  # noqa: E731
    get = lambda name: array(getattr(layer, name))  # noqa: E731
    lengths = None
    if isinstance(x, PackedSequence):
        x, lengths = pad_packed_sequence(x)
        data = array(x)
    else:
        data = array(x)
        data = data[:, None] if data.ndim == 2 else data.swapaxes(0, 1) if case["batch_first"] else data
    time, batch, _ = data.shape
    lived = np.full(batch, time) if lengths is None else lengths.numpy()
    directions = 2 if case["bidirectional"] else 1
    count, parts = case["layers"] * directions, 2 if case["cell"] == "LSTM" else 1
    if hx is None:
        start = np.zeros((parts, count, batch, case["hidden"]))
    else:
        start = np.stack([array(h).reshape(count, batch, case["hidden"]) for h in (hx if parts == 2 else (hx,))])
    final = np.zeros_like(start)
    for number in range(case["layers"]):
        outputs = []
        for direction in range(directions):
            suffix, at = f"l{number}" + "_reverse" * direction, number * directions + direction
            w, u = get(f"weight_ih_{suffix}"), get(f"weight_hh_{suffix}")
            zero = np.zeros(len(w))
            b, d = (get(f"bias_ih_{suffix}"), get(f"bias_hh_{suffix}")) if case["bias"] else (zero, zero)
            state, output = list(start[:, at]), np.zeros((time, batch, case["hidden"]))
            for t in reversed(range(time)) if direction else range(time):
                live = (t < lived)[:, None]
                new = _step(case, data[t] @ w.T + b, state[0] @ u.T + d, state)
                state = [np.where(live, a, old) for a, old in zip(new, state, strict=True)]
                output[t] = np.where(live, state[0], 0.0)
            final[:, at] = state
            outputs.append(output)
        data = np.concatenate(outputs, axis=2)
    return [data, *final]


def _step(case: dict[str, Any], x: np.ndarray, h: np.ndarray, state: list[np.ndarray]) -> list[np.ndarray]:
    gate, sigmoid = named_gate(case["gate"]), named_gate("sigmoid")
    if case["cell"] == "LSTM":
        i, f, g, o = np.split(x + h, 4, axis=1)
        c = gate.phi(f) * state[1] + sigmoid.phi(i) * np.tanh(g)
        return [sigmoid.phi(o) * np.tanh(c), c]
    (xr, xz, xn), (hr, hz, hn) = np.split(x, 3, axis=1), np.split(h, 3, axis=1)
    n = np.tanh(xn + sigmoid.phi(xr + hr) * hn)
    return [gate.phi_c(xz + hz) * n + gate.phi(xz + hz) * state[0]]


def called(layer: Any, case: dict[str, Any], x: Any, hx: Any) -> Any:
    """Output and states, or the error."""
    modes = {"grad": torch.enable_grad, "no_grad": torch.no_grad, "inference": torch.inference_mode}
    try:
        with modes[case["mode"]](), torch.autocast("cpu", case["autocast"], enabled=case["autocast"] is not None):
            output, final = layer(x, hx)
        parts = [output, *(final if isinstance(final, tuple) else (final,))]
        if case["mode"] == "grad" and not (output.data if isinstance(output, PackedSequence) else output).is_meta:
            (output.data if isinstance(output, PackedSequence) else output).float().sum().backward()
        return parts
    except Exception as error:
        return error


def said_of(n: int, seed: int) -> dict[str, Any]:
    """One case: what it was of, and what is wrong with it."""
    case = drawn(random.Random(f"call-{seed}-{n}"))
    torch.set_num_threads(case["threads"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrong, outcome = judged(case, n)
    kinds = (str(case[word]).removeprefix("torch.") for word in ("cell", "backend", "dtype", "form", "edit", "view"))
    words = [outcome, *kinds, *(["autocast"] if case["autocast"] else []), case["mode"]]
    return {"case": n, "words": words, "wrong": wrong, "of": str(case) if wrong else ""}


def judged(case: dict[str, Any], seed: int) -> tuple[str, str]:
    """What is wrong, and what came of it."""
    ours, theirs, x, hx = made(case, seed)
    found = called(ours, case, x, hx)
    # with a state of another shape or an input of another width, PyTorch's LSTM writes past its memory if packed
    apart = case["form"] == "packed" and (case["features"] or case["state"] in ("one more", "batch", "size", "flat"))
    wanted = InvalidTensor("state") if theirs is None or apart else called(theirs, case, x, hx)
    if theirs is None and case["edit"] == "no bias" and not case["bias"]:
        wanted = found  # there was none to take away
    if isinstance(found, InvalidArgument) and "under this autocast on this processor" in str(found):
        return (
            "",
            "raised",
        )  # by the framework's backend, for all inputs; PyTorch raises for some, by a primitive's name
    if isinstance(wanted, Exception):
        if not isinstance(found, Exception):
            lone = case["autocast"] == torch.float16 or (isinstance(x, PackedSequence) and x.data.shape[0] == 0)
            # PyTorch's own LSTM under autocast, on a processor without products of bfloat16
            lone = lone or (bool(case["autocast"]) and "could not create a primitive" in str(wanted))
            return ("", "more than PyTorch's") if lone else (f"taken, where PyTorch says {wanted}", "taken")
        same = isinstance(found, type(wanted)) or (isinstance(wanted, STUMBLES) and isinstance(found, InvalidTensor))
        return ("" if same else f"{type(found).__name__} for {type(wanted).__name__}: {found}"), "raised"
    if isinstance(found, Exception):
        # PyTorch takes packed sequences that are none, and overlooks a third part of a state
        # and meta tensors of any types
        loose = case["form"] == "packed" or case["state"] == "parts" or case["device"] == "meta"
        refused = isinstance(found, InvalidTensor) and loose
        return ("" if refused else f"{type(found).__name__}: {found}"), "raised"
    flat = [p.data if isinstance(p, PackedSequence) else p for p in found]
    if flat[0].is_meta:
        return "", "shapes"
    kinds = [p.data.dtype for p in wanted] if theirs is not None else [p.dtype for p in flat]
    if case["autocast"] != torch.float16 and [p.dtype for p in flat] != kinds:
        return f"type {flat[0].dtype} for {kinds[0]}", "computed"
    truth = looped(ours, case, x, hx)
    output = found[0]
    rows = pad_packed_sequence(output)[0] if isinstance(output, PackedSequence) else output
    if not isinstance(output, PackedSequence) and output.dim() == 3 and case["batch_first"]:
        rows = rows.transpose(0, 1)
    tolerance = max(TOLERANCE[case["autocast"] or case["dtype"]], TOLERANCE[case["dtype"]])
    for part, true in zip((rows, *found[1:]), truth, strict=True):
        error = np.abs(part.detach().double().numpy().reshape(true.shape) - true).max(initial=0.0)
        if not error <= tolerance * max(1.0, np.abs(true).max(initial=0.0)):
            return f"off by {error:.1e}", "computed"
    return "", "computed"
