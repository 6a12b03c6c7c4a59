"""Tables of what the registries hold, in Markdown: ``<!-- table: NAME -->`` on a page stands for one of them."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

DRAWN = Path(__file__).resolve().parents[1] / "figures"

Rows = Iterable[Iterable[str]]


def markdown(head: Iterable[str], rows: Rows) -> str:
    """Cells as Markdown; a bar within a cell is kept from ending it."""
    head = list(head)
    lines = [head, ["---"] * len(head), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


SYMBOLS = {
    r"tau \(log tau\)\^2": r"\\tau (\\log \\tau)^2",
    r"lambda\*": r"\\lambda^*",
    r"\bphi\b": r"\\varphi",
    r"\bT = ([\d, ]*\d)": r"T = \1",
}
"""Symbols as captions and messages have them, which are read in terminals too, and as pages do."""


def typeset(text: str) -> str:
    """A sentence with its symbols as formulas."""
    for plain, formula in SYMBOLS.items():
        text = re.sub(plain, f"${formula}$", text)
    return text


def gates() -> str:
    """Name, formula and source of every gate."""
    from gateflow.gates.gate import GATES, gate

    rows = ([name, f"`{gate(name).text}`", gate(name).reference] for name in GATES)
    return markdown(["name", "formula", "source"], rows)


def laws() -> str:
    """How fast every gate learns, derived anew for this table."""
    from gateflow.asymptotics.rate import rate
    from gateflow.gates.gate import GATES, gate

    def law(name: str) -> str:
        found = rate(name, seconds=300)
        return (
            f"${found.latex()}$" if found.rate else "none in closed form" if found.implicit else typeset(found.reason)
        )

    def values(name: str) -> str:
        return "".join(f", {key} = {value}" for key, value in gate(name).parameters.items())

    def formula(name: str) -> str:
        return f"${gate(name).latex()}$".replace(r"\phi", r"\varphi")

    rows = ([f"`{name}`", formula(name) + values(name), law(name)] for name in GATES)
    references = {name: gate(name).reference.replace("docs/theory.md", "[theory](theory.md)") for name in GATES}
    sources = "".join(f"- `{name}`: {reference}\n" for name, reference in references.items())
    return f"{markdown(['name', 'formula', 'law of learning'], rows)}\nSources:\n\n{sources}"


def losses() -> str:
    """Every loss, in the decay h and the target's h*."""
    from gateflow.cli.losses import catalogue

    rows = ([f"`{row['name']}`", row["summary"], "yes" if row["arrives"] else "no"] for row in catalogue())
    return markdown(["name", "what", "reaches its target"], rows)


def trained(kind: str) -> Callable[[], str]:
    """The table of tasks, cells, initialisers or methods, as ``gateflow train --list`` has it."""

    def make() -> str:
        from gateflow.cli.train import catalogue

        found = catalogue()[kind]
        columns = [column for column in ("name", "about", "options", "source") if column in found[0]]
        code = ("name", "options") if kind != "methods" else ("name", "about")
        cells = ([f"`{row[c]}`" if c in code and row[c] else row[c] for c in columns] for row in found)
        return markdown(columns, cells)

    return make


def figures() -> str:
    """Every figure with its caption."""
    from gateflow.plots import FIGURES

    return markdown(["name", "caption"], ([f"`{name}`", FIGURES.summary(name)] for name in FIGURES))


def gallery() -> str:
    """Every figure that is kept, with what it shows, the command that makes it and its numbers."""
    from gateflow.plots import FIGURES

    def section(name: str) -> str:
        made = json.loads((DRAWN / f"{name}.json").read_text(encoding="utf-8"))
        files = f"[numbers](../figures/{name}.csv), [record](../figures/{name}.json)"
        about = f"{typeset(made['caption'])}\n\n`{made['command']}`, {files}"
        return f"## {name}\n\n![{FIGURES.summary(name)}](../figures/{name}.svg)\n\n{about}\n"

    return "\n".join(section(name) for name in FIGURES if (DRAWN / f"{name}.svg").exists())


def commands() -> str:
    """What every command says of itself."""
    from gateflow.cli import COMMANDS, main

    def said(*words: str) -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            main([*words, "--help"])
        return f"```text\n{out.getvalue().strip()}\n```\n"

    sections = [f"## gateflow {name}\n\n{said(name)}" for name in COMMANDS]
    return "\n".join([said(), *sections])


TABLES: dict[str, Callable[[], str]] = {
    "gates": gates,
    "laws": laws,
    "losses": losses,
    "figures": figures,
    "gallery": gallery,
    "commands": commands,
    **{kind: trained(kind) for kind in ("tasks", "cells", "initialisers", "methods")},
}


def filled(text: str) -> str:
    """A page with a table after each of its marks."""
    return re.sub(r"<!-- table: ([\w-]+) -->", lambda mark: TABLES[mark[1]](), text)
