"""Fuzzed calls of compiled layers under the sanitizers: ``python -m tests.nn.kernels.sanitized first count``.

`test_sanitized` starts it with the libraries of AddressSanitizer and UBSan loaded first. Every array is an allocation
of its own, so that an index past one of them is not within another.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks import nn_calls, nn_fuzz
from gateflow.codegen import compiler as compiled
from gateflow.nn.kernels import native, workspace

FLAGS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g1")


def apart(self: Any, *names: str, scratch: str) -> None:
    """As `native._Pass._allot`, each array apart, in bytes that count as numbers that would show."""
    for name, of in zip((*names, "scratch"), (*names, scratch), strict=True):
        self.point({name: torch.full((self.form.sizes[of],), math.nan, dtype=self.dtype)})


def plain(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """As `workspace.tensor`, of PyTorch's memory."""
    return torch.full(tuple(shape), math.nan, dtype=dtype)


def main(first: int, count: int) -> None:
    os.environ["GATEFLOW_CACHE"] = tempfile.mkdtemp()
    compiled.ALWAYS, compiled.PATIENCE = ("-std=c11", "-O1", "-fPIC", "-shared", *FLAGS), 900.0
    native._Pass._allot, native.workspace.tensor = apart, plain  # type: ignore[method-assign]
    assert workspace.tensor is plain
    for dtype in native.DTYPES:
        native.library(dtype)
    native.library(torch.float32, short=True)
    for n in range(first, first + count):
        said = nn_calls.said_of(n, 2) if n % 2 else nn_fuzz.said_of(n, 2)
        if said["wrong"]:
            print(said["wrong"], said["of"])
            sys.exit(1)
    print(f"{count} calls")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
