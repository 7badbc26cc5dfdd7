"""Faults in ERROR and DISCONNECT: last frames, and the state that stays behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.session import Session, State
from reference_server.stomp.subscriptions import Subscription
from tests.mutants.patching import wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import (
    V10,
    V11,
    V12,
    answer_and_go_on,
    close_without_error,
    drop_header,
    overlook,
    wrap_action,
)

if TYPE_CHECKING:
    from reference_server.stomp.frame import Frame

#: Seconds for which a connection goes on after its ERROR in the faults that keep it open.
_GOES_ON = 0.3


# ERROR


@fault("STOMP-ERROR-001", bindings=V12)
def the_connection_stays_open_after_an_error() -> None:
    """A well-formed frame that is refused gets its ERROR, and the connection stays as it was."""
    answer_and_go_on()


@fault("STOMP-ERROR-001", bindings=V12)
def an_unknown_command_is_answered_and_no_more() -> None:
    """The connection stays open after the ERROR for an unknown command."""
    answer_and_go_on("unknown command")


@fault("STOMP-ERROR-002", bindings=V12)
def frames_behind_a_faulty_one_are_obeyed() -> None:
    """The connection is closed some time after the ERROR; until then frames are processed and answered."""
    ending: dict[Session, float] = {}

    @wrap(Session, "refuse")
    def refuse(original: Any, self: Session, error: ProtocolError, frame: Frame | None = None) -> None:
        if self in ending or self._state is not State.LIVE:
            original(self, error, frame)
            return
        ending[self] = self.hub.now + _GOES_ON
        end, self._end = self._end, lambda: None  # type: ignore[method-assign]
        try:
            original(self, error, frame)
        finally:
            self._end = end  # type: ignore[method-assign]
        self.hub.deadlines.set(self, ending[self])

    @wrap(Session, "on_time")
    def on_time(original: Any, self: Session, now: float) -> None:
        if now >= ending.get(self, now + 1):
            self._end()
        original(self, now)

    @wrap(Session, "deadline")
    def deadline(original: Any, self: Session) -> float:
        return min(float(original(self)), ending.get(self, float("inf")))


@fault("STOMP-ERROR-002", bindings=V12)
def a_message_follows_an_error() -> None:
    """The last MESSAGE of a failed session follows its ERROR."""

    @wrap(Session, "refuse")
    def refuse(original: Any, self: Session, error: ProtocolError, frame: Frame | None = None) -> None:
        before = len(self._output)
        late = [each for each in self._output if each.startswith(b"MESSAGE\n")]
        latest = self._latest_message if hasattr(self, "_latest_message") else None
        original(self, error, frame)
        if len(self._output) > before and (late or latest):
            self._output.append(late[-1] if late else latest)

    @wrap(Session, "emit")
    def emit(original: Any, self: Session, data: bytes) -> None:
        if data.startswith(b"MESSAGE\n"):
            self._latest_message = data  # type: ignore[attr-defined]
        original(self, data)


@fault("STOMP-ERROR-003", bindings=V12)
def an_error_has_no_message() -> None:
    """An ERROR has no header `message`."""
    drop_header("ERROR", "message")


@fault("STOMP-ERROR-004", bindings=V12)
def an_error_names_no_receipt() -> None:
    """An ERROR has no receipt-id."""
    drop_header("ERROR", "receipt-id")


@fault("STOMP-ERROR-004", bindings=V11)
def an_error_names_the_receipt_before() -> None:
    """An ERROR has the receipt-id of the latest RECEIPT."""
    latest: dict[Session, str] = {}

    @wrap(Session, "grant")
    def grant(original: Any, self: Session, receipt: str) -> None:
        latest[self] = receipt
        original(self, receipt)

    @wrap(Session, "refuse")
    def refuse(original: Any, self: Session, error: ProtocolError, frame: Frame | None = None) -> None:
        error.receipt = latest.get(self, "none")
        original(self, error, frame)


@fault("STOMP-ERROR-008", bindings=V12)
def a_malformed_frame_ends_without_a_word() -> None:
    """An unreadable frame closes the connection without ERROR."""

    @wrap(Session, "refuse")
    def refuse(original: Any, self: Session, error: ProtocolError, frame: Frame | None = None) -> None:
        if frame is None and self._reader.error is error:
            self._end()
        else:
            original(self, error, frame)


@fault("STOMP-ERROR-008", bindings=V10)
def an_unreadable_length_ends_without_a_word() -> None:
    """A content-length that is not a number closes the connection without ERROR."""
    close_without_error("malformed content-length")


@fault("STOMP-ERROR-009", bindings=V12)
def a_refused_ack_ends_without_a_word() -> None:
    """An ACK or NACK that is refused closes the connection without ERROR."""
    close_without_error("of an unknown message")


@fault("STOMP-ERROR-009", bindings=V11)
def a_refused_commit_gets_an_error_and_no_close() -> None:
    """A COMMIT or ABORT that is refused gets its ERROR, and the connection stays open."""
    answer_and_go_on("no such transaction")


@fault("STOMP-ERROR-009", bindings=V10)
def a_second_connect_is_dropped() -> None:
    """A second CONNECT is not answered."""
    overlook("already connected")


# DISCONNECT


@fault("STOMP-DISCONNECT-001", bindings=V12)
def a_disconnect_is_not_receipted() -> None:
    """A DISCONNECT closes the connection at once, with or without a receipt."""

    @wrap_action("DISCONNECT")
    def disconnect(action: Any, self: Session, frame: Frame) -> bool:
        action(self, frame)
        return False


@fault("STOMP-DISCONNECT-001", bindings=V10)
def frames_before_a_disconnect_are_dropped() -> None:
    """Frames that arrive together with a DISCONNECT are dropped, and the DISCONNECT gets its RECEIPT."""

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: list[Any], now: float, queue_now: float) -> None:
        last = items[-1:] if items and getattr(items[-1], "command", "") == "DISCONNECT" else items
        original(self, last, now, queue_now)


@fault("STOMP-DISCONNECT-004", bindings=V12)
def a_disconnect_without_receipt_is_an_error() -> None:
    """A DISCONNECT without receipt is answered by ERROR."""

    @wrap_action("DISCONNECT")
    def disconnect(action: Any, self: Session, frame: Frame) -> bool:
        if "receipt" not in frame.headers:
            raise ProtocolError("session closed", "It was you who closed it.")
        return bool(action(self, frame))


@fault("STOMP-DISCONNECT-004", bindings=V10)
def a_session_lives_on_after_a_disconnect() -> None:
    """A DISCONNECT without receipt is ignored: the session ends with its connection."""

    @wrap(Session, "_process")
    def obey(original: Any, self: Session, frame: Frame) -> None:
        if frame.command != "DISCONNECT" or "receipt" in frame.headers or self._state is not State.LIVE:
            original(self, frame)


@fault("STOMP-DISCONNECT-005", bindings=V12)
def a_session_outlives_its_connection() -> None:
    """A session ends only by DISCONNECT; messages go to subscriptions of lost connections."""

    @wrap(Session, "lost")
    def lost(original: Any, self: Session, now: float) -> None:
        if self.closing or not self.subscriptions._by_id:
            original(self, now)


@fault("STOMP-DISCONNECT-005", bindings=V11)
def only_the_newest_subscription_ends_with_the_connection() -> None:
    """When a session with several subscriptions is lost, only the last is ended; the others go on taking messages."""
    kept: list[Any] = []

    @wrap(Session, "lost")
    def lost(original: Any, self: Session, now: float) -> None:
        book = self.subscriptions
        if not self.closing and len(book._by_id) > 1:
            kept.extend(book._by_id.pop(identifier) for identifier in list(book._by_id)[:-1])
        original(self, now)

    @wrap(Subscription, "can_take")
    def can_take(original: Any, self: Subscription) -> bool:
        return self in kept or bool(original(self))
