"""Planar flows: gradient flows of two parameters, truly coupled; one file a problem."""

from gateflow.flow.plane._contract import Force, Plane, Stop, Turn
from gateflow.flow.plane._trajectory import PlanarState, PlanarTrajectory, Portrait, flow, pair, portrait
from gateflow.flow.plane.noisy import NoisyProblem
from gateflow.flow.plane.refine import RefineProblem
from gateflow.flow.plane.shared import SharedProblem

__all__ = [
    "Force",
    "NoisyProblem",
    "PlanarState",
    "PlanarTrajectory",
    "Plane",
    "Portrait",
    "RefineProblem",
    "SharedProblem",
    "Stop",
    "Turn",
    "flow",
    "pair",
    "portrait",
]
