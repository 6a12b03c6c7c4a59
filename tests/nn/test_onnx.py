"""Exported to ONNX and run by onnxruntime, a layer gives its own numbers, for any batch and length."""

from __future__ import annotations

import importlib.util
import io
from typing import Any

import pytest
import torch

from gateflow.nn import CELLS, GRU, JANET, LSTM, RefineLSTM
from gateflow.nn.recurrent import Recurrent

there = all(map(importlib.util.find_spec, ("onnxscript", "onnxruntime")))  # imported by the one process that exports
pytestmark = [
    pytest.mark.skipif(not there, reason="the extra onnx is not installed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # PyTorch's exporter and onnxscript, of one another
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning"),
]

SETTINGS: dict[str, tuple[type[Recurrent], dict[str, Any], str]] = {
    "standard LSTM": (LSTM, {"num_layers": 2, "bidirectional": True}, "LSTM"),
    "standard GRU": (GRU, {"bias": False}, "GRU"),
    "any gate": (LSTM, {"forget_gate": "fast", "bidirectional": True, "batch_first": True}, "Scan"),
    "a formula": (LSTM, {"forget_gate": "sigmoid(z + z**3)", "input_gate": "erf", "output_gate": "asinh"}, "Scan"),
    "a GRU": (GRU, {"update_gate": "arctan", "reset_gate": "softsign"}, "Scan"),
    "tied": (LSTM, {"tied": True}, "Scan"),
    "a projection": (LSTM, {"proj_size": 2, "forget_gate": "fast", "num_layers": 2, "bidirectional": True}, "Scan"),
    "a projection of sigmoids": (LSTM, {"proj_size": 2}, "Scan"),
    "JANET": (JANET, {"forget_gate": "cloglog"}, "Scan"),
    "refine": (RefineLSTM, {}, "Scan"),
}


QUICK = ("any gate",)


def exported(layer: Recurrent, x: torch.Tensor, **options: Any) -> tuple[Any, set[str]]:
    """A session of onnxruntime, and the operators in the file."""
    import onnxruntime

    first, second = torch.export.Dim("first"), torch.export.Dim("second")
    program = torch.onnx.export(
        layer.eval(), (x,), dynamo=True, dynamic_shapes={"input": {0: first, 1: second}}, verbose=False, **options
    )
    assert program is not None
    file = io.BytesIO()
    program.save(file)
    names = {node.op_type for node in program.model.graph}
    return onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"]), names


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SETTINGS]
)
@pytest.mark.xdist_group("compiler")
def test_onnxruntime_gives_the_layers_numbers(name: str) -> None:
    cell, options, node = SETTINGS[name]
    layer = cell(3, 4, **options)
    session, operators = exported(layer, torch.randn(5, 2, 3))
    assert node in operators
    for shape in ((5, 2, 3), (7, 4, 3), (1, 1, 3)):
        x = 3 * torch.randn(shape)
        output, final = layer(x)
        found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        for one, other in zip(found, (output, *(final if isinstance(final, tuple) else (final,))), strict=True):
            torch.testing.assert_close(torch.from_numpy(one), other, rtol=1e-5, atol=2e-6)


@pytest.mark.slow
def test_every_cell_of_the_table_is_among_them_or_refused() -> None:
    tried = tuple(cell for cell, *_ in SETTINGS.values())
    for cell in CELLS.values():
        layer = cell(3, 4)
        if not issubclass(cell, tried):
            with pytest.raises(torch.onnx.errors.OnnxExporterError):
                exported(layer, torch.randn(5, 2, 3))
