"""Formulas of the formula language as MathML, which browsers set without any script.

The syntax tree of the text is followed, not a SymPy expression: SymPy would reorder ``c*T*tau`` and multiply out what
was left in factors. The tree is read only; nothing of it is ever run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from gateflow.formula import ALIASES
from gateflow.formula.words import tidied

_NAMES = "alpha beta gamma delta epsilon zeta eta theta kappa lam lambda mu nu xi pi rho sigma tau phi psi omega"

GREEK: dict[str, str] = dict(zip(_NAMES.split(), "αβγδεζηθκλλμνξπρστφψω", strict=True))

FUNCTION_SIGNS = {
    "asinh": "arsinh",
    "acosh": "arcosh",
    "atanh": "artanh",
    "atan": "arctan",
    "sign": "sgn",
    "loggamma": "log Γ",
    "polygamma": "ψ",
}
"""Names that mathematics writes otherwise."""

COMPARISONS: dict[type, str] = {ast.Lt: "<", ast.LtE: "≤", ast.Gt: ">", ast.GtE: "≥", ast.Eq: "=", ast.NotEq: "≠"}

SUM, PRODUCT, POWER, ATOM = range(4)
"""How tightly a formula binds."""

_OWN_SHAPE = ("exp", "abs", "sqrt", "sigmoid", "where")
"""Functions that are never a name before an argument without brackets."""

DEEPEST = 3
"""Exponents within exponents before ``exp`` is written as a function."""


def _element(name: str, parts: int = 1) -> Callable[..., Markup]:
    """An element of MathML, as a function of its parts, which it escapes unless they are Markup."""
    return Markup(f"<{name}>{'{}' * parts}</{name}>").format


ROW, NAME, NUMBER, SIGN, ROOT = map(_element, ("mrow", "mi", "mn", "mo", "msqrt"))
RAISED, LOWERED, FRACTION = (_element(name, 2) for name in ("msup", "msub", "mfrac"))

THIN = Markup('<mspace width="0.167em"/>')
SLASH = Markup('<mo lspace="0" rspace="0">/</mo>')
BRACE = Markup('<mo stretchy="true">{</mo>')
BAR = Markup('<mo stretchy="true" fence="true">|</mo>')
UPRIGHT_SIGMA = Markup('<mi mathvariant="normal">σ</mi>')
E = Markup('<mi mathvariant="normal">e</mi>')


def formula(text: str, *, block: bool = False, flat: bool = False, left: str = "") -> Markup:
    """A formula as an element ``math``; ``left`` stands before it, as the left side of a relation.

    ``block`` gives it a line of its own, and ``flat`` keeps it as low as a line of text.

    What is no formula is shown as it is written.

    Examples
    --------
    >>> "<mfrac>" in formula("1/(c*T*tau)"), "<mi>∞</mi>" in formula("-oo")
    (True, True)
    >>> print(formula("no <formula>"))
    <code>no &lt;formula&gt;</code>
    """
    tidy = tidied(text).strip()
    try:
        tree = ast.parse(tidy, mode="eval").body
        body = _MathWriter(tidy, flat=flat).row(tree, SUM)
    except (SyntaxError, ValueError, _NoWord):
        return Markup("<code>{}</code>").format(text)
    display = Markup(' display="block"') if block else ""
    alternative = f"{left} {text}".strip()
    return Markup('<math{} alttext="{}"><mrow>{}{}</mrow></math>').format(display, alternative, relation(left), body)


def relation(left: str) -> Markup:
    """The left side of a relation and its sign, such as ``φ(z) =`` or ``l(τ) ∼``.

    Examples
    --------
    >>> print(relation("l ~"))
    <mi>l</mi><mo>∼</mo>
    """
    words: list[str] = re.findall(r"\w\*|\w+|'|[^\w\s]", left)
    return _joined(_piece(GREEK.get(word, word)) for word in words)


def _piece(word: str) -> Markup:
    if word[0].isdigit():
        return NUMBER(word)
    if word.endswith("*") and len(word) == 2:
        return RAISED(NAME(word[0]), SIGN("*"))
    if word.isalpha():
        return NAME(word)
    return _bracket(word) if word in "()" else SIGN({"~": "∼", "-": "−", "'": "′"}.get(word, word))


def _bracket(sign: str) -> Markup:
    """A bracket as tall as a line."""
    return Markup('<mo stretchy="false">{}</mo>').format(sign)


def _joined(parts: Iterable[Markup], between: str | Markup = "") -> Markup:
    return Markup(between).join(parts)


class _NoWord(Exception):
    """A part of the tree that formulas do not have."""


@dataclass(frozen=True)
class _MathWriter:
    """Writes the tree of one text; ``script`` counts how deep in exponents it is, ``flat`` asks for a/b on one line."""

    text: str
    script: int = 0
    flat: bool = False

    def row(self, node: ast.expr, level: int) -> Markup:
        """The node, in brackets where it binds less tightly than ``level``."""
        made, own = self.leveled(node)
        return ROW(made) if own >= level else fenced(made)

    def leveled(self, node: ast.expr) -> tuple[Markup, int]:
        """The node and how tightly it binds."""
        match node:
            case ast.Constant(value=bool()) | ast.Constant(value=str()) | ast.Constant(value=None):
                raise _NoWord
            case ast.Constant():
                return _number(ast.get_source_segment(self.text, node) or str(node.value))
            case ast.Name(id=name):
                return _name(name), ATOM
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return SIGN("−") + self.row(inner, PRODUCT), SUM
            case ast.UnaryOp(op=ast.UAdd(), operand=inner):
                return self.leveled(inner)
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                return self.sum(node), SUM
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                return self.product(node)
            case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
                return self.power(base, exponent), POWER
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self.call(ALIASES.get(name, name), arguments)
            case ast.Compare(left=first, ops=signs, comparators=others):
                parts = [self.row(first, SUM)]
                for sign, other in zip(signs, others, strict=True):
                    parts += [SIGN(COMPARISONS[type(sign)]), self.row(other, SUM)]
                return _joined(parts), SUM
        raise _NoWord

    def sum(self, node: ast.BinOp) -> Markup:
        sign = "+" if isinstance(node.op, ast.Add) else "−"
        # the right side may begin with a sign of its own, which wants brackets, as a difference does after a minus
        return self.row(node.left, SUM) + SIGN(sign) + self.row(node.right, PRODUCT)

    # --- products ---

    def product(self, node: ast.BinOp) -> tuple[Markup, int]:
        """All factors over all divisors, with the sign in front."""
        above, below, negative = _factors(node)
        if not below:
            made = self.factors(above)
        elif self.flat:
            made = self.factors(above, alone=PRODUCT) + SLASH + self.grouped(below)
        else:
            flat = replace(self, flat=True)
            made = FRACTION(ROW(flat.factors(above)), ROW(flat.factors(below)))
        return (SIGN("−") + made, SUM) if negative else (made, PRODUCT)

    def grouped(self, factors: list[ast.expr]) -> Markup:
        bare = len(factors) == 1 and self.is_application(factors[0])
        made = self.factors(factors, alone=PRODUCT if bare else POWER)
        return made if len(factors) == 1 else fenced(made)

    def factors(self, factors: list[ast.expr], alone: int = SUM) -> Markup:
        """Factors side by side; one that stands alone over or under a bar needs no brackets."""
        if not factors:
            return NUMBER("1")
        if len(factors) == 1:
            return self.row(factors[0], alone)
        parts: list[Markup] = []
        *others, last = sorted(factors, key=self.is_application)  # log x behind the rest, where it needs no brackets
        for i, factor in enumerate([*others, last]):
            digits = isinstance(factor, ast.Constant) or (isinstance(factor, ast.BinOp) and _starts_with_digit(factor))
            if i:
                parts.append(SIGN("·") if digits else THIN)
            ends_well = factor is last and self.is_application(factor)
            parts.append(self.row(factor, PRODUCT if ends_well else POWER))
        return _joined(parts)

    def is_application(self, node: ast.expr) -> bool:
        """Whether this is a function of an argument without brackets."""
        match node:
            case ast.Call(func=ast.Name(id=name), args=[one]):
                return ALIASES.get(name, name) not in _OWN_SHAPE and self.is_short(one)
        return False

    # --- powers and functions ---

    def power(self, base: ast.expr, exponent: ast.expr) -> Markup:
        return RAISED(self.row(base, ATOM), self.raised().row(exponent, SUM))

    def raised(self) -> _MathWriter:
        """The writer of an exponent."""
        return replace(self, script=self.script + 1, flat=True)

    def call(self, name: str, arguments: list[ast.expr]) -> tuple[Markup, int]:
        """A function of its arguments, and how tightly that binds."""
        if name == "sqrt":
            return ROOT(self.row(arguments[0], SUM)), ATOM
        if name == "abs":
            return BAR + self.row(arguments[0], SUM) + BAR, ATOM
        if name == "where":
            return self.cases(arguments), PRODUCT
        if name == "exp" and self.script < DEEPEST and not _is_tall(arguments[0]):
            return RAISED(E, self.raised().row(arguments[0], SUM)), POWER
        sign = UPRIGHT_SIGMA if name == "sigmoid" else NAME(FUNCTION_SIGNS.get(name, name))
        if len(arguments) == 1 and name not in _OWN_SHAPE and self.is_short(arguments[0]):
            return sign + THIN + self.row(arguments[0], PRODUCT), PRODUCT
        flat = replace(self, flat=True)
        listed = _joined([flat.row(one, SUM) for one in arguments], SIGN(","))
        return sign + fenced(listed), ATOM if name == "sigmoid" else POWER

    def is_short(self, node: ast.expr) -> bool:
        """Whether an argument may stand without brackets: a name, a number, or another such function of one."""
        match node:
            case ast.Name() | ast.Constant():
                return True
            case ast.Call():
                return self.is_application(node)
        return False

    def cases(self, arguments: list[ast.expr]) -> Markup:
        """``where(condition, a, where(...))`` as one brace."""
        rows: list[Markup] = []
        rest: ast.expr | None = None
        while rest is None or _is_where(rest):
            condition, value, rest = arguments if rest is None else rest.args  # type: ignore[attr-defined]
            rows.append(self.case(value, Markup("<mtext>for\u00a0</mtext>") + self.row(condition, SUM)))
        rows.append(self.case(rest, Markup("<mtext>else</mtext>")))
        return BRACE + Markup("<mtable>{}</mtable>").format(_joined(rows))

    def case(self, value: ast.expr, when: Markup) -> Markup:
        return Markup("<mtr><mtd>{}</mtd><mtd>{}</mtd></mtr>").format(self.row(value, SUM), when)


def fenced(inside: Markup) -> Markup:
    """In brackets, as tall as a line unless a fraction or a brace is inside."""
    tall = "<mfrac>" in inside or "<mtable" in inside
    left, right = map(SIGN if tall else _bracket, "()")
    return ROW(left + inside + right)


def _number(text: str) -> tuple[Markup, int]:
    """A number as it was written; one with an exponent as a power of ten."""
    digits, _, exponent = text.lower().partition("e")
    if not exponent:
        return NUMBER(text), ATOM
    sign = SIGN("−") if exponent.startswith("-") else Markup("")
    power = RAISED(NUMBER("10"), ROW(sign + NUMBER(exponent.lstrip("+-").lstrip("0") or "0")))
    return (power, POWER) if digits == "1" else (NUMBER(digits) + SIGN("×") + power, PRODUCT)


def _name(name: str) -> Markup:
    if name == "oo":
        return NAME("∞")
    if name == "e":
        return E
    split = re.fullmatch(r"([^\W\d_]+)_?(\d+)", name)
    if split:
        return LOWERED(NAME(GREEK.get(split[1], split[1])), NUMBER(split[2]))
    return NAME(GREEK.get(name, name))


def _factors(node: ast.expr) -> tuple[list[ast.expr], list[ast.expr], bool]:
    """What is multiplied, what it is divided by, and whether a minus sign stands in front."""
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            above, below, negative = _factors(left)
            return [*above, *_unless_one(right)], below, negative
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            above, below, negative = _factors(left)
            return above, [*below, *_multiplied(right)], negative
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            above, below, negative = _factors(inner)
            return above, below, not negative
    return _unless_one(node), [], False


def _multiplied(node: ast.expr) -> list[ast.expr]:
    """The factors of a product without divisors; anything else is one factor."""
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return [*_multiplied(left), right]
    return [node]


def _unless_one(node: ast.expr) -> list[ast.expr]:
    """A factor 1 goes without saying."""
    return [] if isinstance(node, ast.Constant) and node.value == 1 else [node]


def _starts_with_digit(node: ast.expr) -> bool:
    while isinstance(node, ast.BinOp) and not isinstance(node.op, (ast.Add, ast.Sub)):
        node = node.left
    return isinstance(node, ast.Constant)


def _is_tall(node: ast.expr) -> bool:
    """Whether an exponent would be hard to read: a quotient of more than names and numbers, a root, or long."""
    quotients = (part for part in ast.walk(node) if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Div))
    return any(len(list(ast.walk(part))) > 9 for part in quotients) or sum(1 for _ in ast.walk(node)) > 40


def _is_where(node: Any) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "where"
