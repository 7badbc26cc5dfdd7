"""What the clients of the concurrent scenario share: how much shall happen, and what has happened so far."""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from conformance.history.operations import Answer
from conformance.history.server_parameters import ServerParameters

#: Seconds of real time between two looks at what the others do.
TICK = 0.003
#: Empty polls in a row after which a group that is rested gets nothing any more, if it has not by then.
MAX_EMPTY_POLLS = 60
#: How often a group gets each record, on an average, before ever the same ones must be coming again: this many times,
#: and so many extra where records are few. A server that conforms gives few of them twice.
MAX_DELIVERIES_PER_RECORD, EXTRA_DELIVERIES = 4, 100


@dataclass(frozen=True)
class WorkloadPlan:
    """How much happens. `chance`s are those of a consumer at each turn, from 0 to 1.

    `silence`: whether consumers may fall silent for longer than the timeout, which takes real time where the
    clock is not virtual. `cuts`: whether connections are cut. `waits`: whether a consumer whose connection was cut
    may be left to its eviction; else what it held is freed at once under its name. `batch`: the most records that
    are asked for in a poll, where it may ask for several.
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
    chance_of_trouble: float = 0.06
    chance_of_leaving: float = 0.03


@dataclass
class WorkloadState:
    """What the programs of one scenario share; used by several threads.

    Where the clock is virtual, the second half of the records is sent into `calm`: producers wait until nobody
    makes trouble any more, all who are gone are evicted, and rebalances are settled, so that the group is `rested`.
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
    signs_of_life: dict[str, int] = field(default_factory=dict)
    stored: set[tuple[str, str]] = field(default_factory=set)
    acknowledged: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    abandoned: list[tuple[str, str]] = field(default_factory=list)
    delivered: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    empty_polls: dict[str, int] = field(default_factory=dict)
    deliveries: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note_delivery(self, group: str, message_id: int, topic: str, text: str) -> None:
        """A consumer of the group was handed a record under this id."""
        with self.lock:
            self.delivered[group, message_id] = topic, text
            self.deliveries += 1
            self.empty_polls[group] = 0

    def note_empty(self, group: str) -> None:
        """A poll of a consumer of the group, which holds nothing, gave nothing."""
        with self.lock:
            self.empty_polls[group] = (
                self.empty_polls.get(group, 0) + 1 if self.settled and not self.producing else 0
            )

    def note_acknowledged(self, group: str, message_id: int) -> None:
        """A delivery was acknowledged, or may have been: nobody is to wait for its record any more."""
        with self.lock:
            record = self.delivered.get((group, message_id))
            if record is not None:
                self.acknowledged.setdefault(group, set()).add(record)

    def has_unacknowledged(self, group: str) -> bool:
        """Whether records are stored that the group has not acknowledged."""
        with self.lock:
            return not self.stored <= self.acknowledged.get(group, set())

    @property
    def aborted(self) -> bool:
        """Whether time is up, or so much was handed out that records come again for ever.

        Both may happen at any time, and take nothing from what is known by then. How long a history takes to be
        judged grows with the square of how often one record came.
        """
        most = MAX_DELIVERIES_PER_RECORD * self.plan.records * len(self.groups) + EXTRA_DELIVERIES
        return self.deliveries > most or self.expired()

    @property
    def finished(self) -> bool:
        """Whether the consumers shall come to an end: everything was sent, and read by each group, or it is cut short.

        What a rested group does not get it will not get: there is nobody left whose end would free a record.
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
    """Whether the operation happened for certain."""
    return answer is not None and 200 <= answer.status < 300


def refused(answer: Answer | None) -> bool:
    """Whether the operation was refused."""
    return answer is not None and 400 <= answer.status < 500
