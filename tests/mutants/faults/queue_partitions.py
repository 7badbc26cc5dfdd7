"""Faults in the placement of records: partitions, keys, round-robin, offsets."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue import introspection
from reference_server.queue import topic as topics
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Cursor
from reference_server.queue.operations import Operations
from reference_server.queue.topic import Partition, Record, Topic
from tests.mutants.editing import as_object, edit_replies, open_cursors
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from reference_server.queue.outcomes import Outcome


@fault("PART-NAME-1", bindings=HTTP)
def partitions_are_named_from_one() -> None:
    """The partitions of `news` are news-P1, news-P2 and so on."""
    Partition.name = property(lambda self: f"{self.topic}-P{self.index + 1}")  # type: ignore[method-assign, assignment]


@fault("PART-PLACE-1", bindings=HTTP)
def partitions_are_placed_in_blocks() -> None:
    """The first partitions are on the first broker, the last ones on the last."""

    @wrap(Topic, "__init__")
    def begin(original: Any, self: Topic, name: str, partitions: int, brokers: int, octets: int) -> None:
        original(self, name, partitions, brokers, octets)
        for partition in self.partitions:
            partition.broker = partition.index * brokers // partitions


@fault("PART-KEY-1", bindings=HTTP, hard=True)
def a_key_moves_when_another_topic_is_added() -> None:
    """Keys of all topics are spread over as many partitions as the newest topic has."""
    latest = [1]

    @wrap(Topic, "__init__")
    def begin(original: Any, self: Topic, name: str, partitions: int, *arguments: Any) -> None:
        original(self, name, partitions, *arguments)
        latest[0] = partitions

    @replace(topics, "partition_of")
    def partition_of(key: str, partitions: int) -> int:
        return _number(key) % latest[0] % partitions


@fault("PART-KEY-1", bindings=STOMP)
def a_key_beyond_ascii_is_no_key() -> None:
    """Records whose key has a letter outside of ASCII are placed round-robin, like those without a key."""

    @wrap(Topic, "partition_for")
    def choose(original: Any, self: Topic, key: str | None) -> Partition:
        partition: Partition = original(self, key if key and key.isascii() else None)
        if key and not key.isascii():
            self.take_turn()
        return partition


@fault("PART-KEY-1", "PART-KEY-2", bindings=HTTP)
def a_key_lies_where_its_label_says() -> None:
    """Key and label together choose the partition."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        choose = Topic.partition_for

        def by_both(topic: Topic, key: str | None) -> Partition:
            return choose(topic, f"{key}/{record.label}" if key else None)

        Topic.partition_for = by_both  # type: ignore[method-assign]
        try:
            return original(self, name, record, **named)
        finally:
            Topic.partition_for = choose  # type: ignore[method-assign]


@fault("PART-KEY-2", bindings=HTTP)
def digests_are_read_from_the_other_end() -> None:
    """The digest of a key is read as a big-endian number."""

    @replace(topics, "partition_of")
    def partition_of(key: str, partitions: int) -> int:
        return int.from_bytes(hashlib.md5(key.encode()).digest()[:4], "big") % partitions


@fault("PART-RR-1", bindings=HTTP, hard=True)
def the_round_skips_the_last_partition() -> None:
    """Records without a key never go to the last partition of a topic of several."""

    @replace(Topic, "take_turn")
    def take_turn(self: Topic) -> None:
        self._turn = (self._turn + 1) % max(1, len(self.partitions) - 1)


@fault("PART-RR-1", bindings=STOMP, hard=True, effort="standard")
def the_round_skips_one_after_a_while() -> None:
    """Every ninth record without a key skips a partition."""
    turns = [0]

    @wrap(Topic, "take_turn")
    def take_turn(original: Any, self: Topic) -> None:
        original(self)
        turns[0] += 1
        if turns[0] % 9 == 0:
            original(self)


@fault("PART-RR-1", bindings=HTTP)
def keyless_records_go_anywhere() -> None:
    """Records without a key go to a partition at random."""
    chance = random.Random(1)

    @wrap(Topic, "partition_for")
    def choose(original: Any, self: Topic, key: str | None) -> Partition:
        partition: Partition = original(self, key) if key else chance.choice(self.partitions)
        return partition


@fault("PART-RR-1", "REFUSE-1", bindings=HTTP)
def a_refused_record_takes_a_turn() -> None:
    """A record that is refused for its body advances the round-robin."""

    @wrap(Operations, "_publish")
    def publish(original: Any, self: Operations, name: str, *arguments: Any) -> Outcome:
        outcome: Outcome = original(self, name, *arguments)
        if outcome.status == 400 and name in self.broker.topics:
            self.broker.topics[name].take_turn()
        return outcome


@fault("PART-RR-2", bindings=HTTP)
def the_round_begins_at_the_second_partition() -> None:
    """The first record without a key goes to partition 1."""

    @wrap(Topic, "__init__")
    def begin(original: Any, self: Topic, *arguments: Any) -> None:
        original(self, *arguments)
        self.take_turn()


@fault("PART-RR-3", bindings=HTTP)
def a_record_with_a_key_takes_a_turn() -> None:
    """Records with a key advance the round-robin, too."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        placed = original(self, name, record, **named)
        if record.key:
            self.topics[name].take_turn()
        return placed


@fault("PUB-POSITION-1", bindings=HTTP)
def offsets_are_told_from_one() -> None:
    """The reply to a publish counts offsets from 1."""

    def shift(outcome: Outcome) -> Outcome:
        document = as_object(outcome.body) or {}
        if "offset" not in document:
            return outcome
        document["offset"] += 1
        return msgspec.structs.replace(outcome, body=msgspec.json.encode(document))

    edit_replies("/producer/publish/", shift)


@fault("PUB-POSITION-1", bindings=STOMP)
def offsets_count_through_the_topic() -> None:
    """The reply to a publish gives the number of records in the topic, not in the partition."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        partition, _ = original(self, name, record, **named)
        return partition, sum(each.end for each in self.topics[name].partitions) - 1


@fault("INTRO-TOPIC-1", bindings=HTTP)
def end_offsets_are_those_of_the_last_record() -> None:
    """The end offset of a partition is that of its last record, one too low."""

    @wrap(introspection, "describe_topic")
    def describe(original: Any, topic: Topic) -> dict[str, Any]:
        document: dict[str, Any] = original(topic)
        for partition in document["partitions"]:
            partition["endOffset"] = max(0, partition["endOffset"] - 1)
        return document


@fault("ORDER-1", "PUB-POSITION-1", bindings=HTTP, effort="standard", hard=True)
def one_record_in_a_thousand_is_swapped() -> None:
    """Now and then a record is stored before its predecessor, if that was not handed out yet."""
    cursors = open_cursors()
    stored = [0]

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        partition, offset = original(self, name, record, **named)
        stored[0] += 1
        seen = max((max(cursor.handed, cursor.committed) for cursor in cursors[partition]), default=0)
        if stored[0] >= 1000 and offset > 0 and seen < offset:
            stored[0] = 0
            for log in (partition.records, partition.ids):
                log[offset - 1], log[offset] = log[offset], log[offset - 1]
        return partition, offset


@fault("DELIVER-1", "ORDER-1", "ACK-COMMIT-2", bindings=STOMP, effort="standard", hard=True)
def one_record_in_a_thousand_is_lost() -> None:
    """Now and then a record that has another one behind it is never handed out."""
    cursors = open_cursors()
    stored = [0]
    lost: set[tuple[Partition, int]] = set()

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        partition, offset = original(self, name, record, **named)
        stored[0] += 1
        seen = max((max(cursor.handed, cursor.committed) for cursor in cursors[partition]), default=0)
        if stored[0] >= 1000 and offset > 0 and seen < offset:
            stored[0] = 0
            lost.add((partition, offset - 1))
        return partition, offset

    @wrap(Cursor, "is_ready")
    def is_ready(original: Any, self: Cursor) -> bool:
        if self.in_flight is None and (self.partition, self.committed) in lost:
            self.committed += 1
        return bool(original(self))


@fault(
    "PUB-POSITION-1",
    "DELIVER-3",
    "ACK-COMMIT-1",
    bindings=HTTP,
    effort="standard",
    hard=True,
)
def one_record_in_a_thousand_is_stored_twice() -> None:
    """Every thousandth record is stored twice in a row."""
    stored = [0]

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        placed = original(self, name, record, **named)
        stored[0] += 1
        if stored[0] % 1000 == 0:
            partition = placed[0]
            partition.records.append(record)
            partition.ids.append(self._next_id)
            self._next_id += 1
        return placed


def _number(key: str) -> int:
    return int.from_bytes(hashlib.md5(key.encode()).digest()[:4], "little")
