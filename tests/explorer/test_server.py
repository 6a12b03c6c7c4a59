"""The server, by its own protocol: who may speak to it, what it refuses, and that no old answer is told."""

import asyncio
import json
from typing import ClassVar

import pytest

pytest.importorskip("tornado")

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from gateflow.errors import InvalidArgument
from gateflow.explorer import server as served
from gateflow.explorer.server import FILES, HOST, LARGEST, MOST_PAGES, Server
from gateflow.explorer.worker import Inbox, answer

CLIENTS: list = []


class Echo:
    """In place of a worker: keeps what it is asked, and says what it is told to say."""

    made: ClassVar[dict] = {}

    def __init__(self, kind, heard):
        self.kind, self.heard, self.asked = kind, heard, []
        Echo.made[kind] = self
        if kind == "numbers":
            heard({"part": "hello", "controls": []})

    def ask(self, request):
        self.asked.append(request)
        if request["page"] == "first":
            self.heard({"page": "first", "seq": 0, "part": "done"})

    def look(self):
        pass

    def close(self):
        pass


def on_server(work):
    """Do something with a server whose workers are echoes."""

    async def run():
        found = Server({"gates": ["fast"], "audit": None})
        CLIENTS.clear()
        try:
            return await work(found)
        finally:
            for client in CLIENTS:
                client.close()
            await until(lambda: not found.pages)
            await asyncio.sleep(0.05)  # for handshakes of farewell
            found.close()
            await asyncio.sleep(0.02)

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def _echoes(monkeypatch):
    monkeypatch.setattr(served, "Worker", Echo)


async def get(url, **headers):
    try:
        return await AsyncHTTPClient().fetch(HTTPRequest(url, headers=headers))
    except HTTPClientError as problem:
        return problem


def test_the_page_is_there_under_its_token_alone():
    async def work(server):
        assert server.address.startswith(f"http://127.0.0.1:{server.port}/")
        assert len(server.token) >= 32
        for name in FILES:
            found = await get(server.address + name)
            assert found.code == 200
            assert "default-src 'none'" in found.headers["Content-Security-Policy"]
            assert "unsafe" not in found.headers["Content-Security-Policy"]
            assert found.headers["Referrer-Policy"] == "no-referrer"
        root = f"http://{HOST}:{server.port}/"
        for path in (
            "",
            "wrong/",
            "wrong/page.js",
            f"{server.token}x/",
            f"{server.token}/../asked.py",
            f"{server.token}/asked.py",
            "wrong/socket",
        ):
            assert (await get(root + path)).code == 404, path

    on_server(work)


def test_another_name_for_this_machine_is_refused():
    """A page of someone else's whose name leads here (DNS rebinding) gets nothing."""

    async def work(server):
        for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1", f"127.0.0.1:{server.port + 1}"):
            assert (await get(server.address, Host=host)).code == 404
        assert (await get(server.address, Host=f"localhost:{server.port}")).code == 200

    on_server(work)


def test_only_our_own_page_may_open_the_socket():
    async def work(server):
        socket = server.address.replace("http", "ws") + "socket"
        for origin in ("http://evil.example", f"http://127.0.0.1:{server.port + 1}", "null"):
            with pytest.raises(HTTPClientError):
                await websocket_connect(HTTPRequest(socket, headers={"Origin": origin}))
        assert (await opened(server)) is not None

    on_server(work)


async def opened(server):
    address = server.address.replace("http", "ws") + "socket"
    found = await websocket_connect(HTTPRequest(address, headers={"Origin": f"http://{HOST}:{server.port}"}))
    CLIENTS.append(found)
    assert json.loads(await found.read_message())["part"] == "hello"
    return found


async def until(holds):
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError


def test_an_answer_to_an_older_question_is_not_told():
    async def work(server):
        page = await opened(server)
        numbers = Echo.made["numbers"]
        for seq in (1, 2):
            await page.write_message(json.dumps({"seq": seq, "asked": {"gates": ["fast"]}}))
        await until(lambda: numbers.asked and numbers.asked[-1]["seq"] == 2)
        name = numbers.asked[-1]["page"]
        for seq in (1, 2, 1):
            numbers.heard({"page": name, "seq": seq, "part": "picture"})
        numbers.heard({"page": "nobody", "seq": 2, "part": "picture"})
        assert json.loads(await page.read_message())["seq"] == 2
        numbers.heard({"page": name, "seq": 2, "part": "done"})
        assert json.loads(await page.read_message())["part"] == "done"
        await until(lambda: Echo.made["theory"].asked[-1].get("asked") is not None)
        assert Echo.made["theory"].asked[-1]["seq"] == 2

    on_server(work)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"seq": 1}',
        '{"seq": "1", "asked": {}}',
        '{"seq": -2, "asked": {}}',
        '{"seq": 1, "asked": []}',
        "[" * 50_000,
        "x" * (LARGEST + 1),
    ],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_request_closes_the_page(message):
    async def work(server):
        page = await opened(server)
        await page.write_message(message)
        assert await page.read_message() is None
        again = await opened(server)
        again.close()
        assert len(Echo.made["numbers"].asked) <= 2  # the first, and that a page was closed

    on_server(work)


def test_there_are_not_too_many_pages():
    async def work(server):
        pages = [await opened(server) for _ in range(MOST_PAGES)]
        with pytest.raises(TypeError):  # json.loads(None): it is closed without a word
            await opened(server)
        pages[0].close()
        await until(lambda: len(server.pages) < MOST_PAGES)
        assert await opened(server)

    on_server(work)


def test_a_port_that_is_taken_is_one_line(capsys):
    async def work(server):
        with pytest.raises(InvalidArgument, match=f"port {server.port}: another program has it"):
            Server({"gates": ["fast"]}, server.port)

    on_server(work)


def asked(seq, page="a"):
    return {"page": page, "seq": seq, "asked": {"gates": ["fast"]}}


def test_a_newer_question_takes_the_place_of_the_older():
    inbox, told = Inbox(), []
    for request in (asked(1), asked(2), asked(3, "b"), asked(4)):
        inbox.put(request)
    assert [inbox.take()["seq"], inbox.take()["seq"]] == [4, 3]
    assert inbox.is_empty

    def parts(_):
        yield {"part": "picture"}
        inbox.put(asked(6))
        yield None
        yield {"part": "steps"}

    assert not answer(asked(5), inbox, parts, told.append)
    assert [part["part"] for part in told] == ["picture", "left off"]
    assert inbox.take()["seq"] == 6


def test_a_fault_is_told_and_the_worker_goes_on():
    told = []

    def parts(_):
        yield {"part": "picture"}
        raise ZeroDivisionError("no")

    assert answer(asked(1), Inbox(), parts, told.append)
    assert told[-1] == {
        "page": "a",
        "seq": 1,
        "part": "refused",
        "error": "ZeroDivisionError: no (a fault of gateflow)",
    }
    assert answer({"page": "a", "seq": 2, "asked": {"horizon": 0}}, Inbox(), parts, told.append)
    assert told[-1]["error"] == "horizon must be from 1 to 1e+12; got 0"
