"""Phases of the scenario, and the times at which producers send in each.

1. Members come, while producers send already.
2. All members stay, for longer than the engine may take to rebalance, while records still come. Only then two owners of
   a partition can be told from a rebalance, and a record that was kept from one that is about to come again.
3. Members fail: silence, cuts, departures, a restart.

Producers send in bursts, so that records wait behind one another in every phase.
"""

import enum
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

#: Parts of the records that are sent while members come, and while all stay.
COMING_PART, RESTING_PART = 0.15, 0.3
#: Records that a producer sends without a pause.
BURST = 3
#: Seconds over which producers send while members come, and the longest time that all members together may take.
COMING_SECONDS, LONGEST_COMING = 1.5, 15.0
#: Seconds in which records come after the last rebalance has settled, at least, and the longest rest.
WINDOW, LONGEST_REST = 2.0, 30.0
#: Seconds over which producers send while members fail: the longest silence and these, at most so many.
AFTER_SILENCE, LONGEST_FAILING = 2.0, 20.0
#: Parts of the time limit of the scenario that the first two phases may take.
MOST_COMING, MOST_RESTING = 0.25, 0.4
#: Seconds between two looks whether the scenario is over.
LOOK = 0.1


class Phase(enum.IntEnum):
    """Phases, in their order."""

    COMING = 0
    RESTING = 1
    FAILING = 2


@dataclass(frozen=True)
class Durations:
    """Lengths of the phases, in seconds: the longest one of `coming`; `failing` is the time in which producers send."""

    coming: float
    resting: float
    failing: float


def durations(timings: Mapping[str, float], seconds: float) -> Durations:
    """Lengths of the phases for an engine with these timings, in a scenario of at most so many seconds."""
    settling = timings.get("rebalance_limit", 0.0) + timings.get("slack", 0.0)
    resting = settling + max(WINDOW, settling / 2)
    silence = sum(timings.get(name, 0.0) for name in ("heartbeat_timeout", "eviction_grace", "slack"))
    return Durations(
        coming=min(LONGEST_COMING, MOST_COMING * seconds),
        resting=min(resting, LONGEST_REST, MOST_RESTING * seconds),
        failing=min(silence + AFTER_SILENCE, LONGEST_FAILING, MOST_RESTING * seconds),
    )


class Phases:
    """The phase of a running scenario. Thread-safe. `members` is the number of those that are to join."""

    def __init__(self, members: int, lengths: Durations) -> None:
        self.lengths = lengths
        self._members = members
        self._began = time.monotonic()
        self._joined: set[str] = set()
        self._rest_began: float | None = None
        self._last_join = 0.0
        self._failing_began: float | None = None
        self._changed = threading.Condition()

    def note_join(self, client: str) -> None:
        """Note that a client has become a member; while all are to stay, the rest begins anew."""
        with self._changed:
            self._joined.add(client)
            self._last_join = time.monotonic()
            self._changed.notify_all()

    @property
    def now(self) -> Phase:
        """The present phase."""
        with self._changed:
            return self._now()[0]

    def _now(self) -> tuple[Phase, float]:
        """The present phase and its beginning."""
        now = time.monotonic()
        if self._rest_began is None:
            if len(self._joined) < self._members and now < self._began + self.lengths.coming:
                return Phase.COMING, self._began
            self._rest_began = now
        if self._failing_began is None:
            # A member that comes back in the middle is waited for once more.
            end = max(self._rest_began, self._last_join) + self.lengths.resting
            if now < min(end, self._rest_began + 2 * self.lengths.resting):
                return Phase.RESTING, self._rest_began
            self._failing_began = now
        return Phase.FAILING, self._failing_began

    def wait_for_a_member(self, is_over: Callable[[], bool]) -> None:
        """Wait until somebody has joined; no longer than members may take to come."""
        with self._changed:
            while not self._joined and self._now()[0] is Phase.COMING and not is_over():
                self._changed.wait(LOOK)

    def wait(self, phase: Phase, seconds: float, is_over: Callable[[], bool]) -> None:
        """Wait until the phase has lasted for so many seconds, a later one has begun, or the scenario is over."""
        with self._changed:
            while not is_over():
                present, began = self._now()
                if present > phase or (present is phase and time.monotonic() >= began + seconds):
                    return
                self._changed.wait(LOOK)


def schedule(records: int, lengths: Durations) -> list[tuple[Phase, float]]:
    """Phase of each of the records of one producer, and the seconds after its beginning when it is due."""
    coming, resting = round(COMING_PART * records), round(RESTING_PART * records)
    made: list[tuple[Phase, float]] = []
    for phase, count, seconds in (
        (Phase.COMING, coming, COMING_SECONDS),
        (Phase.RESTING, resting, lengths.resting),
        (Phase.FAILING, records - coming - resting, lengths.failing),
    ):
        bursts = max(1, -(-count // BURST))
        made += [(phase, seconds * (number // BURST) / bursts) for number in range(count)]
    return made
