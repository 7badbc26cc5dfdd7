"""Servers that misbehave on raw sockets: `python -m tests.hostile.servers NAME` prints its URL and serves until killed.

With a port as second argument, it connects to that port once it drips.

Each behaviour is a function that gets one accepted connection and the head of its first request. `@first_contact` ones
misbehave towards every request; the others declare classes at GET /capabilities and misbehave behind that.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import itertools
import json
import re
import socket
import struct
import sys
import threading
import zlib
from collections.abc import Callable

MIB = 1 << 20
PIECE = b"x" * (64 << 10)
#: Never set: a wait on it is a pause.
NEVER = threading.Event()
STOMP = {"classes": ["websocket", "stomp-1.2"], "stomp_versions": ["1.2"]}
HTTP = {"classes": ["queue-http"], "extensions": ["http-publish"]}

Behaviour = Callable[[socket.socket, bytes], None]
BEHAVIOURS: dict[str, tuple[Behaviour, dict[str, object] | None]] = {}


def first_contact(behaviour: Behaviour) -> Behaviour:
    """Misbehaves towards every request, GET /capabilities included."""
    return _registered(behaviour, None)


def websocket(behaviour: Behaviour) -> Behaviour:
    """Misbehaves on WebSocket connections, before it has answered the upgrade."""
    return _registered(behaviour, STOMP)


def operations(behaviour: Behaviour) -> Behaviour:
    """Misbehaves towards the requests of the queue over HTTP."""
    return _registered(behaviour, HTTP)


def _registered(behaviour: Behaviour, declares: dict[str, object] | None) -> Behaviour:
    BEHAVIOURS[behaviour.__name__] = behaviour, declares
    return behaviour


# Parts of the behaviours


def read_head(connection: socket.socket) -> bytes:
    """The head of a request, and the part of its body that arrived with it."""
    octets = b""
    while b"\r\n\r\n" not in octets:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("no request")
        octets += piece
    return octets


def json_reply(document: object, status: str = "200 OK") -> bytes:
    return reply_of(json.dumps(document).encode(), status)


def reply_of(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


def chunked(*pieces: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(pieces)


def upgrade(connection: socket.socket, head: bytes, extra: bytes = b"") -> None:
    """Answer an upgrade as RFC 6455 has it."""
    found = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)
    assert found is not None, "an upgrade was expected"
    digest = hashlib.sha1(found[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + extra
        + b"Sec-WebSocket-Accept: "
        + base64.b64encode(digest)
        + b"\r\n\r\n"
    )


def frame(
    payload: bytes, opcode: int = 1, *, fin: bool = True, mask: bytes = b"", rsv1: bool = False
) -> bytes:
    first = (0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode
    flag = 0x80 if mask else 0
    if len(payload) < 126:
        head = bytes([first, flag | len(payload)])
    elif len(payload) < 1 << 16:
        head = bytes([first, flag | 126]) + struct.pack("!H", len(payload))
    else:
        head = bytes([first, flag | 127]) + struct.pack("!Q", len(payload))
    if mask:
        payload = bytes(octet ^ mask[place % 4] for place, octet in enumerate(payload))
    return head + mask + payload


def connected(connection: socket.socket, head: bytes) -> None:
    """Upgrade, and answer CONNECT."""
    upgrade(connection, head)
    connection.recv(65536)
    connection.sendall(frame(b"CONNECTED\nversion:1.2\n\n\0"))


def for_ever(connection: socket.socket, octets: bytes) -> None:
    while True:
        connection.sendall(octets)


def drip(connection: socket.socket, octets: bytes, seconds: float) -> None:
    if len(sys.argv) > 2:
        # Tell the test that it has begun.
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", int(sys.argv[2]))).close()
    while True:
        connection.sendall(octets)
        NEVER.wait(seconds)


# WebSocket frames


@websocket
def an_upgrade_with_a_status_of_5000_digits(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 " + b"1" * 5000 + b" Switching Protocols\r\n\r\n")


@websocket
def a_frame_without_end(connection: socket.socket, head: bytes) -> None:
    upgrade(connection, head)
    connection.sendall(b"\x81\x7f" + struct.pack("!Q", 1 << 40))
    for_ever(connection, PIECE)


@websocket
def a_frame_octet_by_octet(connection: socket.socket, head: bytes) -> None:
    upgrade(connection, head)
    connection.sendall(frame(PIECE)[:4])
    drip(connection, b"x", 0.3)


@websocket
def a_frame_of_the_highest_length(connection: socket.socket, head: bytes) -> None:
    upgrade(connection, head)
    drip(connection, b"\x81\x7f" + struct.pack("!Q", 2**63 - 1), 1)


@websocket
def long_messages(connection: socket.socket, head: bytes) -> None:
    upgrade(connection, head)
    message = b"MESSAGE\nsubscription:0\nmessage-id:1\ndestination:/queue/a\n\n" + b"x" * (30 * MIB) + b"\0"
    for_ever(connection, frame(message))


@websocket
def long_messages_later(connection: socket.socket, head: bytes) -> None:
    connected(connection, head)
    message = b"MESSAGE\nsubscription:0\nmessage-id:1\ndestination:/queue/a\n\n" + b"x" * (30 * MIB) + b"\0"
    for_ever(connection, frame(message))


@websocket
def masked_frames(connection: socket.socket, head: bytes) -> None:
    upgrade(connection, head)
    connection.recv(65536)
    drip(connection, frame(b"CONNECTED\nversion:1.2\n\n\0", mask=b"abcd"), 1)


@websocket
def pings_without_end(connection: socket.socket, head: bytes) -> None:
    upgrade(connection, head)
    threading.Thread(target=_swallow, args=(connection,), daemon=True).start()
    for_ever(connection, frame(b"", 9) * 1000)


@websocket
def pings_without_end_later(connection: socket.socket, head: bytes) -> None:
    connected(connection, head)
    threading.Thread(target=_swallow, args=(connection,), daemon=True).start()
    for_ever(connection, frame(b"", 9) * 1000)


@websocket
def fragments_without_end(connection: socket.socket, head: bytes) -> None:
    upgrade(connection, head)
    connection.sendall(frame(b"M", fin=False))
    for_ever(connection, frame(b"x", 0, fin=False) * 1000)


@websocket
def long_fragments_without_end(connection: socket.socket, head: bytes) -> None:
    upgrade(connection, head)
    connection.sendall(frame(b"M", fin=False))
    for_ever(connection, frame(PIECE, 0, fin=False))


@websocket
def empty_fragments_without_end(connection: socket.socket, head: bytes) -> None:
    upgrade(connection, head)
    connection.sendall(frame(b"", fin=False))
    for_ever(connection, frame(b"", 0, fin=False) * 1000)


@websocket
def deflate_that_nobody_asked_for(connection: socket.socket, head: bytes) -> None:
    upgrade(connection, head, b"Sec-WebSocket-Extensions: permessage-deflate\r\n")
    drip(connection, frame(_bomb(), rsv1=True), 1)


@functools.cache
def _bomb() -> bytes:
    """200 MiB of zeros as permessage-deflate packs them."""
    packer = zlib.compressobj(wbits=-15)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(200)) + packer.flush(zlib.Z_SYNC_FLUSH)[:-4]


@websocket
def a_long_close_frame(connection: socket.socket, head: bytes) -> None:
    upgrade(connection, head)
    drip(connection, b"\x88\x7f" + struct.pack("!Q", 1 << 30), 1)


@websocket
def handshake_headers_without_end(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n")
    for number in itertools.count():
        connection.sendall(b"".join(b"h%d-%d: x\r\n" % (number, place) for place in range(1000)))


@websocket
def one_handshake_header_without_end(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nx: ")
    for_ever(connection, PIECE)


@websocket
def a_refusal_with_a_body_without_end(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 999999999\r\n\r\n")
    for_ever(connection, PIECE)


# STOMP frames


@websocket
def connected_with_a_million_headers(connection: socket.socket, head: bytes) -> None:
    upgrade(connection, head)
    connection.recv(65536)
    drip(connection, _many_headers(), 1)


@functools.cache
def _many_headers() -> bytes:
    headers = b"".join(b"h%d:x\n" % number for number in range(1_000_000))
    return frame(b"CONNECTED\nversion:1.2\n" + headers + b"\n\0")


@websocket
def connected_with_many_headers(connection: socket.socket, head: bytes) -> None:
    upgrade(connection, head)
    connection.recv(65536)
    headers = b"".join(b"h%d:x\n" % number for number in range(200_000))
    drip(connection, frame(b"CONNECTED\nversion:1.2\n" + headers + b"\n\0"), 1)


@websocket
def messages_without_end(connection: socket.socket, head: bytes) -> None:
    connected(connection, head)
    message = b"MESSAGE\nsubscription:0\nmessage-id:1\ndestination:/queue/a\n\nx\0"
    for_ever(connection, frame(message) * 1000)


@websocket
def tiny_frames_in_one_message(connection: socket.socket, head: bytes) -> None:
    connected(connection, head)
    for_ever(connection, frame(b"MESSAGE\n\n\0" * (300_000)))


@websocket
def line_ends_without_end(connection: socket.socket, head: bytes) -> None:
    connected(connection, head)
    for_ever(connection, frame(b"\r\n" * (1 * MIB)))


@websocket
def a_head_without_end(connection: socket.socket, head: bytes) -> None:
    connected(connection, head)
    connection.sendall(frame(b"MESSAGE\n"))
    for_ever(connection, frame(b"name:value\n"))


# HTTP


@first_contact
def capabilities_at_16_kb_a_second(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999999\r\n\r\n")
    drip(connection, b" " * 1600, 0.1)


@first_contact
def capabilities_octet_by_octet(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999999\r\n\r\n")
    drip(connection, b" ", 0.3)


@first_contact
def header_lines_without_end(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    drip(connection, b"x: y\r\n", 0.3)


@first_contact
def many_header_lines_without_end(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for_ever(connection, b"x: y\r\n" * 1000)


@first_contact
def one_header_line_without_end(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
    for_ever(connection, PIECE)


@first_contact
def interim_replies_without_end(connection: socket.socket, head: bytes) -> None:
    for_ever(connection, b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


@first_contact
def a_body_of_2_gib(connection: socket.socket, head: bytes) -> None:
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2147483648\r\n\r\n"
    )
    for_ever(connection, PIECE)


@first_contact
def a_body_to_the_end_that_never_comes(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
    for_ever(connection, PIECE)


@first_contact
def capabilities_of_100_mb(connection: socket.socket, head: bytes) -> None:
    connection.sendall(_large_capabilities())


@functools.cache
def _large_capabilities() -> bytes:
    return json_reply({**STOMP, "name": "x" * 100_000_000})


@first_contact
def deep_capabilities(connection: socket.socket, head: bytes) -> None:
    is_asked = head.startswith(b"GET /capabilities")
    connection.sendall(
        reply_of(b"[" * 200_000 if is_asked else b"", "200 OK" if is_asked else "404 Not Found")
    )


@first_contact
def chunk_size_below_zero(connection: socket.socket, head: bytes) -> None:
    connection.sendall(chunked(b"-5\r\nhello\r\n0\r\n\r\n"))


@operations
def replies_at_16_kb_a_second(connection: socket.socket, head: bytes) -> None:
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999999\r\n\r\n"
    )
    drip(connection, b" " * 1600, 0.1)


@operations
def replies_with_a_chunk_below_zero(connection: socket.socket, head: bytes) -> None:
    connection.sendall(chunked(b"-5\r\nhello\r\n0\r\n\r\n"))


@operations
def replies_with_a_chunk_that_is_no_number(connection: socket.socket, head: bytes) -> None:
    connection.sendall(chunked(b"0x5\r\nhello\r\n0\r\n\r\n"))


@operations
def replies_with_a_chunk_without_end(connection: socket.socket, head: bytes) -> None:
    connection.sendall(chunked(b"7fffffffffffffff\r\n"))
    for_ever(connection, PIECE)


@operations
def replies_with_a_length_below_zero(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello")


@operations
def replies_with_two_lengths(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")


@operations
def replies_with_a_length_of_5000_digits(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nhello")


@operations
def deep_replies(connection: socket.socket, head: bytes) -> None:
    connection.sendall(reply_of(b"[" * 200_000))


@operations
def replies_900_levels_deep(connection: socket.socket, head: bytes) -> None:
    connection.sendall(reply_of(b'{"a":' * 900 + b"1" + b"}" * 900))


@operations
def wide_replies(connection: socket.socket, head: bytes) -> None:
    connection.sendall(reply_of(b"[" + b"{}," * (10 * MIB) + b"{}]"))


# STOMP bindings of the queue


def deep_stomp_replies(connection: socket.socket, head: bytes) -> None:
    """Every operation is answered by a body of 200,000 brackets."""
    connected(connection, head)
    while octets := connection.recv(1 << 20):
        for correlation in re.findall(rb"correlation-id:(\S+)", _unmasked(octets)):
            connection.sendall(
                frame(
                    b"MESSAGE\nsubscription:replies\nmessage-id:1\ndestination:/user/queue/replies\nstatus:200\n"
                    b"content-type:application/json\ncorrelation-id:"
                    + correlation
                    + b"\n\n"
                    + b"[" * 200_000
                    + b"\0"
                )
            )


_registered(
    deep_stomp_replies, {"classes": ["queue-stomp", "stomp-1.2", "websocket"], "stomp_versions": ["1.2"]}
)


def _unmasked(octets: bytes) -> bytes:
    """Payloads of the client's frames, each short and whole."""
    text = b""
    while len(octets) > 6:
        size, start = octets[1] & 0x7F, 2
        if size == 126:
            size, start = int.from_bytes(octets[2:4], "big"), 4
        mask, payload = octets[start : start + 4], octets[start + 4 : start + 4 + size]
        text += bytes(octet ^ mask[place % 4] for place, octet in enumerate(payload)) + b"\n"
        octets = octets[start + 4 + size :]
    return text


def _swallow(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while connection.recv(1 << 20):
            pass


def _serve(connection: socket.socket, behaviour: Behaviour, declares: dict[str, object] | None) -> None:
    with contextlib.suppress(OSError), connection:
        head = read_head(connection)
        if declares is None or not head.startswith(b"GET /capabilities"):
            behaviour(connection, head)
            connection.shutdown(socket.SHUT_WR)
            _swallow(connection)
        else:
            connection.sendall(json_reply(declares))
            _swallow(connection)


#: Octets that take long to build, by the behaviour that sends them: built before the first connection.
PREPARED: dict[str, Callable[[], bytes]] = {
    "deflate_that_nobody_asked_for": _bomb,
    "connected_with_a_million_headers": _many_headers,
    "capabilities_of_100_mb": _large_capabilities,
}


def main(name: str) -> None:
    """Serve with the behaviour of that name until the process is killed."""
    behaviour, declares = BEHAVIOURS[name]
    if name in PREPARED:
        PREPARED[name]()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(f"ws://127.0.0.1:{listener.getsockname()[1]}/stomp", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, behaviour, declares), daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1])
