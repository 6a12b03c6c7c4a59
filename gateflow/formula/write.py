"""The way back: an expression as text."""

from __future__ import annotations

from typing import Any

import sympy as sp

from gateflow.errors import FormulaError, shown
from gateflow.formula.functions import FUNCTIONS, NAMES, expm1, log1p
from gateflow.formula.limits import MAX_BITS, MAX_DIGITS
from gateflow.formula.names import is_identifier, is_taken

_SUM, _PRODUCT, _POWER, _ATOM = range(4)
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
    if not isinstance(expr, (sp.Basic, int)):
        raise FormulaError(f"only a SymPy expression is written as a formula; got {shown(expr)}")
    if isinstance(expr, int) and expr.bit_length() > MAX_DIGITS * 3.33:
        raise FormulaError(f"the number is too large: at most {MAX_DIGITS} digits written out")
    return _text(sp.Integer(expr) if isinstance(expr, int) else expr, _SUM)


def _text(expr: Any, level: int) -> str:
    """The text of ``expr``, in brackets where it binds less tightly than ``level``."""
    text, own = _leveled(expr)
    return text if own >= level else f"({text})"


def _leveled(expr: Any) -> tuple[str, int]:
    if isinstance(expr, sp.Rational):
        _check_digits(expr)
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
    name = NAMES.get(getattr(expr, "func", None), "")
    if name in FUNCTIONS and FUNCTIONS[name] is expr.func:
        return f"{name}({_text(expr.args[0], _SUM)})", _ATOM
    raise FormulaError(f"formulas have no word for {_kind(expr)}")


def _check_digits(number: sp.Rational) -> None:
    if max(int(number.p).bit_length(), int(number.q).bit_length()) > MAX_BITS:
        raise FormulaError(f"the formula is too large: it has a number of more than {MAX_DIGITS} digits")


def _kind(expr: Any) -> str:
    name = getattr(getattr(expr, "func", type(expr)), "__name__", type(expr).__name__)
    return f"'{name}' (as in {str(expr)[:60]})"


def _leading(expr: sp.Expr) -> Any:
    return expr.as_coeff_Mul()[0]


def _symbol_name(symbol: sp.Symbol) -> str:
    name = symbol.name
    if not is_identifier(name) or is_taken(name):
        raise FormulaError(f"the symbol {name!a} has no name that a formula could use")
    return name


def _terms(expr: sp.Expr) -> Any:
    """The terms of a sum in SymPy's order, for which it looks at some digits of constants: none may be right."""
    try:
        return expr.as_ordered_terms()
    except ZeroDivisionError:
        return sorted(sp.Add.make_args(expr), key=sp.default_sort_key)


def _sum_text(expr: sp.Expr) -> str:
    text = ""
    for term in _terms(expr):
        negative = isinstance(term, sp.Mul | sp.Rational) and _leading(term).is_negative
        text += (" - " if negative else " + ") if text else ("-" if negative else "")
        text += _text(-term if negative else term, _PRODUCT)
    return text


def _product_text(expr: sp.Expr) -> tuple[str, int]:
    """``a*b/c/d``. Each divisor apart: SymPy would multiply ``2*(x + y)`` out, and not give back what was there."""
    coefficient, rest = expr.as_coeff_Mul()
    _check_digits(coefficient)
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
