"""Pace of new connections at a server or gateway that refuses some: their distance, and how long each is tried."""

from __future__ import annotations

import threading
import time

#: Admissions in a row after which later connections get all the time again.
ADMISSIONS_TO_FORGET = 50
#: Longest time between two connections, in seconds, that is kept for the sake of a gateway.
LONGEST_SPACING = 1.0
#: Halvings of the time that attempts at a connection get.
_MOST_HALVINGS = 4


class Pace:
    """Pace of the connections of one run. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next_at = 0.0
        self._spacing = 0.0
        self._slowed_until = 0.0
        self._given_up = 0
        self._in_a_row = 0

    def delay(self) -> float:
        """Seconds until the calling thread may connect, on a gateway that has asked for fewer connections."""
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next_at)
            self._next_at = at + self._spacing
        return at - now

    def slow_down(self, pause: float) -> None:
        """Let `pause` seconds pass before the next connection of any thread, and keep a distance from then on."""
        with self._lock:
            now = time.monotonic()
            # Connections that were under way together are refused together: that is one sign of haste, not several.
            if now >= self._slowed_until:
                self._spacing = min(LONGEST_SPACING, max(0.1, 1.5 * self._spacing))
                self._slowed_until = now + pause
            self._next_at = max(self._next_at, now + pause)

    def admitted(self) -> None:
        """Note that a connection was admitted."""
        with self._lock:
            self._in_a_row += 1
            if self._in_a_row >= ADMISSIONS_TO_FORGET:
                self._given_up = 0
            self._spacing *= 0.95
            if self._spacing < 0.01:
                self._spacing = 0.0

    def forget(self) -> None:
        """Forget all refusals: they were no sign of haste."""
        with self._lock:
            self._next_at = self._spacing = 0.0
            self._given_up = 0

    def give_up(self) -> None:
        """Note that all attempts at a connection were in vain: later ones get less time."""
        with self._lock:
            self._in_a_row = 0
            self._given_up = min(self._given_up + 1, _MOST_HALVINGS)

    @property
    def share(self) -> float:
        """Part of the usual time that attempts at a connection get now."""
        return float(0.5**self._given_up)
