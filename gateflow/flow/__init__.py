"""Gradient flows of the learning problem: convergence times as one integral, trajectories by several methods."""

from gateflow._rooms import callable_room
from gateflow.flow.enclosure import Enclosure, certify
from gateflow.flow.problem import LearningProblem, Target
from gateflow.flow.solvers import METHODS
from gateflow.flow.status import Status
from gateflow.flow.time import HittingTime, hitting_time, hitting_times
from gateflow.flow.trajectories import Trajectories, trajectories
from gateflow.flow.trajectory import State, Trajectory, flow

__all__ = [
    "METHODS",
    "Enclosure",
    "HittingTime",
    "LearningProblem",
    "State",
    "Status",
    "Target",
    "Trajectories",
    "Trajectory",
    "certify",
    "flow",
    "hitting_time",
    "hitting_times",
    "trajectories",
]

callable_room(__name__)
