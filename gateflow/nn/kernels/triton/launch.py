"""Whether kernels can run here, and how one is launched."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from gateflow.errors import InvalidArgument, MissingExtra
from gateflow.nn.functional import GateFunction

TYPES = (torch.float32, torch.bfloat16)
"""What the layer may be of; steps are computed in float32 either way."""

HOPPER = 227 * 1024
"""Bytes of shared memory that a program may have on a Hopper GPU: what the interpreter pretends to."""


def reason_against(device: torch.device, dtype: torch.dtype, gates: Iterable[GateFunction | None]) -> str | None:
    """Why kernels for GPUs cannot run on such tensors, in one clause; None where they can."""
    if not installed():
        return str(MissingExtra("a kernel for GPUs", "gpu"))
    if dtype not in TYPES:
        return f"GPU kernels are for float32 and bfloat16, not {str(dtype).removeprefix('torch.')}"
    if device.type != "cuda" and not (device.type == "cpu" and interpreted()):
        return f"GPU kernels are for tensors on a CUDA device, not on {device.type}"
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        return "GPU kernels are for NVIDIA's GPUs of compute capability 8.0 and later"
    return next(filter(None, map(_no_form, gates)), None)


def check(device: torch.device, dtype: torch.dtype, gates: Iterable[GateFunction | None]) -> None:
    """Nothing, where kernels can run on such tensors.

    Raises
    ------
    MissingExtra
        Triton is not installed.
    InvalidArgument
        Some other reason.
    """
    if not installed():
        raise MissingExtra("a kernel for GPUs", "gpu")
    reason = reason_against(device, dtype, gates)
    if reason is not None:
        raise InvalidArgument(reason)


@lru_cache(maxsize=1)
def installed() -> bool:
    """Whether there is a Triton, which is not imported by this."""
    return importlib.util.find_spec("triton") is not None


def interpreted() -> bool:
    """Whether Triton runs its kernels in NumPy, on the CPU."""
    from triton import JITFunction

    from gateflow.nn.kernels.triton import lstm_kernels

    return not isinstance(lstm_kernels.whole_forward, JITFunction)


def _no_form(function: GateFunction | None) -> str | None:
    if function is None:
        return None
    from gateflow.nn.kernels.triton.gates import gate_source

    try:
        gate_source(function)
    except InvalidArgument as reason:
        return str(reason)
    return None


def launch(kernel: Any, programs: int, *args: Any, warps: int = 4, **constants: Any) -> None:
    """Run a kernel in a number of programs, on the device of its tensors."""
    device = next(arg.device for arg in args if isinstance(arg, torch.Tensor))
    on_cuda = device.type == "cuda"
    place: Any = torch.cuda.device(device) if on_cuda else contextlib.nullcontext()
    # both branches of a where are computed; on a CPU NumPy would warn of the one that is not taken
    with place, np.errstate(all="ignore"):
        kernel[(programs,)](*args, num_warps=warps, enable_fp_fusion=True, **constants)


def operand(dtype: torch.dtype) -> Any:
    """The type that operands of matrix products have in a kernel; see :mod:`.lstm_kernels`."""
    import triton.language as tl

    return tl.bfloat16 if dtype == torch.bfloat16 and not interpreted() else tl.float32


def precision() -> str:
    """How float32 products are made: as ``torch.set_float32_matmul_precision`` says; PyTorch's default is exact."""
    return "ieee" if torch.get_float32_matmul_precision() == "highest" else "tf32"


@lru_cache(maxsize=16)
def shared_memory(device: torch.device) -> int:
    """Bytes of shared memory that a program may have."""
    if device.type != "cuda":
        return HOPPER
    properties = torch.cuda.get_device_properties(device)
    return int(getattr(properties, "shared_memory_per_block_optin", 48 * 1024))
