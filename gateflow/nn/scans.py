"""The scan of a linear recurrence, ``h_t = a_t h_(t-1) + b_t``, with any gate as its decay.

Two operators that PyTorch knows, ``gateflow::scan`` and ``gateflow::scan_backward``: on a CPU each is one pass over
memory in C, for float32 with a state that keeps what its rounding loses. Elsewhere, and where there is no compiler, it
is a loop over time, except for Triton kernels on a GPU that passed their trial there. Derivatives of any order are
scans again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gateflow.errors import InvalidArgument, InvalidTensor, NoCompiler, shown
from gateflow.gates.gate import Gate
from gateflow.nn import exporting
from gateflow.nn.functional import GateFunction, LevelFunction, differentiable, gate_function
from gateflow.nn.kernels import native
from gateflow.nn.kernels import scan as kernels
from gateflow.nn.kernels.triton import scan as on_gpu
from gateflow.nn.kernels.workspace import dense as _dense

LIBRARY = torch.library.Library("gateflow", "FRAGMENT")
LIBRARY.define("scan(Tensor decay, Tensor input, Tensor? start, str given, int dim) -> Tensor")
LIBRARY.define(
    "scan_backward(Tensor grad, Tensor decay, Tensor output, Tensor? start, str given, int dim)"
    " -> (Tensor, Tensor, Tensor)"
)

PARTS = {torch.complex64: torch.float32, torch.complex128: torch.float64}
"""Types of complex numbers, and those of their parts."""

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def _constant(function: Any) -> Any:
    """What `torch.compiler.assume_constant_result` marks a function with: that imports the whole compiler, a second."""
    function._dynamo_marked_constant = True
    return function


def scan(
    decay: Tensor,
    input: Tensor,
    start: Tensor | None = None,
    *,
    gate: str | Gate | GateFunction | None = None,
    log: bool = False,
    dim: int = 0,
) -> Tensor:
    """The states ``h_t = a_t h_(t-1) + b_t`` after every step.

    Parameters
    ----------
    decay : Tensor
        a, in the shape of ``input``, or one that broadcasts to it: the decay itself, its logarithm where ``log``, or
        the pre-activation of ``gate``. The latter two keep all digits of 1 - a where a is near 1. A logarithm above 0
        is no decay, and gives NaN. It may be complex, but not with ``gate``.
    input : Tensor
        b. In float32 and bfloat16 the state keeps what its rounding loses; decays of bfloat16, and all of float16, are
        computed in float32; complex decays, also of complex64, in complex128.
    start : Tensor, optional
        The state before the first step, in the shape of ``input`` without ``dim``; by default 0.
    gate : str, Gate or GateFunction, optional
        The decay as a gate of ``decay``.
    log : bool
        Whether ``decay`` is the logarithm.
    dim : int
        The dimension of time.

    Raises
    ------
    InvalidArgument
        ``gate`` and ``log`` are both given, or there is no such dimension.
    InvalidTensor
        Shapes or types do not fit together, or a tensor is of whole numbers.

    Examples
    --------
    >>> scan(torch.tensor([0.5, 0.5, 0.5]), torch.tensor([1.0, 0.0, 4.0]))
    tensor([1.0000, 0.5000, 4.2500])
    >>> scan(torch.full((3,), -1e-30), torch.zeros(3), torch.tensor(1.0), log=True)
    tensor([1., 1., 1.])
    >>> scan(torch.zeros(2), torch.ones(2), gate="gla")
    tensor([1.0000, 1.9576])
    """
    if gate is not None and log:
        raise InvalidArgument("scan takes a gate or log, not both: a gate's decay is computed from its pre-activation")
    tensors = [decay, input] if start is None else [decay, input, start]
    for t in tensors:
        if not isinstance(t, Tensor) or t.layout != torch.strided or t.is_nested:
            what = type(t).__name__ if not isinstance(t, Tensor) else "nested" if t.is_nested else str(t.layout)[6:]
            raise InvalidTensor(f"scan takes dense tensors; got {what}")
    if not isinstance(dim, int) or not -input.dim() <= dim < input.dim():
        raise InvalidArgument(f"dim must be a dimension of the input, of {input.dim()}; got {shown(dim)}")
    dim %= input.dim()
    shape = (*input.shape[:dim], *input.shape[dim + 1 :])
    if len(types := {PARTS.get(t.dtype, t.dtype) for t in tensors}) > 1 or not types <= set(DTYPES):
        raise InvalidTensor(f"scan takes floats of one type; got {', '.join(str(t.dtype)[6:] for t in tensors)}")
    if decay.is_complex() and gate is not None:
        raise InvalidTensor("scan takes a complex decay as it is or by its logarithm: a gate is of real numbers")
    if len({t.device for t in tensors}) > 1:
        raise InvalidTensor("scan takes tensors of one device")
    try:
        decay = decay.expand(input.shape)
        start = start if start is None else start.expand(shape)
    except RuntimeError:
        raise InvalidTensor(
            f"decay {list(decay.shape)} does not broadcast to the input {list(input.shape)}"
            + ("" if start is None else f", or start {list(start.shape)} to {list(shape)}")
        ) from None
    if any(t.is_complex() for t in tensors):
        return _of_complex(decay, input, start, gate, log, dim)
    if not input.shape[dim]:
        return input.clone()
    given = "log a" if log else "a"
    if gate is not None:
        given = _declared(gate) if isinstance(gate, str) else declared(gate)
    if torch.onnx.is_in_onnx_export():
        return exporting.states(decay_of(decay, given), input, start, dim)
    without = gate is not None and _has_no_table(input.dtype, input.device.type, given)
    if input.dtype == torch.float16 or (
        input.dtype == torch.bfloat16 and (without or _has_no_kernel(input.dtype, input.device, given))
    ):
        wide = [None if t is None else t.float() for t in (decay, input, start)]
        return scan(*wide, gate=gate, log=log, dim=dim).to(input.dtype)  # type: ignore[arg-type]
    if without:
        decay, given = function_of(given).log(decay), "log a"  # type: ignore[union-attr]
    return torch.ops.gateflow.scan(decay, input, start, given, dim)


# --- complex numbers --------------------------------------------------------------------------------------------------


def _of_complex(decay: Tensor, input: Tensor, start: Tensor | None, gate: Any, log: bool, dim: int) -> Tensor:
    """The states where some are complex: with a real decay real and imaginary parts are columns of their own."""
    to = torch.complex64 if input.dtype in (torch.float32, torch.complex64) else torch.complex128
    input, start = input.to(to), None if start is None else start.to(to)
    if not input.shape[dim]:
        return input.clone()
    if decay.is_complex():
        return _ComplexScan.apply(decay, input, start, log, dim)  # type: ignore[no-any-return]
    parts = [None if t is None else torch.view_as_real(t.resolve_conj()) for t in (input, start)]
    return torch.view_as_complex(scan(decay[..., None], *parts, gate=gate, log=log, dim=dim))  # type: ignore[arg-type]


class _ComplexScan(torch.autograd.Function):
    """The scan in a frame that turns with the states, in which the decay is its modulus.

    Without tangents (forward derivatives): ``torch.compile`` takes no function that has them.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(decay: Tensor, input: Tensor, start: Tensor | None, log: bool, dim: int) -> Tensor:
        wide = decay.to(torch.complex128)
        size, angle = (wide.real, wide.imag) if log else (wide.abs(), wide.angle())
        turn = torch.polar(torch.ones_like(size), angle.cumsum(dim))
        still = torch.view_as_real((input * turn.conj()).resolve_conj())
        begin = None if start is None else torch.view_as_real(start.to(torch.complex128).resolve_conj())
        sizes = size[..., None].expand(still.shape)
        found = torch.ops.gateflow.scan(sizes, still, begin, "log a" if log else "a", dim)
        return (torch.view_as_complex(found) * turn).to(input.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        decay, _, start, *ctx.how = inputs
        ctx.save_for_backward(decay, output, start)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        decay, output, start = ctx.saved_tensors
        log, dim = ctx.how
        later = torch.cat([decay.narrow(dim, 1, decay.shape[dim] - 1), torch.zeros_like(decay.narrow(dim, 0, 1))], dim)
        of_input = _ComplexScan.apply(later.conj().flip(dim), grads[0].flip(dim), None, log, dim).flip(dim)
        a = decay.exp() if log else decay
        of_decay = of_input * _before(output, start, dim).conj()
        of_start = None if start is None else (a.conj() * of_input).select(dim, 0)
        return of_decay * a.conj() if log else of_decay, of_input, of_start, None, None


def declared(gate: str | Gate | GateFunction) -> str:
    """A gate as a text, its parameters put in, that :func:`function_of` makes a function of again."""
    return gate.formula if isinstance(gate, GateFunction) else gate_function(gate).formula


@_constant
def _declared(gate: str) -> str:
    """The same, which ``torch.compile`` does not look into; a name of the catalogue stands in a file, read once."""
    return _declared_once(gate)


_declared_once = lru_cache(maxsize=256)(declared)


@lru_cache(maxsize=256)
def function_of(text: str) -> GateFunction | None:
    """The gate behind what a decay is given as; None for the decay itself and its logarithm."""
    return None if text in kernels.GIVEN else gate_function(text)


def _is_compiled(t: Tensor) -> bool:
    """Whether there is a kernel for this; a reason against it is a warning, once."""
    if t.device.type != "cpu" or t.dtype not in kernels.DTYPES:
        return False
    try:
        kernels.library(t.dtype)
    except NoCompiler as reason:
        native.warn_once("scans", reason)
        return False
    return True


def _agrees(dtype: torch.dtype, given: str) -> bool:
    """Whether compiled code, tried on this machine, computes what a loop does; if not, a warning says so, once."""
    reason = kernels.reason_against(dtype, _as_given(given), function_of(given))
    if reason is not None:
        native.warn_once("scans", reason)
    return reason is None


def _kernel_for(t: Tensor, given: str) -> Any:
    """The module that computes scans of such tensors; None for the loop. What a GPU's has against it is a warning."""
    if t.device.type != "cuda":
        return kernels if _is_compiled(t) and _agrees(t.dtype, given) else None
    if t.dtype not in on_gpu.ROOM or not t.numel():
        return None
    reason = on_gpu.reason_against(t.device, t.dtype, _as_given(given), function_of(given))
    if reason is not None:
        native.warn_once("scans", InvalidArgument(reason))
    return on_gpu if reason is None else None


@_constant
def _has_no_kernel(dtype: torch.dtype, device: torch.device, given: str) -> bool:
    return _kernel_for(torch.empty(1, dtype=dtype, device=device), given) is None


@_constant
def _has_no_table(dtype: torch.dtype, device: str, given: str) -> bool:
    """Whether no table follows this gate: its logarithm then goes through memory."""
    gate = function_of(given)
    dtype = dtype if dtype in kernels.DTYPES else torch.float32
    if gate is None or device != "cpu" or not _is_compiled(torch.empty(0, dtype=dtype, device="cpu")):
        return False
    if kernels.form_of(gate, dtype)[0] != "table":
        return False
    try:
        native.table_of(gate, kernels.tables_for(dtype))
    except InvalidArgument:
        return True
    return False


def _as_given(given: str) -> str:
    return given if given in kernels.GIVEN else "z"


# --- the two operators ------------------------------------------------------------------------------------------------


def _check(dim: int, start: Tensor | None, like: Tensor, *others: Tensor) -> None:
    """All that compiled code takes on trust, for calls past :func:`scan`."""
    if not 0 <= dim < like.dim():
        raise InvalidTensor("gateflow::scan takes a dimension of its input")
    shape = (*like.shape[:dim], *like.shape[dim + 1 :])
    wanted = [(t, like.shape) for t in others] + ([] if start is None else [(start, shape)])
    if any(t.shape != s or t.dtype != like.dtype or t.device != like.device for t, s in wanted):
        raise InvalidTensor("gateflow::scan takes tensors of one shape, type and device")


def _forward(decay: Tensor, input: Tensor, start: Tensor | None, given: str, dim: int) -> Tensor:
    _check(dim, start, input, decay)
    if (kernel := _kernel_for(input, given)) is not None:
        decay, input, start = map(_dense, (decay, input, start))  # type: ignore[assignment]
        return kernel.forward(decay, input, start, _as_given(given), function_of(given), dim)
    state = torch.zeros_like(input.select(dim, 0)) if start is None else start
    states = []
    for a, b in zip(decay_of(decay, given).unbind(dim), input.unbind(dim), strict=True):
        states.append(state := a * state + b)
    return torch.stack(states, dim)


def _backward(
    grad: Tensor, decay: Tensor, output: Tensor, start: Tensor | None, given: str, dim: int
) -> tuple[Tensor, Tensor, Tensor]:
    _check(dim, start, grad, decay, output)
    if (kernel := _kernel_for(grad, given)) is not None:
        dense = map(_dense, (grad, decay, output, start))
        of_decay, of_input, of_start = kernel.backward(*dense, _as_given(given), function_of(given), dim)
    else:
        of_decay, of_input, of_start = _composed(grad, decay, output, start, given, dim)
    return of_decay, of_input, grad.new_empty(0) if of_start is None else of_start


def _composed(
    grad: Tensor, decay: Tensor, output: Tensor, start: Tensor | None, given: str, dim: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The gradients by a scan from the other end, each operation of which has a derivative."""
    steps = decay.shape[dim]
    a = decay_of(decay, given)
    later = torch.cat([a.narrow(dim, 1, steps - 1), torch.zeros_like(a.narrow(dim, 0, 1))], dim)
    of_input = torch.ops.gateflow.scan(later.flip(dim), grad.flip(dim), None, "a", dim).flip(dim)
    of_decay = of_input * _before(output, start, dim) * slope_of(decay, a, given)
    return of_decay, of_input, None if start is None else (a * of_input).select(dim, 0)


def _before(output: Tensor, start: Tensor | None, dim: int) -> Tensor:
    """The state before each step."""
    first = torch.zeros_like(output.select(dim, 0)) if start is None else start
    return torch.cat([first.unsqueeze(dim), output.narrow(dim, 0, output.shape[dim] - 1)], dim)


def decay_of(decay: Tensor, given: str) -> Tensor:
    """a, from what it is given as."""
    function = function_of(given)
    if function is not None:
        return function(decay)
    return decay.masked_fill(decay > 0, torch.nan).exp() if given == "log a" else decay


def slope_of(decay: Tensor, a: Tensor, given: str) -> Tensor:
    """The derivative of a in what it is given as."""
    function = function_of(given)
    return function.derivative(decay) if function is not None else a if given == "log a" else torch.ones_like(a)


class _Scan(LevelFunction):
    """The first derivative: one more operator."""

    @staticmethod
    def forward(ctx: Any, decay: Tensor, input: Tensor, start: Tensor | None, *how: Any) -> Tensor:
        with LevelFunction.below():
            output = SCAN(decay, input, start, *how)
        ctx.how = how
        ctx.save_for_backward(decay, output, start)
        ctx.save_for_forward(decay, output, start)
        return output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        decay, output, start = ctx.saved_tensors
        of_decay, of_input, of_start = BACKWARD(*grads, decay, output, start, *ctx.how)
        return of_decay, of_input, None if start is None else of_start, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:  # type: ignore[override]
        decay, output, start = ctx.saved_tensors
        given, dim = ctx.how
        of_decay, of_input, of_start, *_ = tangents
        driven = torch.zeros_like(output) if of_input is None else of_input
        if of_decay is not None:
            slope = slope_of(decay, decay_of(decay, given), given)
            driven = driven + of_decay * slope * _before(output, start, dim)
        return SCAN(decay, driven, of_start, given, dim)


def _followed(*tensors: Tensor | None) -> bool:
    """Whether a derivative is wanted, backward or forward."""
    return differentiable(*tensors) or forward_ad._current_level >= 0


def _scan_autograd(decay: Tensor, input: Tensor, start: Tensor | None, *how: Any) -> Tensor:
    if _followed(decay, input, start):
        return _Scan.at_level(decay, input, start, *how)
    with torch._C._AutoDispatchBelowAutograd():
        return SCAN(decay, input, start, *how)


def _backward_autograd(
    grad: Tensor, decay: Tensor, output: Tensor, start: Tensor | None, *how: Any
) -> tuple[Tensor, Tensor, Tensor]:
    if _followed(grad, decay, output, start):  # a derivative of this one is wanted
        of_decay, of_input, of_start = _composed(grad, decay, output, start, *how)
        return of_decay, of_input, grad.new_empty(0) if of_start is None else of_start
    with torch._C._AutoDispatchBelowAutograd():
        return BACKWARD(grad, decay, output, start, *how)


def _batched(info: Any, dims: Any, tensors: tuple[Tensor | None, ...]) -> list[Tensor | None]:
    """For vmap: each with the dimension of the batch in front."""
    pairs = zip(tensors, dims, strict=False)
    return [
        t if t is None else t.expand(info.batch_size, *t.shape) if dim is None else t.movedim(dim, 0)
        for t, dim in pairs
    ]


def _scan_in_bulk(info: Any, dims: Any, *args: Any) -> tuple[Tensor, int]:
    *tensors, given, dim = args
    return SCAN(*_batched(info, dims, tuple(tensors)), given, dim + 1), 0


def _backward_in_bulk(info: Any, dims: Any, *args: Any) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
    *tensors, given, dim = args
    found = BACKWARD(*_batched(info, dims, tuple(tensors)), given, dim + 1)
    return found, (0, 0, None if tensors[-1] is None else 0)


SCAN, BACKWARD = torch.ops.gateflow.scan.default, torch.ops.gateflow.scan_backward.default
LIBRARY.impl("scan", _forward, "CompositeExplicitAutograd")
LIBRARY.impl("scan_backward", _backward, "CompositeExplicitAutograd")
LIBRARY.impl("scan", _scan_autograd, "Autograd")
LIBRARY.impl("scan_backward", _backward_autograd, "Autograd")
torch.library.register_vmap("gateflow::scan", _scan_in_bulk, lib=LIBRARY)
torch.library.register_vmap("gateflow::scan_backward", _backward_in_bulk, lib=LIBRARY)
torch.library.register_fake("gateflow::scan", lambda decay, input, *_: torch.empty_like(input), lib=LIBRARY)
torch.library.register_fake(
    "gateflow::scan_backward",
    lambda grad, decay, output, start, *_: (
        torch.empty_like(decay, memory_format=torch.contiguous_format),
        torch.empty_like(grad, memory_format=torch.contiguous_format),
        grad.new_empty(0) if start is None else torch.empty_like(start, memory_format=torch.contiguous_format),
    ),
    lib=LIBRARY,
)
