"""Losses of the learning problem, one file each; a new file is found by itself."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import Any

from gateflow.errors import InvalidArgument
from gateflow.formula.spelling import placed, spelled
from gateflow.losses._loss import H_STAR, Branch, Decay, H, Loss, log_distance, log_saturation
from gateflow.registry import Registry

LOSSES = Registry("loss", "gateflow.losses", "LOSS")


def loss(text: str | Loss) -> Loss:
    """A loss by its name, with its parameter in brackets, or a formula in ``s``: the Laplace transform of the horizon.

    Raises
    ------
    UnknownName
        No loss has this name, and it is no formula.
    InvalidArgument
        The loss takes no such parameter, or the formula is no Laplace transform.
    FormulaError
        The formula is refused.

    Examples
    --------
    >>> loss("squared").name, loss("random-horizon(2)").name
    ('squared', 'random-horizon(2)')
    >>> loss("exp(-s/10)/2 + exp(-2*s)/2").arrives
    True
    >>> loss("sqared")
    Traceback (most recent call last):
    gateflow.errors.UnknownName: unknown loss 'sqared'; did you mean 'squared'?
    """
    if isinstance(text, Loss):
        return text
    if not isinstance(text, str):
        raise InvalidArgument(f"a loss is a name or a formula in s, not {type(text).__name__}")
    head, in_order, by_name = spelled(text, LOSSES)
    if head in LOSSES:
        return _make(head, in_order, by_name)
    if re.fullmatch(r"[A-Za-z][\w-]*", head) and head != "s" and not by_name:
        return LOSSES[head]
    from gateflow.losses.laplace import laplace

    return laplace(text.strip())


def _make(name: str, in_order: list[Any], by_name: dict[str, Any]) -> Loss:
    plain = LOSSES[name]
    if not in_order and not by_name:
        return plain
    numeric = [part.name for part in fields(plain) if part.type == "float"] if is_dataclass(plain) else []
    make: Any = type(plain)
    return make(**placed(f"loss {name!r}", numeric, in_order, by_name))


__all__ = ["H_STAR", "LOSSES", "Branch", "Decay", "H", "Loss", "log_distance", "log_saturation", "loss"]
