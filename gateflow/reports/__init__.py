"""Reports: all that gateflow has to say of some gates, as one page that needs nothing but a browser.

`findings` asks, `page` fills the templates with what was found and with the figures of :mod:`gateflow.plots`, which
`drawing` sets into it; `rows` says what tables say, `mathml` sets formulas, `typography` numbers and sentences.
Nothing on the page is a script, nothing is fetched, and what is text is escaped (`gateflow.notebook.html`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateflow.errors import InvalidArgument
from gateflow.files import Output, folder_for
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.results.byvalue import by_value

if TYPE_CHECKING:
    from gateflow.reports.findings import Findings


@by_value
@dataclass(frozen=True)
class Report:
    """A report: what was found, and its page; Jupyter shows the findings at a glance.

    Attributes
    ----------
    found : Findings
    html : str
        The whole page.
    """

    found: Findings
    html: str

    def write(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the page, whole or not at all; over a report, or with ``force`` over any file.

        The folder is made if there is none.
        """
        return output(path, force=force).write(self.html)

    def to_json(self) -> dict[str, Any]:
        """What was found, as plain data."""
        return self.found.to_json()

    def _repr_html_(self) -> str:
        from gateflow.reports.page import summary

        return summary(self.found)

    def __repr__(self) -> str:
        return f"<Report on {', '.join(one.name for one in self.found.gates)}; {len(self.html)} characters of HTML>"


def report(
    gates: Iterable[Gate | str] | Gate | str, out: str | Path | None = None, *, force: bool = False, **options: Any
) -> Report:
    """A one-page report on one or more gates.

    Parameters
    ----------
    gates : iterable of Gate or str
        One to eight gates, by name or formula.
    out : path, optional
        The file to write.
    force : bool
        Whether a file may be replaced that is no report.
    **options
        Of :func:`gateflow.reports.findings.findings`: names, horizons, gaps, timescale, seconds.

    Raises
    ------
    InvalidArgument
        A formula leaves (0, 1) or falls, so that it is no gate; an option is out of range; or the file is there and is
        no report.

    Examples
    --------
    >>> made = report("fast", horizons=[10], gaps=[1e-6])
    >>> made.found.gates[0].law.rate, made.html.startswith("<!DOCTYPE html>")
    ('1/(c*T*tau*log(tau)**2)', True)
    """
    from gateflow.flows.critical import refuse_if_no_gate
    from gateflow.reports.findings import findings
    from gateflow.reports.page import page

    chosen: Sequence[Gate | str] = [gates] if isinstance(gates, (str, Gate)) else list(gates)
    if out is not None:
        output(out, force=force)  # before the work, not after it
    named = [as_gate(one) for one in chosen]
    for each in named:
        refuse_if_no_gate(each)
    found = findings(named, **options)
    made = Report(found, page(found))
    if out is not None:
        made.write(out, force=force)
    return made


def output(path: str | Path, *, force: bool = False) -> Output:
    """The file that a report is to be written to.

    Raises
    ------
    InvalidArgument
        Its name is not that of a page, or something is there that is no report, and ``force`` is not given.
    """
    from gateflow.reports.page import is_report

    if Path(path).is_dir():
        raise InvalidArgument(f"{path} is a folder; give the file to write, such as {Path(path) / 'report.html'}")
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise InvalidArgument(f"{path} should end in .html, which is what browsers open")
    folder_for(Path(path).parent)
    return Output(path, force=force, ours=is_report, what="report", early=True)
