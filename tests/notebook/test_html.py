"""HTML from templates: whatever the text is, a browser reads it back as that text, and as nothing else."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from gateflow.notebook import cards
from gateflow.notebook.html import Html, templates
from gateflow.reports.mathml import formula


class Read(HTMLParser):
    """The elements and the text that are read back."""

    def __init__(self, markup):
        super().__init__(convert_charrefs=True)
        self.tags, self.words, self.attributes = [], [], {}
        self.feed(markup)
        self.close()

    def handle_starttag(self, name, attributes):
        self.tags.append(name)
        self.attributes.update(attributes)

    def handle_data(self, data):
        self.words.append(data)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"))
HOSTILE = st.sampled_from(["<script>alert(1)</script>", '" onload="x', "'><img src=x>", "&lt;b&gt;", "]]>", "-->"])


def parts(name, *values, **named):
    """What a macro that cards and reports share makes."""
    return getattr(templates().get_template("parts.html").module, name)(*values, **named)


@given(TEXT | HOSTILE)
def test_text_comes_back_as_it_was(text):
    read = Read(parts("row", [text], [text]))
    assert read.tags == ["tr", "td"]
    assert "".join(read.words) == text
    assert read.attributes == {"data-label": text}


@given(HOSTILE)
def test_no_way_through_tables_and_facts(text):
    body = parts("row", [text, text], [text, text], head=True, **{"class": text})
    made = parts("table", [text], body, text, text) + parts("facts", [(text, text)], text)
    assert set(Read(made).tags) == {"table", "caption", "thead", "tbody", "tr", "th", "td", "dl", "div", "dt", "dd"}


@given(HOSTILE)
def test_no_way_through_cards(text):
    picture = cards.curve([0, 1], [1, 2], label=text, across=text, up=text)
    said = [cards.mathematics(text), cards.code(text), cards.verbatim(text), text, None]
    told = [cards.facts([(text, text)]), cards.listed([text], [[text]]), cards.folded(text, text, *said)]
    read = Read(cards.framed(text, *told, picture=picture))
    assert set(read.tags) == {
        *("div", "strong", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "code", "pre"),
        *("svg", "title", "desc", "path", "polyline", "g", "text"),
    }
    assert read.attributes["aria-label"].startswith(f"{text}: {text} goes from 1 at {text} = 0")
    assert "".join(read.words).count(text) == 1 + 2 + 2 + 6 + 5  # title, facts, table, what is folded, picture


@given(HOSTILE)
def test_no_way_through_formulas(text):
    assert set(Read(formula(text)).tags) == {"code"}
    assert set(Read(formula("z", left=text)).tags) <= {"math", "mrow", "mi", "mo", "mn", "msup"}
    assert Read(formula("z", left=text)).attributes["alttext"] == f"{text} z"


def test_what_a_template_made_passes_and_nothing_else_does():
    assert cards.folded("<b>", Html("<i>")) == "<details><summary>&lt;b&gt;</summary><i></details>"
    assert cards.folded("", "<i>" + Html("<i>")) == "<details><summary></summary>&lt;i&gt;<i></details>"


def test_attributes_without_a_value_are_left_out():
    assert parts("row", ["x"], [Html("<i>")]) == "<tr><td>x</td></tr>"
    assert parts("facts", [("x", None), ("y", "")]) == "<dl></dl>"
