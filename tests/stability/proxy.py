"""A TCP proxy on loopback that makes a network worse: late, or in single octets."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_READ = 64 * 1024
#: What one direction of one connection may hold back, in chunks.
_HELD = 4096
#: So much of what comes at once is handed on in single octets, what follows in pieces of this size: else a body of a
#: mebibyte takes half a minute, and shows nothing that its beginning does not.
_SINGLY = 2048


class _Late:
    """Hands on what one socket says to the other, `delay` seconds later."""

    def __init__(self, source: socket.socket, sink: socket.socket, delay: float) -> None:
        self._source, self._sink = source, sink
        self._delay = delay
        self._chunks: queue.Queue[tuple[float, bytes]] = queue.Queue(_HELD)
        self._never = threading.Event()
        for work in (self._read, self._write):
            threading.Thread(target=work, daemon=True).start()

    def _read(self) -> None:
        data = b"?"
        while data:
            try:
                data = self._source.recv(_READ)
            except OSError:
                data = b""
            self._chunks.put((time.monotonic() + self._delay, data))

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = self._chunks.get()
                if (left := due - time.monotonic()) > 0:
                    self._never.wait(left)
                if not data:
                    self._sink.shutdown(socket.SHUT_WR)
                    return
                self._sink.sendall(data)


class _Singly:
    """Hands on what one socket says to the other in single octets."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self._source, self._sink = source, sink
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._source.recv(_READ):
                for begin in range(min(len(data), _SINGLY)):
                    self._sink.send(data[begin : begin + 1])
                for begin in range(_SINGLY, len(data), _SINGLY):
                    self._sink.sendall(data[begin : begin + _SINGLY])
        with contextlib.suppress(OSError):
            self._sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def proxied(host: str, port: int, *, delay: float | None = None) -> Iterator[int]:
    """The port, on loopback, of a proxy to a server, which ends with the context.

    It is `delay` seconds late in each direction; without a delay it hands on single octets.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    open_sockets: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection((host, port))
            except OSError:
                return
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                open_sockets.append(end)
            for source, sink in ((client, server), (server, client)):
                if delay is None:
                    _Singly(source, sink)
                else:
                    _Late(source, sink, delay)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for end in open_sockets:
            end.close()
