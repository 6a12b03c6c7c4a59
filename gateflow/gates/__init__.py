"""A gate, declared once as a formula, and what follows from it: derivatives, numbers, inverse."""
