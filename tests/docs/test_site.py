"""The built pages: axe-core finds nothing, nothing is wider than its window, every link of them leads somewhere.

``GATEFLOW_SITE`` names the folder they were built into; without it they are built here, which takes minutes. CI builds
them anyway, and then looks at a few; all are looked at with the slow tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from tests.docs.axe import violations
from tests.docs.pages import ROOT
from tests.reports.chromium import Browser, Page, program

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("site")]

FEW = ("index", "theory", "gallery", "accuracy", "howto/explore", "api/gateflow.flows")
"""Pages of every kind: a list, formulas, pictures, a table, a picture of a page, a reference."""

BEYOND = """
    [...document.querySelectorAll('article *')]
    .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .filter(e => !e.closest('.highlight, .table-wrapper, .cell_output, math, svg'))
    .map(e => e.tagName + ' ' + e.className + ' ' + e.textContent.slice(0, 40))
"""
"""What is wider than the window and in no box that scrolls."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if built := os.environ.get("GATEFLOW_SITE"):
        return (ROOT / built).resolve()
    out = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", str(out)], cwd=ROOT, check=True)
    return out


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if program() is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def faults(browser: Browser, file: Path, width: int, dark: bool) -> list[str]:
    page = Page(browser, file, width, dark=dark)
    missing = page.value("[...document.images].filter(e => !e.naturalWidth).map(e => 'no picture: ' + e.src)")
    wide = [f"too wide: {what}" for what in page.value(BEYOND)]
    found = [*violations(page), *missing, *wide]
    page.close()
    return found


@pytest.mark.parametrize(("width", "dark"), [(1280, True), (390, False)], ids=["1280-dark", "390"])
@pytest.mark.parametrize("name", FEW)
def test_a_page_of_each_kind_can_be_used_by_all(site, browser, name, width, dark):
    assert faults(browser, site / f"{name}.html", width, dark) == []


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)], ids=["1280", "390-dark"])
def test_every_page_can_be_used_by_all(site, browser, width, dark):
    pages = [page for page in sorted(site.rglob("*.html")) if "_static" not in page.parts]
    assert len(pages) > 60
    found = {page.name: faults(browser, page, width, dark) for page in pages}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


class Parts(HTMLParser):
    """The names of the parts of a page, and where its links and pictures lead."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if value and (key == "id" or (key == "name" and tag == "a")):
                self.names.add(value)
            elif value and key in ("href", "src"):
                self.links.append(value)


@cache
def parts(file: Path) -> Parts:
    return Parts(file)


def test_every_link_within_the_site_leads_somewhere(site):
    found, followed = [], 0
    for page in sorted(site.rglob("*.html")):
        for link in parts(page).links:
            address, anchor = urldefrag(link)
            if urlsplit(address).scheme or address.startswith("//"):
                continue
            there = (page.parent / unquote(urlsplit(address).path)).resolve() if address else page
            followed += 1
            if not there.exists() or (anchor and there.suffix == ".html" and unquote(anchor) not in parts(there).names):
                found.append(f"{page.relative_to(site)}: {link}")
    assert followed > 1000
    assert found == []
