"""Files written whole, in the folder that was opened, with the rights of the user's choice; locks; races."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from contextlib import suppress

import pytest

from gateflow.errors import InvalidArgument
from gateflow.files import Output, Place, Standing, held, is_sealed, sealed, write_bytes, write_text
from gateflow.files import folder as folders
from gateflow.files import lock as locks
from gateflow.files import place as places
from gateflow.files.place import spare_name

WORDS = {"busy": "another process has it", "refused": "it holds {name}"}

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links, modes and locks as Unix has them")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_is_respected(umask, mode, tmp_path):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_a_file_that_is_replaced_stays_as_private_as_it_was(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o600)
    write_text(tmp_path / "a", "new")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["a", "x" * 255, "new\nline", " ", "-rf", ".gateflow", "é\udcff"])
def test_any_name_can_be_written(name, tmp_path):
    write_bytes(tmp_path / name, b"x")
    assert os.listdir(tmp_path) == [name]


def test_where_folders_are_not_opened_paths_will_do(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "_AT", False)
    with held(tmp_path / "run", "run", **WORDS) as found:
        found.mark({"a": 1})
        found.place.write("a", b"1", Standing(None))
        found.place.keep_as("a", "b")
        found.place.write("a", b"2")
    with held(tmp_path / "run", "run", **WORDS) as found:
        assert found.facts == {"a": 1}
        assert [(tmp_path / "run" / name).read_bytes() for name in "ab"] == [b"2", b"1"]
        found.gone(["a", "b"])
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(NotADirectoryError):
        Place(tmp_path / "link", follow=False)
    Output(tmp_path / "c").write("new")
    assert sorted(os.listdir(tmp_path)) == ["c", "link"]


def test_what_is_done_in_an_open_folder_stays_in_it(tmp_path):
    """Its path is moved away and replaced by a link to the folder of another."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "a").write_text("mine")
    with Place(tmp_path / "ours") as place:
        place.write("a", b"1")
        (tmp_path / "ours").rename(tmp_path / "moved")
        (tmp_path / "ours").symlink_to(tmp_path / "theirs")
        place.write("a", b"2")
        place.keep_as("a", "b")
        place.remove("a")
    assert (tmp_path / "theirs" / "a").read_text() == "mine"
    assert {path.name: path.read_bytes() for path in (tmp_path / "moved").iterdir()} == {"b": b"2"}


def test_a_held_folder_that_is_replaced_by_a_link_empties_no_other(tmp_path):
    folder = tmp_path / "ours"
    (tmp_path / "theirs").mkdir()
    for name in ("a", ".gateflow", ".gateflow-lock"):
        (tmp_path / "theirs" / name).write_text("mine")
    with held(folder, "run", **WORDS) as found:
        found.mark({})
        found.place.write("a", b"1")
        folder.rename(tmp_path / "moved")
        folder.symlink_to(tmp_path / "theirs")
        found.gone(["a"])
    assert sorted(os.listdir(tmp_path / "theirs")) == [".gateflow", ".gateflow-lock", "a"]
    assert folder.is_symlink()
    assert os.listdir(tmp_path / "moved") == []


@pytest.mark.parametrize("there", [None, "old"])
def test_what_another_program_writes_in_the_meantime_is_not_lost(there, tmp_path, monkeypatch):
    file = tmp_path / "a"
    if there is not None:
        file.write_text(there)
    genuine = Place._begun

    def begun(self, *arguments):
        found = genuine(self, *arguments)
        file.unlink(missing_ok=True)
        file.write_text("theirs")
        return found

    monkeypatch.setattr(Place, "_begun", begun)
    with pytest.raises(InvalidArgument, match="another program has written it in the meantime"):
        Output(file, force=True).write("ours")
    assert file.read_text() == "theirs"
    assert os.listdir(tmp_path) == ["a"]


def test_between_the_last_look_and_the_name_nothing_new_is_lost(tmp_path, monkeypatch):
    file, genuine = tmp_path / "a", Place.link

    def linked(self, old, new):
        file.write_text("theirs")
        genuine(self, old, new)

    monkeypatch.setattr(Place, "link", linked)
    with pytest.raises(InvalidArgument, match="another program has written it in the meantime"):
        Output(file).write("ours")
    assert file.read_text() == "theirs"


def test_a_file_system_without_second_names_will_do(tmp_path, monkeypatch):
    def none(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    with Place(tmp_path) as place:
        place.write("a", b"1", Standing(None))
        place.keep_as("a", "b")
        place.write("a", b"2")
    assert [(tmp_path / name).read_bytes() for name in "ab"] == [b"2", b"1"]
    assert len(os.listdir(tmp_path)) == 2


WRITER = """
import sys, time
from pathlib import Path
from gateflow.files import Place
with Place(Path(sys.argv[1])) as place, place.draft("a") as draft:
    draft.file.write(b"slow")
    print("begun", flush=True)
    sys.stdin.read()
"""


def test_a_file_that_another_process_is_writing_is_not_taken_for_a_left_over(tmp_path):
    words = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "begun\n"
        write_bytes(tmp_path / "a", b"quick")
        assert (tmp_path / "a").read_bytes() == b"quick"
        assert (tmp_path / spare_name("a")).exists()
        other.kill()
    write_bytes(tmp_path / "a", b"next")
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "another user's"])
def test_what_stands_under_a_spare_name_and_is_not_ours_stays(kind, tmp_path, monkeypatch):
    spare = tmp_path / spare_name("a")
    (tmp_path / "precious").write_text("mine")
    if kind == "another user's":
        spare.write_text("mine")
        monkeypatch.setattr(places, "_is_mine", lambda _: False)
    else:
        {"link": lambda: spare.symlink_to("precious"), "folder": spare.mkdir, "pipe": lambda: os.mkfifo(spare)}[kind]()
    before = spare.lstat()
    write_bytes(tmp_path / "a", b"x")
    assert os.path.samestat(before, spare.lstat())
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("content", [b"", b"12345\n", b"x" * 10_000])
def test_a_lock_is_never_written_to_and_one_of_others_never_removed(content, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".gateflow-lock").write_bytes(content)
    with held(folder, "run", **WORDS):
        pass
    assert (folder / ".gateflow-lock").read_bytes() == content
    with held(folder, "run", **WORDS) as found:
        found.mark({"a": 1})
        with pytest.raises(InvalidArgument, match="another process has it"), held(folder, "run", **WORDS):
            pass
    assert (folder / ".gateflow-lock").read_bytes() == content


def test_a_lock_that_was_made_for_nothing_is_removed(tmp_path):
    with held(tmp_path / "a" / "b", "run", **WORDS):
        assert os.listdir(tmp_path / "a" / "b") == [".gateflow-lock"]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "pipe"])
def test_a_lock_that_is_no_file_is_refused_at_once(kind, tmp_path):
    folder = tmp_path / "run"
    with held(folder, "run", **WORDS) as found:
        found.mark({})
    lock = folder / ".gateflow-lock"
    lock.unlink()
    (tmp_path / "precious").write_text("mine")
    make = {"folder": lock.mkdir, "pipe": lambda: os.mkfifo(lock), "dangling": lambda: lock.symlink_to("nowhere")}
    make.get(kind, lambda: lock.symlink_to(tmp_path / "precious"))()
    with pytest.raises(InvalidArgument, match="cannot write to"), held(folder, "run", **WORDS):
        pass
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (folder / "nowhere").exists()


@pytest.mark.parametrize("change", [{"gateflow": "sweep"}, {"facts": []}, {"digest": "0" * 64}])
def test_a_marker_of_another_kind_or_digest_is_none(change, tmp_path):
    import json

    (tmp_path / "a").write_text("mine")
    marker = sealed({"gateflow": "run", "facts": {}})
    (tmp_path / ".gateflow").write_text(json.dumps(marker))
    with held(tmp_path, "run", **WORDS):
        pass
    changed = {**marker, **change} if "digest" in change else sealed({**marker, **change})
    (tmp_path / ".gateflow").write_text(json.dumps(changed))
    with pytest.raises(InvalidArgument, match="it holds a and 1 more"), held(tmp_path, "run", **WORDS):
        pass


def test_a_seal_tells_every_change():
    made = sealed({"a": 1, "b": [1.5, None]})
    assert is_sealed(made)
    for changed in ({**made, "a": 2}, {**made, "c": 0}, {k: v for k, v in made.items() if k != "b"}, [], None, {}):
        assert not is_sealed(changed)


# --- without locks, and where open files are held fast ---


def no_locks(_):
    return locks.Lock.NONE


def test_without_locks_a_writer_does_not_sweep_away_what_another_is_writing(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "lock", no_locks)
    with Place(tmp_path) as first, Place(tmp_path) as second, first.draft("a") as slow:
        slow.file.write(b"slow")
        slow.file.flush()
        with second.draft("a") as quick:
            quick.file.write(b"quick")
        assert (tmp_path / "a").read_bytes() == b"quick"
        assert (tmp_path / spare_name("a")).read_bytes() == b"slow"
    assert (tmp_path / "a").read_bytes() == b"slow"
    assert os.listdir(tmp_path) == ["a"]


def test_without_locks_nothing_that_another_is_writing_in_a_held_folder_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "lock", no_locks)
    with held(tmp_path, "run", **WORDS) as found:
        found.mark({})
        with Place(tmp_path) as other, other.draft("a") as draft:
            draft.file.write(b"whole")
            found.remove(["a"])
        assert (tmp_path / "a").read_bytes() == b"whole"


@pytest.mark.parametrize("over", [None, Standing(None)])
@pytest.mark.parametrize("taken", [b"half", None])
def test_another_file_under_the_spare_name_is_neither_renamed_nor_removed(taken, over, tmp_path):
    """As a writer without locks does, which takes our file for a left-over."""
    spare = tmp_path / spare_name("a")

    def replaced(place):
        with place.draft("a", over) as draft:
            draft.file.write(b"whole")
            spare.unlink()
            if taken is not None:
                spare.write_bytes(taken)

    with Place(tmp_path) as place, pytest.raises(FileExistsError, match="has taken its spare name"):
        replaced(place)
    there = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert there == ({} if taken is None else {spare.name: taken})


def test_another_file_under_the_spare_name_takes_no_second_name(tmp_path, monkeypatch):
    genuine = Place.link

    def linked(self, old, new):
        genuine(self, old, new)
        os.unlink(tmp_path / new)
        (tmp_path / new).write_bytes(b"half")

    (tmp_path / "a").write_bytes(b"whole")
    monkeypatch.setattr(Place, "link", linked)
    with Place(tmp_path) as place, pytest.raises(FileExistsError, match="has taken its spare name"):
        place.keep_as("a", "b")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("problem", "told"),
    [(errno.EWOULDBLOCK, "TAKEN"), (errno.ENOLCK, "NONE"), (errno.EOPNOTSUPP, "NONE"), (errno.ENOSYS, "NONE")],
)
def test_a_file_system_without_locks_is_told_from_a_lock_of_another(problem, told, monkeypatch):
    import fcntl

    def refused(*_):
        raise OSError(problem, os.strerror(problem))

    monkeypatch.setattr(fcntl, "flock", refused)
    assert locks.lock(0) is locks.Lock[told]


@pytest.fixture
def as_on_windows(monkeypatch):
    """No file that is open in this process is renamed, linked to or removed, and folders are not opened."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("what is open is read from /proc")
    monkeypatch.setattr(places, "_AT", False)
    monkeypatch.setattr(folders, "REMOVES_OPEN", False)

    opened = []

    def closed(path):
        for fd in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                if os.readlink(f"/proc/self/fd/{fd}") == os.path.realpath(path):
                    opened.append(path)

    for name in ("replace", "link", "unlink"):
        genuine = getattr(os, name)

        def checked(path, *rest, _genuine=genuine, **more):
            closed(path)
            return _genuine(path, *rest, **more)

        monkeypatch.setattr(os, name, checked)
    return opened


def test_no_file_is_open_when_it_is_renamed_or_removed_where_that_cannot_be(tmp_path, as_on_windows):
    (tmp_path / spare_name("a")).write_text("left over")
    with Place(tmp_path) as place:
        place.write("a", b"1")
        place.write("a", b"2")
        place.write("b", b"1", Standing(None))
        place.keep_as("a", "b")
        with pytest.raises(ZeroDivisionError), place.draft("a"):
            raise ZeroDivisionError
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"2", "b": b"2"}
    with held(tmp_path / "run", "run", **WORDS):
        pass
    with held(tmp_path / "run", "run", **WORDS) as found:
        found.mark({})
        found.place.write("a", b"1")
        found.gone(["a"])
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
    assert as_on_windows == []


def test_ctrl_c_as_a_file_comes_to_be_leaves_none(tmp_path, monkeypatch):
    """The system tells of it when the call that makes the file returns, before anybody has the handle."""
    with Place(tmp_path) as place:
        make = place.open

        def interrupted(name, flags, *more):
            handle = make(name, flags, *more)
            if flags & os.O_EXCL:
                os.close(handle)
                raise KeyboardInterrupt
            return handle

        monkeypatch.setattr(place, "open", interrupted)
        with pytest.raises(KeyboardInterrupt):
            place.write("numbers.csv", b"1\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["lock", "same_file", "open"])
def test_ctrl_c_before_a_file_is_written_to_leaves_none(where, tmp_path, monkeypatch):
    """It is there and locked, and nobody has begun to write."""
    module, heard = sys.modules[Place.__module__], []
    genuine = getattr(module, where, open)

    def interrupted(*arguments, **more):
        if not heard:
            heard.append(where)
            raise KeyboardInterrupt
        return genuine(*arguments, **more)

    monkeypatch.setattr(module, where, interrupted, raising=False)
    with Place(tmp_path) as place, pytest.raises(KeyboardInterrupt):
        place.write("numbers.csv", b"1\n")
    assert heard == [where]
    assert list(tmp_path.iterdir()) == []
