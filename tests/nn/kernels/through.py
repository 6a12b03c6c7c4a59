"""What a layer takes a gate to be, read from its results."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch

from gateflow.codegen import compiler
from gateflow.gates.gate import Gate
from gateflow.nn import LSTM

LARGE = 2.0**60
"""The loss is so much of the state: on its way back a gradient below the smallest normal number becomes 0."""


def numbers(gate: str | Gate, z: np.ndarray, backend: str) -> dict[str, np.ndarray]:
    """phi, ``1 - phi`` and phi' at each z, in the type of z, from one step of an LSTM's forget gate."""
    rows, one = torch.from_numpy(z)[None, :, None], torch.ones(1, len(z), 1, dtype=torch.from_numpy(z).dtype)
    plain, tied = (_layer(gate, tied, backend, one.dtype) for tied in (False, True))
    x = rows.clone().requires_grad_()
    _, (_, phi) = plain(x, (torch.zeros_like(one), one))
    (slope,) = torch.autograd.grad(LARGE * phi.sum(), x)
    _, (_, complement) = tied(rows, (one, torch.zeros_like(one)))
    found = {"phi": phi, "phi_c": complement, "dphi": slope}
    return {what: value.detach().flatten().numpy() for what, value in found.items()}


def with_libraries_only(folder: Path) -> Path:
    """A folder as the user's cache is, without outcomes of trials: compiled anew, libraries take seconds each."""
    if compiler.cache_folder().is_dir():
        for library in compiler.cache_folder().glob(f"*{compiler.SUFFIX}"):
            if library.name.startswith(("recurrent-", "scan-")):
                shutil.copy2(library, folder)
    return folder


def _layer(gate: str | Gate, tied: bool, backend: str, dtype: torch.dtype) -> LSTM:
    """With h = 1 the candidate is tanh(100) = 1; with h = 0 it is 0."""
    layer = LSTM(1, 1, bias=False, forget_gate=gate, tied=tied, backend=backend, dtype=dtype)
    weights = layer.weights("l0")
    with torch.no_grad():
        weights.ih.zero_()
        weights.hh.zero_()
        weights.ih[layer.rows("forget")] = 1.0
        weights.hh[layer.rows("candidate")] = 100.0
    return layer
