"""Whether a kernel is to be trusted on this machine: it is tried once against its reference, before its first use.

A kernel passes the tests on the machines they ran on. Another processor, device, driver or compiler may still compute
something else, or nothing; so whatever is chosen by itself (``backend="auto"``) is held against plain operations on a
small problem first. The outcome is kept in the cache folder (:mod:`gateflow.codegen.compiler`), in a file that only its
user may write, under a name made of all that decides it: what is tried, source texts, versions and machine. A kernel
that computed something else is not tried again there; one that failed to run at all is, by the next process.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor

from gateflow import __version__
from gateflow.codegen import compiler
from gateflow.nn.functional import untraced

AUTOGRAD = torch._C.DispatchKeySet(torch._C.DispatchKey.AutogradFunctionality)

_known: dict[str, str | None] = {}
_lock = threading.RLock()


def reason_against(what: str, made_of: Sequence[str], room: float, measure: Callable[[], float]) -> str | None:
    """Why a kernel is not to be trusted here, in one clause; None where it agrees with its reference.

    Parameters
    ----------
    what : str
        What is tried, in words that a reason may begin with.
    made_of : sequence of str
        All else that decides the outcome: source texts, versions, and the device (:func:`machine`).
    room : float
        The largest error that is allowed, relative.
    measure : callable
        Runs the kernel and its reference and returns the error (:func:`error`). It is called once for a machine, with
        nothing tracing, transforming or casting what it computes.

    Examples
    --------
    >>> reason_against("a kernel of the doctest", ["v1"], 1e-5, lambda: 1e-7)
    >>> reason_against("another kernel", ["v1"], 1e-5, lambda: 0.5)
    'another kernel is off its reference on this machine by 0.5, where 1e-05 is allowed'
    >>> def broken():
    ...     raise RuntimeError("no such instruction")
    >>> reason_against("a third kernel", ["v1"], 1e-5, broken)
    'a third kernel does not run on this machine: RuntimeError: no such instruction'
    """
    key = hashlib.sha256("\0".join((what, __version__, torch.__version__, *made_of)).encode()).hexdigest()[:32]
    with _lock:
        if key in _known:
            return _known[key]
        off = _recalled(key)
        if off is None:
            try:
                with apart():
                    off = measure()
            except Exception as problem:  # whatever a compiler, a driver or a launch may raise
                said = (str(problem).strip().splitlines() or [""])[0][:200]
                name = type(problem).__name__
                _known[key] = f"{what} does not run on this machine: {name}{': ' if said else ''}{said}"
                return _known[key]
            compiler.keep(_file(key), json.dumps({"tried": what, "error": off, "allowed": room}).encode())
        bad = f"{what} is off its reference on this machine by {off:.2g}, where {room:g} is allowed"
        _known[key] = None if off <= room else bad
        return _known[key]


def error(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """The largest error of some tensors, each relative to the norm of the right one; infinite where one is NaN.

    Examples
    --------
    >>> error([torch.tensor([3.0, 4.5])], [torch.tensor([3.0, 4.0])])
    0.1
    >>> error([torch.tensor([math.nan])], [torch.tensor([3.0])])
    inf
    """
    off = 0.0
    for a, b in zip(found, wanted, strict=True):
        right = b.double()
        scale = float(right.norm())
        one = float((a.to(right) - right).norm()) / (scale or 1.0)
        off = max(off, one if math.isfinite(one) and a.shape == b.shape else math.inf)
    return off


@contextmanager
def apart() -> Iterator[None]:
    """Within, tensors are numbers and have gradients, whatever is traced, transformed or cast around it."""
    with untraced():
        include, exclude = torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set()
        with (
            torch._C._ForceDispatchKeyGuard(include, exclude - AUTOGRAD),
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast("cpu", enabled=False),
            torch.autocast("cuda", enabled=False),
        ):
            yield


def generator() -> torch.Generator:
    """Random numbers of a trial, the same each time, and no draw of the user's.

    Examples
    --------
    >>> torch.equal(torch.rand(3, generator=generator()), torch.rand(3, generator=generator()))
    True
    """
    return torch.Generator("cpu").manual_seed(0)


@lru_cache(maxsize=32)
def text(package: str, *names: str) -> str:
    """Source files of a package, one behind the other.

    Examples
    --------
    >>> text("gateflow.nn.kernels", "trust.py").startswith('\\"\\"\\"Whether a kernel is to be trusted')
    True
    """
    return "".join(files(package).joinpath(name).read_text(encoding="utf-8") for name in names)


def machine(device: torch.device) -> tuple[str, ...]:
    """What a kernel runs on: for a GPU its name, driver and compilers; for a CPU its model."""
    if device.type != "cuda":
        return (device.type, platform.machine(), processor())
    found = torch.cuda.get_device_name(device), str(torch.cuda.get_device_capability(device))
    return (device.type, *found, str(torch.version.cuda), _driver(), _version("triton"))


@lru_cache(maxsize=1)
def processor() -> str:
    """The model of the processor, as the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@lru_cache(maxsize=1)
def _driver() -> str:
    try:
        return Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        return ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _file(key: str) -> str:
    return f"trial-{key}.json"


def _recalled(key: str) -> float | None:
    """The error that was measured before on this machine; None where nothing is kept, or it is damaged."""
    data = compiler.recalled(_file(key))
    try:
        off = json.loads(data or b"null")["error"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return off if isinstance(off, float) and off >= 0 else None
