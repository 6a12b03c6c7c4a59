"""What a page may ask: gates, and numbers within bounds; whatever else it sends is refused in one line."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from gateflow.errors import InvalidArgument, shown
from gateflow.guards.arguments import one

MOST_GATES = 6
"""Gates on the page at a time."""

LONGEST = 20_000
"""Characters of a formula that are looked at; the parser refuses far shorter ones with a reason of its own."""

OPTIMIZERS = ("sgd", "momentum", "adam", "rmsprop")


class Control(NamedTuple):
    """A number on the page, with a slider and a field.

    Attributes
    ----------
    name, label, about : str
        As the page, Python and the command line call it; what stands beside the slider; what it does, in one line.
    low, high : float
        What may be asked.
    first : float
        What is asked first.
    slid : tuple of float
        The ends of the slider, within ``low`` and ``high``.
    scale : {"log", "linear", "logit"}
        How the slider goes.
    """

    name: str
    label: str
    about: str
    low: float
    high: float
    first: float
    slid: tuple[float, float]
    scale: str


CONTROLS = (
    Control("horizon", "Horizon T", "steps over which the cell decays", 1, 1e12, 10, (1, 1e6), "log"),
    Control("gap", "Gap 1 − λ*", "what may be lost over the horizon", 1e-300, 0.999, 1e-6, (1e-15, 0.9), "log"),
    Control("start", "Start φ(z₀)", "the gate's value there", 1e-9, 1 - 1e-12, 0.5, (0.001, 0.9999), "logit"),
    Control("lr", "Step size η", "of the optimiser", 1e-9, 1e6, 0.1, (1e-5, 10), "log"),
    Control("noise", "Gradient noise", "deviation of a sample's gradient over its mean", 0, 1e3, 0, (0, 20), "linear"),
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """One request of a page.

    Attributes
    ----------
    gates : tuple of str
        As they were typed, one to six.
    horizon, gap, start, lr, noise : float
        See `CONTROLS`.
    optimizer : str
    """

    gates: tuple[str, ...] = ("softsign", "sigmoid", "fast")
    horizon: float = 10.0
    gap: float = 1e-6
    start: float = 0.5
    lr: float = 0.1
    noise: float = 0.0
    optimizer: str = "sgd"

    @classmethod
    def of(cls, data: Any) -> Asked:
        """What plain data ask for; what they leave out is as it is first.

        Raises
        ------
        InvalidArgument
            They ask for something else, for too much, or for a number out of range.

        Examples
        --------
        >>> Asked.of({"gates": ["fast"], "horizon": 100}).horizon
        100.0
        >>> Asked.of({"horizon": 0})
        Traceback (most recent call last):
        gateflow.errors.InvalidArgument: horizon must be from 1 to 1e+12; got 0
        """
        if not isinstance(data, dict):
            raise InvalidArgument("a request is a JSON object")
        known = [field.name for field in fields(cls)]
        if extra := [name for name in data if name not in known]:
            raise InvalidArgument(f"a request has no {shown(extra[0])}")
        optimizer = data.get("optimizer", cls.optimizer)
        if optimizer not in OPTIMIZERS:
            raise InvalidArgument(f"optimizer must be one of {', '.join(OPTIMIZERS)}; got {shown(optimizer)}")
        numbers = {control.name: _number(control, data.get(control.name, control.first)) for control in CONTROLS}
        return cls(gates=_gates(data.get("gates", cls.gates)), optimizer=optimizer, **numbers)


def _gates(given: Any) -> tuple[str, ...]:
    if not isinstance(given, (list, tuple)) or not all(isinstance(text, str) for text in given):
        raise InvalidArgument("gates must be a list of texts")
    if not 1 <= len(given) <= MOST_GATES:
        raise InvalidArgument(f"the page shows one to {MOST_GATES} gates; got {len(given)}")
    if any(len(text) > LONGEST for text in given):
        raise InvalidArgument(f"a formula has at most {LONGEST} characters here")
    return tuple(text.strip() for text in given)


def _number(control: Control, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidArgument(f"{control.name} must be a number; got {shown(value)}")
    said = f"from {control.low:g} to {control.high:g}"
    found = one(control.name, value, lambda v: (v >= control.low) & (v <= control.high), said)
    return found if math.isfinite(found) else control.first
