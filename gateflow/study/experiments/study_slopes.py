"""Does the order of saturation matter at equal value and slope? Copying over T = 100 from f = .95; registered."""

from collections.abc import Mapping, Sequence

from gateflow.study.plan import Plan, Question
from gateflow.study.rules import of_pairs

SLOPES = ("1", "3.11")
"""du/dz at f = .95: that of the sigmoid, and that of the fast gate."""

BASE = {
    "task": "copying(horizon=100, symbols=3, held_out=200)",
    "hidden": 32,
    "batch": 32,
    "clip": 1.0,
    "optimizer": "rmsprop",
    "lr": 3e-3,
    "steps": 6000,
    "evaluate_every": 50,
    "log_every": 6000,
    "stop_when_solved": True,
    "backend": "native",
    "device": "cpu",
}
SOURCE = "docs/study/protocol.md"


Pairs = Sequence[tuple[str, str]]


def design(gates: Mapping[str, str], pairs: Pairs, also: Pairs, first: int, plain: Pairs = ()) -> Plan:
    """The design of part A for any gates.

    Parameters
    ----------
    gates : mapping of str to str
        Names, without ", ", to gates.
    pairs : list of (str, str)
        Names that are tested at slope 1; the first has the higher order of saturation.
    also : list of (str, str)
        Names that are looked at for equivalence only.
    first : int
        The first seed.
    plain : list of (str, str)
        Names that are tested and of which neither has the higher order.
    """
    arms = {
        f"{name}, slope {slope}": {"forget_gate": gate, "init": f"matched(f=0.95, slope={slope})"}
        for slope in SLOPES
        for name, gate in gates.items()
    }
    tested = (*pairs, *plain)
    questions = [_at_slope_1(*pair, pair in tested) for pair in (*tested, *also)]
    flat, steep = (tuple(f"{name}, slope {slope}" for name in gates) for slope in SLOPES)
    slopes = Question("slope 3.11 against 1", steep, flat)
    named, unordered = ([(_called(*pair), *pair) for pair in some] for some in (pairs, plain))
    return Plan(
        base=BASE,
        arms=arms,
        seeds=40,
        first=first,
        consecutive=2,
        questions=(*questions, slopes),
        conclude=of_pairs(named, [_called(*pair) for pair in also], slopes.name, unordered),
        reduced={"steps": 40, "task": "copying(horizon=10, symbols=1, held_out=20)", "evaluate_every": 10, "hidden": 8},
        source=SOURCE,
    )


def _called(one: str, other: str) -> str:
    return f"{one} against {other}"


def _at_slope_1(one: str, other: str, tested: bool) -> Question:
    return Question(_called(one, other), (f"{one}, slope 1",), (f"{other}, slope 1",), tested)


GATES = {"softsign": "softsign", "sigmoid": "sigmoid", "fast": "fast"}

EXPERIMENT = design(GATES, [("fast", "sigmoid"), ("fast", "softsign")], [("sigmoid", "softsign")], first=611_000)
