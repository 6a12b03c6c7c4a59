"""What docs/architecture.md promises of the package: its layers, its names, and the four walks through it."""

from __future__ import annotations

import ast
import graphlib
import re
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import grimp
import pytest

import gateflow

PACKAGE = Path(str(gateflow.__file__)).parent
PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
LOOSE = {"__init__", "__main__", "errors", "progress", "record", "registry"}
AROUND = ("guards/", "gates/once.py", "progress.py", "record.py", "registry.py")
"""What runs around a computation and is handed none of its values."""


def test_modules_are_in_packages() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} == LOOSE


def test_every_package_has_its_layer_on_the_page() -> None:
    table = {name.rstrip("/") for name in re.findall(r"^\| \d+ \| `([a-z]+/?)`", PAGE.read_text("utf-8"), re.MULTILINE)}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert table == packages | LOOSE - {"__init__", "__main__"}


def test_quantities_are_computed_where_the_page_says() -> None:
    rows = re.findall(
        r"^\| [^|]+ \| `([\w/.]+)`[^|]* \| (`\w+`(?:, `\w+`)*) \|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    assert len(rows) >= 10
    for file, functions in rows:
        tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert set(re.findall(r"\w+", functions)) <= defined, file


def test_tests_mirror_the_packages() -> None:
    folders = {path.parent.name for path in Path(__file__).parent.glob("*/test_*.py")}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders - {"docs", "notebooks"} <= packages


def test_no_class_has_the_name_of_another() -> None:
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for path in PACKAGE.rglob("*.py"):
        for name in re.findall(r"^ *class (\w+)[(:]", path.read_text(encoding="utf-8"), re.MULTILINE):
            homes[name].append(path.relative_to(PACKAGE).as_posix())
    assert len(homes) > 300
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_no_modules_import_each_other() -> None:
    graph = grimp.build_graph("gateflow", exclude_type_checking_imports=True, cache_dir=None)
    needs = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    graphlib.TopologicalSorter(needs).prepare()  # raises CycleError, which names the modules


def _hitting_time(_: Path) -> None:
    problem = gateflow.LearningProblem("sigmoid(z+z**3)", horizon=100, gap=0.01)
    gateflow.hitting_time(problem, 0.0, backend="numpy")


def _figure(folder: Path) -> None:
    gateflow.figures("slope", gates=["fast"], out=folder, formats="svg")


def _training_step(_: Path) -> None:
    settings = {"hidden": 2, "steps": 1, "batch": 4, "device": "cpu", "backend": "torch"}
    gateflow.training.train("adding(horizon=5, held_out=16)", forget_gate="sigmoid(z+z**3)", **settings)


def _verdict(folder: Path) -> None:
    number = {"first": 3, "second": 5}[folder.name]  # answers about limits are kept: the second asks for others
    gateflow.certificate(f"sigmoid(z+{number}*z**3)", "sigmoid")


WALKS: dict[str, Callable[[Path], None]] = {
    "to a hitting time": _hitting_time,
    "to a figure": _figure,
    "to a training step": _training_step,
    "to a verdict with its certificate": _verdict,
}


def walk_on_the_page(name: str) -> list[tuple[str, str]]:
    """File and function of each step, from the list under ``**NAME:**``."""
    text = PAGE.read_text(encoding="utf-8")
    listed = re.search(rf"^\*\*{name}:\*\*.*?\n\n((?:\d\. .*\n(?:   .*\n)*)+)", text, re.MULTILINE)
    assert listed is not None, name
    return re.findall(r"^\d\. `([\w/.]+)`: `(\w+)`", listed[1], re.MULTILINE)


def ways_to(end: tuple[str, str], run: Callable[[], Any]) -> set[tuple[tuple[str, str], ...]]:
    """Every way from the call of ``run`` to the function ``end``: files, and by which function each was entered."""
    found: set[tuple[tuple[str, str], ...]] = set()
    root = f"{PACKAGE}/"

    def watch(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or code.co_name != end[1] or code.co_filename != root + end[0]:
            return
        steps: list[tuple[str, str]] = []
        at: FrameType | None = frame
        while at is not None:
            file, function = at.f_code.co_filename.removeprefix(root), at.f_code.co_name
            if at.f_code.co_filename.startswith(root) and not file.startswith(AROUND):
                if steps and steps[-1][0] == file:
                    steps.pop()
                steps.append((file, function))
            at = at.f_back
        found.add(tuple(reversed(steps)))

    before = sys.gettrace()
    sys.settrace(watch)  # which gives no tracer of lines: calls of Python's functions alone are seen
    try:
        run()
    finally:
        sys.settrace(before)
    return found


@pytest.mark.parametrize("name", WALKS)
@pytest.mark.sampled(2)
def test_a_walk_is_as_the_page_says(name: str, tmp_path: Path) -> None:
    walk = walk_on_the_page(name)
    files = [file for file, _ in walk]
    assert 4 <= len(files) <= 8
    assert len(set(files)) == len(files)  # a file that was left is never entered again
    WALKS[name](tmp_path / "first")  # what is derived once is derived, modules are imported
    assert tuple(walk) in ways_to(walk[-1], lambda: WALKS[name](tmp_path / "second"))
