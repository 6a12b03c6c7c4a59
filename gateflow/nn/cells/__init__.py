"""Recurrent layers with any gate, one file each, on one contract; a new file is found by itself."""

from gateflow.registry import Registry

CELLS = Registry("cell", "gateflow.nn.cells", "CELL")
"""Every recurrent layer, and those of other installed packages."""

__all__ = ["CELLS"]
