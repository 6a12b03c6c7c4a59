"""How a sweep shows itself in a notebook: what was computed over which axes, and how the flows ended."""

from __future__ import annotations

from typing import Any

from gateflow.notebook import cards
from gateflow.notebook.html import Html


def card(data: Any) -> Html:
    """The card of a sweep's data set, which a notebook shows; its first number is drawn if only one axis is long.

    Parameters
    ----------
    data : xarray.Dataset
        From :func:`gateflow.sweeps.sweep`, or read from its file.
    """
    axes = [(name, _axis(data[name])) for name in data.sizes]
    return cards.framed(
        f"Sweep: {data.attrs.get('title', 'data set')}",
        cards.facts([("problems", _count(data)), *axes]),
        cards.listed(("quantity", "values"), [[name, _values(data[name])] for name in data.data_vars]),
        picture=_curve(data),
    )


def statuses(status: Any) -> dict[str, int]:
    """How many problems ended how, by the words of the variable's attributes."""
    words = [word.replace("_", " ") for word in status.attrs["flag_meanings"].split()]
    counts = {word: int((status == code).sum()) for code, word in enumerate(words)}
    return {word: count for word, count in counts.items() if count}


def _count(data: Any) -> str:
    return " x ".join(str(size) for size in data.sizes.values())


def _axis(values: Any) -> str:
    """The labels of an axis, or its range and number of points."""
    if values.dtype.kind not in "fiu":
        return ", ".join(map(str, values.values))
    many = f", {values.size} points" if values.size > 1 else ""
    return f"{cards.number(values.values)}{many}"


def _values(values: Any) -> str:
    if "flag_meanings" in values.attrs:
        return ", ".join(f"{word}: {count}" for word, count in statuses(values).items())
    return cards.number(values.values)


def _curve(data: Any) -> Html | None:
    """The first number along the only axis with several points."""
    long = [name for name, size in data.sizes.items() if size > 1]
    if len(long) != 1 or data[long[0]].dtype.kind not in "fiu":
        return None
    name = next(iter(data.data_vars))
    return cards.curve(data[long[0]].values, data[name].values, label=str(name), across=long[0], up=str(name))
