"""Steps of a test, bounded: the first ones and the newest ones."""

from __future__ import annotations

from collections import deque

#: Steps kept from the beginning of the test, and newest steps.
FIRST_KEPT = 50
NEWEST_KEPT = 500


class Steps:
    """Steps of one test, oldest first."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._newest: deque[str] = deque(maxlen=NEWEST_KEPT)
        self._left_out = 0

    def append(self, text: str) -> None:
        """Add a step."""
        if len(self._first) < FIRST_KEPT:
            self._first.append(text)
            return
        self._left_out += len(self._newest) == NEWEST_KEPT
        self._newest.append(text)

    def lines(self) -> tuple[str, ...]:
        """The kept steps; a line between them says how many were left out."""
        gap = (f"… {self._left_out} steps left out",) if self._left_out else ()
        return (*self._first, *gap, *self._newest)

    def clear(self) -> None:
        """Drop all steps."""
        self._first.clear()
        self._newest.clear()
        self._left_out = 0
