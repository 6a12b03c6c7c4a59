"""Initialisers of the gates' biases, one file each; a new file is found by itself."""

from gateflow.registry import Registry

INITS = Registry("initialiser", "gateflow.nn.inits", "INIT")
"""Every initialiser, and those of other installed packages."""

__all__ = ["INITS"]
