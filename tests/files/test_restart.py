"""What --restart, --force and more --steps may refuse is refused before anything of what is there is changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")
pytest.importorskip("h5netcdf")

from gateflow.cli import main
from gateflow.sweeps import Sweep
from gateflow.training import board
from gateflow.training import checkpoint as checkpoints
from gateflow.training.folder import FILES
from gateflow.training.tasks.adding import Adding
from tests.files.test_foreign import TINY, everything

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and pipes")

OTHERS: dict[str, Callable[[Path], object]] = {
    "link": lambda path: path.symlink_to(path.parent.parent / "theirs" / path.name),
    "dead link": lambda path: path.symlink_to("nowhere"),
    "loop": lambda path: path.symlink_to(path.name),
    "folder": lambda path: path.mkdir(),
    "full folder": lambda path: (path.mkdir(), (path / "mine").write_text("mine")),
    "pipe": os.mkfifo,
}
"""What may stand in the place of a file, by name; a link leads to the file that stood there."""

CALLS = {
    "restart": (*TINY, "--restart"),
    "restart, other": (*TINY, "--seed", "1", "--restart"),
    "longer": (*TINY[:-4], "--steps", "4", *TINY[-2:]),
    "grid": (*TINY, "--seeds", "1", "--gates", "fast", "--seed", "1", "--restart"),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ran")
    assert main(["train", *TINY, "-o", str(folder / "out")]) == 0
    assert main(["train", *TINY, "--seeds", "1", "--gates", "fast", "-o", str(folder / "grid")]) == 0
    return folder


def swapped(file: Path, kind: str, theirs: Path) -> None:
    """Put something else in the place of a file, which goes to ``theirs``."""
    theirs.mkdir()
    if file.exists():
        file.rename(theirs / file.name)
    OTHERS[kind](file)


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("call", CALLS)
def test_a_run_is_whole_or_wholly_replaced(call: str, kind: str, ran: Path, tmp_path: Path, capsys) -> None:
    for name in (*FILES, ".gateflow", ".gateflow-lock"):
        home = tmp_path / name
        home.mkdir()
        run = Path(shutil.copytree(ran / "grid" / "fast" / "seed-0" if call == "grid" else ran / "out", home / "run"))
        out = run
        if call == "grid":  # that of the run is the seed
            out = home / "grid"
            (out / "fast").mkdir(parents=True)
            run = run.rename(out / "fast" / "seed-1")
        swapped(run / name, kind, run.parent / "theirs")
        before = everything(home)
        capsys.readouterr()
        code = main(["train", *CALLS[call], "-o", str(out)])
        err = capsys.readouterr().err
        after = everything(home)
        if code == 0:  # the run was taken as it is
            assert after == before, name
        else:
            assert (code, after) == (2, before), (name, err)
            assert err.count("\n") == 1, err


def test_a_run_that_cannot_begin_does_not_drop_another(ran: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    run = Path(shutil.copytree(ran / "out", tmp_path / "run"))
    assert main(["train", *TINY, "--hidden", "3", "-o", str(tmp_path / "start")]) == 0
    before = everything(run)

    def refused(*words: str) -> None:
        capsys.readouterr()
        assert main(["train", *TINY, *words, "-o", str(run)]) == 2
        assert everything(run) == before

    refused("--seed", "1", "--restart", "--from", str(tmp_path / "start"))  # of other shapes
    with monkeypatch.context() as patch:
        patch.setattr(Adding, "fingerprint", lambda _: {"other": "data"})
        refused("--steps", "4")
    with monkeypatch.context() as patch:
        batch = Adding.batch

        def none_to_test(self, split, *rest):
            if split == "test":
                raise IndexError
            return batch(self, split, *rest)

        patch.setattr(Adding, "batch", none_to_test)
        refused("--seed", "1", "--restart")
    (run / "checkpoint.safetensors").write_bytes(b"damaged")
    (run / "checkpoint.previous.safetensors").unlink()
    before = everything(run)
    refused("--steps", "4")


LOST = {
    "settings, other": (("settings.toml",), ("--seed", "9"), "settings.toml of the run in {run} is missing"),
    "settings, same": (("settings.toml",), (), "settings.toml of the run in {run} is missing"),
    "settings, weights": (("settings.toml", "result.json"), (), "settings.toml of the run in {run} is missing"),
    "settings, unfinished": (
        ("settings.toml", "result.json", "weights.safetensors"),
        ("--seed", "9"),
        "settings.toml of the run in {run} is missing",
    ),
    "checkpoints": (
        ("checkpoint.safetensors", "checkpoint.previous.safetensors"),
        ("--steps", "4"),
        "there is no checkpoint in {run} from which its run of 2 steps could go on",
    ),
    "checkpoints, result": (
        ("checkpoint.safetensors", "checkpoint.previous.safetensors", "result.json"),
        ("--steps", "4"),
        "there is no checkpoint in {run} from which its run of 2 steps could go on",
    ),
}
"""What was deleted from a run, the words of a command in its folder, and what is said of it."""


@pytest.mark.parametrize("case", LOST)
def test_a_run_that_has_lost_a_file_is_replaced_by_restart_alone(case: str, ran: Path, tmp_path: Path, capsys) -> None:
    names, words, said = LOST[case]
    run, fresh = Path(shutil.copytree(ran / "out", tmp_path / "run")), tmp_path / "fresh"
    for name in names:
        (run / name).unlink()
    before = everything(run)
    capsys.readouterr()
    assert main(["train", *TINY, *words, "-o", str(run)]) == 2
    err = capsys.readouterr().err
    assert everything(run) == before
    assert said.format(run=run) in err
    assert "--restart" in err
    assert err.count("\n") == 1
    assert main(["train", *TINY, *words, "--restart", "-o", str(run)]) == 0
    assert main(["train", *TINY, *words, "-o", str(fresh)]) == 0
    anew, wanted = (each / "weights.safetensors" for each in (run, fresh))
    assert anew.read_bytes() == wanted.read_bytes()


def test_a_run_without_checkpoints_that_has_not_ended_begins_with_more_steps(ran: Path, tmp_path: Path) -> None:
    """As a kill before the first checkpoint leaves it: there is nothing to lose."""
    run = Path(shutil.copytree(ran / "out", tmp_path / "run"))
    for path in run.iterdir():
        if path.name not in (".gateflow", ".gateflow-lock", "settings.toml", "sources.json"):
            path.unlink()
    assert main(["train", *CALLS["longer"], "-o", str(run)]) == 0
    assert (run / "result.json").exists()


def test_a_run_that_was_tried_out_is_the_same_run(ran: Path, tmp_path: Path) -> None:
    """Trying out takes no draw from the run: dropped or fresh, longer or not, its weights are the same."""
    dropped, fresh, lengthened, whole = (tmp_path / name for name in ("dropped", "fresh", "lengthened", "whole"))
    shutil.copytree(ran / "out", dropped)
    shutil.copytree(ran / "out", lengthened)
    assert main(["train", *TINY, "--seed", "1", "--restart", "-o", str(dropped)]) == 0
    assert main(["train", *TINY, "--seed", "1", "-o", str(fresh)]) == 0
    assert main(["train", *CALLS["longer"], "-o", str(lengthened)]) == 0
    assert main(["train", *CALLS["longer"], "-o", str(whole)]) == 0
    for one, other in ((dropped, fresh), (lengthened, whole)):
        first, second = (checkpoints.read(each / "weights.safetensors").tensors for each in (one, other))
        assert first.keys() == second.keys()
        assert all((first[name] == second[name]).all() for name in first)


@pytest.mark.parametrize("kind", [kind for kind in OTHERS if "folder" not in kind])
def test_a_board_that_cannot_be_written_is_refused_first(
    kind: str, ran: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    def installed(name: str) -> object:
        return SimpleNamespace() if name == "tensorboard" else None

    monkeypatch.setattr(board, "find_spec", installed)
    run = Path(shutil.copytree(ran / "out", tmp_path / "run"))
    (tmp_path / "theirs" / "tensorboard").mkdir(parents=True)
    OTHERS[kind](run / "tensorboard")
    before = everything(tmp_path)
    for words in (("--seed", "1", "--restart"), ("--steps", "4")):
        assert main(["train", *TINY, *words, "-o", str(run)]) == 2
        assert everything(tmp_path) == before


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("words", [("--gap", "0.2,0.3", "--restart"), ("--gap", "0.1,0.2")])
def test_the_parts_of_a_sweep_are_kept_or_wholly_replaced(words, kind, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    genuine = Sweep.values

    def interrupted(self, k):
        if k == 2:
            raise KeyboardInterrupt
        return genuine(self, k)

    begun = ["sweep", "fast", "--horizon", "10,20", "--chunk", "1", "-o", "t.nc"]
    with monkeypatch.context() as patch:
        patch.setattr(Sweep, "values", interrupted)
        assert main([*begun, "--gap", "0.1,0.2"]) == 130
    parts = tmp_path / "t.nc.parts"
    assert (parts / "00000001.npz").exists()
    for name in ("00000000.npz", "00000001.npz", "00000003.npz", ".gateflow", ".gateflow-lock"):
        kept = Path(shutil.copytree(parts, tmp_path / "kept"))
        swapped(parts / name, kind, tmp_path / "theirs")
        before = everything(parts)
        capsys.readouterr()
        code = main([*begun, *words])
        assert (code, everything(parts)) == (2, before), name
        assert capsys.readouterr().err.count("\n") == 1
        shutil.rmtree(parts)
        shutil.rmtree(tmp_path / "theirs")
        kept.rename(parts)
    assert main([*begun, *words]) == 0
    (tmp_path / "t.nc").unlink()
    (tmp_path / "theirs").mkdir()
    OTHERS[kind](tmp_path / "t.nc")
    before = everything(tmp_path)
    assert main([*begun, *words]) == 2
    assert everything(tmp_path) == before


@pytest.mark.parametrize("kind", OTHERS)
def test_no_figure_is_written_where_one_cannot_be(kind: str, tmp_path: Path) -> None:
    for name in ("slope.svg", "slope.csv", "slope.txt", "slope.json"):
        home = tmp_path / name / "out"
        home.mkdir(parents=True)
        (home / "barrier.svg").write_text("mine")
        (home.parent / "theirs").mkdir()
        OTHERS[kind](home / name)
        before = everything(home)
        assert main(["figures", "barrier", "slope", "--format", "svg", "-o", str(home), "--force"]) == 2
        assert everything(home) == before
