"""The command, and the processes behind it."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

from gateflow.cli import main

served = pytest.importorskip("gateflow.explorer.server")


def test_a_worker_that_says_nothing_is_replaced(monkeypatch):
    """One that hangs is ended; who waited for it is told in one line; the next one answers."""
    monkeypatch.setattr(served, "PATIENCE", 0.2)
    hangs = [sys.executable, "-c", "import time; time.sleep(60)"]
    real, started = subprocess.Popen, []

    def popen(_, **options):
        speaks = [sys.executable, "-c", 'print(\'{"part": "hello"}\', flush=True); input()']
        started.append(real(speaks if started else hangs, **options))
        return started[-1]

    monkeypatch.setattr(served.subprocess, "Popen", popen)
    heard = []

    async def work():
        worker = served.Worker("numbers", heard.append)
        worker.ask({"page": "a", "seq": 7, "asked": {"gates": ["fast"]}})
        deadline = time.monotonic() + 60
        while {"part": "hello"} not in heard and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            worker.look()
        worker.close()

    asyncio.run(work())
    assert [process.returncode != 0 for process in started] == [True, True]
    assert heard[0] == {
        "page": "a",
        "seq": 7,
        "part": "refused",
        "error": "no answer within 0.2 s, or not enough memory",
    }
    assert {"part": "hello"} in heard


def test_the_command_serves_until_it_is_interrupted():
    command = [sys.executable, "-m", "gateflow", "explore", "fast", "--no-browser", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    killer = threading.Timer(120, process.kill)
    killer.start()
    said = ""
    while "}" not in said:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        said += line
    address = json.loads(said)["address"]
    with urllib.request.urlopen(address) as page:
        assert b"gateflow explore" in page.read()
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(address[:-2] + "/")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    killer.cancel()
    assert (process.returncode, out, err) == (130, "", "gateflow: interrupted\n")


def test_bad_usage_is_one_line(capsys, tmp_path):
    for arguments, said in [
        (["sinhh(z)"], "unknown function 'sinhh'; did you mean 'sinh'?\n    sinhh(z)\n    ^^^^^"),
        (["fast"] * 7, "the page shows one to 6 gates; got 7"),
        (["fast", "--port", "70000"], "port must be from 0 to 65535"),
        (["fast", "--idle", "-1"], "idle must be"),
        (["--checkpoint", str(tmp_path / "none.safetensors")], "cannot read"),
        (["sigmoid(k*z)"], "unknown symbol 'k'"),
    ]:
        code = main(["explore", "--no-browser", "--idle", "0", *arguments])
        out, err = capsys.readouterr()
        assert (code, out) == (2, ""), arguments
        assert said in err


def test_the_command_ends_when_nobody_looks(capsys):
    assert main(["explore", "fast", "--no-browser", "--idle", "0"]) == 0
    assert capsys.readouterr().out.startswith("http://127.0.0.1:")
