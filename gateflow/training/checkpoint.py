"""A state of training in one file, from which it goes on to the same last bit: safetensors with JSON, never a pickle.

The tensors are those of safetensors; all else is JSON in its header, with a digest over both. A file is written beside
the old one, flushed to the disk and renamed, so that at any moment, and after a power cut, there is a whole one; the
one before is kept as well.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gateflow.errors import InvalidArgument, MissingExtra
from gateflow.files import Place, from_json, one_line, opened, read_bytes

FORMAT = 1

LARGEST = 1 << 33
"""Bytes of a file that is read."""

HEADER = 100_000_000
"""Bytes of its header, at most: safetensors reads no longer one."""


class Damaged(InvalidArgument):
    """The file is no checkpoint, cut short, or altered."""


@dataclass
class Checkpoint:
    """A state of training.

    Parameters
    ----------
    facts : dict
        What JSON can hold: counters, settings, the state of the schedule.
    tensors : dict of Tensors
        Weights, moments of the optimiser, states of generators.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def add(self, prefix: str, tensors: Mapping[str, Tensor]) -> None:
        """Put tensors under a prefix."""
        self.tensors.update({f"{prefix}/{name}": tensor for name, tensor in tensors.items()})

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors under a prefix."""
        start = f"{prefix}/"
        return {name.removeprefix(start): part for name, part in self.tensors.items() if name.startswith(start)}


def to_bytes(checkpoint: Checkpoint) -> bytes:
    """A checkpoint as the bytes of a safetensors file.

    Examples
    --------
    >>> data = to_bytes(Checkpoint({"step": 3}, {"w": torch.ones(2)}))
    >>> from_bytes(data).facts, from_bytes(data).tensors["w"]
    ({'step': 3}, tensor([1., 1.]))
    """
    # a copy each: safetensors refuses tensors that share memory
    tensors = {name: part.detach().cpu().clone().contiguous() for name, part in checkpoint.tensors.items()}
    facts = json.dumps({"format": FORMAT, **checkpoint.facts}, sort_keys=True)
    # in one entry: safetensors keeps several in no order, and equal states shall be equal files
    return _safetensors().save(tensors, {"gateflow": f"{_digest(facts, tensors)} {facts}"})


def from_bytes(data: bytes, name: str = "the checkpoint") -> Checkpoint:
    """A checkpoint from its bytes.

    Raises
    ------
    Damaged
        They are not whole, or not what was written.
    """
    torch_side, error = _safetensors(), _error()
    try:
        tensors = torch_side.load(data)
        size = int.from_bytes(data[:8], "little")
        digest, _, text = json.loads(data[8 : 8 + size])["__metadata__"]["gateflow"].partition(" ")
        facts = from_json(text)
    except (error, ValueError, KeyError, TypeError, AttributeError, RuntimeError, RecursionError):
        raise Damaged(f"{name} is cut short, or no checkpoint") from None
    if not isinstance(facts, dict) or facts.pop("format", None) != FORMAT:
        raise Damaged(f"{name} was written by another version of gateflow")
    if digest != _digest(text, tensors):
        raise Damaged(f"{name} was altered: its digest does not fit")
    return Checkpoint(facts, {key: part.clone() for key, part in tensors.items()})  # of its own, aligned memory


def write(place: Place, name: str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the file of that name that was there is kept as the previous one, once this one is safe."""
    with place.draft(name) as draft:
        draft.file.write(to_bytes(checkpoint))
        draft.flush()
        if place.stat(name) is not None:
            place.keep_as(name, previous(name))


def read(path: Path) -> Checkpoint:
    """The checkpoint in a file."""
    with one_line("read", path, error=Damaged):
        if not _has_its_length(path):
            raise Damaged(f"{path} is cut short, or no checkpoint")
        data = read_bytes(path, LARGEST)
    return from_bytes(data, str(path))


def _has_its_length(path: Path) -> bool:
    """Whether a file is as long as its header says: one that is not is not read whole, for it may be of any length."""
    with opened(path, LARGEST) as file:
        there = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if length > min(HEADER, there):
            return False
        try:
            header = json.loads(file.read(length))
            ends = [part["data_offsets"][1] for name, part in header.items() if name != "__metadata__"]
            return 8 + length + max(ends, default=0) == there
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            return False


def latest(path: Path, check: Callable[[Checkpoint], None] = lambda _: None) -> tuple[Checkpoint | None, str]:
    """The newest whole checkpoint at ``path``, None where none was ever written; and a note if it is not the last one.

    Parameters
    ----------
    path : Path
    check : callable
        Raises :class:`Damaged` for one that will not do.

    Raises
    ------
    Damaged
        There are files, and none is whole.
    """
    complaint: Damaged | None = None
    for candidate in (path, path.with_name(previous(path.name))):
        if not os.path.lexists(candidate):
            continue
        try:
            found = read(candidate)
            check(found)
        except Damaged as problem:
            complaint = complaint or problem
            continue
        return found, f"{complaint}; going on from the one before" if complaint else ""
    if complaint is not None:
        raise complaint
    return None, ""


def previous(name: str) -> str:
    """Under which name the checkpoint before the last one is kept.

    Examples
    --------
    >>> previous("checkpoint.safetensors")
    'checkpoint.previous.safetensors'
    """
    stem, dot, ending = name.rpartition(".")
    return f"{stem}.previous{dot}{ending}"


def _digest(facts: str, tensors: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        part = tensors[name]
        found.update(f"{name} {part.dtype} {tuple(part.shape)}".encode())
        found.update(part.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _safetensors() -> Any:
    try:
        from safetensors import torch as torch_side
    except ImportError:
        raise MissingExtra("checkpoints", "nn") from None
    return torch_side


def _error() -> type[Exception]:
    from safetensors import SafetensorError

    return SafetensorError


# --- states of PyTorch's own objects --------------------------------------------------------------------------------


def optimizer_parts(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The state of an optimiser as facts and tensors."""
    whole = optimizer.state_dict()
    facts: dict[str, Any] = {"groups": whole["param_groups"], "state": {}}
    tensors: dict[str, Tensor] = {}
    for index, state in whole["state"].items():
        for name, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"{index}/{name}"] = value
            else:
                facts["state"].setdefault(str(index), {})[name] = value
    return facts, tensors


def restore_optimizer(optimizer: torch.optim.Optimizer, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Give an optimiser the state that :func:`optimizer_parts` took."""
    state: dict[int, dict[str, Any]] = {int(index): dict(found) for index, found in facts["state"].items()}
    for key, tensor in tensors.items():
        index, _, name = key.partition("/")
        state.setdefault(int(index), {})[name] = tensor
    groups = []
    for fresh, kept in zip(optimizer.state_dict()["param_groups"], facts["groups"], strict=True):
        groups.append({k: tuple(v) if isinstance(fresh.get(k), tuple) else v for k, v in kept.items()})
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    # PyTorch gives every floating tensor of the state the type of its weight, and some are of another
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for index, found in state.items():
        mine = optimizer.state[weights[index]]
        for name, value in found.items():
            if isinstance(value, Tensor):
                mine[name] = value.to(mine[name].device)


def schedule_facts(schedule: Any) -> dict[str, Any]:
    """What changes in a schedule; tables such as milestones are made anew from the settings."""
    return {name: value for name, value in schedule.state_dict().items() if not isinstance(value, Mapping)}


def generator_states() -> dict[str, Tensor]:
    """The states of PyTorch's own generators."""
    found = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        found |= {f"cuda{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return found


def restore_generators(states: Mapping[str, Tensor]) -> None:
    """Give PyTorch's own generators the states that :func:`generator_states` took."""
    torch.set_rng_state(states["cpu"])
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            if (state := states.get(f"cuda{i}")) is not None:
                torch.cuda.set_rng_state(state, i)
