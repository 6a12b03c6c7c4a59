"""Arguments and options that many verbs share, and the gate behind a GATE argument."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gateflow.registry import Registry

if TYPE_CHECKING:
    from gateflow.flows.problem import LearningProblem
    from gateflow.gates.gate import Gate


def names_in(package: str) -> Callable[[Any], dict[str, str]]:
    """What a shell offers for an argument that is a name of a registry: the files of its folder, none imported."""

    def offered(_: Any) -> dict[str, str]:
        found = Registry("name", package, "")
        return {name: found.summary(name) for name in found}

    return offered


def words(*known: str) -> Callable[[Any], tuple[str, ...]]:
    """What a shell offers for an argument that is one of these."""
    return lambda _: known


GATE_NAMES = names_in("gateflow.gates.catalogue")
LOSS_NAMES = names_in("gateflow.losses")
OPTIMIZER_NAMES = names_in("gateflow.descents.optimizers")

GateText = Annotated[
    str,
    Parameter(
        name="GATE",
        completer=GATE_NAMES,
        help="A name, with parameters in brackets if wanted: fast, 'fast(alpha=2)'; or a formula in z, with parameters "
        "after a semicolon: 'sigmoid(z**3)', 'sigmoid(k*z); k=2'.",
    ),
]

Json = Annotated[bool, Parameter(name="--json", negative="", show_default=False, help="Print the answer as JSON.")]

Latex = Annotated[bool, Parameter(name="--latex", negative="", show_default=False, help="Print the answer as LaTeX.")]

Seconds = Annotated[float, Parameter(name="--seconds", help="Time allowed for the proof; past it: undecided.")]

Force = Annotated[
    bool, Parameter(name="--force", negative="", show_default=False, help="Replace files that are there already.")
]

CertificateFile = Annotated[
    Path | None, Parameter(name="--certificate", help="Also write a certificate, which gateflow verify checks.")
]


def may_write(certificate: Path, force: bool) -> None:
    """Complain, before the work, of a file that a certificate must not replace."""
    from gateflow.asymptotics.certificate import output

    output(certificate, force=force)


def gate_of(text: str, *, numeric: bool = True) -> Gate:
    """The gate a user wrote; a ``numeric`` verb wants a value for each of its parameters."""
    from gateflow.errors import InvalidArgument
    from gateflow.gates.gate import gate

    chosen = gate(text.strip())
    for name, value in chosen.parameters.items():
        if not re.search(rf"\b{name}\b", chosen.text):
            raise InvalidArgument(f"there is no {name} in the formula {chosen.text}")
        if numeric and isinstance(value, str):
            raise InvalidArgument(f"{name} needs a number here, not {value!r}")
    return chosen


def _not_lost(_: Any, tokens: Any) -> float:
    """A number whose text says more than 0 must not be read as 0."""
    from decimal import Decimal

    from gateflow.errors import InvalidArgument

    text = tokens[0].value
    value = float(text)
    if value == 0 and (exact := Decimal(text)) != 0:
        name = tokens[0].keyword or "a number"
        hint = f"; give its logarithm: --log-gap {exact.ln():.9g}" if name == "--gap" and exact > 0 else ""
        raise InvalidArgument(f"{name} {text} is below the smallest float{hint}")
    return value


def none_lost(kind: Any, tokens: Any) -> list[float]:
    """The same for each of several numbers."""
    return [_not_lost(kind, [token]) for token in tokens]


Small = Annotated[float | None, Parameter(converter=_not_lost)]

LossText = Annotated[
    str,
    Parameter(
        name="--loss",
        completer=LOSS_NAMES,
        help="A name (gateflow losses), or a formula in s: the Laplace transform of a random horizon.",
    ),
]

Tolerance = Annotated[
    float | None,
    Parameter(
        name="--tolerance",
        converter=_not_lost,
        help="Stop where |h - h*| is so much of h*; squared and kullback-leibler need one.",
    ),
]


HORIZON_FLAG = Parameter(name=["--horizon", "-T"])
"""The horizon is T in every formula, and on the command line."""


def left_of(seconds: float, spent: float) -> float:
    """The seconds that are left for a certificate, of those allowed; one at least."""
    return max(seconds - spent, 1.0)


def no_gate(gate: Gate) -> str | None:
    """What is wrong with a formula that is no gate, for verbs that look at its tail alone; None for gates."""
    if gate.expr.free_symbols != {_symbol()}:
        return None
    from gateflow.errors import Exceeded
    from gateflow.guards import bounded

    try:
        return bounded.call(lambda: _is_no_gate(gate), LOOK, processor=True)
    except Exceeded:
        return None


LOOK = 0.5
"""Seconds of the processor for a look at whether a formula is a gate, beside the answer that was asked for."""


def _is_no_gate(gate: Gate) -> str | None:
    if gate._stray is not None:
        return f"{gate.name} is no gate: {gate._stray} lies outside (0, 1); only its tail is looked at here"
    if gate._falls is not None:
        return f"{gate.name} is no gate: phi falls at z = {gate._falls}; only its tail is looked at here"
    return None


def _symbol() -> Any:
    from gateflow.formula.vocabulary import Z

    return Z


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Task:
    """The options that make a learning problem of a gate; the target in exactly one way.

    Parameters
    ----------
    horizon
        T, the steps over which the cell decays; at least 1.
    gap
        The target as 1 - lambda*, what may be lost over the horizon.
    target
        The target as lambda*, what is to be kept.
    timescale
        The target as a time constant in steps, -1/log phi.
    log_gap
        The target as log(1 - lambda*), for gaps below 1e-308.
    decay
        The target as a total decay, -log lambda*.
    scale
        c, the size of the loss.
    loss
        A name (gateflow losses), or a formula in s: the Laplace transform of a random horizon.
    """

    horizon: Annotated[float, HORIZON_FLAG]
    gap: Small = None
    target: float | None = None
    timescale: float | None = None
    log_gap: float | None = None
    decay: Small = None
    scale: float = 1.0
    loss: Annotated[str, Parameter(completer=LOSS_NAMES)] = "absolute"

    def problem(self, gate: Gate) -> LearningProblem:
        """The learning problem; complains about anything out of range."""
        from gateflow.flows.problem import WAYS, LearningProblem

        ways = {way: getattr(self, way) for way in WAYS}
        return LearningProblem(gate, horizon=self.horizon, scale=self.scale, loss=self.loss, **ways)

    def numbers(self) -> dict[str, float]:
        """The numbers as they were given."""
        goal = {way: value for way, value in vars(self).items() if value is not None and way != "loss"}
        return {"horizon": self.horizon, **goal, "scale": self.scale}

    def given(self) -> dict[str, Any]:
        """The inputs as they were given, for JSON; the loss where it is not the absolute one."""
        return {**self.numbers(), **({} if self.loss == "absolute" else {"loss": self.loss.strip()})}

    def sentence(self, z0: float) -> str:
        """The inputs for a reader."""
        numbers = {**self.numbers(), "z0": z0}
        loss = "" if self.loss == "absolute" else f", loss {self.loss.strip()}"
        return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in numbers.items()) + loss


Start = Annotated[float, Parameter(name="--z0", help="Where learning starts: the pre-activation z at tau = 0.")]

NOT_REACHED = 3


def exit_code(status: Any) -> int:
    """0 where the flow arrived, 3 where it does not or nobody can tell when: past the floats."""
    return 0 if str(status) == "reached" else NOT_REACHED
