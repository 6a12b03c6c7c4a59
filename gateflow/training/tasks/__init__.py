"""Tasks that ask a network to remember, one file each, on one contract; a new file is found by itself."""

from gateflow.registry import Registry

TASKS = Registry("task", "gateflow.training.tasks", "TASK")
"""Every task, and those of other installed packages."""

__all__ = ["TASKS"]
