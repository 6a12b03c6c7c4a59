"""Pipes, terminals, narrow terminals, colour, interruption."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest

from gateflow.__main__ import run

COMMAND = [sys.executable, "-m", "gateflow"]

SHOWN = {
    "help": ["time", "--help"],
    "gates": ["gates"],
    "show": ["show", "fast"],
    "time": ["time", "fast", "--horizon", "10", "--gap", "0.1"],
    "flow": ["flow", "fast", "--horizon", "10", "--gap", "0.1"],
    "figures": ["figures", "--list"],
    "doctor": ["doctor"],
}


def environment(**changes):
    kept = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    return kept | {"TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(sys.path)} | changes


def on_a_terminal(arguments, **changes):
    """What the command writes to a terminal of its own."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([*COMMAND, *arguments], stdout=follower, stderr=follower, env=environment(**changes))
    os.close(follower)
    written = b""
    try:
        while part := os.read(leader, 65536):
            written += part
    except OSError:  # Linux says so when the other end closes
        pass
    os.close(leader)
    process.wait(180)
    return written.decode()


@pytest.mark.parametrize("width", [60, 40])
@pytest.mark.parametrize("what", SHOWN)
@pytest.mark.sampled(2)
def test_lines_fit_the_width_and_no_number_is_cut(what, width, gateflow, monkeypatch):
    wide = gateflow(*SHOWN[what]).out
    monkeypatch.setenv("COLUMNS", str(width))
    narrow = gateflow(*SHOWN[what]).out.partition("Examples:")[0]  # a command to copy is never folded
    assert max(map(len, narrow.rstrip().splitlines())) <= width
    if what == "gates":  # its last column is cut: show and --json have it in full
        return
    numbers = re.compile(r"(?<![\w.])-?\d+\.\d{3,}(?:e[+-]\d+)?\b")
    assert sorted(numbers.findall(wide)) == sorted(numbers.findall(narrow))


@pytest.mark.parametrize("what", SHOWN)
def test_a_pipe_gets_no_colour_and_no_trailing_blanks(what, gateflow):
    out = gateflow(*SHOWN[what]).out
    assert "\x1b" not in out
    if what != "help":
        assert all(line == line.rstrip() for line in out.splitlines())


def test_in_a_pipe_a_gate_is_a_line(gateflow):
    heading, *lines = gateflow("gates").out.splitlines()
    assert heading.split() == ["name", "formula", "odd", "source"]
    assert len(lines) == len(json.loads(gateflow("gates", "--json").out)["gates"])


def test_a_terminal_gets_bold_and_a_sketch():
    shown = on_a_terminal(["show", "fast", "--z", "1"], PYTHONIOENCODING="utf-8")
    assert "\x1b[1m" in shown
    assert re.search("[\u2801-\u28ff]", shown)


def test_no_color_and_dumb_terminals_are_obeyed():
    assert not re.search(r"\x1b\[[\d;]*3[0-8]", on_a_terminal(["--help"], NO_COLOR="1"))
    assert "\x1b" not in on_a_terminal(["--help"], TERM="dumb")


def test_a_reader_that_leaves_is_no_error():
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, "gates", "--json"], env=environment(), **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(180) == 0


@pytest.mark.usefixtures("hears_ctrl_c")
def test_ctrl_c_ends_with_130_and_leaves_nothing_half_written(tmp_path):
    figures = ["figures", "gates", "discrete", "learning", "times", "-o", str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, *figures], env=environment(), **pipes) as process:
        deadline = time.monotonic() + 180
        while not any(tmp_path.glob("gates.*")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=180)
    assert (process.returncode, err) == (130, b"gateflow: interrupted\n")
    names = [path.name for path in tmp_path.iterdir()]
    assert names
    assert not [name for name in names if name.startswith(".")]


def test_ctrl_c_while_the_command_line_is_imported(monkeypatch, capsys):
    class Interrupted:
        def __getattr__(self, name):
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "gateflow.cli", Interrupted())
    assert run() == 130
    assert capsys.readouterr() == ("", "gateflow: interrupted\n")


@pytest.mark.usefixtures("hears_ctrl_c")
def test_an_interruption_where_python_would_swallow_it_comes_a_little_later():
    """In a finaliser an exception is printed and forgotten."""
    from gateflow.runs import signals

    before = signal.signal(signal.SIGINT, signals.interrupted)
    seen = []

    class Dies:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)
            sum(range(10))  # where the handler runs at the latest
            seen.append("whole")

    try:
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012
            one = Dies()
            del one
            assert seen == ["whole"]
            time.sleep(5)
    finally:
        signal.signal(signal.SIGINT, before)
