"""The command line, called in this process."""

from typing import NamedTuple

import pytest

from gateflow.cli import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def gateflow(capsys, monkeypatch):
    """``gateflow("time", "fast", ...)``: its exit code, standard output and standard error."""
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "GATEFLOW_DEBUG"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(arguments)
        return Outcome(code, *capsys.readouterr())

    return call
