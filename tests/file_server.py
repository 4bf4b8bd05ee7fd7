"""A real server on loopback that follows a script: what a download may meet."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from harness.arriving import Patience
from harness.specs import DataFile

BODY = bytes(range(256)) * 1200  # several blocks of a transfer
HALF = len(BODY) // 2

# a server that works is waited for, one that does not is left soon
QUICK = Patience(connect_s=5, read_s=5, attempts=3, pause_s=0.01)
HASTY = Patience(connect_s=5, read_s=1.0, attempts=3, pause_s=0.01)

Reply = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Served:
    """A running server: its replies in order, the last one for ever after."""

    port: int = 0
    replies: list[Reply] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def file(self, **changes: object) -> DataFile:
        values = {
            "name": "body.bin", "url": f"http://127.0.0.1:{self.port}/body.bin",
            "size": len(BODY), "sha256": hashlib.sha256(BODY).hexdigest(),
        }  # fmt: skip
        return DataFile(**{**values, **changes})  # type: ignore[arg-type]


@contextmanager
def file_server() -> Iterator[Served]:
    """A server on loopback that gives its replies in order."""
    state = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.ranges.append(self.headers.get("Range"))
            at = min(len(state.ranges), len(state.replies)) - 1
            state.replies[at](self)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield state
        finally:
            state.stop.set()
            server.shutdown()
            thread.join()


def send(
    handler: BaseHTTPRequestHandler, body: bytes, *, status: int = 200, **headers: object
) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()


def rest(handler: BaseHTTPRequestHandler, *, upto: int = len(BODY)) -> None:
    """Sends what was asked for, but ends the connection at byte `upto` of the file."""
    asked = handler.headers.get("Range")
    if asked is None:
        send(handler, BODY[:upto], Content_Length=len(BODY))
        return
    start = int(asked.removeprefix("bytes=").removesuffix("-"))
    given = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
    send(
        handler, BODY[start:upto], status=206,
        Content_Length=len(BODY) - start, Content_Range=given,
    )  # fmt: skip


def half(handler: BaseHTTPRequestHandler) -> None:
    rest(handler, upto=HALF)


def whole(handler: BaseHTTPRequestHandler) -> None:
    send(handler, BODY, Content_Length=len(BODY))


def busy(handler: BaseHTTPRequestHandler) -> None:
    send(handler, b"", status=503, Content_Length=0)


def silent(served: Served, *, after: int) -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        rest(handler, upto=after)
        served.stop.wait(20)

    return reply


def dripping(served: Served, *, every_s: float) -> Reply:
    """Sends a byte now and then, for ever."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        send(handler, b"", Content_Length=len(BODY))
        for byte in BODY:
            if served.stop.wait(every_s):
                return
            try:
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
            except OSError:  # whoever asked has had enough
                return

    return reply


def endless(handler: BaseHTTPRequestHandler, *, status: int = 200, **headers: object) -> None:
    """Sends without end, and says no length."""
    send(handler, b"", status=status, **headers)
    repeated(handler, BODY)


def repeated(
    handler: BaseHTTPRequestHandler, text: bytes, *, served: Served | None = None
) -> None:
    """Writes the same again and again, without a pause or ten times a second."""
    try:
        while served is None or not served.stop.wait(0.1):
            handler.wfile.write(text)
            handler.wfile.flush()
    except OSError:  # whoever asked has had enough
        pass


def chunked(*, upto: int = len(BODY)) -> Reply:
    """The file in chunks; without its end if it is cut off."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        start_chunks(handler)
        for at in range(0, upto, 50_000):
            piece = BODY[at : min(at + 50_000, upto)]
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if upto == len(BODY):
            handler.wfile.write(b"0\r\n\r\n")
        handler.wfile.flush()

    return reply


def start_chunks(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def endless_head(served: Served) -> Reply:
    """A line of the head now and then, and never a body."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        repeated(handler, b"x", served=served)

    return reply


def endless_continue(served: Served) -> Reply:
    """One `100 Continue` after the other."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        repeated(handler, b"HTTP/1.1 100 Continue\r\n\r\n", served=served)

    return reply


def endless_trailer(served: Served) -> Reply:
    """A whole body in chunks, and behind it lines that never end."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        start_chunks(handler)
        handler.wfile.write(b"1\r\nx\r\n0\r\n")
        repeated(handler, b"X-Line: x\r\n", served=served)

    return reply


def redirect(handler: BaseHTTPRequestHandler) -> None:
    send(handler, b"", status=302, Location="/login?next=body.bin", Content_Length=0)


def left(folder: Path) -> list[str]:
    """What a download leaves besides its lock."""
    return sorted(p.name for p in folder.iterdir() if p.suffix != ".lock")
