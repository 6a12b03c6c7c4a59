"""Usage errors of cyclopts in our own words: one line that says what was wrong and what to do."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from gateflow.errors import GateflowError

NOUNS = {float: "a number", int: "a whole number", bool: "nothing, true or false"}


def usage_error(problem: Any, tokens: Sequence[str], verbs: Collection[str]) -> GateflowError:
    """The error to show for what cyclopts raised on the command line ``tokens``."""
    verb = next((token for token in tokens[:1] if token in verbs), None)
    asked = f"gateflow {verb} --help" if verb else "gateflow --help"
    return GateflowError(f"{_said(problem)}; see '{asked}'")


def _said(problem: Any) -> str:
    reword = _REWORDED.get(type(problem).__name__)
    plain = " ".join(str(problem).split()).removesuffix(".")
    return (reword(problem) if reword else None) or plain


def _missing(problem: Any) -> str:
    near = re.search(r"Did you mean (\S+) instead of (\S+)\?", " ".join(str(problem).split()))
    if near:
        return f"unknown option {near[2]}; did you mean {near[1]}?"
    name = problem.argument.name
    return f"{name} needs a value" if getattr(problem, "keyword", None) else f"{name} is missing"


def _unused(problem: Any) -> str:
    return f"unexpected argument {' '.join(problem.unused_tokens)!r}"


def _unfit(problem: Any) -> str | None:
    token, wanted = problem.token, problem.target_type
    if token is None or wanted not in NOUNS:
        return None
    where = token.keyword or (problem.argument.name if problem.argument else "the value")
    return f"{where} takes {NOUNS[wanted]}; got {token.value!r}"


def _unknown_option(problem: Any) -> str:
    word = problem.token.keyword or problem.token.value
    near = re.search(r"Did you mean (\S+?)\?", str(problem))
    return f"unknown option {word}" + (f"; did you mean {near[1]}?" if near else "")


def _unknown_command(problem: Any) -> str:
    word = re.search(r'"(.*?)"', str(problem))
    near = re.search(r'Did you mean "(.*?)"', str(problem))
    kind = "option" if word and word[1].startswith("-") else "command"
    return f"unknown {kind} {word[1] if word else ''}" + (f"; did you mean {near[1]}?" if near else "")


_REWORDED = {
    "MissingArgumentError": _missing,
    "UnusedCliTokensError": _unused,
    "CoercionError": _unfit,
    "UnknownOptionError": _unknown_option,
    "UnknownCommandError": _unknown_command,
}
