"""A text is never handed to SymPy's parser, which evaluates it: not by any entry point, however deep inside."""

import numpy as np
import pytest
import sympy as sp
from sympy.parsing import sympy_parser

from gateflow.arithmetic import bigfloat, doubledouble, float64
from gateflow.arithmetic.intervals import Intervals
from gateflow.asymptotics.limits import growth
from gateflow.asymptotics.order import order_of_germs
from gateflow.asymptotics.proofs import mrv
from gateflow.asymptotics.signs import pieces, smoothness, tails
from gateflow.codegen import Tape, c, log_of, stable
from gateflow.codegen.source import source
from gateflow.codegen.triton import device_function
from gateflow.errors import GateflowError, InvalidArgument
from gateflow.formula import unparse
from gateflow.formula.vocabulary import Z, expression

TEXT = "__import__('os').getpid()"


@pytest.fixture
def parsed(monkeypatch):
    """The texts that SymPy was asked to evaluate."""
    seen = []
    monkeypatch.setattr(sympy_parser, "parse_expr", lambda text, *_, **__: seen.append(text) or sp.Integer(0))
    return seen


ENTRIES = {
    "Tape": lambda t: Tape([t]),
    "c.function": lambda t: c.function("f", t),
    "source": lambda t: source(t),
    "Field.limit": lambda t: growth.Field(Z).limit(t),
    "Field.sign": lambda t: growth.Field(Z).sign(t),
    "Field.compare": lambda t: growth.Field(Z).compare(t, Z),
    "float64.constant": float64.constant,
    "doubledouble.constant": doubledouble.constant,
    "bigfloat.constant": bigfloat.BigFloat(30).constant,
    "ball.constant": Intervals().constant,
    "HalfLine": lambda t: tails.HalfLine(t, Intervals(), tails.LimitCache(tails.Clock(1))),
    "mrv.Limits": lambda t: mrv.Gruntz(1.0).limit(t),
    "real_zeros": pieces.real_zeros,
    "smoothness.equal": lambda t: smoothness.equal(t, t + " "),
    "stable": stable,
    "log_of": log_of,
    "unparse": unparse,
    "order_of_germs": lambda t: order_of_germs(t, Z),
    "device_function": lambda t: device_function(t, "f"),
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", [str, np.str_])
def test_a_text_is_refused(entry, kind, parsed):
    with pytest.raises((GateflowError, AttributeError, TypeError)):
        ENTRIES[entry](kind(TEXT))
    assert not parsed


@pytest.mark.parametrize("entry", ["Tape", "c.function", "Field.limit", "float64.constant"])
def test_the_refusal_says_what_reads_texts(entry):
    with pytest.raises(InvalidArgument, match=r"is no expression; a text is read by gateflow\.formula\.parse"):
        ENTRIES[entry](TEXT)


@pytest.mark.parametrize(("given", "meant"), [(3, sp.Integer(3)), (np.float64(0.5), sp.Float(0.5)), (Z, Z)])
def test_numbers_and_expressions_are_taken(given, meant):
    assert expression(given) == meant
