"""The listening socket, with HTTP and WebSocket on one port and a thread for each connection."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING

from tests.first_server.faults import TOLD_BY_PREFIX
from tests.first_server.http_requests import Ended, Incoming, Malformed, read_request, written
from tests.first_server.operations import problem
from tests.first_server.producers import Hub, Session, Spellings
from tests.first_server.websocket_link import WebSocketLink

if TYPE_CHECKING:
    from tests.first_server.http_requests import Request
    from tests.first_server.operations import Operations

ENDPOINT = "/producer"
#: Seconds after which a client that does not read is cut off.
LONGEST_SEND = 5


class Server:
    """A server that listens on the loopback interface from its creation."""

    def __init__(self, operations: Operations, port: int, spellings: Spellings) -> None:
        """Port 0 takes a free one. Raises OSError if the port is taken."""
        self._operations = operations
        self._spellings = spellings
        self._hub = Hub(tells_by_prefix=TOLD_BY_PREFIX in operations.broker.faults)
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)

    @property
    def url(self) -> str:
        """The URL of the endpoint for producers."""
        return f"ws://127.0.0.1:{self._listener.getsockname()[1]}{ENDPOINT}"

    def serve(self) -> None:
        """Accept connections until the process ends."""
        while True:
            link, _ = self._listener.accept()
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", LONGEST_SEND, 0))
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        incoming = Incoming(link)
        # A client that goes away ends only its own thread.
        with link, contextlib.suppress(OSError, Ended):
            try:
                while self._answer(link, incoming):
                    pass
            except Malformed as error:
                link.sendall(written(problem(error.status, str(error)), keeps_open=False))
                _drain(link)

    def _answer(self, link: socket.socket, incoming: Incoming) -> bool:
        """Answer the next request; returns False if the connection ends afterwards."""
        request = read_request(incoming)
        if request.is_upgrade and request.path == ENDPOINT:
            websocket = WebSocketLink(link, incoming, request.head)
            if websocket.is_open:
                Session(websocket, self._operations, self._hub, self._spellings).run()
            return False
        link.sendall(self._reply(request))
        return request.keeps_open

    def _reply(self, request: Request) -> bytes:
        if not self._operations.serves(request.path):
            reply, allow = problem(404, f"there is nothing at {request.path}"), ""
        elif request.method != "POST":
            reply, allow = problem(405, f"{request.path} takes POST"), "POST"
        else:
            reply, allow = self._operations.perform(request.path, request.body), ""
        return written(reply, keeps_open=request.keeps_open, allow=allow, to_head=request.method == "HEAD")


def _drain(link: socket.socket) -> None:
    """Read the rest of the client's input, so that the answer arrives before the end of the connection."""
    link.shutdown(socket.SHUT_WR)
    link.settimeout(1)
    while link.recv(1 << 16):
        pass
