"""From one declaration of a gate, all its formulas, so written that nothing cancels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from gateflow.codegen import log_of, log_ratio, powers_gathered, sign_of, stable, stable_sums
from gateflow.codegen.expand import expand, expand_products, factor
from gateflow.formula.functions import FUNCTIONS, log_add
from gateflow.formula.vocabulary import Expr, derivative, expm1, log1p, sigmoid, softplus
from gateflow.gates.inversion import closed_inverse
from gateflow.gates.once import derived_once


class Formulas:
    """A gate's formulas as SymPy expressions in :data:`gateflow.formula.vocabulary.Z`, so written that nothing cancels.

    Each is derived when it is first asked for. ``inverse`` is z as a function of the logit profile, in
    :data:`gateflow.formula.vocabulary.U`, or None.

    Parameters
    ----------
    expr : Expr
    declared : str
        Which of phi, profile and complement ``expr`` is.
    inverse : Expr, optional
        z in the logit profile, where it is known.
    within : callable, optional
        Calls a function within bounds, given what it derives in a word.

    Examples
    --------
    >>> from gateflow.formula.vocabulary import Z
    >>> Formulas(Z**3, "profile").du, Formulas(sp.S.Half + sp.atan(Z) / sp.pi, "phi").dphi
    (3*z**2, 1/(pi*(z**2 + 1)))
    """

    def __init__(
        self,
        expr: Expr,
        declared: str,
        inverse: Expr | None = None,
        within: Callable[[Callable[[], Any], str], Any] = lambda derive, _: derive(),
    ) -> None:
        self._expr, self._declared, self._inverse, self._within = expr, declared, inverse, within

    def within_bounds(self, derive: Callable[[], Any], _: str) -> Any:
        """What is derived, or a refusal where that takes too long."""
        return self._within(derive, "formulas")

    @derived_once
    def pair(self) -> tuple[Expr, Expr]:
        """phi and 1 - phi."""
        return value_pair(self._expr, self._declared)

    @derived_once
    def is_profile(self) -> bool:
        """Whether phi is ``sigmoid(u)`` of a known formula u, declared so or recognised.

        A quotient that is one only to keep it from overflowing is not, where its u has functions of which neither the
        derivative nor the limits are known.
        """
        if self._declared == "profile" or not isinstance(self.pair[0], sigmoid):
            return self._declared == "profile"
        plain = self._expr if self._declared == "phi" else 1 - self._expr
        return _is_in_words(self.pair[0].args[0]) or isinstance(stable_sums(plain), sigmoid)

    @property
    def phi(self) -> Expr:
        return self.pair[0]

    @property
    def phi_c(self) -> Expr:
        return self.pair[1]

    @property
    def _written(self) -> Expr:
        """u as it was written, if it was: a stable form may be 0/0 in its derivative, as softplus(2 log|z|) is at 0."""
        if self._declared == "profile":
            return self._expr
        return self._expr.args[0] if self._declared == "phi" and isinstance(self._expr, sigmoid) else self.phi.args[0]

    @derived_once
    def u(self) -> Expr:
        return stable(self._written) if self.is_profile else self.log_phi - self.log_phi_c

    @derived_once
    def log_phi(self) -> Expr:
        return -softplus(-self.u) if self.is_profile else log_of(self.phi)

    @derived_once
    def log_phi_c(self) -> Expr:
        return -softplus(self.u) if self.is_profile else log_of(self.phi_c)

    @derived_once
    def _slope(self) -> Expr:
        """The derivative as SymPy gives it: of u as it was written, or of phi."""
        if self.is_profile:
            return derivative(self._written)
        return derivative(self._expr if self._declared == "phi" else 1 - self._expr)

    @derived_once
    def du(self) -> Expr:
        return with_values_at_zeros(self._slope) if self.is_profile else self.dphi / (self.phi * self.phi_c)

    @derived_once
    def log_du(self) -> Expr:
        return log_of(self.du) if self.is_profile else self.log_dphi - self.log_phi - self.log_phi_c

    @derived_once
    def d2u(self) -> Expr | None:
        """None where u is no formula that is known."""
        return with_values_at_zeros(derivative(self._slope)) if self.is_profile else None

    @derived_once
    def dphi(self) -> Expr:
        return self.du * self.phi * self.phi_c if self.is_profile else stable(self._factored_slope)

    @derived_once
    def _factored_slope(self) -> Expr:
        """phi' as a product; of a formula with roots of sums of powers not yet in its stable form."""
        return factored(with_values_at_zeros(self._slope))

    @derived_once
    def log_dphi(self) -> Expr:
        return self.log_du + self.log_phi + self.log_phi_c if self.is_profile else log_of(self.dphi)

    @derived_once
    def d2phi(self) -> Expr:
        if not self.is_profile:
            return stable(factored(with_values_at_zeros(derivative(self._factored_slope))))
        return self.phi * self.phi_c * (self.d2u - self.du**2 * sp.tanh(self.u / 2))

    @derived_once
    def inverse(self) -> Expr | None:
        return closed_inverse(self.u) if self._inverse is None else stable(self._inverse)

    @derived_once
    def balance(self) -> Expr:
        """``2 phi - 1``: u is found from it where it is small."""
        if self.is_profile:
            return sp.tanh(self.u / 2)
        twice = 2 * (self._expr if self._declared == "phi" else 1 - self._expr) - 1
        return stable(expand_products(twice) if powers_gathered(twice) is not None else expand(twice))

    @derived_once
    def log_hazards(self) -> tuple[Expr, Expr]:
        """Logarithms of ``phi'/phi``, for where phi is small, and of ``phi'/(1 - phi)``, for where 1 - phi is."""
        return log_ratio(self.log_dphi, self.log_phi), log_ratio(self.log_dphi, self.log_phi_c)

    @derived_once
    def slope_sign(self) -> Expr:
        """A formula with the sign of phi'."""
        return sign_of(factored(self.du) if self.is_profile else self.dphi)


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
    form = stable(expr)
    forms = form, sigmoid(-form.args[0]) if isinstance(form, sigmoid) else stable(1 - expr)
    return forms if declared == "phi" else forms[::-1]


def _is_in_words(u: Expr) -> bool:
    """Whether a profile has only functions of which derivatives and limits are known."""
    known = {*FUNCTIONS.values(), sp.Piecewise, expm1, log1p, log_add}
    return all(node.func in known for node in u.atoms(sp.Function))


def factored(expr: Expr) -> Expr:
    """A derivative as a product, so that its zeros are zeros of factors; formulas with cases stay as they are.

    Written stably, except for fractional powers of sums of powers, the derivatives of which are wanted as they stand.

    Examples
    --------
    >>> from gateflow.formula.vocabulary import Z
    >>> factored(derivative(Z / (1 + sp.Abs(Z) ** 3) ** sp.Rational(1, 3)))
    (z**2*Abs(z) + 1)**(-4/3)
    """
    if expr.has(sp.Piecewise):
        return stable(expr)
    signs = expr.has(sp.sign) and expr.has(sp.Abs)
    if signs:
        expr = with_values_at_zeros(expand_products(expr))
    found = powers_gathered(expr)
    if found is None:
        found = factor(stable_sums(expr))
        return stable(with_values_at_zeros(found) if signs else found)
    return with_values_at_zeros(found) if signs else found


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
    for node in [node for node in factors if isinstance(node, sp.sign)]:
        x = node.args[0]
        for i, part in enumerate(factors):
            base, power = part.as_base_exp()
            if part is not node and power.is_Integer and power > 0 and base in (x, sp.Abs(x)):
                factors[i : i + 1] = [base ** (power - 1), sp.Abs(x) if base == x else x]
                factors.remove(node)
                break
    exponents: dict[Expr, Expr] = {}
    for base, exponent in (part.as_base_exp() for part in factors):
        exponents[base] = exponents.get(base, sp.S.Zero) + exponent
    return sp.Mul(*(base**exponent for base, exponent in exponents.items()))
