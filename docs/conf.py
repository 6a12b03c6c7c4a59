"""Sphinx's settings: ``python -m sphinx -W --keep-going docs docs/_build``.

The built pages ask the network for nothing: formulas are MathML, which browsers set by themselves.
"""

from __future__ import annotations

import html
import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import tables  # noqa: E402

from gateflow import __version__  # noqa: E402

project = "gateflow"
author = "the gateflow developers"
release = version = __version__

extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
exclude_patterns = ["_build", "_templates", "jupyter_execute"]
templates_path = ["_templates"]

html_theme = "furo"
html_title = f"gateflow {version}"
html_static_path = ["_static"]
html_css_files = ["gateflow.css"]
html_js_files = ["gateflow.js"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_copyright = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
linkcheck_ignore = [r"https://example\.org/.*", r"http://(localhost|127\.0\.0\.1).*"]
linkcheck_anchors = False  # code hosts make theirs in the browser
nb_execution_mode = "off"  # they are kept with their outputs, which the tests compare with a fresh run
nb_ipywidgets_js = {}

default_role = "py:obj"
autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_default_options = {"members": True, "exclude-members": "extra_repr"}  # PyTorch's, in its words
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_mock_imports = [name for name in ("torch", "safetensors", "triton") if importlib.util.find_spec(name) is None]
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False


def mathml(block: bool) -> Any:
    """A writer of formulas for Sphinx's HTML."""

    def visit(self: Any, node: Any) -> None:
        self.body.append(convert(node.astext(), display="block" if block else "inline"))
        raise nodes.SkipNode

    return visit, None


def with_tables(app: Any, page: str, source: list[str]) -> None:
    """Fill in the tables of the registries."""
    source[0] = tables.filled(source[0])


def typeset(notebook: Path) -> str:
    """A notebook whose cards have their formulas as MathML; in Jupyter a script sets them."""
    book = json.loads(notebook.read_text(encoding="utf-8"))
    for output in (output for cell in book["cells"] for output in cell.get("outputs", [])):
        if card := "".join(output.get("data", {}).get("text/html", "")):
            formula = re.sub(r"\$([^$<>]+)\$", lambda found: convert(html.unescape(found[1])), card)
            output["data"]["text/html"] = formula
    return json.dumps(book)


def with_notebooks(app: Any) -> None:
    """Copy the notebooks to where Sphinx looks for pages, under a page that lists them."""
    folder = Path(app.srcdir) / "notebooks"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    found = sorted((HERE.parent / "notebooks").glob("*.ipynb"))
    for notebook in found:
        (folder / notebook.name).write_text(typeset(notebook), encoding="utf-8")
    listed = "\n".join(notebook.stem for notebook in found)
    (folder / "index.md").write_text(f"# Notebooks\n\n```{{toctree}}\n{listed}\n```\n", encoding="utf-8")


NAMED = (
    ('<p class="caption" role="heading">', '<p class="caption">'),  # a heading needs a level, and these are none
    ('<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="All pages">'),
    ('<aside class="toc-drawer', '<aside aria-label="On this page" class="toc-drawer'),
)
"""What screen readers miss in what the theme writes, and what is put there."""


def with_names(app: Any, problem: Exception | None) -> None:
    """Name the parts of each page for those who hear it."""
    for page in Path(app.outdir).rglob("*.html") if problem is None and app.builder.format == "html" else ():
        text = page.read_text(encoding="utf-8")
        for unnamed, named in NAMED:
            text = text.replace(unnamed, named)
        page.write_text(text, encoding="utf-8")


def setup(app: Any) -> None:
    app.add_html_math_renderer("mathml", mathml(block=False), mathml(block=True))
    app.connect("builder-inited", with_notebooks)
    app.connect("source-read", with_tables)
    app.connect("build-finished", with_names)
