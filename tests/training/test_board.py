"""What TensorBoard is given, with a stand-in where it is not installed; a full disk; files of others beside ours."""

from __future__ import annotations

import sys
import types

import pytest

pytest.importorskip("torch")

from gateflow.errors import InvalidArgument
from gateflow.files import Place
from gateflow.training import board


class Writer:
    """Writes as TensorBoard's SummaryWriter does: a file whose name ends in the suffix that it is given."""

    full = False

    def __init__(self, path, purge_step, filename_suffix):
        from pathlib import Path

        Path(path).mkdir(exist_ok=True)
        self.file = Path(path) / f"events.out.tfevents.1700000000.host.1.0{filename_suffix}"
        self.file.write_text("")

    def add_scalar(self, name, value, step):
        if self.full:
            raise OSError(28, "No space left on device")

    def flush(self):
        pass

    def close(self):
        if self.full:
            raise OSError(28, "No space left on device")


@pytest.fixture(autouse=True)
def tensorboard(monkeypatch):
    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr(board, "find_spec", lambda _: True)


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    with Place(tmp_path) as place:
        made = board.Board(place, "f" * 64, 0)
        monkeypatch.setattr(Writer, "full", True)
        with pytest.raises(InvalidArgument, match=r"cannot write to .*tensorboard: No space left on device"):
            made.note({"step": 1, "kind": "valid", "loss": 0.5})
        made.close()


def test_only_files_of_this_run_are_dropped(tmp_path):
    with Place(tmp_path) as place:
        board.Board(place, "a" * 64, 0)
        board.Board(place, "b" * 64, 0)
        (tmp_path / "tensorboard" / "events.out.tfevents.1700000000.host.1.0").write_text("theirs")
        (tmp_path / "tensorboard" / "notes.gateflow-aaaaaaaaaaaaaaaa").write_text("theirs")
        board.drop(place, "a" * 64)
    left = {path.name for path in (tmp_path / "tensorboard").iterdir()}
    assert left == {
        "events.out.tfevents.1700000000.host.1.0",
        "events.out.tfevents.1700000000.host.1.0.gateflow-bbbbbbbbbbbbbbbb",
        "notes.gateflow-aaaaaaaaaaaaaaaa",
    }


def test_nothing_is_written_or_dropped_through_a_link(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "theirs").mkdir()
    name = "events.out.tfevents.1700000000.host.1.0.gateflow-aaaaaaaaaaaaaaaa"
    (tmp_path / "theirs" / name).write_text("theirs")
    (tmp_path / "run" / "tensorboard").symlink_to(tmp_path / "theirs")
    with Place(tmp_path / "run") as place:
        with pytest.raises(InvalidArgument, match="is a link"):
            board.Board(place, "a" * 64, 0)
        board.drop(place, "a" * 64)
    assert (tmp_path / "theirs" / name).read_text() == "theirs"
