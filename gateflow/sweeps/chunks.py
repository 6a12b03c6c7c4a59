"""What a sweep is: a quantity, gates and axes, cut into chunks that can be computed anywhere, in any order."""

from __future__ import annotations

import hashlib
import io
import json
import math
import shlex
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from gateflow import record
from gateflow.errors import GateflowError, InvalidArgument
from gateflow.flows.compiled import backend_version
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.guards.arguments import items, whole
from gateflow.progress import silence
from gateflow.registry import Registry
from gateflow.runs.jobs import Job
from gateflow.runs.parts import ABSENT
from gateflow.sweeps.axes import Axis, axis, texts
from gateflow.sweeps.quantities import QUANTITIES, Quantity

MOST = 2**31
"""Problems in one sweep."""

Values = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Sweep:
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
        Further keywords of the quantity, the same for all problems.

    Examples
    --------
    >>> made = Sweep.of(["fast", "sigmoid"], "hitting_time", 2, horizon=10, gap="1e-3:1e-1:3:log", z0=0)
    >>> made.shape, made.chunks
    ((2, 1, 3, 1, 1), 4)
    >>> sorted(made.values(3))
    ['error', 'evaluations', 'log_tau', 'status', 'tau']
    """

    quantity: str
    gates: tuple[tuple[str, Gate], ...]
    axes: tuple[Axis, ...]
    chunk: int
    settings: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, gates: Any, quantity: str, chunk: int | None = None, **given: Any) -> Sweep:
        """The sweep of inputs and settings as a user gives them, each checked, and each gate tried on one problem."""
        chosen = labelled(gates)
        kind: Quantity = QUANTITIES[quantity]
        name = QUANTITIES.spelled(quantity).replace("-", "_")
        given = {key: value for key, value in given.items() if value is not None}
        for key in given:
            if key not in kind.inputs and key not in kind.settings:
                raise InvalidArgument(f"{name} takes no {key}; it takes {', '.join([*kind.inputs, *kind.settings])}")
        along = {key: given.get(key, each.default) for key, each in kind.inputs.items()}
        for key, each in kind.inputs.items():
            if each.needed and along[key] is None:
                what = "a text" if each.text else "a number"
                raise InvalidArgument(f"{key} must be {what}, or several; got none")
        axes = tuple(
            (texts if kind.inputs[key].text else axis)(key, value) for key, value in along.items() if value is not None
        )
        settings = tuple((key, _setting(key, given[key])) for key in kind.settings if key in given)
        made = cls(name, chosen, axes, whole("chunk", kind.chunk if chunk is None else chunk, 1, 10**7), settings)
        made._check()
        return made

    def _check(self) -> None:
        mesh = np.ix_(*(axis.values for axis in self.axes))
        columns: dict[str, Any] = dict(zip((axis.name for axis in self.axes), mesh, strict=True))
        for label, gate in self.gates:
            try:
                self.kind.check(gate, columns, dict(self.settings))
                if self.kind.tried:
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
        """Sizes of the dimensions."""
        return (len(self.gates), *(len(axis) for axis in self.axes))

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

    @property
    def jobs(self) -> list[Job]:
        """A job for each chunk."""
        return [Job(f"chunk {k}", {"k": k}) for k in range(self.chunks)]

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

    def values(self, k: int) -> Values:
        """The numbers of chunk ``k``, one array a variable."""
        part = self.part(k)
        gate, start = divmod(part.start, self._per_gate)
        return self._values_of(self.gates[gate][1], np.arange(start, start + part.stop - part.start))

    def _values_of(self, gate: Gate, places: np.ndarray) -> Values:
        indices = np.unravel_index(places, self.shape[1:])
        columns = {axis.name: axis.values[index] for axis, index in zip(self.axes, indices, strict=True)}
        with silence():
            found = self.kind.values(gate, **columns, **dict(self.settings))
        return {name: np.asarray(found[name], dtype=kept.dtype) for name, kept in self.kind.variables.items()}

    def empty(self) -> Values:
        """Arrays for all numbers."""
        return {name: np.empty(self.size, dtype=kept.dtype) for name, kept in self.kind.variables.items()}

    # --- identity ---

    @cached_property
    def definition(self) -> dict[str, Any]:
        """All that decides the numbers, as JSON can hold it."""
        return {
            "quantity": self.quantity,
            "gates": {label: _declaration(gate) for label, gate in self.gates},
            **{axis.name: hashlib.sha256(_bytes(axis.values)).hexdigest() for axis in self.axes},
            "chunk": self.chunk,
            **dict(self.settings),
            "versions": versions(self.kind),
        }

    @property
    def digest(self) -> str:
        """The definition in 64 characters."""
        return hashlib.sha256(json.dumps(self.definition).encode()).hexdigest()

    @property
    def command(self) -> str:
        """A command line for this sweep; jobs and scheduler are not in it, since they change nothing."""
        chosen = [] if self.quantity == "hitting_time" else ["--quantity", Registry.spelled(self.quantity)]
        axes = [word for axis in self.axes for word in _flag(axis.name, axis.text, "--vary")]
        more = [word for key, value in self.settings for word in _flag(key, str(value), "--set")]
        gates = (label for label, _ in self.gates)
        return shlex.join(["gateflow", "sweep", *gates, *chosen, *axes, *more, "--chunk", str(self.chunk)])

    def made(self) -> dict[str, Any]:
        """How the sweep is made; the same on every run."""
        facts = {"quantity": self.quantity, "problems": self.size, "digest": self.digest}
        return record.record(command=self.command, **facts, versions=versions(self.kind))


FLAGS = ("horizon", "target", "gap", "log_gap", "decay", "timescale", "z0", "scale", "loss", "tolerance")
"""What has a flag of its own on the command line."""


def _flag(name: str, text: str, otherwise: str) -> list[str]:
    return [f"--{name.replace('_', '-')}", text] if name in FLAGS else [otherwise, f"{name}={text}"]


def _setting(name: str, value: Any) -> Any:
    """A setting, which a command can hold: a text, a number or a truth value."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, (bool, int, float)):
        return value
    what = "loss by name or as a formula" if name == "loss" else f"{name} as a text or a number"
    raise InvalidArgument(f"a sweep takes its {what}, so that its command can be written down")


def _bytes(values: np.ndarray) -> bytes:
    return json.dumps(values.tolist()).encode() if values.dtype == object else values.astype("<f8").tobytes()


def values(plan: Sweep, k: int) -> Values:
    """Chunk ``k``, in a process that has what the sweep was begun with.

    Raises
    ------
    InvalidArgument
        It has other versions.
    """
    here = versions(plan.kind)
    for package, version in plan.definition["versions"].items():
        if here.get(package) != version:
            raise InvalidArgument(f"a worker has {package} {here.get(package)}, and this process {version}")
    return plan.values(k)


def versions(kind: Quantity) -> dict[str, str]:
    """Versions that can change a number; numbers of a compiled kernel differ from NumPy's in the last bits."""
    return {**_packages(kind.packages), "backend": backend_version()}


@cache
def _packages(names: tuple[str, ...]) -> dict[str, str]:
    return record.versions(names)


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


# --- chunks as files --------------------------------------------------------------------------------------------------

SEAL = "digest"
"""The name of the digest among the arrays of a chunk."""


@dataclass(frozen=True)
class Arrays:
    """The numbers of a chunk as NumPy's .npz, with a digest of them and of what they belong to."""

    plan: Sweep
    ending = ".npz"

    def encode(self, job: Job, value: Values) -> bytes:
        """The bytes of a chunk."""
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **value, **{SEAL: np.array(self._seal(job, value))})
        return file.getvalue()

    def decode(self, job: Job, data: bytes) -> Any:
        """The numbers of a chunk, or `ABSENT`."""
        variables, part = self.plan.kind.variables, self.plan.part(job.arguments["k"])
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as found:
                values, seal = {name: found[name] for name in variables}, str(found[SEAL])
        except (OSError, ValueError, KeyError, EOFError, NotImplementedError, zlib.error, zipfile.BadZipFile):
            return ABSENT
        right = all(
            values[name].shape == (part.stop - part.start,) and values[name].dtype == np.dtype(kept.dtype)
            for name, kept in variables.items()
        )
        return values if right and seal == self._seal(job, values) else ABSENT

    def longest(self, job: Job) -> int:
        """Bytes of a chunk."""
        part = self.plan.part(job.arguments["k"])
        sizes = (np.dtype(kept.dtype).itemsize for kept in self.plan.kind.variables.values())
        return 4096 + sum(512 + (part.stop - part.start) * size for size in sizes)

    def _seal(self, job: Job, values: Values) -> str:
        return digest_of(values, f"{self.plan.digest} {job.arguments['k']}")


def digest_of(values: Mapping[str, np.ndarray], what: str) -> str:
    """A digest of numbers and of what they belong to, in 64 characters."""
    found = hashlib.sha256(what.encode())
    for name, array in sorted(values.items()):
        data = np.ascontiguousarray(array)
        found.update(f"{name} {data.dtype.newbyteorder('<').str} {data.shape}".encode())
        found.update(data.astype(data.dtype.newbyteorder("<"), copy=False).tobytes())
    return found.hexdigest()
