"""Faults that show with many of something, with several clients, or with two requests at one moment.

Most were seeded into a broker that was written from the text alone; others are modelled on public bug reports.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import ACCEPTED, Outcome, refused
from reference_server.queue.refusal import Refusal
from reference_server.queue.topic import Partition, Topic
from reference_server.server.application import Application
from tests.mutants.editing import as_object, edit_requests
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from reference_server.queue.topic import Record

#: Records that a small ring keeps of a partition, and records that a small window holds in flight.
RING = 200
WINDOW = 10
#: Seconds between a look at a name and its use, in which another request may take it.
GAP = 0.0005


@fault("DELIVER-1", bindings=HTTP)
def a_partition_is_a_ring() -> None:
    """A partition keeps its 200 newest records: the oldest one is overwritten, read or not."""

    @wrap(Cursor, "is_ready")
    def is_ready(original: Any, self: Cursor) -> bool:
        if self.in_flight is None:
            self.committed = max(self.committed, self.partition.end - RING)
        ready: bool = original(self)
        return ready


@fault("POLL-FAIR-1", bindings=HTTP)
def ten_in_flight_are_enough() -> None:
    """A consumer is handed out ten records at a time at most."""

    @wrap(Consumer, "next_cursor")
    def following(original: Any, self: Consumer) -> Cursor | None:
        cursor: Cursor | None = original(self) if len(self.held) < WINDOW else None
        return cursor


@fault("PUB-FULL-1", bindings=HTTP)
def keys_take_no_room() -> None:
    """The key of a record does not count for the bound of its partition."""

    @wrap(QueueBroker, "publish")
    def publish(
        original: Any, self: QueueBroker, topic_name: str, record: Record, *, now: float
    ) -> tuple[Partition, int]:
        octets = len((record.key or "").encode())
        topic = self.topics.get(topic_name)
        if topic is None or not octets:
            stored: tuple[Partition, int] = original(self, topic_name, record, now=now)
            return stored
        topic.partition_bytes += octets
        try:
            stored = original(self, topic_name, record, now=now)
            stored[0].octets -= octets
            return stored
        finally:
            topic.partition_bytes -= octets


@fault("PART-RR-1", bindings=HTTP)
def a_record_without_room_takes_a_turn() -> None:
    """A record without a key that is refused for want of room takes a turn."""

    @wrap(QueueBroker, "publish")
    def publish(
        original: Any, self: QueueBroker, topic_name: str, record: Record, *, now: float
    ) -> tuple[Partition, int]:
        try:
            stored: tuple[Partition, int] = original(self, topic_name, record, now=now)
        except Refusal as refusal:
            if refusal.cause == "partition-full" and not record.key:
                self.topics[topic_name].take_turn()
            raise
        return stored


def _turn_by_connection() -> None:
    """Give each connection a round of its own; a connection is one thread."""
    turns: defaultdict[Topic, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))

    @wrap(Topic, "partition_for")
    def place(original: Any, self: Topic, key: str | None) -> Partition:
        if key:
            partition: Partition = original(self, key)
            return partition
        return self.partitions[turns[self][threading.get_ident()] % len(self.partitions)]

    @wrap(Topic, "take_turn")
    def take(_original: Any, self: Topic) -> None:
        turns[self][threading.get_ident()] += 1


@fault("PART-RR-1", bindings=HTTP)
def each_connection_has_a_round_of_its_own() -> None:
    """Two producers in turn reach the partitions 0, 0, 1, 1, 2, 2: the round is kept by connection."""
    _turn_by_connection()


@fault("PART-RR-1", bindings=STOMP)
def each_session_has_a_round_of_its_own() -> None:
    """Two producers' sessions in turn reach the partitions 0, 0, 1, 1, 2, 2."""
    _turn_by_connection()


@fault("ACK-BAD-1", bindings=HTTP)
def numbers_are_truncated() -> None:
    """The fraction of a `message_id` is cut off, so that 17.5 acknowledges record 17."""

    def cut(body: dict[str, Any]) -> None:
        if isinstance(body.get("message_id"), float):
            body["message_id"] = int(body["message_id"])

    edit_requests("/consumer/acknowledgement", cut)


@fault("ACK-BAD-1", bindings=STOMP)
def ids_are_read_up_to_the_first_odd_character() -> None:
    """The string `17abc` acknowledges record 17, and ` 17 ` does."""

    def read(body: dict[str, Any]) -> None:
        value = body.get("message_id")
        if isinstance(value, str):
            digits = value.strip()
            while digits and not digits.isdecimal():
                digits = digits[:-1]
            body["message_id"] = digits

    edit_requests("/consumer/acknowledgement", read)


@fault("HTTP-PATH-1", bindings=HTTP)
def longer_paths_are_served_too() -> None:
    """`/consumer-group/add/extra` adds a group: a path is served that begins like one of the server's own."""

    def known(self: Operations, path: str) -> str:
        return next((own for own in self._table if path.startswith(own + "/")), path)

    @wrap(Operations, "is_operation")
    def is_operation(original: Any, self: Operations, path: str) -> bool:
        return bool(original(self, known(self, path)))

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Outcome | None:
        outcome: Outcome | None = original(self, known(self, path), body, **named)
        return outcome


def _look_before(path: str, member: str, space: str) -> None:
    """Answer 200 to each of two requests that come at once and find the name free, the last one wins."""

    @wrap(Application, "perform")
    def perform(original: Any, self: Application, asked: str, body: bytes, waiter: Any) -> Outcome | None:
        document = as_object(body) if asked == path else None
        if document is None:
            outcome: Outcome | None = original(self, asked, body, waiter)
            return outcome
        is_free = document.get(member) not in getattr(self._broker, space)
        threading.Event().wait(GAP)
        outcome = original(self, asked, body, waiter)
        if is_free and outcome is not None and outcome.status == 409:
            outcome = Outcome(200)
        return outcome


@fault("MEMBER-REGISTER-4", bindings=HTTP)
def two_registrations_at_once_both_win() -> None:
    """Of two registrations of a name that come at once each is answered 200: a look before the leap without a lock."""
    _look_before("/consumer/register-consumer", "consumer_name", "consumers")


@fault("TOPIC-ADD-2", bindings=HTTP)
def two_additions_at_once_both_win() -> None:
    """Of two additions of a topic that come at once each is answered 200."""
    _look_before("/topic/add-topic", "topicName", "topics")


@fault("ACK-UNKNOWN-1", bindings=HTTP)
def two_acknowledgements_at_once_both_win() -> None:
    """Of two acknowledgements of a record that come at once each is answered 202."""

    @wrap(Application, "perform")
    def perform(original: Any, self: Application, asked: str, body: bytes, waiter: Any) -> Outcome | None:
        document = as_object(body) if asked == "/consumer/acknowledgement" else None
        consumer = self._broker.consumers.get((document or {}).get("consumer_name", ""))
        message_id = (document or {}).get("message_id")
        is_held = consumer is not None and type(message_id) is int and message_id in consumer.held
        if is_held:
            threading.Event().wait(GAP)
        outcome: Outcome | None = original(self, asked, body, waiter)
        return ACCEPTED if is_held and outcome is not None and outcome.status == 409 else outcome


@fault("DELIVER-3", bindings=HTTP)
def two_polls_at_once_get_one_record() -> None:
    """Of two polls of a consumer that come at once each is handed out the same record."""
    given: dict[str, tuple[int, Outcome]] = {}
    begun = [0]

    @wrap(Application, "perform")
    def perform(original: Any, self: Application, asked: str, body: bytes, waiter: Any) -> Outcome | None:
        document = as_object(body) if asked == "/consumer/poll" else None
        name = str((document or {}).get("consumer_name"))
        if document is None:
            outcome: Outcome | None = original(self, asked, body, waiter)
            return outcome
        begun[0] += 1
        mine = begun[0]
        threading.Event().wait(GAP)
        outcome = original(self, asked, body, waiter)
        if outcome is not None and outcome.status == 200:
            given[name] = begun[0], outcome
        elif outcome is not None and outcome.status == 204 and name in given and mine <= given[name][0]:
            return given[name][1]
        return outcome


@fault("ATOMIC-1", bindings=HTTP)
def registrations_at_once_refuse_one_another() -> None:
    """Of two registrations of a name that come at once neither is answered 200: each finds the other one's claim."""
    claims: defaultdict[str, int] = defaultdict(int)

    @wrap(Application, "perform")
    def perform(original: Any, self: Application, asked: str, body: bytes, waiter: Any) -> Outcome | None:
        document = as_object(body) if asked == "/consumer/register-consumer" else None
        if document is None:
            outcome: Outcome | None = original(self, asked, body, waiter)
            return outcome
        name = str(document.get("consumer_name"))
        claims[name] += 1
        threading.Event().wait(GAP)
        is_claimed = claims[name] > 1
        try:
            if is_claimed:
                return refused(Refusal("consumer-exists", f"somebody else is about to be {name!r}"))
            outcome = original(self, asked, body, waiter)
        finally:
            threading.Event().wait(GAP)
            claims[name] -= 1
        return outcome


@fault("ATOMIC-1", bindings=HTTP)
def who_subscribes_while_it_leaves_comes_back() -> None:
    """A subscription that overlaps with the end of a registration writes the consumer back, as a cache does."""

    @wrap(Application, "perform")
    def perform(original: Any, self: Application, asked: str, body: bytes, waiter: Any) -> Outcome | None:
        document = as_object(body) if asked == "/consumer/subscribe-topic" else None
        name = str((document or {}).get("consumer_name"))
        consumer = self._broker.consumers.get(name)
        if consumer is not None:
            threading.Event().wait(GAP)
        outcome: Outcome | None = original(self, asked, body, waiter)
        if consumer is not None and name not in self._broker.consumers:
            with self._lock:
                consumer.group.members[name] = self._broker.consumers[name] = consumer
        return outcome
