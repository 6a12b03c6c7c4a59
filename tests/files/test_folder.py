"""What is said of a folder that cannot be used."""

from __future__ import annotations

import os

import pytest

from gateflow.errors import InvalidArgument
from gateflow.files import held


def _refusal(path, **options):
    refused = f"{path} is not ours: it holds {{name}}"
    with pytest.raises(InvalidArgument) as caught, held(path, "run", busy="busy", refused=refused, **options):
        pass
    return str(caught.value)


def test_a_folder_of_others_is_told_by_a_name_that_its_owner_knows(tmp_path):
    """Hidden files are named only where there are no others; braces of the path are its own."""
    folder = tmp_path / "my {0} {"
    folder.mkdir()
    for name in (".lock", ".git"):
        (folder / name).touch()
    assert _refusal(folder) == f"{folder} is not ours: it holds .git and 1 more"
    (folder / "notes.txt").touch()
    assert _refusal(folder) == f"{folder} is not ours: it holds notes.txt and 2 more"
    assert sorted(os.listdir(folder)) == [".git", ".lock", "notes.txt"]


def test_a_link_in_place_of_a_folder_is_called_one(tmp_path):
    """Also one that leads nowhere; what it leads to is left alone."""
    link, target = tmp_path / "times.nc.parts", tmp_path / "elsewhere"
    link.symlink_to(target)
    assert "is a link" in _refusal(link, follow=False)
    target.mkdir()
    assert "remove the link, or choose another name" in _refusal(link, follow=False)
    assert os.listdir(target) == []


def test_a_file_in_place_of_a_folder_is_called_one(tmp_path):
    file = tmp_path / "run"
    file.write_text("mine")
    assert "is no folder: move it" in _refusal(file)
    assert file.read_text() == "mine"
