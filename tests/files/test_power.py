"""A power cut at any moment loses no checkpoint that was finished.

A layer under the trainer's files records what is written, flushed, named and renamed. For each prefix of that record it
builds what a disk may hold after a power cut: what was flushed is there; what was not may be there, or be gone, or be a
file of the right length with nothing in it. Names are on the disk once their folder was flushed; until then each step
since may have been kept or lost, in their order.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from gateflow.files import Place
from gateflow.training import checkpoint as checkpoints
from gateflow.training import train
from gateflow.training.checkpoint import Checkpoint

pytestmark = pytest.mark.skipif(os.open not in os.supports_dir_fd, reason="looks at calls that name open folders")


class Disk:
    """Records what a program asks of the files in one folder.

    ``content`` of a file is what was written to it so far; a step is a change of names or a flush.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.steps: list[tuple] = []
        for name in ("fsync", "replace", "link", "unlink", "open"):
            monkeypatch.setattr(os, name, getattr(self, name)(getattr(os, name)))

    def _ours(self, fd: int | None) -> bool:
        return fd is not None and os.path.realpath(f"/proc/self/fd/{fd}") == str(self.folder)

    def open(self, genuine):
        def opened(path, flags, mode=0o777, *, dir_fd=None):
            fresh = self._ours(dir_fd) and not os.access(path, os.F_OK, dir_fd=dir_fd)
            handle = genuine(path, flags, mode, dir_fd=dir_fd)
            if fresh and flags & os.O_CREAT:
                self.steps.append(("name", str(path), os.fstat(handle).st_ino))
            return handle

        return opened

    def fsync(self, genuine):
        def flushed(fd):
            found = os.fstat(fd)
            if self._ours(fd):
                self.steps.append(("names",))
            else:
                path = f"/proc/self/fd/{fd}"
                self.steps.append(("content", found.st_ino, Path(path).read_bytes()))

        return flushed

    def replace(self, genuine):
        def renamed(old, new, *, src_dir_fd=None, dst_dir_fd=None):
            genuine(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
            if self._ours(dst_dir_fd):
                self.steps.append(("rename", old, new))

        return renamed

    def link(self, genuine):
        def linked(old, new, **more):
            genuine(old, new, **more)
            if self._ours(more.get("dst_dir_fd")):
                self.steps.append(("link", old, new))

        return linked

    def unlink(self, genuine):
        def removed(path, *, dir_fd=None):
            genuine(path, dir_fd=dir_fd)
            if self._ours(dir_fd):
                self.steps.append(("unlink", path))

        return removed

    def after_a_cut(self, at: int):
        """What the folder may hold after the first ``at`` steps, as names to bytes; the sure and the unlucky cases."""
        flushed = max((k + 1 for k, step in enumerate(self.steps[:at]) if step[0] == "names"), default=0)
        changes = [k for k in range(flushed, at) if self.steps[k][0] not in ("names", "content")]
        for kept in range(len(changes) + 1):
            until = flushed if kept == 0 else changes[kept - 1] + 1
            names: dict[str, int] = {}
            for step in self.steps[:until]:
                _renamed(names, step)
            content = {step[1]: step[2] for step in self.steps[:at] if step[0] == "content"}
            yield {name: content.get(inode, b"") for name, inode in names.items()}


def _renamed(names: dict[str, int], step: tuple) -> None:
    if step[0] == "name":
        names[step[1]] = step[2]
    elif step[0] == "rename" and step[1] in names:
        names[step[2]] = names.pop(step[1]) if names.get(step[2]) != names[step[1]] else names[step[1]]
    elif step[0] == "link" and step[1] in names:
        names[step[2]] = names[step[1]]
    elif step[0] == "unlink":
        names.pop(step[1], None)


def restored(held: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir()
    for name, data in held.items():
        (folder / name).write_bytes(data)
    return folder


def test_checkpoints_written_one_after_another_survive_a_cut_at_any_moment(tmp_path, monkeypatch):
    folder, finished = tmp_path / "run", []
    folder.mkdir()
    with monkeypatch.context() as patch, Place(folder) as place:
        disk = Disk(folder, patch)
        for step in range(4):
            state = Checkpoint({"step": step}, {"w": torch.full((3,), float(step))})
            checkpoints.write(place, "checkpoint.safetensors", state)
            finished.append(len(disk.steps))
    cases = 0
    for at in range(len(disk.steps) + 1):
        done = sum(at >= end for end in finished) - 1  # the last one whose writing had come back
        for held in disk.after_a_cut(at):
            cases += 1
            path = restored(held, tmp_path / f"cut-{cases}") / "checkpoint.safetensors"
            if done < 0:
                continue
            state, _ = checkpoints.latest(path)
            assert state is not None
            assert state.facts["step"] >= done
            assert float(state.tensors["w"][0]) == state.facts["step"]
    assert cases > 40


def test_a_run_goes_on_after_a_cut_at_any_moment(tmp_path, monkeypatch):
    settings = {"hidden": 2, "batch": 2, "steps": 6, "evaluate_every": 3, "log_every": 2, "save_every": 0.0}
    asked = iter(range(4))
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        disk = Disk(folder, patch)
        train("adding(horizon=5, held_out=16)", out=folder, stop=lambda: next(asked) == 3, **settings)
    whole = train("adding(horizon=5, held_out=16)", out=tmp_path / "whole", **settings)
    last = [k for k, step in enumerate(disk.steps) if step[0] == "rename" and step[2] == "checkpoint.safetensors"]
    for number, at in enumerate([last[1] - 2, last[1], last[1] + 1, last[2], len(disk.steps)]):
        for k, held in enumerate(disk.after_a_cut(at)):
            place = restored(held, tmp_path / f"cut-{number}-{k}")
            again = train("adding(horizon=5, held_out=16)", out=place, **settings)
            assert again.status == "finished"
            assert (again.valid, again.test, again.metrics) == (whole.valid, whole.test, whole.metrics)


def test_an_output_is_flushed_before_it_takes_its_name_and_its_folder_after(tmp_path, monkeypatch):
    from gateflow.files import Output

    (tmp_path / "out").mkdir()
    file = tmp_path / "out" / "a.csv"
    Output(file).write("old")
    with monkeypatch.context() as patch:
        disk = Disk(tmp_path / "out", patch)
        Output(file, force=True).write("new")
    kinds = [step[0] for step in disk.steps]
    assert kinds == ["name", "content", "rename", "names"]
    assert disk.steps[1][2] == b"new"


def test_the_emulated_disk_catches_a_writer_that_moves_the_old_file_away_first(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    with monkeypatch.context() as patch, Place(folder) as place:
        disk = Disk(folder, patch)
        place.write("a", b"1")
        end = len(disk.steps)
        place.rename("a", "previous")
        place.write("a", b"2", lasting=False)
    held = [case for at in range(end, len(disk.steps) + 1) for case in disk.after_a_cut(at)]
    assert any(b"1" not in case.values() or case.get("a") == b"" for case in held)
