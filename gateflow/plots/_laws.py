"""The laws of gates as figures show them: evaluated late, and set in TeX; all of them come from `rate`."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import numpy as np
import sympy as sp

from gateflow.arithmetic.bigfloat import BigFloat
from gateflow.asymptotics.rate import TAU, C, T, rate
from gateflow.codegen.tape import Tape
from gateflow.errors import InvalidArgument
from gateflow.gates.gate import Gate

DIGITS = 30
"""Of big floats in which laws are evaluated."""


def log_law(gate: Gate, log_tau: Any, *, horizon: float = 1.0) -> np.ndarray:
    """The logarithm of ``T l(tau)``, the leading order of the loss to ``lambda* = 1`` for large tau and c = 1.

    In big floats, for log tau may be a hundred million. All nan where no law was proved in its time.

    Parameters
    ----------
    gate : Gate
    log_tau : array
        Logarithms of learning times.
    horizon : float
        T, in steps.

    Examples
    --------
    >>> from gateflow.gates.gate import gate
    >>> log_law(gate("sigmoid"), np.array([2.0, 1e8]))
    array([-2.e+00, -1.e+08])
    """
    log_tau = np.asarray(log_tau, dtype=float)
    law = rate(gate).expr
    if law is None:
        return np.full(log_tau.shape, np.nan)
    big = BigFloat(DIGITS)
    late = log_tau > 0  # logarithms of tau stand in most laws, which hold for large tau
    tape = Tape([law.subs({C: 1, T: horizon})], [TAU])
    (distance,) = tape(big, big.exp(big.lift(np.where(late, log_tau, 1.0))))
    found = np.asarray(big.round(big.log(distance))) + np.log(horizon)
    return np.where(late & np.isfinite(found), found, np.nan)


def loss_in_tex(gate: Gate | str) -> str:
    """``T l(tau)`` for c = 1, as powers.

    Raises
    ------
    InvalidArgument
        The law is not in closed form.

    Examples
    --------
    >>> loss_in_tex("fast"), loss_in_tex("softsign")
    ('\\\\tau^{-1}(\\\\log\\\\,\\\\tau)^{-2}', 'T^{2/3}(3\\\\tau)^{-1/3}')
    """
    law = rate(gate).expr
    if law is None:
        raise InvalidArgument(f"the law of {gate} is not in closed form")
    exponents: dict[Any, Any] = defaultdict(int)
    for base, exponent in (T * law.subs(C, 1)).as_powers_dict().items():
        primes = sp.factorrat(base) if base.is_Rational else {base: 1}
        for factor, power in primes.items():
            exponents[factor] += power * exponent
    bases: dict[Any, list[str]] = defaultdict(list)
    for factor in sorted(exponents, key=sp.default_sort_key):
        bases[exponents[factor]].append(tex_of(str(factor)))
    return "".join(_power("".join(bases[exponent]), exponent) for exponent in sorted(bases, reverse=True) if exponent)


def _power(base: str, exponent: Any) -> str:
    return base if exponent == 1 else f"{base if base in ('T', TAU_IN_TEX) else f'({base})'}^{{{exponent}}}"


def tex_of(text: str) -> str:
    """A law as mathematics, in the form it is written in.

    Examples
    --------
    >>> tex_of("l*log(1/l)"), tex_of("1/(tau*log(tau)**2)")
    ('l\\\\,\\\\log(1/l)', '1/(\\\\tau\\\\,(\\\\log\\\\,\\\\tau)^2)')
    """
    text = "1/tau" if text == "1/(tau)" else text
    for pattern, tex in _SIGNS:
        text = re.sub(pattern, tex, text)
    return text


TAU_IN_TEX = r"\tau"

_SIGNS = (
    (r"log\(log\(tau\)\)\*\*2", r"(\\log\\,\\log\\,\\tau)^2"),
    (r"log\(log\(tau\)\)", r"\\log\\,\\log\\,\\tau"),
    (r"log\(tau\)\*\*2", r"(\\log\\,\\tau)^2"),
    (r"log\(tau\)\*\*\(([-/\d]+)\)", r"(\\log\\,\\tau)^{\1}"),
    (r"log\(tau\)", r"\\log\\,\\tau"),
    (r"sqrt\((\d+)\)", r"\\sqrt{\1}"),
    (r"\*\*\(([-/\d]+)\)", r"^{\1}"),
    (r"\*\*(\d+)", r"^{\1}"),
    (r"(?<!\\)\b(tau|pi|log)\b", r"\\\1"),
    (r"\*", r"\\,"),
)
