"""Equality and hash of results that hold arrays: by value, never an error, never an array of truths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

Kind = TypeVar("Kind", bound=type)

LOOKED_AT = 4
"""Numbers of an array that its hash is made of."""


def by_value(cls: Kind) -> Kind:
    """Give a data class an ``==`` that compares arrays whole, nan equal to nan, and a hash that goes with it.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> @by_value
    ... @dataclass(frozen=True)
    ... class Path:
    ...     z: np.ndarray
    >>> Path(np.array([1.0, np.nan])) == Path(np.array([1.0, np.nan])), Path(np.zeros(2)) == Path(np.zeros(3))
    (True, False)
    >>> len({Path(np.zeros(2)), Path(-np.zeros(2))})
    1
    """

    def equal(self: Any, other: object) -> Any:
        if type(other) is not type(self):
            return NotImplemented
        return all(same(getattr(self, name), getattr(other, name)) for name in _compared(self))

    def hashed(self: Any) -> int:
        return hash((type(self).__qualname__, *(_key(getattr(self, name)) for name in _compared(self))))

    cls.__eq__, cls.__hash__ = equal, hashed  # type: ignore[assignment]
    return cls


def _compared(thing: Any) -> list[str]:
    return [field.name for field in fields(thing) if field.compare]


def same(first: Any, second: Any) -> bool:
    """Whether two values are equal: arrays and tensors whole, in what holds them too; nan equals nan.

    Examples
    --------
    >>> same({"tau": [1.0, float("nan")]}, {"tau": [1.0, float("nan")]}), same([1], (1,))
    (True, False)
    """
    if first is second:
        return True
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(same(first[name], second[name]) for name in first)
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        alike = isinstance(first, list) == isinstance(second, list) and len(first) == len(second)
        return alike and all(map(same, first, second))
    if _is_array(first) or _is_array(second):
        return _same_arrays(first, second)
    if isinstance(first, float) and isinstance(second, float) and math.isnan(first):
        return math.isnan(second)
    return bool(first == second)


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype") and hasattr(value, "tolist")


def _same_arrays(first: Any, second: Any) -> bool:
    if getattr(first, "shape", ()) != getattr(second, "shape", ()):
        return False
    if not (_is_array(first) and _is_array(second)) or str(first.dtype) == "object":
        return same(getattr(first, "tolist", lambda: first)(), getattr(second, "tolist", lambda: second)())
    return bool(((first == second) | ((first != first) & (second != second))).all())  # nan is not itself


def _key(value: Any) -> Any:
    """Something with a hash, equal for equal values."""
    if isinstance(value, Mapping):
        return frozenset(value)
    if isinstance(value, (list, tuple)):
        return tuple(map(_key, value))
    if _is_array(value) and value.shape:
        return (tuple(value.shape), *(_key(each) for each in value.reshape(-1)[:LOOKED_AT].tolist()))
    if _is_array(value):
        value = value.tolist()
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    try:
        hash(value)
    except TypeError:
        return type(value).__qualname__
    return value
