"""Does the order of saturation matter at equal value and slope? Copying over T = 100 from f = .95; registered."""

from collections.abc import Mapping

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


def design(gates: Mapping[str, str], pairs: list[tuple[str, str]], also: list[tuple[str, str]], first: int) -> Plan:
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
    """
    arms = {
        f"{name}, slope {slope}": {"forget_gate": gate, "init": f"matched(f=0.95, slope={slope})"}
        for slope in SLOPES
        for name, gate in gates.items()
    }
    questions = [
        Question(f"{one} against {other}", (f"{one}, slope 1",), (f"{other}, slope 1",), (one, other) in pairs)
        for one, other in (*pairs, *also)
    ]
    flat, steep = (tuple(f"{name}, slope {slope}" for name in gates) for slope in SLOPES)
    slopes = Question("slope 3.11 against 1", steep, flat)
    names = [(f"{one} against {other}", one, other) for one, other in pairs]
    return Plan(
        base=BASE,
        arms=arms,
        seeds=40,
        first=first,
        consecutive=2,
        questions=(*questions, slopes),
        conclude=of_pairs(names, [f"{one} against {other}" for one, other in also], slopes.name),
        reduced={"steps": 40, "task": "copying(horizon=10, symbols=1, held_out=20)", "evaluate_every": 10, "hidden": 8},
        source=SOURCE,
    )


GATES = {"softsign": "softsign", "sigmoid": "sigmoid", "fast": "fast"}

EXPERIMENT = design(GATES, [("fast", "sigmoid"), ("fast", "softsign")], [("sigmoid", "softsign")], first=611_000)
