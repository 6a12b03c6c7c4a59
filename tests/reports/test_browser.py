"""The page in headless Chromium: nothing goes wrong, nothing is fetched, nothing is too wide, everything has a name."""

import re

import pytest

from tests.docs.axe import violations

from .chromium import Page

pytestmark = pytest.mark.xdist_group("report")  # the pages they look at are made once a process


@pytest.fixture(scope="module")
def file(three, tmp_path_factory):
    return three.write(tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module", params=[(360, False), (1280, False), (1280, True)], ids=["360", "1280", "1280-dark"])
def page(request, browser, file):
    width, dark = request.param
    return Page(browser, file, width, dark=dark)


@pytest.fixture(scope="module")
def narrow(browser, file):
    return Page(browser, file, 360)


def test_the_console_stays_silent(page):
    assert page.value("document.title").endswith("gateflow report")
    assert page.events("Log.entryAdded") == []
    assert page.events("Runtime.consoleAPICalled") == []
    assert page.events("Runtime.exceptionThrown") == []


def test_the_page_itself_is_all_that_is_asked_for(page):
    asked = [event["request"]["url"] for event in page.events("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith("data:")] == [page.address]


def test_a_script_on_the_page_would_not_run(page):
    """The page's own policy forbids it, should a text ever get through as markup."""
    page.value("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')")
    page.value("new Promise(done => setTimeout(done, 50))")
    assert page.value("window.ran") is None
    page.value("document.body.lastElementChild.remove()")


def test_nothing_scrolls_sideways_but_boxes_of_their_own(page):
    assert page.value("document.documentElement.scrollWidth <= window.innerWidth")
    beyond = """
        [...document.querySelectorAll('body *')]
        .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
        .filter(e => !e.closest('.box, .display, dd, td, svg'))
        .map(e => e.tagName + ' ' + e.className)
    """
    assert page.value(beyond) == []


@pytest.mark.sampled(3)
def test_axe_core_finds_nothing(page):
    assert violations(page) == []


def test_no_proof_is_cut(page):
    """Its box has nothing to scroll, and no formula in it either that has room in a line of its own."""
    wide = "[...document.querySelectorAll('.box:has(.proof)')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    assert page.value("document.querySelectorAll('.box:has(.proof)').length") > 0
    assert page.value(wide) == 0


@pytest.mark.parametrize("place", [".display", "dd", ".proof td", ".words-table td", "h1", "h2", "caption", "code"])
def test_what_is_long_stays_in_its_box(narrow, place):
    """A formula of 200 letters, or a word where there is no formula, makes no page wider."""
    formula = "'<math><mi>' + 'x'.repeat(200) + '</mi></math>'" if place in _HOLD_FORMULAS else "'x'.repeat(200)"
    script = f"""(() => {{
        const place = document.querySelector('{place}'), before = place.innerHTML, root = document.documentElement;
        place.innerHTML = {formula};
        const found = [place.textContent, root.scrollWidth <= root.clientWidth];
        place.innerHTML = before;
        return found;
    }})()"""
    assert narrow.value(script) == ["x" * 200, True]


_HOLD_FORMULAS = (".display", "dd", ".proof td", ".words-table td")


def test_every_picture_and_formula_has_a_name(page):
    assert page.value("document.querySelectorAll('figure svg[role=img]').length") == 4
    without = """
        [...document.querySelectorAll('img, svg')].filter(e =>
            !(e.getAttribute('aria-labelledby') || '').split(' ').every(id => document.getElementById(id)?.textContent)
        ).length + document.querySelectorAll('math:not([alttext])').length
    """
    assert page.value(without) == 0


def test_formulas_are_set_by_the_browser(page):
    """The parts of a fraction stand one over the other."""
    apart = """
        [...document.querySelectorAll('mfrac')].map(e => [...e.children].map(c => c.getBoundingClientRect()))
        .every(([above, below]) => above.bottom <= below.top + 1)
    """
    assert page.value("document.querySelectorAll('mfrac').length") > 5
    assert page.value(apart)


def test_text_stands_out_from_the_page(page):
    """A contrast of 4.5 to 1, by the formula of WCAG 2.1."""
    script = """
        (() => {
            const light = c => {
                const [r, g, b] = c.match(/[\\d.]+/g).map(x => x / 255)
                    .map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const page = light(getComputedStyle(document.body).backgroundColor);
            return ['body', 'caption', 'figcaption', 'thead th', 'dt', 'footer p', 'small', 'a'].map(s => {
                const text = light(getComputedStyle(document.querySelector(s)).color);
                return (Math.max(text, page) + 0.05) / (Math.min(text, page) + 0.05);
            });
        })()
    """
    assert min(page.value(script)) > 4.5


@pytest.mark.sampled(3)
def test_it_prints(page):
    printed = page.pdf()
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type ?/Page\b", printed)) > 3


def test_links_lead_to_places_on_the_page(page):
    lost = "[...document.links].filter(a => !document.querySelector(a.getAttribute('href'))).length"
    assert page.value("document.links.length") > 3
    assert page.value(lost) == 0
