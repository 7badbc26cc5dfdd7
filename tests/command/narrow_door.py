"""Door in front of a server that lets in a number of connections at once, which nobody declares."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from typing import Self

_PIECE = 64 << 10
_SLICE_SECONDS = 0.2


class NarrowDoor:
    """Listens on a free port while it is a context, and passes octets on for at most `most` connections at once.

    One more gets `refusal` and is closed; without octets it is reset at once.
    """

    def __init__(self, upstream: int, most: int, refusal: bytes = b"") -> None:
        self._upstream, self._most, self._refusal = upstream, most, refusal
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open = 0
        self._ended = threading.Event()
        self.refused = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                has_room = self._open < self._most
                self._open += has_room
                self.refused += not has_room
            threading.Thread(
                target=self._serve if has_room else self._refuse, args=(client,), daemon=True
            ).start()

    def _refuse(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if not self._refusal:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            client.settimeout(_SLICE_SECONDS)
            client.recv(_PIECE)
            client.sendall(self._refusal)
            client.shutdown(socket.SHUT_WR)
            while client.recv(_PIECE):
                pass

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, socket.create_connection(("127.0.0.1", self._upstream)) as server:
                self._pass_on(client, server)
        except OSError:
            pass
        finally:
            with self._lock:
                self._open -= 1

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        """Pass octets on in both directions until the server has closed, or is silent after the client has."""
        other = {client: server, server: client}
        while not self._ended.is_set():
            readable = select.select(list(other), [], [], _SLICE_SECONDS)[0]
            if not readable and client not in other:
                return
            for ready in readable:
                octets = ready.recv(_PIECE)
                if octets:
                    other[ready].sendall(octets)
                elif ready is server:
                    return
                else:
                    server.shutdown(socket.SHUT_WR)
                    del other[client]
