"""From one declaration of a gate, all its formulas, so written that nothing cancels."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from gateflow.codegen import log_of, log_ratio, sign_of, stable
from gateflow.codegen.expand import expand, factor
from gateflow.formula.vocabulary import Expr, derivative, log1p, sigmoid, softplus
from gateflow.gates.inversion import closed_inverse


@dataclass(frozen=True)
class Formulas:
    """A gate's formulas as SymPy expressions in :data:`gateflow.formula.vocabulary.Z`, so written that nothing cancels.

    ``inverse`` is z as a function of the logit profile, in :data:`gateflow.formula.vocabulary.U`, or None.
    """

    u: Expr
    phi: Expr
    phi_c: Expr
    log_phi: Expr
    log_phi_c: Expr
    du: Expr
    log_du: Expr
    d2u: Expr | None
    dphi: Expr
    log_dphi: Expr
    d2phi: Expr
    inverse: Expr | None
    balance: Expr
    """``2 phi - 1``: u is found from it where it is small."""
    whole_logs: tuple[Expr, Expr]
    """``log phi`` and ``log(1 - phi)`` with all digits also where these are near 0, as cases: the forms to print."""
    log_hazards: tuple[Expr, Expr]
    """Logarithms of ``phi'/phi``, for where phi is small, and of ``phi'/(1 - phi)``, for where 1 - phi is."""

    @property
    def slope_sign(self) -> Expr:
        """A formula with the sign of phi'."""
        return sign_of(factored(self.du) if self.d2u is not None else self.dphi)


def value_pair(expr: Expr, declared: str) -> tuple[Expr, Expr]:
    """Stable forms of phi and 1 - phi; ``declared`` says which of phi, profile and complement ``expr`` is.

    Examples
    --------
    >>> from gateflow.formula.vocabulary import Z
    >>> value_pair(sp.S.Half + sp.tanh(Z) / 2, "phi")
    (sigmoid(2*z), sigmoid(-2*z))
    """
    if declared == "profile":
        u = stable(expr)
        return sigmoid(u), sigmoid(-u)
    forms = stable(expr), stable(1 - expr)
    return forms if declared == "phi" else forms[::-1]


def derived(expr: Expr, declared: str, inverse: Expr | None = None) -> Formulas:
    """All formulas of a gate; ``inverse`` is z in the logit profile, where it is known."""
    value, complement = value_pair(expr, declared)
    if isinstance(value, sigmoid):
        # As it was written where it was: a stable form may be 0/0 in its derivative, as softplus(2 log|z|) is at z = 0.
        written = expr if declared == "profile" else expr.args[0] if _is_logistic(expr, declared) else value.args[0]
        return _of_profile(written, value, complement, inverse)
    return _of_value(expr if declared == "phi" else 1 - expr, value, complement, inverse)


def _is_logistic(expr: Expr, declared: str) -> bool:
    return declared == "phi" and isinstance(expr, sigmoid)


def _of_profile(u: Expr, value: Expr, complement: Expr, inverse: Expr | None) -> Formulas:
    du, d2u = with_values_at_zeros(derivative(u)), with_values_at_zeros(derivative(u, order=2))
    u, log_du = stable(u), log_of(du)
    log_phi, log_phi_c = -softplus(-u), -softplus(u)
    log_dphi = log_du + log_phi + log_phi_c
    return Formulas(
        u=u,
        phi=value,
        phi_c=complement,
        log_phi=log_phi,
        log_phi_c=log_phi_c,
        du=du,
        log_du=log_du,
        d2u=d2u,
        dphi=du * value * complement,
        log_dphi=log_dphi,
        d2phi=value * complement * (d2u - du**2 * sp.tanh(u / 2)),
        inverse=closed_inverse(u) if inverse is None else stable(inverse),
        balance=sp.tanh(u / 2),
        whole_logs=(log_phi, log_phi_c),
        log_hazards=(log_ratio(log_dphi, log_phi), log_ratio(log_dphi, log_phi_c)),
    )


def _of_value(phi: Expr, value: Expr, complement: Expr, inverse: Expr | None) -> Formulas:
    dphi = factored(with_values_at_zeros(derivative(phi)))
    log_phi, log_phi_c, log_dphi = log_of(value), log_of(complement), log_of(dphi)
    u = log_phi - log_phi_c
    return Formulas(
        u=u,
        phi=value,
        phi_c=complement,
        log_phi=log_phi,
        log_phi_c=log_phi_c,
        du=dphi / (value * complement),
        log_du=log_dphi - log_phi - log_phi_c,
        d2u=None,
        dphi=dphi,
        log_dphi=log_dphi,
        d2phi=factored(derivative(dphi)),
        inverse=closed_inverse(u) if inverse is None else stable(inverse),
        balance=stable(expand(2 * phi - 1)),
        whole_logs=(_whole_log(log_phi, complement), _whole_log(log_phi_c, value)),
        log_hazards=(log_ratio(log_dphi, log_phi), log_ratio(log_dphi, log_phi_c)),
    )


def _whole_log(log_size: Expr, rest: Expr) -> Expr:
    """The logarithm of a probability, from the rest to 1 where that is small."""
    if rest.has(sp.Piecewise):
        return log_size
    near_one = sp.StrictLessThan(rest, sp.Rational(1, 4), evaluate=False)
    return sp.Piecewise((log1p(-rest), near_one), (log_size, True), evaluate=False)


def factored(expr: Expr) -> Expr:
    """A derivative as a product, so that its zeros are zeros of factors; formulas with cases stay as they are."""
    return stable(expr) if expr.has(sp.Piecewise) else stable(factor(stable(expr)))


def with_values_at_zeros(slope: Expr) -> Expr:
    """A derivative with ``g**a/g`` as ``g**(a - 1)`` and ``g sign(g)`` as ``|g|``, which are no 0/0 where g is 0.

    Examples
    --------
    >>> from gateflow.formula.vocabulary import Z
    >>> with_values_at_zeros(derivative(Z ** sp.sqrt(2))), with_values_at_zeros(derivative(Z * sp.sqrt(sp.Abs(Z))))
    (sqrt(2)*z**(-1 + sqrt(2)), 3*sqrt(Abs(z))/2)
    """
    return slope.replace(lambda node: node.is_Mul and node.free_symbols, _gathered)


def _gathered(product: Expr) -> Expr:
    factors = list(product.args)
    for node in [node for node in factors if isinstance(node, sp.sign) and node.args[0] in factors]:
        factors.remove(node)
        factors[factors.index(node.args[0])] = sp.Abs(node.args[0])
    exponents: dict[Expr, Expr] = {}
    for base, exponent in (part.as_base_exp() for part in factors):
        exponents[base] = exponents.get(base, sp.S.Zero) + exponent
    return sp.Mul(*(base**exponent for base, exponent in exponents.items()))
