"""ConsumerRegistry of a group, and the window of time in which a silent one may be evicted.

Every instant is an interval (`TimeInterval`): a server acted somewhere between the moment a request left and the
moment its reply came. On a virtual clock both ends are equal. A consumer's last sign of life is such an
interval too, so `Member.certainly_alive` and `must_be_evicted` leave a gap between them in which
both outcomes are allowed: at least the declared grace, and more where it is uncertain when, or whether,
something counted as a sign of life.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

_ROUNDING = 1e-6


class TimeInterval(NamedTuple):
    """An interval of a group's time, in seconds, in which something happened."""

    earliest: float
    latest: float


#: Before every comparison: a sign of life that there was not.
NEVER = TimeInterval(float("inf"), float("inf"))


@dataclass(frozen=True, slots=True)
class Timings:
    """The timings that a server declares, in seconds, and `slack`: what its real clock may be late by."""

    heartbeat_timeout: float = 30.0
    eviction_grace: float = 1.0
    rebalance_timeout: float = 30.0
    slack: float = 0.0


@dataclass(slots=True, eq=False)
class RebalanceTrigger:
    """Something that starts a rebalance, and when.

    `contended`: topics that have other subscribers besides.

    `possible`: it is not certain that it happened at all (the eviction of a consumer that is silent in the
    grace).
    """

    when: TimeInterval
    contended: frozenset[str]
    possible: bool = False


@dataclass(slots=True, eq=False)
class Member:
    """A registered consumer.

    `last_sign` is when it last gave a sign of life, by `last_sign_operation`; `previous_sign` the one before.

    `end_reason` is empty while it may be alive, and then says how it ended: "evicted", "left", "removed".
    `observed`: its end was seen in a reply, not only concluded from the time. `unsubscribed_topics`: topics it
    unsubscribed from. `refused_topics`: topics of lists that were refused. `released_ids`: topic and record number
    under each message id that was taken from it; `predecessor_ids`: the same of the evicted consumer that had its
    name before.
    """

    name: str
    group: str
    last_sign: TimeInterval
    last_sign_operation: str = "register"
    previous_sign: TimeInterval = NEVER
    topics: set[str] = field(default_factory=set)
    possible_eviction: RebalanceTrigger | None = None
    end_reason: str = ""
    end_was_observed: bool = False
    unsubscribed_topics: set[str] = field(default_factory=set)
    refused_topics: set[str] = field(default_factory=set)
    released_ids: dict[int, tuple[str, int]] = field(default_factory=dict)
    predecessor_ids: dict[int, tuple[str, int]] = field(default_factory=dict)

    def must_be_alive(self, when: TimeInterval, timings: Timings) -> bool:
        """Silent for less than the timeout, whenever in `when` the server looked: LIVE-KEEP-1."""
        return when.latest < self.last_sign.earliest + timings.heartbeat_timeout - _ROUNDING

    def must_be_evicted(self, when: TimeInterval, timings: Timings) -> bool:
        """Silent for the timeout and its grace, whenever in `when` the server looked: LIVE-EVICT-1."""
        return when.earliest > self.eviction_window(timings).latest + _ROUNDING

    def eviction_window(self, timings: Timings) -> TimeInterval:
        """TimeInterval the server evicts it unless it gives another sign of life."""
        earliest = self.last_sign.earliest + timings.heartbeat_timeout
        latest = self.last_sign.latest + timings.heartbeat_timeout + timings.eviction_grace + timings.slack
        return TimeInterval(earliest, latest)

    def gave_sign_of_life(self, when: TimeInterval, operation: str) -> None:
        """An operation that names it succeeded: LIVE-SIGN-1."""
        if when.earliest > self.last_sign.latest:
            self.previous_sign = self.last_sign
            self.last_sign_operation = operation
        elif operation == "heartbeat":
            self.last_sign_operation = operation
        self.last_sign = TimeInterval(max(when.earliest, self.last_sign.earliest), when.latest)

    def may_have_signed(self, when: TimeInterval) -> None:
        """A refused operation named it: it may count as a sign of life or not."""
        self.last_sign = TimeInterval(self.last_sign.earliest, max(when.latest, self.last_sign.latest))
