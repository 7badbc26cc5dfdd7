"""Thousands of records in bursts, each with an acknowledgement to its producer, and over STOMP with a RECEIPT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.queue.bursts import (
    BURST,
    NO_ROOM,
    ONE_BY_ONE,
    RECORDS,
    Bursts,
    IncompleteBurst,
    Turns,
    room_for_records,
)
from conformance.suite.queue.expectations import expect_status
from conformance.suite.queue.fixture import QueueFixture, publish_path
from conformance.suite.queue.listeners import SPELLINGS, ListenerSession
from conformance.wire.failures import PeerFailure
from conformance.wire.operations import encoded

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.stomp import StompClient


@clauses(
    "PUB-ACK-1",
    "PUB-ACK-2",
    "PUB-ACK-8",
    "PUB-ACK-9",
    "PUB-ACK-4",
    "PUB-ACK-6",
    "PUB-RECEIPT-1",
    "PART-RR-1",
)
def test_each_of_thousands_of_records_is_acknowledged(bench: Bench) -> None:
    """Publish records in bursts, over STOMP with a receipt header each; expect one ACK with the label of each record at
    one listener, one RECEIPT, and the records in turn in all partitions.
    """
    if bench.binding != "stomp-publish" and "queue-stomp" not in bench.target.classes:
        for clause in ("PUB-ACK-8", "PUB-ACK-4"):
            bench.skip(clause, "no STOMP session can listen: the server has the queue over HTTP only")
        return
    try:
        _publish_with_acknowledgements(bench, bench.examples(*RECORDS), one_by_one=False)
    except IncompleteBurst:
        _publish_with_acknowledgements(bench, bench.examples(*ONE_BY_ONE), one_by_one=True)


def _publish_with_acknowledgements(bench: Bench, total: int, *, one_by_one: bool) -> None:
    queue = QueueFixture(bench)
    topic, bursts = queue.new_topic(), Bursts(queue, one_by_one=one_by_one)
    spelling = {"queue-http": SPELLINGS[1], "queue-stomp": SPELLINGS[0]}.get(bench.binding, "")
    promise = {"queue-http": "PUB-ACK-8", "queue-stomp": "PUB-ACK-1"}.get(bench.binding, "PUB-ACK-9")
    listener = ListenerSession(bench).listen(topic, spelling)
    producer = bench.stomp() if bench.binding == "queue-stomp" else None
    turns = Turns(bench, (bench.partitions_of(topic) or 0) if bench.declares("record-position") else 0)
    total = min(total, room_for_records(bench, bench.target.partitions or 1))
    for begin in range(0, total, BURST):
        labels: list[str | int] = list(range(begin, min(begin + BURST, total)))
        bodies: list[dict[str, object]] = [{"messageID": label, "message": f"m{label}"} for label in labels]
        if producer is not None:
            for label, body in zip(labels, bodies, strict=True):
                octets, receipt = encoded(body), f"r{label}"
                producer.send(publish_path(topic), octets, receipt=receipt, content_type="application/json")
            _expect_receipts(bench, producer, [f"r{label}" for label in labels])
        else:
            replies = bursts.publish(topic, bodies)
            if any(reply.status in NO_ROOM for reply in replies):
                return
            for reply in replies:
                expect_status(bench, reply, 200, "PUB-STORE-1", "the record is valid, and the topic exists")
            if turns.partitions:
                turns.judge([queue.position(reply)[0] for reply in replies])
        listener.expect_acknowledgements(promise, labels)
        queue.keep_alive()
    more = listener.remaining()
    bench.judge("PUB-ACK-4", not more, expected=f"nothing after {total} ACKs", observed=more[:20])


def _expect_receipts(bench: Bench, producer: StompClient, receipts: list[str]) -> None:
    """Judge PUB-RECEIPT-1 by one RECEIPT for each of these."""
    for receipt in receipts:
        try:
            producer.expect("RECEIPT", receipt_id=receipt)
        except PeerFailure as silence:
            bench.judge(
                "PUB-RECEIPT-1",
                False,
                expected=f"a RECEIPT for the record with receipt:{receipt}",
                observed=silence.observed,
            )
            raise
    more = producer.take("RECEIPT")
    bench.judge("PUB-RECEIPT-1", not more, expected="one RECEIPT for each record", observed=more[:20])
