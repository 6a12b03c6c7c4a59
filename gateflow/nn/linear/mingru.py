"""minGRU (Feng et al., Were RNNs All We Needed?, arXiv 2410.01201): a convex step towards a candidate."""

from __future__ import annotations

from torch import Tensor

from gateflow.nn.linear._layer import TowardsCandidate
from gateflow.nn.scans import scan


class MinGRU(TowardsCandidate):
    """``h_t = a h_(t-1) + (1 - a) c`` with ``a = phi(z)``; z and the candidate c are linear in the input.

    Parameters
    ----------
    input_size, hidden_size : int
    decay_gate : str, Gate or GateFunction
        phi. With the sigmoid, z is minus the pre-activation of the paper's update gate.
    bias : bool
    positive : bool
        Whether the candidate goes through ``c + 1/2`` where it is above 0 and ``sigma(c)`` below, as the paper has it
        for its form in logarithms.
    batch_first : bool
    device, dtype
        Of the parameters.

    Examples
    --------
    >>> import torch
    >>> layer = MinGRU(3, 5, decay_gate="fast")
    >>> output, state = layer(torch.zeros(7, 2, 3))
    >>> output.shape, state.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 5]))
    """

    def drive(self, x: Tensor, first: bool) -> tuple[Tensor, Tensor]:
        z, b = self._driven(x)
        return self.decay_gate.log(z), b

    def _driven(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, candidate = self.parts(x)
        return z, self.decay_gate.complement(z) * candidate

    def states(self, x: Tensor, state: Tensor | None) -> Tensor:
        """The states after each input; the scan makes the decays of z itself, which takes half the time."""
        z, b = self._driven(x)
        if self._seen is not None:
            self.decays(self.decay_gate.log(z), x)
        return scan(z, b, None if state is None else state.to(b.dtype), gate=self.decay_gate)


CELL = MinGRU
