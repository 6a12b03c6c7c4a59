"""Every error a user can meet, with its exit code.

The message is one line: what was wrong and what to do. Where the fault lies in a formula, the formula and a caret
follow as notes, which Python and the command line both print under the message.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

SHOWN = 60
"""Characters of a value that a message shows."""

DIGITS = 50
"""Digits from which on a whole number is shown by its size."""


EXTRAS = {
    "sweep": ("xarray", "h5netcdf", "h5py", "dask", "distributed"),
    "nn": ("torch", "safetensors", "scikit-learn", "pooch"),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "gpu": ("triton",),
    "explore": ("tornado",),
    "notebook": ("jupyterlab", "ipywidgets", "nbclient", "ipykernel"),
    "bench": ("diffrax", "jax"),
    "docs": ("sphinx", "myst-nb", "furo", "numpydoc", "latex2mathml"),
}
"""The packages of each extra; a test holds them to pyproject.toml."""


def install_line(extra: str) -> str:
    """The command that installs the packages of an extra, however gateflow itself was installed.

    Examples
    --------
    >>> install_line("gpu")
    'python -m pip install triton'
    """
    return f"python -m pip install {' '.join(EXTRAS[extra])}"


class GateflowError(Exception):
    """Base of all errors that are the user's to mend; the command line prints them as one line."""

    exit_code = 2


class FormulaError(GateflowError):
    """A formula was refused.

    Parameters
    ----------
    message : str
        One line: what was wrong and what to do.
    text : str
        The formula as the user wrote it.
    start, end : int
        The half-open range of characters at fault.

    Examples
    --------
    >>> error = FormulaError("unknown function 'sinhh'; did you mean 'sinh'?", "sinhh(z)", 0, 5)
    >>> print(error, *error.__notes__, sep="\\n")
    unknown function 'sinhh'; did you mean 'sinh'?
        sinhh(z)
        ^^^^^
    """

    def __init__(self, message: str, text: str = "", start: int = 0, end: int | None = None) -> None:
        super().__init__(" ".join(message.split()))
        self.text: str = text
        self.start: int = start
        self.end: int = start + 1 if end is None else max(end, start + 1)
        if text:
            self.add_note(self.pointed())

    def pointed(self, width: int = 100) -> str:
        """The formula with a caret under the fault, cut to ``width`` characters around it."""
        clean = "".join(ch if ch.isprintable() else "?" for ch in self.text)
        left = max(0, min(self.start - width // 2, len(clean) - width))
        shown = clean[left : left + width]
        carets = max(1, min(self.end, left + width) - self.start)
        return f"    {shown}\n    {' ' * (self.start - left)}{'^' * carets}"


class UnknownName(GateflowError, KeyError):
    """A name that no registry knows."""

    __str__ = Exception.__str__  # KeyError's own would show the message in quotes


class InvalidArgument(GateflowError, ValueError):
    """A number or option outside its range; the message names the argument, its value and its range."""


class Busy(InvalidArgument):
    """Another process is at work there."""


class InvalidTensor(InvalidArgument, RuntimeError, TypeError):
    """A tensor that a layer cannot take, or something else in its place. PyTorch raises one of the three."""


class InvalidLayout(InvalidTensor, NotImplementedError):
    """A sparse or quantised tensor, for which there is no such layer."""


class MissingExtra(GateflowError, ImportError):
    """An optional dependency is not installed.

    Examples
    --------
    >>> print(MissingExtra("a sweep", "sweep"))
    a sweep needs the extra 'sweep': python -m pip install xarray h5netcdf h5py dask distributed
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}': {install_line(extra)}")
        self.what: str = what
        self.extra: str = extra

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.what, self.extra)  # so that it comes back from another process


class Exceeded(GateflowError):
    """The work took too long or too much memory, and was stopped.

    Attributes
    ----------
    reason : str
        One line.
    """

    exit_code = 3

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason: str = reason


class NotReached(GateflowError):
    """The flow does not arrive where it was asked to."""

    exit_code = 3


class NoCompiler(GateflowError):
    """No C compiler can be used here; callers fall back on NumPy or PyTorch."""


def shown(value: Any, most: int = SHOWN) -> str:
    """A value for a message: in one line, cut, and never a failure of its own.

    Examples
    --------
    >>> shown([1, 2]), shown(10**400), shown("z" * 100, 8)
    ('[1, 2]', 'a whole number of about 400 digits', "'zzzz...")
    """
    if isinstance(value, int) and value.bit_length() > 3.3 * DIGITS:
        return f"a whole number of about {value.bit_length() * 0.30103:.0f} digits"
    if getattr(value, "requires_grad", False):
        return "a tensor that requires grad; pass its .detach()"
    try:
        text = repr(value) if isinstance(value, (str, bytes)) else str(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return cut(text, most)


def unknown(what: str, name: Any, known: Iterable[str]) -> str:
    """The message about a name that is none of those known, with a guess at the one that was meant.

    Examples
    --------
    >>> unknown("kind", "refnie", ("refine", "shared")), unknown("format", "gif", ("svg", "pdf"))
    ("unknown kind 'refnie'; did you mean 'refine'?", "unknown format 'gif'; known: svg, pdf")
    """
    from difflib import get_close_matches

    among, word = list(known), name if isinstance(name, str) else ""
    near = [found for like in (word, word.lower().replace("_", "-")) for found in get_close_matches(like, among, n=1)]
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(among) or 'none'}"
    return f"unknown {what} {shown(name)}; {hint}"


def cut(text: str, most: int = 160) -> str:
    r"""A text in one line, of a given number of characters at most.

    Examples
    --------
    >>> cut("higher:\n  psi is 0", 12)
    'higher: p...'
    """
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 3]}..."
