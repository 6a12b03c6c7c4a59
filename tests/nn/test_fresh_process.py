"""What one process saves another runs, once it has imported gateflow.nn, before or after PyTorch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gateflow.nn import GRU, LSTM

PROGRAM = """
import gateflow.nn
import torch
x = torch.linspace(-1, 1, 30).view(5, 2, 3)
exported = torch.export.load("exported.pt2").module()(x)
scripted = torch.jit.load("scripted.ts")(x)
loaded = torch.load("layer.pt", weights_only=True)(x)[0]
torch.save([exported, scripted, loaded], "found.pt")
"""


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = LSTM(3, 8, forget_gate="fast"), GRU(8, 4, update_gate="1/2 + atan(z)/pi")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x)[0])[0]


@pytest.mark.parametrize("order", ["gateflow first", pytest.param("torch first", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.xdist_group("compiler")
def test_what_was_saved_runs_in_a_process_that_imports_the_package(order: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = Model(), torch.linspace(-1, 1, 30).view(5, 2, 3)
    with torch.no_grad():
        wanted, of_layer = model(x), model.first(x)[0]
    torch.export.save(torch.export.export(model, (x,)), str(tmp_path / "exported.pt2"))
    torch.save(model.first, tmp_path / "layer.pt")
    torch.jit.script(model).save(str(tmp_path / "scripted.ts"))
    lines = PROGRAM.strip().splitlines()
    if order == "torch first":
        lines[0], lines[1] = lines[1], lines[0]
    subprocess.run([sys.executable, "-W", "ignore", "-c", "\n".join(lines)], cwd=tmp_path, check=True)
    exported, scripted, loaded = torch.load(tmp_path / "found.pt", weights_only=True)
    for found, right in ((exported, wanted), (scripted, wanted), (loaded, of_layer)):
        torch.testing.assert_close(found, right)
