"""Consumers of a group, and the interval in which a silent one may be evicted.

A server acts at an unknown moment between the request and its reply, so every time is an interval (`TimeInterval`);
on a virtual clock both ends are equal. The last sign of life is such an interval, too. `Member.must_be_alive` and
`Member.must_be_evicted` are both false in between, where both outcomes are allowed: for the declared grace, and
longer if the time of the last sign of life is uncertain.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

_ROUNDING = 1e-6


class TimeInterval(NamedTuple):
    """Interval of a group's time, in seconds, that contains the moment of an event."""

    earliest: float
    latest: float


#: The previous sign of life of a consumer that gave only one: later than every moment, so no silence since is too long.
NEVER = TimeInterval(float("inf"), float("inf"))


@dataclass(frozen=True, slots=True)
class Timings:
    """Timings that a server declares, in seconds. `slack`: the greatest lateness of its real clock, in seconds."""

    heartbeat_timeout: float = 30.0
    eviction_grace: float = 1.0
    rebalance_timeout: float = 30.0
    slack: float = 0.0


@dataclass(slots=True, eq=False)
class RebalanceTrigger:
    """Start of a rebalance.

    `contended`: topics with several subscribers at that time. `possible`: True if the rebalance may not have started
    (eviction of a consumer that is silent within the grace).
    """

    when: TimeInterval
    contended: frozenset[str]
    possible: bool = False


@dataclass(slots=True, eq=False)
class Member:
    """A registered consumer.

    `last_sign`: the last sign of life, given by operation `last_sign_operation`; `previous_sign`: the one before.
    `last_served_clause`: the clause that promises the last operation that succeeded.
    `possible_eviction`: the rebalance of an eviction that may have happened, None if none can have.

    `end_reason`: "" for a consumer that may be registered, else "evicted", "left" or "removed". `end_was_observed`:
    True if a reply showed the end, False if only elapsed time implies it.

    `unsubscribed_topics`: topics given up. `refused_topics`: topics of refused subscriptions. `released_ids`: topic
    and record number by message id, of released records. `predecessor_ids`: the `released_ids` of the evicted
    consumer that had the name before. `void_ids`: ids of records in flight whose topic was removed.
    """

    name: str
    group: str
    last_sign: TimeInterval
    last_sign_operation: str = "register"
    last_served_clause: str = ""
    previous_sign: TimeInterval = NEVER
    topics: set[str] = field(default_factory=set)
    possible_eviction: RebalanceTrigger | None = None
    end_reason: str = ""
    end_was_observed: bool = False
    unsubscribed_topics: set[str] = field(default_factory=set)
    refused_topics: set[str] = field(default_factory=set)
    released_ids: dict[int, tuple[str, int]] = field(default_factory=dict)
    predecessor_ids: dict[int, tuple[str, int]] = field(default_factory=dict)
    void_ids: set[int] = field(default_factory=set)

    def must_be_alive(self, when: TimeInterval, timings: Timings) -> bool:
        """True if the silence is shorter than the timeout at every moment of `when` (LIVE-KEEP-1)."""
        return when.latest < self.last_sign.earliest + timings.heartbeat_timeout - _ROUNDING

    def must_be_evicted(self, when: TimeInterval, timings: Timings) -> bool:
        """True if the silence is longer than timeout and grace at every moment of `when` (LIVE-EVICT-1)."""
        return when.earliest > self.eviction_window(timings).latest + _ROUNDING

    def eviction_window(self, timings: Timings) -> TimeInterval:
        """Return the interval in which the server evicts the member, unless it gives another sign of life."""
        earliest = self.last_sign.earliest + timings.heartbeat_timeout
        latest = self.last_sign.latest + timings.heartbeat_timeout + timings.eviction_grace + timings.slack
        return TimeInterval(earliest, latest)

    def gave_sign_of_life(self, when: TimeInterval, operation: str) -> None:
        """Note that an operation of the member succeeded (LIVE-SIGN-1)."""
        if when.earliest > self.last_sign.latest:
            self.previous_sign = self.last_sign
            self.last_sign_operation = operation
        elif operation == "heartbeat":
            self.last_sign_operation = operation
        self.last_sign = TimeInterval(max(when.earliest, self.last_sign.earliest), when.latest)

    def may_have_signed(self, when: TimeInterval) -> None:
        """Note that an operation of the member was refused; it may count as a sign of life."""
        self.last_sign = TimeInterval(self.last_sign.earliest, max(when.latest, self.last_sign.latest))
