"""What comes of operations: statuses, JSON bodies, and what the producer is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from reference_server.queue.broker import Delivery
    from reference_server.queue.refusal import Refusal

_encode = msgspec.json.encode


class ProducerAcknowledgement(msgspec.Struct, frozen=True, gc=False):
    """What the subscribers of a topic's acknowledgements get, as JSON (PUB-ACK-1, PUB-ACK-3)."""

    topic: str
    body: bytes


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """The status, body and media type of a reply, and what the producer is told where a record was published."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    acknowledgement: ProducerAcknowledgement | None = None


ACCEPTED = Outcome(202)
NOTHING = Outcome(204)  # POLL-EMPTY-2


class _Told(msgspec.Struct, omit_defaults=True):
    messageId: str | int | None
    acknowledgementMessage: str
    reason: str = ""


class _Message(msgspec.Struct):
    message: str
    key: str | None
    topicName: str
    timestamp: float | int | str


class _Delivered(msgspec.Struct):
    messageId: int
    message: _Message
    messageID: str | int
    partition: int
    offset: int
    redelivered: bool


def refused(refusal: Refusal) -> Outcome:
    """The outcome of a refused operation (REFUSE-2)."""
    return Outcome(refusal.status, refusal.problem(), "application/problem+json")


def acknowledged(topic: str, label: str | int) -> ProducerAcknowledgement:
    """A record of the producer's `label` is stored (PUB-ACK-1, PUB-ACK-6)."""
    return ProducerAcknowledgement(topic, b'{"messageId":%b,"acknowledgementMessage":"ACK"}' % _encode(label))


def failed(topic: str, label: str | int | None, refusal: Refusal) -> ProducerAcknowledgement:
    """A publish was refused (PUB-ACK-3)."""
    return ProducerAcknowledgement(topic, _encode(_Told(label, "FAILED", refusal.detail)))


def one_record(delivery: Delivery) -> Outcome:
    """The reply to a poll that hands out a record (POLL-OK-1)."""
    return Outcome(200, _encode(_delivered(delivery)))


def batch(deliveries: list[Delivery]) -> Outcome:
    """The reply to a batch poll that hands out records (POLL-BATCH-1)."""
    return Outcome(200, _encode({"records": [_delivered(delivery) for delivery in deliveries]}))


def _delivered(delivery: Delivery) -> _Delivered:
    record, partition = delivery.record, delivery.partition
    message = _Message(record.message, record.key, partition.topic, record.timestamp)
    return _Delivered(
        delivery.message_id, message, record.label, partition.index, delivery.offset, delivery.redelivered
    )
