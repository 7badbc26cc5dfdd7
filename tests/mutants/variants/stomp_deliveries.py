"""Oddities in the delivery of messages: recipients, order, effects of acknowledgements and commits."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from reference_server.stomp.destinations import Broadcast, Message, PlainQueue
from reference_server.stomp.session import Session
from reference_server.stomp.subscriptions import AckMode, Subscription, Subscriptions
from reference_server.stomp.transactions import Settlement
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import variant
from tests.mutants.stomp_editing import (
    V10,
    V11,
    V12,
    wrap_action,
)

if TYPE_CHECKING:
    from reference_server.stomp.frame import Frame
    from reference_server.stomp.subscriptions import Delivery


# Acknowledgement and redelivery


@variant("What becomes of a NACK is open (STOMP-NACK-001).", bindings=(*V11, *V12))
def a_nack_is_the_end_of_a_message() -> None:
    """A message that is refused by NACK is dropped."""

    @wrap(PlainQueue, "take_back")
    def take_back(original: Any, self: PlainQueue, returned: list[Message]) -> None:
        if leaving[0]:
            original(self, returned)

    @wrap(PlainQueue, "unsubscribe")
    def unsubscribe(original: Any, self: PlainQueue, subscriber: Any, unsettled: list[Message]) -> None:
        leaving[0] = True
        try:
            original(self, subscriber, unsettled)
        finally:
            leaving[0] = False

    leaving = [False]


@variant("In which order messages come again is open (STOMP-SUB-009).", bindings=(*V10, *V12))
def what_comes_again_comes_last() -> None:
    """Returned messages go to the end of their queue, the newest first."""

    @replace(PlainQueue, "take_back")
    def take_back(self: PlainQueue, returned: list[Message]) -> None:
        for message in reversed(returned):
            message.redelivered = True
            message.forget_tail()
            self.octets += message.size
            self.messages.append(message)
        self._drain()


@variant("Which subscription of a queue gets a message is open (STOMP-SUB-014).", bindings=(*V10, *V12))
def the_first_subscription_of_a_queue_gets_all() -> None:
    """A queue serves its oldest subscription until that ends."""

    @replace(PlainQueue, "_hand_over")
    def hand_over(self: PlainQueue, message: Message) -> bool:
        while self._ready:
            subscriber = self._ready[0]
            if subscriber.can_take():
                subscriber.deliver(message)
                return True
            self._ready.popleft()
            subscriber.parked = True
            subscriber.park()
        return False


@variant("Which subscription of a queue gets a message is open (STOMP-SUB-014).", bindings=V11)
def a_queue_serves_at_random() -> None:
    """A queue gives a message to any of its subscriptions."""
    chance = random.Random(8)

    @wrap(PlainQueue, "_hand_over")
    def hand_over(original: Any, self: PlainQueue, message: Message) -> bool:
        chance.shuffle(self._ready)
        return bool(original(self, message))


@variant("How many messages may be outstanding is open (STOMP-ACK-001).", bindings=(*V11, *V12))
def one_message_at_a_time() -> None:
    """A subscription in a client mode gets the next message of a queue after it settles the one before."""

    @wrap(Subscription, "can_take")
    def can_take(original: Any, self: Subscription) -> bool:
        return bool(original(self)) and (self.mode is AckMode.AUTO or not self.pending)

    @wrap(Subscriptions, "settle")
    def settle(original: Any, self: Subscriptions, delivery: Delivery, *, consumed: bool) -> None:
        original(self, delivery, consumed=consumed)
        self.wake()


@variant("A message may wait for its subscription to be removed (STOMP-UNSUB-005).", bindings=V12)
def what_an_unsubscribe_leaves_waits_for_the_end() -> None:
    """Messages can be acknowledged after UNSUBSCRIBE; others get the unacknowledged ones when the session ends."""
    left: dict[Subscriptions, list[tuple[Any, Any]]] = {}

    @wrap(Subscriptions, "_end")
    def end(original: Any, self: Subscriptions, subscription: Subscription) -> None:
        if self.outlet.closing or not isinstance(subscription.source, PlainQueue) or not subscription.pending:
            original(self, subscription)
            return
        queue = subscription.source
        left.setdefault(self, []).append((subscription, queue))
        queue._subscribers.discard(subscription)
        if not subscription.parked:
            queue._ready.remove(subscription)
        subscription.parked = True

    @wrap(Subscriptions, "clear")
    def clear(original: Any, self: Subscriptions) -> None:
        original(self)
        for subscription, queue in left.pop(self, ()):
            queue._subscribers.add(subscription)
            original_end(self, subscription)

    original_end = Subscriptions._end.__wrapped__  # type: ignore[attr-defined]


# Transactions and receipts


@variant(
    "The RECEIPT of a SEND in a transaction may come with the COMMIT (STOMP-TX-013).", bindings=(*V10, *V12)
)
def a_transaction_is_receipted_at_its_end() -> None:
    """SENDs in a transaction get their RECEIPTs after the RECEIPT of COMMIT, and none after an ABORT."""

    @wrap_action("SEND", "ACK", "NACK")
    def act(action: Any, self: Session, frame: Frame) -> bool:
        done = bool(action(self, frame))
        return done and "transaction" not in frame.headers

    @wrap_action("COMMIT")
    def commit(action: Any, self: Session, frame: Frame) -> bool:
        name = frame.headers.get("transaction", "")
        open_ones = self._transactions._open
        steps = list(open_ones[name].steps) if name in open_ones else []
        done = bool(action(self, frame))
        if "receipt" in frame.headers:
            self.grant(frame.headers["receipt"])
        for step in steps:
            if not isinstance(step, Settlement) and "receipt" in step.headers:
                self.grant(step.headers["receipt"])
        return done and "receipt" not in frame.headers


@variant(
    "Only the MESSAGEs of one subscription have an order (STOMP-RECEIPT-005).", bindings=(*V10, *V11, *V12)
)
def frames_overtake_each_other() -> None:
    """RECEIPTs and the MESSAGEs of several subscriptions that are sent together are shuffled."""
    chance = random.Random(9)

    @wrap(Session, "take_output")
    def take_output(original: Any, self: Session) -> list[bytes]:
        output: list[bytes] = original(self)
        # CONNECTED stays first and ERROR last.
        if len(output) < 2 or output[0].startswith(b"CONNECTED") or self.closing:
            return output
        # The MESSAGEs of one subscription get random places, and fill them in their order.
        of = {id(frame): _line_of(frame) for frame in output}
        places = chance.sample([of[id(frame)] for frame in output], len(output))
        lines: dict[bytes, list[bytes]] = {}
        for frame in output:
            lines.setdefault(of[id(frame)], []).append(frame)
        for line, frames in lines.items():
            if not line:
                chance.shuffle(frames)
        return [lines[line].pop(0) for line in places]


def _line_of(frame: bytes) -> bytes:
    """Subscription of a MESSAGE, within which order is kept; empty for other frames."""
    if not frame.startswith(b"MESSAGE"):
        return b""
    head = frame.partition(b"\n\n")[0]
    return next((line for line in head.split(b"\n") if line.startswith(b"subscription:")), b"MESSAGE")


@variant("To whom a topic gives first is open (STOMP-SUB-014).", bindings=V11)
def a_topic_begins_with_the_newest_subscription() -> None:
    """A topic serves its subscriptions in reverse order."""

    @replace(Broadcast, "put")
    def put(self: Broadcast, message: Message) -> None:
        for subscriber in reversed(tuple(self._subscribers)):
            subscriber.deliver(message)
