"""Results as tables and as pictures: a class names its columns once, and has :meth:`to_frame` and :meth:`plot`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar

import numpy as np

from gateflow.errors import MissingExtra
from gateflow.results.status import Status

Column = str | Callable[[Any], Any]
"""Where the numbers of a column come from: an attribute, ``"steps"`` or ``"predicted.steps"``, or a function.

What gives numbers by name gives a column for each, by those names.
"""
Drawn = tuple[str | None, Sequence[str]]
"""The column to draw over, or None for the number of the row, and the columns to draw."""


class Tabulated:
    """A result whose columns are declared with its class: numbers, or arrays that broadcast against each other.

    Parameters
    ----------
    columns : sequence of str, or mapping of str to Column
        The columns in their order; a name alone is that of the attribute.
    plots : Drawn, or a function that gives it
    scales : pair of str
        Those of the two axes of the picture.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Fall(Tabulated, columns=("time", "height"), plots=("time", ["height"])):
    ...     time: list
    ...     height: list
    >>> sorted(Fall([0.0, 1.0], [10.0, 5.1]).columns())
    ['height', 'time']
    """

    _columns: ClassVar[Mapping[str, Column]] = {}
    _plots: ClassVar[Any] = (None, ())
    _scales: ClassVar[tuple[str, str]] = ("linear", "linear")

    def __init_subclass__(
        cls,
        columns: Sequence[str] | Mapping[str, Column] | None = None,
        plots: Drawn | Callable[[Any], Drawn] | None = None,
        scales: tuple[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init_subclass__(**more)
        if columns is not None:
            cls._columns = columns if isinstance(columns, Mapping) else {name: name for name in columns}
        if plots is not None:
            cls._plots = staticmethod(plots) if callable(plots) else plots
        if scales is not None:
            cls._scales = scales

    def columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """The columns by name, as arrays of one shape."""
        given: dict[str, Any] = {}
        for name, of in self._columns.items():
            values = attrgetter(of)(self) if isinstance(of, str) else of(self)
            given |= values if isinstance(values, Mapping) else {name: values}
        arrays = (np.asarray(values, dtype=object if isinstance(values, str) else None) for values in given.values())
        return dict(zip(given, np.broadcast_arrays(*arrays), strict=True))

    def to_frame(self) -> Any:
        """A pandas data frame, one row a problem (or a point), numbered by its place along each axis.

        Raises
        ------
        MissingExtra
            pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtra("a data frame", "sweep") from None
        columns = self.columns()
        shape = next(iter(columns.values())).shape
        index = None
        if len(shape) > 1:
            names = [f"axis {k}" for k in range(len(shape))]
            index = pd.MultiIndex.from_product([range(length) for length in shape], names=names)
        return pd.DataFrame({name: np.ravel(values) for name, values in columns.items()}, index=index)

    def _drawn(self) -> Drawn:
        plots: Any = self._plots
        if isinstance(plots, tuple):
            return plots
        return plots(self)

    def plot(self, ax: Any = None) -> Any:
        """Draw the columns that say most; gives back the axes.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default on axes of a new figure.
        """
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.subplots()[1]
        across, heights = self._drawn()
        columns = {name: np.ravel(values) for name, values in self.columns().items()}
        if across is None:
            across, columns["number"] = "number", np.arange(next(iter(columns.values())).size)
        for name in heights:
            ax.plot(columns[across], columns[name], marker="." if columns[across].size < 2 else "", label=name)
        ax.set(xlabel=across.replace("_", " "), xscale=self._scales[0], yscale=self._scales[1])
        if len(heights) > 1:
            ax.legend()
        else:
            ax.set_ylabel(heights[0].replace("_", " "))
        return ax


class Ended(Tabulated):
    """A result of flows or descents that say how they end."""

    status: Any

    @property
    def success(self) -> Any:
        """Where the target is reached; a bool for one problem, else an array of them."""
        if isinstance(self.status, Status):
            return self.status is Status.REACHED
        return np.asarray(self.status, dtype=object) == Status.REACHED
