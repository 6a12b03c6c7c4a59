"""Layers that are linear in their state, one file each, with any gate as their decay."""
