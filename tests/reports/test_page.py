"""The page as a file: whole in itself, well-formed, escaped, the same at every run, and never half-written."""

import math
import re
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from gateflow.errors import InvalidArgument
from gateflow.reports import report

from .conftest import SMALL

pytestmark = pytest.mark.xdist_group("report")  # the pages they look at are made once a process

HOSTILE = '<script>alert("1")</script>'

VOID = ("meta", "link")
"""Elements of the page that have no end."""


class Outline(HTMLParser):
    """The elements of a page; complains about one that is not closed in its turn."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.headings, self.words = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        if self.open and re.fullmatch("h[1-6]", self.open[-1]):
            self.headings.append((int(self.open[-1][1]), data))
        if "style" not in self.open:
            self.words.append(data)

    def values(self, attribute):
        return [attributes[attribute] for _, attributes in self.elements if attributes.get(attribute)]


@pytest.fixture(scope="module")
def outline(three):
    return Outline(three.html)


def figures(html):
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg .*?</svg>", html, re.DOTALL)]


def test_the_page_is_whole_in_itself(three, outline):
    names = {name for name, _ in outline.elements}
    assert not names & {"script", "iframe", "object", "embed", "form", "base"}
    addresses = [*outline.values("href"), *outline.values("src"), *outline.values("srcset")]
    assert all(address.startswith(("#", "data:,")) for address in addresses)
    assert re.findall(r"url\((?!#)|@import|@font-face|https?://(?!www\.w3\.org/2000/svg)", three.html) == []
    assert "default-src 'none'" in dict(outline.elements[3][1])["content"]


def test_ids_are_unique_and_all_that_is_named_is_there(outline):
    ids = outline.values("id")
    assert len(ids) == len(set(ids))
    wanted = [address[1:] for address in outline.values("href") if address.startswith("#")]
    wanted += [one for listed in outline.values("aria-labelledby") for one in listed.split()]
    wanted += [one for style in outline.values("clip-path") for one in re.findall(r"url\(#(.*?)\)", style)]
    assert len(wanted) > 50
    assert set(wanted) <= set(ids)


def test_headings_go_down_one_step_at_a_time(outline):
    levels = [level for level, _ in outline.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_page_says_its_language_and_its_tables_what_they_are(three, outline):
    assert ("html", {"lang": "en"}) in outline.elements
    tables = re.findall(r"<table.*?</table>", three.html, re.DOTALL)
    regions = re.findall(r'<div class="box" role="group" aria-label="([^"]+)" tabindex="0"><table', three.html)
    assert len(tables) == len(regions) > 8
    assert all('scope="col"' in table for table in tables)


def test_figures_are_told_in_words_with_the_numbers_they_show(three):
    drawn = figures(three.html)
    assert len(drawn) == 4
    space = "{http://www.w3.org/2000/svg}"
    for svg in drawn:
        title, told = svg.findtext(f"{space}title"), svg.findtext(f"{space}desc")
        assert title
        assert all(f"{one.name}: " in told for one in three.found.gates)
    slope = 1e-6 * (1 - 1e-6) * math.hypot(1, math.log(1e6 - 1))  # phi (1 - phi) cosh(asinh u)
    assert f"fast: at distance 1e-6 from 1 the slope is {slope:.3g}" in drawn[1].findtext(f"{space}desc")


def test_lines_are_told_apart_by_dashes_and_by_markers(three):
    """In the legend of each figure, no two lines are dashed alike, and no two markers have one shape."""
    for svg in figures(three.html):
        (legend,) = (g for g in svg.iter("{http://www.w3.org/2000/svg}g") if g.get("id", "").endswith("legend_1"))
        styles = [path.get("style", "") for path in legend.iter() if "var(--line-" in path.get("style", "")]
        dashes = [re.search(r"stroke-dasharray: ([\d.,]+)", style) for style in styles if "fill: none" in style]
        assert len(dashes) == len({found[1] if found else None for found in dashes}) == 4
        shapes = [use.get("href") for use in legend.iter("{http://www.w3.org/2000/svg}use")]
        markers = {shape for shape in shapes if "STIX" not in shape and "DejaVu" not in shape}
        assert len(markers) == 4


def test_colours_are_the_pages_own(three):
    """Nothing in a figure is black or white by itself: it would vanish in the dark, or on paper."""
    for svg in re.findall(r"<svg .*?</svg>", three.html, re.DOTALL):
        plain = re.sub(r"var\(--line-\d,#[0-9a-f]{6}\)", "", svg)
        assert set(re.findall(r"#[0-9a-f]{6}\b", plain)) <= {"#737373"}


def test_names_cannot_become_markup():
    made = report("sigmoid", names=[HOSTILE], horizons=[1], gaps=[0.1], command="<b>&amp;")
    outline = Outline(made.html)
    assert "script" not in {name for name, _ in outline.elements}
    assert HOSTILE in [word for _, word in outline.headings]
    assert "<b>&amp;" in outline.words
    assert HOSTILE not in made.html


def test_two_runs_write_the_same_bytes(fast):
    assert report("fast", **SMALL).html == fast.html


def test_a_file_that_is_no_report_is_left_alone(fast, tmp_path):
    file = tmp_path / "notes.html"
    file.write_text("mine")
    with pytest.raises(InvalidArgument, match=r"is there and is no report; .* --force"):
        report("fast", file, **SMALL)
    assert file.read_text() == "mine"
    with pytest.raises(InvalidArgument, match="is a folder"):
        fast.write(tmp_path)


def test_a_report_may_be_written_over_another(fast, three, tmp_path):
    file = fast.write(tmp_path / "new" / "report.html")
    assert three.write(file).read_text(encoding="utf-8") == three.html


def test_an_interrupted_report_leaves_what_was_there(fast, three, tmp_path, monkeypatch):
    file = fast.write(tmp_path / "report.html")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        three.write(file)
    assert file.read_text(encoding="utf-8") == fast.html
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


def test_a_notebook_shows_the_findings_at_a_glance(three):
    shown = three._repr_html_()
    assert all(one.name in shown for one in three.found.gates)
    assert "Report on fast" in repr(three)
