"""The catalogue: one gate a file, each with its source; ``make(**parameters)`` returns the gate."""
