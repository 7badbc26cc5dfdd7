"""Small servers that are no brokers, or poor ones, for runs of the command."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

Serve = Callable[[socket.socket], None]
PLAIN_REFUSED = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 48\r\n\r\n"
    b"Client sent an HTTP request to an HTTPS server.\n"
)
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@contextlib.contextmanager
def listening(serve: Serve, tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[int]:
    """Port on which `serve` gets each connection, in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", port), backlog=64)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(client,), daemon=True).start()

    def handle(client: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), client:
            client.settimeout(30)
            if tls is None:
                serve(client)
            else:
                with tls.wrap_socket(client, server_side=True) as secured:
                    serve(secured)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def answering(octets: bytes) -> Serve:
    """Server that answers each request with these octets and closes."""

    def serve(client: socket.socket) -> None:
        if read_head(client):
            client.sendall(octets)

    return serve


def stomp_over_tcp(client: socket.socket) -> None:
    """Plain STOMP: what is no frame gets an ERROR."""
    data = client.recv(4096)
    client.sendall(
        b"CONNECTED\nversion:1.2\n\n\0" if data.startswith(b"CONNECT\n") else b"ERROR\nmessage:what?\n\n\0"
    )


def speechless_broker(client: socket.socket) -> None:
    """STOMP over WebSocket that opens sessions, and ends each at the next frame."""
    head = read_head(client)
    if b"websocket" not in head.lower():
        client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return
    upgrade(client, head)
    frame = read_message(client)
    version = b"1.2" if b"1.2" in frame else b"1.1" if b"1.1" in frame else b"1.0"
    send_text(client, b"CONNECTED\nversion:" + version + b"\n\n\0")
    read_message(client)


def greeting(octets: bytes) -> Serve:
    """Server that speaks first, and reads what comes."""

    def serve(client: socket.socket) -> None:
        client.sendall(octets)
        silent(client)

    return serve


def web_socket(answer: bytes) -> Serve:
    """WebSocket server of something other than STOMP, that answers each message by `answer`, or not at all for b""."""

    def serve(client: socket.socket) -> None:
        head = read_head(client)
        if b"websocket" not in head.lower():
            client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        upgrade(client, head)
        while read_message(client) is not None:
            if answer:
                send_text(client, answer)

    return serve


def tls_that_refuses_plain_http(tls: ssl.SSLContext) -> Serve:
    """Server on a port with TLS that answers a request without TLS by 400, as nginx, Apache and Go do."""

    def serve(client: socket.socket) -> None:
        if client.recv(1, socket.MSG_PEEK) == b"\x16":
            with tls.wrap_socket(client, server_side=True):
                return
        answering(PLAIN_REFUSED)(client)

    return serve


def silent(client: socket.socket) -> None:
    """Server that reads, and never answers."""
    while client.recv(4096):
        pass


def refusing_login(client: socket.socket) -> None:
    """STOMP over WebSocket that refuses every CONNECT without `passcode:right`."""
    head = read_head(client)
    if b"websocket" not in head.lower():
        client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return
    upgrade(client, head)
    if b"\npasscode:right\n" in read_message(client):
        send_text(client, b"CONNECTED\nversion:1.2\n\n\0")
        read_message(client)
    else:
        send_text(client, b"ERROR\nmessage:access refused for this user\n\n\0")


def read_head(client: socket.socket) -> bytes:
    """Octets of a request up to its empty line; b"" at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) < 65536:
        if not (came := client.recv(4096)):
            return b""
        data += came
    return data


def upgrade(client: socket.socket, head: bytes) -> None:
    """Accept an upgrade."""
    key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
    accept = base64.b64encode(hashlib.sha1(key.split(b":", 1)[1].strip() + _MAGIC).digest())
    client.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def read_message(client: socket.socket) -> bytes:
    """Payload of the next frame of a client, unmasked. Raises OSError at the end of the connection."""
    _first, second = _exactly(client, 2)
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack("!H", _exactly(client, 2))
    elif length == 127:
        (length,) = struct.unpack("!Q", _exactly(client, 8))
    mask = _exactly(client, 4) if second & 0x80 else bytes(4)
    return bytes(octet ^ mask[place % 4] for place, octet in enumerate(_exactly(client, length)))


def send_text(client: socket.socket, payload: bytes) -> None:
    """Send a text message of at most 125 octets."""
    client.sendall(bytes([0x81, len(payload)]) + payload)


def send_fragment(client: socket.socket, payload: bytes, *, first: bool, last: bool) -> None:
    """Send a fragment of a text message, of at most 125 octets."""
    client.sendall(bytes([(0x80 if last else 0) | (1 if first else 0), len(payload)]) + payload)


def _exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (came := client.recv(size - len(data))):
            raise OSError("the client is gone")
        data += came
    return data
