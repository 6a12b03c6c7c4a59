"""Step sizes of their own, and where the order of two gates turns: what a step of training makes of the flow.

The package can be called as the function :func:`gateflow.flow.descent.descent`.
"""

from gateflow._rooms import callable_room
from gateflow.descent.crossover import Crossover, crossover
from gateflow.descent.fit import Fit, Steps, fit
from gateflow.descent.sensitivities import Sensitivities, sensitivities
from gateflow.descent.step_size import StepSize, step_size
from gateflow.flow.descent import descent

__all__ = [
    "Crossover",
    "Fit",
    "Sensitivities",
    "StepSize",
    "Steps",
    "crossover",
    "descent",
    "fit",
    "sensitivities",
    "step_size",
]

callable_room(__name__)
