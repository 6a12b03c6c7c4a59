"""Figures as files: found by name, the same bytes on every run, nothing of the user's settings touched or heeded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from gateflow.errors import InvalidArgument, UnknownName
from gateflow.plots import FIGURES, figures
from tests.plots.tables import IN_ONE_PROCESS, table

pytestmark = IN_ONE_PROCESS

KEPT = Path(__file__).parents[2] / "figures"

NAMES = {
    *("gates", "slope", "learning", "times", "timescales", "discrete"),
    *("orders", "barrier", "phase", "optimizers", "precision", "refine"),
    *("step-sizes", "crossover", "decays", "noise"),
    *("training", "agreement", "timescales-learned"),
}

ELSEWHERE = """
import sys
import gateflow.plots
assert not any(name.partition(".")[0] in ("matplotlib", "sympy", "scipy") for name in sys.modules), "heavy import"
gateflow.plots.figures("slope", out=sys.argv[1])
assert "matplotlib.pyplot" not in sys.modules
"""


def in_another_process(out: Path) -> None:
    """A figure, from a package that has not been imported yet, in an environment as different as can be."""
    changes = {"PYTHONHASHSEED": "12345", "MPLBACKEND": "svg", "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "0"}
    subprocess.run(
        [sys.executable, "-W", "error", "-c", ELSEWHERE, str(out)], env={**os.environ, **changes}, check=True
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_figures_are_found_by_file():
    assert set(FIGURES) >= NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_captions_say_what_is_seen_and_what_follows(name):
    """What is seen; then, in whole sentences, what follows from it."""
    caption, whole = FIGURES.summary(name), FIGURES.about(name)
    assert caption.endswith(".")
    assert 30 < len(caption) <= 120
    assert whole.startswith(f"{caption} ")
    assert whole.endswith(".")


def test_a_second_run_writes_the_same_bytes_whatever_the_environment(tmp_path):
    with matplotlib.rc_context(
        {"lines.linewidth": 7, "font.family": "monospace", "svg.hashsalt": "x", "text.color": "r"}
    ):
        before = dict(matplotlib.rcParams)
        written = figures("slope", out=tmp_path / "here")
        assert dict(matplotlib.rcParams) == before
    in_another_process(tmp_path / "there")
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    assert {path.name for path in written} == {f"slope.{form}" for form in ("svg", "pdf", "png", "csv", "txt", "json")}


def test_the_order_and_company_of_figures_change_nothing(tmp_path):
    figures(["timescales", "slope"], out=tmp_path / "both", formats="svg")
    figures("slope", out=tmp_path / "alone", formats=["svg"])
    assert (tmp_path / "both" / "slope.svg").read_bytes() == (tmp_path / "alone" / "slope.svg").read_bytes()


def test_numbers_read_back_as_they_were(tmp_path):
    figures("timescales", out=tmp_path, formats="png")
    lines = (tmp_path / "timescales.csv").read_text().splitlines()
    assert lines[0] == "gate,time_constant,z"
    assert np.array_equal([float(line.split(",")[2]) for line in lines[1:]], table("timescales")["z"])


def test_the_record_says_how_and_holds_neither_clock_nor_path(tmp_path):
    figures("slope", out=tmp_path, formats="svg")
    made = json.loads((tmp_path / "slope.json").read_text())
    assert made["command"] == "gateflow figures slope"
    told = {"command", "versions", "device", "figure", "caption", "parameters", "columns", "rows", "files", "digest"}
    assert set(made) == told
    assert {"gateflow", "numpy", "matplotlib"} <= set(made["versions"])
    assert str(tmp_path) not in json.dumps(made)


def test_vector_files_hold_outlines_and_embedded_fonts(tmp_path):
    figures("slope", out=tmp_path, formats=("svg", "pdf"))
    assert "<text" not in (tmp_path / "slope.svg").read_text()
    pdf = (tmp_path / "slope.pdf").read_bytes()
    assert b"/CIDFontType2" in pdf
    assert b"/Type3" not in pdf


def test_a_figure_shows_itself_in_a_notebook(tmp_path):
    figures("slope", out=tmp_path, formats="svg")
    assert FIGURES["slope"]._repr_svg_() == (tmp_path / "slope.svg").read_text()


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.sampled(2)
def test_the_repository_holds_the_figures_of_this_code(name):
    """Numbers to 1e-9, since another machine's libraries may round otherwise; pictures by their record."""
    numbers = table(name)
    head, *lines = (KEPT / f"{name}.csv").read_text().splitlines()
    assert head.split(",") == list(numbers.columns)
    for column, cells in zip(
        numbers.columns.values(), zip(*(line.split(",") for line in lines), strict=True), strict=True
    ):
        if column.dtype.kind == "U":
            assert list(cells) == column.tolist()
        else:
            np.testing.assert_allclose(np.array(cells, dtype=float), column, rtol=1e-9, atol=1e-8 * column.std())
    made = json.loads((KEPT / f"{name}.json").read_text())
    assert made["caption"] == FIGURES.about(name)
    assert (KEPT / f"{name}.txt").read_text() == made["caption"] + "\n"
    assert all((KEPT / f"{name}.{form}").stat().st_size > 5000 for form in ("svg", "pdf", "png"))


def test_an_unknown_name_is_refused_before_any_work(tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'gates'"):
        figures(["slope", "gate"], out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_an_unknown_format_is_refused_in_one_line(tmp_path):
    with pytest.raises(InvalidArgument, match=r"^unknown format 'jpeg'; known: svg, pdf, png$"):
        figures("slope", out=tmp_path, formats=("svg", "jpeg"))


def test_a_folder_that_is_a_file_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidArgument, match=r"^cannot write figures to .*file: "):
        figures("slope", out=tmp_path / "file", formats="svg")
