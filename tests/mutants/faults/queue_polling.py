"""Faults in polls: replies, order, missing and repeated records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue import long_polls
from reference_server.queue.broker import Delivery, QueueBroker
from reference_server.queue.group import Consumer, Cursor
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import Outcome
from reference_server.queue.topic import Record
from tests.mutants.editing import accept_refused, as_object, edit_replies, open_cursors, refuse_by
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from reference_server.queue.topic import Partition

POLL = "/consumer/poll"


def _edit_records(edit: Any) -> None:
    """Have `edit(item)` change each record that a single poll returns."""

    @wrap(long_polls, "one_record")
    def one_record(original: Any, delivery: Delivery) -> Outcome:
        outcome: Outcome = original(delivery)
        item = as_object(outcome.body) or {}
        edit(item)
        return msgspec.structs.replace(outcome, body=msgspec.json.encode(item))


@fault("POLL-OK-1", bindings=HTTP)
def records_do_not_tell_their_topic() -> None:
    """A delivered record has no `topicName`."""
    _edit_records(lambda item: item["message"].pop("topicName"))


@fault("POLL-OK-1", bindings=STOMP)
def records_come_as_text() -> None:
    """A delivered record's `message` is its text, not an object."""
    _edit_records(lambda item: item.update(message=item["message"]["message"]))


@fault("POLL-OK-2", bindings=HTTP)
def ids_are_text() -> None:
    """`messageId` is a string."""
    _edit_records(lambda item: item.update(messageId=str(item["messageId"])))


@fault("POLL-OK-2", bindings=STOMP)
def ids_are_unique_in_a_topic_only() -> None:
    """`messageId` counts the records of each topic from 1."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        topic = self.topics.get(name)
        if topic is not None:
            self._next_id = 1 + sum(partition.end for partition in topic.partitions)
        return original(self, name, record, **named)


@fault("POLL-REDELIVERED-1", bindings=HTTP)
def nothing_is_ever_redelivered() -> None:
    """`redelivered` is false, even for redelivered records."""
    _edit_records(lambda item: item.update(redelivered=False))


@fault("POLL-EMPTY-1", bindings=HTTP)
def an_empty_poll_succeeds() -> None:
    """An empty poll is answered 200 with an empty object."""
    edit_replies(POLL, lambda outcome: Outcome(200, b"{}") if outcome.status == 204 else outcome)


@fault("POLL-EMPTY-2", bindings=HTTP)
def an_empty_poll_is_a_conflict() -> None:
    """An empty poll is answered 409."""
    body = b'{"type":"urn:stompliance:problem:nothing","title":"Nothing","status":409,"detail":"nothing now"}'
    nothing = Outcome(409, body, "application/problem+json")
    edit_replies(POLL, lambda outcome: nothing if outcome.status == 204 else outcome)

    @wrap(long_polls.LongPolls, "cancel")
    def cancel(original: Any, self: long_polls.LongPolls, waiter: Any) -> Outcome | None:
        outcome: Outcome | None = original(self, waiter)
        return outcome and nothing


@fault("POLL-START-1", bindings=HTTP)
def a_new_group_starts_at_the_newest_record() -> None:
    """A group starts behind the records that exist when it subscribes."""

    @wrap(Cursor, "__init__")
    def begin(original: Any, self: Cursor, partition: Partition) -> None:
        original(self, partition)
        self.committed = partition.end


@fault("POLL-START-1", bindings=STOMP)
def a_new_group_starts_where_others_stand() -> None:
    """A group starts at the oldest record that another group has not acknowledged."""

    cursors = open_cursors()

    @wrap(Cursor, "__init__")
    def begin(original: Any, self: Cursor, partition: Partition) -> None:
        committed = min((cursor.committed for cursor in cursors[partition]), default=0)
        original(self, partition)
        self.committed = committed


@fault("POLL-FAIR-1", bindings=HTTP)
def a_consumer_holds_two_records_at_most() -> None:
    """A consumer that holds two records gets no third one."""

    @wrap(Consumer, "next_cursor")
    def next_cursor(original: Any, self: Consumer) -> Cursor | None:
        found: Cursor | None = original(self) if len(self.held) < 2 else None
        return found


@fault("POLL-OK-1", "POLL-FAIR-1", "ACK-COMMIT-2", bindings=STOMP)
def the_round_stops_one_short() -> None:
    """A poll skips one of the consumer's partitions."""

    @replace(Consumer, "next_cursor")
    def next_cursor(self: Consumer) -> Cursor | None:
        for _ in range(len(self.assigned) - (len(self.assigned) > 1)):
            cursor = next(iter(self.assigned))
            self.assigned.move_to_end(cursor)
            if cursor.is_ready():
                return cursor
        return None


@fault("POLL-UNKNOWN-1", bindings=HTTP)
def nobody_polls_nothing() -> None:
    """A poll of an unknown consumer is answered 204."""
    accept_refused("_poll", "consumer-unknown", 204)


@fault("POLL-UNKNOWN-2", bindings=HTTP)
def a_poll_of_nobody_is_a_bad_request() -> None:
    """A poll of an unknown consumer is refused by 400."""
    refuse_by(Operations, "_poll", "consumer-unknown", 400)


@fault("ORDER-1", bindings=HTTP)
def the_newest_record_comes_first() -> None:
    """A poll returns the newest record of a partition with several waiting, by swapping the two."""
    cursors = open_cursors()

    @wrap(Cursor, "hand_out")
    def hand_out(original: Any, self: Cursor) -> tuple[int, bool]:
        partition = self.partition
        first, last = self.committed, partition.end - 1
        if self.handed <= first < last and len(cursors[partition]) == 1:
            for log in (partition.records, partition.ids):
                log[first], log[last] = log[last], log[first]
        result: tuple[int, bool] = original(self)
        return result


@fault("ORDER-1", "DELIVER-2", bindings=STOMP)
def what_comes_back_comes_behind_the_next() -> None:
    """A freed record is redelivered only after the record behind it."""
    cursors = open_cursors()

    @wrap(Cursor, "settle")
    def settle(original: Any, self: Cursor, *, commit: bool) -> None:
        original(self, commit=commit)
        place, partition = self.committed, self.partition
        if not commit and self.handed == place + 1 < partition.end and len(cursors[partition]) == 1:
            for log in (partition.records, partition.ids):
                log[place], log[place + 1] = log[place + 1], log[place]


@fault("ORDER-2", bindings=HTTP)
def two_records_of_a_partition_are_in_flight() -> None:
    """While one record of a partition is in flight, a poll may return the next one as well."""
    ahead: dict[Cursor, int] = {}

    @wrap(QueueBroker, "poll")
    def poll(original: Any, self: QueueBroker, consumer: Consumer) -> Delivery | None:
        delivery: Delivery | None = original(self, consumer)
        if delivery is not None:
            ahead.pop(_cursor_of(consumer, delivery), None)
            return delivery
        for cursor in consumer.assigned:
            offset = cursor.committed + 1
            if cursor.in_flight is not None and cursor not in ahead and offset < cursor.partition.end:
                ahead[cursor] = offset
                partition = cursor.partition
                return Delivery(partition.ids[offset], partition, offset, partition.records[offset], False)
        return None


def _cursor_of(consumer: Consumer, delivery: Delivery) -> Cursor:
    return consumer.held[delivery.message_id]


@fault("DELIVER-1", bindings=HTTP)
def the_last_record_waits_for_a_later_one() -> None:
    """The newest record of a partition is handed out only after another one is published behind it."""

    @replace(Cursor, "is_ready")
    def is_ready(self: Cursor) -> bool:
        newest = self.partition.end - 1
        return self.in_flight is None and (self.committed < newest or self.committed == newest == 0)


@fault("DELIVER-1", bindings=STOMP)
def what_is_published_to_an_idle_group_is_missed() -> None:
    """A record that is published while a group has no subscriber is not delivered to that group."""
    cursors = open_cursors()

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        partition, offset = original(self, name, record, **named)
        for cursor in cursors[partition]:
            if cursor.owner is None and cursor.committed == offset:
                cursor.committed += 1
        return partition, offset


@fault("DELIVER-3", bindings=HTTP)
def who_polls_again_gets_the_same() -> None:
    """An empty poll returns the oldest record that the consumer holds."""

    @wrap(QueueBroker, "poll")
    def poll(original: Any, self: QueueBroker, consumer: Consumer) -> Delivery | None:
        delivery: Delivery | None = original(self, consumer)
        if delivery is None and consumer.held:
            message_id, cursor = next(iter(consumer.held.items()))
            record = cursor.partition.records[cursor.committed]
            return Delivery(message_id, cursor.partition, cursor.committed, record, True)
        return delivery


@fault("DELIVER-3", bindings=STOMP)
def a_record_in_flight_comes_again_after_a_while() -> None:
    """A record that is not acknowledged within ten seconds is redelivered, though its consumer is alive."""
    since: dict[Cursor, float] = {}

    @wrap(Cursor, "hand_out")
    def hand_out(original: Any, self: Cursor) -> tuple[int, bool]:
        result: tuple[int, bool] = original(self)
        since[self] = _time[0]
        return result

    @wrap(QueueBroker, "poll")
    def poll(original: Any, self: QueueBroker, consumer: Consumer) -> Delivery | None:
        _time[0] = self.now + consumer.group.clock_offset
        for cursor in list(consumer.held.values()):
            if since[cursor] + 10 <= _time[0]:
                cursor.settle(commit=False)
        delivery: Delivery | None = original(self, consumer)
        return delivery

    _time = [0.0]


@fault("DELIVER-4", bindings=HTTP)
def a_topic_begins_with_a_record_of_its_own() -> None:
    """A new topic holds a record that no producer published."""

    @wrap(QueueBroker, "add_topic")
    def add(original: Any, self: QueueBroker, *arguments: Any, **named: Any) -> Any:
        topic = original(self, *arguments, **named)
        topic.partitions[0].records.append(Record("0", "created", None, 0))
        topic.partitions[0].ids.append(self._next_id)
        self._next_id += 1
        return topic
