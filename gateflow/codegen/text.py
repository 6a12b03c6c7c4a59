"""The arithmetic whose numbers are texts: what computes with it writes a program.

A language is a subclass of `Text`: it says how a line, a number and the functions that it has read. What it lacks is
put together from those like in any other arithmetic (`gateflow.arithmetic.composites`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from gateflow.arithmetic import float64
from gateflow.arithmetic.composites import COMPOSITES, Composing


class Term:
    """A number that is known by its name or its digits in the text: one line, or less, of a `Text`."""

    __array_ufunc__ = None

    def __init__(self, text: Text, code: str) -> None:
        self.text, self.code = text, code

    def __str__(self) -> str:
        return self.code

    def __add__(self, other: Any) -> Term:
        return self.text.infix(self, "+", other)

    def __radd__(self, other: Any) -> Term:
        return self.text.infix(other, "+", self)

    def __sub__(self, other: Any) -> Term:
        return self.text.infix(self, "-", other)

    def __rsub__(self, other: Any) -> Term:
        return self.text.infix(other, "-", self)

    def __mul__(self, other: Any) -> Term:
        return self.text.infix(self, "*", other)

    def __rmul__(self, other: Any) -> Term:
        return self.text.infix(other, "*", self)

    def __truediv__(self, other: Any) -> Term:
        return self.text.infix(self, "/", other)

    def __rtruediv__(self, other: Any) -> Term:
        return self.text.infix(other, "/", self)

    def __neg__(self) -> Term:
        return self.text.line(f"-{self}")

    def __and__(self, other: Any) -> Term:
        return self.text.infix(self, "&", other, truth=True)

    def __or__(self, other: Any) -> Term:
        return self.text.infix(self, "|", other, truth=True)

    def __invert__(self) -> Term:
        return self.text.line(f"{self.text.NOT}{self}", truth=True)


class Text(Composing):
    """A program being written: each operation is a line, equal ones the same line.

    Attributes
    ----------
    CALLS : mapping
        How the functions that the language has are called: ``{}`` stands for the arguments in order.
    NOT : str
        The sign that negates a truth value.
    """

    name = "text"
    CALLS: ClassVar[Mapping[str, str]] = {}
    NOT = "~"

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._known: dict[str, Term] = {}

    def assignment(self, name: str, code: str, truth: bool) -> str:
        """The line that gives a new variable, a number or a truth value, the value of ``code``."""
        return f"{name} = {code}"

    def number(self, value: float) -> str:
        """A float64 number as text."""
        text = repr(value) if math.isfinite(value) else f'float("{value}")'
        return f"({text})" if text.startswith("-") else text

    def unknown(self, name: str) -> Exception:
        """What to raise for a function that the language lacks and that is no composite."""
        return NotImplementedError(name)

    # --- lines ---

    def line(self, code: str, truth: bool = False) -> Term:
        """The variable that holds what ``code`` says."""
        if code not in self._known:
            self._known[code] = Term(self, f"v{len(self._known)}")
            self.lines.append(self.assignment(str(self._known[code]), code, truth))
        return self._known[code]

    def term(self, x: Any) -> Term:
        """A number that is a term already, or one given by its value."""
        return x if isinstance(x, Term) else self.lift(x)

    def infix(self, left: Any, sign: str, right: Any, truth: bool = False) -> Term:
        """``left sign right``."""
        return self.line(f"{self.term(left)} {sign} {self.term(right)}", truth)

    def call(self, name: str, *args: Any, truth: bool = False) -> Term:
        """A function that the language has."""
        return self.line(self.CALLS[name].format(*map(self.term, args)), truth)

    # --- the arithmetic ---

    def lift(self, x: Any) -> Term:
        """A float64 number by its digits."""
        return Term(self, self.number(float(x)))

    def constant(self, c: Any) -> Term:
        """A real constant, rounded once."""
        return self.lift(float64.constant(c))

    def less(self, x: Any, y: Any) -> Term:
        return self.infix(x, "<", y, truth=True)

    def less_equal(self, x: Any, y: Any) -> Term:
        return self.infix(x, "<=", y, truth=True)

    def isfinite(self, x: Any) -> Term:
        return self.call("isfinite", x, truth=True)

    def integer_power(self, x: Any, n: int) -> Term:
        """By squaring."""
        if n < 0:
            return 1.0 / self.integer_power(x, -n)
        square, result = self.term(x), None
        while n:
            if n & 1:
                result = square if result is None else result * square
            n >>= 1
            square = square * square if n else square
        return self.lift(1.0) if result is None else result

    def __getattr__(self, name: str) -> Callable[..., Term]:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self.CALLS:
            return lambda *args: self.call(name, *args)
        if name not in COMPOSITES:
            raise self.unknown(name)
        return super().__getattr__(name)
