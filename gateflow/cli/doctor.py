"""Versions and devices, and checks of known results."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from gateflow.cli._options import Json
from gateflow.cli._terminal import Listing, number, pairs, print_json, say
from gateflow.errors import EXTRAS, install_line

FAILED = 1


@dataclass(frozen=True)
class SelfCheck:
    """One thing computed here and known otherwise: how far off it is, and how far it may be."""

    what: str
    measured: float
    bound: float
    unit: str

    @property
    def passed(self) -> bool:
        return self.measured <= self.bound


def run(*, json: Json = False) -> int:
    """Show versions, extras and device, and check a few results against values known otherwise.

    The exit code is 1 where a check fails.

    Examples
    --------
    $ gateflow doctor
    $ gateflow doctor --json
    """
    checks = [found for check in CHECKS if (found := check()) is not None]
    facts = {"versions": _versions(), "extras": _extras(), "device": _device()}
    if json:
        print_json({**facts, "checks": [{**asdict(check), "passed": check.passed} for check in checks]})
    else:
        _print(facts, checks)
    return 0 if all(check.passed for check in checks) else FAILED


# --- what is here -----------------------------------------------------------------------------------------------------


def _versions() -> dict[str, str]:
    from gateflow.record import git_commit, versions

    commit = git_commit()
    return {**versions(), "commit": commit} if commit else versions()


def _extras() -> dict[str, list[str]]:
    """For each extra, the packages that are missing."""
    return {extra: [name for name in packages if not _installed(name)] for extra, packages in EXTRAS.items()}


def _installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def _device() -> dict[str, Any]:
    from gateflow.codegen.compiler import available, cache_note

    cpu = {
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count() or 1,
        "compiler": available() or "none: kernels run in NumPy and PyTorch",
        "kernels": cache_note(),
    }
    if find_spec("torch") is None:
        return {**cpu, "gpu": None}
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return {**cpu, "layers": _backend(), "gpu": gpu}


def _backend() -> str:
    """What computes an LSTM with another forget gate than the sigmoid here."""
    import warnings

    import torch

    from gateflow.nn import LSTM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a missing compiler is reported above
        return LSTM(1, 1, forget_gate="fast").backend_for(torch.zeros(1, 1))


# --- what it computes -------------------------------------------------------------------------------------------------


def _saturated_fast_gate() -> SelfCheck:
    """1 - phi = 1/(1 + exp(sinh z)), in 60 digits, where 1 - phi(z) computed as written is 0."""
    import mpmath
    import numpy as np

    from gateflow.gates.gate import gate

    with mpmath.workdps(60):
        exact = 1 / (1 + mpmath.exp(mpmath.sinh(5)))
        off = abs(mpmath.mpf(float(gate("fast").phi_c(5.0))) - exact)
        ulps = float(off / mpmath.mpf(float(np.spacing(float(exact)))))
    return SelfCheck("1 - phi of the fast gate at z = 5", ulps, 1.0, "ulps")


def _inverse_of_softsign() -> SelfCheck:
    """1 - phi = 1/(2 + z) for z >= 0."""
    from gateflow.gates.gate import gate

    found = float(gate("softsign").inverse_c(1e-300))
    return SelfCheck("z where softsign leaves 1e-300", abs(found / 1e300 - 1), 1e-15, "relative")


def _time_of_sigmoid() -> SelfCheck:
    """T = 1 has the closed form e^z + 2z - e^-z = c tau + const."""
    import mpmath

    from gateflow.flows.problem import LearningProblem
    from gateflow.flows.time import hitting_time

    problem = LearningProblem("sigmoid", horizon=1, gap=2.0**-40, scale=3.0)
    found = hitting_time(problem, -4.0).tau
    with mpmath.workdps(50):
        end = mpmath.log(mpmath.mpf(2) ** 40 - 1)
        exact = (2 * mpmath.sinh(end) + 2 * end - 2 * mpmath.sinh(-4) + 8) / 3
        off = float(abs(mpmath.mpf(float(found)) / exact - 1))
    return SelfCheck("learning time of the sigmoid, T = 1, gap 2^-40", off, 1e-12, "relative")


def _refusals() -> SelfCheck:
    """Formulas that would be code are refused."""
    from gateflow.errors import GateflowError
    from gateflow.gates.gate import gate

    hostile = ("__import__('os').getcwd()", "(lambda: z)()", "z.__class__", "9**9**9*z", "open('x')")
    accepted = 0
    for text in hostile:
        try:
            gate(text)
        except GateflowError:
            continue
        accepted += 1
    return SelfCheck("hostile formulas accepted", accepted, 0, f"of {len(hostile)}")


def _compiled_layer() -> SelfCheck | None:
    """The LSTM as it is computed here against the plain loop over time, both in float64: outputs and gradients."""
    if find_spec("torch") is None:
        return None
    import torch

    from gateflow.nn import LSTM

    fast, plain = (LSTM(3, 20, forget_gate="fast", backend=b, dtype=torch.float64) for b in (_backend(), "reference"))
    fast.load_state_dict(plain.state_dict())
    x = torch.linspace(-2, 2, 180, dtype=torch.float64).view(12, 5, 3)
    found, wanted = (
        [output, *torch.autograd.grad(output.sum(), list(layer.parameters()))]
        for layer in (fast, plain)
        for output in (layer(x)[0],)
    )
    off = max(float(((a - b).abs().max() / b.abs().max()).detach()) for a, b in zip(found, wanted, strict=True))
    return SelfCheck(f"LSTM with the fast gate, by {_backend()}, and its gradients", off, 1e-12, "relative")


CHECKS: tuple[Callable[[], SelfCheck | None], ...] = (
    _saturated_fast_gate,
    _inverse_of_softsign,
    _time_of_sigmoid,
    _compiled_layer,
    _refusals,
)


# --- print ------------------------------------------------------------------------------------------------------------


def _print(facts: dict[str, Any], checks: list[SelfCheck]) -> None:
    extras = ((extra, _state(extra, missing)) for extra, missing in facts["extras"].items())
    device = ((name, str(value)) for name, value in facts["device"].items())
    rows = [
        [
            check.what,
            f"{number(check.measured, 2)} {check.unit}",
            f"{check.bound:g}",
            "ok" if check.passed else "FAILED",
        ]
        for check in checks
    ]
    results = Listing(["check", "measured", "at most", ""], rows)
    say(pairs(facts["versions"].items()), "", pairs(extras), "", pairs(device), "", results)


def _state(extra: str, missing: list[str]) -> str:
    if not missing:
        return "installed"
    return f"lacks {', '.join(missing)}: {install_line(extra)}"
