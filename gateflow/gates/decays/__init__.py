"""The decays of linear recurrences: one model a file, with its gate, its start and where its authors wrote them."""
