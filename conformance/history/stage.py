"""What the clients of the concurrent scenario share: how much shall happen, and what has happened so far."""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from conformance.history.asking import Answer
from conformance.history.facts import Facts

#: Seconds of real time between two looks at what the others do.
TICK = 0.003


@dataclass(frozen=True)
class Plan:
    """How much happens. `chance`s are those of a consumer at each turn, from 0 to 1.

    `silence`: whether consumers may fall silent for longer than the timeout, which takes real time where the
    clock is not virtual. `cuts`: whether connections are cut. `waits`: whether a consumer whose connection was cut
    may be left to its eviction; else what it held is freed at once under its name.
    """

    seed: int = 0
    producers: int = 3
    consumers: int = 4
    records: int = 60
    keys: int = 6
    silence: bool = True
    cuts: bool = True
    waits: bool = True
    chance_of_trouble: float = 0.06
    chance_of_leaving: float = 0.03


@dataclass
class Stage:
    """What the programs of one scenario share; used by several threads."""

    plan: Plan
    facts: Facts
    extensions: Collection[str]
    fresh: Callable[[str], str]
    topics: list[str]
    groups: list[str]
    virtual: bool
    now: Callable[[str], float]
    expired: Callable[[], bool]
    producing: int = 0
    consuming: int = 0
    beats: dict[str, int] = field(default_factory=dict)
    stored: set[tuple[str, str]] = field(default_factory=set)
    acknowledged: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    abandoned: list[tuple[str, str]] = field(default_factory=list)
    handed_out: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def over(self) -> bool:
        """Whether the consumers shall come to an end: everything was sent, and read by each group, or time is up."""
        if self.expired():
            return True
        if self.producing:
            return False
        return all(self.stored <= self.acknowledged.get(group, set()) for group in self.groups)


def served(answer: Answer | None) -> bool:
    """Whether the operation happened for certain."""
    return answer is not None and 200 <= answer.status < 300


def refused(answer: Answer | None) -> bool:
    """Whether the operation was refused."""
    return answer is not None and 400 <= answer.status < 500
