"""A TCP proxy on loopback that makes a network worse: late, or in single octets."""

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
#: What one direction of one connection may hold back, in chunks.
_HELD = 4096
#: So much of what comes at once is handed on in single octets, what follows in pieces of this size: else a body of a
#: mebibyte takes half a minute, and shows nothing that its beginning does not.
_SINGLY = 2048


class _Pair:
    """A client and the server, hung up on both when neither has anything left to say: descriptors are few."""

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
        """Hang up, whatever is under way."""
        for end in self._ends:
            end.close()


class _Late:
    """Hands on what one socket says to the other, `delay` seconds later; calls `ended` when there is no more."""

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
    """Hands on what one socket says in single octets, the first _SINGLY of what comes at once.

    Calls `ended` when there is no more.
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
    """Whether the other end still takes it."""
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
    """The port, on loopback, of a proxy to a server, which ends with the context.

    It is `delay` seconds late in each direction; without a delay it hands on single octets, as far as _SINGLY goes.
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
