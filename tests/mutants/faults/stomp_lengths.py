"""Faults in bodies: their length and their type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.stomp.destinations import Destinations, Message
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import Frame, FrameReader
from tests.mutants.patching import wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import (
    V10,
    V11,
    V12,
    drop_header,
    edit_input,
    edit_lines,
    edit_octets,
    edit_output,
    set_header,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_server.stomp.session import Session

_COUNTED = re.compile(rb"^(SEND\n(?:[^\n\0]+\n)*?content-length:([0-9]+)\n(?:[^\n\0]+\n)*\n)")


def _edit_messages(edit: Callable[[Message], Message]) -> None:
    """Have `edit` change each message before a destination gets it."""

    @wrap(Destinations, "put")
    def put(original: Any, self: Destinations, message: Message) -> None:
        original(self, edit(message))


def _read_length_by(change: Callable[[str, int | None], int | None]) -> None:
    """Have `change(command, length)` choose the counted length of a body in octets; None: it ends at its NUL."""

    @wrap(FrameReader, "_read_head")
    def read(original: Any, self: FrameReader, head: bytes) -> Any:
        command, headers, length = original(self, head)
        return command, headers, change(command, length)


@fault("STOMP-CLEN-001", bindings=V12)
def a_length_is_not_looked_at() -> None:
    """A body ends at its first NUL, in spite of its content-length."""
    _read_length_by(lambda _command, _length: None)


@fault("STOMP-CLEN-001", "STOMP-SEND-005", bindings=V11)
def a_body_is_truncated_at_nul() -> None:
    """The part of a body after a NUL is not passed on."""
    _edit_messages(lambda message: msgspec.structs.replace(message, body=message.body.split(b"\0")[0]))


@fault("STOMP-CLEN-001", bindings=V12, hard=True)
def a_nul_at_the_end_of_a_body_is_lost() -> None:
    """NULs at the end of a body are read as the end of the frame."""
    _edit_messages(lambda message: msgspec.structs.replace(message, body=message.body.rstrip(b"\0")))


@fault("STOMP-CLEN-011", bindings=V10)
def a_length_is_not_looked_at_in_1_0() -> None:
    """On a session of 1.0 a body ends at its first NUL, in spite of its content-length."""
    _read_length_by(lambda _command, _length: None)


def _recount(rest: Callable[[bytes], bytes]) -> None:
    """End a frame after its counted body even without a NUL there; `rest` chooses the octets that are read next."""

    def edit(_reader: FrameReader, data: bytes) -> bytes:
        found = _COUNTED.match(data)
        if found is None:
            return data
        end = found.end() + int(found.group(2))
        if data[end : end + 1] in (b"", b"\0"):
            return data
        return data[:end] + b"\0" + rest(data[end:])

    edit_octets(edit)


@fault("STOMP-CLEN-002", bindings=V12)
def what_a_count_leaves_out_is_dropped() -> None:
    """The octets of a body beyond its content-length are skipped, and the counted part is delivered."""
    _recount(lambda rest: rest.partition(b"\0")[2])


@fault("STOMP-CLEN-002", bindings=V10)
def the_octet_behind_a_counted_body_is_skipped() -> None:
    """The octet after a counted body is skipped in place of the NUL, and the next frame starts after it."""
    _recount(lambda rest: rest[1:])


@fault("STOMP-CLEN-003", bindings=V12)
def a_message_of_text_has_no_length() -> None:
    """A MESSAGE without NUL in its body has no content-length."""

    def edit(_session: Session, data: bytes) -> bytes:
        head, _, body = data.partition(b"\n\n")
        return data if b"\0" in body[:-1] else re.sub(rb"\ncontent-length:[0-9]+", b"", head) + _ + body

    edit_output("MESSAGE", edit)


@fault("STOMP-CLEN-004", bindings=V12)
def an_error_has_no_length() -> None:
    """The ERROR frame has no content-length."""
    drop_header("ERROR", "content-length")


@fault("STOMP-CLEN-005", "STOMP-CLEN-003", bindings=V12)
def no_message_has_a_length() -> None:
    """A MESSAGE never has a content-length."""
    drop_header("MESSAGE", "content-length")


@fault("STOMP-CLEN-006", bindings=V12)
def characters_are_counted_on_the_way_in() -> None:
    """The content-length of a SEND is read as a number of characters."""

    def edit(_reader: FrameReader, data: bytes) -> bytes:
        found = _COUNTED.match(data)
        if found is None:
            return data
        text = data[found.end() :].decode(errors="surrogateescape")
        octets = len(text[: int(found.group(2))].encode(errors="surrogateescape"))
        return data.replace(b"content-length:" + found.group(2), b"content-length:%d" % octets, 1)

    edit_octets(edit)


@fault("STOMP-CLEN-006", bindings=V11)
def characters_are_counted_on_the_way_out() -> None:
    """The content-length of a MESSAGE is the number of its characters."""

    def edit(_session: Session, data: bytes) -> bytes:
        head, _, body = data.partition(b"\n\n")
        count = len(body[:-1].decode(errors="replace"))
        return re.sub(rb"\ncontent-length:[0-9]+", b"\ncontent-length:%d" % count, head) + _ + body

    edit_output("MESSAGE", edit)


@fault("STOMP-CLEN-007", bindings=V12)
def a_body_ends_with_its_message() -> None:
    """Without content-length the frame is all of a WebSocket message, up to its last NUL."""

    def edit(_reader: FrameReader, data: bytes) -> bytes:
        found = re.match(rb"^SEND\n(?:[^\n\0]+\n)+?\n", data)
        if found is None or b"\ncontent-length:" in found.group() or not data.endswith(b"\0"):
            return data
        body = data[found.end() : -1]
        if b"\0" not in body:
            return data
        return b"SEND\ncontent-length:%d\n" % len(body) + data[5:]

    edit_octets(edit)


@fault("STOMP-CLEN-007", bindings=V10)
def the_last_line_end_of_a_body_is_lost() -> None:
    """A body without content-length loses the line end before its NUL."""
    edit_input(
        lambda _session, frame: (
            frame
            if "content-length" in frame.headers
            else msgspec.structs.replace(frame, body=frame.body.removesuffix(b"\n"))
        )
    )


@fault("STOMP-CLEN-008", bindings=V12)
def only_a_send_is_counted() -> None:
    """The content-length of another frame than SEND is ignored."""
    _read_length_by(lambda command, length: length if command == "SEND" else None)


@fault("STOMP-CLEN-010", bindings=V12)
def a_length_belongs_to_send() -> None:
    """A content-length on a frame without a body is refused."""

    def check(_session: Session, frame: Frame) -> Frame:
        if "content-length" in frame.headers and frame.command != "SEND":
            raise ProtocolError("content-length without a body", "Only SEND has one.")
        return frame

    edit_input(check)


@fault("STOMP-CTYPE-001", bindings=V12)
def a_content_type_has_no_parameters() -> None:
    """The content-type of a MESSAGE lacks its parameters."""
    set_header("MESSAGE", "content-type", lambda value: value.partition(b";")[0])


@fault("STOMP-CTYPE-001", bindings=V11)
def a_content_type_is_not_passed_on() -> None:
    """A MESSAGE has no content-type."""
    drop_header("MESSAGE", "content-type")


@fault("STOMP-CTYPE-002", bindings=V12)
def an_error_has_no_content_type() -> None:
    """The body of an ERROR has no content-type."""
    drop_header("ERROR", "content-type")


@fault("STOMP-CTYPE-003", bindings=V12)
def the_type_of_an_error_is_text() -> None:
    """The content-type of an ERROR is `text`."""
    set_header("ERROR", "content-type", lambda _value: b"text")


@fault("STOMP-CTYPE-003", bindings=V12)
def the_type_of_a_message_is_bytes() -> None:
    """A MESSAGE whose SEND had no content-type has the content-type `bytes`."""

    def edit(lines: list[bytes]) -> list[bytes]:
        has_one = any(line.startswith(b"content-type:") for line in lines)
        return lines if has_one else [*lines, b"content-type:bytes"]

    edit_lines("MESSAGE", edit)


@fault("STOMP-CTYPE-004", bindings=V11)
def the_type_of_an_error_is_plain() -> None:
    """The content-type of an ERROR is `plain`."""
    set_header("ERROR", "content-type", lambda _value: b"plain")
