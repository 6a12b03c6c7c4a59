"""Arguments and options that many verbs share, and the gate behind a GATE argument."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from gateflow.flow.problem import LearningProblem
    from gateflow.gate import Gate

GateText = Annotated[
    str,
    Parameter(
        name="GATE",
        help="A name, with parameters in brackets if wanted: fast, 'fast(alpha=2)'; or a formula in z, with parameters "
        "after a semicolon: 'sigmoid(z**3)', 'sigmoid(k*z); k=2'.",
    ),
]

Json = Annotated[bool, Parameter(name="--json", negative="", show_default=False, help="Print the answer as JSON.")]

Latex = Annotated[bool, Parameter(name="--latex", negative="", show_default=False, help="Print the answer as LaTeX.")]

Seconds = Annotated[float, Parameter(name="--seconds", help="Time allowed for the proof; past it: undecided.")]

CertificateFile = Annotated[
    Path | None, Parameter(name="--certificate", help="Also write a certificate, which gateflow verify checks.")
]


def gate_of(text: str, *, numeric: bool = True) -> Gate:
    """The gate a user wrote; a ``numeric`` verb wants a value for each of its parameters."""
    from gateflow.errors import InvalidArgument
    from gateflow.gate import gate

    chosen = gate(text.strip())
    for name, value in chosen.parameters.items():
        if not re.search(rf"\b{name}\b", chosen.text):
            raise InvalidArgument(f"there is no {name} in the formula {chosen.text}")
        if numeric and isinstance(value, str):
            raise InvalidArgument(f"{name} needs a number here, not {value!r}")
    return chosen


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
    """

    horizon: float
    gap: float | None = None
    target: float | None = None
    timescale: float | None = None
    log_gap: float | None = None
    decay: float | None = None
    scale: float = 1.0

    def problem(self, gate: Gate) -> LearningProblem:
        """The learning problem; complains about anything out of range."""
        from gateflow.flow.problem import WAYS, LearningProblem

        ways = {way: getattr(self, way) for way in WAYS}
        return LearningProblem(gate, horizon=self.horizon, scale=self.scale, **ways)

    def given(self) -> dict[str, Any]:
        """The inputs as they were given, for JSON."""
        goal = {way: value for way, value in vars(self).items() if value is not None}
        return {"horizon": self.horizon, **goal, "scale": self.scale}

    def sentence(self, z0: float) -> str:
        """The inputs for a reader."""
        return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in {**self.given(), "z0": z0}.items())


Start = Annotated[float, Parameter(name="--z0", help="Where learning starts: the pre-activation z at tau = 0.")]

NOT_REACHED = 3


def exit_code(status: Any) -> int:
    """0 where the flow arrived, 3 where it does not."""
    return 0 if str(status) in ("reached", "overflow") else NOT_REACHED
