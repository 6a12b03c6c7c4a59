"""Losses of the learning problem, one file each; a new file is found by itself."""

from gateflow.losses._loss import H_STAR, Branch, Decay, H, Loss, log_distance, log_saturation
from gateflow.registry import Registry

LOSSES = Registry("loss", "gateflow.losses", "LOSS")

__all__ = ["H_STAR", "LOSSES", "Branch", "Decay", "H", "Loss", "log_distance", "log_saturation"]
