"""Faults in the queue's binding to STOMP: endpoints, replies, receipts, the lenient endpoints."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

import msgspec
from websockets.exceptions import NegotiationError

from reference_server.server import websocket
from reference_server.server.application import Application
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import Frame, FrameReader
from reference_server.stomp.queue_binding import QueueBinding
from reference_server.stomp.router import Router
from reference_server.stomp.session import Session, State
from tests.mutants.editing import topic_of
from tests.mutants.patching import wrap
from tests.mutants.registry import STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_server.queue.outcomes import Outcome
    from reference_server.stomp.destinations import Message


@fault("QSTOMP-ENDPOINT-1", bindings=STOMP)
def there_is_no_endpoint_for_producers() -> None:
    """The endpoint `/producer` does not exist."""
    del websocket.ENDPOINTS["/producer"]


@fault("QSTOMP-SUBPROTOCOL-1", bindings=STOMP)
def one_subprotocol_at_a_time() -> None:
    """A client that offers several subprotocols is refused."""

    @wrap(websocket, "_select")
    def select(original: Any, protocol: Any, offered: Sequence[Any]) -> Any:
        if len(offered) > 1:
            raise NegotiationError("offer one subprotocol")
        return original(protocol, offered)


@fault("QSTOMP-SEND-1", bindings=STOMP)
def groups_are_not_removed_over_stomp() -> None:
    """A SEND to /consumer-group/remove is dropped."""

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, session: Session, frame: Frame) -> bool:
        if frame.headers["destination"] == "/consumer-group/remove":
            return True
        done: bool = original(self, session, frame)
        return done


@fault("QSTOMP-DEST-1", bindings=STOMP)
def unknown_destinations_are_ignored() -> None:
    """A SEND to an unknown destination is silently dropped."""

    @wrap(Router, "send")
    def send(original: Any, self: Router, session: Session, frame: Frame) -> bool:
        try:
            done: bool = original(self, session, frame)
        except ProtocolError as error:
            if "receipt" in frame.headers or "unknown destination" not in error.summary:
                raise
            return True
        return done


def _edit_replies(edit: Any) -> None:
    """Have `edit(address, message)` change each reply."""

    @wrap(QueueBinding, "_reply")
    def reply(original: Any, self: QueueBinding, address: Any, outcome: Outcome) -> Message:
        message: Message = original(self, address, outcome)
        changed: Message = edit(address, message)
        return changed


@fault("QSTOMP-REPLY-1", bindings=STOMP)
def replies_tell_their_status_in_words() -> None:
    """The status of a reply is `OK` or `FAILED`."""

    def edit(_address: Any, message: Message) -> Message:
        status = "OK" if message.headers["status"] < "400" else "FAILED"
        return msgspec.structs.replace(message, headers={**message.headers, "status": status})

    _edit_replies(edit)


@fault("QSTOMP-REPLY-1", bindings=STOMP)
def refusals_do_not_correlate() -> None:
    """The reply to a refused acknowledgement has no correlation-id."""

    def edit(_address: Any, message: Message) -> Message:
        if b"not-in-flight" not in message.body:
            return message
        headers = {name: value for name, value in message.headers.items() if name != "correlation-id"}
        return msgspec.structs.replace(message, headers=headers)

    _edit_replies(edit)


@fault("QSTOMP-REPLY-2", bindings=STOMP)
def replies_go_to_all_sessions() -> None:
    """Every session that is subscribed to replies gets the replies to all sessions."""

    @wrap(QueueBinding, "_answer")
    def answer(original: Any, self: QueueBinding, address: Any, outcome: Outcome) -> None:
        for session, subscribers in tuple(self._replies.items()):
            if session is not address.outlet:
                subscribers.put(self._reply(address, outcome))
        original(self, address, outcome)


@fault("QSTOMP-RECEIPT-1", bindings=STOMP)
def receipts_need_a_subscription_to_replies() -> None:
    """Operations of a session that is not subscribed to replies get no RECEIPT."""

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, session: Session, frame: Frame) -> bool:
        done: bool = original(self, session, frame)
        return done and (session in self._replies or topic_of(frame.headers["destination"]) is not None)


@fault("QSTOMP-RECEIPT-1", bindings=STOMP)
def an_empty_poll_gets_no_receipt() -> None:
    """An empty poll gets no RECEIPT."""
    empty: set[Session] = set()

    @wrap(QueueBinding, "_answer")
    def answer(original: Any, self: QueueBinding, address: Any, outcome: Outcome) -> None:
        if outcome.status == 204:
            empty.add(address.outlet)
        original(self, address, outcome)

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, session: Session, frame: Frame) -> bool:
        empty.discard(session)
        done: bool = original(self, session, frame)
        return done and session not in empty


@fault("QSTOMP-RECEIPT-2", bindings=STOMP)
def refused_operations_get_receipts() -> None:
    """A refused operation gets its RECEIPT, unless it publishes."""

    @wrap(QueueBinding, "_answer")
    def answer(original: Any, self: QueueBinding, address: Any, outcome: Outcome) -> None:
        try:
            original(self, address, outcome)
        except ProtocolError:
            if outcome.acknowledgement is not None:
                raise


@fault("QSTOMP-QUIET-1", bindings=STOMP)
def refusals_end_sessions_without_replies() -> None:
    """A refused operation of a session that is not subscribed to replies ends the session."""

    @wrap(QueueBinding, "_answer")
    def answer(original: Any, self: QueueBinding, address: Any, outcome: Outcome) -> None:
        original(self, address, outcome)
        if outcome.status >= 400 and address.outlet not in self._replies:
            raise ProtocolError("operation refused", "See above.")


def _begin_in(state: State, *, lenient: bool) -> None:
    @wrap(Session, "__init__")
    def begin(original: Any, self: Session, shared: Any, **named: Any) -> None:
        original(self, shared, **named)
        if named["lenient"] is lenient:
            self._enter(state)


@fault("QSTOMP-BARE-1", bindings=STOMP)
def producers_have_to_connect() -> None:
    """On `/producer` and `/consumer` a session must begin with CONNECT."""
    _begin_in(State.OPENED, lenient=True)


@fault("QSTOMP-BARE-2", bindings=STOMP)
def nobody_has_to_connect() -> None:
    """On `/stomp` a session may begin with any frame."""
    _begin_in(State.BARE, lenient=False)


@fault("QSTOMP-STOMPER-1", bindings=STOMP)
def a_line_end_behind_a_frame_is_malformed() -> None:
    """A frame with a line end behind its NUL is answered by ERROR."""

    @wrap(FrameReader, "feed")
    def feed(original: Any, self: FrameReader, data: bytes) -> list[Frame]:
        frames: list[Frame] = original(self, data)
        if data.endswith(b"\0\n") and self.error is None:
            self.error = ProtocolError("octets behind a frame", "Begin the next frame behind the NUL.")
            return []
        return frames


@fault("QSTOMP-STOMPER-2", bindings=STOMP)
def a_disconnect_needs_its_empty_line() -> None:
    """On `/producer` and `/consumer` a DISCONNECT without an empty line is malformed."""

    @wrap(FrameReader, "_head_without_empty_line")
    def head(original: Any, self: FrameReader, data: bytes, position: int, nul: int) -> int:
        lenient, self._lenient = self._lenient, False
        try:
            return int(original(self, data, position, nul))
        finally:
            self._lenient = lenient


@fault("ORDER-3", bindings=STOMP, hard=True)
def sends_overtake_each_other() -> None:
    """SENDs that publish and ask for nothing are processed by several threads, in any order."""
    chance = random.Random(3)

    @wrap(Application, "handle")
    def handle(original: Any, self: Application, session: Session, items: list[Any]) -> None:
        for item in items:
            if isinstance(item, Frame) and _is_plain_publish(item):
                threading.Timer(chance.random() * 0.004, original, (self, session, [item])).start()
            else:
                original(self, session, [item])
        if not items:
            original(self, session, items)


def _is_plain_publish(frame: Frame) -> bool:
    headers = frame.headers
    is_publish = frame.command == "SEND" and topic_of(headers.get("destination", "")) is not None
    return is_publish and not {"receipt", "transaction", "correlation-id"} & headers.keys()
