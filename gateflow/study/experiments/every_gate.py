"""Adding with every gate of the catalogue, from the same f."""

from gateflow.registry import Registry
from gateflow.study.experiments._tasks import crossed
from gateflow.study.experiments.adding import EXPERIMENT as ADDING
from gateflow.study.experiments.adding import SMALL
from gateflow.study.plan import Plan

ALL = {name: {"forget_gate": name} for name in Registry("gate", "gateflow.gates.catalogue", "make")}

EXPERIMENT = Plan(
    base=ADDING.base,
    arms=crossed("adding(horizon={horizon})", (100, 200, 400), ("matched",), ALL),
    seeds=5,
    reduced=ADDING.reduced,
    reduced_arms=crossed(SMALL, (20,), ("matched",), ALL),
    reduced_seeds=2,
    source="the experiment adding, with the gates of this project",
)
