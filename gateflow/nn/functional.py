"""A gate as a differentiable PyTorch function, made from its formulas.

Autograd never sees the formulas. phi, ``1 - phi`` and their logarithms are autograd functions whose derivatives are the
gate's own formulas for phi' and phi'', so that no branch that was not taken can put a NaN into a gradient.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _disable_current_modes

from gateflow.codegen import Tape
from gateflow.errors import GateflowError, InvalidArgument, UnknownName, cut, unknown
from gateflow.formula import unparse
from gateflow.gates.gate import Gate, Numbers
from gateflow.gates.gate import gate as named_gate
from gateflow.gates.holes import Filled, filled
from gateflow.nn.arithmetic import TorchArithmetic

WORKING = {
    torch.float64: torch.float64,
    torch.float32: torch.float64,
    torch.bfloat16: torch.float32,
    torch.float16: torch.float32,
}
"""The precision a type is computed in before it is rounded once. float64 has no wider type in torch: there the error of
``1 - phi = sigma(-u)`` is that of u, some ``|u|`` units of the last place."""

DERIVATIVES = {
    "phi": "dphi",
    "phi_c": "dphi_c",
    "dphi": "d2phi",
    "dphi_c": "d2phi_c",
    "log_phi": "rate",
    "log_phi_c": "rate_c",
    "rate": "d2log",
    "rate_c": "d2log_c",
}
"""What each function's backward pass multiplies by; the others cannot be differentiated once more."""

_SLOPES = frozenset(DERIVATIVES.values())

_AS_THEY_STAND = {
    "phi": ("phi", "value"),
    "phi_c": ("phi_c", "value"),
    "log_phi": ("phi", "log"),
    "log_phi_c": ("phi_c", "log"),
    "dphi": ("phi", "slope"),
    "dphi_c": ("phi_c", "slope"),
}
"""Which formula of the short way, and what of it, stands in for each function."""


class GateFunction(torch.nn.Module):
    """A gate as a function of tensors, differentiable twice.

    float64 is computed in float64, float32 in float64 and rounded once, bfloat16 and float16 in float32. Infinities are
    taken to the limits; only NaN gives NaN.

    Parameters
    ----------
    gate : Gate

    Examples
    --------
    >>> fast = gate_function("fast")
    >>> z = torch.tensor([0.0, 2.0, 100.0], requires_grad=True)
    >>> fast(z)
    tensor([0.5000, 0.9741, 1.0000], grad_fn=<...>)
    >>> print(f"{fast.complement(torch.tensor(4.0)):.3e}")
    1.406e-12
    >>> torch.autograd.grad(fast(z).sum(), z)
    (tensor([0.2500, 0.0950, 0.0000]),)
    """

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate
        self._numbers_of: dict[tuple[torch.dtype, torch.device], Numbers] = {}
        self._tapes: dict[tuple[str, bool], Tape | Filled] = {}
        self.text, self.formula = _declared(gate), gate.as_phi(unparse(gate.expr))
        _BY_TEXT.setdefault(self.text, self)

    def forward(self, z: Tensor) -> Tensor:
        """phi(z)."""
        return self._play(z, "phi")

    def complement(self, z: Tensor) -> Tensor:
        """``1 - phi(z)``, which underflows only where it is below the smallest float."""
        return self._play(z, "phi_c")

    def log(self, z: Tensor) -> Tensor:
        """``log(phi(z))``."""
        return self._play(z, "log_phi")

    def log_complement(self, z: Tensor) -> Tensor:
        """``log(1 - phi(z))``, which never underflows."""
        return self._play(z, "log_phi_c")

    def derivative(self, z: Tensor) -> Tensor:
        """phi'(z); once differentiable."""
        return self._play(z, "dphi")

    def extra_repr(self) -> str:
        return self.gate.label

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """The gate goes into what a state dict says of its modules, beside their versions."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if (about := getattr(destination, "_metadata", None)) is not None:
            about.setdefault(prefix[:-1], {})["gate"] = self.formula

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: Any, *others: Any) -> None:
        saved = str(local_metadata.get("gate", self.formula))
        if saved != self.formula:
            name = prefix[:-1] or "the gate"
            warnings.warn(
                f"{name} was {cut(saved)} where these weights were saved, and is {cut(self.formula)} here", stacklevel=2
            )
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *others)

    def _play(self, z: Tensor, what: str) -> Tensor:
        _number(z)
        if self.gate.value_outside is not None and what.startswith("log"):
            raise InvalidArgument(f"{self.gate.name} leaves (0, 1) and has no logarithm")
        return GATE(z, self.text, what)

    def evaluate(self, z: Tensor, what: str) -> Tensor:
        """One of the gate's functions, the careful way and without a gradient."""
        if what not in _FUNCTIONS:
            raise UnknownName(unknown("function of a gate", what, _FUNCTIONS))
        if z.is_meta:
            return torch.empty_like(z)
        x = z.to(WORKING[z.dtype])
        if x.dim() == 0:
            return self.evaluate(z[None], what)[0]
        value = torch.broadcast_to(_FUNCTIONS[what](self._numbers(x), x), x.shape)
        lost = ~torch.isfinite(value) & ~torch.isnan(x)
        if lost.any():
            value = torch.where(lost, self._stand_in(value, x, what), value)
        return _round(value, x, z.dtype, slope=what in _SLOPES)

    def _stand_in(self, value: Tensor, x: Tensor, what: str) -> Tensor:
        """Numbers for where the careful way has none, which no gate of the catalogue needs.

        No rule keeps the digits of every formula, but as it stands it may still have a value; a formula such as sin(z),
        which has no limit, has one at the largest float. A slope that has neither is 0.
        """
        top = torch.finfo(x.dtype).max
        within = torch.clamp(x, -top, top)
        found = torch.where(torch.isinf(x) & torch.isnan(value), _FUNCTIONS[what](self._numbers(x), within), value)
        if what in _AS_THEY_STAND:
            (phi, slope), which = self._plain(within, _AS_THEY_STAND[what][0]), _AS_THEY_STAND[what][1]
            plain = slope if which == "slope" else torch.log(phi) if which == "log" else phi
            better = ~torch.isfinite(found) if which == "slope" else torch.isnan(found)
            found = torch.where(better, torch.broadcast_to(plain, x.shape), found)  # type: ignore[arg-type]
        return torch.nan_to_num(found, nan=0.0, posinf=torch.inf, neginf=-torch.inf) if what in _SLOPES else found

    def first_nan(self) -> float | None:
        """Some z at which phi or ``1 - phi`` is not a number, if such was found among samples of every magnitude."""
        return _first_nan(self.gate)

    def value(self, z: Tensor, what: str = "phi") -> Tensor:
        """The same as calling it, without a gradient."""
        return self.with_slope(z, what, slope_too=False)[0]

    def with_slope(self, z: Tensor, what: str, slope_too: bool = True) -> tuple[Tensor, Tensor | None]:
        """One of the functions and its derivative: phi and ``1 - phi`` the short way where that is as good."""
        if z.is_meta:
            return torch.empty_like(z), torch.empty_like(z) if slope_too else None
        x = z.to(WORKING[z.dtype])
        if what not in ("phi", "phi_c") or not self._is_plain(x.dtype, x.device):
            slope = self.evaluate(z, DERIVATIVES[what]) if slope_too and what in DERIVATIVES else None
            return self.evaluate(z, what), slope
        value, slope = self._plain(x, what, slope_too)
        return value.to(z.dtype), None if slope is None else _slope_in(z.dtype, slope).expand(z.shape)

    def in_operators(self, x: Tensor, what: str, arithmetic: TorchArithmetic) -> Tensor:
        """One of the gate's functions in plain operators of an arithmetic, for a program that is traced."""
        if what in ("phi", "phi_c"):
            return self._plain(x, what, False, arithmetic)[0]
        return _FUNCTIONS[what](Numbers(self.gate, arithmetic), x)

    def _plain(
        self, x: Tensor, what: str, slope_too: bool = True, arithmetic: TorchArithmetic | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The formulas as they stand: ``sigma(u)`` and ``u' sigma(u) sigma(-u)``, or phi and phi'."""
        first, *slopes = self._tape(what, slope_too)(arithmetic or self._numbers(x).arithmetic, x)
        if self.gate.is_profile:
            u = first if what == "phi" else -first
            first = torch.sigmoid(u)
            slopes = [slope * (first * torch.sigmoid(-u)) for slope in slopes]
        elif self.gate.value_outside is None:
            first = torch.clamp(first, 0.0, 1.0)
        if not slope_too:
            return first, None
        # 0 times infinity, where u' overflows and sigma(u) sigma(-u) is 0, and so is the slope
        slope = torch.nan_to_num(slopes[0], nan=0.0)
        return first, slope if what == "phi" else -slope

    def _tape(self, what: str, slope_too: bool) -> Tape | Filled:
        """The formulas of u and u', or of the value and phi'; with or without the latter."""
        if (what, slope_too) not in self._tapes:
            formulas = self.gate.formulas
            value = formulas.phi if what == "phi" else formulas.phi_c
            both = (formulas.u, formulas.du) if self.gate.is_profile else (value, formulas.dphi)
            self._tapes[what, slope_too] = filled(both if slope_too else both[:1])
        return self._tapes[what, slope_too]

    def _is_plain(self, dtype: torch.dtype, device: torch.device) -> bool:
        """Whether the formulas as they stand agree with the careful way at points of every magnitude."""
        return _plain_agrees(self.gate, dtype, device)

    def _agrees(self, x: Tensor, what: str) -> bool:
        eps, tiny = torch.finfo(x.dtype).eps, torch.finfo(x.dtype).tiny
        careful = (self.evaluate(x, what), self.evaluate(x, DERIVATIVES[what]))
        # an exponential is wrong by as many ulps as its argument is large
        both = self.evaluate(x, "phi") * self.evaluate(x, "phi_c")
        digits = 1 - torch.log(both.clamp(min=tiny))
        for found, sure in zip(self._plain(x, what), careful, strict=True):
            assert found is not None
            allowed = 16 * eps * (digits + torch.log(sure.abs().clamp(min=tiny)).abs())
            if not ((found - sure).abs() <= allowed * sure.abs() + 1e4 * tiny).all():
                return False
        return True

    def _numbers(self, x: Tensor) -> Numbers:
        key = x.dtype, x.device
        if key not in self._numbers_of:
            self._numbers_of[key] = Numbers(self.gate, TorchArithmetic(*key))
        return self._numbers_of[key]

    def __reduce__(self) -> tuple[Any, ...]:
        return unpickled, (self.text,)


@lru_cache(maxsize=256)
def _first_nan(gate: Gate) -> float | None:
    """Asked once for all layers with this gate."""
    function, z = GateFunction(gate), _samples(torch.float64)
    lost = torch.isnan(function.evaluate(z, "phi")) | torch.isnan(function.evaluate(z, "phi_c"))
    return float(z[lost][0]) if lost.any() else None


@lru_cache(maxsize=256)
def _plain_agrees(gate: Gate, dtype: torch.dtype, device: torch.device) -> bool:
    """Asked once for all layers with this gate."""
    x = torch.cat([_samples(dtype), torch.tensor(gate.kinks, dtype=dtype, device="cpu")]).to(device)
    function = GateFunction(gate)
    return all(function._agrees(x, what) for what in ("phi", "phi_c"))


# --- the operator -----------------------------------------------------------------------------------------------------

LIBRARY = torch.library.Library("gateflow", "FRAGMENT")
LIBRARY.define("gate(Tensor z, str gate, str what) -> Tensor")
LIBRARY.define("gate_with_slope(Tensor z, str gate, str what) -> (Tensor, Tensor)")
GATE, WITH_SLOPE = torch.ops.gateflow.gate.default, torch.ops.gateflow.gate_with_slope.default

_BY_TEXT: WeakValueDictionary[str, GateFunction] = WeakValueDictionary()


def _declared(gate: Gate) -> str:
    """A gate as text that :func:`named` makes it of again: its name, or its formula with what else it was given."""
    try:
        if named_gate(gate.name) == gate:
            return gate.name
    except GateflowError:
        pass
    formulas = {gate.declared: gate.expr, "inverse": gate._inverse}
    found = {what: unparse(formula) for what, formula in formulas.items() if formula is not None}
    return json.dumps({**found, "name": gate.name})


def named(text: str) -> GateFunction:
    """The function of a gate that was declared."""
    found = _BY_TEXT.get(text)
    return found or _made(text)


def unpickled(text: str) -> GateFunction:
    """The function of a gate that was declared, one of its own; the only thing in the pickle of a gate."""
    return GateFunction(named(text).gate)


@lru_cache(maxsize=256)
def _made(text: str) -> GateFunction:
    return gate_function(_declared_by(text) if text.startswith("{") else text)


def _declared_by(text: str) -> Gate:
    """The gate that a text of :func:`_declared` declares; others may write such texts into models that are loaded."""
    try:
        given = json.loads(text)
        return Gate(**given)
    except (ValueError, TypeError, RecursionError) as error:
        if isinstance(error, GateflowError):
            raise
        raise InvalidArgument(
            f"{cut(text)} declares no gate: it is a JSON object with phi, profile or complement"
        ) from None


class LevelFunction(torch.autograd.function._SingleLevelFunction):
    """An autograd function that an operator's autograd kernel applies.

    PyTorch calls that kernel at each level of ``torch.func`` in turn, so the function sees one level only. That is
    what PyTorch's own functions are made for; they have to be let in where transforms are active.
    """

    @classmethod
    def at_level(cls, *args: Any) -> Any:
        """Apply it at the current level."""
        if not torch._C._are_functorch_transforms_active():
            return cls.apply(*args)  # type: ignore[attr-defined]
        with enable_single_level_autograd_function():
            return cls.apply(*args)  # type: ignore[attr-defined]

    @staticmethod
    @contextmanager
    def below() -> Iterator[None]:
        """Within, operators are those of the levels further out, whose derivatives the function has switched off."""
        with torch._C._AutoDispatchBelowAutograd():
            if not torch._C._are_functorch_transforms_active():
                yield
                return
            with torch.enable_grad(), forward_ad._set_fwd_grad_enabled(True):
                yield


def differentiable(*tensors: Tensor | None) -> bool:
    """Whether a derivative is wanted in one of these, at the current level."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


@contextmanager
def untraced() -> Iterator[None]:
    """Within, tensors are numbers, whatever is being traced or transformed: for what is made once and kept."""
    with temporarily_clear_interpreter_stack(), _disable_current_modes():
        yield


class _Play(LevelFunction):
    """One function of a gate and its derivative, which is computed with it for the backward pass.

    A derivative of that derivative is made only if it is asked for.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, gate: str, what: str) -> Tensor:
        ctx.gate, ctx.what = gate, what
        with LevelFunction.below():
            # at the levels of torch.func further out a slope that is only kept would have no derivative
            deeper = torch._C._are_functorch_transforms_active()
            value, slope = (GATE(z, gate, what), None) if deeper else WITH_SLOPE(z, gate, what)
        ctx.save_for_backward(z, slope)
        ctx.save_for_forward(z, slope)
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return grads[0] * _Play._slope(ctx), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:  # type: ignore[override]
        return tangents[0] * _Play._slope(ctx)

    @staticmethod
    def _slope(ctx: Any) -> Tensor:
        z, slope = ctx.saved_tensors
        if ctx.what not in DERIVATIVES:
            raise InvalidArgument(f"{ctx.what} of a gate cannot be differentiated once more")
        return GATE(z, ctx.gate, DERIVATIVES[ctx.what]) if slope is None or torch.is_grad_enabled() else slope


def _number(z: Tensor) -> Tensor:
    """A tensor that a gate takes."""
    if z.dtype not in WORKING:
        raise InvalidArgument(f"a gate takes floating-point tensors, not {z.dtype}")
    return z


def _autograd(z: Tensor, gate: str, what: str) -> Tensor:
    if (torch.is_grad_enabled() and z.requires_grad) or forward_ad._current_level >= 0:
        return _Play.at_level(z, gate, what)
    with torch._C._AutoDispatchBelowAutograd():
        return GATE(z, gate, what)


def _with_slope(z: Tensor, gate: str, what: str) -> tuple[Tensor, Tensor]:
    value, slope = named(gate).with_slope(_number(z), what)
    return value, z.new_empty(0) if slope is None else slope.contiguous()


def _with_slope_like(z: Tensor, gate: str, what: str) -> tuple[Tensor, Tensor]:
    return torch.empty_like(z), torch.empty_like(z) if what in DERIVATIVES else z.new_empty(0)


LIBRARY.impl("gate", lambda z, gate, what: named(gate).value(_number(z), what), "CompositeExplicitAutograd")
LIBRARY.impl("gate", _autograd, "Autograd")
LIBRARY.impl("gate_with_slope", _with_slope, "CompositeExplicitAutograd")
torch.library.register_fake("gateflow::gate", lambda z, gate, what: torch.empty_like(z), lib=LIBRARY)
torch.library.register_fake("gateflow::gate_with_slope", _with_slope_like, lib=LIBRARY)
torch.library.register_vmap("gateflow::gate", lambda info, dims, *args: (GATE(*args), dims[0]), lib=LIBRARY)
torch.library.register_vmap(
    "gateflow::gate_with_slope", lambda info, dims, *args: (WITH_SLOPE(*args), (dims[0], dims[0])), lib=LIBRARY
)


def _samples(dtype: torch.dtype) -> Tensor:
    """Points of every magnitude, and both infinities."""
    here: dict[str, Any] = {"dtype": dtype, "device": "cpu"}
    sizes = torch.cat([torch.logspace(-30, 30, 241, **here), torch.tensor([math.inf], **here)])
    return torch.cat([torch.linspace(-60, 60, 481, **here), sizes, -sizes])


def _round(value: Tensor, x: Tensor, dtype: torch.dtype, slope: bool = False) -> Tensor:
    """``value`` in the shape of x and the type asked for; NaN where x is.

    Slopes past the largest float become the largest float: infinity times a gradient of 0 would be NaN.
    """
    value = torch.where(torch.isnan(x), x, value)
    return _slope_in(dtype, value) if slope else value.to(dtype)


def _slope_in(dtype: torch.dtype, slope: Tensor) -> Tensor:
    """A slope in another type; past its largest number, that number."""
    top = torch.finfo(dtype).max
    return torch.clamp(slope.to(dtype), -top, top)


def _rate(numbers: Numbers, z: Tensor, log_rest: Tensor) -> Tensor:
    """``u'(z)`` times the probability with logarithm ``log_rest``."""
    size = torch.exp(numbers.log_du(z) + log_rest)
    return torch.where(torch.isinf(log_rest), 0.0, torch.sign(numbers.du(z)) * size)


def _value(numbers: Numbers, z: Tensor) -> Tensor:
    return numbers.phi(z) if numbers.gate.value_outside is None else numbers.value(z)


def _complement(numbers: Numbers, z: Tensor) -> Tensor:
    return numbers.phi_c(z) if numbers.gate.value_outside is None else numbers.complement(z)


_FUNCTIONS: dict[str, Callable[[Numbers, Tensor], Tensor]] = {
    "phi": _value,
    "phi_c": _complement,
    "log_phi": Numbers.log_phi,
    "log_phi_c": Numbers.log_phi_c,
    "dphi": Numbers.dphi,
    "dphi_c": lambda numbers, z: -numbers.dphi(z),
    "d2phi": Numbers.d2phi,
    "d2phi_c": lambda numbers, z: -numbers.d2phi(z),
    "rate": lambda numbers, z: _rate(numbers, z, numbers.log_phi_c(z)),
    "rate_c": lambda numbers, z: -_rate(numbers, z, numbers.log_phi(z)),
    "d2log": Numbers.d2_log_phi,
    "d2log_c": Numbers.d2_log_phi_c,
}


def gate_function(gate: str | Gate, **parameters: Any) -> GateFunction:
    """A gate as a PyTorch function.

    Parameters
    ----------
    gate : str or Gate
        A gate, its name in the catalogue, or its formula.
    **parameters
        The gate's parameters.

    Raises
    ------
    UnknownName, FormulaError, InvalidArgument
        There is no such gate, a parameter was left without a value, or there is a z without a number phi(z).

    Examples
    --------
    >>> gate_function("sigmoid(z**3)")(torch.tensor([1.0], dtype=torch.bfloat16))
    tensor([0.7305], dtype=torch.bfloat16)
    """
    found = named_gate(gate, **parameters)
    if len(found.expr.free_symbols) > 1:
        names = ", ".join(sorted(str(s) for s in found.expr.free_symbols if str(s) != "z"))
        raise InvalidArgument(f"{found.name} has parameters without a value: {names}")
    function = GateFunction(found)
    nowhere = function.first_nan()
    if nowhere is not None:
        raise InvalidArgument(
            f"{found.name} has no number at z = {nowhere:g}; declare its profile or complement instead"
        )
    return function
