# pyright: strict
"""What an editor knows of the public names; pyright checks this file strictly, and pytest runs it.

A name that had no type would be an error of pyright here.
"""

import ast
from pathlib import Path

import gateflow


def test_a_gate_its_problem_and_its_flow() -> None:
    mine: gateflow.Gate = gateflow.gate("fast")
    problem: gateflow.LearningProblem = gateflow.LearningProblem(mine, horizon=10, gap=0.1)
    path: gateflow.Trajectory = gateflow.flow(problem, 0.0)
    assert str(gateflow.hitting_time(problem, 0.0).status) == str(path.status) == "reached"
    assert gateflow.order(mine, "sigmoid").verdict == "higher"
    assert gateflow.rate(mine).rate is not None
    assert gateflow.membership(mine).verdict == "in F"
    assert "fast" in gateflow.GATES


def test_checkers_see_every_public_name() -> None:
    """The stub is what type checkers read and what is imported: a name that has gone would be seen by nobody else."""
    for package in (gateflow, gateflow.nn, gateflow.training):
        tree = ast.parse(Path(str(package.__file__)).with_suffix(".pyi").read_text(encoding="utf-8"))
        seen = {name.asname for node in tree.body if isinstance(node, ast.ImportFrom) for name in node.names}
        assert seen - {"nn", "training"} == {*package.__all__} - {"__version__"}
        assert all(getattr(package, name) is not None for name in package.__all__)
