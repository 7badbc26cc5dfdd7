"""Oddities in the ids of messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.mutants.registry import variant
from tests.mutants.stomp_editing import V10, V12, edit_headers, edit_output, set_header

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reference_server.stomp.frame import Frame
    from reference_server.stomp.session import Session


@variant(
    "Ids are strings of the server's choice (STOMP-MESSAGE-002, STOMP-MESSAGE-004).", bindings=(*V10, *V12)
)
def ids_are_large_numbers() -> None:
    """Ids are decreasing numbers of thirty digits."""
    top = 10**30 - 1
    for name in ("message-id", "ack"):
        set_header("MESSAGE", name, lambda value: b"%d" % (top - int(value)))

    def read(value: str) -> str:
        return str(top - int(value)) if value.isdigit() and len(value) == 30 else "of nobody"

    def understand(_session: Session, frame: Frame) -> Mapping[str, str]:
        if frame.command not in ("ACK", "NACK"):
            return frame.headers
        return {
            name: read(value) if name in ("id", "message-id") else value
            for name, value in frame.headers.items()
        }

    edit_headers(understand)


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
