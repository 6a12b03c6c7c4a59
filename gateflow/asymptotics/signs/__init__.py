"""Signs of formulas on intervals and half-lines, and the smooth pieces of a gate."""
