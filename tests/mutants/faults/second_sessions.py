"""Faults of STOMP sessions in a second rewrite: beats, lengths, ids, transactions and the binding of the queue.

Their models are public reports on ActiveMQ (AMQ-4710, AMQ-7211), RabbitMQ, Spring's broker, stompit and Vert.x, and the
slips of languages: empty strings that count as false, numbers with a leading zero, fields that keep the last value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_server.stomp import frame as frames
from reference_server.stomp import liveness
from reference_server.stomp import session as sessions
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import Frame
from reference_server.stomp.negotiation import Intervals
from reference_server.stomp.outlet import Outlet
from reference_server.stomp.session import Session
from reference_server.stomp.subscriptions import AckMode, Delivery, Subscriptions
from reference_server.stomp.transactions import Settlement, Transactions
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import V11, V12, edit_headers, edit_output, wrap_action

if TYPE_CHECKING:
    from collections.abc import Mapping


# Heart-beats


@fault("STOMP-HEARTBEAT-005", bindings=V12)
def who_promises_no_beats_gets_none() -> None:
    """A client that sends no beats itself gets none, though it asks for them: one of both ends both."""
    right = sessions.agree_on_heartbeats

    @replace(sessions, "agree_on_heartbeats")
    def agree(headers: Mapping[str, str], smallest: float) -> Intervals:
        agreed = right(headers, smallest)
        return agreed if agreed.client else Intervals()


@fault("STOMP-HEARTBEAT-005", bindings=V11)
def a_frame_saves_the_next_beat() -> None:
    """A timer that finds that something was sent in its interval sleeps for a whole one more, as ActiveMQ did."""
    sent: set[Session] = set()
    liveness._EARLY = 1.0

    @wrap(Session, "emit")
    def emit(original: Any, self: Session, data: bytes) -> None:
        if data != b"\n":
            sent.add(self)
        elif self in sent:
            sent.discard(self)
            return
        original(self, data)


@fault("STOMP-HEARTBEAT-005", bindings=V12)
def no_beats_while_a_transaction_is_open() -> None:
    """While a transaction of the session is open there are no beats."""

    @wrap(Session, "emit")
    def emit(original: Any, self: Session, data: bytes) -> None:
        if data != b"\n" or not self._transactions._open:
            original(self, data)


@fault("STOMP-HEARTBEAT-007", "STOMP-HEARTBEAT-009", bindings=V12)
def a_subscriber_that_only_beats_is_dropped() -> None:
    """Line ends count as signs of life until the first subscription; then only frames do."""
    heard: dict[Session, float] = {}

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: Any, now: float, queue_now: float) -> None:
        if items:
            heard[self] = now
        original(self, items, now, queue_now)
        if self.subscriptions._by_id and self.liveness.intervals.client:
            self.liveness.heard_at = heard.get(self, now)
            self._schedule()


# Lengths, values and ids


@fault("STOMP-CLEN-002", bindings=V12)
def a_length_of_0_is_none() -> None:
    """`content-length:0` counts as no length, so that the body goes on to the first NUL."""
    right = frames._read_length

    @replace(frames, "_read_length")
    def read(length: str) -> int | None:
        return right(length) or None


@fault("STOMP-CLEN-001", "STOMP-CLEN-011", bindings=V12)
def a_length_with_a_leading_zero_is_octal() -> None:
    """`content-length:010` is 8, as some libraries read it."""
    right = frames._read_length

    @replace(frames, "_read_length")
    def read(length: str) -> int:
        number = right(length)
        is_octal = len(length) > 1 and length[0] == "0" and not set(length) & {"8", "9"}
        return int(length, 8) if is_octal else number


@fault("STOMP-RECEIPT-001", "STOMP-RECEIPT-002", bindings=V12)
def an_empty_receipt_is_none() -> None:
    """A frame whose receipt is empty gets no RECEIPT."""
    edit_headers(
        lambda _session, frame: {
            name: value for name, value in frame.headers.items() if name != "receipt" or value
        }
    )


@fault("STOMP-SUB-001", "STOMP-ABNF-006", bindings=V12)
def an_empty_id_is_none() -> None:
    """A SUBSCRIBE whose id is empty is refused as one without."""

    @wrap(Subscriptions, "check")
    def check(original: Any, self: Subscriptions, headers: Mapping[str, str]) -> Any:
        if headers.get("id") == "":
            raise ProtocolError("SUBSCRIBE without id", "Give each subscription its own id.")
        return original(self, headers)


@fault("STOMP-MESSAGE-003", "STOMP-SUB-001", bindings=V12)
def ids_of_digits_are_numbers() -> None:
    """The id `007` is 7: it is in use where 7 is, and MESSAGE names 7."""

    def edit(_session: Session, frame: Frame) -> Mapping[str, str]:
        name = frame.headers.get("id", "")
        if frame.command in ("SUBSCRIBE", "UNSUBSCRIBE") and name.isascii() and name.isdigit():
            return {**frame.headers, "id": str(int(name))}
        return frame.headers

    edit_headers(edit)


@fault("STOMP-SUB-001", "STOMP-SUB-005", "STOMP-MESSAGE-003", bindings=V11)
def ids_of_subscriptions_have_no_case() -> None:
    """The id `News` is in use where `news` is."""

    @wrap(Subscriptions, "check")
    def check(original: Any, self: Subscriptions, headers: Mapping[str, str]) -> Any:
        name = headers.get("id")
        if name is not None and name.lower() in {each.lower() for each in self._by_id}:
            raise ProtocolError("subscription id in use", "Choose another id.")
        return original(self, headers)


@fault("STOMP-TX-012", bindings=V12)
def names_of_transactions_have_no_case() -> None:
    """`T` is open where `t` is: a second BEGIN is refused."""

    def edit(_session: Session, frame: Frame) -> Mapping[str, str]:
        name = frame.headers.get("transaction")
        return frame.headers if name is None else {**frame.headers, "transaction": name.lower()}

    edit_headers(edit)


@fault("STOMP-TX-012", bindings=V11)
def names_of_transactions_are_trimmed() -> None:
    """`t` and ` t` are one transaction."""

    def edit(_session: Session, frame: Frame) -> Mapping[str, str]:
        name = frame.headers.get("transaction")
        return frame.headers if name is None else {**frame.headers, "transaction": name.strip(" ")}

    edit_headers(edit)


# ERROR frames


@fault("STOMP-ENC-004", "STOMP-ABNF-004", "STOMP-ERROR-004", bindings=V12)
def a_receipt_in_an_error_is_not_escaped() -> None:
    """The `receipt-id` of an ERROR is written without escapes, and that of a RECEIPT with them."""

    def edit(_session: Session, data: bytes) -> bytes:
        head, gap, body = data.partition(b"\n\n")
        lines = head.split(b"\n")
        plain = [
            line.replace(b"\\c", b":").replace(b"\\\\", b"\\") if line.startswith(b"receipt-id:") else line
            for line in lines
        ]
        return b"\n".join(plain) + gap + body

    edit_output("ERROR", edit)


@fault("STOMP-ABNF-001", "STOMP-ABNF-004", "STOMP-SEND-003", bindings=V12)
def an_error_quotes_the_destination_as_it_is() -> None:
    """The message of an ERROR for an unknown destination quotes it with its line feeds and colons."""
    latest: dict[Session, str] = {}

    @wrap(Session, "_process")
    def process(original: Any, self: Session, frame: Frame) -> None:
        latest[self] = frame.headers.get("destination", "")
        original(self, frame)

    def edit(session: Session, data: bytes) -> bytes:
        where = latest.get(session, "").encode()
        return data.replace(b"message:unknown destination\n", b"message:unknown destination " + where + b"\n")

    edit_output("ERROR", edit)


@fault("STOMP-ERROR-004", bindings=V11)
def an_error_has_the_receipt_of_the_last_frame_of_its_read() -> None:
    """An ERROR names the receipt of the last frame that came with the faulty one."""
    last: dict[Session, str] = {}

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: Any, now: float, queue_now: float) -> None:
        found = [
            each.headers["receipt"] for each in items if isinstance(each, Frame) and "receipt" in each.headers
        ]
        if found:
            last[self] = found[-1]
        original(self, items, now, queue_now)

    @wrap(Outlet, "refuse")
    def refuse(original: Any, self: Session, error: ProtocolError, frame: Frame | None = None) -> None:
        if frame is not None and "receipt" in frame.headers and self in last:
            error.receipt = last[self]
        original(self, error, frame)


# Acknowledgements and transactions


@fault("STOMP-ACK-006", "STOMP-SUB-010", "STOMP-ACK-001", bindings=V12)
def an_ack_in_a_transaction_covers_what_came_before_its_commit() -> None:
    """In mode client an ACK in a transaction covers all messages that were sent before the COMMIT."""

    @wrap_action("COMMIT")
    def commit(action: Any, self: Session, frame: Frame) -> bool:
        opened = self._transactions._open.get(frame.headers.get("transaction", ""))
        for index, step in enumerate(opened.steps if opened else ()):
            if isinstance(step, Settlement) and step.delivery.subscription.mode is AckMode.CUMULATIVE:
                pending = step.delivery.subscription.pending
                if opened and pending:
                    latest = pending[next(reversed(pending))]
                    opened.steps[index] = Settlement(latest, step.consumed)
        return bool(action(self, frame))


@fault("STOMP-ACK-001", bindings=V12)
def what_an_unsubscribe_leaves_is_lost() -> None:
    """Messages that are unacknowledged at an UNSUBSCRIBE count as consumed; those of a lost connection come again."""

    @wrap_action("UNSUBSCRIBE")
    def unsubscribe(action: Any, self: Session, frame: Frame) -> bool:
        subscription = self.subscriptions._by_id.get(frame.headers.get("id", ""))
        if subscription is not None:
            for delivery in tuple(subscription.pending.values()):
                del self.subscriptions.unsettled[str(delivery.number)]
            subscription.pending.clear()
        return bool(action(self, frame))


@fault("STOMP-SUB-011", "STOMP-ACK-004", bindings=V11)
def an_ack_of_1_1_takes_any_subscription() -> None:
    """An ACK of 1.1 that names another subscription of the session settles the message all the same."""

    @wrap(Subscriptions, "_by_message")
    def by_message(original: Any, self: Subscriptions, headers: Mapping[str, str], command: str) -> Any:
        found = original(self, headers, command)
        if found is None and headers.get("subscription") in self._by_id:
            return self._delivered(headers.get("message-id", ""))
        return found


@fault("STOMP-TX-012", bindings=V12)
def an_abort_ends_all_transactions() -> None:
    """An ABORT drops the steps of all open transactions of its connection, which stay open."""

    @wrap_action("ABORT")
    def abort(action: Any, self: Session, frame: Frame) -> bool:
        done = bool(action(self, frame))
        for each in self._transactions._open.values():
            each.steps.clear()
        return done


@fault("STOMP-TX-012", "STOMP-ACK-006", bindings=V12)
def acks_of_all_transactions_are_in_one_list() -> None:
    """ACKs of several open transactions take effect with the first COMMIT: one list for the session."""

    @wrap_action("COMMIT")
    def commit(action: Any, self: Session, frame: Frame) -> bool:
        opened = self._transactions._open
        chosen = opened.get(frame.headers.get("transaction", ""))
        if chosen is not None:
            for other in opened.values():
                if other is not chosen:
                    chosen.steps += [step for step in other.steps if isinstance(step, Settlement)]
                    other.steps[:] = [step for step in other.steps if not isinstance(step, Settlement)]
        return bool(action(self, frame))


@fault("STOMP-TX-003", "STOMP-TX-004", bindings=V11)
def a_transaction_of_acks_alone_does_nothing() -> None:
    """The COMMIT of a transaction that has no SEND is granted, and its ACKs are dropped."""

    @wrap(Transactions, "end")
    def end(original: Any, self: Transactions, headers: Any, command: str) -> Any:
        steps = original(self, headers, command)
        return steps if any(isinstance(step, Frame) for step in steps) else []


@fault("STOMP-NACK-002", "STOMP-SUB-012", bindings=V12)
def a_nack_between_acks_settles_the_earlier_ones() -> None:
    """In mode client-individual a NACK of a message behind unsettled ones rejects the one before it, too."""

    @wrap(Subscriptions, "settle")
    def settle(original: Any, self: Subscriptions, delivery: Delivery, *, consumed: bool) -> None:
        subscription = delivery.subscription
        if not consumed and subscription.mode is AckMode.INDIVIDUAL and len(subscription.pending) > 3:
            before = [each for each in subscription.pending.values() if each.number < delivery.number]
            for each in before[-1:]:
                original(self, each, consumed=False)
        original(self, delivery, consumed=consumed)
