"""Series with a class each, from NumPy archives, tables of text and ``.ts`` files."""

from __future__ import annotations

import io
import itertools
import math
import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from csv import reader
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from gateflow import files
from gateflow.errors import InvalidArgument, shown
from gateflow.training.data.files import DEFLATE, fingerprint, opened

LINE = 1 << 24
"""Characters of a line."""

HEAD = 1 << 16
"""Bytes of the head of an array."""

SPLITS = ("train", "valid", "test")

UNKNOWN = "?"
"""The class of a series of which none is known."""


class SeriesSet:
    """Series of perhaps different lengths, held end to end.

    Parameters
    ----------
    values : array of float32
        (total time, channels).
    ends : array of int
        Where each series ends.
    labels : list of str
    path : Path

    Examples
    --------
    >>> held = SeriesSet(np.arange(5.0, dtype=np.float32)[:, None], np.array([2, 5]), ["a", "b"], Path("x.ts"))
    >>> held[1][:, 0].tolist()
    [2.0, 3.0, 4.0]
    """

    def __init__(self, values: np.ndarray, ends: np.ndarray, labels: list[str], path: Path) -> None:
        if not len(labels):
            raise InvalidArgument(f"{path} holds no series")
        if not np.isfinite(values).all():
            row = int(np.searchsorted(ends, np.argmin(np.isfinite(values).all(1)), side="right"))
            raise InvalidArgument(f"{path} holds a value that is missing or not finite, in series {row + 1}")
        self.values, self.ends, self.labels, self.path = values, ends, labels, path

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> np.ndarray:
        return self.values[self.ends[row - 1] if row else 0 : self.ends[row]]

    def lengths(self) -> np.ndarray:
        return np.diff(self.ends, prepend=0)

    def fingerprint(self) -> str:
        return fingerprint([self.path])


def join_series(series: list[np.ndarray], labels: list[str], path: Path) -> SeriesSet:
    """Series (time, channels) of one number of channels, put end to end."""
    if not series:
        raise InvalidArgument(f"{path} holds no series")
    values = np.concatenate(series, dtype=np.float32, casting="same_kind")
    return SeriesSet(values, np.cumsum([len(one) for one in series]), labels, path)


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines, without those that are empty or comments."""
    with opened(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig") as text:  # type: ignore[type-var]
        try:
            for number in itertools.count(1):
                if not (line := text.readline(LINE + 1)):
                    return
                if len(line) > LINE:
                    raise InvalidArgument(f"{path}, line {number} has over {LINE} characters")
                line = line.strip()
                if line and not line.startswith(("#", "%")):
                    yield number, line
        except UnicodeDecodeError as error:
            raise InvalidArgument(f"{path} is no text in UTF-8: {error.reason}") from None


def _numbers(path: Path, line: int, fields: Sequence[str]) -> np.ndarray:
    try:
        return _single(np.array([float(field) for field in fields]))
    except ValueError:
        bad = next(field.strip() for field in fields if not _is_number(field))
        what = "a missing value, which must be filled in first" if bad in ("", "?") else f"{bad[:20]!r}, no number"
        raise InvalidArgument(f"{path}, line {line}: {what}") from None


def _single(values: np.ndarray) -> np.ndarray:
    """In float32; what does not fit is infinite there, and refused as such."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def csv(path: Path, label_last: bool = False, labelled: bool = True) -> SeriesSet:
    """A series a line: its class first (as the UCR archive has it) or last, then its values; or values alone.

    Between them stand commas, tabs, semicolons or spaces, whichever the first line has outside of double quotes, in
    which each of them may stand. A first line without numbers is a heading. Values that are empty or NaN at the end of
    a line make a series shorter.
    """
    series: list[np.ndarray] = []
    labels: list[str] = []
    between: str | None = None
    for number, line in lines(path):
        if not labels:
            between = next((mark for mark in ",\t;" if mark in _QUOTED.sub("", line)), None)
        fields = fields_of(path, number, line, between)
        if not labels and not any(_is_number(field) for field in fields):
            continue
        if not labelled:
            label, values = UNKNOWN, fields
        else:
            label, values = (fields[-1], fields[:-1]) if label_last else (fields[0], fields[1:])
        while values and values[-1].strip().lower() in ("", "nan"):
            values.pop()
        if not values:
            raise InvalidArgument(f"{path}, line {number}: a class and values are needed; got {line[:40]!r}")
        labels.append(class_name(label))
        series.append(_numbers(path, number, values)[:, None])
    return join_series(series, labels, path)


_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def fields_of(path: Path, line: int, text: str, between: str | None) -> list[str]:
    """The fields of a line of a table, without the quotes around them."""
    if '"' not in text:
        return text.split(between)
    if _QUOTED.sub("", text).count('"'):
        raise InvalidArgument(f"{path}, line {line}: a double quote is not closed")
    blank = {"delimiter": between} if between else {"delimiter": " ", "skipinitialspace": True}
    return next(reader([text if between else text.replace("\t", " ")], **blank))  # type: ignore[arg-type]


def ts(path: Path) -> SeriesSet:
    """A ``.ts`` file of the UEA archive: a series a line, its channels between colons, its class after the last one.

    Raises
    ------
    InvalidArgument
        It has time stamps, missing values, no classes, or channels of different lengths or numbers.
    """
    series: list[np.ndarray] = []
    labels: list[str] = []
    begun, classes = False, frozenset[str]()
    for number, line in lines(path):
        if begun:
            *channels, label = line.split(":")
            series.append(_channels(path, number, channels, series[0].shape[1] if series else len(channels)))
            labels.append(class_name(label))
            if classes and labels[-1] not in classes:
                listed = ", ".join(by_name(sorted(classes)))[:80]
                raise InvalidArgument(
                    f"{path}, line {number}: class {shown(labels[-1])} is not declared; @classLabel has {listed}"
                )
        elif line.startswith("@"):
            key, *rest = line[1:].split() or [""]
            key = key.lower()
            begun = key == "data"
            _check_declaration(path, number, key, [word.lower() for word in rest])
            classes = frozenset(map(class_name, rest[1:])) if key == "classlabel" else classes
        else:
            raise InvalidArgument(f"{path}, line {number}: data before @data; is it a .ts file?")
    return join_series(series, labels, path)


def _check_declaration(path: Path, line: int, key: str, rest: list[str]) -> None:
    what = rest[:1]
    if key == "timestamps" and what == ["true"]:
        raise InvalidArgument(f"{path}, line {line}: series with time stamps are not read")
    if (key, what) in (("classlabel", ["false"]), ("targetlabel", ["true"])):
        raise InvalidArgument(f"{path}, line {line}: the series have no classes")


def _channels(path: Path, line: int, channels: list[str], expected: int) -> np.ndarray:
    if not channels or len(channels) != expected:
        raise InvalidArgument(f"{path}, line {line}: {len(channels)} channels before the class, not {max(expected, 1)}")
    values = [_numbers(path, line, channel.split(",")) for channel in channels]
    if len({len(channel) for channel in values}) > 1:
        raise InvalidArgument(f"{path}, line {line}: channels of different lengths")
    return np.stack(values, axis=1)


def npz(path: Path, labelled: bool = True) -> dict[str, SeriesSet]:
    """A NumPy archive: arrays ``x`` and ``y``, or ``x_train``, ``y_train`` and the same for ``valid`` and ``test``.

    ``x`` is (n, time) or (n, time, channels), ``y`` is (n,), numbers or strings. The answer is by split, "" where none
    is named. Nothing in it is unpickled. ``y`` is not asked for where series need no classes.
    """
    try:
        with files.opened(path) as file, zipfile.ZipFile(file) as archive:
            most = files.unpacked_most(os.fstat(file.fileno()).st_size)
            names = {name.lower().removesuffix(".npy"): name for name in archive.namelist()}
            parts = {part: part and f"_{part}" for part in ("", *SPLITS) if (f"x_{part}" if part else "x") in names}
            arrays = "xy" if labelled else "x"
            wanted = {part: [names[f"{a}{end}"] for a in arrays] for part, end in parts.items()}
            if (size := sum(archive.getinfo(name).file_size for pair in wanted.values() for name in pair)) > most:
                raise ValueError(
                    f"it unpacks to {size} bytes, and at most {most} are read; save it without compression"
                )
            read = {part: [_member(archive, name) for name in pair] for part, pair in wanted.items()}
    except KeyError as error:
        raise InvalidArgument(f"{path} has no array {error}") from None
    except (OSError, ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidArgument(f"{path} cannot be read as a NumPy archive: {_line(error)}") from None
    if not read:
        raise InvalidArgument(f"{path} has no arrays x and y; it has {', '.join(map(ascii, names))[:200] or 'none'}")
    return {part: _array(path, *arrays) for part, arrays in read.items()}


def _member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """One array, after its head has been believed: NumPy takes the memory that a head asks for."""
    info = archive.getinfo(name)
    with archive.open(info) as packed:
        stream = io.BytesIO(packed.read(HEAD))
        version = npy.read_magic(stream)
        read_head = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if read_head is None:
            raise ValueError(f"{name} is of version {version}")
        shape, _, dtype = read_head(stream)
        if dtype.hasobject:
            raise ValueError(
                f"{name} holds Python objects, which are never unpickled; save an array of numbers or texts"
            )
        there = min(info.file_size, DEFLATE * info.compress_size)
        if min(shape, default=1) < 0 or math.prod(shape) * dtype.itemsize > there:
            raise ValueError(f"{name} claims the shape {shape}, but has {there} bytes")
        if not dtype.itemsize:  # numbers without bytes may be any number of them
            raise ValueError(f"{name} holds nothing: its type is {dtype}")
    with archive.open(info) as packed:
        return npy.read_array(packed, allow_pickle=False)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _array(path: Path, x: np.ndarray, y: np.ndarray | None = None) -> SeriesSet:
    if x.ndim not in (2, 3) or 0 in x.shape or (y is not None and y.shape != x.shape[:1]):
        got = f"{x.shape}, {x.shape[:1] if y is None else y.shape}"
        raise InvalidArgument(f"{path}: x must be (n, time) or (n, time, channels) and y (n,); got {got}")
    y = np.full(x.shape[:1], UNKNOWN) if y is None else y
    if x.dtype.kind not in "iufb" or y.dtype.kind not in "iufbUS":
        raise InvalidArgument(f"{path}: x must hold numbers and y numbers or strings; got {x.dtype}, {y.dtype}")
    count, time = x.shape[:2]
    values = _single(x.reshape(count * time, -1))
    labels = [
        class_name(label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)) for label in y.tolist()
    ]
    return SeriesSet(values, np.arange(1, count + 1) * time, labels, path)


def new(path: Path, *, labelled: bool, label_last: bool = False) -> SeriesSet:
    """The series of a file, with classes as the training has them, or without: those of ``.ts`` always have them.

    Raises
    ------
    InvalidArgument
        It is of no kind that is read, or cannot be read.
    """
    kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if kind == ".npz":
        found = npz(path, labelled)
        return found.get("", next(iter(found.values())))
    if kind == ".ts":
        return ts(path)
    if kind in (".csv", ".tsv", ".txt"):
        return csv(path, label_last, labelled)
    raise InvalidArgument(f"{path} is none of .npz, .csv, .tsv, .txt, .ts")


def class_name(label: str) -> str:
    """A class as it is called: 1, 1.0 and 1.0000e+00 are one.

    Examples
    --------
    >>> class_name(" 1.0000e+00"), class_name("yes")
    ('1', 'yes')
    """
    label = label.strip()
    if not _is_number(label) or not math.isfinite(float(label)):
        return label
    return f"{float(label):.12g}"


def by_name(labels: Sequence[str]) -> list[str]:
    """The classes among labels, in the order of their numbers, else of their names."""
    classes = sorted(set(labels))
    return sorted(classes, key=float) if all(map(_is_number, classes)) else classes
