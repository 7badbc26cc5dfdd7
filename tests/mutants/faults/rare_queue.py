"""Faults of the queue that hit one record, acknowledgement or answer in 20, 100, 300, 500 or 1000."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Cursor
from reference_server.queue.outcomes import Outcome
from reference_server.queue.topic import Topic
from reference_server.server.application import Application
from reference_server.stomp.queue_binding import QueueBinding
from reference_server.stomp.session import Session
from tests.mutants.editing import open_cursors
from tests.mutants.patching import wrap
from tests.mutants.rarely import Rarely, rare_faults
from tests.mutants.registry import HTTP, PUBLISH, STOMP

if TYPE_CHECKING:
    from reference_server.queue.topic import Partition, Record
    from reference_server.stomp.frame import Frame

_PUBLISHING = ("/producer/publish/", "/publish/")


@rare_faults("DELIVER-1", "ORDER-1", bindings=HTTP)
def a_record_is_lost(happens: Rarely) -> None:
    """A record is never handed out."""
    lost: set[tuple[Partition, int]] = set()

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        placed = original(self, name, record, **named)
        if happens():
            lost.add(placed)
        return placed

    @wrap(Cursor, "is_ready")
    def is_ready(original: Any, self: Cursor) -> bool:
        while self.in_flight is None and (self.partition, self.committed) in lost:
            self.committed += 1
        return bool(original(self))


@rare_faults("PUB-POSITION-1", "DELIVER-3", "ACK-COMMIT-1", bindings=STOMP)
def a_record_is_stored_twice(happens: Rarely) -> None:
    """A record is stored twice in a row."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        placed = original(self, name, record, **named)
        if happens():
            original(self, name, record, **named)
        return placed


@rare_faults("ACK-COMMIT-1", "ACK-COMMIT-2", bindings=HTTP)
def an_acknowledgement_commits_nothing(happens: Rarely) -> None:
    """An acknowledgement is answered 202 and commits nothing: the record comes again."""

    @wrap(Cursor, "settle")
    def settle(original: Any, self: Cursor, *, commit: bool) -> None:
        original(self, commit=commit and not happens())


@rare_faults("ORDER-1", "PUB-POSITION-1", bindings=STOMP)
def two_records_are_swapped(happens: Rarely) -> None:
    """A record is stored before its predecessor, if that was not handed out yet."""
    cursors = open_cursors()
    owed = [0]

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        partition, offset = original(self, name, record, **named)
        owed[0] += happens()
        seen = max((max(cursor.handed, cursor.committed) for cursor in cursors[partition]), default=0)
        if owed[0] and offset > 0 and seen < offset:
            owed[0] -= 1
            for log in (partition.records, partition.ids):
                log[offset - 1], log[offset] = log[offset], log[offset - 1]
        return partition, offset


@rare_faults("ORDER-1", "PUB-POSITION-1", bindings=HTTP)
def the_next_record_overtakes(happens: Rarely) -> None:
    """The record behind the next one is handed out in its place; the next one comes after it."""

    @wrap(Cursor, "hand_out")
    def hand_out(original: Any, self: Cursor) -> Any:
        records, ids, first = self.partition.records, self.partition.ids, self.committed
        if happens() and first + 1 < len(records):
            for log in (records, ids):
                log[first], log[first + 1] = log[first + 1], log[first]
        return original(self)


@rare_faults("PART-KEY-1", bindings=HTTP)
def a_key_is_in_another_partition(happens: Rarely) -> None:
    """A record with a key is stored in the partition behind its own."""

    @wrap(Topic, "partition_for")
    def place(original: Any, self: Topic, key: str | None) -> Partition:
        partition: Partition = original(self, key)
        if key and happens():
            return self.partitions[(partition.index + 1) % len(self.partitions)]
        return partition


@rare_faults("PART-RR-1", bindings=STOMP)
def a_turn_is_left_out(happens: Rarely) -> None:
    """A record without a key takes two turns."""

    @wrap(Topic, "take_turn")
    def take(original: Any, self: Topic) -> None:
        original(self)
        if happens():
            original(self)


@rare_faults("PUB-POSITION-1", bindings=STOMP)
def an_offset_is_wrong(happens: Rarely) -> None:
    """The reply to a publish has the offset of the record before."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        partition, offset = original(self, name, record, **named)
        return partition, max(0, offset - 1) if happens() else offset


@rare_faults("PUB-STORE-1", bindings=HTTP)
def a_publish_is_refused(happens: Rarely) -> None:
    """A valid publish is answered 500, and nothing is stored."""

    @wrap(Application, "perform")
    def perform(original: Any, self: Application, path: str, body: bytes, waiter: Any) -> Outcome | None:
        if path.startswith(_PUBLISHING) and happens():
            return Outcome(500)
        outcome: Outcome | None = original(self, path, body, waiter)
        return outcome


@rare_faults("QSTOMP-REPLY-1", bindings=STOMP)
def a_reply_is_missing(happens: Rarely) -> None:
    """An operation over STOMP is performed and gets no reply."""

    @wrap(QueueBinding, "_reply")
    def reply(original: Any, self: QueueBinding, address: Any, outcome: Outcome) -> Any:
        message = original(self, address, outcome)
        if happens():
            message.destination = "/user/queue/nowhere"
        return message

    @wrap(Session, "emit")
    def emit(original: Any, self: Session, data: bytes) -> None:
        if b"/user/queue/nowhere\n" not in data:
            original(self, data)


def _leave_out_acknowledgements(happens: Rarely) -> None:
    @wrap(QueueBinding, "acknowledge_producer")
    def acknowledge(original: Any, self: QueueBinding, acknowledgement: Any) -> None:
        if not happens():
            original(self, acknowledgement)


@rare_faults("PUB-ACK-1", "PUB-ACK-2", bindings=STOMP)
def a_producers_acknowledgement_is_missing(happens: Rarely) -> None:
    """No listener gets the ACK of a record that came over STOMP."""
    _leave_out_acknowledgements(happens)


@rare_faults("PUB-ACK-8", bindings=HTTP)
def an_acknowledgement_of_http_is_missing(happens: Rarely) -> None:
    """No listener gets the ACK of a record that came over HTTP."""
    _leave_out_acknowledgements(happens)


@rare_faults("PUB-ACK-9", bindings=PUBLISH)
def a_records_only_answer_is_missing(happens: Rarely) -> None:
    """A record gets no acknowledgement where there is no other answer."""
    _leave_out_acknowledgements(happens)


@rare_faults("PUB-ACK-4", bindings=HTTP)
def a_producer_is_told_twice(happens: Rarely) -> None:
    """Each listener gets the ACK of a record twice."""

    @wrap(QueueBinding, "acknowledge_producer")
    def acknowledge(original: Any, self: QueueBinding, acknowledgement: Any) -> None:
        original(self, acknowledgement)
        if happens():
            original(self, acknowledgement)


@rare_faults("PUB-ACK-6", bindings=HTTP)
def a_label_is_that_of_another_record(happens: Rarely) -> None:
    """The ACK of a record has the label of the one before."""
    last: list[bytes] = [b""]

    @wrap(QueueBinding, "acknowledge_producer")
    def acknowledge(original: Any, self: QueueBinding, acknowledgement: Any) -> None:
        body, last[0] = last[0], acknowledgement.body
        if body and happens():
            acknowledgement = msgspec.structs.replace(acknowledgement, body=body)
        original(self, acknowledgement)


@rare_faults("PUB-RECEIPT-1", bindings=STOMP)
def a_receipt_of_a_record_is_missing(happens: Rarely) -> None:
    """A SEND of a record gets no RECEIPT."""

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, outlet: Any, frame: Frame) -> bool:
        is_done: bool = original(self, outlet, frame)
        is_asked = "receipt" in frame.headers and frame.headers["destination"].startswith(_PUBLISHING)
        return is_done and not (is_asked and happens())
