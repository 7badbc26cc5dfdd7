"""Outcomes of operations: statuses, JSON bodies, and acknowledgements for producers."""

import msgspec

from reference_server.queue.broker import Delivery
from reference_server.queue.refusal import PROBLEM, Refusal

JSON = "application/json"
_encode = msgspec.json.encode


class ProducerAcknowledgement(msgspec.Struct, frozen=True, gc=False):
    """The JSON body for subscribers of a topic's acknowledgements (PUB-ACK-1, PUB-ACK-3)."""

    topic: str
    body: bytes


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """The reply to one request; `acknowledgement` is for the producer, `allow` for the HTTP header of a 405."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    acknowledgement: ProducerAcknowledgement | None = None
    allow: str = ""


ACCEPTED = Outcome(202)
NOTHING = Outcome(204)  # POLL-EMPTY-2


class _AcknowledgementBody(msgspec.Struct, omit_defaults=True):
    messageId: str | int | None
    acknowledgementMessage: str
    reason: str = ""


class _Message(msgspec.Struct):
    message: str
    key: str | None
    topicName: str
    timestamp: float | int | str


class _RecordBody(msgspec.Struct):
    messageId: int
    message: _Message
    messageID: str | int
    partition: int
    offset: int
    redelivered: bool


def refused(refusal: Refusal) -> Outcome:
    """The outcome of a refused operation (REFUSE-2)."""
    return Outcome(refusal.status, refusal.problem(), PROBLEM)


def acknowledged(topic: str, label: str | int) -> ProducerAcknowledgement:
    """The acknowledgement of the stored record with the producer's `label` (PUB-ACK-1, PUB-ACK-6)."""
    return ProducerAcknowledgement(topic, b'{"messageId":%b,"acknowledgementMessage":"ACK"}' % _encode(label))


def failed(topic: str, label: str | int | None, refusal: Refusal) -> ProducerAcknowledgement:
    """The acknowledgement of a refused publish (PUB-ACK-3)."""
    return ProducerAcknowledgement(topic, _encode(_AcknowledgementBody(label, "FAILED", refusal.detail)))


def one_record(delivery: Delivery) -> Outcome:
    """The reply to a poll that hands out a record (POLL-OK-1)."""
    return Outcome(200, _encode(_record_body(delivery)))


def batch(deliveries: list[Delivery]) -> Outcome:
    """The reply to a batch poll that hands out records (POLL-BATCH-1)."""
    return Outcome(200, _encode({"records": [_record_body(delivery) for delivery in deliveries]}))


def _record_body(delivery: Delivery) -> _RecordBody:
    record, partition = delivery.record, delivery.partition
    message = _Message(record.message, record.key, partition.topic, record.timestamp)
    return _RecordBody(
        delivery.message_id, message, record.label, partition.index, delivery.offset, delivery.redelivered
    )
