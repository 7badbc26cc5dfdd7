"""What has to be known about a server to judge a history, and what a judgement says."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from conformance.history.events import Event


@dataclass(frozen=True, slots=True)
class ServerParameters:
    """Times in seconds, as the server declares them; `slack` is what a real clock may be late by.

    `partitions` maps topics to the number of their partitions, where that is known. `positions`: the server
    declares that it tells partition and offset (extension record-position).
    """

    heartbeat_timeout: float = 30.0
    eviction_grace: float = 1.0
    rebalance_timeout: float = 30.0
    slack: float = 0.0
    partitions: Mapping[str, int] = field(default_factory=dict)
    positions: bool = False

    @property
    def eviction_limit(self) -> float:
        """After how many seconds of silence a consumer is evicted for certain: LIVE-EVICT-1."""
        return self.heartbeat_timeout + self.eviction_grace + self.slack

    @property
    def rebalance_limit(self) -> float:
        """After how many seconds a rebalance is settled for certain: REBALANCE-1."""
        return self.rebalance_timeout + self.slack


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Something that no conforming server does. `events` prove it, in the order in which they matter."""

    name: str
    clause: str
    message: str
    events: tuple[Event, ...]

    def __str__(self) -> str:
        proof = "".join(f"\n    {event}" for event in self.events)
        return f"{self.name} ({self.clause}): {self.message}{proof}"
