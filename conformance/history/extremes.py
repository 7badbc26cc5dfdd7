"""Extremes of growing sets, found by bisection: no checker may look at all events for each of them."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")
#: Extreme of an empty set.
NONE = float("-inf")


class LargestBelow(Generic[Item]):
    """Largest value among all entries whose key lies below a bound; entries are triples of key, value and item."""

    __slots__ = ("_items", "_keys", "_values")

    def __init__(self, entries: Iterable[tuple[float, float, Item]]) -> None:
        ordered = sorted(entries, key=lambda entry: entry[0])
        self._keys = [key for key, _, _ in ordered]
        self._values: list[float] = []
        self._items: list[Item] = []
        for _, value, item in ordered:
            if not self._values or value > self._values[-1]:
                self._values.append(value)
                self._items.append(item)
            else:
                self._values.append(self._values[-1])
                self._items.append(self._items[-1])

    def below(self, bound: float) -> float:
        """Largest value of entries with a key below the bound; minus infinity if there is none."""
        end = bisect_left(self._keys, bound)
        return self._values[end - 1] if end else NONE

    def up_to(self, bound: float) -> float:
        """Largest value of entries with a key up to the bound; minus infinity if there is none."""
        end = bisect_right(self._keys, bound)
        return self._values[end - 1] if end else NONE

    def item_below(self, bound: float) -> Item | None:
        """The item of that value; None if there is none."""
        end = bisect_left(self._keys, bound)
        return self._items[end - 1] if end else None
