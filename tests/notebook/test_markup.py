"""HTML from parts: whatever the text is, a browser reads it back as that text, and as nothing else."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from gateflow.notebook.markup import Markup, facts, join, table, tag


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


@given(TEXT | HOSTILE)
def test_text_comes_back_as_it_was(text):
    read = Read(tag("p", text, title=text))
    assert read.tags == ["p"]
    assert "".join(read.words) == text
    assert read.attributes == {"title": text}


@given(HOSTILE)
def test_no_way_through_tables_facts_and_lists(text):
    made = join([table([text], [[text]], caption=text, id=text), facts([(text, text)]), text])
    assert set(Read(made).tags) == {"table", "caption", "thead", "tbody", "tr", "th", "td", "dl", "div", "dt", "dd"}


def test_what_was_built_here_passes_and_nothing_else_does():
    assert tag("b", Markup("<i>")) == "<b><i></b>"
    assert tag("b", "<i>" + Markup("<i>")) == "<b>&lt;i&gt;&lt;i&gt;</b>"


def test_attributes_that_are_false_are_left_out():
    assert tag("th", "x", scope=None, hidden=False, open=True, data_label="y") == '<th open data-label="y">x</th>'
