"""Help: every verb explains itself, and what it shows as an example works."""

import inspect
import json
import math
import shlex

import pytest

from gateflow import __version__, cli
from gateflow.cli import COMMANDS, examples
from gateflow.cli._usage import parameters
from gateflow.registry import Registry


def words(text):
    return " ".join(text.split())


LONG = (
    "-o two.html",
    "bench step",
    "z**3/10",
    "--starts 20 150",
    "--gaps 1e-10 1e-100",
    "cost --reduced",
    "figures learning",
    "figures gates",
    "noise sigmoid",
    "--optimizer momentum --lr 1e-4",
    "--lr-range",
    "--horizon 10 --gates fast,sigmoid --seeds 2",
    "plane shared",
    "plane noisy",
    "study memory",
    "study networks",
    "--timescales 100 1000",
)
"""Parts of the examples that run if slow; each verb has others."""


def is_long(line):
    return any(part in line for part in LONG)


HAVE_LONG = [name for name in COMMANDS if any(map(is_long, examples(COMMANDS[name])))]


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        *(pytest.param(name, lambda line: not is_long(line), id=name) for name in COMMANDS),
        *(pytest.param(name, str, id=f"{name}, all", marks=pytest.mark.slow) for name in HAVE_LONG),
    ],
)
@pytest.mark.sampled(3)
def test_the_examples_shown_in_help_run_one_after_the_other(name, chosen, gateflow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    header = b'{"nu_log": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'  # no command writes a checkpoint
    (tmp_path / "sharded").mkdir()
    for file in ("model.safetensors", "sharded/model-00001-of-00001.safetensors"):
        (tmp_path / file).write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    index = {"weight_map": dict.fromkeys(json.loads(header), "model-00001-of-00001.safetensors")}
    (tmp_path / "sharded/model.safetensors.index.json").write_text(json.dumps(index))
    waves = [(n % 2, *(f"{math.sin((1 + n % 2) * t / 3 + n):.3f}" for t in range(9))) for n in range(30)]
    (tmp_path / "waves.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in waves))
    (tmp_path / "book.txt").write_text("The gate opens, and the gate shuts.\n" * 30)
    for line in filter(chosen, examples(COMMANDS[name])):
        arguments = shlex.split(line, comments=True)[1:]
        code, out, err = gateflow(*arguments)
        assert (code, err) == (3 if line.endswith("# exit code 3") else 0, ""), line
        assert out.strip()
        if "--json" in arguments:
            assert json.loads(out)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_verb_has_help_with_examples_and_json(name, gateflow):
    code, out, err = gateflow(name, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: gateflow {name}")
    assert "Print the answer as JSON" in words(out)
    assert "json" in parameters(COMMANDS[name])
    shown = [line.strip() for line in out.partition("Examples:")[2].splitlines() if line.strip()]
    assert shown == examples(COMMANDS[name])
    assert sum(line.startswith(f"gateflow {name} ") or line == f"gateflow {name}" for line in shown) >= 2
    assert any("--json" in line for line in shown)


def test_the_top_help_lists_every_verb_with_its_first_line(gateflow):
    code, out, _ = gateflow("--help")
    assert code == 0
    for name in COMMANDS:
        first = inspect.getdoc(COMMANDS.module(name)).partition("\n")[0]
        assert f"{name} {words(first)}" in words(out)


def test_every_verb_stands_under_one_heading(gateflow):
    listed = [name for names in cli.HEADINGS.values() for name in names]
    assert sorted(listed) == sorted(COMMANDS)
    lines = gateflow("--help").out.splitlines()
    places = [lines.index(heading) for heading in cli.HEADINGS]
    assert places == sorted(places)
    assert cli.OTHERS not in lines


def test_no_arguments_show_the_help(gateflow):
    assert gateflow() == gateflow("--help")


def test_help_is_a_word_too(gateflow):
    assert gateflow("help") == gateflow("--help")
    assert gateflow("help", "time") == gateflow("time", "--help")


def test_version(gateflow):
    assert gateflow("--version") == (0, f"{__version__}\n", "")


def test_a_verb_is_added_by_one_file(gateflow, tmp_path, monkeypatch):
    (tmp_path / "greet_me.py").write_text(
        'def run(name: str, /, *, json: bool = False):\n    """Greet.\n\n    Examples\n    --------\n'
        '    $ gateflow greet-me Ann\n    """\n    print("hello", name)\n'
    )
    monkeypatch.setattr(cli, "__path__", [*cli.__path__, str(tmp_path)])
    monkeypatch.setattr(cli, "COMMANDS", Registry("command", "gateflow.cli", "run"))
    assert gateflow("greet-me", "Ann") == (0, "hello Ann\n", "")
    assert "gateflow greet-me Ann" in gateflow("greet-me", "--help").out
    assert "greet-me" in gateflow("--help").out.partition(cli.OTHERS)[2]


def test_a_broken_verb_of_another_package_breaks_itself_only(gateflow, tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("1/0\n")
    monkeypatch.setattr(cli, "__path__", [*cli.__path__, str(tmp_path)])
    monkeypatch.setattr(cli, "COMMANDS", Registry("command", "gateflow.cli", "run"))
    assert gateflow("gates").code == 0
    assert gateflow("--help").code == 0
    assert gateflow("broken").code == 1
