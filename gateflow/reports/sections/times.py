"""Learning times by horizon and gap."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gateflow.flows.status import Status
from gateflow.flows.time import HittingTime
from gateflow.notebook.cards import exponential
from gateflow.notebook.markup import Markup, join, table, tag
from gateflow.reports.findings import Findings, GateFindings
from gateflow.reports.sections._parts import box
from gateflow.reports.typography import number, prose, scientific


def times(one: GateFindings, found: Findings) -> Iterator[Markup]:
    """A table with tau and log tau, or why there is none."""
    known = one.times
    if isinstance(known, str):
        yield tag("p", "No learning times: ", prose(known), ".")
        return
    headings = ["horizon", *(join(["gap ", number(gap)]) for gap in found.gaps)]
    rows = [
        [join([tag("i", "T"), " = ", number(horizon)]), *(_time(known, i, j) for j in range(len(found.gaps)))]
        for i, horizon in enumerate(found.horizons)
    ]
    caption = (
        "Learning time τ and, under it, log τ: from the time constant T, where the T-th power of φ is 1/e, to the "
        "target λ* = 1 − gap, for c = 1."
    )
    yield box(table(headings, rows, caption=caption, row_heads=True, class_="numbers times"), "Learning times")


def _time(times: HittingTime, i: int, j: int) -> Markup:
    status, log_tau = times.status[i, j], float(times.log_tau[i, j])
    if status is not Status.REACHED or not np.isfinite(log_tau):
        return tag("span", "at once" if log_tau == -np.inf else str(status))
    return join([scientific(exponential(log_tau)), tag("small", f"{log_tau:.4f}".replace("-", "−"))])
