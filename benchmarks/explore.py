"""How soon the page of ``gateflow explore`` answers, in headless Chromium: ``python -m benchmarks.explore``.

Printed are, in milliseconds as the browser's own clock has them:

- first picture: from the opening of the page until its curves are drawn, over 10 openings;
- slider: from the input event of the horizon's slider until the curves are drawn and a frame was shown, over 100
  places that were not asked before;
- the time of the processor that worker and server spend on one such answer. Others who use the machine lengthen the
  first two, hardly the last.

And, for the choice of who draws: the processor's time of Matplotlib for the same three panels as SVG, without numbers.

``python -m benchmarks.explore --screenshot FILE.png`` writes the picture of the page in the documentation instead.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from gateflow.explorer.exploration import Exploration, first_sight
from tests.reports.chromium import Browser, Page

SETS = (("fast", "sigmoid", "softsign"), ("fast", "sigmoid(z + z**3)", "erf", "softsign", "cubic", "lru"))
OPENINGS, PLACES = 10, 100

SLIDE = """new Promise(done => {
    const slider = document.getElementById('horizon-slider'), begun = performance.now();
    slider.value = PLACE;
    slider.dispatchEvent(new Event('input'));
    const look = () => gateflow.shown === gateflow.seq && !gateflow.waiting && !gateflow.ahead
        ? requestAnimationFrame(() => setTimeout(() => done(performance.now() - begun))) : setTimeout(look, 1);
    look();
})"""


def spent(process: int) -> float:
    """Seconds of the processor that a process has spent."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until(page: Page, holds: str) -> None:
    while not page.value(holds):
        time.sleep(0.05)


def quantiles(values: list[float]) -> str:
    return "{:6.0f} median {:6.0f} at 95 %".format(*np.quantile(values, [0.5, 0.95]))


def measured(browser: Browser, gates: tuple[str, ...]) -> None:
    """One set of gates."""
    opened = Exploration(first_sight(gates), 0)
    worker = opened.processes["numbers"]
    try:
        firsts = []
        for _ in range(OPENINGS):
            page = Page(browser, opened.address, 1280)
            until(page, "gateflow.first !== undefined")
            firsts.append(page.value("gateflow.first"))
            page.call("Page.close")
        page = Page(browser, opened.address, 1280)
        until(page, "gateflow.own && document.getElementById('theory-state').textContent === ''")
        time.sleep(2)
        slid, before = [], spent(worker) + time.process_time()
        for k in range(PLACES):
            script = SLIDE.replace("PLACE", str(50 + 7 * k))
            found: Any = page.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
            slid.append(found["result"]["value"])
        page.call("Page.close")
        after = spent(worker) + time.process_time()
    finally:
        opened.close()
    print(f"{', '.join(gates)}")
    print(f"  first picture   {quantiles(firsts)}")
    print(f"  slider          {quantiles(slid)}")
    print(f"  processor       {1e3 * (after - before) / PLACES:6.0f} an answer, with the steps that follow it")


def matplotlib() -> float:
    """Milliseconds of the processor for three panels as SVG."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    x = np.linspace(-6, 6, 161)
    times = []
    for _ in range(5):
        begun = time.process_time()
        figure = Figure(figsize=(10, 4))
        FigureCanvasSVG(figure)
        for axes in figure.subplots(1, 3):
            for k in range(3):
                axes.plot(x, 1 / (1 + np.exp(-(k + 1) * x)), label=f"{k}")
            axes.legend()
        figure.savefig(io.StringIO(), format="svg")
        times.append(time.process_time() - begun)
    return 1e3 * float(np.median(times))


def screenshot(file: Path) -> None:
    """The upper part of the page, in few colours."""
    from PIL import Image

    opened = Exploration(first_sight(["fast", "sigmoid(z + z**3)", "softsign"]), 0)
    with tempfile.TemporaryDirectory() as profile, Browser(Path(profile)) as browser:
        page = Page(browser, opened.address, 1280)
        until(page, "gateflow.own && document.querySelectorAll('#crossings li').length === 2")
        picture = Image.open(io.BytesIO(page.picture()))
    opened.close()
    picture.crop((0, 0, picture.width, 1180)).convert("P", palette=Image.Palette.ADAPTIVE, colors=48).save(
        file, optimize=True
    )


def main() -> None:
    if sys.argv[1:2] == ["--screenshot"]:
        screenshot(Path(sys.argv[2]))
        return
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as profile, Browser(Path(profile)) as browser:
        for gates in SETS:
            measured(browser, gates)
    print(f"Matplotlib, three panels as SVG: {matplotlib():.0f} of the processor")
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
