"""Planar flows: gradient flows of two parameters, truly coupled; one file a problem."""

from gateflow.flows.plane._contract import Force, Plane, TurningPoint
from gateflow.flows.plane._trajectory import PlanarState, PlanarTrajectory, Portrait, flow, pair, portrait
from gateflow.flows.plane.decay import DecayProblem
from gateflow.flows.plane.noisy import NoisyProblem
from gateflow.flows.plane.refine import RefineProblem
from gateflow.flows.plane.shared import SharedProblem
from gateflow.results.status import Status as Status

__all__ = [
    "DecayProblem",
    "Force",
    "NoisyProblem",
    "PlanarState",
    "PlanarTrajectory",
    "Plane",
    "Portrait",
    "RefineProblem",
    "SharedProblem",
    "TurningPoint",
    "flow",
    "pair",
    "portrait",
]
