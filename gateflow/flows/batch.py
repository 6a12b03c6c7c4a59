"""Many learning problems with their starts in one record: what every integral, kernel and descent takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gateflow.gates.gate import Gate
from gateflow.losses import Decay, Loss

if TYPE_CHECKING:
    from gateflow.flows.problem import LearningProblem

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class ProblemBatch:
    """Learning problems of one gate and one loss, each with its start; all arrays have one shape.

    They are views as :meth:`of` makes them, so that a grid of problems is not written out; kernels take :meth:`rows`,
    and densities, which have an axis more for the nodes of a quadrature, :meth:`at_nodes`.

    Parameters
    ----------
    gate, loss : Gate, Loss
        Shared by all.
    horizon : array
        T, in steps.
    target : Decay
        The total decays h* that the problems ask for.
    scale : array
        c.
    z0 : array
        Where learning starts.
    stop : Decay
        Where the times end: by default the target, else another total decay on the way to it.
    tolerance : array, optional
        Relative tolerance on the time scale: the times end where ``|h - h*|`` is this share of h*.
    z_star : array, optional
        The positions of the targets, for those who step towards them.

    Examples
    --------
    >>> from gateflow.flows import LearningProblem
    >>> batch = ProblemBatch.of(LearningProblem("fast", horizon=[[1.0], [10.0]], gap=[0.1, 0.01]), 0.0)
    >>> batch.shape, batch.rows(slice(1, 3)).horizon.tolist()
    ((2, 2), [1.0, 10.0])
    """

    gate: Gate
    loss: Loss
    horizon: Array
    target: Decay
    scale: Array
    z0: Array
    stop: Decay
    tolerance: Any = None
    z_star: Any = None

    @classmethod
    def of(cls, problem: LearningProblem, z0: Any, *, stop: Decay | None = None, tolerance: Any = None) -> ProblemBatch:
        """The problems and their starts, broadcast against each other; nothing is checked or copied."""
        return cls.broadcast(
            problem.gate, problem.loss, problem.horizon, problem.target_decay, problem.scale, z0, stop, tolerance
        )

    @classmethod
    def broadcast(
        cls,
        gate: Gate,
        loss: Loss,
        horizon: Any,
        target: Decay,
        scale: Any,
        z0: Any,
        stop: Decay | None = None,
        tolerance: Any = None,
    ) -> ProblemBatch:
        """The same from numbers of any shapes that go together."""
        ends = (target.h, target.log) if stop is None else (target.h, target.log, stop.h, stop.log)
        more = () if tolerance is None else (tolerance,)
        arrays = np.broadcast_arrays(*(np.asarray(part, np.float64) for part in (horizon, scale, z0, *ends, *more)))
        aim = Decay(arrays[3], arrays[4])
        return cls(
            gate, loss, arrays[0], aim, arrays[1], arrays[2],
            stop=aim if stop is None else Decay(arrays[5], arrays[6]),
            tolerance=None if tolerance is None else arrays[-1],
        )  # fmt: skip

    @classmethod
    def towards(cls, problem: LearningProblem, z0: Any, shape: tuple[int, ...]) -> ProblemBatch:
        """The problems in rows of ``shape`` written out, with the positions of their targets: for descents."""
        parts = (problem.horizon, problem.h_star, problem.log_h_star, problem.scale, z0, problem.z_star)
        rows = [np.array(np.broadcast_to(np.asarray(part, np.float64), shape)).reshape(-1) for part in parts]
        target = Decay(rows[1], rows[2])
        return cls(problem.gate, problem.loss, rows[0], target, rows[3], rows[4], target, z_star=rows[5])

    @property
    def shape(self) -> tuple[int, ...]:
        """That of all arrays."""
        return self.z0.shape

    @property
    def float64(self) -> Any:
        """The gate's numbers in float64."""
        return self.gate.float64

    @cached_property
    def log_horizon(self) -> Array:
        """log T."""
        return np.log(self.horizon)

    @property
    def log_scale(self) -> Array:
        """log c."""
        return np.log(self.scale)

    @cached_property
    def direction(self) -> Array:
        """+1 where z is to grow, -1 where it is to fall."""
        return np.where(self.z0 < self.z_star, 1.0, -1.0)

    def _each(self, part_of: Callable[[Array], Array]) -> ProblemBatch:
        """The same with a part of each array."""

        def of(decay: Decay) -> Decay:
            return Decay(part_of(decay.h), part_of(decay.log))

        target = of(self.target)
        return ProblemBatch(
            self.gate,
            self.loss,
            part_of(self.horizon),
            target,
            part_of(self.scale),
            part_of(self.z0),
            target if self.stop is self.target else of(self.stop),
            None if self.tolerance is None else part_of(self.tolerance),
            None if self.z_star is None else part_of(self.z_star),
        )

    def rows(self, part: slice = slice(None)) -> ProblemBatch:
        """A part of the problems, in their order, in rows of their own."""
        return self._each(lambda array: _row(array, part))

    def take(self, chosen: Any) -> ProblemBatch:
        """Of problems in rows, those numbered ``chosen`` or under a mask."""
        return self._each(lambda row: row[chosen])

    def at_nodes(self, owner: Any) -> ProblemBatch:
        """Of problems in rows, those numbered ``owner``, with an axis for nodes."""
        at = np.asarray(owner)[..., None]
        return self._each(lambda row: row[at])

    def log_speed(self, z: Array) -> Array:
        """``log v``, v = |dL/dz|, of problems in rows for z of shape (n,) or (n, nodes)."""
        axes = (slice(None), *(None,) * (z.ndim - 1))
        horizon, scale = self.horizon[axes], self.scale[axes]
        u = self.float64.u(z)
        decay = Decay(horizon * np.logaddexp(0.0, -u))
        log_slope = self.loss.log_slope(decay, self.target.take(axes))
        return np.log(scale * horizon) + log_slope - np.logaddexp(0.0, u) + self.float64.log_du(z)


def _row(array: Array, part: slice) -> Array:
    """A part of an array in one row, without the rest of it."""
    return array.reshape(-1)[part] if array.flags.c_contiguous else np.ascontiguousarray(array.flat[part])
