"""The two clocks: wall time for everything on the wire, the queue's own time for consumers and rebalances."""

import math
import time

wall = time.monotonic
"""Seconds of wall time, which never go back; STOMP heart-beats and long polls always use it."""


class RunningClock:
    """The queue's time runs with wall time, and counts from 1970 for the sake of timestamps."""

    def __init__(self) -> None:
        self._epoch = time.time() - wall()

    def now(self) -> float:
        """Queue time in seconds."""
        return wall() + self._epoch

    def wall_time_of(self, when: float) -> float:
        """Wall time at which the queue's time reaches `when`."""
        return when - self._epoch


class VirtualClock:
    """The queue's time stands still until it is advanced (CLOCK-1, CLOCK-2)."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Queue time in seconds since the start of the server."""
        return self._now

    def advance(self, seconds: float) -> float:
        """Advance the time; return it."""
        self._now += seconds
        return self.now()

    def wall_time_of(self, when: float) -> float:
        """Wall time at which the queue's time reaches `when`: now, or infinite."""
        return wall() if when <= self._now else math.inf


Clock = RunningClock | VirtualClock
