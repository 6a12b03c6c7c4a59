"""The page on PyTorch's features says what is so: each of its rows is tried again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from benchmarks.nn_compatibility import COLUMNS, ROWS, SLOW, row, works

pytestmark = pytest.mark.xdist_group("compiler")

PAGE = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text(encoding="utf-8")

HEAVY = {*SLOW, *(feature for feature in ROWS if feature.startswith("`torch.compile(fullgraph"))}
"""Compiling takes seconds; by default one layer is compiled here, and some cells in tests/nn/test_transforms.py."""


@pytest.mark.parametrize("feature", [pytest.param(f, marks=pytest.mark.slow) if f in HEAVY else f for f in ROWS])
@pytest.mark.sampled(2)
def test_a_row_of_the_page_is_so(feature: str) -> None:
    if feature in SLOW:
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    found = row(feature)
    if feature == "autocast to bfloat16" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        assert found.endswith("| no |")  # torch.nn.LSTM, as the page says below the table
        found = found.removesuffix("no |") + "yes |"
    assert found in PAGE


def test_a_layer_is_one_graph_and_pytorchs_is_not() -> None:
    torch._dynamo.reset()
    feature = "`torch.compile(fullgraph=True)`, any batch and length"
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {feature} |"))
    said = dict(zip(COLUMNS, line.split(" | ")[1:], strict=True))
    for name in ("native", "torch.nn.LSTM"):
        assert ("yes" if works(feature, name) else "no") == said[name].removesuffix(" |")


def test_the_page_has_these_rows() -> None:
    assert re.findall(r"^\| (.*?) \|(?: (?:yes|no) \|)+$", PAGE, re.MULTILINE) == list(ROWS)
    assert f"| feature | {' | '.join(f'`{name}`' for name in COLUMNS)} |" in PAGE
