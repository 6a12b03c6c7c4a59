"""The server of the page: on 127.0.0.1 only, under an address with a random token, for requests of that page only.

It holds no gate and reads no formula: what a page asks goes, as text, to a worker in a process of its own
(`gateflow.explorer.worker`), which is ended where it says nothing for `PATIENCE` seconds. One worker answers sliders,
another proves; so a proof never holds a slider up.

Tornado serves, because it speaks WebSocket in one small package without dependencies that Jupyter keeps well.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from typing import Any

from gateflow.errors import InvalidArgument, MissingExtra

try:
    from tornado.httpserver import HTTPServer
    from tornado.web import Application, HTTPError, RequestHandler
    from tornado.websocket import WebSocketClosedError, WebSocketHandler
except ImportError:
    raise MissingExtra("the page", "explore") from None

HOST = "127.0.0.1"

MOST_PAGES = 8
"""Pages open at a time."""

LARGEST = 64 * 1024
"""Bytes of one message of a page."""

ENDS = ("done", "proved", "refused", "left off")
"""The parts that end an answer."""

PATIENCE = 60.0
"""Seconds after which a worker that says nothing is ended."""

RESTS = 0.25
"""Seconds that sliders rest before it is asked what is proved."""

MAY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self' ws:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self' http://127.0.0.1:* http://localhost:*"
)
"""What the page may do; it may be framed by a notebook on this machine."""

FILES = {
    "": ("gateflow.explorer", "page/index.html", "text/html"),
    "page.js": ("gateflow.explorer", "page/page.js", "text/javascript"),
    "page.css": ("gateflow.explorer", "page/page.css", "text/css"),
    "style.css": ("gateflow.reports", "style.css", "text/css"),
}
"""What is served under the token: package, file and kind."""


class Worker:
    """A worker in a process of its own.

    Parameters
    ----------
    kind : {"numbers", "theory"}
    heard : callable
        Gets each part, in the thread of the loop; and, where a worker was ended, ``{"part": "lost"}``.
    """

    def __init__(self, kind: str, heard: Callable[[dict[str, Any]], None]) -> None:
        self.kind, self.heard = kind, heard
        self.loop = asyncio.get_running_loop()
        self.closed = False
        self.waits: dict[str, int] = {}
        self.spoke = time.monotonic()
        self._start()

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateflow.explorer.worker", self.kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={**os.environ, "SYMPY_CACHE_SIZE": "4000"},
            start_new_session=True,  # Ctrl-C is ours to hear
        )
        self.listener = threading.Thread(target=self._listen, args=(self.process,), daemon=True)
        self.listener.start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._later(self._hear, process, json.loads(line))
        self._later(self._ended, process)

    def _later(self, what: Callable[..., None], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self.loop.call_soon_threadsafe(what, *arguments)

    def _hear(self, process: subprocess.Popen[str], part: dict[str, Any]) -> None:
        if process is not self.process:
            return
        self.spoke = time.monotonic()
        if part["part"] in ENDS and part["seq"] >= self.waits.get(part["page"], -1):
            self.waits.pop(part["page"], None)
        self.heard(part)

    def _ended(self, process: subprocess.Popen[str]) -> None:
        if not self.closed and process is self.process:
            self._again()

    def ask(self, request: dict[str, Any]) -> None:
        """Send a request; one without ``asked`` has an older one left off."""
        if self.closed:
            return
        if not self.waits:
            self.spoke = time.monotonic()
        self.waits[request["page"]] = request["seq"]
        with suppress(OSError):  # it has ended, which `_ended` hears
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()

    def look(self) -> None:
        """End the worker, and start another, where it has said nothing for too long."""
        if self.waits and time.monotonic() - self.spoke > PATIENCE:
            self._again()

    def _again(self) -> None:
        lost, self.waits = self.waits, {}
        self._end()
        self._start()
        why = f"no answer within {PATIENCE:g} s, or not enough memory"
        for page, seq in lost.items():
            self.heard({"page": page, "seq": seq, "part": "refused", "error": why})

    def close(self) -> None:
        """End the process."""
        self.closed = True
        self._end()
        self.listener.join()

    def _end(self) -> None:
        self.process.kill()
        self.process.wait()
        with suppress(OSError):  # what was not yet written goes nowhere
            assert self.process.stdin is not None
            self.process.stdin.close()


def _listening(port: int) -> socket.socket:
    """A socket that listens on this machine only."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would let two programs have one port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setblocking(False)
        made.bind((HOST, port))
        made.listen(128)
    except (OSError, OverflowError) as problem:
        made.close()
        taken = getattr(problem, "errno", None) == errno.EADDRINUSE
        why = "another program has it; choose another, or 0 for any" if taken else str(problem)
        raise InvalidArgument(f"port {port}: {why}") from None
    return made


class Server:
    """The page's server, in the loop that runs.

    Parameters
    ----------
    first : dict
        What the page shows first: ``gates``, and ``audit`` of a checkpoint.
    port : int
        0 for any that is free.

    Raises
    ------
    InvalidArgument
        The port is in use, or may not be used.
    """

    def __init__(self, first: dict[str, Any], port: int = 0) -> None:
        listening = _listening(port)
        self.port: int = listening.getsockname()[1]
        self.first = first
        self.token = secrets.token_urlsafe(24)
        self.pages: dict[str, Socket] = {}
        self.left_at = time.monotonic()
        self.hello: dict[str, Any] | None = None
        self.ready = asyncio.Event()
        self.workers = {"numbers": Worker("numbers", self._heard)}
        routes = [(rf"/(?P<token>[^/]+)/{name}", File, {"name": name}) for name in FILES]
        application = Application(
            [*routes, (r"/(?P<token>[^/]+)/socket", Socket), (r".*", Nothing)],
            server=self,
            log_function=lambda _: None,
            websocket_max_message_size=LARGEST,
        )
        self.http = HTTPServer(application, max_body_size=LARGEST, max_header_size=LARGEST)
        self.http.add_sockets([listening])
        self._ask_first()

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    def _ask_first(self) -> None:
        """What a page will ask first is asked before there is one: gates are read, derived and compiled then."""
        self.workers["numbers"].ask({"page": "first", "seq": 0, "asked": {"gates": self.first["gates"]}})

    def _heard(self, part: dict[str, Any]) -> None:
        if part["part"] == "hello":
            self.hello = self.hello or ({**part, **self.first} if "controls" in part else None)
            return
        if part.get("page") == "first":
            if part["part"] in ("done", "refused") and not self.ready.is_set():
                self.workers["theory"] = Worker("theory", self._heard)  # which would only take time from the first
                self.ready.set()
            return
        page = self.pages.get(part["page"])
        if page is not None and part["seq"] == page.seq:
            page.tell(part)

    def knows(self, request: Any, token: str) -> bool:
        """Whether a request is for this server by its own name, and has its token."""
        hosts = {f"{HOST}:{self.port}", f"localhost:{self.port}"}
        return request.host in hosts and hmac.compare_digest(token.encode(), self.token.encode())

    async def until_idle(self, idle: float | None) -> None:
        """Until no page has been open for so long; for ever, where no limit is given. Looks after the workers."""
        while True:
            await asyncio.sleep(0.05 if idle is not None and idle < 1 else 0.25)
            for worker in self.workers.values():
                worker.look()
            if idle is not None and not self.pages and time.monotonic() - self.left_at >= idle:
                return

    def close(self) -> None:
        """End workers, pages and the server."""
        self.http.stop()
        for page in list(self.pages.values()):
            page.close(1001)
        for worker in self.workers.values():
            worker.close()


class _Guarded:
    """What every answer of the server has in common."""

    server: Server

    def check(self: Any, token: str) -> None:
        """Refuse what does not come from our page: without the token, or by another name of this machine."""
        self.server = self.application.settings["server"]
        if not self.server.knows(self.request, token):
            raise HTTPError(404)


class Nothing(RequestHandler):
    """All that is not ours."""

    def prepare(self) -> None:
        """Say nothing more than that."""
        raise HTTPError(404)

    def write_error(self, status_code: int, **_: Any) -> None:
        """One line."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code}: the address of the page is the one that gateflow explore printed\n")

    def set_default_headers(self) -> None:
        """No name of the server."""
        self.clear_header("Server")


class File(_Guarded, Nothing):
    """A file of the page."""

    def initialize(self, name: str) -> None:
        """Which one."""
        self.name = name

    def prepare(self) -> None:
        """Nothing: `get` checks."""

    def get(self, token: str) -> None:
        """The file."""
        self.check(token)
        package, name, kind = FILES[self.name]
        self.set_header("Content-Type", f"{kind}; charset=utf-8")
        self.set_header("Content-Security-Policy", MAY)
        for header, value in HEADERS.items():
            self.set_header(header, value)
        self.finish(files(package).joinpath(name).read_bytes())


HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Socket(_Guarded, WebSocketHandler):
    """A page that is open: its requests in, the parts of answers out; never one of an older request."""

    seq = -1
    page = ""

    def prepare(self) -> None:
        """Check before the handshake."""
        self.check(self.path_kwargs["token"])

    def check_origin(self, origin: str) -> bool:
        """Only our own page may speak."""
        return origin in {f"http://{name}:{self.server.port}" for name in (HOST, "localhost")}

    async def open(self, *_: str, **__: str) -> None:  # type: ignore[override]
        """Say what the page is made of, once it is known."""
        if len(self.server.pages) >= MOST_PAGES:
            self.close(1013, "too many pages are open")
            return
        self.page = secrets.token_hex(8)
        self.server.pages[self.page] = self
        self.set_nodelay(True)
        while self.server.hello is None:
            await asyncio.sleep(0.02)
        self.tell(self.server.hello)

    def on_message(self, message: str | bytes) -> None:
        """A request: newer than all before, or nothing."""
        try:
            data = json.loads(message)
            seq, asked = data["seq"], data["asked"]
            if isinstance(seq, bool) or not isinstance(seq, int) or not isinstance(asked, dict) or seq <= self.seq:
                raise ValueError
        except (ValueError, TypeError, KeyError, RecursionError):
            self.close(1008, "not a request of this page")
            return
        self.seq = seq
        request = {"page": self.page, "seq": seq, "asked": asked}
        self.server.workers["numbers"].ask(request)
        if theory := self.server.workers.get("theory"):
            theory.ask({"page": self.page, "seq": seq})
        asyncio.get_running_loop().call_later(RESTS, self._ask_theory, request)

    def _ask_theory(self, request: dict[str, Any]) -> None:
        if self.seq != request["seq"] or self.page not in self.server.pages:
            return
        if theory := self.server.workers.get("theory"):
            theory.ask(request)
        else:
            asyncio.get_running_loop().call_later(RESTS, self._ask_theory, request)

    def tell(self, part: dict[str, Any]) -> None:
        """Send a part to the page."""
        with suppress(WebSocketClosedError):
            sent = self.write_message(json.dumps(part, separators=(",", ":")))
            asyncio.ensure_future(sent).add_done_callback(lambda done: done.cancelled() or done.exception())

    def on_close(self) -> None:
        """The page is closed: nobody waits for its answers."""
        if self.server.pages.pop(self.page, None) is not None:
            self.server.left_at = time.monotonic()
            for worker in self.server.workers.values():
                worker.ask({"page": self.page, "seq": self.seq + 1})


async def serve(
    first: dict[str, Any],
    port: int,
    idle: float | None,
    opened: Callable[[Server], None],
    ended: asyncio.Event | None = None,
) -> None:
    """Serve until idle, or ended from outside; ``opened`` is called when the first picture can be had."""
    server = Server(first, port)
    try:
        watch = asyncio.ensure_future(server.until_idle(idle))
        waits = [watch, asyncio.ensure_future(server.ready.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        opened(server)
        waits = [watch, *([asyncio.ensure_future(ended.wait())] if ended else [])]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if watch.done():
            watch.result()
    finally:
        server.close()
