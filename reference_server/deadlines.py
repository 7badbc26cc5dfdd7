"""Deadlines by key, in one heap."""

import heapq
import itertools
import math
from typing import Generic, TypeVar

Key = TypeVar("Key")


class Deadlines(Generic[Key]):
    """At most one deadline for each key, in seconds of the clock of the caller."""

    def __init__(self) -> None:
        self._by_key: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        """Also holds entries that were removed or replaced: `next` and `take_due` drop them."""
        self._serial = itertools.count()

    @property
    def next(self) -> float:
        """The earliest deadline; infinite if there is none.

        A removed deadline must not be returned: the timer would run, find nothing due, and run again without end.
        """
        while self._heap and self._by_key.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def set(self, key: Key, when: float) -> None:
        """Set the deadline of a key, unless the key has an earlier one."""
        if when >= self._by_key.get(key, math.inf):
            return
        self._by_key[key] = when
        heapq.heappush(self._heap, (when, next(self._serial), key))
        if len(self._heap) > 4 * len(self._by_key) + 1000:  # mostly entries that no longer hold
            self._heap = [(due, next(self._serial), each) for each, due in self._by_key.items()]
            heapq.heapify(self._heap)

    def remove(self, key: Key) -> None:
        """Remove the deadline of a key, if the key has one."""
        self._by_key.pop(key, None)

    def take_due(self, now: float) -> list[Key]:
        """Remove and return the keys whose deadline is not after `now`, earliest first."""
        due = []
        while self._heap and self._heap[0][0] <= now:
            when, _, key = heapq.heappop(self._heap)
            if self._by_key.get(key) == when:
                del self._by_key[key]
                due.append(key)
        return due
