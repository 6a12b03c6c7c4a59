"""Formulas printed as C: the elementary functions against big floats, whole gates against the NumPy arithmetic."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

from gateflow.arithmetic import FUNCTIONS, float64
from gateflow.codegen import Tape, c, stable
from gateflow.codegen import compiler as compiled
from gateflow.errors import InvalidArgument, NoCompiler
from gateflow.formula import parse
from gateflow.formula.vocabulary import Z, derivative
from gateflow.gates.gate import GATES, gate
from gateflow.gates.numbers import Numbers

sys.path.insert(0, str(Path(__file__).parents[1] / "arithmetic"))
import references

BOUNDS = {"abs": 0.0, "sign": 0.0, "sqrt": 0.5, "sin": 1.0, "cos": 1.0, "tan": 1.0}
"""Units in the last place; those of the C library's own functions are its own."""
BOUNDS |= dict.fromkeys(("exp", "expm1", "log", "log1p", "cosh", "atan", "atanh", "log_hypot", "asinh"), 1.0)
BOUNDS |= dict.fromkeys(("sinh", "tanh", "acosh", "acot", "sigmoid", "softplus", "softsign", "logit", "erf"), 2.0)
BOUNDS |= dict.fromkeys(("log_expm1", "log_softplus", "log_cloglog", "log_atan_exp", "log_atan_ratio"), 4.0)
BOUNDS |= {"log_erfcx": 3.0, "log1mexp": 2.0, "log_erfc": 3.0, "erfc": 3.0, "log_cosh": 4.0}

SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 5e-324, -5e-324, 1e-310, 1.7e308, -1.7e308])
SPECIAL = np.concatenate([SPECIAL, np.array([709.7, 709.8, 710.4, 710.5, 711.0, 745.0, 746.0, 800.0, 1e4, 1e19])])
SPECIAL = np.concatenate([SPECIAL, -SPECIAL[12:], np.array([36.7, 37.5, 1e-17, 0.5, 2.0, 26.5, 27.3, 1e155, 1e160])])

pytestmark = pytest.mark.skipif(compiled.available() is None, reason="there is no C compiler here")


def loop(name: str, dtype: str = "double") -> str:
    """A C function that applies another to an array."""
    arrays = f"const {dtype} *restrict x, {dtype} *restrict y"
    return f"void all_{name}(long n, {arrays}) {{ for (long i = 0; i < n; i++) y[i] = {name}(x[i]); }}\n"


def arrays(
    source: str, *names: str, dtype: str = "double", flags: tuple[str, ...] = ()
) -> dict[str, Callable[[Any], Any]]:
    """The C functions of a source as functions of arrays."""
    text = c.header() + source + "".join(loop(name, dtype) for name in names)
    made = compiled.library(text, flags=(*c.FLAGS, *compiled.native(), *flags), name="test")
    kind = np.float64 if dtype == "double" else np.float32

    def wrapped(name: str) -> Callable[[Any], Any]:
        def call(x: Any) -> Any:
            x = np.ascontiguousarray(x, dtype=kind)
            y = np.empty_like(x)
            getattr(made, f"all_{name}")(
                ctypes.c_long(x.size), x.ctypes.data_as(ctypes.c_void_p), y.ctypes.data_as(ctypes.c_void_p)
            )
            return y

        return call

    return {name: wrapped(name) for name in names}


NAMES = tuple(name for name in FUNCTIONS if name not in ("erfcx", "loggamma", "digamma", "trigamma"))
"""The functions of one number that have a C form: those of vectormath.h, and composites."""


@pytest.fixture(scope="module")
def functions() -> dict[str, Callable[[Any], Any]]:
    """All elementary functions."""
    source = "".join(c.written(f"f_{name}", lambda a, x, name=name: getattr(a, name)(x)) for name in NAMES)
    found = arrays(source, *(f"f_{name}" for name in NAMES))
    return {name.removeprefix("f_"): call for name, call in found.items()}


def off(name: str, x: float, found: float) -> float:
    """The error in units of the last place of the true value, or of 1 near a zero that is no special point."""
    truth = references.reference(name, x)
    rounded = float(truth)
    if not np.isfinite(found):
        return 0.0 if found == rounded else np.inf
    size = max(abs(rounded), 1.0) if name in references.ABSOLUTE else abs(rounded)
    return abs(float((references.MP.mpf(found) - truth) / references.MP.mpf(float(np.spacing(size)))))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.sampled(5)
def test_functions_are_right_to_the_last_places(name: str, functions: Any) -> None:
    rng = np.random.default_rng(len(name))
    x = references.arguments(name, rng, 120)
    found = functions[name](x)
    worst = max(((off(name, float(a), float(b)), a) for a, b in zip(x, found, strict=True)), key=lambda pair: pair[0])
    assert worst[0] <= BOUNDS[name], worst


@pytest.mark.parametrize("name", NAMES)
def test_ends_of_the_domain_are_those_of_the_reference(name: str, functions: Any) -> None:
    """Infinities, zeros with their signs, subnormals, and nan where and only where there is no number."""
    found = functions[name](SPECIAL)
    with np.errstate(all="ignore"):
        expected = getattr(float64, name)(SPECIAL)
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        same |= np.isfinite(expected) & (np.abs(found - expected) <= 1e-13 * np.abs(expected) + 1e-323)
    assert same.all(), (SPECIAL[~same], found[~same], expected[~same])
    zero = (expected == 0) & (SPECIAL == 0)
    assert (np.signbit(found[zero]) == np.signbit(expected[zero])).all()


KEYS = ("u", "log_du", "log_weight", "z_of_u")


@pytest.mark.parametrize("name", list(GATES))
@pytest.mark.sampled(5)
def test_the_numbers_of_a_gate_are_those_of_numpy(name: str) -> None:
    """The same operations in the same order: what differs is the last bits, as far as the formula enlarges them."""
    chosen = gate(name)
    keys = KEYS if chosen.formulas.inverse is not None else KEYS[:2]

    def compute(key: str) -> Any:
        return lambda arithmetic, x: getattr(Numbers(chosen, arithmetic), key)(x)

    made = arrays("".join(c.written(key, compute(key)) for key in keys), *keys)
    x = np.concatenate([np.linspace(-12, 12, 201), np.geomspace(1e-9, 1e9, 60), -np.geomspace(1e-9, 1e9, 60)])
    x = np.concatenate([x, [0.0, np.inf, -np.inf, np.nan]])
    for key in keys:
        found = made[key](x)
        with np.errstate(all="ignore"):
            expected = np.broadcast_to(getattr(chosen.float64, key)(x), x.shape)
            # what the formula does to an error of one unit in the last place of its input
            nudged = [
                np.broadcast_to(getattr(chosen.float64, key)(np.nextafter(x, s * np.inf)), x.shape) for s in (-1, 1)
            ]
            give = 8 * np.nan_to_num(np.max(np.abs(np.array(nudged) - expected), axis=0), nan=0.0, posinf=0.0)
            near = np.abs(found - expected) <= 1e-13 * (1 + np.abs(expected)) + give
        assert (np.isnan(found) == np.isnan(expected)).all(), x[np.isnan(found) != np.isnan(expected)]
        assert (near | (found == expected) | np.isnan(expected)).all(), (key, x[~(near | (found == expected))])


@pytest.mark.parametrize("text", ["z**2/(1 + z**4)", "where(z < 0, (-z)**(1/3), z)", "abs(z)**z", "sign(z)*z**11/7"])
def test_powers_and_cases(text: str) -> None:
    expr = parse(text)
    x = np.array([-2.5, -0.3, 0.4, 1.7])
    truth = [float(expr.subs(Z, mpmath.mpf(float(v))).evalf(30)) for v in x]
    assert np.allclose(arrays(c.function("f", expr), "f")["f"](x), truth, rtol=4e-15, atol=0)


WITHIN = ("tanh", "sigmoid", "softsign", "erf", "atan", "asinh", "softplus", "abs", "sign", "sin", "cos")


def generated(rng: Any) -> tuple[str, list[float]]:
    """A formula such as users write, with pieces, plateaus, steps and powers, and places where it may change branch."""
    places = [float(f"{x:.4g}") for x in rng.normal(0, 2, 3)]

    def number(low: float, high: float) -> str:
        return f"{10 ** rng.uniform(low, high):.3g}"

    def about() -> str:
        return f"(z - ({rng.choice(places)!s}))"

    def part(depth: int) -> str:
        kind = rng.choice(["line", "within", "step", "power", "plateau", "piece", "sum", "product", "root"])
        if depth == 0 or kind == "line":
            return f"{number(-1, 1)}*z" if rng.random() < 0.5 else about()
        if kind == "within":
            return f"{rng.choice(WITHIN)}({part(depth - 1)})"
        if kind == "step":
            return f"{number(-3, 0)}*{rng.choice(WITHIN[:6])}({about()}/{number(-9, -1)})"
        if kind == "power":
            x = about()
            return f"sign{x}*abs{x}**{rng.uniform(0.3, 3):.3g}"
        if kind == "plateau":
            a, b = sorted(rng.choice(places, 2, replace=False))
            high = f"(({b!s}) - ({a!s}) + {part(depth - 1)})"
            return f"where(z < {a!s}, {part(depth - 1)}, where(z <= {b!s}, {number(-200, -3)}*(z - ({a!s})), {high}))"
        if kind == "piece":
            test = rng.choice([f"z < {places[0]!s}", f"abs(z) <= {abs(places[1])!s}", f"z**2 > {number(-1, 1)}"])
            return f"where({test}, {part(depth - 1)}, {part(depth - 1)})"
        if kind == "root":
            return f"{rng.choice(['sqrt(1 + {0}**2)', 'log(1 + abs({0}))', 'sqrt(abs({0}))'])}".format(about())
        return f"({part(depth - 1)} {'+' if kind == 'sum' else '*'} {part(depth - 1)})"

    return part(3), places


@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_generated_formulas_and_their_slopes_are_those_of_numpy(count: int) -> None:
    """To rounding: what differs is the last bits of functions, as far as the formula enlarges them."""
    rng = np.random.default_rng(13)
    made = [generated(rng) for _ in range(count)]
    parsed = [parse(text) for text, _ in made]
    forms = [form for expr in parsed for form in (expr, derivative(expr))]
    tapes = [Tape([stable(form)], [Z]) for form in forms]
    source = [c.written(f"f{k}", lambda a, z, tape=tape: tape(a, z)[0]) for k, tape in enumerate(tapes)]
    found = arrays("".join(source), *(f"f{k}" for k in range(len(forms))), flags=("-O0",))
    common = np.concatenate([np.linspace(-8, 8, 65), [0.0, -0.0, 1e-300, 1e6, -1e6, 1e200, np.inf, -np.inf, np.nan]])
    wrong, numbers = [], 0
    for k, tape in enumerate(tapes):
        text, places = made[k // 2]
        x = np.concatenate([common, *(np.array([np.nextafter(p, -9.0), p, np.nextafter(p, 9.0)]) for p in places)])
        there = found[f"f{k}"](x)
        with np.errstate(all="ignore"):
            here = np.broadcast_to(tape(float64, x)[0], x.shape)
            numbers += np.isfinite(here).mean()
            off = np.abs(there - here)
            same = (off <= 1e-13 * (1 + np.abs(here))) | (there == here) | (np.isnan(there) & np.isnan(here))
        wrong += [(text, k % 2, a, b, d) for a, b, d in zip(x[~same], here[~same], there[~same], strict=True)]
    assert wrong == []
    assert numbers > 0.8 * len(tapes)


def test_a_float_function_is_right_to_the_last_bit_but_one() -> None:
    """Computed in double: sinh z is as large as 88 here, and sigma would lose as many digits of float32."""
    formula = gate("fast").formulas.phi_c
    x = np.linspace(-5, 5, 1001, dtype=np.float32)
    found = arrays(c.function("f", stable(formula), "float"), "f", dtype="float")["f"](x)
    truth = gate("fast").phi_c(x.astype(np.float64))
    assert found.dtype == np.float32
    assert np.abs(found - truth).max() <= 0.51 * np.spacing(np.float32(1.0))
    assert (np.abs(found - truth) <= 0.51 * np.spacing(truth.astype(np.float32))).all()


def test_a_loop_over_a_gate_becomes_vector_code() -> None:
    """As fast as it is meant to be: no call is left in the loop, which the compiler would not turn into vectors."""
    import subprocess

    text = c.header() + c.function("f", gate("erf").formulas.log_phi_c) + loop("f")
    command = [*compiled.compiler(), *compiled.ALWAYS, *c.FLAGS, *compiled.native(), "-S", "-x", "c", "-", "-o", "-"]
    assembly = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    assert not [line for line in assembly.splitlines() if "\tcall\t" in line]


def test_refusals_are_one_line() -> None:
    with pytest.raises(NoCompiler, match="loggamma has no C form"):
        c.function("f", parse("loggamma(exp(z))"))
    with pytest.raises(InvalidArgument, match="unknown type 'half'; known: double, float"):
        c.function("f", Z, "half")
    with pytest.raises(InvalidArgument, match="is no name"):
        c.function("f;g", Z)
