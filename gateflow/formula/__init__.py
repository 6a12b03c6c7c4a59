"""Formulas as text: ``parse`` reads them into SymPy, ``unparse`` writes them back. Text is never run as code.

A formula passes four walls, each of which refuses with one line and a caret:

1. *Words* (`words`). A tokenizer knows numbers, names and a dozen signs; any other character is refused.
2. *Grammar* (`grammar`). One pass over the words finds what people get wrong: ``^``, ``2z``, a misspelt name.
3. *Tree* (`tree`). ``ast.parse`` builds the syntax tree, which is never compiled; a whitelist holds every node of it.
4. *Size* (`build`). SymPy evaluates while it builds: ``9**9**9``, ``loggamma(10**9)`` or ``exp(10**9*log(3*z))`` would
   take the machine with them. So before each SymPy node is made, its outcome is bounded from the facts known of its
   arguments (`bounds`, `guards`), and what could become too large is refused unmade. Its search for what is real or
   positive may still expand a power of a sum behind the scenes, and no bound known to us foresees that: so calls are
   counted, and the building stops at a fixed number of them (`calls`).

`names` holds what a formula may call things, `limits` the caps, `write` the way back to text.
"""

from gateflow.formula.build import Demand
from gateflow.formula.names import ALIASES
from gateflow.formula.read import demands, open_names, parse
from gateflow.formula.write import unparse

__all__ = ["ALIASES", "Demand", "demands", "open_names", "parse", "unparse"]
