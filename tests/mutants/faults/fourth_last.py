"""Faults of a third draw after the fourth rewrite: states in which an operation is refused, and late answers.

Their models are coordinators that refuse while they rebalance, consumers with a bound of deliveries, and callbacks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.queue.operations import Operations
from reference_server.queue.refusal import Refusal
from reference_server.queue.requests import Advance
from reference_server.queue.topic import Topic
from reference_server.server.requests import RequestReader
from reference_server.stomp.queue_binding import REPLIES, QueueBinding
from reference_server.stomp.session import Session
from reference_server.stomp.transactions import Transactions
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault
from tests.mutants.stomp_editing import V12, edit_output, wrap_action

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_server.queue.outcomes import Outcome
    from reference_server.stomp.frame import Frame
    from reference_server.stomp.liveness import Liveness


def _is_moving(group: Group) -> bool:
    return any(cursor.next_owner is not None for cursor in group.all_cursors())


# Groups


@fault("LIVE-BEAT-1", "REBALANCE-4", bindings=HTTP)
def heartbeats_are_refused_in_a_rebalance() -> None:
    """A heartbeat of a member is refused while a partition of its group waits for its holder."""

    @wrap(Operations, "_heartbeat")
    def beat(original: Any, self: Operations, request: Any, now: float) -> Any:
        outcome = original(self, request, now)
        consumer = self.broker.consumers[request.consumer_name]
        if _is_moving(consumer.group):
            raise Refusal("too-many", "a rebalance is under way")
        return outcome


@fault("REBALANCE-4", "POLL-EMPTY-2", bindings=HTTP)
def empty_polls_are_refused_in_a_rebalance() -> None:
    """A poll that has nothing to give is refused while a partition of the group waits for its holder."""

    @wrap(QueueBroker, "poll")
    def poll(original: Any, self: QueueBroker, consumer: Consumer) -> Any:
        delivery = original(self, consumer)
        if delivery is None and _is_moving(consumer.group):
            raise Refusal("too-many", "a rebalance is under way")
        return delivery


@fault("NACK-AGAIN-1", "DELIVER-2", "DELIVER-1", bindings=HTTP)
def a_record_that_came_five_times_is_set_aside() -> None:
    """A record that was handed out five times in a group is skipped: it goes to a queue of dead letters."""
    times: dict[tuple[Cursor, int], int] = {}

    @wrap(Cursor, "hand_out")
    def hand_out(original: Any, self: Cursor) -> Any:
        key = (self, self.committed)
        times[key] = times.get(key, 0) + 1
        return original(self)

    @wrap(Cursor, "settle")
    def settle(original: Any, self: Cursor, *, commit: bool) -> None:
        original(self, commit=commit or times.get((self, self.committed), 0) >= 5)


@fault("DELIVER-3", "ACK-OK-1", bindings=HTTP)
def what_is_held_for_long_comes_again() -> None:
    """A record that is in flight for two heartbeat timeouts is taken back, though its holder sends heartbeats."""
    since: dict[Cursor, float] = {}

    @wrap(QueueBroker, "poll")
    def poll(original: Any, self: QueueBroker, consumer: Consumer) -> Any:
        delivery = original(self, consumer)
        if delivery is not None:
            cursor = consumer.held[delivery.message_id]
            since[cursor] = self.now + consumer.group.clock_offset
        return delivery

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        for cursor in self.all_cursors():
            held = since.get(cursor, math.inf)
            if cursor.in_flight is not None and held + 2 * self.settings.heartbeat_timeout <= now:
                cursor.settle(commit=False)
        silent: list[Consumer] = original(self, now)
        return silent


@fault("MEMBER-UNSUBSCRIBE-1", bindings=HTTP)
def who_holds_a_record_may_not_unsubscribe() -> None:
    """An unsubscription is refused while the consumer holds a record of the topic and another member reads it."""

    @wrap(QueueBroker, "unsubscribe")
    def unsubscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Sequence[str]) -> None:
        for cursor in consumer.held.values():
            topic = cursor.partition.topic
            others = [each for each in consumer.group.members.values() if topic in each.topics]
            if topic in names and len(others) > 1:
                raise Refusal("too-many", "acknowledge first")
        original(self, consumer, names)


@fault("POLL-REDELIVERED-1", bindings=HTTP)
def a_group_that_comes_back_gets_everything_again() -> None:
    """The records of a group that was removed and added again are marked as redelivered."""
    handed: dict[tuple[str, Any], int] = {}

    @wrap(Group, "dissolve")
    def dissolve(original: Any, self: Group) -> None:
        for cursor in self.all_cursors():
            handed[self.name, cursor.partition] = cursor.handed
        original(self)

    @wrap(Group, "_open")
    def begin(original: Any, self: Group, topic: Topic) -> None:
        original(self, topic)
        for cursor in self.cursors[topic.name]:
            cursor.handed = max(cursor.handed, handed.get((self.name, cursor.partition), 0))


@fault("PUB-POSITION-1", bindings=HTTP)
def a_record_that_comes_again_has_the_next_offset() -> None:
    """A record that comes again has the offset of the record behind it."""

    @wrap(QueueBroker, "poll")
    def poll(original: Any, self: QueueBroker, consumer: Consumer) -> Any:
        delivery = original(self, consumer)
        if delivery is not None and delivery.redelivered:
            delivery = delivery._replace(offset=delivery.offset + 1)
        return delivery


@fault("PUB-TIME-1", bindings=HTTP)
def a_record_that_comes_again_has_a_new_time() -> None:
    """The timestamp of a record that comes again is one more than before."""

    @wrap(QueueBroker, "poll")
    def poll(original: Any, self: QueueBroker, consumer: Consumer) -> Any:
        delivery = original(self, consumer)
        if delivery is not None and delivery.redelivered and isinstance(delivery.record.timestamp, int):
            later = msgspec.structs.replace(delivery.record, timestamp=delivery.record.timestamp + 1)
            delivery = delivery._replace(record=later)
        return delivery


# Topics and clocks


@fault("TOPIC-REMOVE-11", "PART-RR-2", bindings=HTTP)
def a_round_goes_on_in_a_topic_that_is_added_again() -> None:
    """Keyless records of a topic that was removed and added again go on in the round of the old one."""
    turns: dict[str, int] = {}

    @wrap(QueueBroker, "remove_topic")
    def remove(original: Any, self: QueueBroker, name: str, *, now: float) -> None:
        topic = self.topics.get(name)
        original(self, name, now=now)
        if topic is not None:
            turns[name] = topic._turn

    @wrap(Topic, "__init__")
    def begin(original: Any, self: Topic, name: str, count: int, *more: Any) -> None:
        original(self, name, count, *more)
        self._turn = turns.get(name, 0) % count


@fault("TOPIC-REMOVE-11", "PUB-FULL-1", bindings=HTTP)
def a_topic_that_is_added_again_has_its_old_bound() -> None:
    """A topic that was removed and added again has the bound of the old one."""
    bounds: dict[str, int] = {}

    @wrap(Topic, "__init__")
    def begin(original: Any, self: Topic, name: str, count: int, brokers: int, bound: int) -> None:
        original(self, name, count, brokers, bounds.setdefault(name, bound))


@fault("CLOCK-1", "CLOCK-3", bindings=HTTP)
def the_clock_moves_by_whole_seconds() -> None:
    """The fraction of the seconds by which the clock moves is dropped."""

    @wrap(Operations, "advance")
    def advance(original: Any, self: Operations, body: bytes, clock: Any, *, now: float) -> Outcome:
        try:
            request = msgspec.json.decode(body, type=Advance)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return original(self, body, clock, now=now)  # type: ignore[no-any-return]
        whole = msgspec.structs.replace(request, seconds=float(int(request.seconds)))
        outcome: Outcome = original(self, msgspec.json.encode(whole), clock, now=now)
        return outcome


# Bindings


@fault("QSTOMP-RECEIPT-1", "POLL-WAIT-1", bindings=STOMP)
def the_receipt_of_a_wait_comes_at_once() -> None:
    """The RECEIPT of a poll that waits comes when the wait begins."""

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, outlet: Any, frame: Frame) -> bool:
        receipt = frame.headers.get("receipt")
        done = bool(original(self, outlet, frame))
        if not done and receipt is not None:
            outlet.grant(receipt)
            for address in self._parked[outlet]:
                address.receipt = None if address.receipt == receipt else address.receipt
        return done


@fault("QSTOMP-REPLY-1", bindings=STOMP)
def the_reply_to_a_wait_has_no_correlation() -> None:
    """The reply to a poll that had to wait has no `correlation-id`."""

    @wrap(QueueBinding, "answer_late")
    def answer(original: Any, self: QueueBinding, address: Any, outcome: Outcome) -> None:
        address.correlation = None
        original(self, address, outcome)


@fault("QSTOMP-REPLY-1", bindings=STOMP)
def what_asks_for_a_receipt_gets_no_reply() -> None:
    """An operation with a `receipt` that succeeds gets its RECEIPT, and no reply."""

    @wrap(QueueBinding, "_answer")
    def answer(original: Any, self: QueueBinding, address: Any, outcome: Outcome) -> None:
        replies = self._replies
        if address.receipt is not None and outcome.status < 400:
            self._replies = {}
        try:
            original(self, address, outcome)
        finally:
            self._replies = replies


@fault("QSTOMP-SEND-1", "QSTOMP-RECEIPT-1", bindings=STOMP)
def who_reads_no_replies_polls_nothing() -> None:
    """A poll of a session that is not subscribed to replies is granted its receipt, and takes no record."""

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, outlet: Any, frame: Frame) -> bool:
        is_poll = frame.headers["destination"] == "/consumer/poll"
        if is_poll and REPLIES not in outlet.subscriptions.destinations().values():
            return True
        return bool(original(self, outlet, frame))


@fault("HTTP-PIPE-1", "HTTP-CHUNKED-1", bindings=HTTP)
def what_follows_the_last_chunk_is_dropped() -> None:
    """Octets that come in one piece with the last chunk of a body are dropped."""

    @wrap(RequestReader, "_parse")
    def parse(original: Any, self: RequestReader, data: bytes) -> None:
        head, end, rest = data.partition(b"\r\n0\r\n\r\n")
        is_chunked = b"chunked" in head.lower()
        original(self, head + end if end and is_chunked and rest else data)


# Sessions


@fault("STOMP-TX-003", "STOMP-ACK-006", bindings=V12)
def a_transaction_without_a_send_commits_nothing() -> None:
    """A COMMIT of a transaction that has no SEND does nothing: its ACKs are forgotten."""

    @wrap(Transactions, "end")
    def end(original: Any, self: Transactions, headers: Any, command: str) -> list[Any]:
        steps: list[Any] = original(self, headers, command)
        return steps if any(hasattr(step, "body") for step in steps) else []


@fault("STOMP-HEARTBEAT-005", bindings=V12)
def beats_begin_with_the_second_frame() -> None:
    """The server sends its first heart-beat only after it has heard something behind the CONNECT."""
    connected: dict[Liveness, float] = {}

    @wrap_action("CONNECT", "STOMP")
    def connect(original: Any, self: Session, frame: Frame) -> bool:
        done = bool(original(self, frame))
        connected[self.liveness] = self.liveness.heard_at
        return done

    @wrap(Session, "deadline")
    def deadline(original: Any, self: Session) -> float:
        live = self.liveness
        return live.expires_at if connected.get(live) == live.heard_at else float(original(self))

    @wrap(Session, "on_time")
    def on_time(original: Any, self: Session, now: float) -> None:
        live = self.liveness
        if connected.get(live) == live.heard_at and now >= live.beat_at:
            live.said_at = now
        original(self, now)


@fault("STOMP-ABNF-004", "STOMP-ENC-004", "STOMP-ERROR-004", bindings=V12)
def an_error_names_its_receipt_unescaped() -> None:
    """The `receipt-id` of an ERROR is written without escapes for colons."""

    def edit(_session: Session, data: bytes) -> bytes:
        lines = data.split(b"\n")
        edited = [line.replace(b"\\c", b":") if line.startswith(b"receipt-id:") else line for line in lines]
        return b"\n".join(edited)

    edit_output("ERROR", edit)
