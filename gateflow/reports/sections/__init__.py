"""The sections of the page, one file each."""

from gateflow.reports.sections.choice import choice
from gateflow.reports.sections.crossing import crossing
from gateflow.reports.sections.gate import of_gate
from gateflow.reports.sections.glance import glance
from gateflow.reports.sections.order import side_by_side
from gateflow.reports.sections.record import record

__all__ = ["choice", "crossing", "glance", "of_gate", "record", "side_by_side"]
