"""A gateway that edits the heads of replies, between the suite and a server."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.command import odd_servers

if TYPE_CHECKING:
    from tests.command.odd_servers import Serve

#: Edit of the head of a reply, up to its empty line.
Edit = Callable[[bytes], bytes]


def editing(url: str, edit: Edit) -> Serve:
    """Server that passes each connection on to that of `url`, and edits the first head of a reply on each."""
    server = urlsplit(url)
    assert server.port is not None
    address = (server.hostname, server.port)

    def serve(client: socket.socket) -> None:
        head = odd_servers.read_head(client)
        if not head:
            return
        with socket.create_connection(address, 30) as upstream:
            upstream.sendall(head)
            threading.Thread(target=_copy, args=(client, upstream), daemon=True).start()
            reply = odd_servers.read_head(upstream)
            first, _, rest = reply.partition(b"\r\n\r\n")
            client.sendall(edit(first + b"\r\n\r\n") + rest)
            while octets := upstream.recv(65536):
                client.sendall(octets)

    return serve


def adding(line: bytes) -> Edit:
    """Edit that adds a line to a head."""
    return lambda head: head.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n")


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while octets := source.recv(65536):
            sink.sendall(octets)
        sink.shutdown(socket.SHUT_WR)
