"""Sweeps: a quantity over the product of axes (gates, horizons, targets, starts, scales), as a labelled data set.

A sweep may be killed at any moment and goes on where it was; its file is the same, byte by byte, however often that
happened and however many processes or machines took part.
"""

from gateflow.sweeps.axes import Axis, axis
from gateflow.sweeps.card import card
from gateflow.sweeps.chunks import Sweep
from gateflow.sweeps.quantities import QUANTITIES, Input, Quantity, Variable
from gateflow.sweeps.run import sweep

__all__ = ["QUANTITIES", "Axis", "Input", "Quantity", "Sweep", "Variable", "axis", "card", "sweep"]
