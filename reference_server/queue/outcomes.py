"""Outcomes of operations: statuses, JSON bodies, and acknowledgements for producers."""

from typing import Any

import msgspec

from reference_server.queue.broker import Delivery
from reference_server.queue.refusal import PROBLEM, Refusal
from reference_server.queue.topic import Record

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
    headers: str = ""
    """Further header lines, each with its line end."""


ACCEPTED = Outcome(202)
NOTHING = Outcome(204)  # POLL-EMPTY-2


def refused(refusal: Refusal) -> Outcome:
    """The outcome of a refused operation (REFUSE-2)."""
    return Outcome(refusal.status, refusal.problem(), PROBLEM)


def stored(topic: str, partition: int, offset: int, record: Record) -> Outcome:
    """The reply to a publish, with the acknowledgement of the record (PUB-STORE-1, PUB-ACK-1, PUB-ACK-6)."""
    reply = b'{"topicName":"%b","partition":%d,"offset":%d}' % (topic.encode(), partition, offset)
    return Outcome(200, reply, acknowledgement=acknowledged(topic, record.label))


def refused_record(topic: str, label: str | int | None, refusal: Refusal) -> Outcome:
    """The reply to a refused publish, with its acknowledgement (PUB-ACK-3)."""
    return Outcome(refusal.status, refusal.problem(), PROBLEM, failed(topic, label, refusal))


def acknowledged(topic: str, label: str | int) -> ProducerAcknowledgement:
    """The acknowledgement of the stored record with the producer's `label` (PUB-ACK-1, PUB-ACK-6)."""
    return ProducerAcknowledgement(topic, b'{"messageId":%b,"acknowledgementMessage":"ACK"}' % _encode(label))


def failed(topic: str, label: str | int | None, refusal: Refusal) -> ProducerAcknowledgement:
    """The acknowledgement of a refused publish (PUB-ACK-3)."""
    body = {"messageId": label, "acknowledgementMessage": "FAILED", "reason": refusal.detail}
    return ProducerAcknowledgement(topic, _encode(body))


def one_record(delivery: Delivery) -> Outcome:
    """The reply to a poll that hands out a record (POLL-OK-1)."""
    return Outcome(200, _encode(_record_body(delivery)))


def batch(deliveries: list[Delivery]) -> Outcome:
    """The reply to a batch poll that hands out records (POLL-BATCH-1)."""
    return Outcome(200, _encode({"records": [_record_body(delivery) for delivery in deliveries]}))


def _record_body(delivery: Delivery) -> dict[str, Any]:
    record, partition = delivery.record, delivery.partition
    return {
        "messageId": delivery.message_id,
        "message": {
            "message": record.message,
            "key": record.key,
            "topicName": partition.topic,
            "timestamp": record.timestamp,
        },
        "messageID": record.label,
        "partition": partition.index,
        "offset": delivery.offset,
        "redelivered": delivery.redelivered,
    }
