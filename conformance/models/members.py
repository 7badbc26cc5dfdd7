"""Consumers of a group, and the window of time in which a silent one may be evicted.

Every instant is an interval (`When`): a server acted somewhere between the moment a request left and the
moment its reply came. On a virtual clock both ends are equal. A consumer's last sign of life is such an
interval too, so `Member.certainly_alive` and `certainly_silent_too_long` leave a gap between them in which
both outcomes are allowed: at least the declared grace, and more where it is uncertain when, or whether,
something counted as a sign of life.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

_ROUNDING = 1e-6


class When(NamedTuple):
    """An interval of a group's time, in seconds, in which something happened."""

    earliest: float
    latest: float


#: Before every comparison: a sign of life that there was not.
NEVER = When(float("inf"), float("inf"))


@dataclass(frozen=True, slots=True)
class Timings:
    """The timings that a server declares, in seconds, and `slack`: what its real clock may be late by."""

    heartbeat_timeout: float = 30.0
    eviction_grace: float = 1.0
    rebalance_timeout: float = 30.0
    slack: float = 0.0


@dataclass(slots=True, eq=False)
class Trigger:
    """Something that starts a rebalance, and when.

    `contended`: topics that have other subscribers besides.

    `possible`: it is not certain that it happened at all (the eviction of a consumer that is silent in the
    grace).
    """

    when: When
    contended: frozenset[str]
    possible: bool = False


@dataclass(slots=True, eq=False)
class Member:
    """A registered consumer.

    `sign` is when it last gave a sign of life, by `sign_by`; `previous` the one before.

    `fate` is empty while it may be alive, and then says how it ended: "evicted", "left", "removed".
    `observed`: its end was seen in a reply, not only concluded from the time. `dropped`: topics it
    unsubscribed from. `denied`: topics of lists that were refused. `late_ids`: topic and record number under
    each message id that was taken from it; `former_ids`: the same of the evicted consumer that had its name
    before.
    """

    name: str
    group: str
    sign: When
    sign_by: str = "register"
    previous: When = NEVER
    topics: set[str] = field(default_factory=set)
    doubt: Trigger | None = None
    fate: str = ""
    observed: bool = False
    dropped: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    late_ids: dict[int, tuple[str, int]] = field(default_factory=dict)
    former_ids: dict[int, tuple[str, int]] = field(default_factory=dict)

    def certainly_alive(self, when: When, timings: Timings) -> bool:
        """Silent for less than the timeout, whenever in `when` the server looked: LIVE-KEEP-1."""
        return when.latest < self.sign.earliest + timings.heartbeat_timeout - _ROUNDING

    def certainly_silent_too_long(self, when: When, timings: Timings) -> bool:
        """Silent for the timeout and its grace, whenever in `when` the server looked: LIVE-EVICT-1."""
        return when.earliest > self.eviction_window(timings).latest + _ROUNDING

    def eviction_window(self, timings: Timings) -> When:
        """When the server evicts it unless it gives another sign of life."""
        earliest = self.sign.earliest + timings.heartbeat_timeout
        latest = self.sign.latest + timings.heartbeat_timeout + timings.eviction_grace + timings.slack
        return When(earliest, latest)

    def signed(self, when: When, operation: str) -> None:
        """An operation that names it succeeded: LIVE-SIGN-1."""
        if when.earliest > self.sign.latest:
            self.previous = self.sign
            self.sign_by = operation
        elif operation == "heartbeat":
            self.sign_by = operation
        self.sign = When(max(when.earliest, self.sign.earliest), when.latest)

    def perhaps_signed(self, when: When) -> None:
        """A refused operation named it: it may count as a sign of life or not."""
        self.sign = When(self.sign.earliest, max(when.latest, self.sign.latest))
