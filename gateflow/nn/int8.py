"""Weights in eight bits: a file of a quarter, and the gates and the sums in floats as before."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from gateflow.errors import InvalidArgument, shown
from gateflow.nn.recurrent import Recurrent

MOST = 127


class EightBits(torch.nn.Module):
    """A matrix as whole numbers from -127 to 127 and one scale for each row: ``w = q s``.

    Examples
    --------
    >>> rows = EightBits()
    >>> q, scale = rows.right_inverse(torch.tensor([[1.0, -0.5], [0.0, 0.0]]))
    >>> q.tolist()
    [[127, -64], [0, 0]]
    >>> rows(q, scale)[0, 0].item()
    1.0
    """

    def right_inverse(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """The whole numbers and the scales of a matrix, off by half a scale at most."""
        wide = torch.promote_types(matrix.dtype, torch.float32)
        scale = matrix.abs().amax(dim=1, keepdim=True) / MOST
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        return (matrix.to(wide) / scale.to(wide)).round().clamp(-MOST, MOST).to(torch.int8), scale

    def forward(self, q: Tensor, scale: Tensor) -> Tensor:
        """The matrix again."""
        return q.to(scale.dtype) * scale


def int8_weights(model: torch.nn.Module) -> torch.nn.Module:
    """The model with the weight matrices of its recurrent layers in eight bits, for use and no more training.

    A weight is off by at most 1/254 of the largest of its row, and its rounding. A pass makes floats of them first and
    goes on with any backend: the file is a quarter of one in float32, and no pass is faster.
    ``torch.ao.quantization.quantize_dynamic(model, {LSTM}, mapping={LSTM: Int8})`` does the same to a copy.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place: the layers of gateflow with a recurrent product. Such a model is kept as a state dict, not as
        a pickle, and loaded into one that was changed so.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    InvalidArgument
        There is no such layer, its weights are parametrised, or one of them is not finite.

    Examples
    --------
    >>> from gateflow.nn import LSTM
    >>> layer = int8_weights(LSTM(3, 8, forget_gate="fast"))
    >>> layer.state_dict()["parametrizations.weight_hh_l0.original0"].dtype
    torch.int8
    """
    if not isinstance(model, torch.nn.Module):
        raise InvalidArgument(f"a model is a torch.nn.Module; got {shown(model)}")
    layers = {name: each for name, each in model.named_modules() if isinstance(each, Recurrent)}
    if not layers:
        raise InvalidArgument("the model has no recurrent layer of gateflow.nn; gateflow.nn.replace makes some")
    for name, layer in layers.items():
        _check(name or type(layer).__name__, layer)
    for layer in layers.values():
        for parameter in layer.parameters():
            parameter.requires_grad_(False)
        for name in _matrices(layer):
            parametrize.register_parametrization(layer, name, EightBits(), unsafe=True)
    return model


class Int8:
    """What ``torch.ao.quantization.quantize_dynamic`` makes of a layer, given as its ``mapping``."""

    @staticmethod
    def from_float(layer: Recurrent) -> torch.nn.Module:
        """A copy of the layer with its weights in eight bits, without its hooks, which PyTorch puts back itself."""
        made = copy.copy(layer)
        vars(made)["_parameters"] = {
            name: None if each is None else torch.nn.Parameter(each.detach().clone(), False)
            for name, each in layer._parameters.items()
        }
        vars(made)["_modules"] = dict(layer._modules)
        for name in ("_forward_hooks", "_forward_pre_hooks"):
            vars(made)[name] = type(vars(layer)[name])()
        return int8_weights(made)


def _matrices(layer: Recurrent) -> list[str]:
    return [name for name, each in layer._parameters.items() if each is not None and each.dim() == 2]


def _check(name: str, layer: Recurrent) -> None:
    if parametrize.is_parametrized(layer):
        raise InvalidArgument(f"the weights of {name} are parametrised already: {', '.join(layer.parametrizations)}")  # type: ignore[arg-type]
    for which in _matrices(layer):
        matrix = layer._parameters[which]
        assert matrix is not None
        if matrix.is_meta or not torch.isfinite(matrix).all():
            why = "has no values yet" if matrix.is_meta else "is not finite"
            raise InvalidArgument(f"{which} of {name} {why}: its rows have no scale")
