"""What the registered rules allow to conclude: the sentences of docs/study/protocol.md, made by the numbers alone."""

from __future__ import annotations

from collections.abc import Callable

from gateflow.study.analysis import Analysis, Answer, first_failure
from gateflow.study.bridge import ASSUMPTIONS, RUNGS
from gateflow.study.experiment import ROLES


def of_pairs(found: Analysis) -> list[str]:
    """Rules for gates compared at equal conditions, by the role of each question (`Question.role`).

    Pairs of which neither gate has the higher order are reported with no word on order. Further questions must show
    equivalence before the gates are called equivalent.
    """
    by_role = {role: [each for each in found.answers if each.question.role == role] for role in ROLES}
    pairs = by_role["order"]
    sentences = [_pair(each, *_gates(each)) for each in (*pairs, *by_role["plain"])]
    order = _direction({each.sooner for each in pairs} - {""}, "supported", "contradicted")
    alike = all(each.equivalent for each in (*pairs, *by_role["equivalence"]))
    steep = any(each.differs for each in by_role["slope"])
    sentences += [_slope(each) for each in by_role["slope"]]
    return [*sentences, *(_verdict(order, alike, steep) if pairs else ())]


def _gates(answer: Answer) -> tuple[str, str]:
    first, _, second = answer.question.name.partition(" against ")
    return first, second


def _direction(sooner: set[str], first: str, second: str) -> str:
    """Which word the pairs that differ speak for together."""
    return {"first": first, "second": second}.get("".join(sooner), "mixed") if sooner else "undecided"


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
    sentences = []
    if order in ("supported", "contradicted"):
        how = "in the order of saturation" if order == "supported" else "against the order of saturation"
        sentences.append(f"Order matters under equal conditions, {how}{LESS * alike}.")
    elif order == "mixed":
        sentences.append("Order matters under equal conditions, and the pairs point both ways.")
    elif alike and steep:
        sentences.append(
            "Slope explains it: at equal slope the gates are equivalent within a factor of 1.5, and slope matters."
        )
    elif alike:
        sentences.append("The gates are equivalent within a factor of 1.5.")
    else:
        sentences.append("Whether order matters under equal conditions is not decided.")
    return sentences


def of_rates(found: Analysis) -> list[str]:
    """Rules for gates that have each a step size of its own: T8 predicts the reverse of the order of saturation."""
    sentences = [_pair(each, *_gates(each)) for each in found.answers]
    ends = [arm for arm in found.arrivals if arm.endswith((", x0.111", ", x27"))]
    sentences += [f"{arm}: the best of the grid lies at its end." for arm in ends]
    alike = all(each.equivalent for each in found.answers)
    order = _direction({each.sooner for each in found.answers} - {""}, "the order stands, against T8", REVERSED)
    if order == "undecided":
        verdict = "the gates are equivalent within a factor of 1.5" if alike else "nothing is decided"
    else:
        verdict = ("the pairs point both ways" if order == "mixed" else order) + LESS * alike
    return [*sentences, f"At step sizes of their own {verdict}."]


REVERSED = "the order is reversed, as T8 says"
LESS = ", by less than a factor of 1.5"


def of_start(found: Analysis) -> list[str]:
    """Rules for the paper's start, where the gates differ in slope as they do in the paper."""
    fast, steep, slow = found.answers
    sentences = [
        _pair(fast, *_gates(fast)),
        _pair(steep, "fast", "the sigmoid of the same slope"),
        _pair(slow, *_gates(slow)),
    ]
    for claim, answer in (("fast is quicker than the sigmoid", fast), ("softsign is slower than the sigmoid", slow)):
        word = {"first": "is seen", "second": "is contradicted", "": "is not decided"}[answer.sooner]
        sentences.append(f"That {claim}, as the paper says, {word} here.")
    if steep.sooner:
        sentences.append("More than the slope matters: fast and a sigmoid of its slope differ.")
    elif fast.sooner and steep.equivalent:
        sentences.append("Slope explains the difference: a sigmoid of the fast gate's slope is equivalent to it.")
    else:
        sentences.append("Whether slope explains the difference is not decided.")
    if found.cut:
        sentences.append(f"The experiment was cut short, at {found.seeds} seeds.")
    return sentences


def of_bridge(found: Analysis) -> list[str]:
    """Rules for the bridge: where the interval of the slope leaves [.8, 1.25], theory stops."""
    sentences = [
        f"Rung {rung.number} ({RUNGS[rung.number]}): slope {rung.slope.slope:.2f}, {rung.slope.low:.2f} to "
        f"{rung.slope.high:.2f}, {rung.arrived:.0%} arrived: {'predicted' if rung.holds else 'not predicted'}."
        for rung in found.rungs
    ]
    fails = first_failure(found)
    if fails is None:
        return [*sentences, "Theory predicts every rung."]
    if fails.number == 1:
        return [*sentences, "Theory does not predict the exact unit: the code is wrong, and nothing is concluded."]
    return [*sentences, f"Theory stops at rung {fails.number}, which gives up {ASSUMPTIONS[fails.number]}."]


def of_tuning(found: Analysis) -> list[str]:
    """No rule: its runs choose the arms of another experiment."""
    return ["It chooses the arms of the experiment after it, and nothing is concluded from it."]


RULES: dict[str, Callable[[Analysis], list[str]]] = {
    "pairs": of_pairs,
    "rates": of_rates,
    "start": of_start,
    "bridge": of_bridge,
    "tuning": of_tuning,
}
"""Rules by the word that an experiment has for them."""
