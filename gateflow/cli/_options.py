"""Every argument and flag that more than one command takes, declared once, and the gate behind a GATE argument."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from cyclopts import Parameter

from gateflow.registry import Registry

if TYPE_CHECKING:
    from gateflow.descents.optimizers import Optimizer
    from gateflow.flows.problem import LearningProblem
    from gateflow.gates.gate import Gate
    from gateflow.plots._figure import PictureFile

NOT_REACHED = 3
"""The exit code of an answer that is not reached, undecided or not verified."""


# --- kinds of flags


def switch(name: str, help: str) -> Parameter:
    """A flag without a value."""
    return Parameter(name=name, help=help, negative="", show_default=False)


def several(name: str, help: str, completer: Callable[[Any], Any] | None = None) -> Parameter:
    """A flag with one value or more, separated by blanks or commas."""
    return Parameter(
        name=name, help=help, negative="", consume_multiple=1, converter=_read_several, completer=completer
    )


def names_in(package: str) -> Callable[[Any], dict[str, str]]:
    """What a shell offers for an argument that is a name of a registry: the files of its folder, none imported."""

    def offered(_: Any) -> dict[str, str]:
        found = Registry("name", package, "")
        return {name: found.summary(name) for name in found}

    return offered


def words(*known: str) -> Callable[[Any], tuple[str, ...]]:
    """What a shell offers for an argument that is one of these."""
    return lambda _: known


def _read_several(kind: Any, tokens: Sequence[Any]) -> list[Any]:
    from gateflow.errors import InvalidArgument
    from gateflow.guards.calls import listed

    parts = [(token, part) for token in tokens for part in listed(token.value)]
    if not parts:
        raise InvalidArgument(f"{tokens[0].keyword or 'the list'} needs a value")
    numeric = float in (inner for each in (kind, *get_args(kind)) for inner in (each, *get_args(each)))
    return [_number(token, part) if numeric else part for token, part in parts]


def _read_number(_: Any, tokens: Sequence[Any]) -> float:
    return _number(tokens[0], tokens[0].value)


def _number(token: Any, text: str) -> float:
    """A number, which must not be read as 0 where its text says more than 0, nor as infinite where it is not."""
    from gateflow.errors import InvalidArgument, shown

    name = token.keyword or "a number"
    try:
        value = float(text)
    except ValueError:
        raise InvalidArgument(f"{name} takes a number; got {shown(text)}") from None
    if abs(value) == float("inf") and "inf" not in text.lower():
        raise InvalidArgument(f"{name} {shown(text).strip(QUOTES)} is past the largest float")
    if value == 0 and re.search("[1-9]", re.split("[eE]", text)[0]):
        hint = f"; give its logarithm: --log-gap {_log(text)}" if name == "--gap" and text.strip()[0] != "-" else ""
        raise InvalidArgument(f"{name} {shown(text).strip(QUOTES)} is below the smallest float{hint}")
    return value


QUOTES = "'\""


def _log(text: str) -> str:
    """The logarithm of the number that a text shows, which may be far below the floats."""
    from gateflow.guards.arguments import decimal_or_fraction, log_of_exact

    try:
        return f"{log_of_exact(decimal_or_fraction(text)):.9g}"
    except ValueError:  # an exponent of 19 digits
        return "NUMBER"


def read_file(kind: Any, tokens: Sequence[Any]) -> Path:
    """The path of a file to write."""
    from gateflow.files import file_path

    if not tokens[0].value:
        raise ValueError(tokens[0].value)
    return file_path(tokens[0].value)


# --- gates and what is proved of them

GATE_NAMES = names_in("gateflow.gates.catalogue")

GateText = Annotated[
    str,
    Parameter(
        name="GATE",
        completer=GATE_NAMES,
        help="A name, with parameters in brackets if wanted: fast, 'fast(alpha=2)'; or a formula in z, with parameters "
        "after a semicolon: 'sigmoid(z**3)', 'sigmoid(k*z); k=2'.",
    ),
]

GateTexts = Annotated[
    list[str], Parameter(name="GATES", negative="", completer=GATE_NAMES, help="One or more gates, by name or formula.")
]

Seconds = Annotated[float, Parameter(name="--seconds", help="Time limit of a proof; past it: undecided.")]


def gates_flag(help: str) -> Parameter:
    """--gates: which gates a command is about."""
    return several("--gates", help, GATE_NAMES)


# --- output

Json = Annotated[bool, switch("--json", "Print the answer as JSON.")]

Latex = Annotated[bool, switch("--latex", "Print the answer as LaTeX.")]

Force = Annotated[bool, switch("--force", "Replace files that are there already.")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ProofOptions:
    """How a verdict is printed, and where its certificate is written.

    Parameters
    ----------
    certificate
        Also write a certificate, which gateflow verify checks.
    """

    certificate: Annotated[Path | None, Parameter(name="--certificate", converter=read_file)] = None
    force: Force = False
    latex: Latex = False
    json: Json = False

    def check(self) -> None:
        """Complain, before the work, of a file that a certificate must not replace."""
        if self.certificate is not None:
            from gateflow.asymptotics.certificates import output

            output(self.certificate, force=self.force)

    def show(self, found: Any, facts: Callable[[], Any], text: Callable[[], Any]) -> None:
        """Print what was found: its facts as JSON, or as LaTeX, or what a reader is shown."""
        from gateflow.cli._terminal import print_json, say

        if self.json:
            print_json(facts())
        elif self.latex:
            print(found.latex())
        else:
            say(*text())

    def certify(self, make: Callable[[Any], dict[str, Any]]) -> None:
        """Write the certificate made by :mod:`gateflow.asymptotics.certificates`, if one is asked for.

        This comes after the verdict, which stands also where no certificate can be written.
        """
        if self.certificate is not None:
            from gateflow.asymptotics import certificates

            certificates.write(make(certificates), self.certificate, force=self.force)


PROOF = ProofOptions()
"""Text for a reader, and no certificate."""

Figure = Annotated[
    Path | None,
    Parameter(name="--figure", converter=read_file, help="Also draw it to this file: .svg, .pdf or .png."),
]

Csv = Annotated[Path | None, Parameter(name="--csv", converter=read_file, help="Also write it to this file as CSV.")]


def picture_file(path: Path | None, force: bool) -> PictureFile | None:
    """The file of --figure, if one is asked for; complains, before the work, of one that cannot be written."""
    if path is None:
        return None
    from gateflow.plots._figure import PictureFile

    return PictureFile(path, force=force)


OUT = ["--out", "-o"]
"""The names of the flag for the file or the folder that a command writes."""

# --- learning problems

HORIZON = ["--horizon", "-T"]
"""The horizon is T in every formula, and on the command line."""

LOSS_NAMES = names_in("gateflow.losses")

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
        converter=_read_number,
        help="Stop where |h - h*| is this fraction of h*; squared and kullback-leibler need one.",
    ),
]

Accuracy = Annotated[
    float, Parameter(name="--tolerance", help="Relative error of a time scale that counts as arrived, in (0, 1).")
]

Small = Annotated[float | None, Parameter(converter=_read_number)]

Start = Annotated[float, Parameter(name="--z0", help="Where learning starts: the pre-activation z at tau = 0.")]

OneZ = Annotated[
    float | None, Parameter(name="--z0", help="Where every gate starts: one pre-activation z; by default 0.")
]

StartScale = Annotated[
    float | None,
    Parameter(name="--start", help="The time constant that every gate starts from, in place of --z0: one value phi."),
]


def z0_or_start(z0: float | None, start: float | None) -> dict[str, float]:
    """One z or one time constant to start from, whichever was given."""
    from gateflow.errors import InvalidArgument

    if z0 is not None and start is not None:
        raise InvalidArgument("give --z0 or --start, not both")
    return {"z0": z0 or 0.0} if start is None else {"start": start}


TimeLimit = Annotated[float | None, Parameter(name="--tau-max", help="Stop at this learning time.")]

RelativeTolerance = Annotated[float, Parameter(name="--rtol", help="Relative tolerance of the solver.")]

Solver = Annotated[
    str,
    Parameter(
        name="--method",
        completer=names_in("gateflow.flows.solvers"),
        help="The solver: lsoda, radau, bdf or dop853; flow also takes exact, which integrates.",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ProblemOptions:
    """The flags that make a learning problem of a gate, and its start; the target in exactly one way.

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
    z0
        Where learning starts: the pre-activation z at tau = 0.
    """

    horizon: Annotated[float, Parameter(name=HORIZON, converter=_read_number)]
    gap: Small = None
    target: Small = None
    timescale: Small = None
    log_gap: Small = None
    decay: Small = None
    scale: Annotated[float, Parameter(converter=_read_number)] = 1.0
    loss: Annotated[str, Parameter(completer=LOSS_NAMES)] = "absolute"
    z0: float = 0.0

    def problem(self, gate: Gate) -> LearningProblem:
        """The learning problem; complains about anything out of range."""
        from gateflow.flows.problem import WAYS, LearningProblem

        ways = {way: getattr(self, way) for way in WAYS}
        return LearningProblem(gate, horizon=self.horizon, scale=self.scale, loss=self.loss, **ways)

    def numbers(self) -> dict[str, float]:
        """The numbers of the problem as they were given."""
        goal = {way: value for way, value in vars(self).items() if value is not None and way not in ("loss", "z0")}
        return {"horizon": self.horizon, **goal, "scale": self.scale}

    def inputs(self, gate: str) -> dict[str, Any]:
        """The inputs as they were given, for JSON; the loss where it is not the absolute one."""
        loss = {} if self.loss == "absolute" else {"loss": self.loss.strip()}
        return {"gate": gate.strip(), **self.numbers(), **loss, "z0": self.z0}

    def about(self, gate: str) -> list[tuple[str, str]]:
        """The inputs as lines for a reader."""
        return [("gate", gate.strip()), ("problem", self.sentence())]

    def sentence(self) -> str:
        """The problem and its start for a reader."""
        numbers = {**self.numbers(), "z0": self.z0}
        loss = "" if self.loss == "absolute" else f", loss {self.loss.strip()}"
        return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in numbers.items()) + loss


# --- descents

LR = Parameter(name="--lr", help="The step size eta.")

Dtype = Annotated[str, Parameter(name="--dtype", help="float64, float32, float16 or bfloat16.")]

Backend = Annotated[
    str | None,
    Parameter(
        name="--backend",
        completer=words("auto", "numpy", "compiled"),
        help="numpy, compiled (a loop in C), or auto; by default GATEFLOW_BACKEND, or auto.",
    ),
]

Seed = Annotated[int, Parameter(name="--seed", help="Seed of the random numbers.")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """An optimizer and its hyperparameters, except the step size.

    Parameters
    ----------
    optimizer
        sgd, momentum, adam or rmsprop.
    beta
        The decay rate of momentum.
    beta1
        The decay rate of Adam's mean.
    beta2
        The decay rate of Adam's mean square.
    alpha
        The decay rate of RMSprop's mean square.
    eps
        What Adam and RMSprop add to the root mean square.
    """

    optimizer: Annotated[str, Parameter(completer=names_in("gateflow.descents.optimizers"))] = "sgd"
    beta: float | None = None
    beta1: float | None = None
    beta2: float | None = None
    alpha: float | None = None
    eps: float | None = None

    def chosen(self) -> Optimizer:
        """The optimizer; complains of a hyperparameter that it does not have or that is out of range."""
        from gateflow.descents.simulation import optimizer_named

        hyper = {name: value for name, value in vars(self).items() if value is not None and name != "optimizer"}
        return optimizer_named(self.optimizer, hyper)

    def sentence(self) -> str:
        """Its name and its hyperparameters for a reader."""
        from gateflow.descents.optimizers import OPTIMIZERS

        return OPTIMIZERS.spelled(self.optimizer) + "".join(f", {k} {v:g}" for k, v in vars(self.chosen()).items())

    def inputs(self) -> dict[str, Any]:
        """Its name and its hyperparameters, for JSON."""
        return {"name": self.optimizer, **vars(self.chosen())}


SGD = OptimizerOptions()
"""Plain gradient descent, the default."""


# --- grids of runs

Jobs = Annotated[int, Parameter(name="--jobs", help="Processes on this machine; 0 for one per core.")]

Scheduler = Annotated[
    str | None, Parameter(name="--scheduler", help="Address of a Dask scheduler (tcp://...) that runs the work.")
]

DataDir = Annotated[Path | None, Parameter(name="--data-dir", help="The folder with the files of the task.")]

Restart = Annotated[bool, switch("--restart", "Replace other or damaged results at the same place.")]

Estimate = Annotated[bool, switch("--estimate", "Print how long it takes at most; run nothing.")]


# --- what commands do with what they are given


def gate_of(text: str, *, numeric: bool = True) -> Gate:
    """The gate a user wrote; a ``numeric`` command wants a value for each of its parameters."""
    from gateflow.errors import InvalidArgument
    from gateflow.gates.gate import gate

    chosen = gate(text.strip())
    for name, value in chosen.parameters.items():
        if not re.search(rf"\b{name}\b", chosen.text):
            raise InvalidArgument(f"there is no {name} in the formula {chosen.text}")
        if numeric and isinstance(value, str):
            raise InvalidArgument(f"{name} needs a number here, not {value!r}")
    return chosen


def exit_code(status: Any) -> int:
    """0 where the flow arrived, 3 where it does not or nobody can say when: past the floats."""
    return 0 if str(status) == "reached" else NOT_REACHED


def left_of(seconds: float, spent: float) -> float:
    """The seconds that are left for a certificate, of those allowed; one at least."""
    return max(seconds - spent, 1.0)


def no_gate(gate: Gate) -> str | None:
    """What is wrong with a formula that is no gate, for commands that look at its tail alone; None for gates."""
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
    if gate.value_outside is not None:
        return f"{gate.name} is no gate: {gate.value_outside} lies outside (0, 1); only its tail is looked at here"
    if gate.fall is not None:
        return f"{gate.name} is no gate: {gate.fall}; only its tail is looked at here"
    return None


def _symbol() -> Any:
    from gateflow.formula.vocabulary import Z

    return Z
