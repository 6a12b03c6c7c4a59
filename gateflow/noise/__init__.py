"""Gradient noise: how batches spread the time at which a time scale is learned, and the time scale that is learned.

:class:`Samples` says what varies from sample to sample; :class:`NoisyDescent` makes a diffusion of it
(:class:`Diffusion`), whose stationary law (:class:`StationaryLaw`) comes by quadrature, whose law of first arrival
(:class:`Passage`) by the backward Kolmogorov equation, and whose runs (:class:`Paths`) are followed in bulk. Closed
forms are in :mod:`gateflow.noise.formulas`.
"""

from gateflow.noise.descent import NoisyDescent
from gateflow.noise.diffusion import Diffusion, StationaryLaw
from gateflow.noise.elements import Unresolved
from gateflow.noise.passage import Passage
from gateflow.noise.paths import Course, Paths
from gateflow.noise.samples import Law, Samples, law

__all__ = [
    "Course",
    "Diffusion",
    "Law",
    "NoisyDescent",
    "Passage",
    "Paths",
    "Samples",
    "StationaryLaw",
    "Unresolved",
    "law",
]
