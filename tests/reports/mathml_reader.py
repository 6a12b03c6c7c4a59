"""MathML read back as a number: a reader that knows no more than what stands on the page.

Brackets, bars, fractions, raised exponents, factors side by side and functions before their arguments are taken as a
mathematician reads them; nothing is shared with the writer.
"""

from __future__ import annotations

from xml.etree import ElementTree

import mpmath

LETTERS = dict(zip("αβγδεζηθκλμνξπρστφψω", range(20), strict=True))

FUNCTIONS = {
    "log": mpmath.log, "sin": mpmath.sin, "cos": mpmath.cos, "tan": mpmath.tan, "sinh": mpmath.sinh,
    "cosh": mpmath.cosh, "tanh": mpmath.tanh, "arsinh": mpmath.asinh, "arcosh": mpmath.acosh, "artanh": mpmath.atanh,
    "arctan": mpmath.atan, "erf": mpmath.erf, "erfc": mpmath.erfc, "log Γ": mpmath.loggamma, "sgn": mpmath.sign,
    "exp": mpmath.exp,
    "σ": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "logit": lambda x: mpmath.log(x / (1 - x)),
}  # fmt: skip


def value(markup: str, **names: float) -> mpmath.mpf:
    """The number that a formula shows, with these values for its names."""
    root = ElementTree.fromstring(markup)
    assert root.tag == "math"
    return _Reader(_flat(root), names).all()


def _flat(element: ElementTree.Element) -> list[ElementTree.Element]:
    """The children; rows within rows are opened, thin spaces dropped."""
    found = []
    for child in element:
        found += _flat(child) if child.tag == "mrow" else [] if child.tag == "mspace" else [child]
    return found


class _Reader:
    """Recursive descent over the elements of a row."""

    def __init__(self, items: list[ElementTree.Element], names: dict[str, float]) -> None:
        self.items, self.names, self.at = items, names, 0

    def all(self) -> mpmath.mpf:
        found = self.sum()
        assert self.at == len(self.items), "something is left over"
        return found

    def inside(self, element: ElementTree.Element) -> mpmath.mpf:
        """One argument of a fraction or a power."""
        row = _flat(element) if element.tag in ("mrow", "math", "msqrt", "mtd") else [element]
        return _Reader(row, self.names).all()

    def sign(self) -> str | None:
        """The sign that comes next, if one does."""
        if self.at < len(self.items) and self.items[self.at].tag == "mo":
            return self.items[self.at].text
        return None

    def sum(self) -> mpmath.mpf:
        negative = self.sign() == "−"
        self.at += negative
        total = -self.product() if negative else self.product()
        while (sign := self.sign()) in ("+", "−"):
            self.at += 1
            total += self.product() if sign == "+" else -self.product()
        return total

    def product(self) -> mpmath.mpf:
        total = self.factor()
        while self.at < len(self.items) and self.sign() not in ("+", "−", ")", "|", ",", "<", ">", "≤", "≥"):
            if self.sign() == "/":
                self.at += 1
                total /= self.factor()
            else:
                self.at += self.sign() in ("·", "×")
                total *= self.factor()
        return total

    def factor(self) -> mpmath.mpf:
        item = self.items[self.at]
        self.at += 1
        if item.tag == "mo" and item.text in "(|":
            found = self.sum()
            assert self.sign() == {"(": ")", "|": "|"}[item.text]
            self.at += 1
            return found if item.text == "(" else abs(found)
        if item.tag == "mi" and item.text in FUNCTIONS:
            return FUNCTIONS[item.text](self.factor())  # one factor: log x y would be (log x) y
        return self.leaf(item)

    def leaf(self, item: ElementTree.Element) -> mpmath.mpf:
        if item.tag == "mn":
            return mpmath.mpf(item.text)
        if item.tag == "mfrac":
            return self.inside(item[0]) / self.inside(item[1])
        if item.tag == "msqrt":
            return mpmath.sqrt(self.inside(item))
        if item.tag == "msup":
            return self.inside(item[0]) ** self.inside(item[1])
        assert item.tag == "mi", item.tag
        constants = {"e": mpmath.e, "π": mpmath.pi}
        return constants[item.text] if item.text in constants else mpmath.mpf(self.names[item.text])
