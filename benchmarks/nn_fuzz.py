"""Compiled layers against the plain loop over time: random cells, gates, shapes, layouts, lengths and extreme inputs.

python -m benchmarks.nn_fuzz [--cases 10000] [--first 0] [--seed 0] > results/nn_fuzz.txt
python -m benchmarks.nn_fuzz --journal fuzz.jsonl    goes on where a run with this journal was stopped
python -m benchmarks.nn_fuzz --calls                 calls, right and wrong, of all backends: see `nn_calls`

Each case draws a cell, a gate for each of its blocks, a type, sizes, layers, directions, biases, padded or packed
sequences, a given or absent first state, and inputs of one kind: usual, large (1e30), the largest whose sum is finite,
subnormal, zero, or with NaN and infinity among them. Found wrong is: an output or state that is no number where the
loop has one, or the other way about, or where all that came in is finite; and, for usual, subnormal and zero inputs,
an output, state or gradient that is further off the loop in float64 than rounding allows: 1e-12 in float64, 1e-5 in
float32, or four times as far as the loop in float32 (a sum may cancel); where PyTorch's switch allows products of
bfloat16, .1 or four times as far as the loop with weights, input and state rounded to it; relative to its own largest
number, or to a thousandth of the largest of all where that is more (a gate's slope is known to so much of its
largest, not of itself).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from benchmarks import nn_calls
from gateflow.gates.gate import GATES
from gateflow.nn import CELLS
from gateflow.nn.cells.ur_lstm import URLSTM
from gateflow.nn.functional import gate_function
from gateflow.nn.kernels import native
from gateflow.nn.recurrent import Recurrent
from gateflow.progress import track

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
SHORT = 0.1


class _URLSTM(URLSTM):
    """Without its own start, whose inverses in big floats would be most of the time of a case: see ``wide``."""

    reset_parameters = Recurrent.reset_parameters


known_gate = lru_cache(maxsize=None)(gate_function)
"""The gate's function, made once for all cases."""


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
        "wide": rng.random() < 0.4,
        "short": rng.random() < 0.2,
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
    output, final = layer(sent, start if start is None or len(start) > 1 else next(iter(start)))
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


def layers(name: str, options: dict[str, Any], case: dict[str, Any]) -> tuple[Recurrent, Recurrent]:
    """The compiled layer, and the plain loop in float64 with the same weights."""
    cell = _URLSTM if name == "ur-lstm" else CELLS[name]
    options = {key: known_gate(value) if key.endswith("_gate") else value for key, value in options.items()}
    plain = cell(backend="reference", dtype=torch.float64, **options)
    fast = cell(backend="native", dtype=case["dtype"], **options)
    with torch.no_grad():
        size = plain.hidden_size
        for word, parameter in plain.named_parameters():
            if case["wide"] and word.startswith("bias_ih"):  # as the uniform start of the gates of so many units
                parameter.uniform_(1 / (size + 1), size / (size + 1)).logit_()
        fast.load_state_dict({k: v.to(case["dtype"]) for k, v in plain.state_dict().items()})
        plain.load_state_dict({k: v.double() for k, v in fast.state_dict().items()})
    return fast, plain


def wrong(name: str, options: dict[str, Any], case: dict[str, Any], seed: int) -> str:
    """What is wrong with a case; nothing where all is well."""
    torch.manual_seed(seed)
    fast, plain = layers(name, options, case)
    batch, time = case["batch"], case["time"]
    times = (batch, time) if options["batch_first"] else (time, batch)
    x = inputs(case, (*times, options["input_size"]))
    count = plain.num_layers * plain.num_directions
    hx = (
        tuple(torch.randn(count, batch, n, dtype=case["dtype"]) for n in plain.state_sizes()) if case["given"] else None
    )
    lengths = torch.randint(1, time + 1, (batch,)).tolist() if case["packed"] else None
    native.MOST_KEPT, native.SEGMENT = (0, 1 << 14) if case["again"] else (1 << 31, 1 << 24)
    torch.set_num_threads(case["threads"])
    torch.set_float32_matmul_precision("medium" if case["short"] else "highest")
    found = everything(fast, x.clone(), hx, lengths, seed)
    torch.set_float32_matmul_precision("highest")
    torch.set_num_threads(1)  # the loop's operations are too small to share
    wanted = everything(plain, x.clone(), hx, lengths, seed)
    states = len(plain.states) + 1
    if fast.backend_for(x) != "native":
        return "not compiled"
    if case["kind"] in ("usual", "subnormal", "zero"):
        far = off(found, wanted)
        if far < (SHORT if case["short"] and case["dtype"] == torch.float32 else TOLERANCE[case["dtype"]]):
            return ""
        if case["short"]:  # a gate that is steep or has a kink where it stands makes much of a rounding
            with torch.no_grad():
                for parameter in plain.parameters():
                    parameter.copy_(parameter.bfloat16())
            x, hx = x.bfloat16().to(x.dtype), None if hx is None else tuple(h.bfloat16().to(h.dtype) for h in hx)
        loop = off(everything(plain.to(case["dtype"]), x.clone(), hx, lengths, seed), wanted)
        return "" if case["dtype"] == torch.float32 and far < 4 * loop else f"off by {far:.1e}, the loop by {loop:.1e}"
    if case["kind"] != "not finite" and not all(a.isfinite().all() for a in found[:states]):
        return "no number from numbers"
    same = all(a.isnan().equal(b.isnan()) for a, b in zip(found[:states], wanted[:states], strict=True))
    return "" if same else "NaN here and none there"


def said_of(n: int, seed: int) -> dict[str, Any]:
    """One case: what it was of, and what is wrong with it."""
    name, options, case = drawn(random.Random(f"{seed}-{n}"))
    said = wrong(name, options, case, n)
    words = [name, case["kind"], str(case["dtype"]).removeprefix("torch.")]
    words += [word for word in ("packed", "again", "wide", "short") if case[word]]
    return {"case": n, "words": words, "wrong": said, "of": f"{name} {options} {case}" if said else ""}


def results(
    cases: range, seed: int, journal: Path | None, said_of: Callable[[int, int], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """What each case gave, those in the journal first; those that are new go there."""
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True) if journal and journal.exists() else []
    known = {
        one["case"]: one
        for one in map(json.loads, (line for line in lines if line.endswith("\n")))
        if one["seed"] == seed
    }
    yield from (known[n] for n in cases if n in known)
    for n in track([n for n in cases if n not in known], "cases"):
        start = time.process_time()
        one = {**said_of(n, seed), "seed": seed, "seconds": time.process_time() - start}
        if journal:
            with journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(one) + "\n")
        yield one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--calls", action="store_true")
    options = parser.parse_args()
    seen: Counter[str] = Counter()
    found: Counter[str] = Counter()
    seconds = 0.0
    cases, said = range(options.first, options.first + options.cases), nn_calls.said_of if options.calls else said_of
    for one in results(cases, options.seed, options.journal, said):
        seen.update(one["words"])
        seconds += one["seconds"]
        if one["wrong"]:
            found[one["wrong"].split(" by ")[0]] += 1
            print(f"case {one['case']}: {one['wrong']}: {one['of']}", flush=True)
    print(f"{options.cases} cases, seed {options.seed}: {sum(found.values())} wrong {dict(found)}")
    print(", ".join(f"{word} {count}" for word, count in sorted(seen.items())))
    print(f"{seconds:.0f} seconds of CPU")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
