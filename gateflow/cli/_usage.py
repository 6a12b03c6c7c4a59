"""Usage errors of cyclopts in our own words: one line that says what was wrong and what to do."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence
from typing import Any, get_args

from gateflow.errors import GateflowError
from gateflow.registry import Registry

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
    meant, written = _first(r'Did you mean "?(--?[\w-]+)', problem), _first(r'instead of "?(--?[\w-]+)', problem)
    if meant and written:
        return f"unknown option {written}; did you mean {meant}?"
    keyword = getattr(problem, "keyword", None)
    return f"{keyword} needs a value" if keyword else f"{problem.argument.name} is missing"


def _unused(problem: Any) -> str:
    return f"unexpected argument {' '.join(problem.unused_tokens)!r}"


def _unfit(problem: Any) -> str | None:
    if isinstance(problem.__cause__, GateflowError):
        return str(problem.__cause__)
    token, wanted = problem.token, problem.target_type
    wanted = next((each for each in (wanted, *get_args(wanted)) if each in NOUNS), None)
    if token is None or wanted is None:
        return None
    where = token.keyword or (problem.argument.name if problem.argument else "the value")
    return f"{where} takes {NOUNS[wanted]}; got {token.value!r}"


def _unknown_option(problem: Any) -> str:
    word = problem.token.keyword or problem.token.value
    return f"unknown option {word}{_hint(problem)}"


def _unknown_command(problem: Any) -> str:
    word = _first(r'"(.*?)"', problem) or ""
    if "(" in word or word in Registry("gate", "gateflow.gates", "make"):
        return f"a gate comes after a command: gateflow show {shlex.quote(word)}"
    return f"unknown {'option' if word.startswith('-') else 'command'} {word}{_hint(problem)}"


def _hint(problem: Any) -> str:
    near = _first(r'Did you mean "?([\w-]+)', problem)
    return f"; did you mean {near}?" if near else ""


def _first(pattern: str, problem: Any) -> str | None:
    """What ``pattern`` finds in the message, which is all that is the same from one cyclopts to the next."""
    found = re.search(pattern, " ".join(str(problem).split()))
    return found[1] if found else None


def _repeated(problem: Any) -> str:
    return f"{_first(r'(--?[^ ]+)', problem) or 'an option'} is given twice"


_REWORDED = {
    "RepeatArgumentError": _repeated,
    "MissingArgumentError": _missing,
    "UnusedCliTokensError": _unused,
    "CoercionError": _unfit,
    "UnknownOptionError": _unknown_option,
    "UnknownCommandError": _unknown_command,
}
