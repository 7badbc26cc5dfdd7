"""Records of one topic, and the positions in replies to publishes: PUB-POSITION-1, PART-KEY-1, PART-RR-1.

Condition, with extension record-position: each reply states a partition below the topic's number and the next offset
of that partition; equal keys have equal partitions; P consecutive keyless records have P different partitions.

No false alarm: without the extension positions are not judged; only this run publishes to the topic, one record at a
time, so the next offset is known.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.models.partition_classes import PartitionClasses

if TYPE_CHECKING:
    from conformance.models.judging import Judge


@dataclass(slots=True, eq=False)
class Record:
    """A stored record. `number`: its place among the topic's records, in the order of the replies, from 0.

    `label`: its `messageID`. `node`: its node of `PartitionClasses`. `offset`: as the server stated it, else None.
    """

    topic: str
    number: int
    label: str | int
    key: str | None
    text: str
    node: int
    offset: int | None = None

    def __str__(self) -> str:
        return f"record {self.number} of {self.topic} ({self.text!r}, key {self.key!r})"


class TopicModel:
    """Known records of one topic.

    `partitions`: its number of partitions, None if neither requested nor declared. `positions`: True if the server
    has extension record-position. Every published text must be unique, because it identifies a delivered record.
    `frees`: True if the server has extension retention; then `may_be_gone` are the numbers of the records that every
    group which read the topic had committed at some time. `was_removed_before`: True if a topic of that name was.
    """

    def __init__(self, name: str, partitions: int | None, *, positions: bool, judge: "Judge") -> None:
        self.name = name
        self.partition_classes = PartitionClasses(partitions)
        self.positions = positions
        self.was_added_again = False
        self.was_removed_before = False
        self.frees = False
        self.may_be_gone: set[int] = set()
        self.records: list[Record] = []
        self.by_text: dict[str, Record] = {}
        self._judge = judge
        self._end_offsets: dict[int, int] = {}
        self._keyless_run: list[int] = []

    def store(self, label: str | int, key: str | None, text: str, body: Any) -> Record:
        """Store the record of an accepted publish, and judge its position in the reply `body`."""
        known = bool(key) and self.partition_classes.knows_key(key or "")
        node = self.partition_classes.node_of_key(key)
        record = Record(self.name, len(self.records), label, key or None, text, node)
        self.records.append(record)
        self.by_text[text] = record
        if self.positions:
            self._judge_position(record, body, known=known)
        if key:
            self._keyless_run.clear()
        return record

    def _judge_position(self, record: Record, body: Any, *, known: bool) -> None:
        partition, offset = position_of(body)
        partitions = self.partition_classes.partitions
        in_range = partition is not None and (partitions is None or partition < partitions)
        self._judge(
            "PUB-POSITION-1",
            in_range and offset is not None and offset == self._end_offsets.get(partition or 0, 0),
            expected="the record's partition, and the next offset of that partition, both as integers from 0",
            observed=body,
        )
        if partition is None or offset is None:
            return
        record.offset = offset
        self._end_offsets[partition] = offset + 1
        agrees = self.partition_classes.merge(record.node, self.partition_classes.node_of_number(partition))
        if known:
            self._judge(
                "PART-KEY-1",
                agrees,
                expected=f"key {record.key!r} in the partition of its earlier records, "
                f"{self.partition_classes.number(record.node)}",
                observed=body,
            )
        if record.key is None:
            self._judge_round_robin(partition, body)

    def _judge_round_robin(self, partition: int, body: Any) -> None:
        """PART-RR-1, for keyless records without a keyed one in between."""
        run, partitions = self._keyless_run, self.partition_classes.partitions
        run.append(partition)
        if partitions is None or len(run) < partitions:
            return
        latest = run[-partitions:]
        del run[:-partitions]
        self._judge(
            "PART-RR-1",
            len(set(latest)) == partitions,
            expected=f"{partitions} consecutive records without a key in {partitions} different partitions",
            observed=f"partitions {latest}, the last by {body}",
        )

    def differ(self, one: Record, other: Record) -> bool:
        """True if two records are known to lie in different partitions."""
        return self.partition_classes.differ(one.node, other.node)

    def same(self, one: Record, other: Record) -> bool:
        """True if two records are known to share a partition."""
        return self.partition_classes.same(one.node, other.node)


def position_of(body: Any) -> tuple[int | None, int | None]:
    """Return `partition` and `offset` of a reply; each is None if it is missing or not an integer from 0."""
    if not isinstance(body, dict):
        return None, None
    partition, offset = body.get("partition"), body.get("offset")
    return non_negative_integer(partition), non_negative_integer(offset)


def non_negative_integer(value: object) -> int | None:
    """The value, if it is an integer from 0 (and no boolean)."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
