"""Every block of code in README and docs runs, shows what it gives, and what is left out is listed here."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gateflow.formula.functions import ELEMENTARY, FUNCTIONS, SHORT
from gateflow.plots import FIGURES
from tests.docs.pages import PAGES, ROOT, Reader, blocks, differences, forget, named_tests, rewritten
from tests.plots.tables import IN_ONE_PROCESS, table
from tests.training.tiny_files import write_images28, write_ts

NOT_RUN = {
    "README.md": ["installs", "installs", "test", "docs"],  # CI runs the last two
    "docs/cluster.md": ["needs a cluster", "needs Slurm"],
    "docs/contributing.md": ["installs"],
    "docs/data.md": [*["fetches"] * 4, "a table of yours"],
    "docs/howto/explore.md": ["serves until Ctrl-C", "opens a browser"],
    "docs/howto/layer.md": [
        "compiles with a C++ compiler",
        "needs the extra onnx",
        "needs lightning; tests/nn/test_frameworks.py runs it",
        "needs skorch; tests/nn/test_frameworks.py runs it",
    ],
    "docs/install.md": ["installs"],
    "docs/kernels.md": ["wants an idle machine", "needs a GPU"],
    "docs/study.md": ["takes hours", "takes hours"],
    "docs/study/decays.md": ["takes hours"],
    "docs/study/protocol.md": ["takes hours"],
    "docs/training.md": ["takes minutes"],
    "docs/tutorial.md": ["installs"],
}
"""The blocks that no test runs, by page, with the reason that the page gives."""


FIVE = re.compile(r"(?<=## Your own gate, in five commands\n).*?(?=\n## )", re.DOTALL)


def called(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def data_sets(home: Path) -> None:
    """A few rows of noise, as the pages on training find them: IDX files, sheets of PNG, a text, series."""
    rng = np.random.default_rng(0)
    for folder in ("data/vowels", "package"):
        (home / folder).mkdir(parents=True)
    write_images28(home / "data/mnist", "", 0)
    write_images28(home / "data/fashion", ".gz", 1)
    for name in [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]:
        Image.fromarray(rng.integers(256, size=(20, 1024, 3)).astype(np.uint8)).save(home / f"package/{name}.png")
    (home / "package/train_lables.json").write_text(json.dumps(rng.integers(10, size=100).tolist()))
    (home / "package/test_lables.json").write_text(json.dumps(rng.integers(10, size=20).tolist()))
    words = rng.choice(["in", "the", "beginning", "was", "word"], (300, 5))
    (home / "kjv.txt").write_text("\n".join(" ".join(line) + "." for line in words) + "\n")
    for part in ("TRAIN", "TEST"):
        write_ts(home / f"data/vowels/JapaneseVowels_{part}.ts", 40, 4)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder to work in, from which modules are imported; all that came of them is forgotten in the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    words = set(FUNCTIONS)
    yield tmp_path
    for name in set(FUNCTIONS) - words:
        del FUNCTIONS[name], ELEMENTARY[name]
        SHORT.discard(name)
    for name in [name for name in sys.modules if name.startswith("howto_")]:
        del sys.modules[name]
    forget()


FIGURE = re.compile(r"(?<=^\$ gateflow figures )[a-z -]+(?= -o figures$)", re.MULTILINE)


def drawn_on(page: Path) -> list[str]:
    """The figures that a page makes as they are by default."""
    return " ".join(FIGURE.findall(page.read_text(encoding="utf-8"))).split()


def runs(page: Path) -> bool:
    return any(block.mark not in ("not run", "command") for block in blocks(page.read_text(encoding="utf-8")))


README, *OTHERS = PAGES
OTHERS.sort(key=lambda page: not runs(page))  # a sample of pages is one of those on which something runs


def test_the_readme_does_what_it_says(home, monkeypatch):
    assert called(README) == "README.md"
    does_what_it_says(README, home, monkeypatch)


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=IN_ONE_PROCESS) if drawn_on(page) else page for page in OTHERS], ids=called
)
@pytest.mark.sampled(3)
def test_a_page_does_what_it_says(page, home, monkeypatch):
    does_what_it_says(page, home, monkeypatch)


def does_what_it_says(page: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page.name in ("data.md", "training.md"):
        data_sets(home)
    for name in drawn_on(page):  # their numbers and pictures are those that the tests of figures have looked at
        numbers = table(name)
        shown = replace(FIGURES[name], compute=lambda numbers=numbers: numbers, draw=lambda *_: None)
        monkeypatch.setattr(FIGURES.module(name), "FIGURE", shown)
    text = page.read_text(encoding="utf-8")
    assert differences(text, rewritten(text, Reader(home))) == []


def test_pages_add_five_files():
    assert len(named_tests(PAGES)[0]) == 5


NAMING = [page for page in reversed(PAGES) if named_tests([page])[1]]


@pytest.mark.parametrize(
    "pages",
    [*(pytest.param([page], id=page.stem) for page in NAMING), pytest.param(PAGES, id="all", marks=pytest.mark.slow)],
)
@pytest.mark.sampled(len(NAMING))
def test_what_pages_add_passes_the_tests_that_they_name(pages, home):
    """Of all pages at once if slow: to begin takes pytest longer than the tests."""
    added, asked = named_tests(pages)
    for block in added:
        Reader(home).write(block.said, block.code)
    files = dict.fromkeys(path for paths, _ in asked for path in paths)
    chosen = [f"(({' or '.join(Path(path).stem for path in paths)}) and {word})" for paths, word in asked]
    alone = ["-n", "0", "-p", "no:cacheprovider", "-v"]
    out = Reader(home).program(["python", "-m", "pytest", *alone, *files, "-k", " or ".join(chosen)])
    for paths, word in asked:
        for path in paths:
            assert re.search(rf"^{re.escape(path)}::.*{word}.* PASSED", out, re.MULTILINE), f"{path} -k {word}\n{out}"


def test_what_is_not_run_is_listed():
    left = {page: [b.said for b in blocks(page.read_text()) if b.mark in ("not run", "command")] for page in PAGES}
    assert {called(page): reasons for page, reasons in left.items() if reasons} == NOT_RUN


def test_five_commands_lead_from_a_clone_to_a_ranked_gate_and_its_flow(home):
    """Three that install, which CI tries, and two of ours."""
    shell, ours, *_ = blocks(FIVE.search((ROOT / "README.md").read_text(encoding="utf-8"))[0])
    assert [line.split()[0] for line in shell.code.splitlines()] == ["git", "python", "python"]
    rank, flow = (line for line in ours.code.splitlines() if line.startswith("$ "))
    assert rank.startswith("$ gateflow rank ")
    assert flow.startswith("$ gateflow flow ")
    mine = "sigmoid(z + z**3)"
    assert re.search(rf"^\d+\. .*{re.escape(mine)}", Reader(home).answer(rank[2:]), re.MULTILINE)
    Reader(home).answer(flow[2:])
    assert [path.name for path in home.iterdir()] == ["flow.svg"]
    assert "</svg>" in (home / "flow.svg").read_text(encoding="utf-8")
