"""Grids of work: jobs done by processes or a Dask cluster, killed without loss; signals that ask long work to end.

Sweeps, trained experiments and the study are made of this, and so is any callable of yours
(:func:`gateflow.runs.grid.run`).
"""
