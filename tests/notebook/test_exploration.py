"""Without a notebook there are no controls: what is shown first is all there is."""

import sys

import pytest

from gateflow.errors import InvalidArgument
from gateflow.notebook.exploration import _control, sliders


def show(z=1.0, steps=10, horizon=10.0, gate="fast"):
    return z, steps, horizon, gate


def test_the_first_sight_is_at_the_defaults():
    assert sliders(show, z=(0.0, 2.0), gate=["fast", "sigmoid"]) == (1.0, 10, 10.0, "fast")


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"u": (0, 1)}, "u must be a parameter with a default"),
        ({"z": (2.0, 3.0)}, "z = 1.0 is not among what can be chosen"),
        ({"gate": ["erf", "sigmoid"]}, "gate = 'fast' is not among what can be chosen"),
        ({"z": str}, "z = 1.0 is not among what can be chosen"),
    ],
)
def test_a_choice_that_cannot_be_shown_first_is_refused(choices, said):
    with pytest.raises(InvalidArgument, match=said):
        sliders(show, **choices)


def test_the_control_suits_the_choice():
    widgets = pytest.importorskip("ipywidgets")
    assert isinstance(_control(widgets, "z", (0.0, 2.0), 1.0), widgets.FloatSlider)
    assert isinstance(_control(widgets, "steps", (1, 20), 10), widgets.IntSlider)
    assert isinstance(_control(widgets, "gate", ["fast", "erf"], "fast"), widgets.Dropdown)
    assert isinstance(_control(widgets, "gate", str, "fast"), widgets.Text)
    logarithmic = _control(widgets, "horizon", (1.0, 1000.0), 10.0)
    assert isinstance(logarithmic, widgets.FloatLogSlider)
    assert (logarithmic.min, logarithmic.max, logarithmic.value) == (0.0, 3.0, 10.0)


def test_a_figure_of_pyplot_is_not_shown_twice():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before = pyplot.get_fignums()
    figure = sliders(lambda width=3.0: pyplot.figure(figsize=(width, 2)), width=(1.0, 5.0))
    assert figure.get_figwidth() == 3.0
    assert pyplot.get_fignums() == before
    assert "matplotlib.pyplot" in sys.modules
