"""What a shell offers when Tab is pressed: verbs, options, and the names behind arguments, in the shells themselves."""

import contextlib
import io
import os
import shutil
import subprocess
import sys
from functools import cache

import pytest

from gateflow.cli import COMMANDS, main
from gateflow.descents.optimizers import OPTIMIZERS
from gateflow.flows.solvers import METHODS
from gateflow.gates.gate import GATES
from gateflow.losses import LOSSES
from gateflow.plots import FIGURES
from gateflow.registry import Registry
from gateflow.study.experiments import EXPERIMENTS

pytestmark = pytest.mark.xdist_group("completion")  # the scripts are made once, in one process

OFFERED = {
    "order": GATES,
    "order fast": GATES,
    "time": GATES,
    "report fast": GATES,
    "time fast --loss": LOSSES,
    "figures": FIGURES,
    "figures gates": FIGURES,
    "flow fast --method": METHODS,
    "descent fast --optimizer": OPTIMIZERS,
    "experiment run": EXPERIMENTS,
    "train": Registry("task", "gateflow.training.tasks", "TASK"),
    "train adding --cell": Registry("cell", "gateflow.nn.cells", "CELL"),
    "train adding --forget-gate": GATES,
    "plane": ["refine", "shared", "noisy", "decay"],
}

TYPED = {
    "gateflow ord": "order",
    "gateflow order fa": "fast",
    "gateflow order fast sigm": "sigmoid",
    "gateflow time fast --hor": "--horizon",
    "gateflow figures lea": "learning",
    "gateflow train adding --cell nr": "nru",
}


@pytest.mark.parametrize("line", OFFERED)
def test_the_names_of_a_registry_are_offered(line, gateflow):
    shown = gateflow("__complete", *line.split(), "").out.splitlines()
    assert [offer.partition("\t")[0] for offer in shown if offer and offer[0] != "\x1f"] == list(OFFERED[line])


@pytest.fixture
def environment(tmp_path):
    """A PATH on which ``gateflow`` is this one."""
    program = tmp_path / "gateflow"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gateflow "$@"\n')
    program.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    return os.environ | {"PATH": path, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path)}


@cache
def text_of(shell):
    """The script for a shell, made once: to go through all commands takes a while."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["completion", shell]) == 0
    return out.getvalue()


def script(shell, tmp_path):
    """The script for a shell, in a file; the test is skipped where there is no such shell."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    written = tmp_path / f"completion.{shell}"
    written.write_text(text_of(shell))
    return written


BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
$(complete -p gateflow | sed -E 's/.*-F ([^ ]+).*/\\1/')
printf '%s\\n' "${COMPREPLY[@]}"
"""


def test_bash_completes(tmp_path, environment):
    written = script("bash", tmp_path)
    for typed, meant in TYPED.items():
        command = ["bash", "--norc", "-c", BASH, "bash", str(written), *typed.split()]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        assert done.stdout.split() == [meant], typed


def test_fish_completes(tmp_path, environment):
    written = script("fish", tmp_path)
    for typed, meant in TYPED.items():
        command = ["fish", "--no-config", "-c", f"source {written}; complete -C {typed!r}"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == [meant], typed


@pytest.mark.parametrize("way", ["eval", "fpath"])
def test_zsh_knows_the_command_both_ways(way, tmp_path, environment):
    """Read by eval, and found as a file on fpath, whose first call must complete already."""
    written = script("zsh", tmp_path)
    folder = tmp_path / "functions"
    folder.mkdir()
    shutil.copy(written, folder / "_gateflow")
    load = {
        "eval": f'autoload -Uz compinit; compinit -uD; eval "$(cat {written})"',
        "fpath": f"fpath=({folder} $fpath); autoload -Uz compinit; compinit -uD",
    }
    called = "_arguments() { print -r -- $words[1] }; words=(gateflow); _gateflow"
    command = ["zsh", "-f", "-c", f"{load[way]}; print $_comps[gateflow]; {called}"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["_gateflow", "gateflow"]


def test_every_verb_is_in_every_script():
    for shell in ("bash", "zsh", "fish"):
        assert all(name in text_of(shell) for name in COMMANDS)
