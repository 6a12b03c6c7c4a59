"""README and the pages of docs, run: each block of a page after the one before it, in a folder of its own.

- ``console``: each ``$ gateflow ...`` runs; where the block shows answers, they are what is printed.
- ``sh``: each line runs; programs of Python as processes, at the root of the repository. ``python -m pytest`` of all
  pages is one process (:func:`named_tests`).
- ``python``: with ``>>>`` the answers shown are those given; without, it runs. Names live to the end of the page.

Before a block, on a line of its own, may stand

- ``<!-- file: PATH -->``: the block is a file. One under ``gateflow/`` is put where the registry finds it.
- ``<!-- tests: LONG => SHORT; ... -->``: the tests put SHORT for LONG, which the page says in words too.
- ``<!-- not run: REASON -->``.

``python -m tests.docs.pages`` writes the answers and the tables into README and the pages anew.
"""

from __future__ import annotations

import contextlib
import doctest
import inspect
import io
import json
import math
import os
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from gateflow.cli import COMMANDS, main
from gateflow.registry import Registry

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if not {"_build", "api", "notebooks"} & set(page.relative_to(ROOT).parts)]

BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[\w ]+): (?P<said>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
TABLE = re.compile(r"(?<=<!-- table: gates -->\n).*?(?=<!-- end -->)", re.DOTALL)
RUN = ("console", "sh", "python")


@dataclass
class Block:
    """A piece of code on a page."""

    language: str
    code: str
    mark: str | None = None
    said: str = ""

    @property
    def short(self) -> str:
        """The code as the tests run it."""
        if self.mark != "tests":
            return self.code
        code = self.code
        for long, short in (pair.split(" => ") for pair in self.said.split("; ")):
            assert long in code, f"{long!r} is not in the block"
            code = code.replace(long, short)
        return code


def blocks(text: str) -> list[Block]:
    """The blocks of a page that are code."""
    found = (Block(b["language"], b["code"], b["mark"], b["said"] or "") for b in BLOCK.finditer(text))
    return [block for block in found if block.language in RUN or block.mark == "file"]


@dataclass
class Reader:
    """Someone who does what a page says, in the folder ``home``."""

    home: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})

    def follow(self, block: Block) -> str:
        """Do what a block says; the block as it should read."""
        if block.mark in ("not run", "command", "file"):
            return block.code
        made = getattr(self, block.language)(block.short)
        return made if block.mark is None else block.code

    def write(self, path: str, text: str) -> None:
        """Put a file where the page says; an extension, where its registry finds it: as an entry point."""
        if not path.startswith("gateflow/"):
            (self.home / path).write_text(text, encoding="utf-8")
            return
        *folder, name = Path(path).with_suffix("").parts
        group, package = ".".join(folder), self.home / "howto-1.dist-info"
        package.mkdir(exist_ok=True)
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: howto\nVersion: 1\n")
        with (package / "entry_points.txt").open("a") as points:
            points.write(f"[{group}]\n{name.replace('_', '-')} = howto_{name}\n")
        (self.home / f"howto_{name}.py").write_text(text, encoding="utf-8")
        forget()

    def console(self, code: str) -> str:
        commands = [line[2:] for line in code.splitlines() if line.startswith("$ ")]
        answers = [self.answer(command) for command in commands]
        if len(commands) == len(code.splitlines()):
            return code
        return "\n".join(f"$ {command}\n{answer}" for command, answer in zip(commands, answers, strict=True))

    def sh(self, code: str) -> str:
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["gateflow"]:
                self.answer(shlex.join(words))
            elif words[:3] != ["python", "-m", "pytest"] and words:
                self.program(words)
        return code

    def answer(self, command: str) -> str:
        """What a command prints, in a terminal 100 columns wide; a proof may take its time on a busy machine."""
        program, *arguments = shlex.split(command)
        assert program == "gateflow", command
        if "seconds" in inspect.signature(COMMANDS[arguments[0]]).parameters and "--seconds" not in arguments:
            arguments += ["--seconds", "300"]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(arguments)
        assert code == 0, f"{command}: {err.getvalue()}"
        assert out.getvalue().strip(), command
        if "--json" in arguments:
            json.loads(out.getvalue())
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"

    def program(self, words: list[str]) -> str:
        """What a program of Python prints, at the root of the repository, with the files of the page installed."""
        assert words[0] == "python", words
        paths = os.pathsep.join([str(self.home), str(ROOT), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, *words[1:]],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "100"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def python(self, code: str) -> str:
        examples = doctest.DocTestParser().get_examples(code)
        if not examples:
            exec(compile(code, "page", "exec"), self.names)
            return code
        lines = []
        for example in examples:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(example.source, "page", "single"), self.names)
            head, *rest = example.source.splitlines(keepends=True)
            lines += [f">>> {head}", *(f"... {line}" for line in rest), out.getvalue()]
        return "".join(lines)


def named_tests(pages: list[Path]) -> tuple[list[Block], list[tuple[list[str], str]]]:
    """The files that pages add to the package, and the tests that they run on them: where, and chosen by which word."""
    found = [block for page in pages for block in blocks(page.read_text(encoding="utf-8"))]
    lines = [line.split() for b in found if b.language == "sh" and b.mark is None for line in b.code.splitlines()]
    asked = [line[3:] for line in lines if line[:3] == ["python", "-m", "pytest"]]
    assert all(words[-2] == "-k" for words in asked)
    return [b for b in found if b.mark == "file" and b.said.startswith("gateflow/")], [(w[:-2], w[-1]) for w in asked]


def forget() -> None:
    """Let the registries look anew what there is."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "gateflow":
            for registry in [thing for thing in vars(module).values() if isinstance(thing, Registry)]:
                vars(registry).pop("_modules", None)


def rewritten(text: str, reader: Reader) -> str:
    """A page with the answers that its blocks give now."""

    def anew(match: re.Match[str]) -> str:
        (block,) = blocks(match.group()) or (None,)
        return match.group().replace(block.code, reader.follow(block)) if block else match.group()

    for block in blocks(text):
        if block.mark == "file":
            reader.write(block.said, block.code)
    gates = runpy.run_path(str(ROOT / "docs" / "tables.py"))["gates"]
    return TABLE.sub(lambda _: gates(), BLOCK.sub(anew, text))


def same(one: str, other: str) -> bool:
    """Equal words; numbers equal to nine digits, since the last ones are another processor's to choose."""
    with contextlib.suppress(ValueError):
        return one == other or math.isclose(float(one), float(other), rel_tol=1e-9, abs_tol=1e-10)
    return False


def differences(text: str, made: str) -> list[str]:
    """The lines of a page that should read otherwise."""
    found = []
    for line, now in zip_longest(text.splitlines(), made.splitlines(), fillvalue=""):
        words = [re.split(r"[\s,;]+", part) for part in (line, now)]
        if len(words[0]) != len(words[1]) or not all(map(same, *words)):
            found.append(f"{line!r} is now {now!r}")
    return found


if __name__ == "__main__":
    import tempfile

    os.environ["COLUMNS"] = "100"
    for page in PAGES:
        if any(f"/{name}" in str(page) for name in sys.argv[1:] or [""]):
            with tempfile.TemporaryDirectory() as home, contextlib.chdir(home):
                sys.path.insert(0, home)
                page.write_text(rewritten(page.read_text(encoding="utf-8"), Reader(Path(home))), encoding="utf-8")
