"""The records of one topic, and what a reply to a publish may say about them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.models.partition_classes import PartitionClasses

if TYPE_CHECKING:
    from conformance.models.judging import Judge


@dataclass(slots=True, eq=False)
class Record:
    """One stored record. `number` counts the topic's records in the order in which they were stored."""

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
    """What was stored in one topic.

    `partitions` is the number of its partitions where that is known (asked for, or declared as the default).
    `positions`: the server declares that it tells partition and offset (extension record-position).
    Every text that is published must be a new one: by it a delivered record is recognised.
    """

    def __init__(self, name: str, partitions: int | None, *, positions: bool, judge: "Judge") -> None:
        self.name = name
        self.partition_classes = PartitionClasses(partitions)
        self.positions = positions
        self.was_added_again = False
        self.records: list[Record] = []
        self.by_text: dict[str, Record] = {}
        self._judge = judge
        self._end_offsets: dict[int, int] = {}
        self._keyless_run: list[int] = []

    def store(self, label: str | int, key: str | None, text: str, body: Any) -> Record:
        """A publish was accepted with reply `body`: PUB-POSITION-1, PART-KEY-1, PART-RR-1 where it tells."""
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
        """PART-RR-1, for keyless records that follow one another without a keyed one between them."""
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
        """Whether two records certainly lie in different partitions."""
        return self.partition_classes.differ(one.node, other.node)

    def same(self, one: Record, other: Record) -> bool:
        """Whether two records certainly share a partition."""
        return self.partition_classes.same(one.node, other.node)


def position_of(body: Any) -> tuple[int | None, int | None]:
    """`partition` and `offset` of a reply, each None where it is missing or no integer from 0."""
    if not isinstance(body, dict):
        return None, None
    partition, offset = body.get("partition"), body.get("offset")
    return non_negative_integer(partition), non_negative_integer(offset)


def non_negative_integer(value: object) -> int | None:
    """The value, if it is an integer from 0 (and no boolean)."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
