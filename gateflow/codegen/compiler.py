"""C source to a loaded library, compiled once a machine: what every compiled kernel is loaded by.

A kernel is an extra, never a need: where there is no compiler, or a broken one, :class:`gateflow.errors.NoCompiler` is
raised, and the caller goes on in NumPy or PyTorch.

A library is kept in the user's cache under a name made of all that decides its bytes: the source, the flags, and every
macro the compiler predefines under these flags. Those give its version and, under ``-march=native``, the instructions
of this processor, so that no library meets a processor it was not made for. The name also holds a digest of the bytes
themselves: a file cut short is not loaded but made anew. A library is loaded only from a file and a folder that are
ours and that nobody else may write to, neither of them a link, through the open file that was looked at; where the
cache is no such folder, a temporary one takes its place.

Environment: ``GATEFLOW_CACHE`` (folder of the libraries), ``GATEFLOW_COMPILER`` (a compiler, or ``none``), ``CC``.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from gateflow.errors import NoCompiler
from gateflow.files import Place
from gateflow.files.lock import Lock, lock, same_file
from gateflow.files.place import is_private, temporary
from gateflow.progress import Meter

P = ParamSpec("P")
Built = TypeVar("Built")

ENVIRONMENT = ("GATEFLOW_COMPILER", "CC", "GATEFLOW_CACHE")
"""What a compiled kernel depends on, besides its source."""

COMPILERS = ("cc", "gcc", "clang")
"""Looked for in this order where the environment names none."""

ALWAYS = ("-std=c11", "-O3", "-fPIC", "-shared")
"""Flags of every library; those of the caller come after them."""

PATIENCE = 120.0
"""Seconds a compiler may take."""

LOUDEST = 1 << 24
"""Bytes a compiler may print."""

LARGEST = 1 << 28
"""Bytes of a library."""

SMALL = 1 << 16
"""Bytes of another file that is kept with them."""

SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


def library(source: str, *, flags: Sequence[str] = (), name: str) -> ctypes.CDLL:
    """The shared library made of a C source text: from the cache if it is there, else compiled now.

    Any number of threads and processes may ask for the same library at once. Calls into it release the interpreter's
    lock.

    Parameters
    ----------
    source : str
        All of it: what it includes must be standard headers, or pasted in.
    flags : sequence of str
        Further flags, after :data:`ALWAYS`. See :func:`native` for those of this processor.
    name : str
        The first part of the file's name, for humans.

    Raises
    ------
    NoCompiler
        There is none, none is wanted, or it failed. The same call fails again at once, without another try.

    Examples
    --------
    >>> try:
    ...     print(library("int answer(void) { return 42; }", name="doctest").answer())
    ... except NoCompiler:
    ...     print(42)
    42
    """
    return _library(source, tuple(flags), name, _wanted(), _cache_wanted())


def compiled_once(build: Callable[P, Built]) -> Callable[P, Built]:
    """A function that compiles, called once for the same arguments and environment; a refusal is raised each time.

    Examples
    --------
    >>> @compiled_once
    ... def kernel(name):
    ...     print("compiling", name)
    ...     raise NoCompiler("there is none")
    >>> for _ in range(2):
    ...     with suppress(NoCompiler):
    ...         kernel("f")
    compiling f
    """

    @lru_cache(maxsize=256)
    def outcome(_: tuple[str | None, ...], *arguments: P.args, **options: P.kwargs) -> Built | NoCompiler:
        try:
            return build(*arguments, **options)
        except NoCompiler as reason:
            return reason

    @wraps(build)
    def once(*arguments: P.args, **options: P.kwargs) -> Built:
        found = outcome(tuple(map(os.environ.get, ENVIRONMENT)), *arguments, **options)
        if isinstance(found, NoCompiler):
            raise NoCompiler(*found.args)
        return found

    once.cache_clear = outcome.cache_clear  # pyright: ignore[reportAttributeAccessIssue]
    return once


def available() -> str | None:
    """The compiler in use and its version, in one line; None where there is none.

    Examples
    --------
    >>> available() is None or len(available().splitlines()) == 1
    True
    """
    try:
        return _described(*compiler())
    except NoCompiler:
        return None


def compiler() -> tuple[str, ...]:
    """The command of the compiler, in words.

    Raises
    ------
    NoCompiler
        There is none, or none is wanted.
    """
    wanted = _wanted()
    if wanted.lower() == "none":
        raise NoCompiler("no C compiler is to be used: GATEFLOW_COMPILER is none")
    if wanted:
        words = _words(wanted)
        if shutil.which(words[0]) is None:
            raise NoCompiler(f"there is no C compiler {words[0]!r}, which GATEFLOW_COMPILER or CC names")
        return words
    for word in COMPILERS:
        if shutil.which(word) is not None:
            return (word,)
    raise NoCompiler(f"there is no C compiler ({', '.join(COMPILERS)}); name one by GATEFLOW_COMPILER or CC")


def native() -> tuple[str, ...]:
    """The flags that let the compiler use all instructions of this processor; none where it knows no such flag."""
    for flags in (("-march=native",), ("-mcpu=native",)):
        if not isinstance(_macros(compiler(), flags), NoCompiler):
            return flags
    return ()


def defines(macro: str, flags: Sequence[str]) -> bool:
    """Whether the compiler predefines a macro under these flags: ``__FMA__``, say, where there is that instruction."""
    found = _macros(compiler(), tuple(flags))
    return not isinstance(found, NoCompiler) and f"#define {macro} " in found


def cache_folder() -> Path:
    """Where libraries are kept: ``GATEFLOW_CACHE``, else ``gateflow`` in the user's folder for caches."""
    own = os.environ.get("GATEFLOW_CACHE")
    if own:
        return Path(own)
    if sys.platform == "win32":
        shared = os.environ.get("LOCALAPPDATA")
        return (Path(shared) if shared else Path.home() / "AppData" / "Local") / "gateflow" / "cache"
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared and Path(shared).is_absolute() else Path.home() / ".cache") / "gateflow"


def cache_note() -> str:
    """Where libraries are kept, and what is in the way of that if anything is."""
    try:
        with _place(_cache_wanted()) as place:
            return str(place.path)
    except OSError:
        return f"a temporary folder: {_cache_wanted() or 'the cache'} cannot be used, or others may write to it"


def recalled(name: str) -> bytes | None:
    """What :func:`keep` put under a name into the cache, if nobody else can have written it.

    Examples
    --------
    >>> recalled("nothing of this name") is None
    True
    """
    try:
        with _place(_cache_wanted()) as place, open(place.regular(name, os.O_RDONLY), "rb") as file:
            found = os.fstat(file.fileno())
            return file.read(SMALL) if is_private(found) and found.st_size <= SMALL else None
    except (OSError, ValueError):  # ValueError: a path with a NUL in it
        return None


def keep(name: str, data: bytes) -> None:
    """Put a small file into the cache; nothing where there is no cache that is ours alone."""
    with suppress(OSError, ValueError), _place(_cache_wanted()) as place, place.draft(name, lasting=False) as draft:
        if hasattr(os, "fchmod"):
            os.fchmod(draft.file.fileno(), 0o600)  # whatever the umask: what others may write is not recalled
        draft.file.write(data)


def fingerprint(source: str, flags: Sequence[str] = ()) -> str:
    """All that decides the bytes of a library, in 32 characters: source, flags, compiler and instructions.

    Raises
    ------
    NoCompiler
    """
    return _key(source, tuple(flags))


# --- finding and making -----------------------------------------------------------------------------------------------


def _wanted() -> str:
    return (os.environ.get("GATEFLOW_COMPILER") or os.environ.get("CC") or "").strip()


def _words(command: str) -> tuple[str, ...]:
    """A command such as ``ccache gcc`` in words; a path with spaces or backslashes in it is one word."""
    if shutil.which(command) is not None or sys.platform == "win32":
        return (command,)
    try:
        return tuple(shlex.split(command)) or (command,)
    except ValueError:
        return (command,)


def _cache_wanted() -> str:
    try:
        return str(cache_folder())
    except RuntimeError:  # there is no home
        return ""


@compiled_once
def _library(source: str, flags: tuple[str, ...], name: str, _: str, cache: str) -> ctypes.CDLL:
    """The library; the compiler and the cache that are wanted are part of the question."""
    stem = f"{name}-{_key(source, flags)}"
    found = _loaded(cache, stem)
    if found is None:
        with _alone(cache, f".{stem}.lock"):
            found = _loaded(cache, stem) or _built(source, flags, cache, stem)
    return found


@contextmanager
def _alone(cache: str, name: str) -> Iterator[None]:
    """Another process that makes the same library is waited for; where there are no locks, both make it."""
    with ExitStack() as stack:
        with suppress(OSError):
            place = stack.enter_context(_place(cache))
            handle = place.regular(name, os.O_RDWR | os.O_CREAT)
            stack.callback(_let_go, place, name, handle)
            end = time.monotonic() + PATIENCE
            while lock(handle) is Lock.TAKEN and time.monotonic() < end:
                time.sleep(0.02)
        yield


def _let_go(place: Place, name: str, handle: int) -> None:
    ours = same_file(os.fstat(handle), place.stat(name))
    os.close(handle)
    if ours:
        with suppress(OSError):
            place.remove(name)


def _key(source: str, flags: tuple[str, ...]) -> str:
    """All that decides the bytes of a library, in 32 characters."""
    command = compiler()
    macros = _macros(command, flags)
    if isinstance(macros, NoCompiler):
        raise macros
    parts = (source, *ALWAYS, *flags, "", shutil.which(command[0]) or "", *command[1:], macros, platform.machine())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@lru_cache(maxsize=64)
def _macros(command: tuple[str, ...], flags: tuple[str, ...]) -> str | NoCompiler:
    """Every macro predefined under these flags: version, target, and the available instructions."""
    try:
        answer = _run([*command, *ALWAYS, *flags, "-dM", "-E", "-x", "c", "-"], "")
    except NoCompiler as reason:
        return reason
    if "#define __STDC__" not in answer.stdout:
        return NoCompiler(f"the C compiler {command[0]!r} does not print its macros")
    return "\n".join(sorted(answer.stdout.splitlines()))


@lru_cache(maxsize=16)
def _described(*command: str) -> str | None:
    macros = _macros(command, ())
    if isinstance(macros, NoCompiler):
        return None
    version = next((line for line in macros.splitlines() if line.startswith("#define __VERSION__ ")), "")
    return f"{' '.join(command)} {version[20:].strip(chr(34))}".strip()


def _run(command: Sequence[str], text: str, doing: str = "") -> subprocess.CompletedProcess[str]:
    try:
        answer = _answered(command, text.encode(), doing or f"asking {command[0]}")
    except (OSError, ValueError) as problem:
        said = getattr(problem, "strerror", None) or problem
        raise NoCompiler(f"the C compiler {command[0]!r} does not run: {said}") from None
    if answer.returncode != 0:
        said = [line for line in answer.stderr.splitlines() if "error" in line] or answer.stderr.splitlines()
        raise NoCompiler(f"the C compiler {command[0]!r} failed" + (f": {said[0].strip()[:200]}" if said else ""))
    return answer


def _answered(command: Sequence[str], text: bytes, doing: str) -> subprocess.CompletedProcess[str]:
    """What a program answers, which may take neither for ever nor print without end; what it does is shown."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    heard: tuple[bytearray, bytearray] = (bytearray(), bytearray())

    def write() -> None:
        with suppress(OSError), process.stdin as stream:  # type: ignore[union-attr]
            stream.write(text)

    def read(stream: Any, into: bytearray) -> None:
        with suppress(OSError, ValueError), stream:
            while len(into) <= LOUDEST and (block := stream.read1(1 << 16)):
                into += block
        if len(into) > LOUDEST:
            _end(process)

    reading = zip((process.stdout, process.stderr), heard, strict=True)
    threads = [threading.Thread(target=read, args=each, daemon=True) for each in reading]
    threads.append(threading.Thread(target=write, daemon=True))
    try:
        for thread in threads:
            thread.start()
        _wait(process, doing)
    except subprocess.TimeoutExpired:
        raise NoCompiler(f"the C compiler {command[0]!r} took over {PATIENCE:.0f} seconds") from None
    finally:
        if process.poll() is None:
            _end(process)
        for thread in threads:
            thread.join(1.0)
    if max(map(len, heard)) > LOUDEST:
        raise NoCompiler(f"the C compiler {command[0]!r} prints without end")
    out, err = (bytes(each).decode(errors="replace") for each in heard)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _wait(process: subprocess.Popen[bytes], doing: str) -> None:
    """What it does is shown by the main thread alone: a terminal bears one display."""
    if threading.current_thread() is not threading.main_thread():
        process.wait(PATIENCE)
        return
    end = time.monotonic() + PATIENCE
    with Meter(doing, None) as meter:
        while (left := end - time.monotonic()) > 0.25:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.25)
                return
            meter.show(0)
        process.wait(max(left, 0.0))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and those it started."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _loaded(cache: str, stem: str) -> ctypes.CDLL | None:
    """The library as it is in the cache, if nobody else can have written it and its bytes are those of its name."""
    ours = re.compile(rf"{re.escape(stem)}-([0-9a-f]{{16}}){re.escape(SUFFIX)}")
    try:
        with _place(cache) as place:
            for name in place.names():
                if (match := ours.fullmatch(name)) and (found := _opened(place, name, match[1])) is not None:
                    return found
    except OSError:
        pass
    return None


def _opened(place: Place, name: str, wanted: str | None = None) -> ctypes.CDLL | None:
    """A library, looked at and loaded through one open file; None where that is not ours alone, or is damaged."""
    try:
        handle = place.regular(name, os.O_RDONLY)
    except OSError:
        return None
    with open(handle, "rb") as file:
        if not is_private(os.fstat(handle)):
            return None
        if wanted is not None and _digest(file.read(LARGEST)) != wanted:
            return None
        with suppress(OSError):
            return ctypes.CDLL(_path_of(handle, place.path / name))
    return None


_loads = itertools.count(1)


def _path_of(handle: int, path: Path) -> str:
    """A path of an open file, where it has one; no two are alike: the loader takes equal paths for one library."""
    if not os.path.exists(f"/proc/self/fd/{handle}"):
        return str(path)
    return f"/proc/self/fd{'/' * next(_loads)}{handle}"


def _built(source: str, flags: tuple[str, ...], cache: str, stem: str) -> ctypes.CDLL:
    """Compiled in a folder of its own, loaded from there to see that it can be, then moved to the cache."""
    for folder in (cache, None):
        try:
            with (
                _place(folder) as place,
                tempfile.TemporaryDirectory(prefix=".build-", dir=place.path, ignore_cleanup_errors=True) as scratch,
                Place(Path(scratch), follow=False) as inner,
            ):
                return _build(source, flags, stem, inner, place)
        except OSError:
            continue
    raise NoCompiler("a compiled library can be written neither to the cache nor to a temporary folder")


def _build(source: str, flags: tuple[str, ...], stem: str, scratch: Place, place: Place) -> ctypes.CDLL:
    made = scratch.path / f"library{SUFFIX}"
    command = [*compiler(), *ALWAYS, *flags, "-x", "c", "-", "-o", str(made), "-lm"]
    _run(command, source, f"compiling {stem.partition('-')[0]} for this processor")
    try:
        made.chmod(0o700)  # whatever the umask: a library that others may write is not loaded
        data = made.read_bytes()
    except OSError:
        data = b""
    found = _opened(scratch, made.name) if data else None
    if found is None:
        raise NoCompiler(f"the C compiler {compiler()[0]!r} wrote no library that can be loaded")
    os.replace(made, place.path / f"{stem}-{_digest(data)}{SUFFIX}")
    return found


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


@contextmanager
def _place(folder: str | None) -> Iterator[Place]:
    """The folder of a cache, made if it is not there; for None, a temporary one that ends with this process.

    Raises
    ------
    OSError
        It is a link, or others may write to it.
    """
    if folder == "":
        raise FileNotFoundError
    path = temporary() if folder is None else Path(folder)
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    with Place(path, follow=False) as place:
        if not place.private():
            raise PermissionError
        yield place
