"""The first wall: a formula as words. Numbers, names and a dozen signs; any other character is refused."""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from gateflow.errors import FormulaError
from gateflow.formula.limits import MAX_DIGITS

_SIGNS = {"−": "-", "·": "*", "⋅": "*", "×": "*", "÷": "/", "∕": "/"}
_CHARACTER_HINTS = {
    "^": "'^' is not a power here; write '**'",
    "²": "write '**2' for a square",
    "³": "write '**3' for a cube",
    "√": "write 'sqrt(...)' for a root",
    "∞": "infinity is not a number here",
    "|": "write 'abs(...)' for an absolute value",
    "%": "there is no '%' in a formula",
    "!": "there is no '!' in a formula; write 'exp(loggamma(x + 1))' for a factorial",
    "≤": "write '<=' for '≤'",
    "≥": "write '>=' for '≥'",
    "≠": "write '!=' for '≠'",
    **dict.fromkeys("[]{}", "brackets are round in a formula: '(' and ')'"),
    **dict.fromkeys("'\"`", "there are no strings in a formula"),
    **dict.fromkeys(":;", "a formula is one expression; there are no statements in it"),
    "\\": "LaTeX is not read: write names without '\\', as in sigmoid(z)",
    "$": "LaTeX is not read: write the formula without '$'",
    "#": "there are no comments in a formula",
}


class Word(NamedTuple):
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


_WORD = re.compile(
    r"(?P<space> +)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<sign>\*\*|//|[=!<>]=|[-+*/(),<>=.])"
)


def tidied(text: str) -> str:
    """The text with plain blanks, and with the signs that Python knows; characters keep their places."""
    return "".join(" " if ch.isspace() else _SIGNS.get(ch, ch) for ch in text)


def words_of(text: str, tidy: str) -> list[Word]:
    """The words of a formula, or a refusal of the first character that belongs to none."""
    words, here = [], 0
    while here < len(tidy):
        match = _WORD.match(tidy, here)
        if match is None:
            _refuse_character(text, here)
        word = Word(str(match.lastgroup), match.group(), here)
        if word.kind == "name" and not word.text.isidentifier():
            _refuse_character(
                text, here + next(i for i in range(len(word.text)) if not word.text[: i + 1].isidentifier())
            )
        if word.kind == "number":
            _check_literal(text, word)
        if word.kind != "space":
            words.append(word)
        here = word.end
    return words


def _refuse_character(text: str, here: int) -> NoReturn:
    ch = text[here]
    hint = _CHARACTER_HINTS.get(ch)
    shown = f"'{ch}'" if ch.isprintable() and ch not in "'\\" else f"U+{ord(ch):04X}"
    raise FormulaError(hint or f"unexpected character {shown}", text, here)


def _check_literal(text: str, word: Word) -> None:
    mantissa, _, exponent = word.text.lower().partition("e")
    digits = len(mantissa.replace(".", ""))
    # A length test first: int() of a long text is itself slow, and refused by Python past 4300 digits.
    reach = int(exponent) if 0 < len(exponent) <= 8 else 10**9 if exponent else 0
    if digits + abs(reach) > MAX_DIGITS:
        raise FormulaError(
            f"the number is too large: at most {MAX_DIGITS} digits written out", text, word.start, word.end
        )
    if word.text.isdigit() and word.text != "0" and word.text[0] == "0" and word.text.strip("0"):
        raise FormulaError("a whole number does not begin with 0", text, word.start, word.end)
