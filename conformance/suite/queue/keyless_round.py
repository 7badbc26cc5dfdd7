"""A round of records without a key, in a topic of which nothing else is known (PART-RR-1).

Any N records in a row lie in N partitions. So record j + N lies in the partition of record j.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.suite.queue.ownership_probe import partition_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.suite.queue.fixture import QueueFixture


class KeylessRound:
    """A topic with one consumer, and records without a key that are published to it, numbered from 0."""

    def __init__(self, queue: QueueFixture, **extra: object) -> None:
        """`extra` are further members of the request that adds the topic."""
        self.queue = queue
        self.topic = queue.new_topic(**extra)
        self.consumer = queue.new_consumer(queue.new_group(), self.topic)
        self.partitions = partition_count(queue, self.topic)

    def publish(self, number: int, publish: Callable[[str, str], object] | None = None) -> None:
        """Publish one record, by `publish(topic, message)` if that is given."""
        if publish is None:
            self.queue.publish(self.topic, f"m{number}", key=None)
        else:
            publish(self.topic, f"m{number}")

    def expect_turns(self, clause: str, because: str) -> None:
        """Judge `clause` by 2 N published records: the first N are in flight at once, and the others follow them.

        Record j + N comes when record j is acknowledged, and not before.
        """
        queue, count = self.queue, self.partitions
        expected = {f"m{number}" for number in range(count)}
        came: dict[str, int] = {}
        for _ in queue.retry_until_rebalanced():
            came |= {record.message: record.message_id for _, record in queue.poll_all(self.consumer)}
            if len(came) >= count:
                break
        queue.bench.judge(
            clause,
            set(came) == expected,
            expected=f"records m0 to m{count - 1} in flight at once, one in each partition: {because}",
            observed=sorted(came),
        )
        for number in range(count):
            queue.acknowledge(self.consumer, came[f"m{number}"])
            record = queue.poll_until_record(self.consumer, clause)
            queue.bench.judge(
                clause,
                record.message == f"m{number + count}",
                expected=f"m{number + count} behind m{number}, {count} records later in the same partition: {because}",
                observed=record.whole,
            )
