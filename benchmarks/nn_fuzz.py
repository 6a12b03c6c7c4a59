"""Compiled layers against the plain loop over time: random cells, gates, shapes, layouts, lengths and extreme inputs.

python -m benchmarks.nn_fuzz [--cases 10000] [--first 0] [--seed 0] > results/nn_fuzz.txt

Each case draws a cell, a gate for each of its blocks, a type, sizes, layers, directions, biases, padded or packed
sequences, a given or absent first state, and inputs of one kind: usual, large (1e30), the largest whose sum is finite,
subnormal, zero, or with NaN and infinity among them. Found wrong is: an output or state that is no number where the
loop has one, or the other way about, or where all that came in is finite; and, for usual, subnormal and zero inputs,
an output, state or gradient that is further off the loop in float64 than rounding allows: 1e-12 in float64, 1e-5 in
float32, or four times as far as the loop in float32 (a sum may cancel); relative to its own largest number, or to a
thousandth of the largest of all where that is more (a gate's slope is known to so much of its largest, not of itself).
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from gateflow.gate import GATES
from gateflow.nn import CELLS
from gateflow.nn.cells._contract import Recurrent
from gateflow.nn.kernels import native

CELL_NAMES = ("lstm", "janet", "gru", "refine", "ur-lstm")
GATE_WORDS = {
    "lstm": ("forget_gate", "input_gate", "output_gate"),
    "janet": ("forget_gate",),
    "gru": ("update_gate", "reset_gate"),
    "refine": ("forget_gate", "refine_gate", "output_gate"),
    "ur-lstm": ("forget_gate", "output_gate"),
}
FORMULAS = ("sigmoid(z**3)", "1/2 + atan(z + z**3)/pi", "where(z < 0.3, sigmoid(z), sigmoid(2*z - 0.3))")
KINDS = ("usual",) * 5 + ("large", "largest", "subnormal", "zero", "not finite")
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


def drawn(rng: random.Random) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """A cell, its options, and the rest of a case."""
    name = rng.choice(CELL_NAMES)
    gates = {word: rng.choice([*GATES, *FORMULAS]) for word in GATE_WORDS[name] if rng.random() < 0.7}
    size = lambda most: max(1, int(most ** rng.random()))  # noqa: E731
    options = {
        **gates,
        "input_size": size(80),
        "hidden_size": size(100) + (name == "ur-lstm"),  # which takes two units at least
        "num_layers": rng.choice([1, 1, 1, 2]),
        "bidirectional": rng.random() < 0.3,
        "bias": rng.random() < 0.8,
        "batch_first": rng.random() < 0.5,
    }
    if name in ("lstm", "refine"):
        options["tied"] = rng.random() < 0.5
    case = {
        "dtype": rng.choice([torch.float32, torch.float64]),
        "batch": size(90),
        "time": size(40),
        "packed": rng.random() < 0.4,
        "given": rng.random() < 0.5,
        "threads": rng.choice([1, 1, 2, 3]),
        "again": rng.random() < 0.2,
        "kind": rng.choice(KINDS),
    }
    return name, options, case


def inputs(case: dict[str, Any], shape: tuple[int, ...]) -> torch.Tensor:
    x = torch.randn(shape, dtype=case["dtype"])
    info = torch.finfo(case["dtype"])
    match case["kind"]:
        case "large":
            return 1e30 * torch.sign(x)
        case "largest":
            return (
                info.max / (4 * shape[-1]) * torch.sign(x)
            )  # past it the sum itself is inf - inf, in any order of its own
        case "subnormal":
            return x * info.tiny / 64
        case "zero":
            return torch.zeros_like(x)
        case "not finite":
            odd = torch.tensor([torch.nan, torch.inf, -torch.inf], dtype=x.dtype)
            return torch.where(torch.rand(shape) < 0.02, odd[torch.randint(3, shape)], x)
    return x


def everything(layer: Recurrent, x: torch.Tensor, hx: Any, lengths: list[int] | None, seed: int) -> list[torch.Tensor]:
    """Output, states, and the gradients of a random sum of them."""
    dtype = next(layer.parameters()).dtype
    x = x.to(dtype).requires_grad_()
    start = None if hx is None else tuple(h.to(dtype).requires_grad_() for h in hx)
    sent = x if lengths is None else pack_padded_sequence(x, lengths, layer.batch_first, enforce_sorted=False)
    output, final = layer(sent, start if start is None or len(start) > 1 else start[0])
    rows = output.data if isinstance(output, PackedSequence) else output
    parts = [rows, *(final if isinstance(final, tuple) else (final,))]
    generator = torch.Generator().manual_seed(seed)
    loss = sum((p * torch.randn(p.shape, generator=generator, dtype=torch.float64).to(dtype)).sum() for p in parts)
    leaves = [x, *(start or ()), *layer.parameters()]
    return [p.detach().double() for p in (*parts, *torch.autograd.grad(loss, leaves))]  # type: ignore[arg-type]


def off(found: list[torch.Tensor], wanted: list[torch.Tensor]) -> float:
    """The largest error of a tensor, relative to its largest number or a thousandth of the largest of all."""
    least = max(1e-3 * max(float(b.abs().max()) for b in wanted), 1e-30)
    pairs = zip(found, wanted, strict=True)
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=least)) for a, b in pairs)


def wrong(name: str, options: dict[str, Any], case: dict[str, Any], seed: int) -> str:
    """What is wrong with a case; nothing where all is well."""
    torch.manual_seed(seed)
    plain = CELLS[name](backend="reference", dtype=torch.float64, **options)
    fast = CELLS[name](backend="native", dtype=case["dtype"], **options)
    plain.to(case["dtype"]).to(torch.float64)
    fast.load_state_dict({k: v.to(case["dtype"]) for k, v in plain.state_dict().items()})
    plain.load_state_dict({k: v.double() for k, v in fast.state_dict().items()})
    batch, time = case["batch"], case["time"]
    times = (batch, time) if options["batch_first"] else (time, batch)
    x = inputs(case, (*times, options["input_size"]))
    count = plain.num_layers * plain.num_directions
    hx = (
        tuple(torch.randn(count, batch, n, dtype=case["dtype"]) for n in plain.state_sizes()) if case["given"] else None
    )
    lengths = torch.randint(1, time + 1, (batch,)).tolist() if case["packed"] else None
    torch.set_num_threads(case["threads"])
    native.MOST_KEPT, native.SEGMENT = (0, 1 << 14) if case["again"] else (1 << 31, 1 << 24)
    found, wanted = (everything(layer, x.clone(), hx, lengths, seed) for layer in (fast, plain))
    states = len(plain.states) + 1
    if fast.backend_for(x) != "native":
        return "not compiled"
    if case["kind"] in ("usual", "subnormal", "zero"):
        far = off(found, wanted)
        if far < TOLERANCE[case["dtype"]]:
            return ""
        loop = off(everything(plain.to(case["dtype"]), x.clone(), hx, lengths, seed), wanted)
        return "" if case["dtype"] == torch.float32 and far < 4 * loop else f"off by {far:.1e}, the loop by {loop:.1e}"
    if case["kind"] != "not finite" and not all(a.isfinite().all() for a in found[:states]):
        return "no number from numbers"
    same = all(a.isnan().equal(b.isnan()) for a, b in zip(found[:states], wanted[:states], strict=True))
    return "" if same else "NaN here and none there"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    seen: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for n in range(options.first, options.first + options.cases):
        name, layout, case = drawn(random.Random(f"{options.seed}-{n}"))
        said = wrong(name, layout, case, n)
        for word in (name, case["kind"], str(case["dtype"]).removeprefix("torch.")):
            seen[word] += 1
        if said:
            found[said.split(" by ")[0]] += 1
            print(f"case {n}: {said}: {name} {layout} {case}", flush=True)
    print(f"{options.cases} cases, seed {options.seed}: {sum(found.values())} wrong {dict(found)}")
    print(", ".join(f"{word} {count}" for word, count in sorted(seen.items())))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
