"""The decays in a checkpoint: time constants, what can still move, and whether a start is the published one.

Layers are known by the names of their tensors. What is looked at is the part of a decay that does not depend on the
input: biases and decay parameters.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import warnings
import zipfile
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from gateflow.descents.decays import QUANTILES, longest
from gateflow.descents.precision import FORMATS
from gateflow.errors import InvalidArgument, MissingExtra, shown
from gateflow.files.pickles import check_pickles
from gateflow.files.read import opened
from gateflow.files.safetensors import MOST as MOST_OF_A_TENSOR
from gateflow.files.safetensors import numbers, stored_in
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.gates.published import DECAYS

MOST = 1 << 34
"""Bytes of a state dict of PyTorch that is read."""

MOST_LAYERS = 1000

MOST_UNITS = 1 << 21
"""Units of all layers together."""

MOST_NUMBERS = 1 << 26
"""Numbers that are read, together: a tensor may stand under many names."""

LONGEST_NAME = 1000
"""Characters of a tensor's name."""

LONGEST_ENDING = 80
"""Characters of a name in which an ending that is known is looked for."""

DEEPEST = 16
"""Dicts within dicts of a state dict."""

PATIENCE = 20.0
"""Seconds for all patterns: some regular expressions take for ever on a name."""

OUTSIDE = 0.5
"""Part of a layer's units that may lie outside the published start before that is flagged."""

DRIFT = 0.5
"""How far Mamba's log A may lie from log n, in the median."""

ALIKE = 0.1
"""Part of the spread of the published start below which the units of a layer count as alike."""

END = 0.05
"""Part of the published start, at either end, in which the median of a layer's units is named; of `MANY` units."""

MANY = 8

SLACK = 0.05
"""By how much z may lie outside the published range and still count as inside."""


@dataclass(frozen=True)
class AuditedLayer:
    """The decays of one layer.

    Attributes
    ----------
    name, model : str
        The tensor, and the model or gate that its decay is of.
    units : int
        Numbers z; of Mamba, channels or heads.
    times : tuple of float
        Time constants in steps at the quantiles 2 %, 50 % and 98 %; of Mamba, those of all states of all channels.
    slope : float
        phi' at z, in the median; of Mamba, that of a state with A = 1.
    unmoved : float
        Part of the units whose z a step of the asked size does not change in the tensor's format.
    beyond : float
        Part of the units whose time constant is past what the format holds, as the model hands the decay on.
    flags : tuple of str
        What differs from the published start.
    """

    name: str
    model: str
    units: int
    times: tuple[float, ...]
    slope: float
    unmoved: float
    beyond: float
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Audit:
    """The decays of a checkpoint, layer by layer, with steps of ``lr``; ``unfit`` are patterns found in no name."""

    path: str
    lr: float
    layers: tuple[AuditedLayer, ...]
    unfit: tuple[str, ...] = ()

    @property
    def flagged(self) -> bool:
        """Whether some layer has a flag."""
        return any(layer.flags for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        about = {"path": self.path, "lr": self.lr, "flagged": self.flagged}
        return {**about, "layers": [vars(one) for one in self.layers], "unfit": self.unfit}


def audit(path: str | Path, *, lr: float = 1e-3, patterns: Mapping[str, str] | None = None) -> Audit:
    """Look at the decays of a checkpoint.

    Parameters
    ----------
    path : str or Path
        A safetensors file; the index of several, or the folder that they are in; or a state dict that ``torch.save``
        wrote, of which tensors only are read.
    lr : float
        The step size of an optimizer whose steps are about that long, such as Adam.
    patterns : mapping of str to str, optional
        Regular expressions for names of tensors, and the gate whose z each of these holds; where that is a
        ``bias_ih`` of an LSTM or GRU, its forget gate: by default the sigmoid, or what a layer of gateflow noted.

    Raises
    ------
    InvalidArgument
        The file cannot be read, or a pattern is none.
    MissingExtra
        PyTorch, which reads its state dicts, is not installed.
    """
    if not lr > 0 or not np.isfinite(lr):
        raise InvalidArgument(f"lr must be above 0; got {shown(lr)}")
    path = Path(path)
    gates = {text: as_gate(gate) for text, gate in (patterns or {}).items()}
    try:
        found = _Tensors.of(path)
        fitting = _fitting(list(gates), [name for name, (form, _) in found.formats.items() if form in FORMATS])
        own: dict[str, list[Gate]] = {}
        for gate, names in zip(gates.values(), fitting, strict=True):
            for name in names:
                own.setdefault(name, []).append(gate)
        with np.errstate(all="ignore"):  # a decay may round to 0 or 1: time constants are then 0 or infinite
            layers = _all_audited(_parts(found, own), lr)
    except OSError as problem:
        raise InvalidArgument(f"cannot read {str(path)!r}: {problem.strerror or problem}") from None
    except ValueError as problem:
        if isinstance(problem, InvalidArgument):
            raise
        raise InvalidArgument(f"{path}: {problem}") from None
    unfit = tuple(text for text, names in zip(gates, fitting, strict=True) if not names)
    return Audit(str(path), float(lr), tuple(layers), unfit)


# --- tensors ----------------------------------------------------------------------------------------------------------


@dataclass
class _Tensors:
    """Tensors by name: format and shape, and how to read the numbers."""

    formats: dict[str, tuple[str, tuple[int, ...]]]
    read: Callable[[str], np.ndarray]
    gates: Mapping[str, str] = field(default_factory=dict)
    """Formulas of gates by their modules, which layers of gateflow leave in a state dict of PyTorch."""
    numbers: int = 0
    """Read so far."""
    constants: dict[str, float] = field(default_factory=dict)
    """What :func:`_constant` has found."""

    def __post_init__(self) -> None:
        if too_long := next((name for name in self.formats if len(name) > LONGEST_NAME), None):
            raise ValueError(f"the name {shown(too_long)} of a tensor has over {LONGEST_NAME} characters")
        self.names = sorted(self.formats)

    def get(self, name: str) -> np.ndarray:
        """The numbers of a tensor as float64."""
        form, shape = self.formats[name]
        if form not in FORMATS:
            raise ValueError(f"the tensor {shown(name)} holds {form}; decays are read as {', '.join(FORMATS)}")
        self.numbers += math.prod(shape)
        if self.numbers > MOST_NUMBERS:
            raise ValueError(f"with {shown(name)}, its decays have over {MOST_NUMBERS} numbers")
        return self.read(name)

    @classmethod
    def of(cls, path: Path) -> _Tensors:
        if not path.is_dir():
            with opened(path) as file:
                start = file.read(4)
            is_archive = start == b"PK\3\4"
            if is_archive or path.suffix in (".pt", ".pth", ".ckpt", ".bin"):
                return cls._of_pytorch(path, is_archive)
        tensors, about = stored_in(path)
        if "gateflow" in about:
            raise ValueError("it is a checkpoint of gateflow: gateflow timescales analyses its run")
        return cls(
            {name: (each.form, each.shape) for name, each in tensors.items()}, lambda name: numbers(tensors[name])
        )

    @classmethod
    def _of_pytorch(cls, path: Path, is_archive: bool) -> _Tensors:
        try:
            import torch
        except ImportError:
            raise MissingExtra("a state dict of PyTorch", "nn") from None
        if path.stat().st_size > MOST:
            raise ValueError(f"it has over {MOST} bytes")
        try:
            _check_archive(path) if is_archive else _check_old(path)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read = torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
        except Exception as problem:  # whatever is in the file
            raise ValueError(f"PyTorch reads no tensors from it: {_why(problem)}") from None
        for _ in range(DEEPEST):
            wrapped = (read[key] for key in _WRAPPED if isinstance(read, dict) and isinstance(read.get(key), dict))
            read = next(wrapped, read)
        if not isinstance(read, dict):
            raise ValueError("it holds no state dict")
        tensors: dict[str, Any] = {}
        gates: dict[str, str] = {}
        for before, each in _dicts(read, "", 0, set()):
            tensors |= {
                before + name: t for name, t in each.items() if isinstance(name, str) and isinstance(t, torch.Tensor)
            }
            about = getattr(each, "_metadata", None)
            modules = about.items() if isinstance(about, dict) else ()
            gates |= {
                f"{before}{name}": str(said["gate"])
                for name, said in modules
                if isinstance(said, dict) and "gate" in said
            }
        return cls(
            {
                name: (str(t.dtype).removeprefix("torch."), () if t.is_nested else tuple(t.shape))
                for name, t in tensors.items()
            },
            lambda name: _numbers_of(name, tensors[name]),
            gates,
        )


_WRAPPED = ("state_dict", "model_state_dict", "model")
"""Under what a checkpoint holds a state dict beside other things."""


def _dicts(read: dict[Any, Any], before: str, deep: int, seen: set[int]) -> Iterator[tuple[str, dict[Any, Any]]]:
    """A dict and those within it, each once, with what stands before its names."""
    seen.add(id(read))
    yield before, read
    for name, each in read.items():
        if isinstance(name, str) and isinstance(each, dict) and id(each) not in seen and deep < DEEPEST:
            yield from _dicts(each, f"{before}{name}.", deep + 1, seen)


def _why(problem: Exception) -> str:
    """What PyTorch has against a file, in part of a line: of its advice on unsafe pickles, what these hold."""
    if name := re.search(r"GLOBAL (\S+)", str(problem)):
        return f"its pickle holds {name[1]}, and tensors only are read"
    return (str(problem).splitlines() or [type(problem).__name__])[0][:120]


def _check_archive(path: Path) -> None:
    """Complain of what ``torch.save`` does not write: packed members, which unpack to many times the file's bytes."""
    with zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("it is packed, which torch.save does not do")
        for name in archive.namelist():
            if name.endswith("data.pkl"):
                with archive.open(name) as pickled:
                    check_pickles(pickled)


def _check_old(path: Path) -> None:
    """The same of the older form: pickles of a number, a version, the system, the values and the names of storages."""
    with opened(path) as file:
        check_pickles(file, 5)


def _numbers_of(name: str, tensor: Any) -> np.ndarray:
    if tensor.is_nested or str(tensor.layout) != "torch.strided" or tensor.device.type != "cpu":
        raise ValueError(f"the tensor {shown(name)} is not dense")
    if tensor.numel() * tensor.element_size() > MOST_OF_A_TENSOR:
        raise ValueError(f"the tensor {shown(name)} has over {MOST_OF_A_TENSOR} bytes")
    return tensor.detach().double().numpy()


# --- layers -----------------------------------------------------------------------------------------------------------


@dataclass
class _Part:
    """What is known of a layer before it is measured."""

    name: str
    model: str
    gate: Gate
    z: np.ndarray
    form: str
    handed: str = "a"
    spread: float = 0.0
    range: tuple[float, float] | None = None
    middle: tuple[float, float] | None = None
    log_a: np.ndarray | None = None
    """Logarithm of the power, for each z, that the gate is taken to."""
    held: list[tuple[np.ndarray, str]] | None = None
    """Tensors that z is the sum of, with their formats, where it is not stored itself."""
    flags: list[str] = field(default_factory=list)


_FIT = """
import json, re, sys
patterns, names = json.load(sys.stdin)
found = []
for pattern in patterns:
    try:
        found.append([i for i, name in enumerate(names) if re.search(pattern, name)])
    except (re.error, OverflowError, RecursionError, MemoryError) as problem:
        found.append(str(problem) or type(problem).__name__)
json.dump(found, sys.stdout)
"""


def _fitting(patterns: list[str], names: list[str]) -> list[list[str]]:
    """The names that each pattern is found in. A process of its own looks: nothing else can stop Python's search."""
    if not patterns:
        return []
    try:
        answer = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _FIT],
            input=json.dumps([patterns, names]).encode(),
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise InvalidArgument(f"to look for the patterns in the names takes over {PATIENCE:g} seconds") from None
    except (OSError, subprocess.CalledProcessError):
        raise InvalidArgument("the patterns could not be looked for in the names") from None
    found = json.loads(answer.stdout)
    for pattern, each in zip(patterns, found, strict=True):
        if isinstance(each, str):
            raise InvalidArgument(f"the pattern {shown(pattern)} is no regular expression: {each}")
    return [[names[i] for i in each] for each in found]


def _parts(found: _Tensors, own: Mapping[str, Sequence[Gate]]) -> Iterator[_Part]:
    endings = {name: list(_endings(name)) for name in found.names}
    if sum(map(len, endings.values())) + sum(map(len, own.values())) > MOST_LAYERS:
        raise ValueError(f"it has over {MOST_LAYERS} layers with decays")
    for name in found.names:
        gates = list(own.get(name, ()))
        known = [part for rule, before in endings[name] if (part := rule(found, name, before)) is not None]
        if gates and known and known[0].model in ("lstm", "gru"):
            known[0].gate, *gates = gates
        for gate in gates:
            yield _Part(name, gate.label, gate, found.get(name).ravel(), found.formats[name][0])
        yield from known


def _endings(name: str) -> Iterator[tuple[Callable[[_Tensors, str, str], _Part | None], str]]:
    """The rules for a name, and what stands before its ending."""
    for ending, rule in _ENDINGS:
        match = ending.search(name[-LONGEST_ENDING:])
        if match and (match.start() or len(name) <= LONGEST_ENDING):
            yield rule, name[: len(name) - len(match[0])]


@lru_cache(64)
def _gate(text: str) -> Gate:
    """The gate of a text, made once: layers have few of them."""
    return as_gate(text)


@lru_cache(64)
def _start(model: str) -> tuple[float, ...]:
    """z of a model's published start at quantiles: 0 and 1, `END` from either, and those that are the spread."""
    return tuple(map(float, DECAYS[model].start_at(np.array([0.0, 1.0, END, 1 - END, 0.02, 0.98]))))


def _published(name: str, model: str, z: np.ndarray, form: str, widest: tuple[float, float] | None = None) -> _Part:
    """A layer of a published model, whose start spreads."""
    low, high, first, last, *spread = _start(model)
    part = _Part(name, model, _gate(model), z.ravel(), form, DECAYS[model].handed, abs(spread[1] - spread[0]))
    part.range = (low, high) if widest is None else widest
    part.middle = (first, last) if widest is None else None
    return part


def _mamba(found: _Tensors, name: str, before: str) -> _Part | None:
    """log A with its dt_bias (Mamba-2) or the bias of dt_proj."""
    bias = next((before + each for each in ("dt_proj.bias", "dt_bias") if before + each in found.formats), None)
    if bias is None:
        return None
    log_a, z = found.get(name), -found.get(bias).ravel()
    if not log_a.size or log_a.shape[:1] != (z.size,):
        return None
    part = _published(bias, "mamba", z, found.formats[bias][0])
    part.log_a = log_a
    if log_a.ndim == 2:
        off = float(np.median(np.abs(log_a - np.log(np.arange(1, log_a.shape[1] + 1)))))
        if off > DRIFT:
            part.flags.append(f"A_log is {off:.2g} off log(1), log(2), ... in the median")
    elif np.mean((log_a < -SLACK) | (log_a > np.log(16) + SLACK)) > OUTSIDE:
        part.flags.append("A is outside [1, 16] in most heads")
    return part


def _rwkv(found: _Tensors, name: str, before: str) -> _Part:
    # later versions start from -6; the first from -5 to 3
    return _published(name, "rwkv", -found.get(name), found.formats[name][0], (-3.0, 6.0))


def _rg_lru(found: _Tensors, name: str, before: str) -> _Part:
    return _published(name, "rg-lru", -found.get(name), found.formats[name][0])


def _lru(found: _Tensors, name: str, before: str) -> _Part:
    return _published(name, "lru", -found.get(name), found.formats[name][0], (-np.inf, np.inf))


def _xlstm(found: _Tensors, name: str, before: str) -> _Part:
    return _published(name, "xlstm", found.get(name), found.formats[name][0])


def _gla(found: _Tensors, name: str, before: str) -> _Part:
    return _Part(name, "gla", _gate("gla"), found.get(name).ravel(), found.formats[name][0], "log a")


def _torch_layer(found: _Tensors, name: str, before: str) -> _Part | None:
    """The sum of PyTorch's two biases: rows of the LSTM's forget gate, or of the GRU's update gate."""
    ending = name[len(before) + len("bias_ih") :]
    other, weight = before + "bias_hh" + ending, before + "weight_hh" + ending
    if other not in found.formats or len(found.formats.get(weight, ("", ()))[1]) != 2:
        return None
    rows, size = found.formats[weight][1]
    projection = found.formats.get(before + "weight_hr" + ending, ("", ()))[1]
    size = projection[1] if len(projection) == 2 and projection[0] == size else size  # the state is smaller than units
    if rows not in (3 * size, 4 * size) or {found.formats[each][1] for each in (name, other)} != {(rows,)}:
        return None
    sides = [found.get(each)[size : 2 * size] for each in (name, other)]
    block = "forget" if rows == 4 * size else "update"
    owners = (before, f"{before}equations.")  # a layer, or a cell for one step at a time
    noted = (found.gates.get(f"{owner}{block}_gate") for owner in owners)
    gate = _gate(next(filter(None, noted), "sigmoid"))
    part = _Part(name, "lstm" if rows == 4 * size else "gru", gate, sides[0] + sides[1], found.formats[name][0])
    part.held = [(side, found.formats[each][0]) for side, each in zip(sides, (name, other), strict=True)]
    if part.model == "lstm":
        part.flags += _left_out(found, (name, other), before)
    return part


def _left_out(found: _Tensors, names: Sequence[str], before: str) -> Iterator[str]:
    """That another layer's forget gate has one bias in all units, as only a start sets it, and this layer's has not."""
    shape = found.formats[names[0]][1]
    if any(_constant(found, name) for name in names):
        return
    start = f"{before}bias_"
    for other in found.names[bisect_left(found.names, start) :]:
        if not other.startswith(start):
            return
        alike = found.formats[other][1] == shape and found.formats[other][0] in FORMATS
        if alike and (bias := _constant(found, other)):
            yield f"the forget gate of {other} starts at a bias of {bias:g}, this one does not"
            return


def _constant(found: _Tensors, name: str) -> float:
    """The bias that all units of a forget gate have, of more than one; else 0."""
    if name not in found.constants:
        size = found.formats[name][1][0] // 4
        values = found.get(name)[size : 2 * size]
        found.constants[name] = float(values[0]) if size > 1 and (values == values[0]).all() else 0.0
    return found.constants[name]


_RULES: dict[str, Callable[[_Tensors, str, str], _Part | None]] = {
    "A_log": _mamba,
    "time_decay": _rwkv,
    "(?:a_param|recurrent_param|forget_base)": _rg_lru,
    "nu_log": _lru,
    r"fgate\.bias": _xlstm,
    r"gk_proj\.1\.bias": _gla,
    r"bias_ih(?:_l\d+(?:_reverse)?)?": _torch_layer,
}
"""Endings of names of tensors, and what they are."""

_ENDINGS = [(re.compile(rf"(?:^|(?<=[./])){ending}$"), rule) for ending, rule in _RULES.items()]


def _all_audited(parts: Iterator[_Part], lr: float) -> list[AuditedLayer]:
    layers: list[AuditedLayer] = []
    units = 0
    for part in parts:
        units += part.z.size
        if units > MOST_UNITS:
            raise ValueError(f"its layers have over {MOST_UNITS} units")
        layers.append(_audited(part, lr))
    return layers


def _audited(part: _Part, lr: float) -> AuditedLayer:
    z, form = part.z, FORMATS[part.form]
    log_decay = part.gate.log_phi(z)
    if (log_a := part.log_a) is not None:
        power = np.where(np.isfinite(log_a), np.exp(log_a), np.nan)
        log_decay = log_decay.reshape(-1, *[1] * (log_a.ndim - 1)) * power
    if not z.size or not np.isfinite(z).all() or np.isnan(log_decay).any():
        why = "not all are numbers" if z.size else "there are none"
        return AuditedLayer(part.name, part.model, z.size, (np.nan,) * 3, np.nan, np.nan, np.nan, (why,))
    times = 1 / np.abs(log_decay)  # infinite where the decay is 1, of whatever sign that 0 is
    flags = list(part.flags)
    if part.spread and z.size > 1 and np.ptp(np.quantile(z, (0.02, 0.98))) < ALIKE * part.spread:
        flags.append(f"all {z.size} are nearly alike, where the published start spreads")
    if part.range is not None:
        outside = float(np.mean((z < part.range[0] - SLACK) | (z > part.range[1] + SLACK)))
        if outside > OUTSIDE:
            flags.append(f"{outside:.0%} lie outside the published start")
        elif part.middle is not None and z.size >= MANY:
            half = float(np.median(z))
            if not part.middle[0] - SLACK < half < part.middle[1] + SLACK:
                side = "below" if half < part.middle[0] else "above"
                flags.append(f"half of them lie {side} {1 - END:.0%} of the published start")
    return AuditedLayer(
        name=part.name,
        model=part.model,
        units=z.size,
        times=tuple(map(float, _quantiles(times))),
        slope=float(np.median(part.gate.dphi(z))),
        unmoved=float(np.mean(np.all([_unmoved(*each, lr) for each in part.held or [(z, part.form)]], axis=0))),
        beyond=float(np.mean(times > longest(part.handed, form))),
        flags=tuple(flags),
    )


def _unmoved(x: np.ndarray, form: str, lr: float) -> np.ndarray:
    """Where x + lr and x - lr round to x: ties go to even, and below a power of two floats are closer by half."""
    spacing = FORMATS[form].spacing(x)
    power = (np.abs(np.frexp(x)[0]) == 0.5) & (np.abs(x) > 2.0 ** FORMATS[form].lowest)
    half = np.where(power, spacing / 4, spacing / 2)
    return (lr < half) | ((lr == half) & (np.fmod(x / spacing, 2) == 0))


def _quantiles(times: np.ndarray) -> np.ndarray:
    """Low, median and high; where the next above is infinite, so is what lies between."""
    below, above = (np.quantile(times, QUANTILES, method=side) for side in ("lower", "higher"))
    return np.where((below == above) | np.isinf(above), above, np.quantile(times, QUANTILES))
