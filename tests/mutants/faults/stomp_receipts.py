"""Faults in RECEIPT: missing, wrong, early and extra ones."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from reference_server.stomp.session import Session
from tests.mutants.patching import wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import V10, V11, V12, set_header, wrap_action

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_server.stomp.frame import Frame

#: Seconds by which the faults that store late delay a SEND without receipt.
_PUT_OFF = 0.05


@fault("STOMP-RECEIPT-001", bindings=V12)
def a_nack_is_not_receipted() -> None:
    """A NACK that asks for a receipt gets none."""

    @wrap_action("NACK")
    def reject(action: Any, self: Session, frame: Frame) -> bool:
        action(self, frame)
        return False


@fault("STOMP-RECEIPT-001", bindings=V10)
def an_unsubscribe_is_receipted_twice() -> None:
    """An UNSUBSCRIBE that asks for a receipt gets two."""

    @wrap_action("UNSUBSCRIBE")
    def unsubscribe(action: Any, self: Session, frame: Frame) -> bool:
        done = bool(action(self, frame))
        if "receipt" in frame.headers:
            self.grant(frame.headers["receipt"])
        return done


@fault("STOMP-RECEIPT-001", bindings=V11, hard=True)
def one_receipt_in_a_hundred_is_lost() -> None:
    """Every hundredth RECEIPT of a SEND is not sent."""
    numbers = itertools.count(1)

    @wrap_action("SEND")
    def send(action: Any, self: Session, frame: Frame) -> bool:
        done = bool(action(self, frame))
        return done and not ("receipt" in frame.headers and next(numbers) % 100 == 0)


@fault("STOMP-RECEIPT-002", bindings=V12)
def a_receipt_id_is_trimmed() -> None:
    """RECEIPT removes blanks around the receipt value."""
    set_header("RECEIPT", "receipt-id", bytes.strip)


@fault("STOMP-RECEIPT-002", bindings=V11)
def a_receipt_id_is_cut_at_1024_octets() -> None:
    """A receipt-id is cut to 1,024 octets."""
    set_header("RECEIPT", "receipt-id", lambda value: value[:1024])


@fault("STOMP-RECEIPT-002", bindings=V10)
def a_receipt_has_a_number_of_its_own() -> None:
    """The receipt-id is the client's value followed by a number of the server."""
    numbers = itertools.count(1)
    set_header("RECEIPT", "receipt-id", lambda value: value + b"-%d" % next(numbers))


@fault("STOMP-RECEIPT-003", bindings=V12)
def a_receipt_comes_before_the_work() -> None:
    """A frame gets its RECEIPT on arrival; an ERROR may follow."""

    @wrap(Session, "_process")
    def obey(original: Any, self: Session, frame: Frame) -> None:
        receipt = frame.headers.get("receipt")
        if receipt is None or frame.command in ("CONNECT", "STOMP", "DISCONNECT", "SEND"):
            original(self, frame)
            return
        self.grant(receipt)
        grant, self.grant = self.grant, lambda _receipt: None  # type: ignore[method-assign]
        try:
            original(self, frame)
        finally:
            self.grant = grant  # type: ignore[method-assign]


@fault("STOMP-RECEIPT-003", bindings=V10)
def an_error_is_receipted_too() -> None:
    """A frame that is refused gets its ERROR and then its RECEIPT."""

    @wrap(Session, "_end")
    def end(original: Any, self: Session) -> None:
        if self._output and self._output[-1].startswith(b"ERROR\n"):
            for line in self._output[-1].split(b"\n"):
                if line.startswith(b"receipt-id:"):
                    self.emit(b"RECEIPT\n%b\n\n\0" % line)
        original(self)


@fault("STOMP-RECEIPT-008", bindings=V12)
def who_asks_for_none_gets_an_empty_receipt() -> None:
    """A SEND without receipt gets a RECEIPT whose receipt-id is empty."""

    @wrap_action("SEND")
    def send(action: Any, self: Session, frame: Frame) -> bool:
        done = bool(action(self, frame))
        if done and "receipt" not in frame.headers:
            self.grant("")
        return done


@fault("STOMP-RECEIPT-008", bindings=V11)
def the_last_receipt_is_granted_again() -> None:
    """An UNSUBSCRIBE without receipt gets the latest RECEIPT again."""
    latest: dict[Session, str] = {}

    @wrap(Session, "grant")
    def grant(original: Any, self: Session, receipt: str) -> None:
        latest[self] = receipt
        original(self, receipt)

    @wrap_action("UNSUBSCRIBE")
    def unsubscribe(action: Any, self: Session, frame: Frame) -> bool:
        done = bool(action(self, frame))
        if "receipt" not in frame.headers:
            self.grant(latest.get(self, "none"))
        return done


def _put_off_sends(forget: Callable[[Any], None]) -> None:
    """Process SENDs without receipt a moment later; `forget` patches the event that drops waiting ones."""
    waiting: dict[Session, list[tuple[float, Any, Frame]]] = {}

    @wrap_action("SEND")
    def send(action: Any, self: Session, frame: Frame) -> bool:
        if {"receipt", "transaction"} & frame.headers.keys() or "destination" not in frame.headers:
            return bool(action(self, frame))
        if not frame.headers["destination"].startswith(("/topic/", "/queue/")):
            return bool(action(self, frame))
        due = self.hub.now + _PUT_OFF
        waiting.setdefault(self, []).append((due, action, frame))
        self.hub.deadlines.set(self, due)
        return True

    @wrap(Session, "on_time")
    def on_time(original: Any, self: Session, now: float) -> None:
        due = [each for each in waiting.get(self, ()) if each[0] <= now]
        if due:
            waiting[self] = [each for each in waiting[self] if each[0] > now]
        for _, action, frame in due:
            action(self, frame)
        original(self, now)

    @wrap(Session, "deadline")
    def deadline(original: Any, self: Session) -> float:
        times = [each[0] for each in waiting.get(self, ())]
        return min([float(original(self)), *times])

    forget(waiting)


@fault("STOMP-RECEIPT-004", bindings=V12, hard=True)
def a_receipt_comes_before_earlier_messages_are_stored() -> None:
    """SENDs without receipt are stored a moment later than others, and lost if the connection is cut first."""

    def forget(waiting: dict[Session, Any]) -> None:
        @wrap(Session, "lost")
        def lost(original: Any, self: Session, now: float) -> None:
            waiting.pop(self, None)
            original(self, now)

    _put_off_sends(forget)


@fault("STOMP-RECEIPT-006", "STOMP-DISCONNECT-001", bindings=V12)
def what_waits_is_dropped_at_disconnect() -> None:
    """Frames that are received but not yet processed are dropped when the client disconnects."""

    def forget(waiting: dict[Session, Any]) -> None:
        @wrap_action("DISCONNECT")
        def disconnect(action: Any, self: Session, frame: Frame) -> bool:
            waiting.pop(self, None)
            return bool(action(self, frame))

        @wrap(Session, "lost")
        def lost(original: Any, self: Session, now: float) -> None:
            if not self.closing:
                for _, action, frame in waiting.pop(self, ()):
                    action(self, frame)
            original(self, now)

    _put_off_sends(forget)
