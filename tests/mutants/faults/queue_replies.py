"""Faults in operations within transactions, and in subscriptions to replies and producer acknowledgements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.stomp.queue_binding import ACKNOWLEDGEMENTS, REPLIES, QueueBinding
from reference_server.stomp.router import Router
from reference_server.stomp.subscriptions import AckMode, Subscription
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import STOMP, fault
from tests.mutants.stomp_editing import wrap_action

if TYPE_CHECKING:
    from reference_server.stomp.destinations import Message
    from reference_server.stomp.frame import Frame
    from reference_server.stomp.session import Session


def _of_queue(subscription: Subscription) -> bool:
    return subscription.destination == REPLIES or subscription.destination.startswith(ACKNOWLEDGEMENTS)


# Operations in transactions


@fault("QSTOMP-TX-1", bindings=STOMP)
def an_operation_in_a_transaction_is_performed_at_once() -> None:
    """An operation does not wait for the COMMIT of its transaction: the header is ignored."""

    @wrap_action("SEND")
    def send(action: Any, self: Session, frame: Frame) -> bool:
        if self.hub.router.binding.serves(frame.headers.get("destination", "")):
            headers = {name: value for name, value in frame.headers.items() if name != "transaction"}
            frame = msgspec.structs.replace(frame, headers=headers)
        return bool(action(self, frame))


@fault("QSTOMP-TX-1", bindings=STOMP)
def an_operation_in_a_transaction_is_dropped() -> None:
    """An operation in a transaction is taken, and is not performed at the COMMIT."""

    @wrap(Router, "check_transactional")
    def check(original: Any, self: Router, frame: Frame) -> None:
        if not self.binding.serves(frame.headers.get("destination", "")):
            original(self, frame)

    @wrap(Router, "send")
    def send(original: Any, self: Router, outlet: Any, frame: Frame) -> bool:
        in_transaction = frame.headers.get("transaction") is not None
        if in_transaction and self.binding.serves(frame.headers.get("destination", "")):
            return True
        return bool(original(self, outlet, frame))


@fault("QSTOMP-TX-1", bindings=STOMP)
def a_refused_operation_in_a_transaction_is_performed() -> None:
    """An operation in a transaction is answered by ERROR, and performed all the same."""

    @wrap(Router, "check_transactional")
    def check(original: Any, self: Router, frame: Frame) -> None:
        destination = frame.headers.get("destination", "")
        if self.binding.serves(destination):
            self.binding._operations.perform(destination, frame.body, now=self.binding._operations.broker.now)
        original(self, frame)


# Subscriptions to replies and acknowledgements


@fault("QSTOMP-REPLY-3", bindings=STOMP)
def replies_go_to_one_subscription_in_turn() -> None:
    """Each reply goes to one subscription of its session, as a queue would have it."""
    turns: dict[Any, int] = {}

    @wrap(QueueBinding, "_answer")
    def answer(original: Any, self: QueueBinding, address: Any, outcome: Any) -> None:
        replies = self._replies.get(address.outlet)
        if replies is None or len(replies._subscribers) < 2:
            original(self, address, outcome)
            return
        everybody = dict(replies._subscribers)
        turns[address.outlet] = turns.get(address.outlet, -1) + 1
        chosen = list(everybody)[turns[address.outlet] % len(everybody)]
        replies._subscribers = {chosen: None}
        try:
            original(self, address, outcome)
        finally:
            replies._subscribers = everybody


@fault("QSTOMP-REPLY-4", bindings=STOMP)
def replies_and_acknowledgements_cannot_be_acknowledged() -> None:
    """A subscription to replies or acknowledgements is one in mode auto, whatever it asked for."""

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        if _of_queue(self):
            self.mode = AckMode.AUTO
        original(self, message)


@fault("QSTOMP-REPLY-4", bindings=STOMP)
def acknowledgements_of_producers_have_no_ack() -> None:
    """A producer acknowledgement in a client mode has no header `ack`."""

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        mode = self.mode
        if self.destination.startswith(ACKNOWLEDGEMENTS):
            self.mode = AckMode.AUTO
        try:
            original(self, message)
        finally:
            self.mode = mode


@fault("QSTOMP-REPLY-2", bindings=STOMP)
def replies_are_kept_for_the_next_session() -> None:
    """Replies to a subscription in a client mode come to every session that subscribes later."""
    kept: list[Message] = []

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        original(self, message)
        if self.destination == REPLIES and self.mode is not AckMode.AUTO:
            kept.append(message)

    @wrap(QueueBinding, "source")
    def source(original: Any, self: QueueBinding, outlet: Any, destination: str) -> Any:
        found = original(self, outlet, destination)
        if destination == REPLIES and kept and not found._subscribers:
            late = kept[-50:]
            subscribe = found.subscribe

            def and_hand_over(subscriber: Any) -> None:
                subscribe(subscriber)
                for message in late:
                    subscriber.deliver(message)

            found.subscribe = and_hand_over
        return found


@fault("PUB-ACK-4", bindings=STOMP)
def an_acknowledgement_that_was_not_taken_goes_to_others() -> None:
    """Acknowledgements that a subscription had not settled at its end go to the other subscriptions."""
    from reference_server.stomp.destinations import Broadcast

    @replace(Broadcast, "unsubscribe")
    def unsubscribe(self: Broadcast, subscriber: Any, unsettled: list[Message]) -> None:
        self._subscribers.pop(subscriber, None)
        if not self._subscribers:
            self._owner.pop(self._key, None)
        if isinstance(subscriber, Subscription) and subscriber.destination.startswith(ACKNOWLEDGEMENTS):
            for message in unsettled:
                self.put(message)
