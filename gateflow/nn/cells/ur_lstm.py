"""UR-LSTM: tied refine gate, started by the uniform gate initialisation (Gu et al., ICML 2020, arXiv 1910.09890).

The forget gate starts at ``f ~ U(1/d, 1 - 1/d)``, d units, through its bias b, and the refine gate at ``1 - f``: its
bias is ``-b`` where both are sigmoids. The source shares one vector between the two; here each has its own to learn.
"""

from __future__ import annotations

from typing import Any, ClassVar

from gateflow.errors import InvalidArgument
from gateflow.nn.cells.refine import RefineLSTM
from gateflow.nn.inits.uniform import Uniform


class URLSTM(RefineLSTM):
    """:class:`~gateflow.nn.cells.refine.RefineLSTM`, tied, with its own start.

    Examples
    --------
    >>> import torch
    >>> layer = URLSTM(2, 8)
    >>> b_f, b_r = layer.bias_ih_l0[layer.rows("forget")], layer.bias_ih_l0[layer.rows("refine")]
    >>> torch.allclose(b_f, -b_r, atol=1e-6)
    True
    """

    defaults: ClassVar[dict[str, Any]] = {"init": "none"}

    def __init__(self, *layout: Any, **options: Any) -> None:
        if not options.get("tied", True):
            raise InvalidArgument("UR-LSTM ties its input gate; RefineLSTM(tied=False) does not")
        super().__init__(*layout, **options)

    def reset_parameters(self) -> None:
        """As in every cell, then the uniform gate initialisation; without biases there is nothing to start."""
        super().reset_parameters()
        if self.bias:
            Uniform()(self)


CELL = URLSTM
