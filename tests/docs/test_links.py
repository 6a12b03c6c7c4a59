"""Links of README, changelog and pages lead to a file that is there, and to a heading that is there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT

LINK = re.compile(r"(?<!`)\]\(([^()\s]+(?:\([^()\s]*\))?[^()\s]*)\)")
CODE = re.compile(r"^```.*?^```$|(?<!`)`[^`\n]+`(?!`)", re.DOTALL | re.MULTILINE)
MADE = ("notebooks/index",)
"""Pages that are made when the others are."""


@cache
def anchors(page: Path) -> set[str]:
    """The names of the headings of a page, as code hosts and MyST make them, and those that it gives itself."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#{1,3} (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))


def broken(page: Path, text: str) -> list[str]:
    """The links of a text, as it stands on a page, that lead nowhere."""
    found = []
    for target in LINK.findall(CODE.sub("", text)):
        path, _, anchor = target.partition("#")
        if re.match(r"\w+:", target) or path in MADE:
            continue
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            found.append(target)
    return found


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    assert broken(page, page.read_text(encoding="utf-8")) == []


def test_a_link_that_leads_nowhere_is_found():
    text = "[a](docs/none.md) [b](docs/theory.md#none) [c](LICENSE) [d](https://example.org/none) `[e](none)`"
    assert broken(ROOT / "README.md", text) == ["docs/none.md", "docs/theory.md#none"]
