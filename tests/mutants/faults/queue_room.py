"""Faults in bounds of partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_server.queue import topic
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Cursor
from reference_server.queue.refusal import Refusal
from tests.mutants.editing import (
    edit_requests,
    open_cursors,
    refuse_by,
)
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from reference_server.queue.topic import Record
PUBLISH = "/producer/publish/"


@fault("PUB-FULL-1", bindings=HTTP)
def the_bound_of_a_topic_is_not_read() -> None:
    """`partition_bytes` of a topic is ignored."""

    def ignore(body: dict[str, Any]) -> None:
        bound = body.get("partition_bytes")
        if isinstance(bound, int) and not isinstance(bound, bool) and 1 <= bound <= 256 * 1024 * 1024:
            del body["partition_bytes"]

    edit_requests("/topic/add-topic", ignore)


@fault("PUB-FULL-1", bindings=STOMP)
def bounds_count_characters() -> None:
    """The bound of a partition counts characters, not octets."""

    @replace(topic, "octets_of")
    def count(value: Any) -> int:
        return len(value) if isinstance(value, str) else 8


@fault("PUB-FULL-1", "DELIVER-1", bindings=HTTP)
def a_full_partition_drops_its_oldest_record() -> None:
    """A full partition drops its oldest unread record to store a new one."""
    cursors = open_cursors()

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        try:
            return original(self, name, record, **named)
        except Refusal as refusal:
            if refusal.cause != "partition-full":
                raise
            partition = self.topics[name].partition_for(record.key)
            partition.octets = 0
            if partition.records and all(cursor.in_flight is None for cursor in cursors[partition]):
                partition.records[0] = record
            return partition, partition.end


@fault("PUB-FULL-1", bindings=STOMP)
def acknowledging_makes_room() -> None:
    """Acknowledged records no longer count against the bound of their partition."""

    @wrap(Cursor, "settle")
    def settle(original: Any, self: Cursor, *, commit: bool) -> None:
        if commit:
            record = self.partition.records[self.committed]
            self.partition.octets -= len(record.message) + len(record.key or "")
        original(self, commit=commit)


@fault("PUB-FULL-2", bindings=HTTP)
def a_full_partition_is_a_bad_request() -> None:
    """A record that does not fit is refused by 400."""
    refuse_by(QueueBroker, "publish", "partition-full", 400)


@fault("PUB-FULL-3", bindings=HTTP)
def no_bound_may_be_zero() -> None:
    """`partition_bytes` of 0, null or less is ignored."""

    def read(body: dict[str, Any]) -> None:
        bound = body.get("partition_bytes", 1)
        if bound is None or (isinstance(bound, int) and bound <= 0):
            del body["partition_bytes"]

    edit_requests("/topic/add-topic", read)


@fault("PUB-FULL-3", bindings=STOMP)
def a_bound_may_be_any_number() -> None:
    """`partition_bytes` above the server's own limit is accepted."""

    def bound(body: dict[str, Any]) -> None:
        octets = body.get("partition_bytes")
        if isinstance(octets, int) and octets > 256 * 1024 * 1024:
            body["partition_bytes"] = 256 * 1024 * 1024

    edit_requests("/topic/add-topic", bound)
