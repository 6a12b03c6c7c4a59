"""Caps: no formula within them costs more than a moment."""

from __future__ import annotations

import math

MAX_LENGTH = 2000
"""Characters in a formula."""
MAX_NODES = 300
"""Nodes of its syntax tree."""
MAX_DEPTH = 32
"""Nesting, of brackets and of the syntax tree; a sum or a product is one level, however long."""
MAX_DIGITS = 1000
"""Digits of a number: of a literal, of its decimal exponent's reach, and of any exact number the formula amounts to."""
MAX_POWER = 10_000
"""The absolute value of a power that is a number."""
MAX_SIZE = 2000
"""Nodes of the SymPy expression; some rules of SymPy copy their argument, so this is not bounded by the text."""
MAX_MAGNITUDE = 5000
"""Constants lie between 10**-5000 and 10**5000."""
MAX_LOGGAMMA = 400
"""``loggamma`` of a number: SymPy writes out the factorial."""
MAX_RADICAND = 10**40
"""A fractional power of a number: SymPy looks for its prime factors."""
MAX_PI_DENOMINATOR = 24
"""Circular functions of a rational times pi: SymPy writes out the radicals."""

MAX_CALLS = 600_000
"""Function calls and returns while SymPy builds; a gate of the catalogue takes some thousand."""

MAX_BITS = math.ceil(MAX_DIGITS * math.log2(10))
"""Bits of an exact number."""
MAX_COEFFICIENT_BITS = 8 * MAX_BITS
"""Bits of the coefficients of one sum or product, taken together."""
MAX_WEIGHT = 2.0**20
"""Bits that the numbers of an expression could grow to when SymPy multiplies powers out."""
