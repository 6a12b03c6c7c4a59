"""Libraries compiled on first use: shared by processes, never of another processor or source, never cut short."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateflow import progress
from gateflow.codegen import compiler as compiled
from gateflow.errors import NoCompiler

ANSWER = "int answer(void) {{ return {0}; }}"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the fake compilers here are shell scripts")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and no memory of earlier libraries."""
    for name in ("GATEFLOW_COMPILER", "CC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GATEFLOW_CACHE", str(tmp_path / "cache"))
    forget()
    yield tmp_path / "cache"
    forget()


def forget() -> None:
    """What a new process would not know."""
    for remembered in (compiled._library, compiled._macros, compiled._described, compiled.temporary):
        remembered.cache_clear()


@pytest.fixture
def real() -> str:
    """The compiler of this machine."""
    if compiled.available() is None:
        pytest.skip("there is no C compiler here")
    return compiled.compiler()[0]


def script(path: Path, text: str) -> str:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def answer(value: int, *flags: str) -> int:
    """What a library made to answer ``value`` answers."""
    return compiled.library(ANSWER.format(value), name="answer", flags=flags).answer()


def test_a_library_is_compiled_once(real, cache, monkeypatch):
    assert answer(7) == 7
    (path,) = cache.iterdir()
    before = path.stat()
    forget()
    monkeypatch.setattr(compiled, "_built", None)
    assert answer(7) == 7
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_another_source_another_flag_another_processor_is_another_library(real, cache, monkeypatch):
    source = "int answer(void) {\n#ifdef MORE\nreturn 2;\n#else\nreturn 1;\n#endif\n}"
    assert compiled.library(source, name="a").answer() == 1
    assert compiled.library(source, name="a", flags=["-DMORE"]).answer() == 2
    assert compiled.library(source + "\n", name="a").answer() == 1
    plain = compiled._macros((real,), ())
    forget()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(compiled, "_macros", lambda *_: f"{plain}\n#define __AVX9000__ 1")
        assert compiled.library(source, name="a").answer() == 1
    assert len(list(cache.iterdir())) == 4


def test_native_flags_change_the_key_with_the_processor(real):
    """The macros under these flags are those of the instructions of this machine."""
    flags = compiled.native()
    if not flags or os.uname().machine != "x86_64":
        pytest.skip("no such flag")
    told = compiled._macros((real,), flags)
    cpu = Path("/proc/cpuinfo").read_text().split() if Path("/proc/cpuinfo").exists() else []
    assert ("avx2" in cpu) == ("__AVX2__ 1" in told)
    assert "__AVX2__" not in compiled._macros((real,), ("-march=x86-64",))


FIRST_USE = """
import os
from gateflow import progress
from gateflow.codegen import compiler as compiled
ready, go = os.pipe()
children = []
for _ in range(8):
    if (child := os.fork()) == 0:
        os.close(go)
        os.read(ready, 1)  # until all are there
        os._exit(compiled.library("int answer(void) { return 42; }", name="race").answer())
    children.append(child)
os.close(go)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
def test_eight_processes_at_once_share_one_library_that_one_of_them_makes(real, cache, tmp_path, monkeypatch):
    made = tmp_path / "made"
    slow = f'case " $* " in *" -o "*) echo one >> "{made}"; sleep 0.3;; esac\nexec {real} "$@"'
    monkeypatch.setenv("GATEFLOW_COMPILER", script(tmp_path / "slow", slow))
    command = [sys.executable, "-c", FIRST_USE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert (done.stdout, done.stderr) == (f"{[42] * 8}\n", "")
    kept = list(cache.iterdir())
    assert [path.suffix for path in kept] == [compiled.SUFFIX]  # and no building site is left, nor a lock
    assert made.read_text().split() == ["one"]


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_library_is_made_anew(real, cache, damage):
    assert answer(9) == 9
    (path,) = cache.iterdir()
    data = path.read_bytes()
    path.unlink()  # this process still holds the old file open: no library is changed under a running program
    path.write_bytes(data[: len(data) // 2] if damage is None else damage)
    forget()
    assert answer(9) == 9
    (path,) = cache.iterdir()
    assert path.read_bytes() == data


def test_a_cache_that_cannot_be_written_is_done_without(real, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GATEFLOW_CACHE", str(tmp_path / "file" / "below"))
    assert answer(3) == 3
    folder = compiled.temporary()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("wanted", ["/bin/false", "/bin/true", "/no/such/compiler", "a 'b", ""])
@pytest.mark.parametrize("variable", ["CC", "GATEFLOW_COMPILER"])
def test_a_compiler_that_is_none_is_refused_in_one_line(variable, wanted, monkeypatch):
    if not wanted:
        monkeypatch.setenv("PATH", "")
    monkeypatch.setenv(variable, wanted)
    assert compiled.available() is None
    for _ in range(2):
        with pytest.raises(NoCompiler) as caught:
            answer(1)
        assert len(str(caught.value).splitlines()) == 1


def test_none_is_a_wish(monkeypatch):
    monkeypatch.setenv("GATEFLOW_COMPILER", "none")
    assert compiled.available() is None
    with pytest.raises(NoCompiler, match="GATEFLOW_COMPILER is none"):
        answer(1)


@pytest.mark.parametrize("output", ["echo garbage > $out", ":", "exit 1"])
def test_a_compiler_that_writes_garbage_is_refused(real, output, tmp_path, cache, monkeypatch):
    """It tells its macros like a real one."""
    text = f"""
    case " $* " in *" -E "*) exec {real} "$@";; esac
    while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done
    cat > /dev/null
    {output}
    """
    monkeypatch.setenv("CC", script(tmp_path / "garbler", text))
    with pytest.raises(NoCompiler, match=r"garbler' (wrote no library|failed)"):
        answer(1)
    assert not list(cache.iterdir())


def test_a_compiler_that_hangs_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", script(tmp_path / "sleeper", "exec sleep 60"))
    monkeypatch.setattr(compiled, "PATIENCE", 0.2)
    with pytest.raises(NoCompiler, match="seconds"):
        answer(1)


def test_a_terminal_is_told_what_it_waits_for(real, tmp_path, monkeypatch):
    """A layer's first call compiles for five seconds and more, which looked like a hang."""
    slow = f"""case " $* " in *" -E "*) ;; *) sleep 1 ;; esac\nexec {real} "$@\""""
    monkeypatch.setenv("CC", script(tmp_path / "slow", slow))
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "PATIENCE", 0.1)
    monkeypatch.setenv("TERM", "xterm")
    assert answer(6) == 6
    assert "compiling answer for this processor" in terminal.getvalue()


def test_an_error_in_the_source_is_told(real):
    with pytest.raises(NoCompiler, match="error: "):
        compiled.library("int answer(void) { return nonsense; }", name="wrong")


def test_a_compiler_may_be_several_words(real, tmp_path, monkeypatch):
    through = script(tmp_path / "through", 'exec "$@"')
    monkeypatch.setenv("CC", f"{through} {real}")
    assert answer(5) == 5
    assert compiled.available().startswith(f"{through} {real} ")


@pytest.mark.skipif(sys.platform == "win32", reason="other folders there")
def test_where_the_cache_is(monkeypatch, tmp_path):
    assert compiled.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("GATEFLOW_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert compiled.cache_folder() == Path("/x/gateflow")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative, which the standard says to ignore")
    monkeypatch.setenv("HOME", "/home/someone")
    assert compiled.cache_folder() == Path("/home/someone/.cache/gateflow")


# --- a cache that others may have written to --------------------------------------------------------------------------


@pytest.fixture
def planted(real, cache) -> Path:
    """The cached library that should answer 7, with another in its place that answers 8, its digest in its name."""
    assert (answer(8), answer(7)) == (8, 7)
    eight, seven = sorted(cache.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    data = eight.read_bytes()
    stem = seven.stem.rpartition("-")[0]
    seven.unlink()
    path = cache / f"{stem}-{compiled._digest(data)}{compiled.SUFFIX}"
    path.write_bytes(data)
    path.chmod(0o700)
    forget()
    return path


def test_what_is_planted_would_be_loaded_were_it_ours_alone(planted):
    assert answer(7) == 8


@pytest.mark.parametrize("who", ["folder 777", "folder 775", "file 666", "file 620", "link", "pipe", "folder link"])
@pytest.mark.sampled(3)
def test_a_library_that_others_may_have_planted_is_not_loaded(who, planted, cache, tmp_path, monkeypatch):
    data = planted.read_bytes()
    kind, _, mode = who.partition(" ")
    if mode.isdigit():
        (cache if kind == "folder" else planted).chmod(int(mode, 8))
    elif who == "folder link":
        (tmp_path / "link").symlink_to(cache)
        monkeypatch.setenv("GATEFLOW_CACHE", str(tmp_path / "link"))
    else:
        planted.rename(tmp_path / "elsewhere")
        os.mkfifo(planted) if who == "pipe" else planted.symlink_to(tmp_path / "elsewhere")
    before = sorted(path.name for path in cache.iterdir())
    assert answer(7) == 7
    if kind == "folder":  # nothing is put there either
        assert sorted(path.name for path in cache.iterdir()) == before
    kept = planted if mode.isdigit() or who == "folder link" else tmp_path / "elsewhere"
    assert kept.read_bytes() == data


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_library_of_another_user_is_not_loaded(what, planted, cache):
    os.chown(planted if what == "file" else cache, 12345, -1)
    assert answer(7) == 7


def test_a_library_that_is_changed_after_it_was_looked_at_is_not_loaded(real, cache, monkeypatch):
    assert (answer(8), answer(7)) == (8, 7)
    eight, seven = sorted(cache.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    forget()
    genuine = compiled._path_of

    def swapped(handle, path):
        if path.name == seven.name:
            os.replace(eight, seven)
        return genuine(handle, path)

    monkeypatch.setattr(compiled, "_path_of", swapped)
    assert answer(7) == 7
    assert not eight.exists()


def test_a_cache_where_no_folder_can_be_made_is_done_without(real, cache, monkeypatch):
    genuine = compiled.tempfile.TemporaryDirectory

    def full(*arguments, **more):
        if Path(more["dir"]) == cache:
            raise OSError(28, "No space left on device")
        return genuine(*arguments, **more)

    monkeypatch.setattr(compiled.tempfile, "TemporaryDirectory", full)
    assert answer(3) == 3
    assert not list(cache.iterdir())


@pytest.mark.parametrize("stream", ["", ">&2"])
def test_a_compiler_that_prints_without_end_is_given_up(stream, tmp_path, monkeypatch):
    monkeypatch.setenv("CC", script(tmp_path / "chatterbox", f"yes {stream}"))
    monkeypatch.setattr(compiled, "LOUDEST", 1 << 20)
    with pytest.raises(NoCompiler, match="chatterbox' prints without end"):
        answer(1)


def test_a_compiler_without_a_version_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", script(tmp_path / "nameless", 'echo "#define __STDC__ 1"'))
    assert compiled.available() == str(tmp_path / "nameless")


def test_a_compiler_that_does_not_listen_is_no_fault(real, tmp_path, monkeypatch):
    monkeypatch.setenv("CC", script(tmp_path / "deaf", "exec <&-; exit 1"))
    with pytest.raises(NoCompiler, match="deaf' failed"):
        compiled.library("int x;" + " " * 1_000_000, name="long")
