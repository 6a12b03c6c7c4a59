"""The learning problem (theory.md §1): a gate, a horizon, a target and a scale."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from gateflow.errors import InvalidArgument, shown
from gateflow.flows.critical import is_outside, reach, z_of_u
from gateflow.flows.density import log_saturation, profile_of_decay
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.guards.arguments import (
    ABOVE_0,
    AT_LEAST_1,
    BELOW_1,
    FINITE,
    NumberTooLong,
    decimal_or_fraction,
    log_of_exact,
    number,
    together,
)
from gateflow.losses import Decay, Loss, log_distance
from gateflow.losses import loss as as_loss
from gateflow.notebook import cards
from gateflow.results.byvalue import by_value

TINY = float(np.finfo(np.float64).tiny)
WAYS = ("target", "gap", "log_gap", "decay", "timescale")


@by_value
@dataclass(frozen=True)
class Target:
    """Where learning is to go, given in exactly one way; each keeps its digits where another would lose them.

    Parameters
    ----------
    target : float or array, optional
        lambda*, what the cell is to keep of its value over the horizon, in (0, 1].
    gap : float or array, optional
        ``1 - lambda*``, in [0, 1).
    log_gap : float or array, optional
        ``log(1 - lambda*)``, below 0; for gaps below the smallest float.
    decay : float or array, optional
        The total decay ``h* = -log lambda*``, at least 0.
    timescale : float or array, optional
        The time constant in steps, ``-1/log phi*``, above 0; needs the horizon to become a decay.

    Raises
    ------
    InvalidArgument
        None or several were given, or a value is out of range.

    Examples
    --------
    >>> Target(gap=1e-300).total_decay(100.0).log
    -690.77...
    >>> Target(timescale=1000.0).total_decay(100.0).h
    0.1...
    """

    target: Any = None
    gap: Any = None
    log_gap: Any = None
    decay: Any = None
    timescale: Any = None
    way: str = field(init=False, repr=False)
    is_rounded: bool = field(init=False, repr=False, default=False)

    def __post_init__(self) -> None:
        given = [way for way in WAYS if getattr(self, way) is not None]
        if len(given) != 1:
            said = "none was given" if not given else f"got {' and '.join(given)}"
            raise InvalidArgument(f"give exactly one of {', '.join(WAYS)}; {said}")
        way = given[0]
        test, said = _RANGES[way]
        found = number(way, getattr(self, way), test, said)
        if way in ("gap", "decay") and (logs := _logs_below_floats(getattr(self, way), found)) is not None:
            object.__setattr__(self, way, None)
            way, found = "log_gap", logs  # so small a decay is the gap
            object.__setattr__(self, "is_rounded", True)
        object.__setattr__(self, way, found)
        object.__setattr__(self, "way", way)

    @property
    def value(self) -> Any:
        """The value that was given."""
        return getattr(self, self.way)

    def total_decay(self, horizon: Any) -> Decay:
        """The total decay over ``horizon`` steps, and its logarithm."""
        with np.errstate(divide="ignore", under="ignore"):
            decay = _DECAYS[self.way](self.value, horizon)
            return Decay(h=plain(decay.h), log=plain(decay.log))

    def __repr__(self) -> str:
        return f"Target({self.way}={_text(self.value)})"


_RANGES = {
    "target": (lambda v: (v > 0) & (v <= 1), "in (0, 1]"),
    "gap": BELOW_1,
    "log_gap": (lambda v: v < 0, "below 0"),
    "decay": (lambda v: v >= 0, "at least 0"),
    "timescale": (lambda v: v > 0, "above 0"),
}

_DECAYS = {
    "target": lambda v, _: Decay(h=0.0 - np.log(v)),
    "gap": lambda v, _: _decay_of_log_gap(np.log(v), v),
    "log_gap": lambda v, _: _decay_of_log_gap(v, np.exp(v), -np.expm1(v)),
    "decay": lambda v, _: Decay(h=v * 1.0),
    "timescale": lambda v, horizon: Decay(h=horizon / v, log=np.log(horizon) - np.log(v)),
}


def _decay_of_log_gap(log_gap: Any, gap: Any, near_one: Any = None) -> Decay:
    """The decay of a gap; ``near_one`` is ``1 - gap``, where it is known better than from the gap."""
    with np.errstate(divide="ignore", invalid="ignore"):
        h = -np.log1p(-gap) if near_one is None else np.where(gap > 0.5, -np.log(near_one), -np.log1p(-gap))[()]
    safe = np.where(gap > 0, gap, 1.0)
    return Decay(h=h, log=np.where(gap > 0.5, np.log(h), log_gap + np.log(np.where(gap > 0, h, 1.0) / safe))[()])


def _logs_below_floats(given: Any, found: Any) -> Any:
    """The logarithms of exact numbers, where some are above 0 but below the normal floats; else None."""
    exact = np.asarray(given, dtype=object)
    low = np.asarray(found) < TINY
    if not low.any() or not any(isinstance(x, Fraction | Decimal) and x > 0 for x in exact[low].flat):
        return None
    with np.errstate(divide="ignore"):
        logs = np.array(np.broadcast_to(np.log(np.asarray(found)), exact.shape))
    for index in zip(*np.nonzero(np.atleast_1d(low)), strict=True):
        x = np.atleast_1d(exact)[index]
        if isinstance(x, Fraction | Decimal) and x > 0:
            np.atleast_1d(logs)[index] = log_of_exact(x)
    return plain(logs)


def _number_in(name: str, value: Any) -> Any:
    """The text of a number as that number; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return decimal_or_fraction(value)
    except NumberTooLong as problem:
        raise InvalidArgument(f"{name} {shown(value)} is out of range: {problem}") from None
    except ValueError:
        return value


def plain(x: Any) -> Any:
    """An array of no dimension as a Python number; others as they are."""
    return x.item() if np.ndim(x) == 0 and hasattr(x, "item") else x


def _text(value: Any) -> str:
    return f"{value:g}" if np.ndim(value) == 0 else f"<array of shape {np.shape(value)}>"


@by_value
@dataclass(frozen=True)
class LearningProblem:
    """Learn a time scale: bring ``phi(z)^T`` to ``lambda*`` (theory.md, eq. 14).

    Parameters
    ----------
    gate : Gate or str
        A gate, its name in the catalogue, or its formula.
    horizon : float or array
        T, the steps over which the cell decays; at least 1, whole or not.
    target, gap, log_gap, decay, timescale : float or array
        The target, in exactly one way: see :class:`Target`, which may also be given as ``target``.
    scale : float or array
        c, above 0.
    loss : Loss or str
        The loss, its name, or a formula in ``s``, the Laplace transform of the horizon (:func:`gateflow.losses.loss`).

    A number may be a Fraction, a Decimal, or the text of one, such as ``"0.01"``: it is rounded to a float here, and
    taken as it is by :func:`gateflow.flows.enclosure.enclose`.

    Arrays make many problems at once, broadcast against each other; :func:`gateflow.flows.flow` takes one problem only.

    Raises
    ------
    InvalidArgument
        A number is out of range, or the target is given in no way or several.

    Examples
    --------
    >>> problem = LearningProblem("fast", horizon=100, gap=0.01)
    >>> problem.z_star
    2.91...
    >>> problem.loss_at(problem.z_star) < 1e-15
    True
    """

    gate: Gate
    horizon: Any
    target: Target
    scale: Any
    loss: Loss
    given: dict[str, Any] = field(compare=False, repr=False)

    def __init__(
        self,
        gate: Gate | str,
        *,
        horizon: Any,
        target: Any = None,
        gap: Any = None,
        log_gap: Any = None,
        decay: Any = None,
        timescale: Any = None,
        scale: Any = 1.0,
        loss: Loss | str = "absolute",
    ) -> None:
        put = object.__setattr__
        put(self, "gate", as_gate(gate))
        ways = dict(zip(WAYS, (target, gap, log_gap, decay, timescale), strict=True))
        given = {way: value for way, value in ways.items() if value is not None and not isinstance(value, Target)}
        put(self, "given", {"horizon": horizon, "scale": scale, **given})
        horizon, scale = _number_in("horizon", horizon), _number_in("scale", scale)
        target, gap, log_gap, decay, timescale = (_number_in(way, value) for way, value in ways.items())
        put(self, "horizon", number("horizon", horizon, *AT_LEAST_1))
        if isinstance(target, Target):
            if any(other is not None for other in (gap, log_gap, decay, timescale)):
                raise InvalidArgument("give the target once: as a Target, or by one of " + ", ".join(WAYS))
            put(self, "target", target)
            self.given[target.way] = target.value
        else:
            put(self, "target", Target(target, gap, log_gap, decay, timescale))
        put(self, "scale", number("scale", scale, *ABOVE_0))
        self.shape_with()
        put(self, "loss", as_loss(loss))

    def shape_with(self, **more: Any) -> tuple[int, ...]:
        """The shape that horizon, target and scale broadcast to, with further arrays by name.

        Raises
        ------
        InvalidArgument
            They do not broadcast.
        """
        return together(horizon=self.horizon, **{self.target.way: self.target.value}, scale=self.scale, **more)

    def _positions(self, z: Any) -> Any:
        z = positions(z)
        self.shape_with(z=z)
        return z

    @property
    def log_horizon(self) -> Any:
        """log T."""
        return plain(np.log(self.horizon))

    @cached_property
    def target_decay(self) -> Decay:
        """The total decay of the target, as h and as log h."""
        return self.target.total_decay(self.horizon)

    @property
    def h_star(self) -> Any:
        """``-log lambda*``."""
        return self.target_decay.h

    @property
    def log_h_star(self) -> Any:
        """log h*, finite where h* underflows."""
        return self.target_decay.log

    @cached_property
    def u_star(self) -> Any:
        """The logit profile at the target; infinite where ``lambda* = 1``."""
        with np.errstate(invalid="ignore"):
            u = profile_of_decay(self.horizon, self.log_horizon, self.target_decay)
            return plain(np.where(np.isneginf(self.log_h_star), np.inf, u))

    @cached_property
    def z_star(self) -> Any:
        """The minimiser ``phi^-1(lambda*^(1/T))``.

        Infinite where ``lambda* = 1`` and the gate is onto (0, 1), and where the target is outside the gate's range.
        """
        y = np.asarray(self.h_star) / self.horizon
        log_rest = log_saturation(y, self.log_h_star - self.log_horizon)
        rest, value = np.exp(log_rest), np.exp(-y)
        in_floats = (np.minimum(rest, value) > 1e-300) & ~is_outside(self.gate, np.asarray(self.u_star))
        low = in_floats & (rest > 0.5)
        z = np.full(low.shape, np.nan)
        if not low.all():
            z = self.gate.inverse_c(np.where(in_floats & ~low, rest, np.nan))
        if low.any():  # of others the value may be below a floor of the gate
            z = np.where(low, self.gate.inverse(np.where(low, value, np.nan)), z)
        z = np.clip(z, *reach(self.gate))
        if not in_floats.all():
            z = np.where(in_floats, z, z_of_u(self.gate, np.asarray(self.u_star)))
        return plain(z)

    def total_decay(self, z: Any) -> Decay:
        """The total decay ``h = -T log phi(z)`` and its logarithm, without underflow."""
        z = self._positions(z)
        log_phi, log_rest = self.gate.log_phi(z), self.gate.log_phi_c(z)
        with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
            rest = np.exp(log_rest)
            close = log_rest + np.where(rest > 0, np.log(-np.log1p(-rest) / rest), 0.0)
            log = np.where(log_rest < -1, close, np.log(-log_phi))
        with np.errstate(over="ignore"):
            return Decay(h=plain(-self.horizon * log_phi + 0.0), log=plain(self.log_horizon + log))

    def loss_at(self, z: Any) -> Any:
        """``c |phi(z)^T - lambda*|``."""
        return plain(self.scale * self.loss.value(self.total_decay(z), self.target_decay))

    def side(self, z: Any) -> Any:
        """-1 below the target (z is to grow), +1 above it, 0 on it."""
        z = self._positions(z)
        at = self.total_decay(z)
        return plain(np.where(z == self.z_star, 0.0, np.sign(self.log_h_star - at.log)))

    def log_abs_grad(self, z: Any) -> Any:
        """``log |dL/dz|``; finite where the gradient underflows, as on a plateau."""
        z = self._positions(z)
        log_slope = self.loss.log_slope(self.total_decay(z), self.target_decay)
        return plain(np.log(self.scale) + log_slope + self.log_horizon + self.gate.log_dphi(z) - self.gate.log_phi(z))

    def grad(self, z: Any) -> Any:
        """dL/dz, so that ``dz/dtau = -grad`` (eq. 15); 0 on the target, where the flow rests."""
        side = self.side(z)
        with np.errstate(under="ignore", over="ignore"):
            return plain(side * np.where(side == 0, 0.0, np.exp(self.log_abs_grad(z))))

    def curvature(self, z: Any) -> Any:
        """d2L/dz2 on the smooth branch that holds z.

        In terms of ``L_h``, the slope of the loss in h, and ``b = L_hh/L_h``, it is
        ``L_h T ((1 + b T) (phi'/phi)^2 - phi''/phi)``.
        """
        z = self._positions(z)
        at = self.total_decay(z)
        log_phi = self.gate.log_phi(z)
        front = np.log(self.scale) + self.loss.log_slope(at, self.target_decay) + self.log_horizon
        curvature = 1 + self.loss.relative_curvature(at, self.target_decay) * self.horizon
        second = self.gate.d2phi(z)
        with np.errstate(divide="ignore", under="ignore", over="ignore"):
            steep = np.sign(curvature) * np.exp(
                front + np.log(np.abs(curvature)) + 2 * (self.gate.log_dphi(z) - log_phi)
            )
            bent = np.sign(second) * np.exp(front + np.log(np.abs(second)) - log_phi)
        return plain(np.sign(at.log - self.log_h_star) * (steep - bent))

    def log_distance(self, z: Any) -> Any:
        """``log |h - h*|``, the distance still to go; finite where ``phi(z)^T`` and ``lambda*`` round to one float."""
        return plain(log_distance(self.total_decay(z), self.target_decay))

    def __repr__(self) -> str:
        extra = "" if self.loss.name == "absolute" else f", loss={self.loss.name!r}"
        goal = f"{self.target.way}={_text(self.target.value)}"
        name = self.gate.name
        return f"LearningProblem({name!r}, horizon={_text(self.horizon)}, {goal}, scale={_text(self.scale)}{extra})"

    def _repr_html_(self) -> str:
        with np.errstate(all="ignore"):
            constant = np.asarray(self.horizon) / np.asarray(self.h_star)
        about = [
            ("horizon T", cards.number(self.horizon)),
            (self.target.way.replace("_", " "), cards.number(self.target.value)),
            ("scale c", cards.number(self.scale)),
            ("loss", self.loss.name),
            ("z*", cards.number(self.z_star, 10)),
            ("time constant there", f"{cards.number(constant)} steps"),
        ]
        formula = cards.mathematics(r"L(z) = c\,|\phi(z)^T - \lambda^*|") if self.loss.name == "absolute" else None
        title = f"Learning problem of {self.gate.name}"
        return cards.framed(title, formula, cards.facts(about), picture=self._curve())

    def _curve(self) -> Any:
        """The loss about the target; None for several problems, and for a target that is no place."""
        if np.ndim(self.z_star) or not np.isfinite(self.z_star):
            return None
        width = 1 + abs(self.z_star)
        z = self.z_star + np.linspace(-width, width / 2, 121)
        return cards.curve(z, self.loss_at(z), label=f"Loss of {self.gate.name}", across="z", up="loss")


def check_problem(what: str, problem: Any) -> None:
    """Complain of what is no learning problem, where ``what`` takes one."""
    if not isinstance(problem, LearningProblem):
        raise InvalidArgument(f"{what} takes a LearningProblem; got {shown(problem)}")


def positions(z: Any, name: str = "z") -> Any:
    """Finite pre-activations as float64; else one line that names the value."""
    return number(name, z, *FINITE)


def starts(gate: Gate, z0: Any) -> Any:
    """The same for the start of a flow, where the gate must have a value."""
    z0 = positions(z0, "z0")
    void = np.isnan(np.broadcast_to(gate.float64.u(np.asarray(z0)), np.shape(z0)))
    if void.any() and np.any(void := np.isnan(gate.phi(z0))):
        raise InvalidArgument(f"{gate.name} has no value at z0 = {np.asarray(z0)[void].flat[0]:g}")
    return z0
