"""Noisy hard gates: the flow of the expected loss in the pre-activation z and the noise scale p, and Monte Carlo.

With the linear gate ``u = z/4 + 1/2``, the hard gate h = u cut off at 0 and 1, and ``Delta = h - u`` (Gulcehre,
Moczulski, Denil and Bengio, ICML 2016, arXiv 1603.00391)::

    g = m + s epsilon        m = alpha h + (1 - alpha) u        s = d a (sigmoid(p Delta) - 1/2)^2
                             d = -sign(z) sign(1 - alpha)

epsilon is half-normal or normal. Noise comes only where the hard gate is flat, ``|z| > 2``, and gives it a slope there;
p is learned with z. Two ways to draw it:

- ``held``: one draw for all T steps. The loss is ``E |g^T - lambda*|`` or ``E (g^T - lambda*)^2``, an integral over
  epsilon, by Gauss-Legendre rules between the kinks at ``g^T = lambda*``.
- ``fresh``: a draw a step. The cell keeps ``g_1 ... g_T``, whose moments are powers, so the squared loss is
  ``(E g^2)^T - 2 lambda* (E g)^T + lambda*^2`` in closed form. The absolute one is an integral over T draws, and
  refused.

As published the gate is not held to [0, 1]; T is whole, so that powers of a negative gate are numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from gateflow.errors import InvalidArgument
from gateflow.flows.density import Array
from gateflow.flows.panels import NODES, X01
from gateflow.flows.plane._contract import Force, PlanarSolution, Plane, Tolerances, TurningPoint
from gateflow.flows.plane._march import FAR, Event, least_pull, march, softened
from gateflow.flows.problem import LearningProblem, plain, positions
from gateflow.guards.arguments import FINITE, broadcast, one, whole
from gateflow.guards.calls import one_of
from gateflow.progress import track
from gateflow.results.byvalue import by_value
from gateflow.results.status import Status

EDGE = 2.0
"""|z| past which the hard gate is flat."""
FARTHEST = 9.5
"""Standard deviations from the peak of an integrand at which its integral is cut off: exp(-45) of it is left out."""
WIDEST = 2.0
"""Widest panel, in standard deviations: over it a Gaussian is integrated to the last digit."""
STEEPEST = 4.0
"""Rise of the logarithm of an integrand over the panel next to its kink, at most: it may rise towards it at the rate
``T s/g``, so panels shrink by halves towards it."""
QUIET = 1e-5
"""Noise in the gate at which a flow that has come to a valley of the expected loss is left off: a valley of the
absolute loss is as narrow as the noise is small."""
CREEP = 1e-6
"""Distance in z from the edge where the gate is 0 at which a flow that only creeps up to it is left off."""
MOST_LEGS = 100
BLOCK = 1 << 20
"""Draws held in memory together."""
_WEIGHTS = np.polynomial.legendre.leggauss(NODES)[1] / 2


class Piece(NamedTuple):
    """Mean and noise of the gate, and their slopes in z and p, on one piece of the hard gate."""

    m: Any
    s: Any
    m_z: Any
    s_z: Any
    s_p: Any


class Estimate(NamedTuple):
    """Means over draws and their standard errors; the gradient in z and p on its last axis."""

    loss: Any
    loss_error: Any
    grad: Array
    grad_error: Array


@by_value
@dataclass(frozen=True)
class NoisyProblem(Plane):
    """Learn a time scale by a noisy hard gate: its pre-activation z and its noise scale p.

    Parameters
    ----------
    horizon : int
        T.
    target, gap, log_gap, decay, timescale, scale
        See :class:`~gateflow.flows.problem.LearningProblem`; one problem, without arrays.
    alpha : float
        Above 1 the gate leans back from its edge, below 1 it leans past it.
    amplitude : float
        a, the scale of the noise, not negative.
    noise : str
        "held" or "fresh".
    loss : str
        "absolute" or "squared".
    half_normal : bool
        Whether the noise is half-normal, as in the authors' gates, or normal.

    Raises
    ------
    InvalidArgument
        An argument is out of range, or the expected loss has no formula.

    Examples
    --------
    >>> problem = NoisyProblem(horizon=5, gap=0.1)
    >>> bool(abs(problem.loss_at(6.0, 1.0) - problem.monte_carlo(6.0, 1.0, samples=10_000, seed=1).loss) < 1e-3)
    True
    """

    names: ClassVar[tuple[str, str]] = ("z", "p")
    task: LearningProblem
    alpha: float
    amplitude: float
    noise: str
    loss: str
    half_normal: bool

    def __init__(
        self,
        *,
        alpha: float = 1.1,
        amplitude: float = 0.15,
        noise: str = "held",
        loss: str = "absolute",
        half_normal: bool = True,
        **task: Any,
    ) -> None:
        made = LearningProblem("sigmoid", **task)
        if any(np.ndim(part) for part in (made.horizon, made.target.value, made.scale)):
            raise InvalidArgument("a planar flow is of one problem; give one horizon, one target and one scale")
        if made.horizon != np.floor(made.horizon):
            raise InvalidArgument(f"horizon must be a whole number of steps for a noisy gate; got {made.horizon:g}")
        one_of("noise", noise, ("held", "fresh"))
        one_of("loss", loss, ("absolute", "squared"))
        if (noise, loss) == ("fresh", "absolute"):
            raise InvalidArgument(
                "fresh noise has a formula for the squared loss only; use loss='squared' or held noise"
            )
        put = object.__setattr__
        put(self, "task", made)
        put(self, "alpha", one("alpha", alpha, *FINITE))
        put(self, "amplitude", one("amplitude", amplitude, lambda v: (v >= 0) & np.isfinite(v), "at least 0"))
        put(self, "noise", noise)
        put(self, "loss", loss)
        put(self, "half_normal", bool(half_normal))

    @property
    def horizon(self) -> int:
        """T."""
        return int(self.task.horizon)

    @property
    def lambda_star(self) -> float:
        """lambda*."""
        return math.exp(-self.task.h_star)

    @property
    def gate_star(self) -> float:
        """``lambda*^(1/T)``, where the gate is to be."""
        return math.exp(-self.task.h_star / self.horizon)

    @property
    def z_star(self) -> float:
        """Where the hard gate has its target, at most 2."""
        return EDGE + 4 * math.expm1(-self.task.h_star / self.horizon)

    @property
    def moments(self) -> tuple[float, float]:
        """``E epsilon`` and ``E epsilon^2``."""
        return (math.sqrt(2 / math.pi) if self.half_normal else 0.0), 1.0

    # --- the gate ---

    def pieces(self, z: Any, p: Any, region: Any) -> Piece:
        """The gate on the piece left of the edges (-1), between them (0) or right of them (1), continued beyond."""
        flat = np.asarray(region) != 0
        u = z / 4 + 0.5
        h = np.where(flat, np.where(np.asarray(region) > 0, 1.0, 0.0), u)
        slack = h - u
        sign = -np.where(flat, region, np.sign(z)) * math.copysign(1.0, 1.0 - self.alpha)
        bent = np.tanh(p * slack / 2)
        with np.errstate(over="ignore"):
            turn = sign * self.amplitude / 4 * bent / np.cosh(p * slack / 2) ** 2
        lean = np.where(flat, (1 - self.alpha) / 4, 0.25)
        return Piece(
            self.alpha * h + (1 - self.alpha) * u,
            sign * self.amplitude * bent**2 / 4,
            lean,
            np.where(flat, -turn * p / 4, 0.0),
            turn * slack,
        )

    def at(self, z: Any, p: Any) -> Piece:
        """The gate where it is."""
        z, p = broadcast(z=positions(z, "z"), p=positions(p, "p"))
        return self.pieces(z, p, region_of(z))

    def phi(self, z: Any, p: Any) -> Any:
        """The mean of the gate, ``E g``."""
        piece = self.at(z, p)
        return plain(piece.m + piece.s * self.moments[0])

    # --- the expected loss ---

    def loss_at(self, z: Any, p: Any) -> Any:
        """The expected loss."""
        piece = self.at(z, p)
        if self.noise == "fresh":
            return plain(self.task.scale * self._fresh_loss(piece))
        values = [self._held_loss(m, s) for m, s in zip(np.ravel(piece.m), np.ravel(piece.s), strict=True)]
        return plain(self.task.scale * np.reshape(values, np.shape(piece.m)))

    def force(self, z: Any, p: Any) -> Force:
        """Minus the gradient of the expected loss."""
        z, p = broadcast(z=positions(z, "z"), p=positions(p, "p"))
        return self.force_on(z, p, region_of(z))

    def force_on(self, z: Any, p: Any, region: Any) -> Force:
        """The same on one piece of the gate, continued beyond its edges."""
        piece = self.pieces(z, p, region)
        kind = self._fresh_force if self.noise == "fresh" else self._held_force
        shape = np.shape(piece.m)
        rows = zip(*(np.ravel(np.broadcast_to(part, shape)) for part in piece), strict=True)
        found = np.array([kind(Piece(*row)) for row in rows]).reshape(*shape, 3)
        return Force(found[..., 0], found[..., 1], found[..., 2] + np.log(self.task.scale))

    def _fresh_loss(self, piece: Piece) -> Any:
        """``(E g^2)^T - 2 lambda* (E g)^T + lambda*^2`` as a spread and a square, both at least 0."""
        first, spread = self._mean_and_variance(piece)
        kept = first**self.horizon
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            wide = kept**2 * np.expm1(self.horizon * np.log1p(spread / first**2))
        wide = np.where(first == 0, spread**self.horizon, wide)
        return wide + (kept - self.lambda_star) ** 2

    def _mean_and_variance(self, piece: Piece) -> tuple[Any, Any]:
        mean, square = self.moments
        return piece.m + piece.s * mean, piece.s**2 * (square - mean**2)

    def _fresh_force(self, piece: Piece) -> tuple[float, float, float]:
        """From ``T (E g^2)^(T-1)`` and ``-2 lambda* T (E g)^(T-1)``, scaled by the larger."""
        mean, square = self.moments
        t, lam = self.horizon, self.lambda_star
        first, spread = self._mean_and_variance(piece)
        second = first**2 + spread
        with np.errstate(divide="ignore"):
            logs = np.array([(t - 1) * _log(second), _log(2 * lam) + (t - 1) * _log(abs(first))]) + np.log(t)
        top = float(logs.max())
        if top == -np.inf:
            return 0.0, 0.0, -np.inf
        signs = np.array([-1.0, np.sign(first) ** (t - 1)])
        a, b = signs * np.exp(logs - top)
        slopes = []
        for m_x, s_x in ((piece.m_z, piece.s_z), (0.0, piece.s_p)):
            first_x = m_x + s_x * mean
            second_x = 2 * (piece.m * first_x + piece.s * (m_x * mean + s_x * square))
            slopes.append(a * second_x + b * first_x)
        return slopes[0], slopes[1], top

    def _held_loss(self, m: float, s: float) -> float:
        g, _, log_weights = self._nodes(m, s)
        apart = g**self.horizon - self.lambda_star
        return float(np.exp(log_weights) @ (np.abs(apart) if self.loss == "absolute" else apart**2))

    def _held_force(self, piece: Piece) -> tuple[float, float, float]:
        """Scaled by the sum of all pulls, whatever their sign, so that what cancels is small."""
        g, noise, log_weights = self._nodes(piece.m, piece.s)
        t = self.horizon
        apart = g**t - self.lambda_star
        with np.errstate(divide="ignore"):
            logs = log_weights + np.log(t) + (t - 1) * np.log(np.abs(g))
            size = np.ones_like(g) if self.loss == "absolute" else 2 * np.abs(apart)
            reach = np.log(np.abs(piece.m_z) + np.abs(piece.s_z) * np.abs(noise))
            gross = 2 * np.maximum(np.abs(g) ** t, self.lambda_star) if self.loss == "squared" else size
            top = float(np.max(logs + reach + np.log(gross)))
        if top == -np.inf:
            return 0.0, 0.0, -np.inf
        pull = -np.sign(apart) * size * np.sign(g) ** (t - 1) * np.exp(logs - top)
        total = np.sum(np.exp(logs + reach + np.log(gross) - top))
        along = pull @ (piece.m_z + piece.s_z * noise), pull @ (piece.s_p * noise)
        return along[0] / total, along[1] / total, top + float(np.log(total))

    def _nodes(self, m: float, s: float) -> tuple[Array, Array, Array]:
        """Values of the gate, of the noise, and log of their weights: a rule right between the integrand's kinks."""
        if s == 0.0:
            return np.array([m]), np.array([0.0]), np.array([0.0])
        low, high = self._range(m, s)
        kinks = np.array([(goal - m) / s for goal in (self.gate_star, -self.gate_star)])
        halvings = math.ceil(math.log2(max(1.0, self.horizon * abs(s) / self.gate_star / STEEPEST)))
        near = WIDEST * 2.0 ** -np.arange(1, halvings + 1)
        inner = np.concatenate(
            [np.arange(low + WIDEST, high, WIDEST), kinks, np.add.outer(kinks, [-near, near]).ravel()]
        )
        edges = np.sort(np.concatenate([[low], inner[(inner > low) & (inner < high)], [high]]))
        width = np.diff(edges)[:, None]
        noise = (edges[:-1, None] + width * X01).ravel()
        log_weights = np.log((width * _WEIGHTS).ravel()) - noise**2 / 2 - math.log(2 * math.pi) / 2
        return m + s * noise, noise, log_weights + (math.log(2.0) if self.half_normal else 0.0)

    def _range(self, m: float, s: float) -> tuple[float, float]:
        """Past the peaks of ``|g|^T exp(-epsilon^2/2)``, which lie at most ``sqrt(T)`` out."""
        far = 2 * self.horizon * abs(s) / (abs(m) + math.sqrt(m * m + 4 * self.horizon * s * s)) + FARTHEST
        return (0.0 if self.half_normal else -far), far

    # --- Monte Carlo ---

    def monte_carlo(self, z: Any, p: Any, samples: int = 10_000, seed: int = 0) -> Estimate:
        """The expected loss and its gradient by drawing the noise, with standard errors; the same draws at each point.

        Raises
        ------
        InvalidArgument
            Fewer than two samples, or a seed that is no whole number from 0.
        """
        samples = whole("samples", samples, 2)
        piece = self.at(z, p)
        shape = np.shape(piece.m)
        rows = list(zip(*(np.ravel(np.broadcast_to(part, shape)) for part in piece), strict=True))
        generator = np.random.default_rng(whole("seed", seed, 0))
        steps = self.horizon if self.noise == "fresh" else 1
        total, squares, done = np.zeros((len(rows), 3)), np.zeros((len(rows), 3)), 0
        sizes = [min(chunk, samples - k) for chunk in [max(2, BLOCK // steps)] for k in range(0, samples, chunk)]
        for size in track(sizes, "drawing noise"):
            noise = generator.standard_normal((size, steps))
            noise = np.abs(noise) if self.half_normal else noise
            for k, row in enumerate(rows):
                drawn = self.task.scale * self._drawn(Piece(*row), noise)
                # Chan, Golub and LeVeque's update of mean and sum of squares
                mean, off = drawn.mean(axis=0), drawn.mean(axis=0) - total[k]
                total[k] += off * size / (done + size)
                squares[k] += ((drawn - mean) ** 2).sum(axis=0) + off**2 * done * size / (done + size)
            done += size
        error = np.sqrt(squares / (samples * (samples - 1)))
        means, errors = (part.reshape(*shape, 3) for part in (total, error))
        return Estimate(plain(means[..., 0]), plain(errors[..., 0]), means[..., 1:], errors[..., 1:])

    def _drawn(self, piece: Piece, noise: Array) -> Array:
        """Loss and gradient of each draw, shape (draws, 3), by the chain rule on the product of the steps."""
        g = piece.m + piece.s * noise
        times = self.horizon if self.noise == "held" else 1
        kept = np.prod(g, axis=1) ** times
        others = _product_of_others(g) * (times * g ** (times - 1))
        apart = kept - self.lambda_star
        front = np.sign(apart) if self.loss == "absolute" else 2 * apart
        value = np.abs(apart) if self.loss == "absolute" else apart**2
        along_z = front * np.sum(others * (piece.m_z + piece.s_z * noise), axis=1)
        along_p = front * np.sum(others * (piece.s_p * noise), axis=1)
        return np.stack([value, along_z, along_p], axis=1)

    # --- the flow ---

    def solve(self, start: tuple[float, float], settings: Tolerances) -> PlanarSolution:
        """Leg by leg, from edge to edge of the hard gate; ``check`` is 0, there being nothing to check but the loss."""
        least = least_pull(settings.tolerance)
        point, legs, turns, spent, log_tau = np.asarray(start), [], [], 0, -np.inf
        region, stop = self._entered(point, int(region_of(point[0])), None)
        for _ in range(MOST_LEGS):
            events = self._events(region, least, point)
            force = self._force_at(region)
            length = 0.0 if stop else FAR
            marched = march(softened(force), self._loss_at, tuple(point), settings, length, [e for _, e in events])
            legs.append(marched.leg)
            spent += marched.evaluations
            log_tau = float(np.logaddexp(log_tau, marched.log_tau[-1]))
            point = marched.leg.points(marched.leg.q[-1])
            if marched.event is None:
                break
            what = events[marched.event][0]
            if isinstance(what, Status):
                stop = what
                break
            point = np.array([what, point[1]])
            region, stop = self._entered(point, region, what)
            word = "rests on" if stop else "crosses"
            turns.append(TurningPoint(log_tau, (float(point[0]), float(point[1])), f"z {word} the edge at {what:g}"))
        return PlanarSolution(tuple(legs), stop or Status.TIME_LIMIT, tuple(turns), spent, 0.0)

    def _loss_at(self, _: Array, points: Array) -> Array:
        return np.asarray(self.loss_at(points[..., 0], points[..., 1]))

    def _force_at(self, region: int) -> Any:
        return lambda points: self.force_on(points[..., 0], points[..., 1], region)

    def _entered(self, point: Array, region: int, edge: float | None) -> tuple[int, Status | None]:
        """The piece that the flow goes on in, and the stop if it does not."""
        z = float(point[0])
        if z == self.z_star and self.loss == "absolute":
            return 0, Status.REACHED
        if edge is None and abs(z) != EDGE:
            gone = self.force_on(point[0], point[1], region).log_scale == -np.inf
            return region, Status.BALANCED if gone else None
        for side, beyond in ((np.sign(z), int(np.sign(z))), (-np.sign(z), 0)):
            force = self.force_on(point[0], point[1], beyond)
            if float(force.first) * side > 0 and force.log_scale > -np.inf:
                return beyond, None
        return 0, Status.BALANCED

    def _events(self, region: int, least: float, point: Array) -> list[tuple[float | Status, Event]]:
        """What may end a leg: an edge by its z, or a stop."""

        def within(bound: float, side: float) -> Event:
            return lambda _, at: side * (bound - float(at[0]))

        force = self._force_at(region)
        made: list[tuple[float | Status, Event]] = [(Status.ASYMPTOTIC, lambda _, at: float(force(at).size) - least)]
        if region:
            made.append((Status.QUIET, lambda _, at: self._loudness(at, region, float(force(at).first))))
            if self.gate_star < 1:  # else the edge is the target, and is reached
                made.append((Status.QUIET, self._until_kink(region, point)))
            creeps = region < 0 and self.horizon > 1  # the slope of g^T is 0 where g is
            edge = within(region * (EDGE + (CREEP if creeps else 0.0)), -float(region))
            return [*made, (Status.ASYMPTOTIC if creeps else region * EDGE, edge)]
        if self.loss == "absolute":
            made.append((Status.REACHED, within(self.z_star, float(np.sign(self.z_star - point[0])))))
        return [*made, (EDGE, within(EDGE, 1.0)), (-EDGE, within(-EDGE, -1.0))]

    def _loudness(self, point: Array, region: int, pull: float) -> float:
        """Above 0 unless the noise has died out and the pulls on z nearly balance."""
        return max(abs(float(self.pieces(point[0], point[1], region).s)) / QUIET - 1, 2 * abs(pull) - 1)

    def _until_kink(self, region: int, start: Array) -> Event:
        """Above 0 until a gate whose noise has died out comes to its target."""

        def short(at: Array) -> float:
            return self.gate_star - float(self.pieces(at[0], at[1], region).m)

        side = math.copysign(1.0, short(start))
        return lambda _, at: max(abs(float(self.pieces(at[0], at[1], region).s)) / QUIET - 1, side * short(at))

    def __repr__(self) -> str:
        task = repr(self.task).partition(", ")[2][:-1]
        return f"NoisyProblem({task}, loss={self.loss!r}, noise={self.noise!r})"


def region_of(z: Any) -> Any:
    """-1 where the hard gate is 0, 1 where it is 1, 0 between.

    Examples
    --------
    >>> region_of([-5.0, -2.0, 2.5])
    array([-1,  0,  1])
    """
    return np.where(np.abs(z) > EDGE, np.sign(z), 0.0).astype(int)


def _product_of_others(g: Array) -> Array:
    """For each column the product of all other columns, without a division."""
    ones = np.ones((g.shape[0], 1))
    before = np.cumprod(np.hstack([ones, g[:, :-1]]), axis=1)
    after = np.cumprod(np.hstack([ones, g[:, :0:-1]]), axis=1)[:, ::-1]
    return before * after


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf
