"""What a sweep is: a quantity, gates and axes, cut into chunks that can be computed anywhere, in any order."""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from gateflow import __version__, record
from gateflow.errors import GateflowError, InvalidArgument
from gateflow.flows.compiled import backend_version
from gateflow.flows.problem import LearningProblem, positions
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.guards.arguments import items, whole
from gateflow.losses import loss as named
from gateflow.progress import silence
from gateflow.sweeps.axes import Axis, axis
from gateflow.sweeps.quantities import QUANTITIES, Quantity

MOST = 2**31
"""Problems in one sweep."""

PACKAGES = ("numpy", "scipy", "sympy", "mpmath")
"""Packages whose versions can change a number."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A sweep before it is run.

    Parameters
    ----------
    quantity : str
        A name in :data:`gateflow.sweeps.QUANTITIES`.
    gates : tuple of (str, Gate)
        Labels, no two alike, and gates.
    axes : tuple of Axis
        The inputs of the quantity besides the gate.
    chunk : int
        Problems computed together, all of one gate.
    settings : tuple of (str, object)
        Further inputs of the quantity, the same for all problems: the loss and its tolerance, where given.

    Examples
    --------
    >>> plan = Plan.of(["fast", "sigmoid"], "hitting_time", 2, horizon=10, gap="1e-3:1e-1:3:log", z0=0)
    >>> plan.shape, plan.chunks
    ((2, 1, 3, 1), 4)
    >>> sorted(plan.values(3))
    ['error', 'evaluations', 'log_tau', 'status', 'tau']
    """

    quantity: str
    gates: tuple[tuple[str, Gate], ...]
    axes: tuple[Axis, ...]
    chunk: int
    settings: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, gates: Any, quantity: str, chunk: int, *, loss: Any = None, tolerance: Any = None, **axes: Any) -> Plan:
        """The plan for inputs as a user gives them, each checked, and each gate tried on one problem."""
        chosen = labelled(gates)
        chunk = whole("chunk", chunk, 1, 10**7)
        QUANTITIES.module(quantity)
        name = quantity.strip().lower().replace("-", "_")
        for needed in ("horizon", "z0"):
            if axes.get(needed) is None:
                raise InvalidArgument(f"{needed} must be a number, or several; got none")
        along = tuple(axis(key, given) for key, given in axes.items() if given is not None)
        if loss is not None and not isinstance(loss, str):
            raise InvalidArgument("a sweep takes its loss by name or as a formula, so that its command can be told")
        if loss is not None:
            named(loss)  # complains now
        given = {"loss": loss and loss.strip(), "tolerance": tolerance}
        settings = tuple((key, value) for key, value in given.items() if value is not None)
        made = cls(name, chosen, along, chunk, settings)
        made._check()
        return made

    def _check(self) -> None:
        mesh = np.ix_(*(axis.values for axis in self.axes))
        columns: dict[str, Any] = dict(zip((axis.name for axis in self.axes), mesh, strict=True))
        positions(columns.pop("z0"), "z0")
        for label, gate in self.gates:
            LearningProblem(gate, **columns)
            try:
                gate.inverse(gate.phi(0.0))  # complains where phi leaves (0, 1) or falls
                self._values_of(gate, np.arange(1))
            except GateflowError as problem:
                raise InvalidArgument(f"gate {label}: {problem}") from None
        if self.size > MOST:
            raise InvalidArgument(f"{self.size} problems are too many for one sweep; at most {MOST} fit")

    # --- shape ---

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the dimensions, the gate first."""
        return ("gate", *(axis.name for axis in self.axes))

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Points along each dimension."""
        return (len(self.gates), *map(len, self.axes))

    @property
    def size(self) -> int:
        """Problems in all."""
        return math.prod(self.shape)

    @property
    def _per_gate(self) -> int:
        return self.size // len(self.gates)

    @property
    def _chunks_per_gate(self) -> int:
        return -(-self._per_gate // self.chunk)

    @property
    def chunks(self) -> int:
        """Chunks in all; none holds problems of two gates."""
        return len(self.gates) * self._chunks_per_gate

    def part(self, k: int) -> slice:
        """Where the problems of chunk ``k`` are among all, the last axis running fastest."""
        gate, piece = divmod(k, self._chunks_per_gate)
        start = gate * self._per_gate
        return slice(start + piece * self.chunk, start + min((piece + 1) * self.chunk, self._per_gate))

    # --- numbers ---

    @property
    def kind(self) -> Quantity:
        """The quantity."""
        return QUANTITIES[self.quantity]

    def values(self, k: int) -> dict[str, np.ndarray]:
        """The numbers of chunk ``k``, one array a variable."""
        part = self.part(k)
        gate, start = divmod(part.start, self._per_gate)
        return self._values_of(self.gates[gate][1], np.arange(start, start + part.stop - part.start))

    def _values_of(self, gate: Gate, places: np.ndarray) -> dict[str, np.ndarray]:
        indices = np.unravel_index(places, self.shape[1:])
        columns = {axis.name: axis.values[index] for axis, index in zip(self.axes, indices, strict=True)}
        with silence():
            found = self.kind.values(gate, **columns, **dict(self.settings))
        return {name: np.asarray(found[name], dtype=kept.dtype) for name, kept in self.kind.variables.items()}

    # --- identity ---

    @cached_property
    def definition(self) -> dict[str, Any]:
        """All that decides the numbers, as JSON can hold it."""
        return {
            "quantity": self.quantity,
            "gates": {label: _declaration(gate) for label, gate in self.gates},
            **{axis.name: hashlib.sha256(axis.values.astype("<f8").tobytes()).hexdigest() for axis in self.axes},
            "chunk": self.chunk,
            **dict(self.settings),
            "versions": versions(),
        }

    @property
    def digest(self) -> str:
        """The definition in 64 characters."""
        return hashlib.sha256(json.dumps(self.definition).encode()).hexdigest()

    @property
    def command(self) -> str:
        """A command line for this sweep; jobs and scheduler are not in it, since they change nothing."""
        axes = (part for axis in self.axes for part in (f"--{axis.name.replace('_', '-')}", axis.text))
        more = (part for key, value in self.settings for part in (f"--{key}", str(value)))
        gates = (label for label, _ in self.gates)
        return shlex.join(["gateflow", "sweep", *gates, *axes, *more, "--chunk", str(self.chunk)])

    def made(self) -> dict[str, Any]:
        """How the sweep is made; the same on every run."""
        return record.record(
            command=self.command, quantity=self.quantity, problems=self.size, digest=self.digest, versions=versions()
        )


def versions() -> dict[str, str]:
    """Versions that can change a number; numbers of a compiled kernel differ from NumPy's in the last bits."""
    return {"gateflow": __version__, **_packages(), "backend": backend_version()}


@cache
def _packages() -> dict[str, str]:
    return record.versions(PACKAGES)


def labelled(gates: Any) -> tuple[tuple[str, Gate], ...]:
    """Gates with their labels: a text is its own, a mapping gives others."""
    if isinstance(gates, (str, Gate)):
        gates = [gates]
    if isinstance(gates, Mapping):
        pairs = [(str(label), as_gate(gate)) for label, gate in gates.items()]
    else:
        named = ((item, as_gate(item)) for item in items("gates", gates, "must be names, formulas or gates"))
        pairs = [(item.strip() if isinstance(item, str) else gate.name, gate) for item, gate in named]
    if not pairs:
        raise InvalidArgument("give at least one gate")
    labels = [label for label, _ in pairs]
    for label in labels:
        if labels.count(label) > 1:
            raise InvalidArgument(f"two gates are labelled {label!r}; give a mapping from labels to gates")
    return tuple(pairs)


def _declaration(gate: Gate) -> dict[str, str]:
    """What the gate is, by its declaration: what pickle rebuilds it from."""
    keywords = gate.__reduce__()[1][0]
    return {name: str(value) for name, value in sorted(keywords.items())}
