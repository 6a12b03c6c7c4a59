"""The page in headless Chromium: it answers, shows nothing stale, survives hostile formulas, and can be used by all."""

import csv
import io
import json
import time
import xml.etree.ElementTree as ET
from contextlib import suppress

import pytest

import gateflow
from gateflow.errors import NoCompiler
from gateflow.plots._style import STROKES
from tests.docs.axe import violations
from tests.reports.chromium import Browser, Page, program

pytest.importorskip("tornado")

from benchmarks.explore import SETS, SLIDE

pytestmark = pytest.mark.xdist_group("explorer")

SIX = ["fast", "sigmoid", "softsign", "erf", "lru", "hgrn(low=0.5)"]
HOSTILE = ["9**9**9*z", "__import__('os')", "(" * 5000 + "z", "<img src=x onerror='window.ran=1'>", "sinhh(z)"]


@pytest.fixture(scope="module")
def address():
    if program() is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    opened = gateflow.explore(["fast", "sigmoid", "softsign"], browser=False)
    assert f'<iframe src="{opened.address}" title=' in opened._repr_html_()
    yield opened.address
    opened.close()
    assert "closed" in repr(opened)


@pytest.fixture(scope="module")
def browser(address, tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module", params=[(1280, False), (390, True)], ids=["1280", "390-dark"])
def page(request, browser, address):
    width, dark = request.param
    opened = Page(browser, address, width, dark=dark)
    until(opened, "gateflow.own !== null && document.querySelectorAll('#crossings li').length === 3")
    yield opened
    opened.close()  # and what it asked for last is given up


def until(page, holds, patience=100.0):
    deadline = time.monotonic() + patience
    while not page.value(holds):
        assert time.monotonic() < deadline, holds
        time.sleep(0.02)


SETTLED = "!gateflow.waiting && !gateflow.ahead && gateflow.shown === gateflow.seq"


def typed(page, texts):
    page.value(f"""{json.dumps(texts)}.forEach((text, k) => {{
        const gate = gateflow.gates[k] || (document.getElementById('add').click(), gateflow.gates[k]);
        gate.input.value = text;
        gate.input.dispatchEvent(new Event('input'));
    }})""")
    asked = json.dumps([text.strip() for text in texts], separators=(",", ":"))
    until(page, f"{SETTLED} && JSON.stringify(gateflow.picture.asked.gates) === {json.dumps(asked)}")


LINES = "[...document.querySelectorAll('#charts figure:first-child path')]"
"""Those of the losses."""


def test_it_shows_what_was_asked_in_the_colours_of_the_figures(page):
    roles = page.value("[...document.querySelectorAll('#charts svg')].map(svg => svg.getAttribute('role'))")
    assert roles == ["img"] * 3
    script = "p => [p.dataset.gate, p.getAttribute('stroke'), p.getAttribute('stroke-dasharray')]"
    gates, colours, dashes = zip(*page.value(f"{LINES}.map({script})"), strict=True)
    assert gates == ("fast", "sigmoid", "softsign")
    assert colours == tuple(colour for colour, *_ in STROKES[:3])
    assert dashes == (None, "10 3", "2 2")
    assert "4478.4" in page.value("document.getElementById('times').textContent")  # README has it from gateflow time
    assert "in F" in page.value("document.getElementById('about').textContent")
    assert "fast against sigmoid: higher" in page.value("document.getElementById('orders').textContent")


def test_nothing_goes_wrong_and_nothing_is_fetched_from_elsewhere(page, address):
    for event in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
        assert page.events(event) == []
    asked = [event["request"]["url"] for event in page.events("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith((address, "data:"))] == []


RECORD = """
    window.drawn = [];
    const charts = document.getElementById('charts'), slider = document.getElementById('horizon-slider');
    charts.replaceChildren = (...parts) => {
        drawn.push([gateflow.picture.seq, gateflow.seq, gateflow.picture.asked.horizon]);
        Element.prototype.replaceChildren.apply(charts, parts);
    };
"""
"""Of each picture that is drawn: the request that it answers, the newest that was sent, and its horizon."""

PUSH = f"""(() => {{
    gateflow.patience = 0;  // every request overtakes the one before
    {RECORD}
    let k = 0;
    const push = () => {{
        slider.value = 100 + 3 * k;
        slider.dispatchEvent(new Event('input'));
        k += 1;
        if (k < 60) setTimeout(push, 8); else window.pushed = true;
    }};
    push();
}})()"""


@pytest.mark.sampled(2)
def test_no_stale_answer_is_shown(page):
    """A slider is pushed as fast as it can be; what is drawn is an answer to the newest request that was sent."""
    page.value(PUSH)
    until(page, f"window.pushed && {SETTLED}")
    count = page.value("drawn.length")
    page.value("gateflow.hear({...gateflow.picture, seq: gateflow.seq - 1})")  # one that was under way
    assert page.value("drawn.length") == count
    drawn = page.value("delete document.getElementById('charts').replaceChildren, delete window.pushed, drawn")
    assert drawn
    assert all(shown == sent for shown, sent, _ in drawn)
    horizon = float(page.value("document.getElementById('horizon').value"))
    assert drawn[-1][2] == horizon == page.value("gateflow.values.horizon")
    assert page.value("document.getElementById('picture').getAttribute('aria-busy')") == "false"


@pytest.mark.sampled(2)
def test_hostile_formulas_are_one_line_each_and_the_others_stay(page):
    typed(page, ["sigmoid(z)", *HOSTILE])
    faults = page.value("gateflow.gates.map(gate => gate.fault.textContent)")
    assert faults[0] == ""
    assert all(faults[1:])
    assert page.value("gateflow.gates[5].fault.querySelector('pre').textContent") == "    sinhh(z)\n    ^^^^^"
    said = page.value("gateflow.gates[5].fault.firstChild.textContent")
    assert said == "unknown function 'sinhh'; did you mean 'sinh'?"
    assert page.value("window.ran") is None
    assert page.value("document.querySelectorAll('main img').length") == 0
    assert page.value(f"{LINES}.length") == 1
    assert page.value("document.documentElement.scrollWidth <= window.innerWidth")
    page.value("[...document.querySelectorAll('.gate button')].slice(2).forEach(button => button.click())")
    typed(page, SIX[:2])
    assert page.value("gateflow.gates.map(gate => gate.fault.textContent).join('')") in ("", None)


@pytest.mark.sampled(2)
def test_the_keyboard_moves_a_slider(page):
    page.value("document.getElementById('gap-slider').focus()")
    before = page.value("gateflow.values.gap")
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="ArrowRight", code="ArrowRight", windowsVirtualKeyCode=39)
    until(page, f"{SETTLED} && gateflow.picture.asked.gap === gateflow.values.gap && gateflow.values.gap > {before!r}")


@pytest.mark.sampled(2)
def test_noise_is_told_of(page):
    before = page.value("gateflow.gates.map(gate => gate.text)")
    page.value("""for (const [name, value] of [['noise', 6], ['gap', 0.5], ['horizon', 10]]) {
        document.getElementById(name).value = value;
        document.getElementById(name).dispatchEvent(new Event('input'));
    }""")
    until(page, f"{SETTLED} && gateflow.noise !== null && gateflow.picture.asked.gap === 0.5")
    rows = page.value("[...document.querySelectorAll('#noisy tbody tr')].map(row => row.textContent)")
    assert len(rows) == len(before)
    assert len(rows[0].split("/")) == 5  # three quantiles of two numbers
    ids = page.value("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.sampled(2)
def test_axe_core_finds_nothing(page):
    assert violations(page) == []


@pytest.mark.sampled(2)
def test_what_is_taken_away_is_whole(page):
    page.value("""(noise => { noise.value = 0; noise.dispatchEvent(new Event('input')); })
        (document.getElementById('noise'))""")  # of six gates it takes long
    typed(page, SIX)
    svg = ET.fromstring(page.value("gateflow.figure()"))
    assert len(svg.findall(".//{http://www.w3.org/2000/svg}path")) == 18
    rows = list(csv.reader(io.StringIO(page.value("gateflow.table()"))))
    assert rows[0] == ["curve", "gate", "x", "y"]
    assert {row[1] for row in rows[1:]} >= {"fast", "erf", "hgrn(low=0.5)"}
    numbers = json.loads(page.value("gateflow.numbers()"))
    assert numbers["asked"]["gates"][0] == numbers["gates"][0]["gate"] == "fast"
    assert "gateflow flow fast" in numbers["lines"]["shell"]


NAMELESS = """[...document.querySelectorAll('input, select, button')].filter(e =>
    !(e.getAttribute('aria-label') || e.textContent.trim() || (e.labels || []).length)).length"""

CONTRAST = f"""(() => {{
    const part = x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
    const light = c => {{
        const [r, g, b] = c.match(/[\\d.]+/g).map(x => part(x / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    }};
    const ground = e => {{
        const c = getComputedStyle(e).backgroundColor;
        return c !== 'rgba(0, 0, 0, 0)' ? c : e.parentElement ? ground(e.parentElement) : 'rgb(255, 255, 255)';
    }};
    const ratio = (e, colour) => {{
        const [a, b] = [light(colour), light(ground(e))];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }};
    const kinds = 'h1 label small button input select figcaption .fault caption th td summary pre'.split(' ');
    const there = kinds.map(s => document.querySelector(s)).filter(e => e);
    const texts = there.map(e => ratio(e, getComputedStyle(e).color));
    const lines = {LINES}.map(p => ratio(p.closest('figure'), getComputedStyle(p).stroke));
    return [Math.min(...texts), Math.min(...lines)];
}})()"""
"""By the formula of WCAG 2.1, of texts and of lines."""


def test_it_can_be_used_by_all(page):
    """What is typed, slid or pressed has a name and takes the keyboard; nothing is too wide; texts stand out."""
    assert page.value(NAMELESS) == 0
    keys = "[...document.querySelectorAll('input, select, button, pre#lines, .box')].every(e => e.tabIndex === 0)"
    assert page.value(keys)
    assert page.value("document.documentElement.scrollWidth <= window.innerWidth")
    texts, lines = page.value(CONTRAST)
    assert texts > 4.5
    assert lines > 3


# --- how soon it answers ----------------------------------------------------------------------------------------------

FIRST, ANSWER = 2000, 150
"""Milliseconds of the page's own clock within which it has its first picture, and those of a slider."""

OPENINGS, ROUNDS, PLACES = 3, 6, 15

FREE, SPIN = 0.8, 0.02
"""The machine is free where this process gets so much of a processor for so many seconds."""


def share():
    """The part of a processor that this process gets just now."""
    begun, before = time.perf_counter(), time.thread_time()
    while (spent := time.thread_time() - before) < SPIN:
        pass
    return spent / (time.perf_counter() - begun)


@pytest.fixture(params=SETS, ids=["three", "six"])
def anew(request, address, tmp_path):
    """Opens the page of some gates, each time with a server and workers that were just started."""
    for text in request.param:
        with suppress(NoCompiler):  # kernels are on this machine, if they can be: compiling is not what is timed
            gateflow.hitting_time(gateflow.LearningProblem(text, horizon=1, gap=0.1), 0.0, backend="compiled")
    explorations = []
    with Browser(tmp_path) as browser:

        def opened():
            explorations.append(gateflow.explore(request.param, browser=False))
            return Page(browser, explorations[-1].address, 1280)

        yield opened
    for one in explorations:
        one.close()


@pytest.mark.sampled(2)
def test_the_first_picture_comes_within_two_seconds(anew):
    """The best of three openings counts, each with processes of its own.

    Others who use the machine lengthen some openings; what the program does lengthens all.
    """
    firsts = []
    while len(firsts) < OPENINGS and min(firsts, default=FIRST) >= FIRST:
        page = anew()
        until(page, "gateflow.first !== undefined")
        firsts.append(page.value("gateflow.first"))
        page.close()
    assert min(firsts) < FIRST, firsts


@pytest.mark.slow
def test_a_slider_is_answered_within_150_ms_and_by_nothing_stale(anew):
    """From the input event until the curves are drawn and a frame was shown, at places that were not asked before.

    Three such answers, of fifteen to ninety, have to be as soon as that: others who use the machine lengthen many
    answers, what the program does lengthens all. Where they are not, and fifteen answers were given while the machine
    was free before and after, the page is too slow; with fewer of them nothing is known of it, and the test is left
    out. Each place has one picture, and it is the answer to that place.
    """
    page = anew()
    until(page, "gateflow.own && document.getElementById('theory-state').textContent === ''")
    page.value(f"(() => {{ {RECORD} }})()")
    took, free = [], []
    for place in range(50, 50 + 10 * ROUNDS * PLACES, 10):
        if len(took) % PLACES == 0:
            if len(took) and sorted(took)[2] < ANSWER:
                break
            time.sleep(2)  # kernels are loaded once nothing is asked
        script, before = SLIDE.replace("PLACE", str(place)), share()
        said = page.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        took.append(round(said["result"]["value"]))
        if min(before, share()) > FREE:
            free.append(took[-1])
        assert page.value("drawn.at(-1)[2] === gateflow.values.horizon")
    drawn = page.value("drawn")
    page.close()
    assert len(drawn) == len({horizon for *_, horizon in drawn}) == len(took)
    assert all(shown == sent for shown, sent, _ in drawn)
    if sorted(took)[2] >= ANSWER and len(free) < PLACES:
        pytest.skip(f"the machine is too busy to time anything: it was free at {len(free)} of {len(took)} answers")
    assert sorted(took)[2] < ANSWER, (sorted(took)[:9], sorted(free)[:9])
