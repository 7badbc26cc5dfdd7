"""Oddities in the choices that the text leaves to the queue: owners, ids, the order of partitions."""

from __future__ import annotations

import itertools
import random
import zlib
from typing import TYPE_CHECKING, Any

from reference_server.queue import broker, names
from reference_server.queue import group as groups
from reference_server.queue import topic as topics
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor
from reference_server.queue.long_polls import LongPolls
from reference_server.queue.refusal import Refusal
from reference_server.queue.topic import Record, Topic
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, variant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_server.queue.outcomes import Outcome

_LARGEST = 2**63 - 1


@variant("Which consumer gets which partition is open (ASSIGN-1 to ASSIGN-4).", bindings=HTTP)
def partitions_are_dealt_out_from_the_last() -> None:
    """The youngest member has the larger share, and the last partitions go first."""

    @wrap(groups, "assign")
    def assign(original: Any, owners: Sequence[Any], members: Sequence[Any]) -> list[Any]:
        result: list[Any] = original(owners[::-1], members[::-1])
        return result[::-1]


@variant("An id is any integer from 0 to 2⁶³ - 1 (POLL-OK-2).", bindings=HTTP)
def ids_count_down_from_the_largest() -> None:
    """The first record has the largest possible id, and each later one a smaller one."""

    stored = itertools.count()

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        self._next_id = _LARGEST - 7 * next(stored)
        return original(self, name, record, **named)


@variant("When a record is delivered again it may have the same id or a new one (POLL-OK-2).", bindings=STOMP)
def ids_are_given_anew_for_each_delivery() -> None:
    """A messageId counts deliveries, not records, from 0 on."""
    delivered = [-1]

    @wrap(Cursor, "hand_out")
    def hand_out(original: Any, self: Cursor) -> tuple[int, bool]:
        assert self.owner is not None
        others = dict(self.owner.held)  # the record's own id may be that of another delivery
        _, again = original(self)
        delivered[0] += 1
        self.owner.held = {**others, delivered[0]: self}
        self.in_flight = delivered[0]
        return delivered[0], again


@variant("Where the round begins is open (POLL-FAIR-1).", bindings=HTTP)
def polls_begin_anywhere() -> None:
    """A poll takes any of the consumer's partitions that has a free record."""
    chance = random.Random(5)

    @replace(Consumer, "next_cursor")
    def next_cursor(self: Consumer) -> Cursor | None:
        ready = [cursor for cursor in self.assigned if cursor.is_ready()]
        return chance.choice(ready) if ready else None


@variant("Fairness is between polls without a settlement between them (POLL-FAIR-1).", bindings=STOMP)
def polls_begin_at_the_first_partition() -> None:
    """A poll takes the first of the consumer's partitions that has a free record."""

    @replace(Consumer, "next_cursor")
    def next_cursor(self: Consumer) -> Cursor | None:
        ready = (cursor for cursor in self.assigned if cursor.is_ready())
        return min(ready, key=lambda c: (c.partition.topic, c.partition.index), default=None)


@variant(
    "How many of the possible records a batch has is open (POLL-BATCH-1).",
    bindings=HTTP,
)
def batches_have_one_record() -> None:
    """A batch poll brings one record at a time."""

    @wrap(LongPolls, "hand_out")
    def hand_out(original: Any, self: LongPolls, consumer: Consumer, limit: int) -> Outcome:
        outcome: Outcome = original(self, consumer, min(limit, 1))
        return outcome


@variant(
    "A name that the clauses leave open may be served unaltered (NAME-3).",
    bindings=HTTP,
)
def almost_anything_is_a_name() -> None:
    """Names may have a thousand characters, and any but the forbidden ones."""

    @replace(broker, "check_name")
    def check(name: str, member: str, longest: int) -> str:
        del longest
        forbidden = not name or name in {".", ".."} or len(name) > 1100
        if forbidden or any(letter in "/," or ord(letter) < 32 or ord(letter) == 127 for letter in name):
            raise Refusal("name-invalid", f"{member} is not a name", member)
        return name

    assert names.check_name is not check


@variant("Which broker has partition 0 is open (PART-PLACE-1).", bindings=HTTP)
def topics_begin_on_different_brokers() -> None:
    """The broker of a topic's partition 0 depends on the topic's name."""

    @wrap(Topic, "__init__")
    def begin(original: Any, self: Topic, name: str, partitions: int, brokers: int, octets: int) -> None:
        original(self, name, partitions, brokers, octets)
        for partition in self.partitions:
            partition.broker = (partition.index + zlib.crc32(name.encode())) % brokers


@variant(
    "A topic in the list that the consumer is not subscribed to may be a reason to refuse it (MEMBER-UNSUBSCRIBE-1).",
    bindings=STOMP,
)
def only_what_is_subscribed_can_be_given_up() -> None:
    """Unsubscribing from a topic without a subscription is refused."""

    @wrap(QueueBroker, "unsubscribe")
    def unsubscribe(original: Any, self: QueueBroker, consumer: Consumer, listed: Sequence[str]) -> None:
        self._topics(listed)
        if set(listed) - set(consumer.topics):
            raise Refusal("member-value", "the consumer is not subscribed to all of them", "topic_list")
        original(self, consumer, listed)


@variant(
    "What can be no id may be refused as one that is not in flight (ACK-BAD-1).",
    bindings=HTTP,
)
def negative_ids_are_just_not_in_flight() -> None:
    """A `message_id` out of range is refused by 409."""
    from reference_server.queue.requests import Settle

    @wrap(Settle, "number")
    def number(original: Any, self: Settle) -> int:
        try:
            return int(original(self))
        except Refusal:
            if isinstance(self.message_id, str):
                raise
            return -1


@variant(
    "A server may count its own overhead and refuse a record earlier (PUB-FULL-1).",
    bindings=STOMP,
)
def records_take_more_room_than_their_texts() -> None:
    """Each record counts 1000 octets more than its key and its message."""

    @wrap(topics, "octets_of")
    def octets(original: Any, value: Any) -> int:
        return int(original(value)) + 1000
