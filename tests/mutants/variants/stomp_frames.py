"""Oddities in how frames are written: line ends, order, more headers, other values."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

from reference_server.stomp.escapes import escape
from reference_server.stomp.session import Session
from reference_server.stomp.shared import Shared
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import variant
from tests.mutants.stomp_editing import (
    V10,
    V11,
    V12,
    drop_header,
    edit_headers,
    edit_lines,
    edit_output,
    set_header,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reference_server.stomp.frame import Frame

_ALL = ("CONNECTED", "MESSAGE", "RECEIPT", "ERROR")


def _each_frame(edit: Callable[[Session, bytes], bytes]) -> None:
    for command in _ALL:
        edit_output(command, edit)


@variant("In 1.2 a line may end with CR LF (STOMP-ABNF-001, STOMP-HEARTBEAT-006).", bindings=V12)
def lines_end_with_cr_lf() -> None:
    """On sessions of 1.2 all lines of the server end with CR LF, and so do its heart-beats."""

    def edit(session: Session, data: bytes) -> bytes:
        if session.version != "1.2":
            return data
        head, _, body = data.partition(b"\n\n")
        return head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + body

    _each_frame(edit)

    @wrap(Session, "emit")
    def emit(original: Any, self: Session, data: bytes) -> None:
        original(self, b"\r\n" if data == b"\n" and self.version == "1.2" else data)


@variant("In 1.2 lines may end now with LF and now with CR LF (STOMP-ABNF-001).", bindings=V12)
def line_ends_are_mixed() -> None:
    """On sessions of 1.2 a line of the server ends with LF or with CR LF, at random."""
    chance = random.Random(5)

    def edit(session: Session, data: bytes) -> bytes:
        if session.version != "1.2":
            return data
        head, _, body = data.partition(b"\n\n")
        ends = [chance.choice([b"\n", b"\r\n"]) for _ in range(head.count(b"\n") + 2)]
        lines = [*head.split(b"\n"), b""]
        return b"".join(line + end for line, end in zip(lines, ends, strict=True)) + body

    _each_frame(edit)


@variant("Any number of line ends may stand between frames (STOMP-WS-016).", bindings=(*V10, *V11))
def line_ends_follow_every_frame() -> None:
    """The NUL of each frame is followed by one to three line ends in the same message."""
    chance = random.Random(6)
    _each_frame(lambda _session, data: data + b"\n" * chance.randint(1, 3))


@variant("The order of headers says nothing (STOMP-SEND-004).", bindings=(*V10, *V12))
def headers_come_in_any_order() -> None:
    """The headers of each frame are shuffled."""
    chance = random.Random(7)
    for command in _ALL:
        edit_lines(command, lambda lines: chance.sample(lines, len(lines)))


@variant("A frame may have headers that nobody asked for (STOMP-MESSAGE-006).", bindings=(*V10, *V11, *V12))
def every_frame_has_more_headers() -> None:
    """Each frame has extra headers, from 1.1 on some with escaped octets and some without a value."""
    of_1_0 = [b"server-time:2026-11-24 12:00:00", b"redelivered:false", b"priority:4"]
    later = [b"server-time:12\\c00", b"x-empty:", b"x\\codd\\\\name:two\\nlines", "größe:日本".encode()]

    def edit(session: Session, data: bytes) -> bytes:
        more = of_1_0 if session.version == "1.0" else later
        return data.replace(b"\n", b"\n" + b"\n".join(more) + b"\n", 1)

    for command in ("MESSAGE", "RECEIPT", "ERROR"):
        edit_output(command, edit)
    edit_lines("CONNECTED", lambda lines: [b"x-cluster:a:b", *lines, b"x-last:1"])


@variant("CONNECTED needs no header but the version (STOMP-CONNECT-008).", bindings=(*V10, *V12))
def connected_says_little() -> None:
    """CONNECTED has no session, server or heart-beat header, and the server does not beat."""
    for name in ("session", "server", "heart-beat"):
        drop_header("CONNECTED", name)
    edit_headers(_without_beats)


def _without_beats(_session: Session, frame: Frame) -> Mapping[str, str]:
    if frame.command not in ("CONNECT", "STOMP"):
        return frame.headers
    return {name: value for name, value in frame.headers.items() if name != "heart-beat"}


@variant("`content-length:0` is allowed on any frame (STOMP-BODY-001).", bindings=(*V11, *V12))
def every_frame_is_counted() -> None:
    """RECEIPT and CONNECTED have a content-length of 0."""
    for command in ("CONNECTED", "RECEIPT"):
        edit_lines(command, lambda lines: [b"content-length:0", *lines])


@variant("A body that is empty needs no count, nor does an ERROR need a body.", bindings=(*V10, *V12))
def nothing_is_not_counted() -> None:
    """A MESSAGE without a body has no content-length, and an ERROR has only its message."""

    def edit(_session: Session, data: bytes) -> bytes:
        return re.sub(rb"\ncontent-length:0(?=\n)", b"", data, count=1)

    def shorten(_session: Session, data: bytes) -> bytes:
        head = data.partition(b"\n\n")[0]
        lines = [line for line in head.split(b"\n") if not line.startswith(b"content-")]
        return b"\n".join(lines) + b"\n\n\0"

    edit_output("MESSAGE", edit)
    edit_output("ERROR", shorten)


@variant("An ERROR may have any body, and any headers besides (STOMP-ERROR-006).", bindings=(*V11, *V12))
def an_error_tells_everything() -> None:
    """The body of an ERROR is a long trace with characters of several octets and NULs."""

    def edit(_session: Session, data: bytes) -> bytes:
        head = data.partition(b"\n\n")[0]
        body = ("at größe.日本(🙂)\0\n" * 2000).encode()
        lines = [line for line in head.split(b"\n") if not line.startswith(b"content-")]
        more = [b"content-type:text/plain;charset=utf-8", b"content-length:%d" % len(body)]
        return b"\n".join([*lines, *more]) + b"\n\n" + body + b"\0"

    edit_output("ERROR", edit)


@variant("Later entries of a header may be passed on behind the first (STOMP-REPEAT-002).", bindings=V12)
def headers_are_repeated() -> None:
    """Each header of a frame is repeated with another value, after all original ones."""

    def edit(lines: list[bytes]) -> list[bytes]:
        names = [line.partition(b":")[0] for line in lines]
        return [*lines, *(name + b":second" for name in names if name != b"content-length")]

    for command in ("CONNECTED", "MESSAGE", "RECEIPT", "ERROR"):
        edit_lines(command, edit)


def _name_by(
    write: Callable[[int], str], read: Callable[[str], str], versions: tuple[str, ...] = ("1.0", "1.1", "1.2")
) -> None:
    """Have `write` make the message-id and ack of a MESSAGE from a number; `read` is its inverse."""

    def edit(session: Session, data: bytes) -> bytes:
        if session.version not in versions:
            return data

        def named(found: re.Match[bytes]) -> bytes:
            return found.group(1) + escape(write(int(found.group(2))), session.version).encode()

        head, _, body = data.partition(b"\n\n")
        return re.sub(rb"(\n(?:message-id|ack):)([0-9]+)(?=\n|$)", named, head, count=2) + _ + body

    edit_output("MESSAGE", edit)

    def understand(session: Session, frame: Frame) -> Mapping[str, str]:
        if frame.command not in ("ACK", "NACK") or session.version not in versions:
            return frame.headers
        return {
            name: read(value) if name in ("id", "message-id") else value
            for name, value in frame.headers.items()
        }

    edit_headers(understand)


@variant(
    "Ids are strings of the server's choice (STOMP-MESSAGE-002, STOMP-MESSAGE-004).", bindings=(*V11, *V12)
)
def ids_are_odd_strings() -> None:
    """Ids have blanks, colons, backslashes, line feeds and characters of several octets."""
    start, end = " T_@@a:b\\c/größe🙂 ", "\n%41;= "

    def read(value: str) -> str:
        is_ours = value.startswith(start) and value.endswith(end)
        return value[len(start) : -len(end)] if is_ours else "of nobody"

    # On a session of 1.0 a header can't hold a line feed.
    _name_by(lambda number: f"{start}{number}{end}", read, ("1.1", "1.2"))


@variant(
    "Ids are strings of the server's choice (STOMP-MESSAGE-002, STOMP-MESSAGE-004).", bindings=(*V10, *V12)
)
def ids_are_large_numbers() -> None:
    """Ids are decreasing numbers of thirty digits."""
    top = 10**30 - 1

    def read(value: str) -> str:
        return str(top - int(value)) if value.isdigit() and len(value) == 30 else "of nobody"

    _name_by(lambda number: str(top - number), read)


@variant("An ack may equal the message-id (STOMP-ACK-002).", bindings=V12)
def an_ack_equals_the_message_id() -> None:
    """The message-id of a MESSAGE is the value of its ack, if it has one."""

    def edit(_session: Session, data: bytes) -> bytes:
        head, _, body = data.partition(b"\n\n")
        ack = re.search(rb"\nack:([0-9]+)", head)
        if ack is None:
            return data
        return re.sub(rb"\nmessage-id:[0-9]+", b"\nmessage-id:" + ack.group(1), head, count=1) + _ + body

    edit_output("MESSAGE", edit)


@variant(
    "The names of sessions and servers are theirs to choose (STOMP-CONNECT-009, -010).", bindings=(*V10, *V11)
)
def sessions_have_long_names() -> None:
    """CONNECTED has a session name of a thousand octets with colons, and a server header with a comment."""
    name = Shared.name_session
    replace(Shared, "name_session")(lambda self: f"session:{'x' * 1000}:{name(self)}")
    set_header("CONNECTED", "server", lambda _value: b"odd-broker*2/1.0-SNAPSHOT (a comment: with \\ and /)")
