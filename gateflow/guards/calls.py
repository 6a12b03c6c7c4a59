"""A name with options in one text, ``adding(horizon=100)``: taken apart, checked against declarations, written back.

Gates, losses, laws, tasks, cells, initialisers, optimisers and schedules are all written so. What a value may be is for
each of them to say: gates take numbers and ratios, what training is made of takes the values of TOML.
"""

from __future__ import annotations

import inspect
import json
import math
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from gateflow import files
from gateflow.errors import InvalidArgument, shown, unknown


class Argument(NamedTuple):
    """What stands between two commas: a value as it is written, with its place in the whole text, and its name."""

    name: str | None
    text: str
    start: int
    end: int


_CALL = re.compile(r"\s*(?P<name>[^\W\d][\w.-]*)\s*(\((?P<inside>.*)\))?\s*", re.DOTALL)
_ARGUMENT = re.compile(r"\s*((?P<name>[^\W\d][\w-]*)\s*=)?\s*(?P<value>.*?)\s*", re.DOTALL)


def call(text: str) -> tuple[str, list[Argument]] | None:
    """Name and arguments, of which there are none without brackets; None for a text that is nothing of the kind.

    Examples
    --------
    >>> call("uniform(0, high=500)")
    ('uniform', [Argument(name=None, text='0', start=8, end=9), Argument(name='high', text='500', start=16, end=19)])
    >>> call("tanh(z) + tanh(2*z)") is None
    True
    """
    match = _CALL.fullmatch(text)
    if match is None or not _is_one(match["inside"] or ""):
        return None
    return match["name"], list(arguments(match["inside"] or "", max(match.start("inside"), 0)))


def _is_one(inside: str) -> bool:
    """Whether no bracket closes that was not opened within."""
    return all(depth >= 0 for _, depth in _depths(inside))


def arguments(part: str, start: int = 0) -> Iterator[Argument]:
    """The arguments in a part of a text that begins at ``start``."""
    for piece in _pieces(part) if part.strip() else ():
        match = _ARGUMENT.fullmatch(piece)
        assert match is not None  # the pattern takes any text
        yield Argument(match["name"], match["value"], start + match.start("value"), start + match.end("value"))
        start += len(piece) + 1


def listed(text: str) -> list[str]:
    """A list with commas between; commas in brackets or quotes, or before a parameter of a formula, separate nothing.

    Examples
    --------
    >>> listed("fast(alpha=2), sigmoid,student-t(6)")
    ['fast(alpha=2)', 'sigmoid', 'student-t(6)']
    >>> listed("sigmoid(k*z + m); k=2, m=1, fast")
    ['sigmoid(k*z + m); k=2, m=1', 'fast']
    """
    found: list[str] = []
    for piece in filter(None, map(str.strip, _pieces(text))):
        if found and ";" in found[-1] and re.match(r"[^\W\d]\w*\s*=", piece):
            found[-1] += f", {piece}"
        else:
            found.append(piece)
    return found


def _pieces(text: str) -> list[str]:
    pieces = [""]
    for letter, depth in _depths(text):
        if letter == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += letter
    return pieces


def _depths(text: str) -> Iterator[tuple[str, int]]:
    """Each letter with the number of brackets and quotes that are open after it; brackets in quotes are none."""
    depth, quote, escaped = 0, "", False
    for letter in text:
        if not quote:
            depth += (letter in "([{") - (letter in ")]}")
            quote = letter if letter in "\"'" else ""
        elif letter == quote and not escaped:
            quote = ""
        escaped = quote == '"' and letter == "\\" and not escaped
        yield letter, depth + bool(quote)


# --- options whose values are those of TOML -------------------------------------------------------------------------


def name_and_options(text: str) -> tuple[str, dict[str, Any]]:
    """Name and options, each with a name and a value of TOML.

    Raises
    ------
    InvalidArgument

    Examples
    --------
    >>> name_and_options("adding(horizon=100)"), name_and_options("adam")
    (('adding', {'horizon': 100}), ('adam', {}))
    >>> name_and_options("chrono(100)")
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: options have names, as in chrono(name=1, other="text"); got '100'
    """
    found = call(text) if isinstance(text, str) else None
    if found is None:
        raise InvalidArgument(f"expected a name, perhaps with options, as in adding(horizon=100); got {shown(text)}")
    name, given = found
    options: dict[str, Any] = {}
    for option in given:
        try:
            if option.name is None or option.name in options:
                raise ValueError
            (options[option.name],) = _from_toml(f"[{option.text}]")
        except ValueError:
            inside, example = text[text.index("(") + 1 : text.rindex(")")].strip(), f'{name}(name=1, other="text")'
            raise InvalidArgument(f"options have names, as in {example}; got {shown(inside)}") from None
    return name, options


def name_of(text: str) -> str:
    """The name alone."""
    return name_and_options(text)[0]


def value_of(text: str) -> Any:
    """The value of an option as it is written on a command line: one of TOML, else the text itself.

    Examples
    --------
    >>> value_of("100"), value_of("true"), value_of("bible.txt")
    (100, True, 'bible.txt')
    """
    try:
        return _from_toml(text)
    except ValueError:
        return text


def _from_toml(text: str) -> Any:
    if "\n" in text:
        raise ValueError("more than a line")
    return files.from_toml(f"value = {text}")["value"]


def written(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(written, value))}]"
    return json.dumps(value, ensure_ascii=False)


def with_options(text: str, more: Mapping[str, Any]) -> str:
    """The text with further options, which win.

    Examples
    --------
    >>> with_options("adding(horizon=10)", {"horizon": 20, "seed": 1})
    'adding(horizon=20, seed=1)'
    """
    name, options = name_and_options(text)
    inside = ", ".join(f"{option}={written(value)}" for option, value in {**options, **more}.items())
    return f"{name}({inside})" if inside else name


# --- what is declared -----------------------------------------------------------------------------------------------


def option_defaults(make: Any) -> dict[str, Any]:
    """The options of a class or function by name, with their defaults; ``inspect.Parameter.empty`` for none."""
    skipped = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = inspect.signature(make).parameters.values()
    return {option.name: option.default for option in found if option.kind not in skipped}


def make(kind: str, name: str, maker: Any, options: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> Any:
    """What a class or function makes of options as a user wrote them, over those that are ``given``.

    Raises
    ------
    InvalidArgument
        There is no such option, one is of another type than its default, or one without a default is lacking.
    """
    defaults = option_defaults(maker)
    chosen = {**(given or {}), **checked_options(f"{kind} {name}", defaults, options)}
    needed = [each for each, default in defaults.items() if default is inspect.Parameter.empty]
    if lacking := [each for each in needed if each not in chosen]:
        example = ", ".join(f"{each}=..." for each in needed)
        raise InvalidArgument(f"the {kind} {name} needs {' and '.join(lacking)}, as in {name}({example})")
    return maker(**chosen)


def checked_options(what: str, defaults: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Options that have a default, as numbers or texts like that."""
    options = {name.replace("-", "_"): value for name, value in options.items()}
    known(options, list(defaults), f"option of the {what}")
    return {name: _like(value, defaults[name], f"{name} of the {what}") for name, value in options.items()}


def _like(value: Any, default: Any, name: str) -> Any:
    """A value of the type of the default; where that is a whole number any number may do, as momentum=0 shows."""
    if isinstance(default, tuple):
        fits = isinstance(value, list) and len(value) == len(default)
        if not fits or any(isinstance(x, bool) or not isinstance(x, (int, float)) for x in value):
            raise InvalidArgument(f"{name} takes {len(default)} numbers, as in {written(default)}; got {shown(value)}")
        return tuple(value)
    if isinstance(default, int) and not isinstance(default, bool) and isinstance(value, float):
        return int(value) if value.is_integer() else as_kind(value, (float,), name)
    return as_kind(value, (type(default),), name) if isinstance(default, (bool, int, float, str)) else value


NOUNS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", types.NoneType: "nothing"}


def as_kind(value: Any, kinds: tuple[type, ...], name: str) -> Any:
    """A value as one of the types allowed, where nothing is lost by it.

    Examples
    --------
    >>> as_kind(1, (float,), "lr"), as_kind(4000.0, (int,), "steps")
    (1.0, 4000)
    """
    if type(value) is int and abs(value) >= files.LARGEST:
        raise InvalidArgument(f"{name} must be below 2**63; got a number of {value.bit_length()} bits")
    if isinstance(value, str) and not files.is_unicode(value):
        raise InvalidArgument(f"{name} holds a character that has no UTF-8: {ascii(value)[:60]}")
    for kind in kinds:
        if type(value) is kind and not (isinstance(value, float) and not math.isfinite(value)):
            return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise InvalidArgument(f"{name} must be finite; got {value}")
        if float in kinds:
            return float(value)
        if int in kinds and float(value).is_integer():
            return int(value)
    wanted = " or ".join(NOUNS.get(kind, kind.__name__) for kind in kinds if kind is not types.NoneType)
    raise InvalidArgument(f"{name} takes {wanted}; got {shown(value)}")


def known(names: Iterable[str], among: list[str], what: str) -> None:
    """Refuse a name that is not among those known."""
    for name in names:
        if name not in among:
            raise InvalidArgument(unknown(what, name, among))


def one_of(name: str, value: str, among: Iterable[str]) -> None:
    """Refuse a word that is not among those known, naming the argument."""
    known([value], list(among), name)
