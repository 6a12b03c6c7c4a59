"""Optimisers, one file each: the update of many problems at once, and what is predicted of it.

A module declares ``OPTIMIZER``, a subclass of :class:`Optimizer` whose fields are its hyperparameters.
"""

from gateflow.descents.optimizers._optimizer import EDGE, InNoise, Optimizer, Prediction, Reason
from gateflow.registry import Registry

OPTIMIZERS = Registry("optimizer", "gateflow.descents.optimizers", "OPTIMIZER")
"""Every optimiser, and those of other installed packages."""

__all__ = ["EDGE", "OPTIMIZERS", "InNoise", "Optimizer", "Prediction", "Reason"]
