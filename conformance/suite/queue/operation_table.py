"""A table of the operations, with their members, and a state in which each of them succeeds.

Tests of every operation use it: malformed bodies, unknown members, the effects of a refusal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.suite.queue.expectations import expect_refusal, expect_status
from conformance.suite.queue.fixture import (
    ACKNOWLEDGE,
    ADD_GROUP,
    ADD_TOPIC,
    NEGATIVE_ACKNOWLEDGE,
    POLL,
    REGISTER,
    REMOVE_GROUP,
    REMOVE_TOPIC,
    SUBSCRIBE,
    UNREGISTER,
    UNSUBSCRIBE,
    QueueFixture,
    publish_path,
)
from conformance.suite.queue.queue_client import HEARTBEAT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.bench.bench import Bench

#: Wrong values of a member that has to be a string; then those of labels, keys and message ids.
NOT_STRINGS: tuple[Any, ...] = (7, True, None, ["x"], {"x": "y"})
_NOT_LABELS: tuple[Any, ...] = (None, ["x"], {"x": "y"})
_NOT_KEYS: tuple[Any, ...] = (7, ["x"], {"x": "y"})
_NOT_IDS: tuple[Any, ...] = (True, None, ["x"], {"x": "y"})


@dataclass(frozen=True)
class Operation:
    """A row of the table: an operation with wrong values for its required and its optional members."""

    path: str
    required: dict[str, tuple[Any, ...]]
    optional: dict[str, tuple[Any, ...]]
    success: frozenset[int]
    extension: str | None = None

    @property
    def publishes(self) -> bool:
        """True if the operation is one of the two spellings of publishing."""
        return self.path.endswith("{topic}")

    @property
    def members(self) -> dict[str, tuple[Any, ...]]:
        """Wrong values by member, required and optional ones."""
        return {**self.required, **self.optional}


def _row(
    path: str,
    required: dict[str, tuple[Any, ...]],
    *success: int,
    optional: dict[str, tuple[Any, ...]] | None = None,
    extension: str | None = None,
) -> Operation:
    return Operation(path, required, optional or {}, frozenset(success), extension)


_CONSUMER = {"consumer_name": NOT_STRINGS}
_GROUP = {"consumer_group_name": NOT_STRINGS}
_PUBLISH = publish_path("{topic}")
_RECORD = {"messageID": _NOT_LABELS, "message": NOT_STRINGS}
_LIST = {**_CONSUMER, "topic_list": NOT_STRINGS}
_SETTLE = {**_CONSUMER, "message_id": _NOT_IDS}

#: Second spellings of paths.
ALIASES = ("/addTopic", "/publish/{topic}")

TABLE: tuple[Operation, ...] = (
    _row(ADD_TOPIC, {"topicName": NOT_STRINGS}, 200),
    _row("/addTopic", {"topicName": NOT_STRINGS}, 200),
    _row(REMOVE_TOPIC, {"topicName": NOT_STRINGS}, 202, extension="topic-removal"),
    _row(_PUBLISH, _RECORD, 200, optional={"key": _NOT_KEYS, "timestamp": (["x"], {"x": "y"})}),
    _row("/publish/{topic}", _RECORD, 200, optional={"key": _NOT_KEYS, "timestamp": (["x"], {"x": "y"})}),
    _row(ADD_GROUP, _GROUP, 200),
    _row(REMOVE_GROUP, _GROUP, 202),
    _row(REGISTER, {**_GROUP, **_CONSUMER}, 200),
    _row(UNREGISTER, _CONSUMER, 202, extension="unregister"),
    _row(SUBSCRIBE, _LIST, 200),
    _row(UNSUBSCRIBE, _LIST, 202),
    _row(POLL, _CONSUMER, 200),
    _row(ACKNOWLEDGE, _SETTLE, 202),
    _row(NEGATIVE_ACKNOWLEDGE, _SETTLE, 202, extension="negative-acknowledgement"),
    _row(HEARTBEAT, _CONSUMER, 202),
)
#: Operations that remove something come last; the acknowledgement precedes the negative one, of another record.
_ORDER = [
    *(
        row.path
        for row in TABLE
        if row.path not in {NEGATIVE_ACKNOWLEDGE, UNSUBSCRIBE, UNREGISTER, REMOVE_GROUP, REMOVE_TOPIC}
    ),
    NEGATIVE_ACKNOWLEDGE,
    UNSUBSCRIBE,
    UNREGISTER,
    REMOVE_GROUP,
    REMOVE_TOPIC,
]


class PreparedQueue:
    """A topic and a group with two members, one of which holds a record: a state in which each operation succeeds."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.queue = queue = QueueFixture(bench)
        self.topic, self.group = queue.new_topic(), queue.new_group()
        self.spare_topic, self.spare_group = queue.new_topic(), queue.new_group()
        self.holder = queue.new_consumer(self.group, self.topic)
        self.idle = queue.new_consumer(self.group)
        self.polling = queue.new_consumer(self.spare_group, self.topic)
        for number in range(3):
            queue.publish(self.topic, f"m{number}")
        queue.read_and_acknowledge(self.holder, 1)
        queue.read_and_acknowledge(self.polling, 1)
        self.held = queue.poll_until_record(self.holder)
        self.new_names = {kind: bench.fresh(kind) for kind in ("topic", "group", "consumer")}

    def path(self, operation: Operation) -> str:
        """Path of an operation in this state."""
        return operation.path.format(topic=self.topic)

    def body(self, operation: Operation) -> dict[str, Any]:
        """Body with which the operation succeeds in this state, as long as no other operation has changed it."""
        new = self.new_names
        bodies: dict[str, dict[str, Any]] = {
            ADD_TOPIC: {"topicName": new["topic"]},
            "/addTopic": {"topicName": new["topic"]},
            _PUBLISH: {"messageID": "x", "message": "x", "key": "one-key", "timestamp": 0},
            "/publish/{topic}": {"messageID": "x", "message": "x", "key": "one-key", "timestamp": 0},
            REMOVE_TOPIC: {"topicName": self.topic},
            ADD_GROUP: {"consumer_group_name": new["group"]},
            REMOVE_GROUP: {"consumer_group_name": self.group},
            REGISTER: {"consumer_group_name": self.group, "consumer_name": new["consumer"]},
            UNREGISTER: {"consumer_name": self.idle},
            SUBSCRIBE: {"consumer_name": self.idle, "topic_list": self.topic},
            UNSUBSCRIBE: {"consumer_name": self.holder, "topic_list": self.topic},
            POLL: {"consumer_name": self.polling},
            ACKNOWLEDGE: {"consumer_name": self.holder, "message_id": self.held.message_id},
            NEGATIVE_ACKNOWLEDGE: {"consumer_name": self.holder, "message_id": self.held.message_id},
            HEARTBEAT: {"consumer_name": self.holder},
        }
        return bodies[operation.path]

    def sequence(self) -> Iterator[tuple[Operation, str, dict[str, Any]]]:
        """Operations that the server has, each with path and body, in an order in which all of them succeed.

        The second spellings of paths are left out: TOPIC-ALIAS-1 and PUB-ALIAS-1 alone promise them.
        """
        for operation in sorted(TABLE, key=lambda row: _ORDER.index(row.path)):
            if operation.path in ALIASES:
                continue
            if operation.extension is not None and not self.bench.declares(operation.extension):
                continue
            if operation.path == NEGATIVE_ACKNOWLEDGE:
                self.held = self.queue.poll_record(self.holder, "POLL-OK-1")
            body = self.body(operation)
            if operation.path == SUBSCRIBE:
                # To another topic, so that no partition of this one moves away from the holder.
                body["topic_list"] = self.spare_topic
            yield operation, self.path(operation), body

    def expect_unchanged(self, clause: str) -> None:
        """Judge `clause` by the state being the same as before the refused operations."""
        judge, queue, new = self.bench.judge, self.queue, self.new_names
        for name in (self.holder, self.idle, self.polling):
            beat = queue.heartbeat(name)
            expect_status(self.bench, beat, 202, clause, f"{name} is a member as before")
        queue.expect_no_record(self.holder, clause, f"no record: {self.held.message} is in flight as before")
        queue.expect_no_record(self.idle, clause, "no record: the member has no subscription")
        registration = queue.call(
            REGISTER, {"consumer_group_name": new["group"], "consumer_name": new["consumer"]}
        )
        expect_refusal(self.bench, registration, clause, "the group was not added")
        beat = queue.heartbeat(new["consumer"])
        expect_refusal(self.bench, beat, clause, "the consumer was not registered")
        topic = queue.call(ADD_TOPIC, {"topicName": new["topic"]})
        expect_status(self.bench, topic, 200, clause, "the topic was not added")
        mine = queue.call(ACKNOWLEDGE, {"consumer_name": self.holder, "message_id": self.held.message_id})
        expect_status(self.bench, mine, 202, clause, "the record is still in flight")
        for consumer, expected in ((self.holder, ["m2"]), (self.polling, ["m1", "m2"])):
            seen = []
            for _ in expected:
                record = queue.poll_record(consumer, clause)
                queue.acknowledge(consumer, record.message_id)
                seen.append(record.message)
            judge(clause, seen == expected, expected=f"{expected} for {consumer}", observed=seen)
            queue.expect_no_record(consumer, clause, "no further record: none was stored")
