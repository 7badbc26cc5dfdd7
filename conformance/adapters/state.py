"""State that the programs of a scenario share."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from conformance.adapters.phases import Phases

#: Stop after so many deliveries for each record and group, and so many more: the engine redelivers in a loop.
DELIVERIES_PER_RECORD, MORE_DELIVERIES = 6, 200
#: Longest silence of a consumer that is waited for, in seconds.
LONGEST_SILENCE = 60.0
#: Seconds between two looks whether the adapter is gone.
LOOK = 0.1
#: Patience for records that may still come, in seconds, where the timings of the engine are not known.
PATIENCE = 5.0


@dataclass
class DriveState:
    """State of one scenario. Thread-safe. `timings` are the known ones of the engine, in seconds.

    `gone` is the reason why the adapter ended before the scenario, "" while it runs.
    """

    topic: str
    groups: tuple[str, ...]
    token: str
    records: int
    timings: Mapping[str, float]
    phases: Phases
    deadline: float
    gone: str = ""
    published: int = 0
    late_group_may_come: threading.Event = field(default_factory=threading.Event)
    #: True if a group gets only what is stored after its first member has joined.
    starts_at_newest: bool = False
    _begun: set[str] = field(default_factory=set)
    _stored: set[str] = field(default_factory=set)
    #: Records that each group may not get, since they were sent before it was there.
    _before: dict[str, set[str]] = field(default_factory=dict)
    _acknowledged: dict[str, set[str]] = field(default_factory=dict)
    _deliveries: int = 0
    _producers_done: int = 0
    _all_sent: bool = False
    _names: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fresh(self, stem: str) -> str:
        """A new name."""
        with self._lock:
            self._names += 1
            return f"{stem}-{self.token}-{self._names}"

    def pause(self, seconds: float) -> None:
        """Wait for so many seconds, or until the adapter is gone; no time at all if the number is negative."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self.gone:
            threading.Event().wait(min(LOOK, left))

    def note_member(self, group: str, client: str) -> None:
        """Note that a client has joined a group."""
        if self.starts_at_newest:
            with self._lock:
                self._before.setdefault(group, set(self._begun))
        if group == self.groups[0]:
            self.phases.note_join(client)

    def note_sent(self, text: str) -> None:
        """Note that a record is about to be published."""
        with self._lock:
            self._begun.add(text)

    def note_published(self, text: str, *, stored: bool) -> None:
        """Note a publish; `stored` is True if the engine confirmed it."""
        with self._lock:
            self.published += 1
            if stored:
                self._stored.add(text)

    def note_producer_done(self, producers: int) -> None:
        """Note that one of so many producers has sent everything."""
        with self._lock:
            self._producers_done += 1
            self._all_sent = self._producers_done >= producers

    def note_delivery(self) -> None:
        """Note a delivery."""
        with self._lock:
            self._deliveries += 1

    def note_acknowledged(self, group: str, text: str) -> None:
        """Note that the group may have acknowledged a record."""
        with self._lock:
            self._acknowledged.setdefault(group, set()).add(text)

    def has_read_all(self, group: str) -> bool:
        """True if all records were sent, and the group has acknowledged all that were stored for it."""
        with self._lock:
            owed = self._stored - self._before.get(group, set())
            return self._all_sent and owed <= self._acknowledged.get(group, set())

    @property
    def is_over(self) -> bool:
        """True if time is up, the adapter is gone, or the engine redelivers in a loop."""
        most = DELIVERIES_PER_RECORD * self.records * len(self.groups) + MORE_DELIVERIES
        return bool(self.gone) or time.monotonic() > self.deadline or self._deliveries > most

    @property
    def eviction_limit(self) -> float | None:
        """Silence after which a member must be out, in seconds; None if unknown, or too long to be waited for."""
        if not {"heartbeat_timeout", "eviction_grace"} <= self.timings.keys():
            return None
        limit = (
            self.timings["heartbeat_timeout"]
            + self.timings["eviction_grace"]
            + self.timings.get("slack", 0.0)
        )
        return limit if limit <= LONGEST_SILENCE else None

    @property
    def settling(self) -> float:
        """Seconds in which records of members that are gone must have come back."""
        rebalance = max(self.timings.get("rebalance_limit", 0.0), self.timings.get("rebalance_hold", 0.0))
        timeout = self.timings.get("acknowledgement_timeout", 0.0)
        return min(LONGEST_SILENCE, (self.eviction_limit or 2 * PATIENCE) + rebalance + timeout) + PATIENCE

    def describe(self) -> str:
        """Progress in words."""
        with self._lock:
            read = ", ".join(
                f"{len(self._acknowledged.get(group, ()))} acknowledged by {group}" for group in self.groups
            )
            return f"{self.published} of {self.records} records sent; {read}"
