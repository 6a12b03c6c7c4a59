"""The decays in a checkpoint: time constants, what can still move, and whether a start is the published one.

Layers are known by the names of their tensors. What is looked at is the part of a decay that does not depend on the
input: biases and decay parameters.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gateflow.descents.decays import QUANTILES, longest
from gateflow.descents.precision import FORMATS
from gateflow.errors import InvalidArgument, MissingExtra, shown
from gateflow.files.pickles import check_pickles
from gateflow.files.read import opened
from gateflow.files.safetensors import MOST as MOST_OF_A_TENSOR
from gateflow.files.safetensors import numbers, stored
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.gates.published import DECAYS

MOST = 1 << 34
"""Bytes of a state dict of PyTorch that is read."""

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
    """The decays of a checkpoint, layer by layer; ``lr`` is the size of a step."""

    path: str
    lr: float
    layers: tuple[AuditedLayer, ...]

    @property
    def flagged(self) -> bool:
        """Whether some layer has a flag."""
        return any(layer.flags for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {"path": self.path, "lr": self.lr, "flagged": self.flagged, "layers": [vars(one) for one in self.layers]}


def audit(path: str | Path, *, lr: float = 1e-3, patterns: Mapping[str, str] | None = None) -> Audit:
    """Look at the decays of a checkpoint.

    Parameters
    ----------
    path : str or Path
        A safetensors file, or a state dict that ``torch.save`` wrote; of the latter, tensors only are read.
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
    own = [_pattern(text, gate) for text, gate in (patterns or {}).items()]
    try:
        found = _Tensors.of(path)
        with np.errstate(all="ignore"):  # a decay may round to 0 or 1: time constants are then 0 or infinite
            layers = [_audited(part, lr) for part in _parts(found, own)]
    except OSError as problem:
        raise InvalidArgument(f"cannot read {str(path)!r}: {problem.strerror or problem}") from None
    except ValueError as problem:
        if isinstance(problem, InvalidArgument):
            raise
        raise InvalidArgument(f"{path}: {problem}") from None
    return Audit(str(path), float(lr), tuple(layers))


# --- tensors ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tensors:
    """Float tensors by name: format and shape, and how to get the numbers."""

    formats: dict[str, tuple[str, tuple[int, ...]]]
    get: Callable[[str], np.ndarray]
    gates: Mapping[str, str] = field(default_factory=dict)
    """Formulas of gates by their modules, which layers of gateflow leave in a state dict of PyTorch."""

    @classmethod
    def of(cls, path: Path) -> _Tensors:
        with opened(path) as file:
            start = file.read(4)
        is_archive = start == b"PK\3\4"
        if is_archive or path.suffix in (".pt", ".pth", ".ckpt", ".bin"):
            return cls._of_pytorch(path, is_archive)
        tensors, about = stored(path)
        if "gateflow" in about:
            raise ValueError("it is a checkpoint of gateflow: gateflow timescales analyses its run")
        found = {name: each for name, each in tensors.items() if each.form in FORMATS}
        return cls(
            {name: (each.form, each.shape) for name, each in found.items()}, lambda name: numbers(path, found[name])
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
            read = torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
        except Exception as problem:  # whatever is in the file
            first = (str(problem).splitlines() or [type(problem).__name__])[0]
            raise ValueError(f"PyTorch reads no tensors from it: {first[:120]}") from None
        for key in ("state_dict", "model_state_dict", "model"):
            if isinstance(read, dict) and isinstance(read.get(key), dict):
                read = read[key]
        if not isinstance(read, dict):
            raise ValueError("it holds no state dict")
        tensors = {
            name: t
            for name, t in read.items()
            if isinstance(name, str) and isinstance(t, torch.Tensor) and str(t.dtype)[6:] in FORMATS
        }
        about = getattr(read, "_metadata", None)
        modules = about.items() if isinstance(about, dict) else ()
        return cls(
            {name: (str(t.dtype)[6:], tuple(t.shape)) for name, t in tensors.items()},
            lambda name: _numbers_of(name, tensors[name]),
            {name: str(said["gate"]) for name, said in modules if isinstance(said, dict) and "gate" in said},
        )


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
    """What is known of a layer before it is measured; ``log_decay`` where it is more than that of the gate at z."""

    name: str
    model: str
    gate: Gate
    z: np.ndarray
    form: str
    handed: str = "a"
    spread: float = 0.0
    range: tuple[float, float] | None = None
    middle: tuple[float, float] | None = None
    log_decay: np.ndarray | None = None
    flags: list[str] = field(default_factory=list)


def _pattern(text: str, gate: str) -> tuple[re.Pattern[str], Gate]:
    try:
        return re.compile(text), as_gate(gate)
    except re.error as problem:
        raise InvalidArgument(f"the pattern {shown(text)} is no regular expression: {problem}") from None


def _parts(found: _Tensors, own: Iterable[tuple[re.Pattern[str], Gate]]) -> Iterator[_Part]:
    for name in sorted(found.formats):
        gates = [gate for pattern, gate in own if pattern.search(name)]
        known = []
        for ending, rule in _RULES.items():
            if match := re.search(rf"(?:^|(?<=[./])){ending}$", name):
                part = rule(found, name, name[: match.start()])
                if part is not None:
                    known.append(part)
        if gates and known and known[0].model in ("lstm", "gru"):
            known[0].gate, gates = gates[0], gates[1:]
        for gate in gates:
            yield _Part(name, gate.label, gate, found.get(name).ravel(), found.formats[name][0])
        yield from known


def _published(name: str, model: str, z: np.ndarray, form: str, widest: tuple[float, float] | None = None) -> _Part:
    """A layer of a published model, whose start spreads."""
    low, high = map(float, DECAYS[model].start_at(np.array([0.0, 1.0])) if widest is None else widest)
    spread = float(np.ptp(DECAYS[model].start_at(np.array([0.02, 0.98]))))
    part = _Part(name, model, as_gate(model), z.ravel(), form, DECAYS[model].handed, spread, (low, high))
    if widest is None:
        first, last = map(float, DECAYS[model].start_at(np.array([END, 1 - END])))
        part.middle = first, last
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
    part.log_decay = as_gate("sigmoid").log_phi(z).reshape(-1, *[1] * (log_a.ndim - 1)) * np.exp(log_a)
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
    return _Part(name, "gla", as_gate("gla"), found.get(name).ravel(), found.formats[name][0], "log a")


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
    z = (found.get(name) + found.get(other))[size : 2 * size]
    block = "forget" if rows == 4 * size else "update"
    owners = (before, f"{before}equations.")  # a layer, or a cell for one step at a time
    noted = (found.gates.get(f"{owner}{block}_gate") for owner in owners)
    gate = as_gate(next(filter(None, noted), "sigmoid"))
    part = _Part(name, "lstm" if rows == 4 * size else "gru", gate, z, found.formats[name][0])
    if part.model == "lstm":
        part.flags += _left_out(found, other, before + "bias_hh")
    return part


def _left_out(found: _Tensors, name: str, start: str) -> Iterator[str]:
    """That another layer's forget gate has one bias in all units, as only a start sets it, and this layer's has not."""
    size = found.formats[name][1][0] // 4
    if _constant(found, name, size):
        return
    for other in sorted(found.formats):
        alike = other.startswith(start) and found.formats[other][1] == (4 * size,)
        if alike and (bias := _constant(found, other, size)):
            yield f"the forget gate of {other} starts at a bias of {bias:g}, this one does not"
            return


def _constant(found: _Tensors, name: str, size: int) -> float:
    """The bias that all units of a forget gate have, of more than one; else 0."""
    values = found.get(name)[size : 2 * size]
    return float(values[0]) if size > 1 and (values == values[0]).all() else 0.0


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


def _audited(part: _Part, lr: float) -> AuditedLayer:
    z, form = part.z, FORMATS[part.form]
    log_decay = part.gate.log_phi(z) if part.log_decay is None else part.log_decay
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
        unmoved=float(np.mean(lr < form.spacing(z) / 2)),
        beyond=float(np.mean(times > longest(part.handed, form))),
        flags=tuple(flags),
    )


def _quantiles(times: np.ndarray) -> np.ndarray:
    """Low, median and high; infinite where the next above is."""
    above = np.quantile(times, QUANTILES, method="higher")
    return np.where(np.isinf(above), above, np.quantile(times, QUANTILES))
