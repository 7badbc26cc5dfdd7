"""Plan of a concurrent run, and the state that its client programs share."""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from conformance.history.operations import Answer
from conformance.history.server_parameters import ServerParameters

#: Seconds of real time between two checks of the shared state.
TICK = 0.003
#: Consecutive empty polls of a settled group after which no further records are expected.
MAX_EMPTY_POLLS = 60
#: Stop after 4 * records * groups + 100 deliveries: the server is redelivering in a loop. A conforming server delivers
#: few records twice.
MAX_DELIVERIES_PER_RECORD, EXTRA_DELIVERIES = 4, 100


@dataclass(frozen=True)
class WorkloadPlan:
    """Size and kinds of a workload. The `chance_of_…` are those of a consumer at each turn, from 0 to 1.

    `silence` lets consumers stay silent for longer than the timeout, which takes real time unless the clock is
    virtual. `cuts` lets connections be cut. `waits` leaves a consumer whose connection was cut to its eviction, at
    random; else the client leaves under its name at once. `batch` is the largest number of records of one poll, if
    the server supports several. `pace` is the mean time between two records of a producer, in seconds.
    """

    seed: int = 0
    producers: int = 3
    consumers: int = 4
    records: int = 60
    keys: int = 6
    silence: bool = True
    cuts: bool = True
    waits: bool = True
    batch: int = 4
    pace: float = 0.0
    chance_of_trouble: float = 0.06
    chance_of_leaving: float = 0.03


@dataclass
class WorkloadState:
    """State that the programs of one run share, in several threads; `lock` guards it.

    With a virtual clock a run has two phases. After the first half of the records the producers wait. Consumers stop
    failing (`calm`), the silent ones are evicted, and the rebalances end (`settled`); then the second half is sent.
    `now` gives the time of a group in seconds, `fresh` makes new names. While `under_faults` is true, producers go on
    beyond the records of the plan.
    """

    plan: WorkloadPlan
    parameters: ServerParameters
    extensions: Collection[str]
    fresh: Callable[[str], str]
    topics: list[str]
    groups: list[str]
    virtual: bool
    now: Callable[[str], float]
    expired: Callable[[], bool]
    producing: int = 0
    consuming: int = 0
    waiting: int = 0
    calm: bool = False
    settled: bool = False
    under_faults: bool = False
    signs_of_life: dict[str, int] = field(default_factory=dict)
    stored: set[tuple[str, str]] = field(default_factory=set)
    acknowledged: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    abandoned: list[tuple[str, str]] = field(default_factory=list)
    delivered: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    empty_polls: dict[str, int] = field(default_factory=dict)
    deliveries: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note_delivery(self, group: str, message_id: int, topic: str, text: str) -> None:
        """Note that a consumer of the group got a record under this id."""
        with self.lock:
            self.delivered[group, message_id] = topic, text
            self.deliveries += 1
            self.empty_polls[group] = 0

    def note_empty(self, group: str) -> None:
        """Note an empty poll of a consumer of the group that has no record in flight."""
        with self.lock:
            self.empty_polls[group] = (
                self.empty_polls.get(group, 0) + 1 if self.settled and not self.producing else 0
            )

    def note_acknowledged(self, group: str, message_id: int) -> None:
        """Note that a delivery may have been acknowledged; its record is no longer expected."""
        with self.lock:
            record = self.delivered.get((group, message_id))
            if record is not None:
                self.acknowledged.setdefault(group, set()).add(record)

    def in_flight(self) -> int:
        """Number of records that were delivered in a group and that nobody has acknowledged there."""
        with self.lock:
            delivered = {(group, record) for (group, _), record in self.delivered.items()}
            return sum(record not in self.acknowledged.get(group, ()) for group, record in delivered)

    def has_unacknowledged(self, group: str) -> bool:
        """True if a stored record has not been acknowledged in the group."""
        with self.lock:
            return not self.stored <= self.acknowledged.get(group, set())

    @property
    def aborted(self) -> bool:
        """True if time is up, or the server is redelivering in a loop.

        The history up to then is judged as usual. The bound on deliveries keeps that quick: the time of a judgement
        grows with the square of the number of deliveries of one record.
        """
        records = max(self.plan.records, len(self.stored))
        most = MAX_DELIVERIES_PER_RECORD * records * len(self.groups) + EXTRA_DELIVERIES
        return self.deliveries > most or self.expired()

    @property
    def finished(self) -> bool:
        """True if the consumers must stop: every group has acknowledged every record, or the run is aborted.

        A settled group that gets nothing for a while stops too: it has no pending eviction, so nothing further will
        be released.
        """
        if self.aborted:
            return True
        if self.producing:
            return False
        return all(
            self.empty_polls.get(group, 0) >= MAX_EMPTY_POLLS or not self.has_unacknowledged(group)
            for group in self.groups
        )


def served(answer: Answer | None) -> bool:
    """True if the operation succeeded: a status of class 2xx."""
    return answer is not None and 200 <= answer.status < 300


def refused(answer: Answer | None) -> bool:
    """True if the operation was refused: a status of class 4xx."""
    return answer is not None and 400 <= answer.status < 500
