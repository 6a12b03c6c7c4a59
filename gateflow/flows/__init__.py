"""Gradient flows of the learning problem: convergence times as one integral, trajectories by several methods."""

from gateflow.flows.enclosure import Enclosure, enclose
from gateflow.flows.problem import LearningProblem, Target
from gateflow.flows.solvers import METHODS
from gateflow.flows.time import HittingTime, hitting_time, hitting_times
from gateflow.flows.trajectories import Trajectories, flow
from gateflow.flows.trajectory import State, Trajectory
from gateflow.results.status import Status

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
    "enclose",
    "flow",
    "hitting_time",
    "hitting_times",
]
