"""Numbers that users give, checked in one place: what is not a real number, or does not fit, is one line.

Whatever is given, nothing but :class:`~gateflow.errors.InvalidArgument` comes out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from gateflow.errors import InvalidArgument, shown


def reals(name: str, value: Any, said: str = "must be a real number", *, truths: bool = False) -> np.ndarray:
    """``value`` as an array of real numbers: float32 stays, everything else is float64.

    Whole numbers of any size, fractions and decimals are taken; texts, complex numbers, dates, masked values, and
    truth values unless ``truths``, are not.

    Raises
    ------
    InvalidArgument
        Some of it is no real number.

    Examples
    --------
    >>> from fractions import Fraction
    >>> reals("gap", [Fraction(1, 4), 1]).tolist()
    [0.25, 1.0]
    >>> reals("gap", np.datetime64("2020-01-01"))
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: gap must be a real number; got '2020-01-01'
    """
    try:
        if np.ma.is_masked(value):
            raise InvalidArgument(f"{name} has masked values; fill them, or leave them out")
        array = np.asarray(value)
        if array.dtype.kind not in ("iufb" if truths else "iuf"):
            array = _one_by_one(array, value)
        if array.dtype == np.float32:
            return array
        with np.errstate(all="ignore"):
            return array.astype(np.float64)
    except InvalidArgument:
        raise
    except OverflowError:  # a whole number, or a fraction
        raise InvalidArgument(f"{name} is past the largest float; got {shown(value)}") from None
    except Exception:  # whatever an object makes of being asked for its numbers
        text = shown(value)
        raise InvalidArgument(f"{name} {said}; got {text if isinstance(value, (str, bytes)) else repr(text)}") from None


Range = tuple[Callable[[Any], Any], str]
"""A test of numbers, and the range that it is of in words."""

FINITE: Range = (np.isfinite, "finite")
ABOVE_0: Range = (lambda v: (v > 0) & np.isfinite(v), "finite and above 0")
AT_LEAST_0: Range = (lambda v: (v >= 0) & np.isfinite(v), "finite and at least 0")
AT_LEAST_1: Range = (lambda v: (v >= 1) & np.isfinite(v), "finite and at least 1")
IN_UNIT: Range = (lambda v: (v > 0) & (v < 1), "in (0, 1)")
RTOL: Range = (lambda v: (v >= 1e-13) & (v < 1), "in [1e-13, 1)")
BELOW_1: Range = (lambda v: (v >= 0) & (v < 1), "in [0, 1)")

MOST_DIGITS = 100_000
"""Digits that an exact number may have when it is written out."""

_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


Exact = Fraction | Decimal | int


_QUOTIENT = re.compile(r"([+-]?\d+)/(\d+)")


class NumberTooLong(ValueError):
    """A number has too many digits to be written out, or an exponent that no decimal has."""

    def __init__(self) -> None:
        super().__init__(f"it has over {MOST_DIGITS} digits when it is written out")


def decimal_or_fraction(text: str) -> Decimal | Fraction:
    """The number that a text shows, none of it written out: ``1e-999999999`` is one.

    Raises
    ------
    ValueError
        It shows none.

    Examples
    --------
    >>> decimal_or_fraction("1e-9999999"), decimal_or_fraction("1/3")
    (Decimal('1E-9999999'), Fraction(1, 3))
    """
    if "/" in text:
        if len(text) > MOST_DIGITS:
            raise NumberTooLong
        parts = _QUOTIENT.fullmatch(text.strip())
        if parts is None or not parts[2].strip("0"):
            raise ValueError(f"{text} is no quotient")
        return Fraction(*(int(Decimal(part)) for part in parts.groups()))  # int takes no text of over 4300 digits
    try:
        return Decimal(text)
    except ArithmeticError:  # an error of form, or an exponent of 19 digits
        if _DECIMAL.fullmatch(text.strip()):
            raise NumberTooLong from None
        raise ValueError(f"{text} is no number") from None


def log_of_exact(x: Exact) -> float:
    """log of an exact number above 0 of any size, without writing it out.

    Examples
    --------
    >>> log_of_exact(Decimal("1e-99999999")), log_of_exact(Fraction(1, 3))
    (-230258506.99..., -1.098...)
    """
    if isinstance(x, Decimal):
        wide = Context(prec=40, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[])
        return float(wide.ln(wide.plus(x)))
    top, bottom = (max(part.bit_length() - 64, 0) for part in (x.numerator, x.denominator))
    return math.log((x.numerator >> top) / (x.denominator >> bottom)) + (top - bottom) * math.log(2.0)


def fraction(value: Any) -> Fraction:
    """A number, or the text of one, as the fraction it is.

    Raises
    ------
    ValueError
        It is none, or `NumberTooLong`: ``1e-999999999`` would be written out.

    Examples
    --------
    >>> fraction("0.1"), fraction("1/3")
    (Fraction(1, 10), Fraction(1, 3))
    """
    exact = decimal_or_fraction(value) if isinstance(value, str) else value
    if isinstance(exact, Decimal):
        if not exact.is_finite():
            raise ValueError(f"{exact} is not finite")
        if not exact:
            return Fraction(0)
        reach = max(len(exact.as_tuple().digits), abs(exact.adjusted()))
    else:
        parts = (exact.numerator, exact.denominator) if isinstance(exact, (int, Fraction)) else ()
        reach = max((part.bit_length() for part in parts), default=0) * math.log10(2)
    if reach > MOST_DIGITS:
        raise NumberTooLong
    return Fraction(exact)


def _one_by_one(array: np.ndarray, value: Any) -> np.ndarray:
    """Python integers past int64, fractions and the like."""
    if array.dtype.kind != "O":
        raise TypeError
    parts = np.asarray(value, dtype=object)
    if any(isinstance(part, (str, bytes, bool, np.bool_)) or part is None for part in parts.flat):
        raise TypeError
    return parts


def number(name: str, value: Any, test: Callable[[np.ndarray], Any], said: str) -> Any:
    """``value`` as float64, a Python number or an array, all of it in range; else one line that names it.

    Examples
    --------
    >>> number("gap", 2, lambda v: v < 1, "below 1")
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: gap must be below 1; got 2
    """
    array = reals(name, value).astype(np.float64)
    wrong = ~np.asarray(test(array)) | np.isnan(array)
    if np.asarray(value).dtype.kind == "O":
        _check_rounding(name, np.asarray(value, dtype=object), array, test, said)
    if wrong.any():
        raise InvalidArgument(f"{name} must be {said}; got {array[wrong].flat[0]:g}")
    return array.item() if array.ndim == 0 else array


def _check_rounding(name: str, exact: np.ndarray, found: np.ndarray, test: Callable[[Any], Any], said: str) -> None:
    """Complain of exact numbers that are infinite as floats, or on the other side of the end of their range."""
    for x, y in zip(exact.flat, found.flat, strict=True):
        if not isinstance(x, (Decimal, Fraction, int)) or math.isnan(y) or x == y:
            continue
        if math.isinf(y):
            raise InvalidArgument(f"{name} is past the largest float; got {shown(x)}")
        fits, beside = test(y), test(np.nextafter(y, math.inf if x > y else -math.inf))
        if y == 0 and beside and not fits:
            raise InvalidArgument(f"{name} is below the smallest float; got {shown(x)}")
        if not beside:
            raise InvalidArgument(f"{name} must be {said}; got {shown(x)}")


def one(name: str, value: Any, test: Callable[[Any], Any], said: str) -> float:
    """One number in range.

    Examples
    --------
    >>> one("tau_max", [1, 2], lambda v: v > 0, "above 0")
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: tau_max must be one number, not an array of shape (2,)
    """
    found = number(name, value, test, said)
    if np.ndim(found):
        raise InvalidArgument(f"{name} must be one number, not an array of shape {np.shape(found)}")
    return float(found)


def whole(name: str, value: Any, least: int = 1, most: int | None = None, why: str = "") -> int:
    """One whole number from ``least`` to ``most``, for the reason ``why``; 3.0 is one, True and "3" are none.

    Examples
    --------
    >>> whole("steps", 3.0), whole("steps", np.int8(4))
    (3, 4)
    >>> whole("steps", 2.5)
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: steps must be a whole number from 1; got 2.5
    """
    said = f"a whole number from {least}" + ("" if most is None else f" to {most}") + (why and f" ({why})")
    if isinstance(value, int) and not isinstance(value, bool):
        if value < least or (most is not None and value > most):
            raise InvalidArgument(f"{name} must be {said}; got {shown(value)}")
        return value
    top = np.inf if most is None else most
    inside = one(name, value, lambda v: (v >= least) & (v <= top) & (v == np.floor(v)) & np.isfinite(v), said)
    return int(inside)


def together(**given: Any) -> tuple[int, ...]:
    """The shape that several arrays broadcast to.

    Examples
    --------
    >>> together(horizon=np.ones((3, 1)), z0=0.0, gap=np.ones(2))
    (3, 2)
    >>> together(horizon=np.ones(3), gap=np.ones(2), scale=1.0)
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: the shapes do not go together: horizon (3,), gap (2,)
    """
    shapes = {name: np.shape(value) for name, value in given.items()}
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items() if shape)
        raise InvalidArgument(f"the shapes do not go together: {listed}") from None


def broadcast(**given: Any) -> list[np.ndarray]:
    """Arrays broadcast against each other, as by NumPy; else one line that names their shapes."""
    together(**given)
    return list(np.broadcast_arrays(*given.values()))


def items(name: str, values: Any, said: str = "must be a list") -> list[Any]:
    """The items of a list or another collection; a text is none.

    Examples
    --------
    >>> items("gates", ("fast", "sigmoid"))
    ['fast', 'sigmoid']
    >>> items("gates", 3)
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: gates must be a list; got 3
    """
    try:
        if isinstance(values, (str, bytes)):
            raise TypeError
        return list(values)
    except Exception:  # whatever an object makes of being gone through
        raise InvalidArgument(f"{name} {said}; got {shown(values)}") from None
