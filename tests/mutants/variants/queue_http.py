"""Oddities in HTTP: headers, chunks, boundaries of TCP segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_server.server import connection
from reference_server.server.http import HttpBinding
from reference_server.server.transport import Transport
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, variant

if TYPE_CHECKING:
    from reference_server.queue.outcomes import Outcome


def _edit_written(edit: Any) -> None:
    """Have `edit(status line, [(name, value)], body)` give the octets of each response."""

    @wrap(connection, "write")
    def write(original: Any, response: Outcome, **named: Any) -> bytes:
        octets: bytes = original(response, **named)
        head, _, body = octets.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        pairs = [tuple(line.split(": ", 1)) for line in lines]
        changed: bytes = edit(first, pairs, body)
        return changed


def _joined(first: str, pairs: list[tuple[str, str]], body: bytes, colon: str = ": ") -> bytes:
    lines = [first, *(f"{name}{colon}{value}" for name, value in pairs)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@variant("Names of headers have no case, and their order means nothing (RFC 9110).", bindings=HTTP)
def headers_are_lower_case_and_turned_round() -> None:
    """Headers are in lower case, in the opposite order, without a blank behind the colon."""
    _edit_written(
        lambda first, pairs, body: _joined(
            first, [(name.lower(), value) for name, value in pairs][::-1], body, ":"
        )
    )


@variant("A server may send more headers, and any reason phrase or none (RFC 9112).", bindings=HTTP)
def responses_have_headers_of_their_own() -> None:
    """Each response has an unusual reason phrase and a dozen more headers, some of them twice."""
    more = [
        ("Server", "odd/1.0 (but conforming)"),
        ("X-Request-Id", "7f3a"),
        ("Set-Cookie", "a=1; Path=/"),
        ("Set-Cookie", "b=2"),
        ("Vary", "Accept"),
        ("X-Empty", ""),
        ("Cache-Control", "no-store"),
        ("X-Long", "x" * 3000),
    ]
    _edit_written(
        lambda first, pairs, body: _joined(" ".join([*first.split()[:2], ""]), [*more, *pairs], body)
    )


@variant("A body may come in chunks (RFC 9112, section 7.1).", bindings=HTTP)
def responses_come_in_chunks() -> None:
    """Bodies have no length, and are sent in chunks of seven octets with extensions and a trailer."""

    def chunked(first: str, pairs: list[tuple[str, str]], body: bytes) -> bytes:
        if not any(name == "Content-Length" for name, _ in pairs):
            return _joined(first, pairs, body)
        pairs = [(name, value) for name, value in pairs if name != "Content-Length"]
        parts = [body[start : start + 7] for start in range(0, len(body), 7)]
        chunks = [b"%X;odd=yes\r\n%b\r\n" % (len(part), part) for part in parts]
        return _joined(
            first, [*pairs, ("Transfer-Encoding", "chunked")], b"".join(chunks) + b"0\r\nX-Trailer: t\r\n\r\n"
        )

    _edit_written(chunked)


@variant(
    "A content type may have parameters (HTTP-TYPE-1).",
    bindings=HTTP,
)
def content_types_name_a_charset() -> None:
    """Content types are written in mixed case and name a charset."""

    def with_charset(first: str, pairs: list[tuple[str, str]], body: bytes) -> bytes:
        named = [
            (name, value.title() + '; charset="utf-8"' if name == "Content-Type" else value)
            for name, value in pairs
        ]
        return _joined(first, named, body)

    _edit_written(with_charset)


@variant("Where a packet ends means nothing.", bindings=HTTP)
def responses_come_by_the_octet() -> None:
    """The first hundred octets of a response are sent one by one."""

    @wrap(Transport, "send_all")
    def send_all(original: Any, self: Transport, octets: bytes) -> None:
        for place in range(min(100, len(octets))):
            original(self, octets[place : place + 1])
        original(self, octets[100:])


@variant(
    "An idle connection may be closed after a while (HTTP-KEEP-1).",
    bindings=HTTP,
    flags=("--virtual-clock", "--idle-timeout", "0.5"),
)
def idle_connections_are_closed_soon() -> None:
    """A connection that is silent for half a second is closed."""


@variant(
    "What is sent with other content types is open (HTTP-POST-1).",
    bindings=HTTP,
)
def only_json_is_taken() -> None:
    """A POST with a body needs the content type application/json."""
    from reference_server.server.responses import problem

    @wrap(HttpBinding, "answer")
    def answer(original: Any, self: HttpBinding, request: Any, transport: Any) -> Any:
        kind = dict(request.headers).get("content-type", "").partition(";")[0].strip().lower()
        if request.method == "POST" and request.body and kind != "application/json":
            return problem(415, "content-type", "Send application/json.")
        return original(self, request, transport)
