"""Sentences of the engines, set as mathematics is: Greek letters, true minus signs, signs of infinity and of order."""

from __future__ import annotations

import re

from markupsafe import Markup

LETTERS = {
    "phi": "φ",
    "psi": "ψ",
    "gamma": "γ",
    "kappa": "κ",
    "rho": "ρ",
    "tau": "τ",
    "lambda": "λ",
    "l_hat": "l̂",
    "oo": "∞",
}

_SIGNS = (
    (r"\b(" + "|".join(LETTERS) + r")(?![\w])", lambda found: LETTERS[found[1]]),
    (r"(?<=[φψlhuzfFgG])''", "″"),
    (r"(?<=[φψlhuzfFgG])'", "′"),
    (r">=", "≥"),
    (r"<=", "≤"),
    (r"(?<![\w)-])-(?=[\w∞(.])", "−"),
    (r" - ", " − "),
    (r"\bz0\b", "z₀"),
)


def prose(sentence: str) -> str:
    """A sentence as text of the page.

    Examples
    --------
    >>> print(prose("continuous, with phi(-oo) = 0; phi' decreases for z >= -0.5"))
    continuous, with φ(−∞) = 0; φ′ decreases for z ≥ −0.5
    >>> print(prose("a hard-sigmoid is not log-slow"))
    a hard-sigmoid is not log-slow
    """
    for pattern, sign in _SIGNS:
        sentence = re.sub(pattern, sign, sentence)
    return sentence


def number(value: float, digits: int = 4) -> str:
    """A number as it is best read, with its power of ten raised.

    Examples
    --------
    >>> print(number(100.0), number(1e6), number(-2.5e-8))
    100 10<sup>6</sup> −2.5·10<sup>−8</sup>
    """
    if value != value or abs(value) == float("inf"):
        return "–" if value != value else "∞" if value > 0 else "−∞"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.{digits}g}".replace("-", "−")
    return scientific(f"{value:.{digits - 1}e}")


def scientific(text: str) -> str:
    """The text of a number with its power of ten raised: ``1.50e-08`` as 1.5·10⁻⁸.

    Examples
    --------
    >>> print(scientific("1.9701e+434"), scientific("42"))
    1.9701·10<sup>434</sup> 42
    """
    digits, e, exponent = text.replace("-", "−").partition("e")
    if not e:
        return digits
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    sign = "−" if exponent.startswith("−") else ""
    raised = Markup("10<sup>{}</sup>").format(sign + (exponent.lstrip("+−").lstrip("0") or "0"))
    return raised if digits == "1" else Markup("{}·{}").format(digits, raised)
