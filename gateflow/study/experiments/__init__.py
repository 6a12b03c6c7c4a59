"""The experiments that have a name: one file each, which declares ``EXPERIMENT``, a `gateflow.study.plan.Plan`."""

from __future__ import annotations

from gateflow.registry import Registry

EXPERIMENTS = Registry("experiment", "gateflow.study.experiments", "EXPERIMENT")
"""Every experiment, and those of other installed packages."""
