"""Faults in SUBSCRIBE and UNSUBSCRIBE: recipients of messages, and modes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.server.clock import wall
from reference_server.stomp.destinations import Broadcast, PlainQueue
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.subscriptions import AckMode, Delivery, Subscription, Subscriptions
from tests.mutants.patching import wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import (
    V10,
    V11,
    V12,
    answer_and_go_on,
    close_without_error,
    edit_headers,
    overlook,
    wrap_action,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reference_server.stomp.destinations import Message
    from reference_server.stomp.frame import Frame
    from reference_server.stomp.session import Session


# SUBSCRIBE


@fault("STOMP-SUB-001", bindings=V12)
def a_subscription_may_begin_after_its_receipt() -> None:
    """Every eighth subscription takes effect 50 ms after its RECEIPT."""
    numbers = itertools.count(1)
    begins: dict[Subscription, float] = {}

    @wrap(Subscription, "__init__")
    def begin(original: Any, self: Subscription, book: Subscriptions, *arguments: Any, **named: Any) -> None:
        original(self, book, *arguments, **named)
        if next(numbers) % 8 == 0:
            begins[self] = wall() + 0.05

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        if wall() >= begins.get(self, 0.0):
            original(self, message)


@fault("STOMP-SUB-001", "STOMP-SEND-002", bindings=V10)
def a_connection_has_one_subscription() -> None:
    """A second SUBSCRIBE of a connection gets its RECEIPT, but no messages."""

    @wrap_action("SUBSCRIBE")
    def subscribe(action: Any, self: Session, frame: Frame) -> bool:
        return True if self.subscriptions._by_id else bool(action(self, frame))


@fault("STOMP-SUB-002", bindings=V12)
def a_second_subscription_of_an_id_ends_without_a_word() -> None:
    """A SUBSCRIBE with an id in use closes the connection without ERROR."""
    close_without_error("subscription id in use")


@fault("STOMP-SUB-002", bindings=V12)
def a_failed_subscribe_gets_an_error_and_no_close() -> None:
    """A SUBSCRIBE without destination gets its ERROR, and the connection stays open."""
    answer_and_go_on("SUBSCRIBE without destination")


@fault("STOMP-SUB-002", bindings=V11)
def a_subscribe_to_nowhere_is_dropped() -> None:
    """A SUBSCRIBE to an unknown destination is silently dropped."""
    overlook("unknown destination")


@fault("STOMP-SUB-003", bindings=V12)
def an_id_is_made_up() -> None:
    """A SUBSCRIBE without id gets one from the server."""
    ids = itertools.count()

    def edit(_session: Session, frame: Frame) -> Mapping[str, str]:
        if frame.command != "SUBSCRIBE" or "id" in frame.headers:
            return frame.headers
        return {**frame.headers, "id": f"made-up-{next(ids)}"}

    edit_headers(edit)


@fault("STOMP-SUB-004", bindings=V12)
def a_subscribe_without_destination_is_receipted() -> None:
    """A SUBSCRIBE without destination gets its RECEIPT and has no effect."""
    overlook("SUBSCRIBE without destination", receipt=True)


@fault("STOMP-SUB-004", bindings=V10)
def a_subscribe_without_destination_listens_to_its_id() -> None:
    """The id of a SUBSCRIBE without destination is read as its destination."""

    def edit(_session: Session, frame: Frame) -> Mapping[str, str]:
        if frame.command != "SUBSCRIBE" or "id" not in frame.headers:
            return frame.headers
        return {"destination": "/topic/" + frame.headers["id"], **frame.headers}

    edit_headers(edit)


@fault("STOMP-SUB-005", bindings=V12)
def the_newer_subscription_of_an_id_takes_the_place_of_the_older() -> None:
    """A SUBSCRIBE with an id in use ends the older subscription."""

    @wrap(Subscriptions, "check")
    def check(original: Any, self: Subscriptions, headers: Mapping[str, str]) -> Any:
        if headers.get("id") in self._by_id:
            self.remove(headers)
        return original(self, headers)


@fault("STOMP-SUB-005", bindings=V11)
def an_id_is_forgotten_when_it_is_used_again() -> None:
    """A SUBSCRIBE with an id in use succeeds; the older subscription stays, and can't be ended."""

    @wrap(Subscriptions, "check")
    def check(original: Any, self: Subscriptions, headers: Mapping[str, str]) -> Any:
        self._by_id.pop(headers.get("id", ""), None)
        return original(self, headers)


@fault("STOMP-SUB-005", bindings=V12)
def the_same_subscribe_may_come_again() -> None:
    """A SUBSCRIBE with an id in use gets its RECEIPT and is ignored if its destination is the same."""

    @wrap_action("SUBSCRIBE")
    def subscribe(action: Any, self: Session, frame: Frame) -> bool:
        known = self.subscriptions._by_id.get(frame.headers.get("id", ""))
        if known is not None and known.destination == frame.headers.get("destination"):
            return True
        return bool(action(self, frame))


@fault("STOMP-SUB-006", bindings=V12)
def an_unsubscribe_ends_the_subscriptions_of_all() -> None:
    """An UNSUBSCRIBE ends the subscriptions with its id on all connections."""
    books: list[Subscriptions] = []

    @wrap(Subscriptions, "__init__")
    def begin(original: Any, self: Subscriptions, *arguments: Any) -> None:
        original(self, *arguments)
        books.append(self)

    @wrap(Subscriptions, "remove")
    def remove(original: Any, self: Subscriptions, headers: Mapping[str, str]) -> None:
        original(self, headers)
        for book in books:
            if book is not self and headers.get("id") in book._by_id:
                original(book, headers)


@fault("STOMP-SUB-006", bindings=V11)
def an_id_in_use_elsewhere_is_refused() -> None:
    """A SUBSCRIBE with an id that another connection uses is refused."""
    books: list[Subscriptions] = []

    @wrap(Subscriptions, "__init__")
    def begin(original: Any, self: Subscriptions, *arguments: Any) -> None:
        original(self, *arguments)
        books.append(self)

    @wrap(Subscriptions, "check")
    def check(original: Any, self: Subscriptions, headers: Mapping[str, str]) -> Any:
        identifier = headers.get("id", "")
        # Ids of the usual form are exempt: most clients number their subscriptions, and few could connect otherwise.
        if not identifier.startswith("sub-") and any(
            identifier in book._by_id for book in books if book is not self
        ):
            raise ProtocolError("subscription id in use", "Choose an id that nobody uses.")
        return original(self, headers)


@fault("STOMP-SUB-007", bindings=V12)
def the_usual_mode_is_client() -> None:
    """A SUBSCRIBE without ack gets mode client."""
    _mode_by(lambda mode, _version: "client" if mode is None else mode)


@fault("STOMP-SUB-007", bindings=V10)
def the_usual_mode_of_1_0_is_client() -> None:
    """On a session of 1.0 a SUBSCRIBE without ack gets mode client."""
    _mode_by(lambda mode, version: "client" if mode is None and version == "1.0" else mode)


@fault("STOMP-SUB-015", bindings=V12)
def an_unknown_mode_is_auto() -> None:
    """A SUBSCRIBE with an undefined mode gets mode auto."""
    known = {mode.value for mode in AckMode}
    _mode_by(lambda mode, _version: mode if mode in known or mode is None else "auto")


@fault("STOMP-SUB-015", bindings=V11)
def modes_are_matched_in_any_case() -> None:
    """The mode `AUTO` is accepted."""
    _mode_by(lambda mode, _version: None if mode is None else mode.lower())


def _mode_by(change: Any) -> None:
    """Have `change(mode, version)` choose the mode of a SUBSCRIBE; None: it has no ack."""

    def edit(session: Session, frame: Frame) -> Mapping[str, str]:
        if frame.command != "SUBSCRIBE":
            return frame.headers
        mode = change(frame.headers.get("ack"), session.version)
        return frame.headers if mode is None else {**frame.headers, "ack": mode}

    edit_headers(edit)


@fault("STOMP-SUB-008", "STOMP-SUB-007", bindings=V12)
def what_nobody_acknowledges_is_kept() -> None:
    """Messages of an ended connection are redelivered in mode auto, too."""

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        original(self, message)
        if self.mode is AckMode.AUTO:
            delivery = Delivery(next(self._book.numbers), message, self)
            self._book.unsettled[str(delivery.number)] = delivery
            self.pending[str(message.number)] = delivery


@fault("STOMP-SUB-008", "STOMP-SUB-007", bindings=V11)
def the_last_message_in_mode_auto_is_kept() -> None:
    """When a connection ends, its latest message in mode auto is redelivered."""
    latest: dict[Subscription, Message] = {}

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        original(self, message)
        if self.mode is AckMode.AUTO:
            latest[self] = message

    @wrap(Subscriptions, "_end")
    def end(original: Any, self: Subscriptions, subscription: Subscription) -> None:
        message = latest.pop(subscription, None)
        if message is not None and self.outlet.closing:
            delivery = Delivery(0, message, subscription)
            self.unsettled["0"] = subscription.pending["0"] = delivery
        original(self, subscription)


@fault("STOMP-SUB-014", bindings=V12)
def a_connection_gets_one_copy() -> None:
    """Only the first of two subscriptions of a connection to one topic gets messages."""

    @wrap(Broadcast, "put")
    def put(original: Any, self: Broadcast, message: Message) -> None:
        served: list[Any] = []
        for subscriber in tuple(self._subscribers):
            outlet = subscriber._outlet  # type: ignore[attr-defined]
            if outlet not in served:
                served.append(outlet)
                subscriber.deliver(message)


@fault("STOMP-SUB-014", bindings=V11)
def both_copies_name_one_subscription() -> None:
    """Messages for two subscriptions of a connection to one topic all name the first one."""

    @wrap(Broadcast, "put")
    def put(original: Any, self: Broadcast, message: Message) -> None:
        first: dict[Any, Any] = {}
        for subscriber in tuple(self._subscribers):
            first.setdefault(subscriber._outlet, subscriber).deliver(message)  # type: ignore[attr-defined]


@fault("STOMP-SUB-017", bindings=V11)
def a_queue_gives_every_tenth_message_to_two() -> None:
    """Every tenth message of a queue goes to a second subscription as well, if there is one."""
    counted = [0]

    @wrap(PlainQueue, "_hand_over")
    def hand_over(original: Any, self: PlainQueue, message: Message) -> bool:
        handed = bool(original(self, message))
        counted[0] += handed and len(self._ready) > 1
        if handed and len(self._ready) > 1 and counted[0] % 10 == 0:
            self._ready[0].deliver(msgspec.structs.replace(message))
        return handed


@fault("STOMP-SUB-017", "STOMP-SUB-014", "STOMP-SUB-008", bindings=V12)
def a_queue_gives_to_two_subscriptions_of_a_connection() -> None:
    """A message of a queue goes to every subscription of the connection that is next in turn."""

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        original(self, message)
        if not isinstance(self.source, Broadcast):
            for other in tuple(self._book._by_id.values()):
                if other is not self and other.source is self.source:
                    original(other, msgspec.structs.replace(message))


# UNSUBSCRIBE


@fault("STOMP-UNSUB-001", bindings=V12)
def an_unsubscribe_does_nothing() -> None:
    """An UNSUBSCRIBE gets its RECEIPT, and messages continue."""

    @wrap_action("UNSUBSCRIBE")
    def unsubscribe(action: Any, self: Session, frame: Frame) -> bool:
        known = self.subscriptions._by_id.get(frame.headers.get("id", ""))
        return bool(action(self, frame)) if known is None else True


@fault("STOMP-UNSUB-001", bindings=V10)
def an_unsubscribe_by_destination_does_nothing() -> None:
    """On a session of 1.0 an UNSUBSCRIBE by destination gets its RECEIPT, and messages continue."""

    @wrap_action("UNSUBSCRIBE")
    def unsubscribe(action: Any, self: Session, frame: Frame) -> bool:
        return True if "id" not in frame.headers else bool(action(self, frame))


@fault("STOMP-UNSUB-001", bindings=V11)
def one_more_message_comes_after_an_unsubscribe() -> None:
    """A subscription to a topic ends with the first message after its UNSUBSCRIBE."""

    @wrap(Broadcast, "unsubscribe")
    def unsubscribe(original: Any, self: Broadcast, subscriber: Any, unsettled: list[Message]) -> None:
        if subscriber._outlet.closing:
            original(self, subscriber, unsettled)
        else:
            leaving.add(subscriber)

    @wrap(Broadcast, "put")
    def put(original: Any, self: Broadcast, message: Message) -> None:
        original(self, message)
        for subscriber in tuple(self._subscribers):
            if subscriber in leaving:
                leaving.discard(subscriber)
                self._subscribers.pop(subscriber, None)

    leaving: set[Any] = set()


@fault("STOMP-UNSUB-002", bindings=V12)
def an_unsubscribe_may_name_the_destination() -> None:
    """UNSUBSCRIBE by destination, the form of 1.0, works in every version."""

    @wrap(Subscriptions, "remove")
    def remove(original: Any, self: Subscriptions, headers: Mapping[str, str]) -> None:
        identifier = headers.get("id") or self._by_destination(headers.get("destination"))
        original(self, headers if identifier is None else {**headers, "id": identifier})


@fault("STOMP-UNSUB-002", bindings=V11)
def an_unsubscribe_of_nothing_is_receipted() -> None:
    """An UNSUBSCRIBE without id gets its RECEIPT, and has no effect."""
    overlook("UNSUBSCRIBE without id", receipt=True)


@fault("STOMP-UNSUB-003", bindings=V12)
def an_unsubscribe_of_no_subscription_is_receipted() -> None:
    """An UNSUBSCRIBE with an unknown id gets its RECEIPT."""
    overlook("no such subscription", receipt=True)
