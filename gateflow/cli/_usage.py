"""Usage errors of cyclopts in our own words: one line that says what was wrong and what to do."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import re
import shlex
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

from gateflow.errors import GateflowError, shown
from gateflow.registry import Registry

NOUNS = {float: "a number", int: "a whole number", bool: "nothing, true or false", Path: "a path"}


def usage_error(problem: Any, tokens: Sequence[str], verbs: Collection[str]) -> GateflowError:
    """The error to show for what cyclopts raised on the command line ``tokens``."""
    verb = next((token for token in tokens[:1] if token in verbs), None)
    asked = f"gateflow {verb} --help" if verb else "gateflow --help"
    return GateflowError(f"{_message(problem)}; see '{asked}'")


def _message(problem: Any) -> str:
    reword = _REWORDED.get(type(problem).__name__)
    plain = " ".join(str(problem).split()).removesuffix(".")
    return (reword(problem) if reword else None) or plain


def _missing(problem: Any) -> str:
    keyword = getattr(problem, "keyword", None)
    stray = next((token for token in problem.unused_tokens or () if _is_option(token)), None)
    if stray is not None and keyword is None:  # what was written is looked at before what was not
        word = stray.partition("=")[0]
        near = difflib.get_close_matches(word, _flags(problem), n=1)
        return f"unknown option {word}" + (f"; did you mean {near[0]}?" if near else _negative(word))
    return f"{keyword} needs a value" if keyword else f"{problem.argument.name} is missing"


def _is_option(token: str) -> bool:
    return token.startswith("--") or bool(re.match(r"-[a-zA-Z]", token))


def _flags(problem: Any) -> list[str]:
    """The options of the command that was called."""
    return [name for argument in problem.app.assemble_argument_collection() for name in argument.names]


def _negative(word: str) -> str:
    """A hint where the option may have been meant as a formula."""
    formula = re.match(r"-[^-]", word) and re.search(r"\bz\b", word)
    return f"; a formula that begins with '-' comes after '--': -- {word}" if formula else ""


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
    return f"{where} takes {NOUNS[wanted]}; got {shown(token.value)}"


def _unknown_option(problem: Any) -> str:
    word = problem.token.keyword or problem.token.value
    return f"unknown option {word}{_negative(word) or _hint(problem)}"


def _unknown_command(problem: Any) -> str:
    word = _first(r'"(.*?)"', problem) or ""
    if "(" in word or word in Registry("gate", "gateflow.gates.catalogue", "make"):
        return f"a gate comes after a command: gateflow show {shlex.quote(word)}"
    return f"unknown {'option' if word.startswith('-') else 'command'} {word}{_hint(problem)}"


def _hint(problem: Any) -> str:
    near = _first(r'Did you mean "?([\w-]+)', problem)
    return f"; did you mean {near}?" if near else ""


def _first(pattern: str, problem: Any) -> str | None:
    """What ``pattern`` finds in the message, which is all that is the same from one cyclopts to the next."""
    found = re.search(pattern, " ".join(str(problem).split()))
    return found[1] if found else None


def in_flags(message: str, run: Callable[..., Any]) -> str:
    """A message that names arguments of Python, with the options of a command in their place.

    Names with an underscore are replaced anywhere, others where they are the subject or stand in a list of options.
    """
    flags = {name: f"--{name.replace('_', '-')}" for name in parameters(run)}
    message = re.sub(r"^(\w+)(?= (?:must|needs|takes)\b)", lambda found: flags.get(found[1], found[1]), message)
    message = re.sub(
        r"(?<=one of )\w+(?:, \w+)+|(?<=got )\w+(?: and \w+)+", lambda found: _each(found[0], flags), message
    )
    return re.sub(r"(?<![\w-])[a-z]\w*_\w+(?![\w(])", lambda found: flags.get(found[0], found[0]), message)


def _each(text: str, flags: dict[str, str]) -> str:
    return re.sub(r"\w+", lambda word: flags.get(word[0], word[0]), text)


def parameters(run: Callable[..., Any]) -> set[str]:
    """What may be given as an option of a command: its keywords, and the fields of those that are data classes."""
    names: set[str] = set()
    hints = get_type_hints(run)
    for name, parameter in inspect.signature(run).parameters.items():
        kinds = [kind for kind in (hints[name], *get_args(hints[name])) if dataclasses.is_dataclass(kind)]
        if kinds:
            names |= {each.name for each in dataclasses.fields(kinds[0])}
        elif parameter.kind is parameter.KEYWORD_ONLY:
            names.add(name)
    return names


_REWORDED = {
    "ConsumeMultipleError": lambda problem: f"{problem.keyword or problem.argument.name} needs a value",
    "MissingArgumentError": _missing,
    "UnusedCliTokensError": _unused,
    "CoercionError": _unfit,
    "UnknownOptionError": _unknown_option,
    "UnknownCommandError": _unknown_command,
}
