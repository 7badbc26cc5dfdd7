"""Faults of STOMP sessions of a fifth rewrite: bodies that are split as text, two versions on one queue, late replies.

Their models are brokers in JavaScript that split frames by empty lines, and adaptors that translate to another broker.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.server.oddities import whole
from reference_server.stomp import negotiation
from reference_server.stomp.destinations import Message, PlainQueue
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.session import Session
from reference_server.stomp.subscriptions import AckMode, Delivery, Subscription, Subscriptions
from reference_server.stomp.transactions import Settlement
from tests.mutants.patching import wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import V11, V12, edit_input, edit_output, wrap_action

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_server.stomp.frame import Frame


# Bodies


def _edit_bodies(edit: Callable[[bytes], bytes]) -> None:
    """Let `edit` change the body of each SEND to a plain destination."""

    def edit_send(_session: Session, frame: Frame) -> Frame:
        if frame.command != "SEND" or frame.headers.get("destination", "")[:7] not in ("/queue/", "/topic/"):
            return frame
        return msgspec.structs.replace(frame, body=edit(frame.body))

    edit_input(edit_send)


@fault("STOMP-SEND-005", bindings=V12)
def line_ends_at_the_beginning_of_a_body_are_lost() -> None:
    """Line feeds at the beginning of a body count as a part of the empty line before it."""
    _edit_bodies(lambda body: body.lstrip(b"\n"))


@fault("STOMP-SEND-005", bindings=V11)
def a_body_ends_at_its_empty_line() -> None:
    """A frame is split at its empty lines: of a body with one only what stands before is delivered."""
    _edit_bodies(lambda body: body.partition(b"\n\n")[0])


@fault("STOMP-SEND-005", "STOMP-SEND-002", bindings=V12)
def a_body_of_line_ends_alone_is_empty() -> None:
    """A body that consists of line ends is taken for heart-beats behind the head: the message is empty."""
    _edit_bodies(lambda body: body if body.strip(b"\r\n") else b"")


# Headers


@fault("STOMP-CLEN-006", "STOMP-CLEN-004", bindings=V12)
def an_error_counts_characters() -> None:
    """The `content-length` of an ERROR counts the characters of its body."""

    def edit(_session: Session, data: bytes) -> bytes:
        head, _, body = data.partition(b"\n\n")
        length = len(body.removesuffix(b"\0").decode(errors="replace"))
        return re.sub(rb"content-length:\d+", b"content-length:%d" % length, head) + b"\n\n" + body

    edit_output("ERROR", edit)


@fault("STOMP-NEG-001", bindings=V12)
def an_unknown_version_on_top_is_no_match() -> None:
    """The highest version of the client's list has to be one of the server's: `1.2,2.0` is refused."""

    @wrap_action("CONNECT", "STOMP")
    def connect(action: Any, self: Session, frame: Frame) -> bool:
        offered = frame.headers.get("accept-version", "").split(",")
        if max(offered) > max(negotiation.VERSIONS):
            raise ProtocolError("no version in common", "Offer an older one.")
        return bool(action(self, frame))


_OF_OBJECTS = {"constructor", "toString", "hasOwnProperty", "__proto__", "valueOf"}


@fault("STOMP-TX-004", "STOMP-TX-012", bindings=V12)
def transactions_are_not_named_like_members_of_objects() -> None:
    """A BEGIN of `constructor` or `toString` is refused: the plain object of transactions has that member."""

    @wrap_action("BEGIN")
    def begin(action: Any, self: Session, frame: Frame) -> bool:
        if frame.headers.get("transaction") in _OF_OBJECTS:
            raise ProtocolError("transaction already open", "Choose another name.")
        return bool(action(self, frame))


@fault("STOMP-SUB-001", "STOMP-SUB-006", bindings=V11)
def subscriptions_are_not_named_like_members_of_objects() -> None:
    """A SUBSCRIBE with the id `constructor` or `toString` is refused as one in use."""

    @wrap_action("SUBSCRIBE")
    def subscribe(action: Any, self: Session, frame: Frame) -> bool:
        if frame.headers.get("id") in _OF_OBJECTS:
            raise ProtocolError("subscription id in use", "Choose another id.")
        return bool(action(self, frame))


# Queues


@fault("STOMP-RECEIPT-001", bindings=V12)
def a_subscribe_to_what_waits_is_receipted_twice() -> None:
    """The RECEIPT of a SUBSCRIBE to a queue with messages is sent with the first of them, and when it is done."""

    @wrap_action("SUBSCRIBE")
    def subscribe(action: Any, self: Session, frame: Frame) -> bool:
        queues = self.hub.router.destinations._queues
        queue, receipt = queues.get(frame.headers.get("destination", "")), frame.headers.get("receipt")
        if queue is not None and queue.messages and receipt is not None:
            self.grant(receipt)
        return bool(action(self, frame))


@fault("STOMP-SEND-002", bindings=V12)
def the_message_after_an_unsubscribe_is_lost() -> None:
    """When a subscription of a queue with several ends, the next message goes to its place in the round."""
    ended: set[PlainQueue] = set()

    @wrap(PlainQueue, "unsubscribe")
    def unsubscribe(original: Any, self: PlainQueue, subscriber: Any, unsettled: list[Message]) -> None:
        original(self, subscriber, unsettled)
        if self._subscribers and not subscriber._book.outlet.closing:
            ended.add(self)

    @wrap(PlainQueue, "put")
    def put(original: Any, self: PlainQueue, message: Message) -> None:
        if self in ended:
            ended.discard(self)
        else:
            original(self, message)


@fault("STOMP-ACK-001", bindings=V12)
def what_an_unsubscribe_gives_back_waits_for_the_next_message() -> None:
    """Messages that an UNSUBSCRIBE gives back lie in the queue until the next message wakes its subscriptions."""

    @wrap(PlainQueue, "unsubscribe")
    def unsubscribe(original: Any, self: PlainQueue, subscriber: Any, unsettled: list[Message]) -> None:
        if subscriber._book.outlet.closing:
            original(self, subscriber, unsettled)
            return
        ready, self._ready = (
            self._ready,
            type(self._ready)(each for each in self._ready if each is subscriber),
        )
        original(self, subscriber, unsettled)
        self._ready = type(ready)(each for each in ready if each is not subscriber)

    @wrap(PlainQueue, "put")
    def put(original: Any, self: PlainQueue, message: Message) -> None:
        original(self, message)
        self._drain()


@fault("STOMP-ACK-001", bindings=V12)
def an_unsubscribe_drops_what_the_other_subscription_holds() -> None:
    """Unsettled messages are kept by session and destination: an UNSUBSCRIBE drops those of the other subscription."""

    @wrap_action("UNSUBSCRIBE")
    def unsubscribe(action: Any, self: Session, frame: Frame) -> bool:
        book = self.subscriptions
        ended = book._by_id.get(frame.headers.get("id", ""))
        for other in book._by_id.values() if ended is not None else ():
            if other is not ended and other.source is ended.source:
                for delivery in other.pending.values():
                    book.unsettled.pop(str(delivery.number), None)
                other.pending.clear()
        return bool(action(self, frame))


@fault("STOMP-SUB-010", bindings=V12)
def a_cumulative_ack_leaves_out_what_came_again() -> None:
    """In mode client an ACK does not cover messages that were delivered before to somebody else."""

    @wrap(Subscriptions, "settle")
    def settle(original: Any, self: Subscriptions, delivery: Delivery, *, consumed: bool) -> None:
        pending = delivery.subscription.pending
        again = {number: each for number, each in pending.items() if each.message.redelivered}
        again.pop(str(delivery.message.number), None)
        for number in again:
            del pending[number]
        original(self, delivery, consumed=consumed)
        kept = sorted({**pending, **again}.items(), key=lambda item: item[1].number)
        pending.clear()
        pending.update(kept)


@fault("STOMP-SUB-010", "STOMP-ACK-006", bindings=V12)
def a_committed_ack_is_individual() -> None:
    """An ACK in a transaction acknowledges the message that it names and none before, also in mode client."""

    @wrap_action("COMMIT")
    def commit(action: Any, self: Session, frame: Frame) -> bool:
        opened = self._transactions._open.get(frame.headers.get("transaction", ""))
        steps = opened.steps if opened is not None else []
        books = {step.delivery.subscription for step in steps if isinstance(step, Settlement)}
        cumulative = {each for each in books if each.mode is AckMode.CUMULATIVE}
        for each in cumulative:
            each.mode = AckMode.INDIVIDUAL
        try:
            return bool(action(self, frame))
        finally:
            for each in cumulative:
                each.mode = AckMode.CUMULATIVE


@fault("STOMP-ACK-001", "STOMP-ACK-006", bindings=V12)
def what_an_aborted_ack_named_is_lost_with_its_session() -> None:
    """A message whose ACK was aborted counts as delivered: it is lost when its session ends without another ACK."""
    aborted: set[int] = set()

    @wrap_action("ABORT")
    def abort(action: Any, self: Session, frame: Frame) -> bool:
        opened = self._transactions._open.get(frame.headers.get("transaction", ""))
        for step in opened.steps if opened is not None else ():
            if isinstance(step, Settlement):
                aborted.add(step.delivery.message.number)
        return bool(action(self, frame))

    @wrap(PlainQueue, "unsubscribe")
    def unsubscribe(original: Any, self: PlainQueue, subscriber: Any, unsettled: list[Message]) -> None:
        original(self, subscriber, [each for each in unsettled if each.number not in aborted])


@fault("STOMP-MESSAGE-004", "STOMP-ACK-002", bindings=V12)
def a_message_that_1_0_gave_back_has_no_ack() -> None:
    """A message that was delivered to a session of 1.0 before comes to one of 1.2 as it was written: without `ack`."""
    before: set[int] = set()
    now_again: list[bool] = []

    @wrap(Subscription, "deliver")
    def deliver(original: Any, self: Subscription, message: Message) -> None:
        if self._outlet.version == "1.0":
            before.add(message.number)
        now_again.append(message.redelivered and message.number in before)
        try:
            original(self, message)
        finally:
            now_again.pop()

    @wrap(Session, "emit")
    def emit(original: Any, self: Session, data: bytes) -> None:
        is_old = bool(now_again) and now_again[-1]
        original(self, re.sub(rb"\nack:\d+\n", b"\n", whole(data), count=1) if is_old else data)
