"""Whole sequences at once: what a cell's plain loop over time computes, faster; one kernel a file."""
