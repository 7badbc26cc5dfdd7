"""Many records through one topic, one by one: each is delivered once and in order. `test_bursts` has thousands of
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.queue.fixture import DeliveredRecord, QueueFixture

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Records of one key that are stored before the first of them is polled for.
TOGETHER = 50
#: Octets of a partition that a short record may need, a generous estimate.
ROOM = 1024


@clauses("DELIVER-1", "DELIVER-3", "DELIVER-4", "ORDER-1", "ACK-COMMIT-1")
def test_each_of_many_records_comes_once(bench: Bench) -> None:
    """Publish many records while one consumer reads; expect each of them once, and those of a key in order."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    total = bench.examples(50, 250, 2_000)
    room = bench.limit("partition_bytes")
    if room is not None:
        total = max(1, min(total, int(room) // ROOM))
    acknowledged: dict[str, int] = {}
    records: list[DeliveredRecord] = []
    for begin in range(0, total, TOGETHER):
        texts = [f"m{number}" for number in range(begin, min(begin + TOGETHER, total))]
        for text in texts:
            queue.publish(topic, text, key=f"k{begin}")
        came = queue.read_and_acknowledge(consumer, len(texts))
        records += came
        for record in came:
            _judge_first_time(bench, record, acknowledged)
            bench.judge(
                "DELIVER-4", record.message in texts, expected="a record of this topic", observed=record
            )
            acknowledged[record.message] = record.message_id
        order = [record.message for record in came]
        bench.judge("ORDER-1", order == texts, expected=f"records of one key as {texts}", observed=order)
    queue.expect_no_record(consumer, "DELIVER-3", "no record: each came, and was acknowledged", records)


def _judge_first_time(bench: Bench, record: DeliveredRecord, acknowledged: dict[str, int]) -> None:
    """Judge that a record was not delivered before.

    A repeated record was stored twice, or else its acknowledgement committed nothing.
    """
    before = acknowledged.get(record.message)
    clause = "ACK-COMMIT-1" if before == record.message_id else "DELIVER-3"
    bench.judge(
        clause,
        before is None,
        expected=f"no record a second time after the acknowledgement of {before}",
        observed=record,
    )
