"""The walk from a gate to a hitting time: few files, each left for good.

A gate whose formulas are derived is followed by the interpreter's own calls. What lies below (the gate's numbers, the
loss, checks of arguments) is one station each.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gateflow

ROOT = Path(gateflow.__file__).parent
WALK = (
    ("time", "hitting_time"),  # checks what is asked
    ("problem", "shape_with"),
    ("batch", "of"),  # one record, nothing copied
    ("integral", "times"),  # by chunks, or by the kernel of compiled
    ("density", "decay_of_profile"),
    ("critical", "z_of_u"),
    ("panels", "integrate"),
    ("near", "refined"),  # starts beside the target
)
"""Files of ``gateflow/flows`` and a function of each, in the order of their first calls."""


def _followed(work):
    """Each chain of calls within gateflow/flows, as files; and the functions in the order of their first calls."""
    chains, first, stack = set(), [], []

    def watch(frame, event, _):
        path = Path(frame.f_code.co_filename)
        if path.parent != ROOT / "flows" or event not in ("call", "return"):
            return
        if event == "return":
            stack.pop()
            return
        stack.append(path.stem)
        first.append((path.stem, frame.f_code.co_name))
        chains.add(tuple(file for k, file in enumerate(stack) if k == 0 or file != stack[k - 1]))

    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
    return chains, list(dict.fromkeys(first))


def test_a_walk_to_a_hitting_time_is_short_and_never_returns():
    gate = gateflow.gate("sigmoid(z + z**3/3)")
    gateflow.hitting_time(gateflow.LearningProblem(gate, horizon=10, gap=0.01), 0.0)  # derives the formulas
    problem = gateflow.LearningProblem(gate, horizon=11, gap=0.02)
    chains, first = _followed(lambda: gateflow.hitting_time(problem, 0.0))
    assert all(len(set(chain)) == len(chain) for chain in chains)  # no chain of calls comes back to a file it left
    assert max(map(len, chains)) <= 5
    assert {file for file, _ in first} - {"compiled"} == {file for file, _ in WALK}  # compiled: is there a kernel?
    assert tuple(name for name in first if name in WALK) == WALK
