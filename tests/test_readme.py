"""README is run: its commands print what it shows, its Python is a doctest, its table of gates is the registry's.

``python tests/test_readme.py`` writes the outputs and the table into README anew.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import math
import os
import re
import shlex
import tempfile
from pathlib import Path

from gateflow.cli import main
from gateflow.gate import GATES, gate

README = Path(__file__).resolve().parents[1] / "README.md"
CONSOLE = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)
PYTHON = re.compile(r"(?<=```python\n).*?(?=```)", re.DOTALL)
FIVE = re.compile(r"(?<=## Your own gate, in five commands\n).*?(?=\n## )", re.DOTALL)
TABLE = re.compile(r"(?<=<!-- table: gates -->\n).*?(?=<!-- end -->)", re.DOTALL)


def shown(command: str) -> str:
    """What a command prints, in a terminal 100 columns wide and a folder of its own."""
    program, *arguments = shlex.split(command)
    assert program == "gateflow"
    out = io.StringIO()
    wide = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(out):
            code = main(arguments)
    finally:
        os.environ.pop("COLUMNS")
        if wide is not None:
            os.environ["COLUMNS"] = wide
    assert code == 0, command
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def console(block: str) -> str:
    """A console block with the output of its commands put in."""
    commands = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
    return "\n".join(f"$ {command}\n{shown(command)}" for command in commands)


def table() -> str:
    """The gates of the registry as a table."""
    rows = ["| name | formula | source |", "| --- | --- | --- |"]
    rows += [f"| {name} | `{gate(name).text}` | {gate(name).reference} |" for name in GATES]
    return "\n".join(rows) + "\n"


def python(block: str, names: dict) -> str:
    """A Python block with its outputs put in."""
    lines = []
    for example in doctest.DocTestParser().get_examples(block):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(example.source, "README.md", "single"), names)
        lines += [f">>> {example.source}{out.getvalue()}"]
    return "".join(lines)


def rewritten(text: str) -> str:
    names: dict = {}
    text = CONSOLE.sub(lambda match: console(match.group()), text)
    text = PYTHON.sub(lambda match: python(match.group(), names), text)
    return TABLE.sub(lambda _: table(), text)


def same(one: str, other: str) -> bool:
    """Equal words; numbers equal to nine digits, since the last ones are another processor's to choose."""
    with contextlib.suppress(ValueError):
        return math.isclose(float(one), float(other), rel_tol=1e-9, abs_tol=1e-10)
    return one == other


def test_readme_shows_what_its_commands_print():
    text = README.read_text(encoding="utf-8")
    assert len(CONSOLE.findall(text)) >= 1
    assert len(PYTHON.findall(text)) >= 2
    for line, made in zip(text.splitlines(), rewritten(text).splitlines(), strict=True):
        words = zip(re.split(r"[\s,;]+", line), re.split(r"[\s,;]+", made), strict=True)
        assert all(same(one, other) for one, other in words), f"{line!r} is now {made!r}"


def test_five_commands_lead_from_a_clone_to_a_ranked_gate_and_its_flow(tmp_path, monkeypatch, capsys):
    part = FIVE.search(README.read_text(encoding="utf-8"))[0]
    shell = re.search(r"```sh\n(.*?)```", part, re.DOTALL)[1].splitlines()
    ours = [shlex.split(line[2:])[1:] for line in part.splitlines() if line.startswith("$ gateflow ")]
    assert [line.split()[0] for line in shell] == ["git", "python", "python"]
    assert [arguments[0] for arguments in ours] == ["rank", "flow"]
    mine = "sigmoid(z + z**3)"
    assert all(mine in arguments for arguments in ours)
    monkeypatch.chdir(tmp_path)
    assert main(ours[0]) == 0
    assert re.search(rf"^\d+\. .*{re.escape(mine)}", capsys.readouterr().out, re.MULTILINE)
    assert main(ours[1]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["flow.svg"]
    assert "</svg>" in (tmp_path / "flow.svg").read_text(encoding="utf-8")


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text(encoding="utf-8")), encoding="utf-8")
