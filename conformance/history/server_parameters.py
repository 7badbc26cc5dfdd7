"""Parameters that a server declares and by which its history is judged, and the anomalies of a judgement."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from conformance.history.events import Event


@dataclass(frozen=True, slots=True)
class ServerParameters:
    """Times in seconds, as the server declares them.

    `slack` is the allowance for scheduling delays on a real clock, in seconds. `partitions` maps topics to their
    number of partitions, where it is known. `positions` is True if the server declares the extension record-position,
    `frees` if it declares the extension retention.
    """

    heartbeat_timeout: float = 30.0
    eviction_grace: float = 1.0
    rebalance_timeout: float = 30.0
    slack: float = 0.0
    partitions: Mapping[str, int] = field(default_factory=dict)
    positions: bool = False
    frees: bool = False

    @property
    def eviction_limit(self) -> float:
        """Seconds of silence after which a consumer must have been evicted (LIVE-EVICT-1)."""
        return self.heartbeat_timeout + self.eviction_grace + self.slack

    @property
    def rebalance_limit(self) -> float:
        """Seconds after its last trigger by which a rebalance must be settled (REBALANCE-1)."""
        return self.rebalance_timeout + self.slack


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A violation of a clause, which no conforming server shows. `events` prove it, in the order of the argument."""

    name: str
    clause: str
    message: str
    events: tuple[Event, ...]

    def __str__(self) -> str:
        proof = "".join(f"\n    {event}" for event in self.events)
        return f"{self.name} ({self.clause}): {self.message}{proof}"
