"""Topics, their partitions, and the records in them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

PARTITIONS = 4


@dataclass(frozen=True)
class Record:
    """A stored record. `number` counts the records of the whole server and is its `messageId` in polls."""

    number: int
    topic: str
    message: str
    key: str | None
    timestamp: float | str


class Topic:
    """A named set of partitions, each a list of records by offset."""

    def __init__(self, name: str, added: float) -> None:
        """`added` is the time of the addition in monotonic seconds."""
        self.name = name
        self.added = added
        self.logs: list[list[Record]] = [[] for _ in range(PARTITIONS)]
        self._turn = 0

    @property
    def is_empty(self) -> bool:
        """True if the topic has no record yet."""
        return not any(self.logs)

    def append(self, record: Record, *, hash_is_torn: bool = False, hashes_empty: bool = False) -> None:
        """Store a record; with a torn hash (J5), in the partition next to its own.

        `hashes_empty` is J22: the empty key is hashed like any other.
        """
        place = partition_of("") if hashes_empty and record.key == "" else self._place(record.key)
        if hash_is_torn and record.key:
            place = (place + 1) % PARTITIONS
        self.logs[place].append(record)

    def _place(self, key: str | None) -> int:
        if key:
            return partition_of(key)
        place = self._turn % PARTITIONS
        self._turn += 1
        return place


def partition_of(key: str) -> int:
    """The partition of a key (PART-KEY-2)."""
    return int.from_bytes(hashlib.md5(key.encode()).digest()[:4], "little") % PARTITIONS
