"""Random and hostile texts at the parser: nothing runs, nothing is slow, each refusal is one line.

A hundred thousand of them behind the marker ``slow``; the first in a dozen of them always.

Python's own audit events say what ran. ``ast.parse`` raises ``compile``, as running code would, so every compilation is
also caught in the act and seen to stop at the syntax tree; ``exec``, ``import``, ``open`` and all else must not occur.
"""

import ast
import contextlib
import importlib
import os
import random
import sys
import time

import pytest
import sympy as sp
from sympy.core.cache import clear_cache

from gateflow.errors import FormulaError
from gateflow.formula import parse
from gateflow.formula.vocabulary import FUNCTIONS

PARAMETERS = {"alpha": "positive", "b": "real", "k": 0.3}
# The parser counts SymPy's calls; SymPy sieves primes into arrays, and generates the products of monomials as code,
# from nothing but the number of their variables.
ALLOWED = {"sys.setprofile", "array.__new__"}
SYMPY_OWN = os.path.join("sympy", "polys", "monomials.py")

VALID = [
    "sigmoid(sinh(z))",
    "log(1 + abs(z))*sign(z)",
    "1/2 + atan(z)/pi",
    "(1 + erf(z/sqrt(2)))/2",
    "where(z < 0, 0, where(z <= 1, z, 1))",
    "exp(-exp(-alpha*z)) - k*tanh(b*z)**2",
    "3*sigmoid(z)**2 - 2*sigmoid(z)**3",
    "0.5 + z/(2*(1 + z**2)**0.5)",
    "asinh(sinh(z)*1e-3) + softplus(z) - loggamma(1 + z**2)",
]

ATTACKS = [
    "__import__('os').system('touch /tmp/x')",
    "__import__(os).system(touch)",
    "eval('1+1')",
    "exec(z)",
    "open('x','w').write('y')",
    "().__class__.__bases__[0].__subclasses__()",
    "z.__class__.__mro__",
    "exp.__globals__",
    "(lambda: z)()",
    "[z for z in (1,2)]",
    "{z: 1}",
    "{**z}",
    "f'{z}'",
    "f\"{__import__('os')}\"",
    "(z := 5)",
    "exp(*z)",
    "exp(**z)",
    "exp(x=z)",
    "z if z else z",
    "z and z or not z",
    "await z",
    "yield z",
    "import os",
    "z; import os",
    "z\nimport os",
    "z #",
    "z = 1",
    "z += 1",
    "del z",
    "lambda: z",
    "print(z)",
    "globals()",
    "getattr(z, '_eval_evalf')",
    "__builtins__",
    "__debug__",
    "type(z)",
    "z @ z",
    "z[0]",
    "...",
    "True",
    "None",
    "b'z'",
    "1_000",
    "0x10",
    "0o17",
    "0b1",
    "1j",
    "z is z",
    "z in z",
    "~z",
    "z << 3",
    "z // 2",
    "z % 2",
]

HUGE = [
    "9**9**9",
    "2**10**9",
    "2**-10**9",
    "(1/3)**100000",
    "1.0000001**1e6",
    "z**10**9",
    "((z**99)**99)**99",
    "(3*z)**10000",
    "(z + b)**10000",
    "loggamma(1e6)",
    "loggamma(400)",
    "loggamma(-1e9 - 1/2)",
    "sqrt(" + "7" * 40 + ")",
    "sqrt(" + "7" * 900 + ")",
    "sqrt(1e-300 + z**2)",
    "(1e300 + z)**(1/3)",
    "9" * 1000,
    "9" * 1900,
    "1e-999",
    "1e-1000",
    "1e999999999",
    "1e-99999999999999999999",
    "sin(1e900)",
    "tan(1e900*pi)",
    "sin(pi*1e-900)",
    "cos(pi/24)",
    "cos(pi/2**20)",
    "cos(1e900*z + pi/1023)",
    "exp(exp(exp(exp(9))))",
    "exp(exp(exp(exp(z))))",
    "sinh(sinh(sinh(sinh(10))))",
    "exp(1e9*log(3*z))",
    "exp(1e9*log(3))",
    "exp(z + 1e9*log(3))",
    "2**(z + 1e9)*2**(-z)",
    "(2**(1e9*z))**(1/z)",
    "z**(1e9*log(3)/log(z))",
    "10**(1e9*log(3*z)/log(10))",
    "abs((z - b)**9999 + log(z))",
    "erf(z + cosh((b + z)**9999 + z**z))",
    "abs(sin((z + b + log(z))**999))",
    "erfc(1e300)",
    "erfc(1e50)",
    "gamma(1e9)",
    "+".join(["z"] * 150),
    "*".join(["z"] * 150),
    "+".join(f"sqrt({p})" for p in range(1009, 1100)),
    "*".join(f"sqrt({p})" for p in range(10001, 10090)),
    "*".join(f"(z+{p})**0.{p}" for p in range(1000, 1040)),
    "+".join(f"1/{10**30 + p}" for p in range(60)),
    "+".join(f"z/{10**20 + p}" for p in range(60)),
    "*".join(f"2**(1/{p})" for p in range(1001, 1060)),
    "+".join(f"loggamma({p})" for p in range(340, 400)),
    "+".join(f"cos({p}*pi/24)" for p in range(60)),
    "+".join(f"tan(1e{900 + p}*pi)" for p in range(50)),
    "*".join(f"(2+sin(pi*1e{900 + p}/7))" for p in range(30)),
    "+".join(f"({10**38 + p}/{10**38 - p - 1})**0.123456789012345678" for p in range(20)),
    "+".join(f"sin(1e{900 + p})*erf(1/{p}7)*loggamma({p}/7)" for p in range(10, 30)),
    "+".join(f"where(sin(1e{900 + p}) < {p}/1e3, z, abs(cos(1e9{p}) - z))" for p in range(10, 30)),
    "tanh(acosh(" * 14 + "z" + "))" * 14,
    "sin(atan(" * 15 + "z" + "))" * 15,
    "abs(log(" * 15 + "z" + "))" * 15,
    "sqrt(1+" * 15 + "z" + ")" * 15,
    "abs(1-" * 15 + "log(z)" + ")" * 15,
    "cosh(z**z+" * 10 + "z" + ")" * 10,
    "z**(" * 30 + "z" + ")" * 30,
    "**".join(["z"] * 200),
    "**".join(["2"] * 200),
    "where(z>0," * 30 + "z" + ",1)" * 30,
    "where(z>0,1," * 30 + "z" + ")" * 30,
    "where(exp(-1e4) < exp(-1e4) + 1e-900, z, 1)",
    "where((z + b)**999 == (z - b)**999, 1, 2)",
    "(" * 999 + "z" + ")" * 999,
    "(" * 2000,
    ")" * 2000,
    "-" * 1999 + "z",
    "z" * 2000,
    "z+" * 1000,
    "z" * 10**6,
    "exp(" * 500,
    "λ" * 2000,
    "\x00",
    "z\x00",
    "\ud800",
    "z + \udfff",
    "\u202ez",
    "z\u0301",
    "𝐢𝐟",
    "ﬁ(z)",
    "١٢",
    "１２",
    "z²",
    "½",
]

ALPHABET = "zzzbk0123456789.eE+-*/()<>=!,^ %[]{}'\"\\#:;@&|~$?_"
TOKENS = [
    *FUNCTIONS,
    "where",
    "z",
    "z",
    "b",
    "alpha",
    "k",
    "pi",
    "e",
    "1",
    "2",
    "0.1",
    "1e9",
    "1e-300",
    "lambda",
    "q",
    "os",
]
TOKENS += ["(", "(", ")", ")", "+", "-", "*", "/", "**", "<", "==", ",", ".", "=", "^", " "]
EDGES = [
    0x0,
    0x7F,
    0x300,
    0x370,
    0x3FF,
    0x400,
    0x660,
    0x2028,
    0x2070,
    0x2200,
    0xD800,
    0xDFFF,
    0xFB00,
    0xFF10,
    0x1D400,
    0x10FFFF,
]


def mutated(rng: random.Random, text: str) -> str:
    chars = list(text)
    for _ in range(rng.randint(1, 4)):
        here = rng.randrange(len(chars) + 1)
        match rng.randrange(4):
            case 0:
                chars.insert(here, rng.choice(ALPHABET))
            case 1:
                del chars[here : here + rng.randint(1, 3)]
            case 2:
                chars[here : here + 1] = rng.choice(ALPHABET)
            case 3:
                there = rng.randrange(len(chars) + 1)
                chars[here:here] = chars[there : there + rng.randint(1, 12)]
    return "".join(chars)


def soup(rng: random.Random) -> str:
    return "".join(rng.choice(TOKENS) for _ in range(rng.randint(1, 30)))


def noise(rng: random.Random) -> str:
    points = [
        min(0x10FFFF, rng.choice(EDGES) + rng.randrange(64)) if rng.random() < 0.5 else ord(rng.choice(ALPHABET))
        for _ in range(rng.randint(0, 40))
    ]
    return rng.choice(["", "z + ", "exp("]) + "".join(map(chr, points))


def grown(rng: random.Random, size: int) -> str:
    """A formula that the grammar accepts, of numbers and shapes that SymPy may not like."""
    if size <= 1:
        numbers = ["0", "1", "2", "0.5", "1/3", "1e-300", "1e300", "9999", "(-2)", "0.1234567890123456789", "pi", "e"]
        return rng.choice(["z", "b", "alpha", "k"] if rng.random() < 0.6 else numbers)
    if rng.random() < 0.3:
        return f"{rng.choice(list(FUNCTIONS))}({grown(rng, size - 1)})"
    if rng.random() < 0.05 and size > 4:
        a, b, c, d = (grown(rng, size // 4) for _ in range(4))
        return f"where({a} {rng.choice(['<', '>=', '==', '!='])} {b}, {c}, {d})"
    left = rng.randint(1, size - 1)
    return f"({grown(rng, left)}){rng.choice(['+', '-', '*', '/', '**'])}({grown(rng, size - left)})"


def attack(rng: random.Random) -> str:
    text = rng.choice(ATTACKS)
    match rng.randrange(4):
        case 0:
            return text
        case 1:
            return f"{rng.choice(list(FUNCTIONS))}({text})"
        case 2:
            return rng.choice(VALID) + rng.choice("+*, \n;)") + text
        case _:
            return mutated(rng, text)


SOURCES = {
    "mutated": (lambda rng: mutated(rng, rng.choice(VALID)), 30_000),
    "soup": (soup, 40_000),
    "noise": (noise, 15_000),
    "attacks": (attack, 15_000),
    "grown": (lambda rng: grown(rng, rng.choice([3, 5, 8, 12, 20])), 500),
    "huge": (None, len(HUGE)),
}


ASK_WHO_CALLS = ("gateflow/formula/accuracy.py", "gateflow/formula/powers.py")
"""What keeps SymPy from losing digits, or making too many, within the calls of gateflow alone."""


class Watch:
    """Records every audit event of this process while it is on; a hook cannot be taken out again."""

    def __init__(self) -> None:
        self.on, self.events, self.compiled = False, [], 0
        sys.addaudithook(self.hook)

    def hook(self, event: str, args: tuple) -> None:
        if not self.on or event in ALLOWED or (event == "object.__getattr__" and args[1] == "f_code"):
            return
        self.on = False  # looking at the frame is an event too
        of_abc = event == "sys._getframe" and args[0].f_code.co_filename == "<frozen abc>"  # typing's protocols ask it
        caller = sys._getframe(1).f_code.co_filename
        of_ours = event == "sys._getframe" and caller.endswith(ASK_WHO_CALLS)
        if not of_abc and not of_ours and not caller.endswith(SYMPY_OWN):
            self.events.append(event if event == "compile" else f"{event} {args[:1]!r}")
        self.on = True

    def compile(self, source, filename, mode, flags=0, *args, **kwargs):
        assert flags & ast.PyCF_ONLY_AST, "a formula was compiled to code"
        self.compiled += 1
        return compile(source, filename, mode, flags, *args, **kwargs)

    @contextlib.contextmanager
    def watching(self):
        self.events, self.compiled, self.on = [], 0, True
        try:
            yield self
        finally:
            self.on = False


@pytest.fixture(scope="module")
def watch():
    for name in ("sympy.combinatorics", "sympy.sets.setexpr"):  # SymPy imports these when it first needs them
        importlib.import_module(name)
    parse("1/(1 + abs(z))")
    return Watch()


def test_the_watch_sees_code_run(watch):
    with watch.watching():
        eval("1 + 1")
    assert any(event.startswith("exec") for event in watch.events)


def check_refusal(error: FormulaError, text: str) -> None:
    message = str(error)
    assert message
    assert message.isprintable(), message
    assert message.encode()
    assert len(message) < 300
    assert 0 <= error.start < error.end
    assert error.start < max(1, len(text))


# SymPy would be at it for hours: it stops where the calls it may make are spent, and so costs what a text may cost.
SPENDS_EVERY_CALL = "0/(pi*cosh((-2 - z)**0.1234567890123456789 + alpha*b))"


def cost(text: str) -> tuple[float, FormulaError | None]:
    """CPU seconds of this thread, where SymPy remembers nothing, and the refusal if it is one."""
    clear_cache()
    start, refusal = time.thread_time(), None
    try:
        parse(text, ("z",), PARAMETERS)
    except FormulaError as error:
        refusal = error
    return time.thread_time() - start, refusal


@pytest.fixture(scope="module")
def dearest():
    return cost(SPENDS_EVERY_CALL)


def test_a_text_over_which_sympy_would_take_hours_is_refused(dearest):
    assert "SymPy takes too long over it" in str(dearest[1])


@pytest.mark.parametrize("share", [12, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("source", SOURCES)
def test_hostile_texts_are_parsed_or_refused_in_a_line_and_run_nothing(source, share, watch, dearest, monkeypatch):
    make, count = SOURCES[source]
    rng = random.Random(f"gateflow {source}")
    texts = HUGE if make is None else [make(rng) for _ in range(count // share)]
    monkeypatch.setattr(ast, "compile", watch.compile, raising=False)
    accepted, times = 0, {}
    with watch.watching():
        for text in texts:
            start = time.thread_time()
            try:
                expr = parse(text, ("z",), PARAMETERS)
            except FormulaError as error:
                check_refusal(error, text)
            else:
                accepted += 1
                assert not expr.has(sp.I, sp.oo, sp.zoo, sp.nan), text
            times[text] = time.thread_time() - start
    assert [event for event in watch.events if event != "compile"] == []
    assert len(watch.events) == watch.compiled
    most = 3 * dearest[0]
    slow = [text for text, took in times.items() if took > most and cost(text)[0] > most]  # a busy machine is slow once
    assert slow == [], "slow texts that the count of calls does not see"
    assert 0 < accepted < len(texts), "a source that is all refused, or all accepted, tries only half of the parser"


def test_there_are_a_hundred_thousand_texts():
    assert sum(count for _, count in SOURCES.values()) >= 100_000
