"""The notebooks run end to end without a warning, show what they are kept with, and caption what they show."""

import importlib.util
import itertools
import os
import re

import pytest

from tests.notebooks.kept import FOLDER, differences, kept

PATHS = sorted(FOLDER.glob("*.ipynb"))

SECONDS = 600
"""For one cell, on a machine that is busy with other things; a notebook takes some twenty seconds on an idle one."""

SHORT = {
    "3": {"(10, 100, 1000)": "(5, 10, 30)", '"steps": 300, "evaluate_every": 30': '"steps": 20, "evaluate_every": 2'}
}
"""What is less in the notebooks as they run by default; as they stand they run if slow."""

BEGIN = """%reset -f
import os, warnings
os.chdir({folder!r})
warnings.simplefilter('error')
warnings.filterwarnings('ignore', 'InlineBackend')  # what shows figures warns of itself"""

CAPTION = re.compile(r"\*\*(Figure|Table) (\d+)\.\*\* \*")


@pytest.fixture(autouse=True, scope="module")
def jupyter():
    """Imported by the process that runs these tests, not by each that collects: its grammar of addresses takes long."""
    global nbformat, nbclient
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    if importlib.util.find_spec("ipykernel") is None:
        pytest.skip("there is no kernel to run them in")


def read(path):
    return nbformat.read(path, as_version=4)


def client(book, folder):
    """What runs a notebook, in a kernel that stands in a folder of its own; a cell that fails raises."""
    return nbclient.NotebookClient(
        book,
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": folder}},
        shutdown_kernel="immediate",  # asked to, it takes seconds
    )


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """One kernel for all notebooks, which is emptied of names before each: most of its time goes into imports."""
    opened = client(nbformat.v4.new_notebook(), tmp_path_factory.mktemp("kernel"))
    with opened.setup_kernel(env={**os.environ, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}):
        yield opened


def test_there_are_six():
    assert [path.name[0] for path in PATHS] == list("123456")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_it_is_kept_as_written(path):
    book = read(path)
    nbformat.validate(book)
    assert book.metadata.kernelspec.name == "python3"
    for cell in book.cells:
        assert re.fullmatch(rf"{path.name[0]}-\d\d", cell.id), "ids stay, so that a change shows as what it is"
        assert not cell.metadata
        if cell.cell_type == "code":
            assert cell.execution_count is None
            assert cell.outputs == kept(cell.outputs)
            assert not any(output.get("metadata") or output.get("name") == "stderr" for output in cell.outputs)
    assert any(cell.get("outputs") for cell in book.cells), "python -m tests.notebooks.kept"


def test_together_they_are_small():
    assert sum(path.stat().st_size for path in PATHS) < 2_000_000


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_it_has_one_title_and_its_captions_are_numbered(path):
    text = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
    headings = [line for line in "\n".join(text).splitlines() if line.startswith("#")]
    assert [heading for heading in headings if heading.startswith("# ")] == headings[:1]
    assert not any(heading.startswith("###") for heading in headings)
    captions = CAPTION.findall("\n".join(text))
    for kind in ("Figure", "Table"):
        numbers = [int(number) for which, number in captions if which == kind]
        assert numbers == list(range(1, len(numbers) + 1)), kind


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_its_links_lead_somewhere(path):
    for cell in read(path).cells:
        for target in re.findall(r"\]\(([^)#]+)", cell.source if cell.cell_type == "markdown" else ""):
            assert target.startswith("https://") or (FOLDER / target).exists(), target


def shortened(path):
    """The notebook with less to compute."""
    book = read(path)
    for long, short in SHORT.get(path.name[0], {}).items():
        holds = [cell for cell in book.cells if cell.cell_type == "code" and long in cell.source]
        assert holds, f"{long} is in no cell of {path.name}"
        for cell in holds:
            cell.source = cell.source.replace(long, short)
    return book


@pytest.mark.parametrize(
    ("path", "opened"),
    [
        *(pytest.param(path, shortened, id=path.stem) for path in PATHS),
        *(pytest.param(p, read, id=f"{p.stem}, whole", marks=pytest.mark.slow) for p in PATHS if p.name[0] in SHORT),
    ],
)
@pytest.mark.sampled(3)
def test_it_runs(path, opened, kernel, tmp_path):
    if path.name.startswith("3"):
        pytest.importorskip("torch")
    book = opened(path)
    book.cells.insert(0, nbformat.v4.new_code_cell(BEGIN.format(folder=str(tmp_path))))
    kernel.nb, cells = book, book.cells
    kernel.reset_execution_trackers()
    for number, cell in enumerate(cells):
        kernel.execute_cell(cell, number)
    for cell in cells:
        for output in cell.get("outputs", []):
            assert output.get("name") != "stderr", output.text
    if opened is read or path.name[0] not in SHORT:
        del cells[0]
        assert differences(read(path), book) == [], "python -m tests.notebooks.kept keeps what is shown now"
    for cell, following in itertools.pairwise(cells):
        shown = [output.data for output in cell.get("outputs", []) if "data" in output]
        if any("image/svg+xml" in data or "<svg" in data.get("text/html", "") for data in shown):
            assert CAPTION.match(following.source), f"the figure of {cell.id} has no caption"
    assert not list(tmp_path.iterdir()), "a notebook leaves no files behind"


BEGIN_AGAIN = """%reset -f
import warnings
import ipywidgets

warnings.resetwarnings()
ipywidgets.Widget.close_all()"""

SHOW = """
import gateflow


def show(z=1.0, gate="fast"):
    return f"{gate} at {z:g}: {gateflow.gate(gate).phi(z):.4f}"
"""

CONTROLS = """
from ipywidgets.widgets.widget import _instances

controls = {widget.description: widget for widget in _instances.values() if hasattr(widget, "description")}
controls["z"].value = 2.0
"""


def test_a_slider_shows_the_value_it_is_moved_to(kernel):
    pytest.importorskip("ipywidgets")
    cells = [
        BEGIN_AGAIN + SHOW,
        "gateflow.explore(show, z=(0.0, 4.0), gate=str)",
        CONTROLS,
        "controls['gate'].value = 'fsat'",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    kernel.nb, shown = book, []
    kernel.reset_execution_trackers()
    for number, cell in enumerate(book.cells):
        kernel.execute_cell(cell, number)
        if number >= 2:
            outputs = book.cells[1].outputs
            assert "application/vnd.jupyter.widget-view+json" in outputs[0].data
            shown.append(outputs[1].data.get("text/html") or outputs[1].data["text/plain"])
    assert shown == ["'fast at 2: 0.9741'", "<pre>unknown gate &#39;fsat&#39;; did you mean &#39;fast&#39;?</pre>"]
