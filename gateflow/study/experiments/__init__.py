"""The experiments that have a name: a TOML file each, as users write them (:mod:`gateflow.study.declared`).

Other packages offer theirs by an entry point in the group ``gateflow.study.experiments``, which names a module with an
``EXPERIMENT``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gateflow.errors import InvalidArgument
from gateflow.registry import Registry
from gateflow.study.declared import check, read
from gateflow.study.experiment import Experiment

EXPERIMENTS = Registry("experiment", "gateflow.study.experiments", "EXPERIMENT", read)
"""Every experiment, and those of other installed packages."""


def experiment(text: str) -> tuple[str, Experiment]:
    """The name and the experiment behind a name of :data:`EXPERIMENTS`, or behind the path of a TOML file.

    Raises
    ------
    InvalidArgument
        The file cannot be read, or says what no experiment says.
    UnknownName
        There is none of this name.
    """
    if not text.strip().lower().endswith(".toml"):
        return EXPERIMENTS.spelled(text), EXPERIMENTS[text]
    found = read(text)
    try:
        check(found)
    except InvalidArgument as problem:
        raise InvalidArgument(f"{text}: {problem}") from None
    return Path(text).stem, replace(found, path=text)
