"""TCP proxy on loopback that simulates a bad network: delayed, or in single octets."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_READ = 64 * 1024
#: Chunks that one direction of a connection may buffer.
_HELD = 4096
#: Octets of a chunk that are forwarded singly; the rest follows in pieces of this size, because a body of a mebibyte in
#: single octets takes half a minute.
_SINGLY = 2048


class _Pair:
    """Sockets to a client and to the server, both closed once both directions have ended."""

    def __init__(self, client: socket.socket, server: socket.socket, delay: float | None) -> None:
        self._ends = (client, server)
        self._running = 2
        self._lock = threading.Lock()
        for end in self._ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, sink in ((client, server), (server, client)):
            if delay is None:
                _Singly(source, sink, self._end)
            else:
                _Late(source, sink, delay, self._end)

    def _end(self) -> None:
        with self._lock:
            self._running -= 1
            if self._running:
                return
        self.close()

    def close(self) -> None:
        """Close both sockets, also in the middle of a transfer."""
        for end in self._ends:
            end.close()


class _Late:
    """Forwards octets from `source` to `sink` after `delay` seconds; calls `ended` at the end of the stream."""

    def __init__(
        self, source: socket.socket, sink: socket.socket, delay: float, ended: Callable[[], None]
    ) -> None:
        self._source, self._sink = source, sink
        self._delay = delay
        self._ended = ended
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
        is_open = True
        while True:
            due, data = self._chunks.get()
            if (left := due - time.monotonic()) > 0:
                self._never.wait(left)
            if not data:
                break
            if is_open:
                is_open = _says(self._sink, data)
        _says_no_more(self._sink)
        self._ended()


class _Singly:
    """Forwards octets from `source` to `sink`, the first _SINGLY of a chunk one by one.

    Calls `ended` at the end of the stream.
    """

    def __init__(self, source: socket.socket, sink: socket.socket, ended: Callable[[], None]) -> None:
        self._source, self._sink = source, sink
        self._ended = ended
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._source.recv(_READ):
                for begin in range(min(len(data), _SINGLY)):
                    self._sink.send(data[begin : begin + 1])
                for begin in range(_SINGLY, len(data), _SINGLY):
                    self._sink.sendall(data[begin : begin + _SINGLY])
        _says_no_more(self._sink)
        self._ended()


def _says(sink: socket.socket, data: bytes) -> bool:
    """Send octets; False if the other side is gone."""
    try:
        sink.sendall(data)
    except OSError:
        return False
    return True


def _says_no_more(sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def proxied(host: str, port: int, *, delay: float | None = None) -> Iterator[int]:
    """Port on loopback of a proxy to a server, which runs as long as the context.

    The proxy delays each direction by `delay` seconds; without a delay it forwards single octets, up to _SINGLY of a
    chunk.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection((host, port))
            except OSError:
                return
            _Pair(client, server, delay)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
