"""Every command that writes, among files of others: refused or not, killed or not, no byte of theirs is lost."""

from __future__ import annotations

import os
import stat
from dataclasses import is_dataclass
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("h5netcdf")

import torch
from safetensors.torch import save_file

from gateflow.cli import COMMANDS, main
from gateflow.files.place import Place
from gateflow.study import kept

PROBLEM = ("--horizon", "10", "--gap", "0.1")
TINY = ("adding(horizon=5, held_out=16)", "--hidden", "2", "--batch", "2", "--steps", "2", "--evaluate-every", "2")
FRESH = ".gateflow-0123456789abcdef0123456789abcdef.part"

FILES = {
    "order": ("order", "fast", "sigmoid", "--certificate", "out.json"),
    "rank": ("rank", "fast", "sigmoid", "--certificate", "out.json"),
    "rate": ("rate", "fast", "--certificate", "out.json"),
    "check": ("check", "sigmoid", "--certificate", "out.json"),
    "flow": ("flow", "fast", *PROBLEM, "--figure", "out.svg"),
    "report": ("report", "sigmoid", "-o", "out.html"),
    "figures": ("figures", "slope", "-o", ".", "--format", "svg"),
    "results curves": ("results", "run", "--figure", "out.svg"),
    "results csv": ("results", "run", "--csv", "out.csv"),
    "timescales figure": ("timescales", "run", "--figure", "out.svg"),
    "timescales csv": ("timescales", "run", "--csv", "out.csv"),
    "sweep": ("sweep", "fast", *PROBLEM, "-o", "out.nc"),
    "predict": ("predict", "run", "--data", "../new.npz", "--csv", "out.csv"),
    "export": ("export", "run", "--to", "out.py"),
    "audit": ("audit", "../lstm.safetensors", "--figure", "out.svg"),
    "bench": ("bench", "lstm", "--shape", "2,3,1,2", "--repeats", "1", "--only", "none", "--report", "out.json"),
    "experiment show": ("experiment", "show", "../tiny.toml", "-o", "../ran", "--write", "."),
    "experiment analyse": ("experiment", "analyse", "../tiny.toml", "-o", "../ran", "--write", "."),
}
"""By name, a command that writes a file, the last word; or the first of several in a folder: see `target`."""

FOLDERS = {
    "train": ("train", *TINY, "-o", "out"),
    "trained grid": ("train", *TINY, "--seeds", "1", "--gates", "fast,sigmoid", "-o", "out"),
    "experiment run": ("experiment", "run", "../tiny.toml", "--seeds", "1", "--only", "fast", "-o", "out"),
    "study networks": ("study", "networks", "--optimizers", "adam", "--seeds", "1", "--steps", "2", "-o", "out"),
}
"""By name, a command that fills folders with runs."""

LONG = (
    "rank",
    "rate",
    "check",
    "report",
    "results curves",
    "timescales figure",
    "experiment show",
    "experiment analyse",
)
"""Commands that take long to write their file."""

EXPERIMENT = """
about = "As small as can be."
seeds = 2
[base]
task = "adding(horizon=5, held_out=16)"
hidden = 2
batch = 2
steps = 2
evaluate_every = 2
[arms."fast, matched"]
forget_gate = "fast"
[arms."gru, none"]
method = "gru"
"""


def look_alikes(folder: Path) -> None:
    """What others may have in a folder, by names that are nearly ours."""
    folder.mkdir(exist_ok=True)
    (folder.parent / "elsewhere").mkdir(exist_ok=True)
    (folder.parent / "elsewhere" / "thesis.tex").write_text("two years")
    for name in (
        *(".settings.toml.swp", ".settings.toml.x1y2z3", ".out.svg.abc123", ".lock", "lock", ".env", FRESH),
        *("00000000.npz", "results.npz", "whole.nc", "definition.json", "slope.json.bak", "out.svg~", "checkpoint.pt"),
        "new\nline",
    ):
        (folder / name).write_text(f"mine: {name}")
    os.symlink(folder.parent / "elsewhere" / "thesis.tex", folder / ".gateflow-lock")
    os.link(folder.parent / "elsewhere" / "thesis.tex", folder / "hard.tex")
    board = folder / "tensorboard"
    board.mkdir()
    for name in ("events.out.tfevents.1700000000.host.1.0", "events.out.tfevents.1700000000.host.1.0.gateflow-x"):
        (board / name).write_text("a year of curves")


def everything(root: Path) -> dict[str, tuple[int, str]]:
    """Every file, folder and link under a folder with what it holds."""
    found = {}
    for where, folders, names in os.walk(root):
        for name in [*folders, *names]:
            path = Path(where) / name
            mode = stat.S_IFMT(path.lstat().st_mode)
            held = os.readlink(path) if path.is_symlink() else path.read_bytes().hex() if stat.S_ISREG(mode) else ""
            found[str(path.relative_to(root))] = (mode, held)
    return found


def lost(before: dict[str, tuple[int, str]], root: Path) -> list[str]:
    """The names whose file has gone or changed."""
    after = everything(root)
    return [name for name, held in before.items() if after.get(name) != held]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    assert main(["train", *TINY, "-o", str(folder / "run")]) == 0
    (folder / "tiny.toml").write_text(EXPERIMENT)
    np.savez(folder / "new.npz", x=np.zeros((2, 5, 2)))
    save_file(torch.nn.LSTM(2, 4).state_dict(), folder / "lstm.safetensors")
    assert main(["experiment", "run", str(folder / "tiny.toml"), "-o", str(folder / "ran")]) == 0
    return folder / "run"


@pytest.fixture
def home(tmp_path, monkeypatch, trained):
    """A folder of others, in which commands run."""
    look_alikes(tmp_path / "home")
    monkeypatch.chdir(tmp_path / "home")
    for name in ("run", "tiny.toml", "ran", "new.npz", "lstm.safetensors"):
        os.symlink(trained.parent / name, tmp_path / "home" / name if name == "run" else tmp_path / name)
    return tmp_path


def target(command: str) -> str:
    return {"figures": "slope.svg", "experiment show": "tiny.csv", "experiment analyse": "tiny.json"}.get(
        command, FILES[command][-1]
    )


def again(command: str) -> tuple[str, ...]:
    return (*FILES[command], "--restart" if command == "sweep" else "--force")


def options(function) -> dict[str, object]:
    """The types of what a command takes, those of its groups of options among them."""
    found = {}
    for word, kind in get_type_hints(function).items():
        found |= options(kind) if is_dataclass(kind) else {word: kind}
    return found


def test_every_command_that_writes_is_tried_here():
    """Each path that a command takes is one that is read, or one that is tried here."""
    taken = {name: options(COMMANDS[name]) for name in COMMANDS}
    paths = {(name, word) for name in taken for word, kind in taken[name].items() if Path in (kind, *get_args(kind))}
    tried = {words[0] for words in (*FILES.values(), *FOLDERS.values())}
    assert {(name, word) for name, word in paths if name not in tried} == {
        ("verify", "file"),
        ("explore", "checkpoint"),
    }
    written = {word for name, word in paths if name in tried} - {"config", "data_dir", "folder", "data", "checkpoint"}
    assert written == {"certificate", "figure", "csv", "out", "results", "keep", "write", "to", "report"}
    forced = {name for name in taken if {"force", "restart"} & taken[name].keys()}
    assert forced <= tried


def refused(capsys, arguments) -> None:
    """The command is refused in one line that says why."""
    capsys.readouterr()
    code = main(arguments)
    err = capsys.readouterr().err
    assert (code, err.count("\n")) == (2, 1), (arguments, code, err)


@pytest.mark.parametrize("command", FILES)
@pytest.mark.sampled(4)
def test_a_file_of_others_is_replaced_only_with_force_and_as_a_file(command, home, capsys):
    name = target(command)
    (home / "other name").write_text("mine")
    os.link(home / "other name", name)  # the bytes live on under the other name
    before = everything(home)
    refused(capsys, FILES[command])
    assert everything(home) == before
    if command in LONG:  # the others share all with them
        return
    if command == "sweep":
        refused(capsys, again(command))
        assert everything(home) == before
        return
    assert main(again(command)) == 0
    assert lost(before, home) == [f"home/{name}"]
    assert (home / "other name").read_text() == "mine"
    assert main(FILES[command]) == 0  # what is ours is replaced


@pytest.mark.parametrize("command", FILES)
@pytest.mark.sampled(2)
def test_links_folders_and_pipes_are_never_replaced(command, home, capsys):
    path = Path(target(command))
    kinds = {
        "link": lambda: os.symlink(home / "elsewhere" / "thesis.tex", path),
        "dangling": lambda: os.symlink(home / "nowhere", path),
        "folder": lambda: path.mkdir(),
        "pipe": lambda: os.mkfifo(path),
    }
    for kind, make in kinds.items():
        make()
        before = everything(home)
        for arguments in (FILES[command], again(command)):
            refused(capsys, arguments)
            assert everything(home) == before, kind
        path.rmdir() if kind == "folder" else path.unlink()


@pytest.mark.parametrize(
    ("command", "second"),
    [
        (("results", "run", "--figure", "a.svg", "--csv", "b.csv"), "b.csv"),
        (("timescales", "run", "--figure", "a.svg", "--csv", "b.csv"), "b.csv"),
        (FILES["experiment show"], "tiny.svg"),
        (FILES["experiment analyse"], "tiny-arrivals.svg"),
        (FILES["figures"], "slope.csv"),
        (FILES["export"], "out.safetensors"),
    ],
)
@pytest.mark.sampled(2)
def test_of_several_files_none_is_written_where_one_may_not_be(command, second, home, capsys):
    Path(second).write_text("mine")
    before = everything(home)
    refused(capsys, command)
    assert everything(home) == before


@pytest.mark.parametrize(
    ("command", "restart"),
    [*((name, ()) for name in FOLDERS), ("train", ["--restart"]), ("trained grid", ["--restart"])],
)
def test_a_folder_of_others_in_the_place_of_a_run_is_left_alone(command, restart, home, capsys):
    """Wherever a command of this kind puts a run."""
    assert main(list(FOLDERS[command])) == 0
    places = [path.parent for path in Path("out").rglob("result.json")]
    assert places
    for place in places:
        for path in place.iterdir():
            path.unlink()
        place.rmdir()
        look_alikes(place)
        (place / "settings.toml").write_text(RUN)
        (place / "result.json").write_text("{}")
    before = everything(home)
    capsys.readouterr()
    assert main([*FOLDERS[command], *restart]) == 2
    assert "is not the folder of a run" in capsys.readouterr().err
    assert lost(before, home) == []


def test_a_store_of_others_is_left_alone(home, capsys):
    store = Path("store/tiny")
    store.parent.mkdir()
    look_alikes(store)
    for name in ("fast-matched.jsonl", "gru-none.jsonl"):
        (store / name).write_text("mine\n")
    before = everything(home)
    words = ["experiment", "run", "../tiny.toml", "-o", "../ran", "--keep", "store"]
    refused(capsys, words)
    assert lost(before, home) == []
    for name in ("fast-matched.jsonl", "gru-none.jsonl"):
        (store / name).unlink()
        (store / name).symlink_to(home / "elsewhere" / "thesis.tex")
    before = everything(home)
    refused(capsys, words)
    assert lost(before, home) == []


def test_an_output_makes_no_folders_on_the_way(home, capsys):
    before = everything(home)
    for command in ("flow", "order", "results csv", "timescales figure"):
        *words, name = FILES[command]
        refused(capsys, [*words, f"new/deep/{name}"])
        refused(capsys, [*words, f"{FRESH}/{name}"])
    assert everything(home) == before


RUN = 'task = "adding(horizon=5, held_out=16)"\nhidden = 2\nbatch = 2\nsteps = 2\nevaluate_every = 2\n'


@pytest.mark.parametrize("restart", [(), ("--restart",)])
@pytest.mark.parametrize("settings", [RUN, "task = 'adding'\n", "x = 1\n", "not toml", None])
def test_a_folder_without_our_marker_is_left_alone(settings, restart, home, capsys):
    folder = home / "mine"
    look_alikes(folder)
    (folder / "result.json").write_text("{}")
    if settings is not None:
        (folder / "settings.toml").write_text(settings)
    before = everything(home)
    refused(capsys, ["train", *TINY, "-o", str(folder), *restart])
    refused(capsys, ["train", *TINY, "-o", str(folder / ".env"), *restart])
    refused(capsys, ["train", *TINY, "-o", str(folder / ".gateflow-lock"), *restart])
    assert everything(home) == before


@pytest.mark.parametrize("spoilt", ["edited", "newer", "marker", "copied marker"])
def test_a_run_that_does_not_prove_to_be_one_is_not_dropped(spoilt, home, capsys):
    folder = home / "ours"
    assert main(["train", *TINY, "-o", str(folder)]) == 0
    if spoilt == "edited":
        (folder / "settings.toml").write_text((folder / "settings.toml").read_text() + "# my notes\n")
    elif spoilt == "newer":
        (folder / "settings.toml").write_text((folder / "settings.toml").read_text() + "colour = 3\n")
    elif spoilt == "marker":
        (folder / ".gateflow").write_text((folder / ".gateflow").read_text().replace('"run"', '"fun"'))
    else:
        marker = (folder / ".gateflow").read_bytes()
        folder = home / "theirs"
        look_alikes(folder)
        (folder / "settings.toml").write_text("task = 'adding'")
        (folder / "result.json").write_text("precious")
        (folder / ".gateflow").write_bytes(marker)
    before = everything(home)
    refused(capsys, ["train", *TINY, "-o", str(folder), "--restart", "--seed", "1"])
    after = everything(home)
    after.pop(f"{folder.name}/.gateflow-lock", None)
    before.pop(f"{folder.name}/.gateflow-lock", None)
    assert after == before


def test_a_dropped_run_takes_nothing_of_others_with_it(home):
    folder = home / "ours"
    assert main(["train", *TINY, "-o", str(folder)]) == 0
    look_alikes_in = {name: f"mine: {name}" for name in (".settings.toml.swp", "notes.txt", ".lock", "a.npz", FRESH)}
    for name, text in look_alikes_in.items():
        (folder / name).write_text(text)
    (folder / "tensorboard").mkdir(exist_ok=True)
    (folder / "tensorboard" / "events.out.tfevents.1700000000.host.1.0").write_text("a year of curves")
    ours = {f"ours/{path.name}" for path in folder.iterdir()} - {f"ours/{name}" for name in look_alikes_in}
    before = everything(home)
    assert main(["train", *TINY, "-o", str(folder), "--restart", "--seed", "1"]) == 0
    assert set(lost(before, home)) <= ours - {"ours/tensorboard"}


@pytest.mark.parametrize("restart", [(), ("--restart",)])
@pytest.mark.parametrize("kind", ["folder", "link", "file"])
def test_a_parts_folder_of_others_is_left_alone(kind, restart, home, capsys):
    parts = home / "home" / "t.nc.parts"
    if kind == "file":
        parts.write_text("mine")
    else:
        look_alikes(home / "theirs")
        (home / "theirs").rename(parts) if kind == "folder" else parts.symlink_to(home / "theirs")
    before = everything(home)
    refused(capsys, ["sweep", "fast", *PROBLEM, "-o", "t.nc", *restart])
    assert everything(home) == before


def test_a_sweep_that_ends_takes_nothing_of_others_with_it(home, monkeypatch):
    from gateflow.sweeps import Sweep

    genuine = Sweep.values

    def interrupted(self, k):
        if k:
            raise KeyboardInterrupt
        return genuine(self, k)

    words = ["sweep", "fast", "--horizon", "10", "--gap", "0.1,0.2", "--chunk", "1", "-o", "t.nc"]
    with monkeypatch.context() as patch:
        patch.setattr(Sweep, "values", interrupted)
        assert main(words) == 130
    for name in (".env", "lock", "whole.nc", "results.npz", "99999999.npz", FRESH):
        (home / "home" / "t.nc.parts" / name).write_text("mine")
    before = everything(home / "home" / "t.nc.parts")
    assert main(words) == 0
    assert set(lost(before, home / "home" / "t.nc.parts")) == {".gateflow", ".gateflow-lock", "00000000.npz"}


def test_a_kept_result_of_others_is_left_alone(home, capsys):
    (home / "home" / "memory.json").write_text("mine")
    before = everything(home)
    refused(capsys, ["figures", "agreement", "--retrain", "--results", "."])
    assert everything(home) == before
    assert "memory" in kept.KEPT


def killed_at_rename(arguments) -> None:
    """The command in a process of its own that ends as by a kill where its file would take its name."""
    child = os.fork()
    if not child:
        Place._put = lambda *_: os._exit(9)  # type: ignore[method-assign]
        main(list(arguments))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("command", ["flow", "figures", "order", "train", "sweep", "experiment analyse"])
@pytest.mark.sampled(3)
def test_killed_at_the_rename_nothing_is_lost_and_nothing_stays_for_ever(command, home):
    train = ("train", *TINY, "-o", "new-run")
    arguments = train if command == "train" else FILES[command]
    before = everything(home)
    killed_at_rename(arguments)
    assert lost(before, home) == []
    left = set(everything(home)) - set(before)
    assert any(name.endswith(".part") for name in left)
    assert main(list(arguments)) == 0
    assert lost(before, home) == []
    assert not [name for name in set(everything(home)) - set(before) if name.endswith(".part")]
