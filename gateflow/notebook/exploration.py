"""What a function makes, shown with a control for each of its values; without a notebook, its first sight."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from gateflow.errors import GateflowError, InvalidArgument
from gateflow.notebook.cards import verbatim

DECADES = 2.0
"""Ranges of this many decades or more get a logarithmic slider."""

STEPS = 100
"""Places of a slider."""

Choice = Sequence[Any] | type[str]


def sliders(show: Callable[..., Any], /, **choices: Choice) -> Any:
    """Show ``show(...)`` in a notebook with a control for each choice; see :func:`gateflow.explore`.

    Examples
    --------
    >>> sliders(lambda steps=100: f"{steps} steps", steps=(1, 1000))
    '100 steps'
    """
    firsts = {name: _first(show, name, choice) for name, choice in choices.items()}
    seen = _settled(show(**firsts))
    widgets = _widgets()
    if widgets is None or not choices:
        return seen
    from IPython.display import display

    controls = {name: _control(widgets, name, choice, firsts[name]) for name, choice in choices.items()}
    display(widgets.VBox(list(controls.values())))
    place: Any = display(seen, display_id=True)

    def again(_: Any) -> None:
        try:
            place.update(_settled(show(**{name: control.value for name, control in controls.items()})))
        except GateflowError as problem:
            place.update(verbatim("\n".join([str(problem), *getattr(problem, "__notes__", ())])))

    for control in controls.values():
        control.observe(again, names="value")
    return None


def _first(show: Callable[..., Any], name: str, choice: Choice) -> Any:
    """The first value of a parameter: its default, which must be one that can be chosen."""
    found = inspect.signature(show).parameters.get(name)
    if found is None or found.default is found.empty:
        raise InvalidArgument(f"{name} must be a parameter with a default: it is what is shown first")
    value = found.default
    if not (isinstance(value, str) if choice is str else _is_among(value, choice)):
        raise InvalidArgument(f"{name} = {value!r} is not among what can be chosen: {choice!r}")
    return value


def _is_among(value: Any, choice: Any) -> bool:
    return choice[0] <= value <= choice[1] if isinstance(choice, tuple) else value in choice


def _control(widgets: Any, name: str, choice: Any, value: Any) -> Any:
    """The widget for a choice; it speaks when it is let go, for a picture takes a moment."""
    about: dict[str, Any] = {"description": name.replace("_", " "), "value": value}
    about["style"], about["layout"] = {"description_width": "8em"}, {"width": "34em"}
    if choice is str:
        return widgets.Text(continuous_update=False, **about)
    if not isinstance(choice, tuple):
        return widgets.Dropdown(options=list(choice), **about)
    low, high = choice
    if low > 0 and math.log10(high / low) >= DECADES:
        ends = math.log10(low), math.log10(high)
        step = (ends[1] - ends[0]) / STEPS
        return widgets.FloatLogSlider(
            min=ends[0], max=ends[1], step=step, readout_format=".3g", continuous_update=False, **about
        )
    if all(isinstance(number, int) for number in (low, high, value)):
        return widgets.IntSlider(min=low, max=high, continuous_update=False, **about)
    return widgets.FloatSlider(
        min=low, max=high, step=(high - low) / STEPS, readout_format=".3g", continuous_update=False, **about
    )


def _settled(seen: Any) -> Any:
    """What was made; a figure of pyplot is taken from it, which would show it a second time."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and isinstance(seen, pyplot.Figure):
        pyplot.close(seen)
    return seen


def _widgets() -> ModuleType | None:
    """ipywidgets where a notebook can show them, else None."""
    if not is_notebook():
        return None
    try:
        import ipywidgets
    except ImportError:
        return None
    return ipywidgets


def is_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return hasattr(get_ipython(), "kernel")
