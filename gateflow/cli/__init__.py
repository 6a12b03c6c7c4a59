"""The command line: ``gateflow COMMAND ...``; one file of this folder is one command.

A command is a module, whose first line stands in the list of commands, with a function ``run``: its signature is the
usage, its docstring the help, the ``$ gateflow ...`` lines of its Examples are shown under the help and run by the
tests. It prints its answer, as text or with ``json`` as JSON, and returns an exit code or None. Command modules import
nothing heavy at their top, and the list of commands imports none of them, so that help is instant.

Exit codes: 0 done; 1 a fault of gateflow; 2 bad usage or input; 3 not reached, undecided or not verified (the answer is
printed all the same); 130 interrupted.
"""

from __future__ import annotations

import errno
import inspect
import io
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from gateflow import __version__
from gateflow.errors import GateflowError, InvalidArgument
from gateflow.registry import Registry

COMMANDS = Registry("command", "gateflow.cli", "run")
"""The commands, by listing this folder; another package adds one by an entry point in the group ``gateflow.cli``."""

COMPLETE = "__complete"
"""The word with which a shell's completion asks; the rest is the line so far."""

INTERRUPTED = 130
FAULT = 1
USAGE = 2

LONGEST = 2000
"""Characters of a message."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; never raises, never shows a traceback.

    Set ``GATEFLOW_DEBUG=1`` to see where an error comes from.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, or in a program without a console
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without greek letters gets them spelled out
    tokens = [_guarded(token) for token in (sys.argv[1:] if arguments is None else arguments)]
    if tokens[:1] == ["help"]:
        tokens = [*tokens[1:], "--help"]
    try:
        code = _run(tokens)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        return 0
    except KeyboardInterrupt:
        _complain("gateflow: interrupted")
        code = INTERRUPTED
    except Exception as problem:
        if os.environ.get("GATEFLOW_DEBUG", "") not in ("", "0"):
            raise
        code = _explained(problem, tokens)
    with suppress(ValueError):
        try:
            sys.stdout.flush()
        except OSError:  # a full disk, which was reported above
            _silence_stdout()
    return code


def _run(tokens: list[str]) -> int:
    if not tokens or tokens[0] in ("--help", "-h"):
        print(overview())
        return 0
    from cyclopts import CycloptsError

    from gateflow.cli._usage import usage_error

    named = tokens[1:2] if tokens[0] == COMPLETE else tokens[:1]
    app = application(named if named and named[0] in COMMANDS else COMMANDS)
    try:
        command, bound, _ = app.parse_args(tokens, print_error=False, exit_on_error=False, verbose=False)
    except CycloptsError as problem:
        raise usage_error(problem, tokens, COMMANDS) from problem
    code = command(*bound.args, **bound.kwargs) or 0
    verb = next((token for token in tokens if token in COMMANDS), None)
    if verb and getattr(command, "__name__", "") == "help_print":  # by ourselves: a folded command cannot be copied
        print("\nExamples:", *(f"  {line}" for line in examples(COMMANDS[verb])), sep="\n")
    return code


def application(verbs: Iterable[str] = COMMANDS) -> Any:
    """The cyclopts application of these commands; only their modules are imported."""
    from cyclopts import App, Parameter

    from gateflow.cli._terminal import console, help_formatter

    app = App(
        name="gateflow",
        version=__version__,
        help_format="plaintext",
        help_formatter=help_formatter(),
        console=console(wide=False),
        default_parameter=Parameter(converter=_converted, allow_repeating=True),  # of a flag given twice the last wins
    )
    for name in verbs:
        run = COMMANDS[name]
        app.command(run, name=name, help=description(run))
    return app


def _converted(kind: Any, tokens: Sequence[Any]) -> Any:
    """What cyclopts makes of the words; but 1e4 is a whole number too, 2.5 is not rounded to one, and '' is no path."""
    from cyclopts import convert

    values = [token.value for token in tokens]
    if Path in (kind, *get_args(kind)) and not values[0]:
        raise ValueError(values[0])
    if kind is not int and int not in get_args(kind):
        return convert(kind, values)
    try:
        return int(values[0])
    except ValueError:
        number = float(values[0])
    if not number.is_integer():
        raise ValueError(values[0])
    return int(number)


def overview() -> str:
    """The help of gateflow itself: what it is, and its commands."""
    width = max(20, shutil.get_terminal_size().columns)
    groups = {heading: [(name, COMMANDS.summary(name)) for name in names] for heading, names in _grouped().items()}
    groups["Options"] = _OPTIONS
    column = max(len(name) for rows in groups.values() for name, _ in rows) + 4
    lines = ["Usage: gateflow COMMAND", "", *textwrap.wrap(_ABOUT, width)]
    for heading, rows in groups.items():
        lines += ["", heading, *(line for name, about in rows for line in _entry(name, about, column, width))]
    return "\n".join([*lines, "", _MORE])


HEADINGS = {
    "Gates": ("gates", "show", "decays", "losses"),
    "Theory": ("check", "order", "rank", "rate", "compare", "verify"),
    "Learning": (
        "time",
        "sensitivities",
        "flow",
        "plane",
        "descent",
        "step-size",
        "noise",
        "recommend",
        "fit",
        "sweep",
    ),
    "Output": ("figures", "report", "explore"),
    "Networks": ("train", "predict", "export", "results", "timescales", "audit", "experiment", "study"),
    "This machine": ("doctor", "bench", "completion"),
}
"""The headings of the list of commands; a command without one comes last, under :data:`OTHERS`."""

OTHERS = "Other commands"


def _grouped() -> dict[str, list[str]]:
    """The commands there are, by heading."""
    groups = {heading: [name for name in names if name in COMMANDS] for heading, names in HEADINGS.items()}
    placed = {name for names in groups.values() for name in names}
    groups[OTHERS] = [name for name in COMMANDS if name not in placed]
    return {heading: names for heading, names in groups.items() if names}


def _entry(name: str, about: str, column: int, width: int) -> list[str]:
    """The lines of one command; in a narrow terminal its name stands above what it does."""
    if width < 3 * column:
        return [f"  {name}", *textwrap.wrap(about, width, initial_indent=" " * 4, subsequent_indent=" " * 4)]
    first, *more = textwrap.wrap(about, width - column) or [""]
    return [f"  {name}".ljust(column) + first, *(" " * column + line for line in more)]


_ABOUT = "A numerical laboratory for the gates of recurrent networks: saturation, gradient flow, convergence times."

_OPTIONS = [
    ("--help, -h", "Print this help; gateflow COMMAND --help is about one command."),
    ("--version", "Print the version."),
]

_MORE = """\
A GATE is a name of the catalogue (gateflow gates) or a formula in z:
  fast                              by name
  'fast(alpha=2)', 'student-t(6)'   by name, with parameters
  'sigmoid(z**3)'                   by formula
  'sigmoid(k*z); k=2'               by formula, with parameters
Every command has --help, with examples, and --json.
Exit codes: 0 done; 1 a fault of gateflow; 2 bad usage or input; 3 not reached,
undecided or not verified; 130 interrupted. GATEFLOW_DEBUG=1 shows tracebacks."""


def description(run: Callable[..., Any]) -> str:
    """The docstring of a command up to its sections, each paragraph in one line."""
    paragraphs = inspect.cleandoc(run.__doc__ or "").split("\n\n")
    ends = (i for i, text in enumerate(paragraphs) if set(text.partition("\n")[2].partition("\n")[0]) == {"-"})
    return "\n\n".join(" ".join(text.split()) for text in paragraphs[: next(ends, None)])


def examples(run: Callable[..., Any]) -> list[str]:
    """The ``gateflow ...`` lines of a command's docstring; one that ends in ``# exit code 3`` ends with that code."""
    lines = (line.strip() for line in (run.__doc__ or "").splitlines())
    return [line[2:] for line in lines if line.startswith("$ gateflow ")]


def _guarded(token: str) -> str:
    """A formula or a list of numbers that begins with a minus sign, kept from being taken for an option."""
    formula = token.startswith("-") and not token.startswith("--") and "(" in token
    numbers = token[:1] == "-" and token[1:2].isdigit() and "," in token
    return f" {token}" if formula or numbers else token


# --- what went wrong, in one line -----------------------------------------------------------------------------------


def _explained(problem: Exception, tokens: Sequence[str]) -> int:
    if isinstance(problem, GateflowError):
        message, code = _in_flags(problem, tokens), problem.exit_code
    elif isinstance(problem, OSError) and problem.strerror:
        where = f"{problem.filename}: " if problem.filename else ""
        lost = problem.errno == errno.EBADF and not where
        message, code = "standard output is closed" if lost else f"{where}{problem.strerror}", USAGE
    elif isinstance(problem, MemoryError) or re.search("allocate memory|out of memory", str(problem)):
        message, code = "not enough memory for this", FAULT
    elif "integer string conversion" in str(problem):  # Python writes out no more than some thousand digits
        message, code = "a number of the answer has too many digits to be written out", USAGE
    else:
        message = f"{type(problem).__name__}: {problem} (a fault of gateflow; GATEFLOW_DEBUG=1 shows where)"
        code = FAULT
    _complain(f"gateflow: error: {' '.join(message.split())[:LONGEST]}", *getattr(problem, "__notes__", ()))
    return code


def _complain(*lines: str) -> None:
    """Print on standard error, or nowhere where that is closed."""
    with suppress(OSError, ValueError):
        print(*lines, sep="\n", file=sys.stderr, flush=True)


def _in_flags(problem: GateflowError, tokens: Sequence[str]) -> str:
    """The message with arguments called as the command line calls them: ``--log-gap`` for ``log_gap``."""
    if not isinstance(problem, InvalidArgument) or tokens[0] not in COMMANDS:
        return str(problem)
    from gateflow.cli._usage import in_flags

    return in_flags(str(problem), COMMANDS[tokens[0]])


def _silence_stdout() -> None:
    """The reader of a pipe has gone: let the flush at exit go nowhere instead of failing."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
