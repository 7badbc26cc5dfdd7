"""Faults in ACK and NACK: covered messages, redelivery."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from reference_server.stomp.destinations import PlainQueue
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.session import Session
from reference_server.stomp.subscriptions import AckMode, Delivery, Subscription, Subscriptions
from reference_server.stomp.transactions import Settlement, Transactions
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import V10, V11, V12, edit_headers, overlook, wrap_action

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reference_server.stomp.destinations import Message
    from reference_server.stomp.frame import Frame

Cover = "Callable[[Subscriptions, Delivery, list[Delivery], bool], list[Delivery]]"


def _cover_by(change: Any) -> None:
    """Have `change(book, delivery, covered, consumed)` say which deliveries an ACK or NACK settles.

    `covered` are those that it should settle, in order.
    """

    @replace(Subscriptions, "settle")
    def settle(self: Subscriptions, delivery: Delivery, *, consumed: bool) -> None:
        pending = delivery.subscription.pending
        if delivery.subscription.mode is AckMode.CUMULATIVE:
            covered = [each for each in pending.values() if each.number <= delivery.number]
        else:
            covered = [delivery] if str(delivery.number) in self.unsettled else []
        settled = change(self, delivery, covered, consumed)
        for each in settled:
            del each.subscription.pending[str(each.message.number)], self.unsettled[str(each.number)]
        if not consumed:
            for each in settled:
                each.subscription.source.take_back([each.message])
        if self.parked:
            self.wake()


def _end_by(change: Callable[[Subscription, list[Message]], list[Message]]) -> None:
    """Have `change(subscription, unsettled)` choose the messages that go to others when a subscription ends."""

    @wrap(PlainQueue, "unsubscribe")
    def unsubscribe(original: Any, self: PlainQueue, subscriber: Any, unsettled: list[Message]) -> None:
        original(self, subscriber, change(subscriber, unsettled))


# Deliveries that an acknowledgement covers


@fault("STOMP-SUB-010", bindings=V12)
def a_cumulative_ack_covers_one_message() -> None:
    """In mode client an ACK settles only the message that it names."""
    _cover_by(lambda _book, delivery, covered, consumed: [delivery] if consumed else covered)


@fault("STOMP-SUB-010", bindings=V11, hard=True)
def a_cumulative_ack_leaves_out_the_oldest() -> None:
    """In mode client an ACK that covers several messages leaves the first of them unsettled: off by one."""
    _cover_by(lambda _book, _delivery, covered, consumed: covered[1:] or covered if consumed else covered)


@fault("STOMP-ACK-001", "STOMP-ACK-002", bindings=V12, hard=True)
def a_cumulative_ack_covers_one_too_many() -> None:
    """In mode client an ACK settles the message behind the named one, too: off by one."""

    def cover(_book: Any, delivery: Delivery, covered: list[Delivery], consumed: bool) -> list[Delivery]:
        if delivery.subscription.mode is not AckMode.CUMULATIVE or not consumed:
            return covered
        later = [each for each in delivery.subscription.pending.values() if each not in covered]
        return covered + later[:1]

    _cover_by(cover)


@fault("STOMP-SUB-011", bindings=V12, hard=True)
def a_cumulative_ack_crosses_subscriptions() -> None:
    """In mode client an ACK settles all earlier messages of its connection."""

    def cover(book: Any, delivery: Delivery, covered: list[Delivery], consumed: bool) -> list[Delivery]:
        if delivery.subscription.mode is not AckMode.CUMULATIVE or not consumed:
            return covered
        return [each for each in book.unsettled.values() if each.number <= delivery.number]

    _cover_by(cover)


@fault("STOMP-SUB-012", "STOMP-ACK-001", bindings=V12)
def an_individual_ack_is_cumulative() -> None:
    """In mode client-individual an ACK settles earlier messages, too."""

    def cover(_book: Any, delivery: Delivery, covered: list[Delivery], consumed: bool) -> list[Delivery]:
        if not consumed:
            return covered
        return [each for each in delivery.subscription.pending.values() if each.number <= delivery.number]

    _cover_by(cover)


# ACK


@fault("STOMP-ACK-001", bindings=V12)
def what_is_sent_is_consumed() -> None:
    """Messages that a connection has not acknowledged are dropped when it ends."""
    _end_by(lambda _subscription, _unsettled: [])


@fault("STOMP-ACK-001", bindings=V11, hard=True)
def what_a_cut_connection_had_is_lost() -> None:
    """Messages that a connection has not acknowledged are dropped when it is lost without DISCONNECT."""
    lost: list[Session] = []

    @wrap(Session, "lost")
    def losing(original: Any, self: Session, now: float) -> None:
        lost[:] = [self]
        original(self, now)
        lost.clear()

    _end_by(lambda subscription, unsettled: [] if subscription._outlet in lost else unsettled)


@fault("STOMP-ACK-001", bindings=V10)
def the_last_consumer_takes_the_queue_with_it() -> None:
    """A queue that loses its last consumer is removed with all its messages."""

    @wrap(PlainQueue, "unsubscribe")
    def unsubscribe(original: Any, self: PlainQueue, subscriber: Any, unsettled: list[Message]) -> None:
        original(self, subscriber, unsettled)
        if not self._subscribers:
            self._owner.pop(self.name, None)


@fault("STOMP-ACK-001", bindings=V12)
def what_came_again_does_not_come_a_third_time() -> None:
    """A message that was delivered twice without being acknowledged is dropped."""
    _end_by(lambda _subscription, unsettled: [each for each in unsettled if not each.redelivered])


@fault("STOMP-ACK-002", bindings=V12)
def an_ack_names_the_message_id() -> None:
    """An ACK of 1.2 needs the message-id in its `id`, not the value of `ack`."""

    @wrap(Subscriptions, "find")
    def find(original: Any, self: Subscriptions, headers: Mapping[str, str], command: str) -> Delivery:
        for subscription in self._by_id.values():
            if headers.get("id") in subscription.pending:
                return subscription.pending[headers["id"]]
        raise ProtocolError(f"{command} of an unknown message", "The id is that of no message.")


@fault("STOMP-ACK-002", bindings=V11, hard=True)
def every_third_ack_is_forgotten() -> None:
    """Every third ACK of the server gets its RECEIPT and is not carried out."""
    numbers = itertools.count(1)
    _cover_by(
        lambda _book, _delivery, covered, consumed: [] if consumed and next(numbers) % 3 == 0 else covered
    )


@fault("STOMP-ACK-002", bindings=V10)
def an_ack_of_1_0_needs_a_subscription() -> None:
    """An ACK on a session of 1.0 that names no subscription is refused."""

    @wrap_action("ACK")
    def acknowledge(action: Any, self: Session, frame: Frame) -> bool:
        if self.version == "1.0" and "subscription" not in frame.headers:
            raise ProtocolError("ACK without subscription", "Name the subscription.")
        return bool(action(self, frame))


@fault("STOMP-ACK-003", bindings=V12)
def an_ack_of_nothing_is_receipted() -> None:
    """An ACK without the header that names the message gets its RECEIPT."""
    overlook("ACK without id", receipt=True)


@fault("STOMP-ACK-003", "STOMP-ACK-004", bindings=V10)
def an_ack_of_nothing_names_the_last_message() -> None:
    """An ACK on a session of 1.0 without message-id settles the latest delivery."""

    def edit(session: Session, frame: Frame) -> Mapping[str, str]:
        unsettled = session.subscriptions.unsettled
        if frame.command != "ACK" or "message-id" in frame.headers or not unsettled:
            return frame.headers
        return {**frame.headers, "message-id": str(list(unsettled.values())[-1].message.number)}

    edit_headers(edit)


@fault("STOMP-ACK-004", "STOMP-ACK-010", bindings=V12)
def an_ack_settles_messages_of_others() -> None:
    """An ACK may name a message that another connection received."""
    books: list[Subscriptions] = []

    @wrap(Subscriptions, "__init__")
    def begin(original: Any, self: Subscriptions, *arguments: Any) -> None:
        original(self, *arguments)
        books.append(self)

    @wrap(Subscriptions, "find")
    def find(original: Any, self: Subscriptions, headers: Mapping[str, str], command: str) -> Delivery:
        for book in books:
            if headers.get("id") in book.unsettled:
                return book.unsettled[headers["id"]]
        found: Delivery = original(self, headers, command)
        return found

    @wrap(Subscriptions, "settle")
    def settle(original: Any, self: Subscriptions, delivery: Delivery, *, consumed: bool) -> None:
        original(delivery.subscription._book, delivery, consumed=consumed)


@fault("STOMP-ACK-004", "STOMP-ACK-010", bindings=V11)
def an_unknown_ack_settles_the_oldest_message() -> None:
    """An ACK with an unknown id settles the oldest outstanding message."""

    @wrap(Subscriptions, "find")
    def find(original: Any, self: Subscriptions, headers: Mapping[str, str], command: str) -> Delivery:
        try:
            found: Delivery = original(self, headers, command)
        except ProtocolError:
            if not self.unsettled or command != "ACK":
                raise
            return next(iter(self.unsettled.values()))
        return found


@fault("STOMP-ACK-010", bindings=V12)
def an_ack_of_an_unknown_message_is_receipted() -> None:
    """An ACK of a message that its connection did not receive gets its RECEIPT."""
    overlook("ACK of an unknown message", receipt=True)


@fault("STOMP-ACK-006", bindings=V12)
def an_ack_knows_no_transactions() -> None:
    """The transaction header of an ACK is ignored: the ACK takes effect at once."""

    def edit(_session: Session, frame: Frame) -> Mapping[str, str]:
        if frame.command != "ACK":
            return frame.headers
        return {name: value for name, value in frame.headers.items() if name != "transaction"}

    edit_headers(edit)


@fault("STOMP-ACK-006", bindings=V10)
def an_abort_leaves_acknowledgements_alone() -> None:
    """An ABORT drops the SENDs of its transaction, and carries out its ACKs."""

    @wrap_action("ABORT")
    def abort(action: Any, self: Session, frame: Frame) -> bool:
        steps = self._transactions.end(frame.headers, "ABORT")
        for step in steps:
            if isinstance(step, Settlement):
                self.subscriptions.settle(step.delivery, consumed=step.consumed)
        return True


@fault("STOMP-ACK-006", "STOMP-TX-003", bindings=V11)
def a_commit_forgets_acknowledgements() -> None:
    """A COMMIT carries out the SENDs of its transaction, and drops its ACKs."""

    @wrap(Transactions, "end")
    def end(original: Any, self: Transactions, headers: Mapping[str, str], command: str) -> list[Any]:
        return [step for step in original(self, headers, command) if not isinstance(step, Settlement)]


@fault("STOMP-ACK-008", bindings=V12)
def an_ack_of_1_2_needs_a_subscription() -> None:
    """An ACK on a session of 1.2 that names no subscription is refused, as in 1.1."""

    @wrap_action("ACK")
    def acknowledge(action: Any, self: Session, frame: Frame) -> bool:
        if self.version == "1.2" and "subscription" not in frame.headers:
            raise ProtocolError("ACK without subscription", "Name the subscription.")
        return bool(action(self, frame))


@fault("STOMP-ACK-008", bindings=V12)
def an_ack_of_1_2_must_not_name_a_subscription() -> None:
    """An ACK on a session of 1.2 that names its subscription is refused."""

    @wrap_action("ACK")
    def acknowledge(action: Any, self: Session, frame: Frame) -> bool:
        if self.version == "1.2" and "subscription" in frame.headers:
            raise ProtocolError("ACK with a subscription", "The id will do.")
        return bool(action(self, frame))


@fault("STOMP-ACK-009", bindings=V11)
def an_ack_of_1_1_needs_no_subscription() -> None:
    """An ACK on a session of 1.1 may name its message by message-id alone."""

    def edit(session: Session, frame: Frame) -> Mapping[str, str]:
        message = frame.headers.get("message-id")
        if session.version == "1.1" and frame.command == "ACK" and "subscription" not in frame.headers:
            for each in session.subscriptions.unsettled.values():
                if str(each.message.number) == message:
                    return {**frame.headers, "subscription": each.subscription.id}
        return frame.headers

    edit_headers(edit)


# NACK


@fault("STOMP-NACK-001", bindings=V12)
def there_is_no_nack() -> None:
    """NACK is an unknown command."""

    @wrap_action("NACK")
    def reject(action: Any, self: Session, frame: Frame) -> bool:
        raise ProtocolError("unknown command", "There is no NACK.")


@fault("STOMP-NACK-001", bindings=V11)
def a_nack_in_mode_client_is_refused() -> None:
    """A NACK works only in mode client-individual."""

    @wrap(Subscriptions, "settle")
    def settle(original: Any, self: Subscriptions, delivery: Delivery, *, consumed: bool) -> None:
        if not consumed and delivery.subscription.mode is AckMode.CUMULATIVE:
            raise ProtocolError("NACK in mode client", "Subscribe in mode client-individual.")
        original(self, delivery, consumed=consumed)


@fault("STOMP-NACK-002", bindings=V12)
def an_individual_nack_is_cumulative() -> None:
    """In mode client-individual a NACK rejects earlier messages, too."""

    def cover(_book: Any, delivery: Delivery, covered: list[Delivery], consumed: bool) -> list[Delivery]:
        if consumed:
            return covered
        return [each for each in delivery.subscription.pending.values() if each.number <= delivery.number]

    _cover_by(cover)


@fault("STOMP-NACK-002", "STOMP-SUB-012", bindings=V11)
def a_nack_consumes_the_next_message() -> None:
    """In mode client-individual a NACK consumes the message behind the one that it names."""

    @wrap(Subscriptions, "settle")
    def settle(original: Any, self: Subscriptions, delivery: Delivery, *, consumed: bool) -> None:
        later = [each for each in delivery.subscription.pending.values() if each.number > delivery.number]
        original(self, delivery, consumed=consumed)
        if not consumed and later and delivery.subscription.mode is AckMode.INDIVIDUAL:
            original(self, later[0], consumed=True)


@fault("STOMP-NACK-003", bindings=V12)
def a_nack_is_never_cumulative() -> None:
    """In mode client a NACK rejects only the message that it names."""
    _cover_by(lambda _book, delivery, covered, consumed: covered if consumed else [delivery])
