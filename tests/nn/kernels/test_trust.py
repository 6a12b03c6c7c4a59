"""Outcomes of trials are kept where nobody else can write, and tried anew where they may be another's."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateflow.nn.kernels import trust


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("GATEFLOW_CACHE", str(folder))
    monkeypatch.setattr(trust, "_known", {})
    return folder


def tries(off: float = 1e-7, made_of: tuple[str, ...] = ("source",)) -> tuple[int, str | None]:
    """How often a kernel was run by a new process that asks twice, and what it was told."""
    runs = []
    trust._known.clear()

    def measure() -> float:
        runs.append(off)
        return off

    for _ in range(2):
        reason = trust.reason_against("a kernel", made_of, 1e-5, measure)
    return len(runs), reason


def test_an_outcome_is_kept_for_what_decides_it(cache: Path) -> None:
    assert tries() == (1, None)
    assert tries() == (0, None)
    assert tries(made_of=("another source",)) == (1, None)
    assert len(list(cache.iterdir())) == 2


def test_what_was_found_wrong_stays_so(cache: Path) -> None:
    said = "a kernel is off its reference on this machine by 0.2, where 1e-05 is allowed"
    assert tries(0.2) == (1, said)
    assert tries() == (0, said)


@pytest.mark.parametrize("off", [float("nan"), float("inf")])
def test_no_number_is_wrong(cache: Path, off: float) -> None:
    count, reason = tries(off)
    assert count == 1
    assert reason is not None


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:9]),
    "empty": lambda file: file.write_bytes(b""),
    "no object": lambda file: file.write_bytes(b"[0.0]"),
    "no number": lambda file: file.write_text(json.dumps({"error": "0"}), encoding="utf-8"),
    "true for a number": lambda file: file.write_text(json.dumps({"error": True}), encoding="utf-8"),
    "below zero": lambda file: file.write_text(json.dumps({"error": -1.0}), encoding="utf-8"),
    "long": lambda file: file.write_bytes(file.read_bytes() + b" " * (1 << 20)),
    "deep": lambda file: file.write_bytes(b"[" * 60000),
    "others may write it": lambda file: file.chmod(0o666),
    "others may write the folder": lambda file: file.parent.chmod(0o777),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_or_may_be_anothers_is_tried_anew(cache: Path, damage: str) -> None:
    tries()
    (file,) = cache.iterdir()
    DAMAGE[damage](file)
    assert tries() == (1, None)


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_link_or_a_pipe_is_not_followed(cache: Path, tmp_path: Path) -> None:
    tries()
    (file,) = cache.iterdir()
    elsewhere = file.rename(tmp_path / "elsewhere")
    file.symlink_to(elsewhere)
    assert tries() == (1, None)
    assert file.is_symlink()
    file.unlink()
    os.mkfifo(file)
    assert tries() == (1, None)


def test_only_its_user_may_write_what_is_kept(cache: Path) -> None:
    before = os.umask(0)
    try:
        tries()
    finally:
        os.umask(before)
    (file,) = cache.iterdir()
    assert not file.stat().st_mode & 0o077 or os.name != "posix"
    assert tries() == (0, None)


def test_without_a_cache_each_process_tries(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "file").touch()
    monkeypatch.setenv("GATEFLOW_CACHE", str(cache / "file" / "folder"))
    assert tries() == (1, None)
    assert tries() == (1, None)
