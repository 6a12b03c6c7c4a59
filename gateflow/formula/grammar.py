"""The second wall: one pass over the words finds what people get wrong, and says what to write instead."""

from __future__ import annotations

import difflib
import keyword
import unicodedata
from collections.abc import Mapping
from typing import Any, NoReturn

import sympy as sp

from gateflow.errors import FormulaError
from gateflow.formula.limits import MAX_DEPTH
from gateflow.formula.names import ALIASES, function_name, plain
from gateflow.formula.vocabulary import CONSTANTS, FUNCTIONS
from gateflow.formula.words import Word

_HINTS = {
    "ln": "'log'",
    "log1p": "'log(1 + x)'",
    "expm1": "'exp(x) - 1'",
    "log2": "'log(x)/log(2)'",
    "log10": "'log(x)/log(10)'",
    "arctan": "'atan'",
    "arctg": "'atan'",
    "tg": "'tan'",
    "arcsinh": "'asinh'",
    "arsinh": "'asinh'",
    "arccosh": "'acosh'",
    "arcosh": "'acosh'",
    "arctanh": "'atanh'",
    "artanh": "'atanh'",
    "logistic": "'sigmoid'",
    "expit": "'sigmoid'",
    "sgn": "'sign'",
    "fabs": "'abs'",
    "lgamma": "'loggamma'",
    "gammaln": "'loggamma'",
    "gamma": "'exp(loggamma(x))'",
    "cbrt": "'x**(1/3)'",
    "pow": "'x**y'",
    "power": "'x**y'",
    "square": "'x**2'",
    "silu": "'x*sigmoid(x)'",
    "swish": "'x*sigmoid(x)'",
    "mish": "'x*tanh(softplus(x))'",
    "gelu": "'x*(1 + erf(x/sqrt(2)))/2'",
    "ndtr": "'(1 + erf(x/sqrt(2)))/2'",
    "clip": "'where(x < a, a, where(x > b, b, x))'",
    "clamp": "'where(x < a, a, where(x > b, b, x))'",
    "elu": "'where(x > 0, x, exp(x) - 1)'",
    "log_sigmoid": "'log(sigmoid(x))'",
    "logsigmoid": "'log(sigmoid(x))'",
    "relu": "'where(x > 0, x, 0)'",
    "maximum": "'where(a > b, a, b)'",
    "minimum": "'where(a < b, a, b)'",
    "max": "'where(a > b, a, b)'",
    "min": "'where(a < b, a, b)'",
    "heaviside": "'where(x > 0, 1, 0)'",
    "piecewise": "'where(condition, a, b)'",
    "cot": "'1/tan(x)'",
    "sec": "'1/cos(x)'",
    "csc": "'1/sin(x)'",
    "coth": "'1/tanh(x)'",
    "sech": "'1/cosh(x)'",
    "csch": "'1/sinh(x)'",
}
_KEYWORD_HINTS = {
    "lambda": "name it 'λ' or 'lam'",
    "if": "write where(condition, a, b)",
    "else": "write where(condition, a, b)",
    "and": "nest one where in another",
    "or": "nest one where in another",
    "not": "turn the comparison round",
}


class Grammar:
    """One pass over the words that refuses what ``ast.parse`` would explain badly, or accept as something else."""

    def __init__(self, text: str, words: list[Word], names: Mapping[str, sp.Expr]) -> None:
        self.text, self.words, self.names = text, words, names
        self.open: list[tuple[Word, bool]] = []  # brackets not yet closed, and whether each follows a function
        self.wants = True  # an operand has to come next

    def refuse(self, message: str, first: Word, last: Word | None = None) -> NoReturn:
        raise FormulaError(message, self.text, first.start, (last or first).end)

    def check(self) -> None:
        if not self.words:
            raise FormulaError("the formula is empty; write one in z, such as sigmoid(z)", self.text)
        for i, word in enumerate(self.words):
            before = self.words[i - 1] if i else None
            if word.kind == "sign":
                self.sign(i, word, before)
            else:
                self.operand(i, word, before)
        if self.open:
            self.refuse("'(' is never closed", self.open[-1][0])
        if self.wants:
            self.refuse(f"the formula stops after '{self.words[-1].text}', where a value has to follow", self.words[-1])

    def operand(self, i: int, word: Word, before: Word | None) -> None:
        if word.kind == "name" and keyword.iskeyword(plain(word.text)):
            hint = _KEYWORD_HINTS.get(word.text, "choose another name")
            self.refuse(f"'{word.text}' is a word of Python, not of formulas; {hint}", word)
        if not self.wants:
            self.juxtaposed(before or word, word)
        self.wants = False
        if word.kind == "name":
            self.name(word, i)

    def juxtaposed(self, before: Word, word: Word) -> NoReturn:
        """Two values side by side."""
        if word.text in ("j", "J") and before.kind == "number" and before.end == word.start:
            self.refuse("a formula has real numbers only", before, word)
        if before.kind == "number" and word.kind == "number":
            self.refuse(f"a sign is missing between '{_short(before)}' and '{_short(word)}'", before, word)
        if before.kind == "name" and function_name(before.text, self.names):
            self.refuse(f"'{before.text}' needs brackets: '{before.text}({_short(word)})'", before, word)
        self.refuse(f"a product is written out: '{_short(before)}*{_short(word)}'", before, word)

    def name(self, word: Word, i: int) -> None:
        follower = self.words[i + 1] if i + 1 < len(self.words) else None
        opens = follower is not None and follower.text == "("
        if follower is not None and follower.text == ".":
            self.dotted(word, i)
        if follower is not None and follower.text == "=":
            self.equals(follower, i + 1)
        if plain(word.text) in self.names:
            return
        if function_name(word.text, self.names) is None:
            self.refuse(_unknown(word.text, self.names, "function" if opens else "symbol"), word)
        if not opens and (follower is None or follower.kind == "sign"):
            self.refuse(f"'{word.text}' is a function; give it an argument: '{word.text}(...)'", word)

    def dotted(self, word: Word, i: int) -> NoReturn:
        while i + 2 < len(self.words) and self.words[i + 1].text == "." and self.words[i + 2].kind == "name":
            i += 2
        last = self.words[i]
        known = function_name(last.text, self.names) or last.text in self.names or last.text in _HINTS
        hint = f"; write {_HINTS.get(last.text, repr(last.text))}" if known and last is not word else ""
        self.refuse(f"there are no dots in names{hint}", word, last if last is not word else self.words[i + 1])

    def sign(self, i: int, word: Word, before: Word | None) -> None:
        match word.text:
            case "(":
                self.opening(word, before)
            case ")":
                self.closing(word, before)
            case "=":
                self.equals(word, i)
            case ".":
                self.refuse("a lone '.'; a number has digits beside its point, and names have none", word)
            case "//":
                self.refuse("there is no '//' in a formula; write '/'", word)
            case "+" | "-" if self.wants:
                self.prefixed(i, word)
            case _ if self.wants:
                self.missing(word, before)
            case ",":
                self.comma(word)
            case _:
                self.wants = True

    def prefixed(self, i: int, word: Word) -> None:
        run = self.words[max(0, i - MAX_DEPTH) : i]
        if len(run) == MAX_DEPTH and all(w.text in "+-" for w in run):
            self.refuse("the formula is too large: too many signs in a row", word)

    def opening(self, word: Word, before: Word | None) -> None:
        calls = False
        if not self.wants:
            calls = before is not None and before.kind == "name" and plain(before.text) not in self.names
            if not calls and before is not None:
                self.refuse(f"a product is written out: '{_short(before)}*('", before, word)
        if len(self.open) >= MAX_DEPTH:
            self.refuse(f"the formula is too large: brackets nest at most {MAX_DEPTH} deep", word)
        self.open.append((word, calls))
        self.wants = True

    def closing(self, word: Word, before: Word | None) -> None:
        if not self.open:
            self.refuse("')' closes no bracket", word)
        _, calls = self.open[-1]
        empty = before is not None and before.text == "("
        if self.wants and not (calls and empty):
            if empty:
                self.refuse("the brackets are empty", self.open[-1][0], word)
            self.missing(word, before)
        self.open.pop()
        self.wants = False

    def comma(self, word: Word) -> None:
        if not (self.open and self.open[-1][1]):
            self.refuse("',' separates the arguments of a function only; the decimal sign is '.'", word)
        self.wants = True

    def equals(self, word: Word, i: int) -> NoReturn:
        begins = i >= 2 and self.words[i - 2].text in "(,"
        if i and self.words[i - 1].kind == "name" and self.open and self.open[-1][1] and begins:
            self.refuse("arguments have no names in a formula; give the value alone", self.words[i - 1], word)
        self.refuse("'=' assigns, and a formula only computes; compare with '==' inside where(...)", word)

    def missing(self, word: Word, before: Word | None) -> NoReturn:
        place = f"between '{before.text}' and '{word.text}'" if before else f"before '{word.text}'"
        self.refuse(f"a value is missing {place}", word)


def _short(word: Word) -> str:
    return word.text if len(word.text) <= 24 else word.text[:20] + "..."


def _unknown(name: str, names: Mapping[str, Any], kind: str) -> str:
    shown = name if len(name) <= 40 else name[:40] + "..."
    if kind == "function" and name.lower() in _HINTS:
        return f"unknown function '{shown}'; write {_HINTS[name.lower()]}"
    pool = [*FUNCTIONS, "where"] if kind == "function" else list(names)
    near = difflib.get_close_matches(name, pool, 1, 0.5) or difflib.get_close_matches(name.lower(), pool, 1, 0.5)
    if near and len(name) <= 40:
        return f"unknown {kind} '{shown}'; did you mean '{near[0]}'?{_foreign_letter(name)}"
    own = [known for known in names if known not in CONSTANTS and known not in ALIASES]
    if kind == "symbol" and name.lower() in ("x", "y", "t", "u", "v") and len(own) == 1:
        return f"unknown symbol '{shown}'; the variable is called '{own[0]}'"
    known = ", ".join([*own, *CONSTANTS]) if kind == "symbol" else "exp, log, tanh, sigmoid, erf and others"
    return f"unknown {kind} '{shown}'; known: {known}{_foreign_letter(name)}"


def _foreign_letter(name: str) -> str:
    """A word on a letter that may look like another: Cyrillic 'е' is not Latin 'e'."""
    odd = next((ch for ch in name if not ch.isascii()), None)
    return f" ('{odd}' is {unicodedata.name(odd, f'U+{ord(odd):04X}')})" if odd else ""
