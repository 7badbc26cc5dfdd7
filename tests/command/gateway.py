"""Gateway in front of a server: it sees each request, changes it, answers in its place, or passes it on."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

_END = b"\r\n\r\n"
_PATIENCE = 30.0
_CHUNK_HEAD = re.compile(rb"([0-9a-fA-F]{1,8})[^\r\n]*\r\n")
_CHUNK_HEAD_LIMIT = 1 << 16


@dataclass(frozen=True)
class Request:
    """First line and headers of a request; header names are in lower case."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """Value of a header, "" without one."""
        return next((value for own, value in self.headers if own.lower() == name), "")

    @property
    def is_upgrade(self) -> bool:
        """True for an upgrade to WebSocket."""
        return self.get("upgrade").lower() == "websocket"

    def at(self, path: str) -> Request:
        """The same request at another path."""
        return replace(self, path=path)

    def octets(self) -> bytes:
        """The request as it is sent on."""
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join(lines).encode("latin-1") + _END


#: The request as it is to be passed on, or the octets of an answer.
Decide = Callable[[Request], Request | bytes]


def answer(status: str, body: str = "", *headers: str) -> bytes:
    """Octets of an answer that ends the connection."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join(lines).encode() + _END + body.encode()


class Gateway:
    """Listens on a free port while it is a context; `decide` is called for each request, from several threads."""

    def __init__(self, upstream: int, decide: Decide) -> None:
        self._upstream = upstream
        self._decide = decide
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._sockets: set[socket.socket] = set()
        self.requests: list[Request] = []

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._sockets.add(client)
        server = socket.create_connection(("127.0.0.1", self._upstream), _PATIENCE)
        self._sockets.add(server)
        try:
            with client, server:
                threading.Thread(target=_pipe, args=(server, client), daemon=True).start()
                self._requests(client, server)
        except OSError:
            pass
        finally:
            self._sockets -= {client, server}

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        data = b""
        while True:
            while _END not in data:
                if not (came := client.recv(65536)):
                    return
                data += came
            head, _, data = data.partition(_END)
            request = _parsed(head)
            self.requests.append(request)
            decided = self._decide(request)
            if isinstance(decided, bytes):
                client.sendall(decided)
                client.shutdown(socket.SHUT_WR)
                return
            server.sendall(decided.octets())
            length = request.get("content-length")
            if request.get("transfer-encoding").lower() == "chunked":
                while (size := _chunked_size(data)) is None:
                    if not (came := client.recv(65536)):
                        return
                    data += came
                body, data = data[:size], data[size:]
                server.sendall(body)
                continue
            if request.is_upgrade or request.get("transfer-encoding") or not re.fullmatch(r"\d*", length):
                server.sendall(data)
                _pipe(client, server)
                return
            left = int(length or 0)
            while left:
                piece, data = data[:left], data[left:]
                server.sendall(piece)
                left -= len(piece)
                if left and not (data := client.recv(65536)):
                    return


def _parsed(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, *_ = [*first.split(" "), "", ""]
    pairs = [line.partition(":") for line in lines]
    return Request(method, path, tuple((name, value.strip()) for name, _, value in pairs))


def _chunked_size(data: bytes) -> int | None:
    """Octets of the body in chunks at the start of `data`, all of them if it is malformed; None if more must come."""
    at = 0
    while match := _CHUNK_HEAD.match(data, at):
        size = int(match[1], 16)
        if not size:
            end = data.find(_END, match.end() - 2)
            return None if end < 0 else end + len(_END)
        at = match.end() + size + 2
    return None if b"\r\n" not in data[at : at + _CHUNK_HEAD_LIMIT] else len(data)


def _pipe(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
