"""Copying ten tokens over T = 500 as in the paper, 128 units; optimiser and rates are not known, and ours."""

from dataclasses import replace

from gateflow.study.experiments._published import PAPER
from gateflow.study.experiments.paper_adding import EXPERIMENT as ADDING

EXPERIMENT = replace(
    ADDING,
    base={**ADDING.base, "task": "copying(horizon=500, symbols=10, alphabet=10)", "batch": 20},
    reduced={**ADDING.reduced, "task": "copying(horizon=10, symbols=2, alphabet=4, held_out=100)"},
    sources={**ADDING.sources, "task": f"T = 500, ten tokens of ten: {PAPER}"},
)
