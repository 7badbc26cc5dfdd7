"""Room for records: those that every group has committed, and those of removed topics (retention, topic-removal)."""

from collections.abc import Callable, Iterator, Mapping

from reference_server.budget import Budget
from reference_server.queue.group import Group
from reference_server.queue.settings import QueueSettings
from reference_server.queue.topic import Partition, Topic

_PARTITIONS = 250
"""Partitions that are looked at for the sake of one record."""
_PIECE = 20_000
"""Records that go in one turn, of removed topics or of one partition: some milliseconds."""
_SHARE = 16
"""Part of the octets of the server that are kept free where records can go."""


class Room:
    """Frees records, and gives their octets back. `records` counts those that are stored in all partitions."""

    def __init__(
        self,
        settings: QueueSettings,
        budget: Budget,
        topics: Mapping[str, Topic],
        followers: Mapping[str, Mapping[Group, None]],
    ) -> None:
        """`topics`, and the groups that read each, are those of the broker, by name."""
        self.records = 0
        self._most = settings.records
        self._is_kept = settings.retention == "keep"
        self._budget = budget
        self._enough = budget.bound - budget.bound // _SHARE
        self._topics = topics
        self._followers = followers
        self._round: Iterator[Partition] = iter(())
        self.removed: list[Partition] = []
        """Partitions of removed topics whose records are not all freed."""

    def has_for(self, octets: int) -> bool:
        """Return whether the server has room for one more record of so many octets in the budget."""
        return self.records < self._most and self._budget.has_room(octets)

    def make(self, candidates: Iterator[Partition], fits: Callable[[], bool]) -> bool:
        """Free records of these partitions until one more `fits`; return whether it does (RETENTION-ROOM-1)."""
        left = _PIECE
        while not fits():
            each = next(candidates, None)
            if each is None or left <= 0:
                return False
            end = min(self._end_of_free_ones(each), each.oldest + left)
            left -= max(0, end - each.oldest)
            while each.oldest < end and not fits():
                self._free(each, each.oldest + 1)
        return True

    def everywhere(self) -> Iterator[Partition]:
        """Partitions of removed topics, and then others in turn."""
        for each in tuple(self.removed):
            self.discard()
            yield each
        for _ in range(0 if self._is_kept else _PARTITIONS):
            following = next(self._round, None)
            if following is None:
                topics = list(self._topics.values())
                self._round = (each for topic in topics for each in topic.partitions)
            else:
                yield following

    def remove(self, partitions: list[Partition]) -> None:
        """Free the records of a removed topic, a piece of them at once."""
        for each in partitions:
            each.topic = ""  # no topic has this name
        self.removed += partitions
        self.discard()

    def tick(self) -> None:
        """Free records of removed topics, and some of a nearly full server: requests take room before they are read."""
        if self.removed:
            self.discard()
        if self._budget.used > self._enough:
            self.make(self.everywhere(), lambda: self._budget.used <= self._enough)

    def discard(self) -> None:
        """Free a piece of the records of removed topics."""
        left = _PIECE
        while self.removed and left > 0:
            last = self.removed[-1]
            end = min(last.end, last.oldest + left)
            left -= end - last.oldest
            self._free(last, end)
            if end == last.end:
                self.removed.pop()

    def _end_of_free_ones(self, partition: Partition) -> int:
        """The offset before which records may go: every group that reads the topic has committed them."""
        groups = self._followers.get(partition.topic)
        if self._is_kept or not groups:  # RETENTION-KEEP-2
            return 0
        cursors = (group.cursors[partition.topic][partition.index] for group in groups)
        return min(cursor.committed for cursor in cursors)  # RETENTION-KEEP-1

    def _free(self, partition: Partition, end: int) -> None:
        self.records -= end - partition.oldest
        self._budget.used -= partition.free(end)
        if partition.topic in self._topics:
            self._topics[partition.topic].described = None
