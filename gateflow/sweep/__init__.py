"""Sweeps: a quantity over the product of axes (gates, horizons, targets, starts, scales), as a labelled data set.

A sweep may be killed at any moment and goes on where it was; its file is the same, byte by byte, however often that
happened and however many processes or machines took part.
"""

from gateflow._rooms import callable_room
from gateflow.sweep.axes import Axis, axis
from gateflow.sweep.card import card
from gateflow.sweep.plan import Plan
from gateflow.sweep.quantities import QUANTITIES, Quantity, Variable
from gateflow.sweep.run import sweep

__all__ = ["QUANTITIES", "Axis", "Plan", "Quantity", "Variable", "axis", "card", "sweep"]

callable_room(__name__)
