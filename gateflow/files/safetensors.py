"""Tensors of a safetensors file, within bounds: names and shapes first, then the numbers of those that are asked for.

A large model is in several files, *shards*, with an index beside them that says in which each tensor is
(huggingface.co/docs/transformers/big_models).

The format is eight bytes with the length of a JSON header, the header, and the tensors' bytes one after the other
(github.com/huggingface/safetensors). Nothing in such a file is run.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from gateflow.errors import shown
from gateflow.files.read import fits, from_json, opened, read_json

HEADER = 1 << 24
"""Bytes of a header, at most."""

MOST = 1 << 26
"""Bytes of a tensor whose numbers are read, at most."""

DIMENSIONS = 64
"""Of a tensor, at most: as many as NumPy takes."""

FORMATS = {"F64": ("<f8", "float64"), "F32": ("<f4", "float32"), "F16": ("<f2", "float16"), "BF16": ("<u2", "bfloat16")}
"""How the numbers of floating-point tensors are stored, and the format's name in PyTorch."""


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor stands in a file.

    Attributes
    ----------
    form : str
        Its float format in PyTorch's words; what the file calls it where that is none.
    shape : tuple of int
    start, end : int
        Bytes of the file.
    path : Path
        The file.
    """

    form: str
    shape: tuple[int, ...]
    start: int
    end: int
    path: Path


def stored(path: Path) -> tuple[dict[str, StoredTensor], dict[str, Any]]:
    """The tensors of a file by name, and what it says of itself.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is no such file, or its header says what cannot be.
    """
    with opened(path) as file:
        size = path.stat().st_size
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or not 2 <= length <= min(HEADER, size - 8):
            raise ValueError("it is no safetensors file: the length of its header cannot be")
        header = from_json(file.read(length))
    entry = {"dtype": str, "shape": [int], "data_offsets": [int]}
    if not isinstance(header, dict):
        raise ValueError("it is no safetensors file: its header is no table")
    about = header.pop("__metadata__", None) or {}
    if not fits(about, {str: str}):
        raise ValueError("what it says of itself is no table of texts")
    found = header
    if not all(fits(part, entry) for part in found.values()):
        raise ValueError("a tensor in its header lacks a type, a shape or its place")
    placed = {name: _placed(path, name, part, 8 + length, size) for name, part in found.items()}
    in_order = sorted(placed.values(), key=lambda tensor: (tensor.start, tensor.end))
    if any(one.end > other.start for one, other in pairwise(in_order)):
        raise ValueError("tensors in it share bytes")  # a short file could else ask for long work
    return placed, about


def _placed(path: Path, name: str, part: Mapping[str, Any], begin: int, size: int) -> StoredTensor:
    offsets, shape = part["data_offsets"], tuple(part["shape"])
    if len(offsets) != 2 or min(shape, default=1) < 0 or not 0 <= offsets[0] <= offsets[1] <= size - begin:
        raise ValueError(f"the tensor {shown(name)} is not within the file")
    code, form = FORMATS.get(part["dtype"], ("", part["dtype"]))
    if len(shape) > DIMENSIONS or (not code and any(form == each for _, each in FORMATS.values())):
        raise ValueError(f"the tensor {shown(name)} has a shape or a type that safetensors does not write")
    if code and offsets[1] - offsets[0] != math.prod(shape) * int(code[2]):
        raise ValueError(f"the bytes of the tensor {shown(name)} are not as many as its shape says")
    return StoredTensor(form, shape, begin + offsets[0], begin + offsets[1], path)


INDEX = ".safetensors.index.json"
"""How the name of an index ends."""

MOST_SHARDS = 10_000

_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors")


def stored_in(path: Path) -> tuple[dict[str, StoredTensor], dict[str, Any]]:
    """The tensors of a file, of the shards that an index names, or of what a folder holds of the two.

    The shards are what the index says, and nothing is left over: each has the tensors that the index has in it and no
    others, none of their numbers is missing, and no shard of the same model lies beside them.

    Raises
    ------
    OSError
        A file cannot be read.
    ValueError
        It is no such file, the index leads out of its folder, or shards and index contradict each other.
    """
    if path.is_dir():
        path = _only_one(path)
    if not path.name.endswith(".json"):
        return stored(path)
    index = read_json(path, HEADER)
    if not fits(index, {"weight_map": {str: str}}) or not index["weight_map"]:
        raise ValueError("it is no index of shards: it has no weight_map of names to files")
    held: dict[str, set[str]] = {}
    for name, shard in index["weight_map"].items():
        held.setdefault(shard, set()).add(name)
    _check_names(path, list(held))
    tensors: dict[str, StoredTensor] = {}
    about: dict[str, Any] = {}
    for shard, names in held.items():
        found, said = _of_shard(path.parent / shard)
        if names != found.keys():
            name = min(names ^ found.keys())
            where = index["weight_map"].get(name)
            whose = "in no shard" if where is None else f"in {shown(where)}"
            there = "is not there" if name in names else f"is in {shown(shard)}"
            raise ValueError(f"the index has the tensor {shown(name)} {whose}, and it {there}")
        tensors |= found
        about |= said
    return tensors, about


def _of_shard(path: Path) -> tuple[dict[str, StoredTensor], dict[str, Any]]:
    try:
        return stored(path)
    except FileNotFoundError:
        raise ValueError(f"the shard {shown(path.name)} is missing") from None
    except OSError as problem:
        raise ValueError(f"the shard {shown(path.name)} cannot be read: {problem.strerror or problem}") from None
    except ValueError as problem:
        raise ValueError(f"the shard {shown(path.name)}: {problem}") from None


def _only_one(folder: Path) -> Path:
    """The one index in a folder, or the one file where there is no index."""
    names = sorted(name for name in os.listdir(folder) if name.endswith((".safetensors", INDEX)))
    indexes = [name for name in names if name.endswith(INDEX)]
    whole = [name for name in names if not name.endswith(INDEX) and not _SHARD.fullmatch(name)]
    stems = {name.removesuffix(INDEX) for name in indexes}
    found = [*indexes, *(name for name in whole if not indexes or name.removesuffix(".safetensors") in stems)]
    if len(found) == 1:
        return folder / found[0]
    if not found and names:
        raise ValueError(f"it holds shards, such as {shown(names[0])}, and no index of them (*{INDEX})")
    if not found:
        raise ValueError(f"it holds no .safetensors file and no index of shards (*{INDEX})")
    raise ValueError(f"it holds {shown(found[0])} and {shown(found[1])}; give one of them")


def _check_names(index: Path, shards: Sequence[str]) -> None:
    """Complain of shards that are not files beside the index, or not all of one model."""
    if len(shards) > MOST_SHARDS:
        raise ValueError(f"it names {len(shards)} files, and at most {MOST_SHARDS} are read")
    for name in shards:
        if not name.endswith(".safetensors") or re.search(r"[/\\:\0]", name):
            raise ValueError(f"it names {shown(name)}, which is no .safetensors file beside it")
    numbered = [match for name in shards if (match := _SHARD.fullmatch(name))]
    for stem, many in sorted({(match[1], match[3]) for match in numbered}):
        there = {int(match[2]) for match in numbered if (match[1], match[3]) == (stem, many)}
        if missing := next((n for n in range(1, min(int(many), MOST_SHARDS) + 1) if n not in there), None):
            raise ValueError(f"it names no tensor in {shown(f'{stem}-{missing:05d}-of-{many}.safetensors')}")
    stems = {match[1] for match in numbered}
    for name in sorted(os.listdir(index.parent)):
        match = _SHARD.fullmatch(name)
        if match and match[1] in stems and name not in shards:
            raise ValueError(f"it names no tensor in {shown(name)}, which lies beside its shards: an old one?")


def numbers(tensor: StoredTensor) -> Any:
    """The numbers of a tensor as float64.

    Raises
    ------
    ValueError
        It holds no floats, or too many of them.
    """
    import numpy as np

    code = next((code for code, form in FORMATS.values() if form == tensor.form), None)
    if code is None:
        raise ValueError(f"a tensor of type {tensor.form} holds no floats")
    if tensor.end - tensor.start > MOST:
        raise ValueError(f"a tensor has {tensor.end - tensor.start} bytes, and at most {MOST} are read")
    with opened(tensor.path) as file:
        file.seek(tensor.start)
        raw = np.frombuffer(file.read(tensor.end - tensor.start), dtype=code)
    if tensor.form == "bfloat16":
        raw = (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float64).reshape(tensor.shape)
