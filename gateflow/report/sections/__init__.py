"""The sections of the page, one file each."""

from gateflow.report.sections.choice import choice
from gateflow.report.sections.crossing import crossing
from gateflow.report.sections.gate import of_gate
from gateflow.report.sections.glance import glance
from gateflow.report.sections.order import side_by_side
from gateflow.report.sections.record import record

__all__ = ["choice", "crossing", "glance", "of_gate", "record", "side_by_side"]
