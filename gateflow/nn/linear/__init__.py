"""Layers that are linear in their state, one file each, with any gate as their decay; a new file is found by itself."""

from gateflow.registry import Registry

LINEAR = Registry("cell", "gateflow.nn.linear", "CELL")
"""Every layer with a linear state, and those of other installed packages."""

__all__ = ["LINEAR"]
