"""Which gate to choose for a time scale."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from gateflow.descents.recommendation import Recommendation
from gateflow.notebook.markup import Markup, join, table, tag
from gateflow.reports.findings import Findings
from gateflow.reports.sections._parts import box
from gateflow.reports.typography import number, prose


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
    common = f"steps at {advice.lr:g}"
    headings = ["gate", "bias", "target", "own step size", "steps at it", common, "floor", "why"]
    rows = [
        [
            found.name_of(one.gate),
            *(number(x) for x in (one.bias, one.target)),
            number(one.own_lr),
            *(tag("span", "never") if np.isinf(x) else number(round(x)) for x in (one.own_steps, one.steps)),
            number(one.floor),
            prose(one.reason),
        ]
        for one in advice
    ]
    caption = [
        *("To keep a time constant of ", number(advice.timescale), " steps (T = ", number(advice.horizon), "), "),
        *(
            "learned by ",
            _spaced(type(advice.optimizer).__name__),
        ),
        *(f" in {advice.dtype} from a time constant of ", number(advice.start), ". "),
        "The best gate is at the top. ",
        "Bias: where to start. Target: where the time constant is held. Own step size: the largest that keeps it ",
        f"within 5 %. Steps: how many are predicted, at that one and at {advice.lr:g} for all gates. ",
        f"Floor: the longest time constant that steps of {advice.lr:g} reach.",
    ]
    yield box(table(headings, rows, caption=join(caption), row_heads=True, class_="numbers advice"), "Recommendations")
    if advice.in_words:
        yield tag("p", prose(advice.in_words.capitalize()), ".")
    if advice.warnings:
        yield tag("ul", *(tag("li", "Beware: ", prose(text), ".") for text in advice.warnings), class_="plain")


def _spaced(name: str) -> str:
    """A class's name as words."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return words.lower() if " " in words else words
