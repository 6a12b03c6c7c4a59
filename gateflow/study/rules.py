"""What the registered rules allow to conclude: the sentences of docs/study/protocol.md, made by the numbers alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateflow.study.analysis import Analysis, Answer, first_failure
from gateflow.study.bridge import ASSUMPTIONS, RUNGS


def of_pairs(
    pairs: Sequence[tuple[str, str, str]],
    also: Sequence[str],
    slope: str = "",
    plain: Sequence[tuple[str, str, str]] = (),
) -> Callable[[Analysis], list[str]]:
    """Rules for gates compared at equal conditions.

    Parameters
    ----------
    pairs : sequence of (question, first gate, second gate)
        The first has the higher order of saturation.
    also : sequence of str
        Further questions that must show equivalence before the gates are called equivalent.
    slope : str
        The question of the slope, where there is one.
    plain : sequence of (question, first gate, second gate)
        Pairs of which neither has the higher order: told, with no word on order.
    """

    def conclude(found: Analysis) -> list[str]:
        told = [_pair(found.answer(name), *gates) for name, *gates in (*pairs, *plain)]
        sooner = {found.answer(name).sooner for name, *_ in pairs} - {""}
        order = (
            {"first": "supported", "second": "contradicted"}.get("".join(sooner), "mixed") if sooner else "undecided"
        )
        alike = all(found.answer(name).equivalent for name in (*(name for name, *_ in pairs), *also))
        steep = bool(slope) and found.answer(slope).differs
        if slope:
            told.append(_slope(found.answer(slope)))
        return [*told, *(_verdict(order, alike, steep) if pairs else ())]

    return conclude


def _pair(answer: Answer, first: str, second: str) -> str:
    numbers = _numbers(answer)
    if answer.sooner:
        word = "sooner" if answer.sooner == "first" else "later"
        return f"{first} arrives {word} than {second}: {numbers}."
    if answer.equivalent:
        return f"{first} and {second} are equivalent within a factor of 1.5: {numbers}."
    return f"Between {first} and {second} nothing is decided: {numbers}."


def _slope(answer: Answer) -> str:
    if not answer.differs:
        return f"That the slope at the start matters is not decided: {_numbers(answer)}."
    return f"The steeper start arrives {'sooner' if answer.ratio < 1 else 'later'}: {_numbers(answer)}."


def _numbers(answer: Answer) -> str:
    corrected = f", p = {answer.corrected:.2g} after correction" if answer.question.tested else ""
    return f"{answer.ratio:.2f} times the steps, {answer.low:.2f} to {answer.high:.2f}{corrected}"


def _verdict(order: str, alike: bool, steep: bool) -> list[str]:
    told = []
    if order in ("supported", "contradicted"):
        how = "in the order of saturation" if order == "supported" else "against the order of saturation"
        told.append(f"Order matters under equal conditions, {how}{', by less than a factor of 1.5' if alike else ''}.")
    elif order == "mixed":
        told.append("Order matters under equal conditions, and the pairs point both ways.")
    elif alike and steep:
        told.append(
            "Slope explains it: at equal slope the gates are equivalent within a factor of 1.5, and slope matters."
        )
    elif alike:
        told.append("The gates are equivalent within a factor of 1.5.")
    else:
        told.append("Whether order matters under equal conditions is not decided.")
    return told


def of_rates(found: Analysis) -> list[str]:
    """Rules for gates that have each a step size of its own: T8 predicts the reverse of the order of saturation."""
    pairs = [
        ("fast against sigmoid", "fast", "sigmoid"),
        ("fast against softsign", "fast", "softsign"),
        ("sigmoid against softsign", "sigmoid", "softsign"),
    ]
    told = [_pair(found.answer(name), *gates) for name, *gates in pairs]
    ends = [arm for arm in found.arrivals if arm.endswith((", x0.111", ", x27"))]
    told += [f"{arm}: the best of the grid lies at its end." for arm in ends]
    sooner = {found.answer(name).sooner for name, *_ in pairs} - {""}
    alike = all(found.answer(name).equivalent for name, *_ in pairs)
    if sooner == {"second"}:
        verdict = "At step sizes of their own the order is reversed, as T8 says"
    elif sooner == {"first"}:
        verdict = "At step sizes of their own the order stands, against T8"
    elif sooner:
        verdict = "At step sizes of their own the pairs point both ways"
    elif alike:
        return [*told, "At step sizes of their own the gates are equivalent within a factor of 1.5."]
    else:
        return [*told, "At step sizes of their own nothing is decided."]
    return [*told, f"{verdict}{', by less than a factor of 1.5' if alike else ''}."]


def of_start(found: Analysis) -> list[str]:
    """Rules for the paper's start, where the gates differ in slope as they do in the paper."""
    pairs = [
        ("fast against sigmoid", "fast", "sigmoid"),
        ("fast against steep sigmoid", "fast", "the sigmoid of the same slope"),
        ("sigmoid against softsign", "sigmoid", "softsign"),
    ]
    told = [_pair(found.answer(name), *gates) for name, *gates in pairs]
    fast, steep, slow = (found.answer(name) for name, *_ in pairs)
    for claim, answer in (("fast is quicker than the sigmoid", fast), ("softsign is slower than the sigmoid", slow)):
        word = {"first": "is seen", "second": "is contradicted", "": "is not decided"}[answer.sooner]
        told.append(f"That {claim}, as the paper says, {word} here.")
    if steep.sooner:
        told.append("More than the slope matters: fast and a sigmoid of its slope differ.")
    elif fast.sooner and steep.equivalent:
        told.append("Slope explains the difference: a sigmoid of the fast gate's slope is equivalent to it.")
    else:
        told.append("Whether slope explains the difference is not decided.")
    if found.cut:
        told.append(f"The experiment was cut short, at {found.seeds} seeds.")
    return told


def of_bridge(found: Analysis) -> list[str]:
    """Rules for the bridge: where the interval of the slope leaves [.8, 1.25], theory stops."""
    told = [
        f"Rung {rung.number} ({RUNGS[rung.number]}): slope {rung.slope.slope:.2f}, {rung.slope.low:.2f} to "
        f"{rung.slope.high:.2f}, {rung.arrived:.0%} arrived: {'predicted' if rung.holds else 'not predicted'}."
        for rung in found.rungs
    ]
    fails = first_failure(found)
    if fails is None:
        return [*told, "Theory predicts every rung."]
    if fails.number == 1:
        return [*told, "Theory does not predict the exact unit: the code is wrong, and nothing is concluded."]
    return [*told, f"Theory stops at rung {fails.number}, which gives up {ASSUMPTIONS[fails.number]}."]
