"""Tensors of a safetensors file, within bounds: names and shapes first, then the numbers of those that are asked for.

The format is eight bytes with the length of a JSON header, the header, and the tensors' bytes one after the other
(github.com/huggingface/safetensors). Nothing in such a file is run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from gateflow.errors import shown
from gateflow.files.read import fits, from_json, opened

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
    """

    form: str
    shape: tuple[int, ...]
    start: int
    end: int


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
    placed = {name: _placed(name, part, 8 + length, size) for name, part in found.items()}
    in_order = sorted(placed.values(), key=lambda tensor: (tensor.start, tensor.end))
    if any(one.end > other.start for one, other in pairwise(in_order)):
        raise ValueError("tensors in it share bytes")  # a short file could else ask for long work
    return placed, about


def _placed(name: str, part: Mapping[str, Any], begin: int, size: int) -> StoredTensor:
    offsets, shape = part["data_offsets"], tuple(part["shape"])
    if len(offsets) != 2 or min(shape, default=1) < 0 or not 0 <= offsets[0] <= offsets[1] <= size - begin:
        raise ValueError(f"the tensor {shown(name)} is not within the file")
    code, form = FORMATS.get(part["dtype"], ("", part["dtype"]))
    if len(shape) > DIMENSIONS or (not code and any(form == each for _, each in FORMATS.values())):
        raise ValueError(f"the tensor {shown(name)} has a shape or a type that safetensors does not write")
    if code and offsets[1] - offsets[0] != math.prod(shape) * int(code[2]):
        raise ValueError(f"the bytes of the tensor {shown(name)} are not as many as its shape says")
    return StoredTensor(form, shape, begin + offsets[0], begin + offsets[1])


def numbers(path: Path, tensor: StoredTensor) -> Any:
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
    with opened(path) as file:
        file.seek(tensor.start)
        raw = np.frombuffer(file.read(tensor.end - tensor.start), dtype=code)
    if tensor.form == "bfloat16":
        raw = (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float64).reshape(tensor.shape)
