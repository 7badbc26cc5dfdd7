"""Keys that look like none, or like one another: PART-KEY-1, PUB-TEXT-1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.generators import many
from conformance.suite.queue.fixture import QueueFixture
from conformance.suite.queue.generators import KEYS
from conformance.suite.queue.ownership_probe import own_every_partition

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Records of each key; a key that counts as none spreads them over as many partitions.
RECORDS = 2


@clauses("PART-KEY-1", "PUB-TEXT-1")
def test_every_text_is_a_key(bench: Bench) -> None:
    """Publish records with keys such as `null`, `0`, a blank, and one text in several normal forms; expect those of one
    key in one partition, and each key as it was published.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    own_every_partition(queue, topic, consumer)
    for key in KEYS:
        for number in range(RECORDS):
            queue.publish(topic, f"m{number}", key=key)
        for number in range(RECORDS):
            came = [record for _, record in queue.poll_all(consumer)]
            bench.judge(
                "PART-KEY-1",
                [record.message for record in came] == [f"m{number}"],
                expected=f"m{number} alone in flight: all records of the key {key[:40]!r} lie in one partition",
                observed=[record.whole for record in came],
            )
            bench.judge(
                "PUB-TEXT-1",
                came[0].key == key,
                expected=f"the key {key!r}, as it was published",
                observed=came[0].whole,
            )
            queue.acknowledge(consumer, came[0].message_id)


@clauses("PART-KEY-1")
def test_a_key_has_its_partition_after_many_others(bench: Bench) -> None:
    """Publish with some keys before and after many others; expect the same partition each time."""
    if not bench.declares("record-position"):
        bench.skip("PART-KEY-1", "the server does not tell positions (extension record-position)")
        return
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    keys = ["a", "Schlüssel", "0", "key" * 100]
    places: list[list[int]] = []
    for number in range(2):
        places.append([queue.position(queue.publish(topic, "m", key=key))[0] for key in keys])
        for other in range(0 if number else many(bench)):
            queue.publish(topic, "m", key=f"other-{other}")
    before, after = places
    bench.judge(
        "PART-KEY-1",
        before == after,
        expected=f"the partitions {before}, as {many(bench)} keys before",
        observed=f"the partitions {after}",
    )
