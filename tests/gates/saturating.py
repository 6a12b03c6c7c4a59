"""Gates of users whose complement cancels as written: phi, 1 - phi and phi' by hand in mpmath, where nothing cancels.

The numbers z are big floats of many digits, so a root of ``1 + |z|**p`` is 1 and more.
"""

from __future__ import annotations

from typing import Any

from mpmath import exp, expm1, log1p, mpf, sqrt


def rooted(p: str) -> tuple[Any, Any, Any]:
    """``(1 + z/(1 + |z|**p)**(1/p))/2``."""
    power = mpf(p) if "/" not in p else mpf(p.split("/")[0]) / int(p.split("/")[1])

    def rest(z: Any) -> Any:  # 1 - |y|, where y = sign(z) (1 + |z|**-p)**(-1/p)
        return -expm1(-log1p(abs(z) ** -power) / power)

    def small(z: Any) -> Any:
        return rest(z) / 2

    def large(z: Any) -> Any:
        return 1 - small(z)

    def slope(z: Any) -> Any:
        return (1 + abs(z) ** power) ** (-1 - 1 / power) / 2

    return (lambda z: (large if z > 0 else small)(z)), (lambda z: (small if z > 0 else large)(z)), slope


def _rational(z: Any) -> Any:
    return (1 if z < 0 else 1 + 2 * z + 2 * z * z) / (1 + abs(z) + z * z) / 2


POWERS = {
    "(1+z/(1+abs(z)**3)**(1/3))/2": rooted("3"),
    "(1+z/(1+z**4)**(1/4))/2": rooted("4"),
    "(1+z/sqrt(sqrt(1+abs(z)**4)))/2": rooted("4"),
    "(1+z/(1+abs(z)**5)**(1/5))/2": rooted("5"),
    "(1+z/(1+z**6)**(1/6))/2": rooted("6"),
    "(1+z/(1+abs(z)**1.5)**(2/3))/2": rooted("3/2"),
    "(1+z/(1+sqrt(abs(z)))**2)/2": rooted("1/2"),
    "1/2+z/(1+abs(z)+z**2)/2+z*abs(z)/(1+abs(z)+z**2)/2": (
        _rational,
        lambda z: _rational(-z),
        lambda z: (1 + 2 * abs(z)) / (1 + abs(z) + z * z) ** 2 / 2,
    ),
}
"""Those that saturate like a power."""


def odds(g: Any, slope: Any) -> tuple[Any, Any, Any]:
    """``1/(1 + g)``, given g and -g'."""
    return (lambda z: 1 / (1 + g(z))), (lambda z: g(z) / (1 + g(z))), (lambda z: slope(z) / (1 + g(z)) ** 2)


def _root(z: Any) -> Any:
    return sqrt(1 + 4 * exp(-z))


EXPONENTIALS = {
    "1/(1+exp(-z)+exp(-2*z))": odds(lambda z: exp(-z) + exp(-2 * z), lambda z: exp(-z) + 2 * exp(-2 * z)),
    "1/(1+exp(-z)+exp(-3*z))": odds(lambda z: exp(-z) + exp(-3 * z), lambda z: exp(-z) + 3 * exp(-3 * z)),
    "exp(z)/(1+exp(z)+exp(-z))": odds(lambda z: exp(-z) + exp(-2 * z), lambda z: exp(-z) + 2 * exp(-2 * z)),
    "(1+exp(-z))/(1+exp(-z)+exp(-2*z))": odds(
        lambda z: exp(-2 * z) / (1 + exp(-z)), lambda z: (2 * exp(-2 * z) + exp(-3 * z)) / (1 + exp(-z)) ** 2
    ),
    "1/(1+log(1+exp(-z)))": odds(lambda z: log1p(exp(-z)), lambda z: exp(-z) / (1 + exp(-z))),
    "1/sqrt(1+exp(-z))": (
        lambda z: (1 + exp(-z)) ** -0.5,
        lambda z: -expm1(-log1p(exp(-z)) / 2),
        lambda z: exp(-z) * (1 + exp(-z)) ** -1.5 / 2,
    ),
    "2/(1+sqrt(1+4*exp(-z)))": (
        lambda z: 2 / (1 + _root(z)),
        lambda z: 4 * exp(-z) / (1 + _root(z)) ** 2,
        lambda z: 4 * exp(-z) / (_root(z) * (1 + _root(z)) ** 2),
    ),
}
"""Those that saturate like an exponential."""
