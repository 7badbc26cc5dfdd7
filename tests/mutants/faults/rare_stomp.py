"""Faults of plain STOMP that hit one message, ACK or RECEIPT in 20, 100, 300, 500 or 1000."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reference_server.stomp.destinations import Destinations, Message
from tests.mutants.patching import wrap
from tests.mutants.rarely import Rarely, rare_faults
from tests.mutants.stomp_editing import V10, V11, V12, edit_output, wrap_action

if TYPE_CHECKING:
    from reference_server.stomp.frame import Frame
    from reference_server.stomp.session import Session


@rare_faults("STOMP-SEND-002", "STOMP-SUB-001", "STOMP-SUB-014", bindings=V11)
def a_message_is_lost(happens: Rarely) -> None:
    """A message is accepted and never delivered."""

    @wrap(Destinations, "put")
    def put(original: Any, self: Destinations, message: Message) -> None:
        if not happens():
            original(self, message)


@rare_faults("STOMP-SUB-007", "STOMP-SUB-008", "STOMP-SUB-014", "STOMP-SUB-001", bindings=V10)
def a_message_is_delivered_twice(happens: Rarely) -> None:
    """A message is delivered twice."""

    @wrap(Destinations, "put")
    def put(original: Any, self: Destinations, message: Message) -> None:
        original(self, message)
        if happens():
            original(self, message)


@rare_faults("STOMP-MESSAGE-002", bindings=V12)
def a_message_id_is_that_of_another(happens: Rarely) -> None:
    """A MESSAGE has the message-id of the one before on its connection."""
    last: dict[Session, bytes] = {}
    pattern = re.compile(rb"\nmessage-id:[^\n]*")

    def edit(session: Session, data: bytes) -> bytes:
        found = pattern.search(data)
        assert found is not None
        before = last.get(session)
        last[session] = found.group()
        return pattern.sub(before, data, count=1) if before and happens() else data

    edit_output("MESSAGE", edit)


@rare_faults("STOMP-RECEIPT-001", bindings=V12)
def a_receipt_is_missing(happens: Rarely) -> None:
    """A SEND gets no RECEIPT."""

    @wrap_action("SEND")
    def send(action: Any, self: Session, frame: Frame) -> bool:
        done = bool(action(self, frame))
        return done and not ("receipt" in frame.headers and happens())


@rare_faults("STOMP-RECEIPT-001", bindings=V10)
def a_receipt_comes_twice(happens: Rarely) -> None:
    """A SEND gets two RECEIPTs."""

    @wrap_action("SEND")
    def send(action: Any, self: Session, frame: Frame) -> bool:
        done = bool(action(self, frame))
        if done and "receipt" in frame.headers and happens():
            self.grant(frame.headers["receipt"])
        return done


@rare_faults("STOMP-ACK-002", bindings=V12)
def an_ack_is_forgotten(happens: Rarely) -> None:
    """An ACK is ignored, so that its message comes again when the session ends."""

    @wrap_action("ACK")
    def ack(action: Any, self: Session, frame: Frame) -> bool:
        return True if happens() else bool(action(self, frame))
