"""Adams and BDF formulas, switched by stiffness (Petzold 1983; Hindmarsh's ODEPACK)."""

from gateflow.flows.solvers._swapped import Swapped

solve = Swapped("LSODA", margin=50.0)
