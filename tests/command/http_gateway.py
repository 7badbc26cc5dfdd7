"""A gateway that writes each HTTP reply of a server in another of the forms that HTTP has."""

from __future__ import annotations

import gzip
import io
import socket
from collections.abc import Callable
from http.client import HTTPResponse
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.command import odd_servers

if TYPE_CHECKING:
    from tests.command.odd_servers import Serve

#: Octets of a reply from its status line, its headers in their order, and its body.
Form = Callable[[bytes, list[tuple[str, str]], bytes], bytes]
_FRAMING = {"content-length", "transfer-encoding", "connection", "keep-alive"}


def rewriting(url: str, form: Form, most: int = 0) -> Serve:
    """Server that passes each request on to that of `url`; a connection ends behind a reply that says so.

    After `most` replies, if it is not 0, a connection ends without a word as the next request arrives, which is not
    read: so it looks if the end and the request cross on their way.
    """
    server = urlsplit(url)
    assert server.port is not None
    address = (server.hostname, server.port)

    def serve(client: socket.socket) -> None:
        with socket.create_connection(address, 30) as upstream:
            answered = 0
            while request := _request(client):
                upstream.sendall(request)
                reply = HTTPResponse(upstream, method=request.split(b" ", 1)[0].decode("ascii"))
                reply.begin()
                body = reply.read()
                line = f"HTTP/1.1 {reply.status} {reply.reason}".encode("latin-1")
                kept = [(name, text) for name, text in reply.getheaders() if name.lower() not in _FRAMING]
                octets = form(line, kept, body)
                client.sendall(octets)
                head = octets.partition(b"\r\n\r\n")[0].lower()
                if reply.will_close or b"connection: close" in head or head.startswith(b"http/1.0"):
                    return
                answered += 1
                if answered == most:
                    client.recv(1, socket.MSG_PEEK)
                    return

    return serve


def head(line: bytes, headers: list[tuple[str, str]], *more: str) -> bytes:
    """Head of a reply, with further header lines."""
    lines = [f"{name}: {text}" for name, text in headers] + list(more)
    return b"\r\n".join([line, *(each.encode("latin-1") for each in lines), b"", b""])


def compressed(line: bytes, headers: list[tuple[str, str]], body: bytes) -> bytes:
    """Each body is compressed."""
    if not body:
        return head(line, headers, "Content-Length: 0")
    octets = gzip.compress(body)
    return head(line, headers, "Content-Encoding: gzip", f"Content-Length: {len(octets)}") + octets


def chunked(line: bytes, headers: list[tuple[str, str]], body: bytes) -> bytes:
    """Bodies come in chunks with extensions and a trailer."""
    if b" 204 " in line:
        return head(line, headers)
    chunks = b"".join(
        b"%X;a=b\r\n%s\r\n" % (len(body[n : n + 7]), body[n : n + 7]) for n in range(0, len(body), 7)
    )
    return head(line, headers, "Transfer-Encoding: CHUNKED", "Trailer: X-T") + chunks + b"0\r\nX-T: 1\r\n\r\n"


def plain(line: bytes, headers: list[tuple[str, str]], body: bytes) -> bytes:
    """Replies as they usually are."""
    return head(line, headers, *([] if b" 204 " in line else [f"Content-Length: {len(body)}"])) + body


def closing(line: bytes, headers: list[tuple[str, str]], body: bytes) -> bytes:
    """Each connection ends behind its reply, which has no length."""
    return head(line, headers, "Connection: close") + body


def of_http_10(line: bytes, headers: list[tuple[str, str]], body: bytes) -> bytes:
    """The gateway speaks HTTP/1.0."""
    return head(line.replace(b"HTTP/1.1", b"HTTP/1.0"), headers) + body


def with_interim_replies(line: bytes, headers: list[tuple[str, str]], body: bytes) -> bytes:
    """Interim replies come before each reply."""
    hints = b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    return hints + head(line, headers, f"Content-Length: {len(body)}") + body


def with_odd_heads(line: bytes, headers: list[tuple[str, str]], body: bytes) -> bytes:
    """Names in lower case, no blank behind colons, cookies, a folded value, Latin-1, no reason phrase."""
    lines = [line[:12] + b" "]
    lines += [f"{name.lower()}:{text}".encode("latin-1") for name, text in headers]
    lines += [b"set-cookie:A=1; Path=/", b"set-cookie:B=2", b"x-policy: a;\r\n b", b"via: 1.1 caf\xe9"]
    length = [] if b" 204 " in line else [b"content-length:%03d" % len(body)]
    return b"\r\n".join([*lines, *length, b"", b""]) + body


FORMS: dict[str, Form] = {
    form.__name__: form
    for form in (compressed, chunked, closing, of_http_10, with_interim_replies, with_odd_heads)
}


def _request(client: socket.socket) -> bytes:
    """Octets of the next request, which asks for no upgrade any more; b"" at the end of the connection."""
    octets = odd_servers.read_head(client)
    if not octets:
        return b""
    first, _, rest = octets.partition(b"\r\n\r\n")
    line, *lines = first.split(b"\r\n")
    fields = [field.partition(b":") for field in lines]
    kept = [b"".join(field) for field in fields if field[0].lower() not in (b"connection", b"upgrade")]
    length = next((int(text) for name, _, text in fields if name.lower() == b"content-length"), 0)
    body = io.BytesIO()
    body.write(rest)
    while body.tell() < length:
        if not (came := client.recv(65536)):
            return b""
        body.write(came)
    return b"\r\n".join([line, *kept, b"", body.getvalue()])
