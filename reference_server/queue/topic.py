"""Topics and their partitions: append-only logs of records, placed over the brokers."""

from array import array

import msgspec

from reference_server.queue.bounds import octets_of
from reference_server.queue.partitioner import partition_of


class Record(msgspec.Struct, frozen=True, gc=False):
    """A published record; `label` is the producer's own messageID, which may repeat (PUB-LABEL-1)."""

    label: str | int
    message: str
    key: str | None
    timestamp: float | int | str


def octets_in(record: Record) -> int:
    """Octets of UTF-8 that a record counts in its partition (PUB-FULL-1)."""
    return octets_of(record.message) + (octets_of(record.key) if record.key else 0)


_FREED = Record("", "", None, 0)


class Partition:
    """One log. `ids` are the messageIds that the queue gave to its records, `costs` their octets in the budget, both in
    step with `records`, which begin at the offset `base`. Those before the offset `oldest` were freed.
    """

    __slots__ = ("base", "broker", "costs", "ids", "index", "octets", "oldest", "records", "topic")

    def __init__(self, topic: str, index: int, broker: int) -> None:
        self.topic = topic
        self.index = index
        self.broker = broker
        self.records: list[Record] = []
        self.ids = array("q")
        self.costs = array("q")
        self.octets = 0
        self.base = 0
        self.oldest = 0

    @property
    def name(self) -> str:
        """The name, as in `news-P0` (PART-NAME-1)."""
        return f"{self.topic}-P{self.index}"

    @property
    def end(self) -> int:
        """The offset that the next record will have."""
        return self.base + len(self.records)

    def record(self, offset: int) -> Record:
        """The record at an offset, which was not freed."""
        return self.records[offset - self.base]

    def free(self, end: int) -> int:
        """Free the records before the offset `end` (RETENTION-FRONT-1); return their octets in the budget."""
        first, last = self.oldest - self.base, end - self.base
        for index in range(first, last):
            self.octets -= octets_in(self.records[index])
            self.records[index] = _FREED
        octets = sum(self.costs[first:last])
        self.oldest = end
        if last > len(self.records) // 2:  # else each record that goes would move all others
            del self.records[:last], self.ids[:last], self.costs[:last]
            self.base = end
        return octets


class Topic:
    """A named set of partitions, the byte limit of each, and the round-robin position of keyless records.

    `described` is the topic's last introspection document; None if that is out of date.
    """

    __slots__ = ("_turn", "described", "name", "partition_bytes", "partitions")

    def __init__(self, name: str, partitions: int, brokers: int, partition_bytes: int) -> None:
        self.name = name
        self.partition_bytes = partition_bytes
        # PART-PLACE-1: round-robin over the brokers.
        self.partitions = [Partition(name, index, index % brokers) for index in range(partitions)]
        self._turn = 0
        self.described: msgspec.Raw | None = None

    def partition_for(self, key: str | None) -> Partition:
        """The partition of a key; without one, the next in the round-robin (PART-RR-1, PART-RR-2)."""
        return self.partitions[partition_of(key, len(self.partitions)) if key else self._turn]

    def take_turn(self) -> None:
        """Advance the round-robin: a keyless record was stored."""
        self._turn = (self._turn + 1) % len(self.partitions)
