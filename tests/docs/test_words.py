"""Plain words: turns of phrase that readers stumbled over stay out of every text that a person reads."""

import re

import pytest

from tests.docs.pages import PAGES, ROOT

NOT_PLAIN = (
    r"told with its (place|name)",
    r"what is not said",
    r"(learning time|machine|instructions|level|autocast) at hand",
    r"\bso (many|much of) (?!(that|and|as)\b)",
    r"without a word",
    r"there is to say",
    r"one thing: it is",
    r"\b(rooms|whence|wherein|thereof)\b",
    r"both germs lie in one Hardy field",
    r"\b(is|are|be|been|was|were) told\b(?! apart)",
    r"\b(told|tells?) of\b",
    r"\bdoctor` tells\b",
    r"\bbut for (?!autograd)",
    r"\bin the place of\b",
    r"\bof one's own\b",
    r"\bspeaks? of\b",
    r"\bsmaller coin\b",
    r"\bin a model that there is\b",
)
READ = [
    *(page for page in PAGES if page.parent.name != "study"),  # what was registered stays as it was
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
    *sorted((ROOT / "gateflow").rglob("*.py")),
    *sorted((ROOT / "gateflow").rglob("*.html")),
]


@pytest.mark.parametrize("phrase", NOT_PLAIN)
def test_a_phrase_that_readers_stumbled_over_is_not_used(phrase):
    pattern = re.compile(phrase, re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in READ
        for match in pattern.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []
