"""What a layer is given and what it holds, looked at before anything is computed: one place for all cells and backends.

Compiled code reads whatever memory its arguments point to. So every tensor has its type, device, layout and shape
compared with what the layer says of itself; what does not fit is an error of the kind that PyTorch raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gateflow.errors import InvalidLayout, InvalidTensor
from gateflow.nn.functional import WORKING


def check_input(input: Any, features: int) -> None:
    """The input as it was given.

    Raises
    ------
    InvalidTensor
        It is no tensor, has a layout or a shape that no layer takes, or lengths that do not fit its rows.
    """
    packed = isinstance(input, PackedSequence)
    data = input.data if packed else input
    check_kind("the input", data)
    if packed and data.dim() != 2:
        raise InvalidTensor(f"the data of a packed sequence must have 2 dimensions; they have {data.dim()}")
    if data.dim() not in (2, 3):
        raise InvalidTensor(f"input must have 2 dimensions, or 3 with a batch; it has {data.dim()}")
    if data.shape[-1] != features:
        raise InvalidTensor(f"input has {data.shape[-1]} features; the layer takes {features}")
    if packed:
        check_lengths(input.batch_sizes, len(data))


def state_parts(hx: Any, cell: str, names: Sequence[str]) -> tuple[Tensor, ...]:
    """A state as it was given, one tensor for each of its parts.

    Raises
    ------
    InvalidTensor
        It is something else.
    """
    parts = " and ".join(names)
    if len(names) == 1:
        check_kind(f"the state of {cell}, {parts},", hx)
        return (hx,)
    if not isinstance(hx, (tuple, list)):
        found = "1 tensor" if isinstance(hx, Tensor) else type(hx).__name__
        raise InvalidTensor(f"the state of {cell} is {parts}; got {found}")
    if len(hx) != len(names):
        raise InvalidTensor(f"the state of {cell} is {parts}; got {len(hx)} tensors")
    for name, part in zip(names, hx, strict=True):
        check_kind(f"the initial {name}", part)
    return tuple(hx)


def check_weights(weights: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """A layer's weights: all there, of these shapes, of one type and on one device.

    Raises
    ------
    InvalidTensor
        One is missing or differs.
    """
    values = [weights.get(name) for name in shapes]
    first = values[0]
    if (
        isinstance(first, Tensor)
        and first.layout == torch.strided
        and first.dtype in WORKING
        and all(
            isinstance(each, Tensor)
            and each.shape == shape
            and each.dtype == first.dtype
            and each.device == first.device
            and each.layout == first.layout
            for each, shape in zip(values, shapes.values(), strict=True)
        )
    ):
        return
    first = None
    for name, shape in shapes.items():
        weight = weights.get(name)
        check_kind(name, weight)
        assert weight is not None
        if tuple(weight.shape) != shape:
            raise InvalidTensor(f"{name} must have the shape {shape}; it has {tuple(weight.shape)}")
        first = weight if first is None else first
        check_like(name, weight, first, "other weights", casts=False)


def check_like(name: str, tensor: Tensor, like: Tensor, of: str = "weights", *, casts: bool) -> None:
    """Type and device; where types are cast, as under autocast, any that float32 and shorter ones can be cast to.

    Raises
    ------
    InvalidTensor
    """
    if tensor.device != like.device:
        raise InvalidTensor(f"{name} is on {tensor.device}, {of} on {like.device}; move one with .to(device)")
    if tensor.dtype not in WORKING:
        raise InvalidTensor(f"{name} must hold floating-point numbers, not {_word(tensor.dtype)}")
    long = torch.float64 in (tensor.dtype, like.dtype)
    if tensor.dtype != like.dtype and (long or not casts):
        types = f"{name} is {_word(tensor.dtype)}, {of} are {_word(like.dtype)}"
        raise InvalidTensor(f"{types}; convert one with .to(dtype)")


def check_shape(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """The shape of a part of a state.

    Raises
    ------
    InvalidTensor
    """
    if tuple(tensor.shape) != shape:
        raise InvalidTensor(f"the initial {name} must have the shape {shape}; it has {tuple(tensor.shape)}")


def check_kind(name: str, value: Any) -> None:
    """A dense tensor.

    Raises
    ------
    InvalidTensor
    """
    if not isinstance(value, Tensor):
        raise InvalidTensor(f"{name} must be a tensor; got {type(value).__name__}")
    if value.layout != torch.strided or value.is_quantized:
        kind = "quantised" if value.is_quantized else str(value.layout).removeprefix("torch.")
        raise InvalidLayout(f"{name} must be a dense tensor; it is {kind}")


def check_lengths(sizes: Tensor, rows: int) -> None:
    """How many rows of a packed sequence there are at each time.

    Raises
    ------
    InvalidTensor
    """
    if sizes.dtype != torch.int64 or sizes.dim() != 1 or sizes.device.type != "cpu":
        raise InvalidTensor("batch sizes of a packed sequence must be a vector of int64 on the CPU")
    found = sizes.tolist()
    if not found:
        raise InvalidTensor("input has no time steps")
    if min(found) < 0 or any(b > a for a, b in pairwise(found)) or sum(found) != rows:
        rule = f"not rise, not be negative, and sum to the {rows} rows of its data"
        raise InvalidTensor(f"batch sizes of a packed sequence must {rule}")


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def autocasts(device: torch.device) -> bool:
    """Whether operations on this device choose their types."""
    return torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)
