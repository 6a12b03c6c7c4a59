"""Step sizes of their own, and where the order of two gates turns: what a step of training makes of the flow.

The package can be called as the function :func:`gateflow.descents.simulation.descent`.
"""

from gateflow.descents.crossing import Crossover, crossover
from gateflow.descents.derivatives import Sensitivities, sensitivities
from gateflow.descents.fitting import Fit, Steps, fit
from gateflow.descents.simulation import descent
from gateflow.descents.step_sizes import StepSize, step_size

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
