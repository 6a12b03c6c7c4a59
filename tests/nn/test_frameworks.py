"""The examples of docs/howto/layer.md for Lightning and skorch, run where these are installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, blocks

pytestmark = pytest.mark.filterwarnings("ignore")
"""Of the frameworks, on workers, loggers and what they depend on."""


@pytest.mark.parametrize("framework", ["lightning", "skorch"])
def test_the_example_on_the_page_runs(framework: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(framework)
    monkeypatch.chdir(tmp_path)
    page = blocks((ROOT / "docs" / "howto" / "layer.md").read_text(encoding="utf-8"))
    (block,) = (each for each in page if each.said == f"needs {framework}; tests/nn/test_frameworks.py runs it")
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(block.code, framework, "exec"), names)
    assert 0 <= names["error"] < 0.5  # the mean of a sine has .5
