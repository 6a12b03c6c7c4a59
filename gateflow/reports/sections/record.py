"""What made the page."""

from __future__ import annotations

from typing import Any

from gateflow.notebook.markup import Markup, facts, join, tag
from gateflow.reports.findings import Findings
from gateflow.reports.typography import number


def record(found: Findings) -> Markup:
    """What made the page."""
    made = found.made
    packages = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    rest = {key: value for key, value in made.items() if key not in ("command", "versions")}
    rows = [
        ("command", tag("code", made["command"])),
        ("versions", packages),
        *((key.replace("_", " "), _plain(value)) for key, value in rest.items()),
    ]
    return tag("section", tag("h2", "Record"), facts(rows), id="record")


def _plain(value: Any) -> Markup:
    parts = value if isinstance(value, list) else [value]
    return join((number(part) if isinstance(part, (int, float)) else part for part in parts), ", ")
