"""Parameters that a server declares and by which its history is judged, and the anomalies of a judgement."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from conformance.history.events import NEVER, Event


@dataclass(frozen=True, slots=True)
class ServerParameters:
    """Times in seconds, as the server declares them.

    `slack` is the allowance for scheduling delays on a real clock, in seconds. `partitions` maps topics to their
    number of partitions, where it is known. `positions` is True if the server declares the extension record-position,
    `frees` if it declares the extension retention.

    A system other than ours may settle rebalances later than it revokes records in flight: `rebalance_settles` is the
    time after which they are settled, None if that is `rebalance_timeout`. It may hand out a record again that was in
    flight for `acknowledgement_timeout`, and start a new group with the next record that is stored:
    `starts_at_newest`. Unknown times are 0 where something comes later only, else infinite.
    """

    heartbeat_timeout: float = 30.0
    eviction_grace: float = 1.0
    rebalance_timeout: float = 30.0
    slack: float = 0.0
    partitions: Mapping[str, int] = field(default_factory=dict)
    positions: bool = False
    frees: bool = False
    rebalance_settles: float | None = None
    acknowledgement_timeout: float = NEVER
    starts_at_newest: bool = False

    @property
    def eviction_limit(self) -> float:
        """Seconds of silence after which a consumer must have been evicted (LIVE-EVICT-1)."""
        return self.heartbeat_timeout + self.eviction_grace + self.slack

    @property
    def rebalance_limit(self) -> float:
        """Seconds after its last trigger by which a rebalance must be settled (REBALANCE-1)."""
        settles = self.rebalance_timeout if self.rebalance_settles is None else self.rebalance_settles
        return settles + self.slack


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
