"""Formulas as text: ``parse`` reads them into SymPy, ``unparse`` writes them back. Text is never run as code.

A formula passes four walls, each of which refuses with one line and a caret:

1. *Words.* A tokenizer knows numbers, names and a dozen signs; any other character is refused where it stands.
2. *Grammar.* One pass over the words finds what people get wrong: ``^``, ``2z``, a bracket, a misspelt name.
3. *Tree.* ``ast.parse`` builds the syntax tree, which is never compiled, and a whitelist holds every node of it.
4. *Size.* SymPy evaluates while it builds: ``9**9**9``, ``loggamma(10**9)`` or ``exp(10**9*log(3*z))`` would take the
   machine with them. So before each SymPy node is made, its outcome is bounded from the facts known of its arguments
   (``_Facts``), and what could become too large is refused unmade. Its search for what is real or positive may
   still expand a power of a sum behind the scenes, and no bound known to us foresees that: so calls are counted, and
   the building stops at a fixed number of them (``_CountedCalls``).
"""

from __future__ import annotations

import ast
import difflib
import inspect
import keyword
import math
import numbers
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple, NoReturn

import sympy as sp
from mpmath.ctx_mp import MPContext
from sympy.core.relational import Relational

from gateflow.errors import FormulaError, InvalidArgument
from gateflow.vocabulary import CONSTANTS, FUNCTIONS, Z, expm1, log1p, logit, sigmoid, softplus, softsign

MAX_LENGTH = 2000
"""Characters in a formula."""
MAX_NODES = 300
"""Nodes of its syntax tree."""
MAX_DEPTH = 32
"""Nesting, of brackets and of the syntax tree; a sum or a product is one level, however long."""
MAX_DIGITS = 1000
"""Digits of a number: of a literal, of its decimal exponent's reach, and of any exact number the formula amounts to."""
MAX_POWER = 10_000
"""The absolute value of a power that is a number."""
MAX_SIZE = 2000
"""Nodes of the SymPy expression; some rules of SymPy copy their argument, so this is not bounded by the text."""
MAX_MAGNITUDE = 5000
"""Constants lie between 10**-5000 and 10**5000."""
MAX_LOGGAMMA = 400
"""``loggamma`` of a number: SymPy writes out the factorial."""
MAX_RADICAND = 10**40
"""A fractional power of a number: SymPy looks for its prime factors."""
MAX_PI_DENOMINATOR = 24
"""Circular functions of a rational times pi: SymPy writes out the radicals."""

MAX_CALLS = 600_000
"""Function calls and returns while SymPy builds; a gate of the catalogue takes some thousand."""

_MAX_BITS = math.ceil(MAX_DIGITS * math.log2(10))
_MAX_WEIGHT = 2.0**20
_MAX_COEFFICIENT_BITS = 8 * _MAX_BITS

ALIASES = {"σ": "sigmoid", "sigma": "sigmoid", "π": "pi"}
"""Second names; a declared variable or parameter of the same name wins."""

_SIGNS = {"−": "-", "·": "*", "⋅": "*", "×": "*", "÷": "/", "∕": "/"}
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
    "relu": "'where(x > 0, x, 0)'",
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
    "#": "there are no comments in a formula",
}


def parse(text: str, variables: Iterable[str] = ("z",), parameters: Mapping[str, Any] | None = None) -> sp.Expr:
    """Read a formula.

    Parameters
    ----------
    text : str
        Arithmetic, ``**``, the functions of `gateflow.vocabulary.FUNCTIONS`, the constants ``pi`` and ``e``, and
        ``where(a < b, x, y)``. Numbers are exact: ``0.9`` is nine tenths.
    variables : iterable of str
        The names that become real symbols.
    parameters : mapping, optional
        Name to value. A number is put in exactly, a float as the decimal that prints it (0.9 is nine tenths);
        ``"real"`` or ``"positive"`` leaves a symbol with that assumption.

    Returns
    -------
    sympy.Expr
        Made of rationals, ``pi``, ``E``, symbols, sums, products, powers, the functions of the vocabulary and
        ``Piecewise``; free of infinities and of ``I``. A formula without variables gives a constant.

    Raises
    ------
    FormulaError
        The text is not a formula, or too large a one; the error points at the fault.
    InvalidArgument
        A variable or a parameter has an impossible name or value.

    Examples
    --------
    >>> parse("0.1*z + sinh(a*z)/a", parameters={"a": 0.5})
    z/10 + 2*sinh(z/2)
    >>> parse("where(z < 0, 0, σ(λ*z))", parameters={"λ": "positive"})
    Piecewise((0, z < 0), (sigmoid(z*λ), True))
    """
    names = _declared(variables, parameters or {})
    if not isinstance(text, str):
        raise FormulaError(f"a formula is a text, not {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"the formula is too large: {len(text)} characters, at most {MAX_LENGTH}", text[:MAX_LENGTH])
    tidy = "".join(" " if ch.isspace() else _SIGNS.get(ch, ch) for ch in text)
    words = _words(text, tidy)
    _Grammar(text, words, names).check()
    tree = _tree(text, tidy)
    return _Builder(text, tidy, names).formula(tree)


# ------------------------------------------------------------------------------------------------------------ names


def _declared(variables: Iterable[str], parameters: Mapping[str, Any]) -> dict[str, sp.Expr]:
    """Every name a formula may use for a value. Keys are in the NFKC form to which Python brings identifiers."""
    names: dict[str, sp.Expr] = {}
    for name in (variables,) if isinstance(variables, str) else variables:
        symbol = Z if name == Z.name else sp.Symbol(name, real=True) if isinstance(name, str) else Z
        _declare(names, "variable", name, symbol)
    for name, value in parameters.items():
        _declare(names, "parameter", name, _parameter(name, value))
    return CONSTANTS | {alias: CONSTANTS[name] for alias, name in ALIASES.items() if name in CONSTANTS} | names


def _declare(names: dict[str, sp.Expr], kind: str, name: Any, value: sp.Expr) -> None:
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(_plain(name)):
        raise InvalidArgument(f"{kind} {name!a} has no usable name; letters, digits and '_', and no Python keyword")
    plain = _plain(name)
    if plain in FUNCTIONS or plain in CONSTANTS or plain == "where":
        raise InvalidArgument(f"{kind} '{name}' has the name of a function or constant of the formula language")
    if plain in names:
        raise InvalidArgument(f"{kind} '{name}' is declared twice")
    names[plain] = value


def _parameter(name: str, value: Any) -> sp.Expr:
    if isinstance(value, str) and value in ("real", "positive"):
        return sp.Symbol(str(name), **{value: True})
    number = _exact(value)
    if number is None:
        raise InvalidArgument(
            f"parameter {name} = {ascii(value)[:60]} is neither a finite real number, 'real' nor 'positive'"
        )
    return number


def _exact(value: Any) -> sp.Expr | None:
    """The number a parameter stands for, or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, sp.Float):
        value = Fraction(str(value)) if value.is_finite else math.nan
    if isinstance(value, sp.Expr):
        return value if value.is_number and value.is_real else None
    if isinstance(value, numbers.Rational):
        return sp.Rational(int(value.numerator), int(value.denominator))
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return sp.Rational(repr(float(value)))
    return None


def _plain(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFKC", name)


def _function_name(name: str, names: Mapping[str, Any]) -> str | None:
    """The canonical name of a function, or None; a declared name is never a function."""
    plain = _plain(name)
    if plain in names:
        return None
    plain = ALIASES.get(plain, plain)
    return plain if plain in FUNCTIONS or plain == "where" else None


# ------------------------------------------------------------------------------------------------------------ words


class _Word(NamedTuple):
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


def _words(text: str, tidy: str) -> list[_Word]:
    """The words of a formula, or a refusal of the first character that belongs to none."""
    words, here = [], 0
    while here < len(tidy):
        match = _WORD.match(tidy, here)
        if match is None:
            _refuse_character(text, here)
        word = _Word(str(match.lastgroup), match.group(), here)
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


def _check_literal(text: str, word: _Word) -> None:
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


# ---------------------------------------------------------------------------------------------------------- grammar


class _Grammar:
    """One pass over the words that refuses what ``ast.parse`` would explain badly, or accept as something else."""

    def __init__(self, text: str, words: list[_Word], names: Mapping[str, sp.Expr]) -> None:
        self.text, self.words, self.names = text, words, names
        self.open: list[tuple[_Word, bool]] = []  # brackets not yet closed, and whether each follows a function
        self.wants = True  # an operand has to come next

    def refuse(self, message: str, first: _Word, last: _Word | None = None) -> NoReturn:
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

    def operand(self, i: int, word: _Word, before: _Word | None) -> None:
        if word.kind == "name" and keyword.iskeyword(_plain(word.text)):
            hint = _KEYWORD_HINTS.get(word.text, "choose another name")
            self.refuse(f"'{word.text}' is a word of Python, not of formulas; {hint}", word)
        if not self.wants:
            self.juxtaposed(before or word, word)
        self.wants = False
        if word.kind == "name":
            self.name(word, i)

    def juxtaposed(self, before: _Word, word: _Word) -> NoReturn:
        """Two values side by side."""
        if word.text in ("j", "J") and before.kind == "number" and before.end == word.start:
            self.refuse("a formula has real numbers only", before, word)
        if before.kind == "number" and word.kind == "number":
            self.refuse(f"a sign is missing between '{_short(before)}' and '{_short(word)}'", before, word)
        if before.kind == "name" and _function_name(before.text, self.names):
            self.refuse(f"'{before.text}' needs brackets: '{before.text}({_short(word)})'", before, word)
        self.refuse(f"a product is written out: '{_short(before)}*{_short(word)}'", before, word)

    def name(self, word: _Word, i: int) -> None:
        follower = self.words[i + 1] if i + 1 < len(self.words) else None
        opens = follower is not None and follower.text == "("
        if follower is not None and follower.text == ".":
            self.dotted(word, i)
        if follower is not None and follower.text == "=":
            self.equals(follower, i + 1)
        if _plain(word.text) in self.names:
            return
        if _function_name(word.text, self.names) is None:
            self.refuse(_unknown(word.text, self.names, "function" if opens else "symbol"), word)
        if not opens and (follower is None or follower.kind == "sign"):
            self.refuse(f"'{word.text}' is a function; give it an argument: '{word.text}(...)'", word)

    def dotted(self, word: _Word, i: int) -> NoReturn:
        while i + 2 < len(self.words) and self.words[i + 1].text == "." and self.words[i + 2].kind == "name":
            i += 2
        last = self.words[i]
        known = _function_name(last.text, self.names) or last.text in self.names or last.text in _HINTS
        hint = f"; write {_HINTS.get(last.text, repr(last.text))}" if known and last is not word else ""
        self.refuse(f"there are no dots in names{hint}", word, last if last is not word else self.words[i + 1])

    def sign(self, i: int, word: _Word, before: _Word | None) -> None:
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

    def prefixed(self, i: int, word: _Word) -> None:
        run = self.words[max(0, i - MAX_DEPTH) : i]
        if len(run) == MAX_DEPTH and all(w.text in "+-" for w in run):
            self.refuse("the formula is too large: too many signs in a row", word)

    def opening(self, word: _Word, before: _Word | None) -> None:
        calls = False
        if not self.wants:
            calls = before is not None and before.kind == "name" and _plain(before.text) not in self.names
            if not calls and before is not None:
                self.refuse(f"a product is written out: '{_short(before)}*('", before, word)
        if len(self.open) >= MAX_DEPTH:
            self.refuse(f"the formula is too large: brackets nest at most {MAX_DEPTH} deep", word)
        self.open.append((word, calls))
        self.wants = True

    def closing(self, word: _Word, before: _Word | None) -> None:
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

    def comma(self, word: _Word) -> None:
        if not (self.open and self.open[-1][1]):
            self.refuse("',' separates the arguments of a function only; the decimal sign is '.'", word)
        self.wants = True

    def equals(self, word: _Word, i: int) -> NoReturn:
        begins = i >= 2 and self.words[i - 2].text in "(,"
        if i and self.words[i - 1].kind == "name" and self.open and self.open[-1][1] and begins:
            self.refuse("arguments have no names in a formula; give the value alone", self.words[i - 1], word)
        self.refuse("'=' assigns, and a formula only computes; compare with '==' inside where(...)", word)

    def missing(self, word: _Word, before: _Word | None) -> NoReturn:
        place = f"between '{before.text}' and '{word.text}'" if before else f"before '{word.text}'"
        self.refuse(f"a value is missing {place}", word)


def _short(word: _Word) -> str:
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
    known = ", ".join([*own, *CONSTANTS]) if kind == "symbol" else "exp, log, tanh, sigmoid, erf and others"
    return f"unknown {kind} '{shown}'; known: {known}{_foreign_letter(name)}"


def _foreign_letter(name: str) -> str:
    """A word on a letter that may look like another: Cyrillic 'е' is not Latin 'e'."""
    odd = next((ch for ch in name if not ch.isascii()), None)
    return f" ('{odd}' is {unicodedata.name(odd, f'U+{ord(odd):04X}')})" if odd else ""


# ------------------------------------------------------------------------------------------------------------- tree

_BINARY = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
_UNARY = (ast.UAdd, ast.USub)
_COMPARISONS: dict[type[ast.cmpop], type[Relational]] = {
    ast.Lt: sp.StrictLessThan,
    ast.LtE: sp.LessThan,
    ast.Gt: sp.StrictGreaterThan,
    ast.GtE: sp.GreaterThan,
    ast.Eq: sp.Equality,
    ast.NotEq: sp.Unequality,
}
_WHITELIST = (ast.BinOp, ast.UnaryOp, ast.Call, ast.Compare, ast.Name, ast.Constant, ast.Load)
_WHITELIST += (*_BINARY, *_UNARY, *_COMPARISONS)


def _tree(text: str, tidy: str) -> ast.expr:
    """The syntax tree, with nothing in it but what the whitelist names."""
    try:
        # Leading blanks would be an indent to Python; the columns are put right in _Builder.
        tree = ast.parse(tidy.lstrip(" "), filename="<formula>", mode="eval").body
    except SyntaxError as fault:  # the grammar pass leaves none that we know of
        raise FormulaError(f"not a formula: {fault.msg}", text, 0, len(text)) from None
    except (ValueError, MemoryError, RecursionError, OverflowError):
        raise FormulaError("the formula is too large: nested too deep", text, 0, len(text)) from None
    nodes = list(ast.walk(tree))
    for node in nodes:
        if not isinstance(node, _WHITELIST):
            raise FormulaError(f"{type(node).__name__} is not part of a formula", text, 0, len(text))
    if (count := sum(isinstance(node, ast.expr) for node in nodes)) > MAX_NODES:
        raise FormulaError(f"the formula is too large: {count} parts, at most {MAX_NODES}", text, 0, len(text))
    return tree


# ------------------------------------------------------------------------------------------------------------- size


class _Refusal(Exception):
    """A node cannot be made; the builder adds the place."""


class _Exhausted(BaseException):
    """The calls are used up. Not an ``Exception``, which SymPy catches in places."""


class _CountedCalls:
    """A context that raises `_Exhausted` in this thread after ``limit`` calls.

    A count and no clock, so that the same text always fares alike; an import that SymPy makes on the way is forgiven
    its calls, and never broken off. A profiler that is at work already keeps its place, and nothing is counted.
    """

    def __init__(self, limit: int) -> None:
        self.limit = self.left = limit
        self.modules = len(sys.modules)

    def __enter__(self) -> _CountedCalls:
        self.counts = sys.getprofile() is None
        if self.counts:
            sys.setprofile(self.tick)
        return self

    def __exit__(self, *_: object) -> None:
        if self.counts:
            sys.setprofile(None)

    def tick(self, frame: Any, event: str, _: Any) -> None:
        self.left -= 1
        # Raised at a return, or in a generator, it could be lost where a generator is being closed.
        if self.left < 0 and event == "call" and not frame.f_code.co_flags & inspect.CO_GENERATOR:
            if len(sys.modules) == self.modules and not _importing(frame):
                raise _Exhausted
            self.modules, self.left = len(sys.modules), self.limit

    def check(self) -> None:
        """For the case that the exception was lost after all, in a callback of the garbage collector."""
        if self.left < 0:
            raise _Exhausted


def _importing(frame: Any) -> bool:
    while frame is not None and "importlib" not in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None


class _Foreign(Exception):
    """SymPy answered with a function that the vocabulary lacks."""


class _Facts(NamedTuple):
    """What is known of an expression before the next node is built on it.

    ``weight`` bounds the bits that its numbers could grow to when SymPy multiplies powers out, and ``reach`` is the
    binary logarithm of the factor by which it multiplies ``weight`` when it becomes an exponent. Both are generous.
    """

    size: int
    value: Any  # an mpf, or None where a symbol has a say
    weight: float
    reach: float
    has_log: bool


_MP = MPContext()
_MP.dps = 50
_ZERO = _MP.mpf(10) ** -40  # a sum of constants this small beside its terms counts as zero

_REAL: dict[Any, Callable[..., Any]] = {
    sp.exp: _MP.exp,
    sp.log: _MP.log,
    sp.sin: _MP.sin,
    sp.cos: _MP.cos,
    sp.tan: _MP.tan,
    sp.sinh: _MP.sinh,
    sp.cosh: _MP.cosh,
    sp.tanh: _MP.tanh,
    sp.asinh: _MP.asinh,
    sp.acosh: _MP.acosh,
    sp.atanh: _MP.atanh,
    sp.atan: _MP.atan,
    sp.erf: _MP.erf,
    sp.erfc: _MP.erfc,
    sp.loggamma: _MP.loggamma,
    sp.Abs: abs,
    sp.sign: _MP.sign,
    sigmoid: lambda x: 1 / (1 + _MP.exp(-x)),
    softplus: lambda x: _MP.log1p(_MP.exp(x)),
    softsign: lambda x: x / (1 + abs(x)),
    logit: lambda p: _MP.log(p / (1 - p)),
    sp.Mul: lambda *xs: _MP.fprod(xs),
    sp.Pow: lambda b, e: b**e,
}
_STRUCTURE = (sp.Add, sp.Piecewise, Relational, type(sp.Piecewise((1, Z > 0), (0, True)).args[0]))
_POWERS_OF_TEN = tuple(_MP.mpf(10) ** k for k in (-MAX_MAGNITUDE, MAX_MAGNITUDE))


class _Bounds:
    """The facts of every expression met while one formula is built; each is found once."""

    def __init__(self) -> None:
        self.known: dict[Any, _Facts] = {}

    def of(self, expr: Any) -> _Facts:
        facts = self.known.get(expr)
        if facts is None:
            facts = self.known[expr] = self._leaf(expr) if not expr.args else self._inner(expr)
        return facts

    @staticmethod
    def _leaf(expr: Any) -> _Facts:
        if isinstance(expr, sp.Rational):
            p, q = abs(int(expr.p)), int(expr.q)
            bits = p.bit_length() + q.bit_length()
            if max(p.bit_length(), q.bit_length()) > _MAX_BITS:
                raise _Refusal(f"the formula is too large: it amounts to a number of more than {MAX_DIGITS} digits")
            return _Facts(1, _MP.mpf(int(expr.p)) / q, bits, max(0.0, math.log2(p) - math.log2(q)) if p else 0.0, False)
        if expr is sp.pi or expr is sp.E:
            return _Facts(1, +_MP.pi if expr is sp.pi else +_MP.e, 1, 2, False)
        if isinstance(expr, sp.Symbol) or expr in (sp.true, sp.false):
            return _Facts(1, None, 1, 0, False)
        if expr is sp.I:
            raise _Refusal("this is not a real number, and formulas are real")
        raise _Refusal("this is not a finite number")

    def _inner(self, expr: Any) -> _Facts:
        if expr.func not in _REAL and not isinstance(expr, _STRUCTURE):
            raise _Foreign(expr.func.__name__)
        parts = [self.of(arg) for arg in expr.args]
        size = 1 + sum(part.size for part in parts)
        if size > MAX_SIZE:
            raise _Refusal(f"the formula is too large: SymPy writes it out to more than {MAX_SIZE} parts")
        has_log = expr.func is sp.log or any(part.has_log for part in parts)
        reach = sum(part.reach for part in parts)
        return _Facts(size, self._value(expr, parts), self.weight(expr.func, parts), reach, has_log)

    @staticmethod
    def weight(func: Any, parts: list[_Facts]) -> float:
        if func is sp.Pow:
            return parts[0].weight * _two_to(parts[1].reach) + parts[1].weight
        if func is sp.exp and parts[0].has_log:  # exp(n*log(x)) becomes x**n
            return parts[0].weight * _two_to(parts[0].reach)
        return sum(part.weight for part in parts)

    @staticmethod
    def _value(expr: Any, parts: list[_Facts]) -> Any:
        values = [part.value for part in parts]
        if any(value is None for value in values) or isinstance(expr, sp.Piecewise | Relational):
            return None
        if isinstance(expr, sp.Add):
            total = _MP.fsum(values)
            return _MP.zero if abs(total) <= _ZERO * max(abs(value) for value in values) else total
        return _evaluated(expr.func, *values) if expr.func in _REAL else None


def _two_to(power: float) -> float:
    return 2.0 ** min(power, 1000.0)


def _evaluated(func: Any, *values: Any) -> Any:
    """The value of a constant node; refused where it is not a real number of moderate size."""
    if func in (sp.exp, sp.sinh, sp.cosh) and abs(values[0]) > 3 * MAX_MAGNITUDE:
        raise _Refusal(f"the constant is too large or too small: it lies beyond 10**{MAX_MAGNITUDE}")
    try:
        value = _REAL[func](*values)
    except OverflowError:
        raise _Refusal(f"the constant is too large or too small: it lies beyond 10**{MAX_MAGNITUDE}") from None
    except (ValueError, ZeroDivisionError):
        raise _Refusal("this is not a finite number") from None
    if not _MP.isfinite(value):
        raise _Refusal("this is not a finite number")
    if isinstance(value, _MP.mpc):
        raise _Refusal("this is not a real number, and formulas are real")
    if value and not _POWERS_OF_TEN[0] <= abs(value) <= _POWERS_OF_TEN[1]:
        raise _Refusal(f"the constant is too large or too small: it lies beyond 10**{MAX_MAGNITUDE}")
    return value


# ---------------------------------------------------------------------------------------------------------- builder


class _Builder:
    """From the syntax tree to SymPy, leaves first, no node before its bounds are known."""

    def __init__(self, text: str, tidy: str, names: Mapping[str, sp.Expr]) -> None:
        self.text, self.names, self.bounds = text, names, _Bounds()
        self.calls = _CountedCalls(MAX_CALLS)
        self.blanks = len(tidy) - len(tidy.lstrip(" "))
        self.source = tidy[self.blanks :].encode()

    def formula(self, tree: ast.expr) -> sp.Expr:
        try:
            with self.calls:
                return self.build(tree, 0)
        except RecursionError:
            raise FormulaError("the formula is too large: nested too deep", self.text, 0, len(self.text)) from None

    def build(self, node: ast.expr, depth: int) -> sp.Expr:
        """The expression of a node; what goes wrong in it is reported at its place."""
        try:
            self.calls.check()
            if depth > MAX_DEPTH:
                raise _Refusal(f"the formula is too large: it nests more than {MAX_DEPTH} deep")
            return self.settled(self.node(node, depth + 1))
        except _Refusal as refusal:
            self.refuse(str(refusal), node)
        except _Exhausted:
            self.refuse("the formula is too large: SymPy takes too long over it", node)
        except (ArithmeticError, TypeError, ValueError, NotImplementedError) as fault:
            self.refuse(f"SymPy cannot build this ({type(fault).__name__})", node)

    def settled(self, expr: sp.Expr) -> sp.Expr:
        """``expr`` itself once it is known to be sound and within the vocabulary."""
        try:
            self.bounds.of(expr)
        except _Foreign:
            # All is real here, whether SymPy can tell or not; tan(x + pi/2) is the one way to a cotangent.
            expr = expr.replace(sp.re, lambda x: x).replace(sp.im, lambda _: sp.S.Zero)
            expr = expr.replace(sp.cot, lambda x: sp.cos(x) / sp.sin(x))
            try:
                self.bounds.of(expr)
            except _Foreign as foreign:
                raise _Refusal(f"SymPy turns this into {foreign}, which formulas do not have") from None
        return expr

    def node(self, node: ast.expr, depth: int) -> sp.Expr:
        match node:
            case ast.Constant(value=int() | float()):
                return sp.Rational(self.written(node))
            case ast.Name(id=name) if name in self.names:
                return self.names[name]
            case ast.UnaryOp(op=ast.USub()):
                return self.product([sp.S.NegativeOne, self.build(node.operand, depth)])
            case ast.UnaryOp(op=ast.UAdd()):
                return self.build(node.operand, depth)
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                return self.sum_(self.chain(node, (ast.Add, ast.Sub), depth))
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                return self.product(self.chain(node, (ast.Mult, ast.Div), depth))
            case ast.BinOp(op=ast.Pow()):
                return self.power(self.build(node.left, depth), self.build(node.right, depth))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self.call(node, _function_name(name, self.names), args, depth)
            case ast.Compare():
                raise _Refusal("a comparison belongs inside where(condition, a, b)")
            case _:
                raise _Refusal(f"{type(node).__name__} is not part of a formula")

    def chain(self, node: ast.expr, operators: tuple[type[ast.operator], ...], depth: int) -> list[sp.Expr]:
        """The terms of ``a + b - c`` or the factors of ``a*b/c``, in one list: long sums are not deep."""
        parts: list[sp.Expr] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, operators):
            part = self.build(node.right, depth)
            if isinstance(node.op, ast.Sub):
                part = self.product([sp.S.NegativeOne, part])
            elif isinstance(node.op, ast.Div):
                part = self.reciprocal(part, node.right)
            parts.append(part)
            node = node.left
        if operators[0] is ast.Mult and isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            # -(a + b)*c as SymPy keeps it: the sign is a factor, not multiplied into the sum.
            parts.append(sp.S.NegativeOne)
            node = node.operand
        return [self.build(node, depth), *reversed(parts)]

    def reciprocal(self, part: sp.Expr, node: ast.expr) -> sp.Expr:
        if self.bounds.of(part).value == 0:
            self.refuse("division by zero, or by a constant that cannot be told from zero", node)
        return self.settled(self.power(part, sp.S.NegativeOne))

    def sum_(self, terms: list[sp.Expr]) -> sp.Expr:
        if sum(int(term.as_coeff_Mul()[0].q).bit_length() for term in terms) > _MAX_COEFFICIENT_BITS:
            raise _Refusal("the formula is too large: its fractions have no moderate common denominator")
        return sp.Add(*terms)

    def product(self, factors: list[sp.Expr]) -> sp.Expr:
        coefficients = [factor.as_coeff_Mul()[0] for factor in factors]
        roots = [
            p
            for factor in factors
            for p in sp.Mul.make_args(factor)
            if p.is_Pow and p.base.is_Rational and p.exp.is_Rational
        ]
        bits = sum(int(c.p).bit_length() + int(c.q).bit_length() for c in coefficients)
        radicand = math.prod(abs(int(root.base.p)) * int(root.base.q) for root in roots)
        if bits > _MAX_COEFFICIENT_BITS or radicand > MAX_RADICAND**2:
            raise _Refusal("the formula is too large: the product of its numbers")
        return sp.Mul(*factors)

    def power(self, base: sp.Expr, exponent: sp.Expr) -> sp.Expr:
        if base is sp.E:
            return self.apply("exp", exponent)
        below, above = self.bounds.of(base), self.bounds.of(exponent)
        if isinstance(exponent, sp.Rational):
            self.check_rational_power(base, exponent)
        if below.value is not None:
            self.check_constant_base(below.value, above.value, exponent)
        if self.bounds.weight(sp.Pow, [below, above]) > _MAX_WEIGHT:
            raise _Refusal("the power is too large")
        result = sp.Pow(base, exponent)
        if isinstance(result, sp.Pow) and isinstance(result.exp, sp.Rational) and abs(result.exp) > MAX_POWER:
            raise _Refusal(f"the power is too large: at most {MAX_POWER}")
        return result

    @staticmethod
    def check_rational_power(base: sp.Expr, exponent: sp.Rational) -> None:
        if abs(exponent) > MAX_POWER:
            raise _Refusal(f"the power is too large: at most {MAX_POWER}")
        if exponent.is_Integer:
            return
        if max(abs(int(exponent.p)), int(exponent.q)) > MAX_RADICAND:
            raise _Refusal("the power is too large: a fraction of more than 40 digits")
        # SymPy takes numbers out of roots, sqrt(12*z) = 2*sqrt(3*z): each of them would be factored.
        coefficient = base.as_coeff_Mul()[0]
        if max(abs(int(coefficient.p)), int(coefficient.q)) > MAX_RADICAND:
            raise _Refusal("the number is too large for a root: at most 40 digits")

    @staticmethod
    def check_constant_base(base: Any, exponent: Any, written: sp.Expr) -> None:
        if base == 0 and exponent is not None and exponent < 0:
            raise _Refusal("a negative power of zero is not a finite number")
        if base < 0 and not written.is_Integer:
            raise _Refusal("a fractional power of a negative number is not real; write -(x**p) or abs(x)**p")
        if exponent is not None and base != 0:
            if abs(exponent * _MP.log(abs(base))) > 3 * MAX_MAGNITUDE:
                raise _Refusal(f"the power is too large or too small: it lies beyond 10**{MAX_MAGNITUDE}")
            _evaluated(sp.Pow, base, exponent)

    def call(self, node: ast.expr, name: str | None, args: list[ast.expr], depth: int) -> sp.Expr:
        if name is None:
            raise _Refusal("this is not a function")
        if name == "where":
            return self.where(args, depth)
        if len(args) != 1:
            raise _Refusal(f"'{name}' takes one argument, not {len(args) or 'none'}")
        return self.apply(name, self.build(args[0], depth))

    def apply(self, name: str, arg: sp.Expr) -> sp.Expr:
        """A function of one argument."""
        func, facts = FUNCTIONS[name], self.bounds.of(arg)
        if name == "sqrt":
            return self.power(arg, sp.S.Half)
        if facts.value is not None:
            if name == "loggamma" and abs(facts.value) > MAX_LOGGAMMA:
                raise _Refusal(f"the argument of loggamma is too large: at most {MAX_LOGGAMMA} for a number")
            self.check_constant_argument(name, func, arg, facts.value)
        if name == "exp" and self.bounds.weight(sp.exp, [facts]) > _MAX_WEIGHT:
            raise _Refusal("the power that this amounts to is too large")
        return _absolute(arg) if name == "abs" else func(arg)

    @staticmethod
    def check_constant_argument(name: str, func: Any, arg: sp.Expr, value: Any) -> None:
        if name in ("sin", "cos", "tan") and arg.has(sp.pi):
            multiple = arg / sp.pi
            if multiple.is_Rational and int(multiple.q) > MAX_PI_DENOMINATOR:
                raise _Refusal(f"too fine a fraction of pi: its denominator is at most {MAX_PI_DENOMINATOR}")
        if name == "tan" and abs(_MP.cos(value)) < _ZERO:
            raise _Refusal("this is not a finite number")
        if name in ("log", "logit") and value == 0:
            raise _Refusal("this is not a finite number")
        _evaluated(func, value)

    def where(self, args: list[ast.expr], depth: int) -> sp.Expr:
        if len(args) != 3:
            raise _Refusal(f"'where' takes three arguments, where(condition, a, b), not {len(args) or 'none'}")
        condition = self.condition(args[0], depth)
        then, otherwise = self.build(args[1], depth), self.build(args[2], depth)
        # where(p, a, where(q, b, c)) is one Piecewise of three; SymPy would nest two.
        rest = otherwise.args if isinstance(otherwise, sp.Piecewise) else ((otherwise, True),)
        flat = sp.Piecewise((then, condition), *rest)
        if flat.has(sp.And, sp.Or):  # SymPy has joined neighbours of equal value; nested, it leaves them alone
            return sp.Piecewise((then, condition), (otherwise, True))
        return flat

    def condition(self, node: ast.expr, depth: int) -> Any:
        if not isinstance(node, ast.Compare):
            self.refuse("the first argument of where is a comparison, such as z > 0", node)
        if len(node.ops) > 1:
            self.refuse("one comparison at a time; nest where(a < b, where(b < c, ...), ...)", node)
        inner = next((n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id == "where"), None)
        if inner is not None:
            self.refuse("a condition has no where of its own; nest where in its second or third argument", inner)
        left, right = self.build(node.left, depth), self.build(node.comparators[0], depth)
        return _COMPARISONS[type(node.ops[0])](left, right)

    # --------------------------------------------------------------------------------------------------- places

    def written(self, node: ast.expr) -> str:
        return self.source[node.col_offset : node.end_col_offset].decode()

    def refuse(self, message: str, node: ast.expr) -> NoReturn:
        start = self.blanks + len(self.source[: node.col_offset].decode())
        raise FormulaError(message, self.text, start, start + len(self.written(node))) from None


def _absolute(arg: sp.Expr) -> sp.Expr:
    """``abs`` of a real. Signs that are known go first: ``Abs`` would rewrite what stands inside of them."""
    outside, inside = [], []
    for factor in sp.Mul.make_args(arg):
        if isinstance(factor, sp.exp) or factor.is_extended_nonnegative:
            outside.append(factor)
        elif factor.is_extended_nonpositive:
            outside.append(-factor)
        else:
            inside.append(factor)
    return sp.Mul(*outside, sp.Abs(sp.Mul(*inside)))


# ---------------------------------------------------------------------------------------------------------- unparse

_SUM, _PRODUCT, _POWER, _ATOM = range(4)
_NAMES: dict[Any, str] = {func: name for name, func in FUNCTIONS.items() if name != "sqrt"}
_SIGN_OF: dict[Any, str] = {
    sp.StrictLessThan: "<",
    sp.LessThan: "<=",
    sp.StrictGreaterThan: ">",
    sp.GreaterThan: ">=",
    sp.Equality: "==",
    sp.Unequality: "!=",
}


def unparse(expr: sp.Expr) -> str:
    """Write an expression in the formula language.

    Parameters
    ----------
    expr : sympy.Expr
        Built of what `parse` builds of, in the form SymPy's own constructors give it; then ``parse(unparse(expr))``
        with its symbols declared is ``expr`` again. The nodes ``log1p`` and ``expm1`` are written out.

    Returns
    -------
    str

    Raises
    ------
    FormulaError
        The expression holds something that formulas have no word for.

    Examples
    --------
    >>> z = sp.Symbol("z", real=True)
    >>> unparse(sp.Rational(1, 3) * sp.sqrt(z) - sp.exp(-(z**2)) / (1 + z))
    'sqrt(z)/3 - exp(-z**2)/(z + 1)'
    >>> unparse(sp.Piecewise((0, z < 0), (sp.Abs(z), True)))
    'where(z < 0, 0, abs(z))'
    """
    return _text(sp.sympify(expr) if isinstance(expr, int) else expr, _SUM)


def _text(expr: Any, level: int) -> str:
    """The text of ``expr``, in brackets where it binds less tightly than ``level``."""
    text, own = _leveled(expr)
    return text if own >= level else f"({text})"


def _leveled(expr: Any) -> tuple[str, int]:
    if isinstance(expr, sp.Rational):
        return str(expr), _SUM if expr < 0 else _ATOM if expr.is_Integer else _PRODUCT
    if isinstance(expr, sp.Symbol):
        return _symbol_name(expr), _ATOM
    if expr is sp.pi or expr is sp.E:
        return "pi" if expr is sp.pi else "e", _ATOM
    if isinstance(expr, sp.Add):
        return _sum_text(expr), _SUM
    if isinstance(expr, sp.Mul | sp.Pow) and not isinstance(_leading(expr), sp.Rational):
        raise FormulaError(f"formulas have no word for {_kind(_leading(expr))}")
    if isinstance(expr, sp.Mul | sp.Pow) and _leading(expr) < 0:
        return "-" + _text(-expr, _PRODUCT), _SUM
    if isinstance(expr, sp.Mul | sp.Pow):
        return _product_text(expr)
    if isinstance(expr, expm1):
        return f"exp({_text(expr.args[0], _SUM)}) - 1", _SUM
    if isinstance(expr, log1p):
        return f"log(1 + {_text(expr.args[0], _PRODUCT)})", _ATOM
    if isinstance(expr, sp.Piecewise):
        return _where_text(expr), _ATOM
    if getattr(expr, "func", None) in _NAMES:
        return f"{_NAMES[expr.func]}({_text(expr.args[0], _SUM)})", _ATOM
    raise FormulaError(f"formulas have no word for {_kind(expr)}")


def _kind(expr: Any) -> str:
    name = getattr(getattr(expr, "func", type(expr)), "__name__", type(expr).__name__)
    return f"'{name}' (as in {str(expr)[:60]})"


def _leading(expr: sp.Expr) -> Any:
    return expr.as_coeff_Mul()[0]


def _symbol_name(symbol: sp.Symbol) -> str:
    name = symbol.name
    if not name.isidentifier() or keyword.iskeyword(name) or name in FUNCTIONS or name in CONSTANTS or name == "where":
        raise FormulaError(f"the symbol {name!a} has no name that a formula could use")
    return name


def _sum_text(expr: sp.Expr) -> str:
    text = ""
    for term in expr.as_ordered_terms():
        negative = isinstance(term, sp.Mul | sp.Rational) and _leading(term).is_negative
        text += (" - " if negative else " + ") if text else ("-" if negative else "")
        text += _text(-term if negative else term, _PRODUCT)
    return text


def _product_text(expr: sp.Expr) -> tuple[str, int]:
    """``a*b/c/d``. Each divisor apart: SymPy would multiply ``2*(x + y)`` out, and not give back what was there."""
    coefficient, rest = expr.as_coeff_Mul()
    above = [str(coefficient.p)] if coefficient.p != 1 else []
    below = [str(coefficient.q)] if coefficient.q != 1 else []
    for factor in sp.Mul.make_args(rest):
        base, exponent = (factor.base, factor.exp) if isinstance(factor, sp.Pow) else (factor, sp.S.One)
        if exponent.is_Rational and exponent < 0:
            below.append(_power_text(base, -exponent))
        else:
            above.append(_power_text(base, exponent))
    if len(above) == 1 and not below and isinstance(rest, sp.Pow):
        return above[0], _ATOM if above[0].startswith("sqrt(") else _POWER
    return "/".join(["*".join(above) or "1", *below]), _PRODUCT


def _power_text(base: sp.Expr, exponent: sp.Expr) -> str:
    if exponent == 1:
        return _text(base, _POWER)
    if exponent == sp.S.Half:
        return f"sqrt({_text(base, _SUM)})"
    return f"{_text(base, _ATOM)}**{_text(exponent, _ATOM)}"


def _where_text(expr: sp.Piecewise) -> str:
    *pairs, (last, always) = [(pair.args[0], pair.args[1]) for pair in expr.args]
    if always != sp.true:
        raise FormulaError("formulas have no word for a Piecewise without a last branch that always holds")
    text = _text(last, _SUM)
    for value, condition in reversed(pairs):
        text = f"where({_condition_text(condition)}, {_text(value, _SUM)}, {text})"
    return text


def _condition_text(condition: Any) -> str:
    if condition.func not in _SIGN_OF:
        raise FormulaError(f"formulas have no word for the condition {_kind(condition)}")
    left, right = condition.args
    return f"{_text(left, _SUM)} {_SIGN_OF[condition.func]} {_text(right, _SUM)}"


__all__ = ["ALIASES", "parse", "unparse"]
