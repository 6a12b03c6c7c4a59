"""Which gate to choose for a time scale."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from gateflow.flow.recommend import Recommendation
from gateflow.markup import Markup, join, table, tag
from gateflow.report.findings import Findings
from gateflow.report.sections._parts import box
from gateflow.report.typography import number, prose


def choice(found: Findings) -> Markup:
    """Gate, bias and step size for a time scale."""
    parts = [tag("h2", "Which to choose"), *_advice(found)]
    parts += [tag("p", f"{name} is left out: {why}.") for name, why in found.left_out.items()]
    return tag("section", *parts, id="choice")


def _advice(found: Findings) -> Iterator[Markup]:
    advice = found.advice
    if not isinstance(advice, Recommendation):
        yield tag("p", f"There is no advice: {advice}.")
        return
    headings = ["gate", "bias", "target", "steps", "largest step size", "floor", "why"]
    rows = [
        [
            found.name_of(one.gate),
            *(number(x) for x in (one.bias, one.target)),
            tag("span", "never") if np.isinf(one.steps) else number(round(one.steps)),
            *(number(x) for x in (one.largest_lr, one.floor)),
            prose(one.reason),
        ]
        for one in advice
    ]
    caption = [
        *("To keep a time constant of ", number(advice.timescale), " steps (T = ", number(advice.horizon), "), "),
        *("learned by ", _spaced(type(advice.optimizer).__name__), " with step size ", number(advice.lr)),
        *(f" in {advice.dtype} from a time constant of ", number(advice.start), ". "),
        "Bias: where to start. Target: where the time constant is held. Steps: how many that is predicted to take. ",
        "Floor: the longest time constant that such steps reach.",
    ]
    yield box(table(headings, rows, caption=join(caption), row_heads=True, class_="numbers advice"), "Recommendations")
    if advice.warnings:
        yield tag("ul", *(tag("li", "Beware: ", prose(text), ".") for text in advice.warnings), class_="plain")


def _spaced(name: str) -> str:
    """A class's name as words."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return words.lower() if " " in words else words
