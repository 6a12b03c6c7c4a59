"""Hitting times of many problems in C, from the gate's formula: what :mod:`gateflow.flows.time` does in NumPy.

The kernel (``hitting_time.c`` beside this file) takes the same panels with the same formulas, in vector code, one
problem after another. What is out of the ordinary (a start on the target, a target outside the gate's range, floats
that overflow) it leaves to NumPy, as it leaves other losses and formulas without a C form.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import sympy as sp

from gateflow.codegen import Tape, c, log_composed
from gateflow.codegen.compiler import available, compiled_once, defines, library, native
from gateflow.codegen.rewrite import log_hypot
from gateflow.errors import InvalidArgument, NoCompiler, shown
from gateflow.flows.batch import Array, ProblemBatch
from gateflow.flows.critical import cuts, goes_by_decay, limits, reach, z_of_u
from gateflow.flows.density import log_softplus
from gateflow.flows.panels import MATRIX, NODES, X01
from gateflow.flows.rounding import Rounding, rounding
from gateflow.formula.vocabulary import U, Z
from gateflow.gates.gate import Gate
from gateflow.gates.numbers import Numbers

Made = TypeVar("Made")

BACKENDS = ("auto", "numpy", "compiled")

CHUNK = 16384
"""Problems a thread takes at a time."""

MARKS = (-5.0, -1.2, 1.2, 5.0)
"""Logit profiles where panels end for every gate: fewer than in NumPy, where halving a panel costs more (measured)."""

MOST_MARKS = 50
"""Profiles where panels end that the kernel has room for."""

Pointer = ctypes.POINTER(ctypes.c_double)

FINE = np.concatenate(
    [np.linspace(-690.0, -5.0, 13701), np.linspace(-5.0, 5.0, 2001)[1:-1], np.linspace(5, 690, 13701)]
)
"""asinh z at which the profile is tabulated for gates without a closed inverse."""
STEP = 0.02
"""Of asinh u, in the table of their inverse."""


class _Gate(ctypes.Structure):
    """The structure of the same name in the C text."""

    _fields_ = (
        *((name, Pointer) for name in ("mark_sp", "mark_lsp", "mark_z", "lost_at", "lost", "lost_u", "inverse")),
        *((name, Pointer) for name in ("flat", "kink")),
        *((name, ctypes.c_double) for name in ("first", "step", "lowest", "highest")),
        *((name, ctypes.c_long) for name in ("marks", "counted", "steps", "flats", "kinks")),
    )


class Kernel:
    """The compiled kernel of one gate.

    Parameters
    ----------
    gate : Gate
    own : array
        Logit profiles at kinks and dips of the gate, where panels end.
    flat : array
        Logit profiles that no flow crosses.

    Raises
    ------
    NoCompiler
        There is no compiler, or the gate has no form in C.
    """

    def __init__(self, gate: Gate, own: Array, flat: Array) -> None:
        marks = np.unique(np.concatenate([MARKS, own])) if goes_by_decay(gate) else np.array(MARKS)
        if np.any(np.isfinite(reach(gate))):
            raise NoCompiler(f"{gate.name} becomes 0 or 1 at a finite z, which the compiled kernel does not know")
        if marks.size > MOST_MARKS:
            raise NoCompiler(f"{gate.name} has too many kinks for the compiled kernel")
        self._hitting_times = library(_source(gate), flags=(*c.FLAGS, *native()), name="hitting-time").hitting_times
        self._hitting_times.restype = None
        lowest, highest = limits(gate)
        with np.errstate(all="ignore"):
            self._gate = self._filled(
                {**_edges(gate, marks), **_inverse(gate), "kink": _kinks(gate)}, flat, rounding(gate), lowest, highest
            )

    def _filled(
        self, arrays: dict[str, Any], flat: Array, lost: Rounding | None, lowest: float, highest: float
    ) -> _Gate:
        lost = lost or Rounding(*np.empty((3, 0)))
        arrays = {**arrays, "flat": flat, "lost_at": lost.nodes, "lost": lost.density, "lost_u": lost.profile}
        first = arrays.pop("first", 0.0)
        self._kept = {name: np.ascontiguousarray(array, dtype=np.float64) for name, array in arrays.items()}
        return _Gate(
            **{name: _at(array) for name, array in self._kept.items()},
            lowest=lowest,
            highest=highest,
            first=first,
            step=STEP,
            marks=max(self._kept["mark_sp"].size, self._kept["mark_z"].size),
            counted=lost.nodes.size,
            steps=self._kept["inverse"].size,
            flats=flat.size,
            kinks=self._kept["kink"].size,
        )

    def __call__(self, batch: ProblemBatch) -> tuple[Array, Array, Any]:
        """log tau, its relative error and the evaluations spent, of rows; log tau is nan where NumPy must do it."""
        count = batch.z0.size
        log_tau, error, evaluations = np.empty(count), np.empty(count), np.empty(count, dtype=np.int64)
        inputs = (batch.horizon, batch.stop.h, batch.stop.log, batch.z0, batch.scale)
        self._hitting_times(
            ctypes.byref(self._gate),
            ctypes.c_long(count),
            *(_at(array) for array in (*inputs, log_tau, error)),
            evaluations.ctypes.data_as(ctypes.POINTER(ctypes.c_int64)),
        )
        return log_tau, error, evaluations


def _at(array: Any) -> Any:
    return array.ctypes.data_as(Pointer)


def _source(gate: Gate) -> str:
    """All of the C text: the functions, the rule, the gate, the kernel."""
    by_decay = goes_by_decay(gate)

    def numbers(arithmetic: Any) -> Numbers:
        return Numbers(gate, arithmetic)

    if by_decay:
        factor, rest = _weight(gate)
        formulas = [
            c.written("gate_u", lambda a, z: numbers(a).u(z)),
            c.written("gate_log_du", lambda a, z: numbers(a).log_du(z)),
            c.written("gate_log_weight", lambda a, u: numbers(a).log_weight(u), inputs="u"),
            c.written("gate_weight", factor, inputs="u"),
            c.written("gate_log_rest", rest, inputs="u"),
        ]
    else:
        formulas = [c.written("gate_both", lambda a, z: (numbers(a).u(z), numbers(a).log_du(z)))]
    kernel = Path(__file__).with_name("hitting_time.c").read_text(encoding="utf-8")
    return "\n".join([c.header(), _rule(), *formulas, f"#define BY_DECAY {int(by_decay)}", kernel])


def _weight(gate: Gate) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The weight W(u) as ``factor exp(rest)``: what has a plain factor needs no logarithm and no exponential.

    ``log_hypot(x)`` in the logarithm of the slope is a factor ``1/(1 + x^2)`` of W. It may underflow, where the whole
    integral does too in units of its largest part, and NumPy takes over.
    """
    formulas = gate.formulas
    if not gate.is_profile or formulas.inverse is None:
        return lambda a, u: a.constant(1), lambda a, u: Numbers(gate, a).log_weight(u)
    log_slope = log_composed(formulas.log_du.subs(Z, formulas.inverse))
    factor, rest = sp.S.One, sp.S.Zero
    for term in sp.Add.make_args(log_slope):
        size, node = term.as_coeff_Mul()
        if isinstance(node, log_hypot) and size.is_Integer and 0 < size <= 2:
            factor *= (1 + node.args[0] ** 2) ** -size
        else:
            rest -= 2 * term
    tape = Tape([factor, rest], [U])
    return lambda a, u: tape(a, u)[0], lambda a, u: tape(a, u)[1]


def _rule() -> str:
    """The nodes, and the weights of the right half of them: the rule is symmetric, up to the sign of odd degrees.

    One row a node, with a column a sum: the mean, the Legendre coefficients 6, 7, 14 and 15, and the even and the odd
    part of the value at the upper edge, made of sums and differences of what stands at a node and at its mirror image.
    """
    half = np.zeros((NODES // 2, 8))
    half[:, : MATRIX.shape[1]] = MATRIX[: NODES // 2 - 1 : -1]
    odd = np.array([False, False, True, False, True, False, True, False])
    tables = (("X01", X01), ("EVEN", np.where(odd, 0.0, half)), ("ODD", np.where(odd, half, 0.0)))
    return "\n".join(f"static const double {name}{_c_array(table)};" for name, table in tables)


def _c_array(table: Array) -> str:
    """The size of a table and its numbers, as C has them."""
    size = "".join(f"[{n}]" for n in table.shape)
    rows = ("{" + ", ".join(float(x).hex() for x in row) + "}" for row in np.atleast_2d(table))
    return f"{size} = " + (f"{{{', '.join(rows)}}}" if table.ndim > 1 else next(rows))


def _edges(gate: Gate, marks: Array) -> dict[str, Array]:
    """Where panels end whatever the problem: as decays over T, or as positions."""
    if goes_by_decay(gate):
        down = marks[::-1]
        return {"mark_sp": np.logaddexp(0.0, -down), "mark_lsp": log_softplus(-down), "mark_z": np.zeros(1)}
    positions = z_of_u(gate, marks)
    positions = np.unique(np.concatenate([positions[np.isfinite(positions)], cuts(gate)]))
    return {"mark_sp": np.zeros(1), "mark_lsp": np.zeros(1), "mark_z": positions}


def _kinks(gate: Gate) -> Array:
    """Positions of kinks, for gates whose panels end at positions."""
    return np.asarray([] if goes_by_decay(gate) else gate.kinks, dtype=np.float64)


def _inverse(gate: Gate) -> dict[str, Any]:
    """asinh z at even steps of asinh u, for gates without a closed inverse."""
    if goes_by_decay(gate):
        return {"inverse": np.zeros(1)}
    v = FINE
    u = np.arcsinh(np.broadcast_to(gate.float64.u(np.sinh(v)), v.shape))
    grows = np.isfinite(u)
    grows[grows] = np.append(True, u[grows][1:] > np.maximum.accumulate(u[grows])[:-1])
    if np.count_nonzero(grows) < 2:
        raise NoCompiler(f"{gate.name} has no profile that grows, for the compiled kernel")
    u, v = u[grows], v[grows]
    even = np.arange(u[0], u[-1] + STEP, STEP)
    return {"inverse": np.interp(even, u, v), "first": float(u[0])}


@compiled_once
def kernel_of(gate: Gate, own: tuple[float, ...], flat: tuple[float, ...]) -> Kernel:
    """The kernel of a gate, compiled on its first use on this machine."""
    return Kernel(gate, np.array(own), np.array(flat))


# --- the choice -------------------------------------------------------------------------------------------------------


def wanted_backend(backend: str | None) -> str:
    """The backend that is asked for: by the argument, else by ``GATEFLOW_BACKEND``, else "auto".

    Examples
    --------
    >>> wanted_backend("numpy")
    'numpy'
    """
    wanted = backend if backend is not None else os.environ.get("GATEFLOW_BACKEND") or "auto"
    if wanted not in BACKENDS:
        where = "backend" if backend is not None else "GATEFLOW_BACKEND"
        raise InvalidArgument(f"{where} must be one of {', '.join(BACKENDS)}; got {shown(wanted)}")
    return wanted


def by_kernel(make: Callable[[], Made], backend: str | None, *, pays: bool) -> Made | None:
    """What ``make`` compiles, where that is asked for, or pays and can be; None where NumPy is to do it.

    Raises
    ------
    NoCompiler
        ``backend`` is "compiled", and there is no kernel.
    """
    wanted = wanted_backend(backend)
    if wanted == "numpy" or (wanted == "auto" and not pays):
        return None
    try:
        return make()
    except NoCompiler:
        if backend == "compiled":
            raise
        return None


def backend_version() -> str:
    """What computes many problems at once here: for records, since its last bits are its own."""
    found = None if wanted_backend(None) == "numpy" else available()
    if found is None:
        return "numpy"
    fused = any(defines(macro, native()) for macro in ("__FMA__", "__ARM_FEATURE_FMA", "__aarch64__"))
    return f"compiled by {found}, {'with' if fused else 'without'} fused multiply-add"
