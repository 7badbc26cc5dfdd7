"""What happened: one event for each operation of a client, and for what its producers were told.

Two kinds of time lie in an event. `invoked` and `completed`, in seconds of one monotonic clock, say in which order
things can have happened: one event is before another only if it was completed before the other was invoked. `at`
and `until`, in seconds of the queue's time, say how long somebody may have been silent; on a server with a virtual
clock it stands still, or jumps.

An operation whose reply never came is *unknown*: it may have happened at any time after `invoked`, or never. Then
`completed` and `until` are infinite.
"""

from dataclasses import dataclass

#: When an operation of which no reply came may have happened at the latest, in seconds.
NEVER = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Anything that happened. `process` is the client that did it; a process does one thing at a time."""

    process: str
    invoked: float
    completed: float = NEVER
    group_time_began: float = 0.0
    group_time_ended: float = NEVER
    status: int | None = None

    @property
    def succeeded(self) -> bool:
        """Whether it happened for certain: a status of the class 2xx."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """Whether it did not happen, for certain: a status of the class 4xx, or 507."""
        return self.status is not None and (400 <= self.status < 500 or self.status == 507)

    @property
    def possible(self) -> bool:
        """Whether it may have happened."""
        return not self.refused

    def before(self, other: "Event") -> bool:
        """Whether this was over when the other began."""
        return self.completed < other.invoked

    def __str__(self) -> str:
        told = "no reply" if self.status is None else str(self.status)
        return f"{self.invoked:.3f}…{self.completed:.3f} {self.process}: {self.description()} → {told}"

    def description(self) -> str:
        """What was done, for a reader."""
        return type(self).__name__.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish(Event):
    """A record was sent. `text` is its message, and unique; `partition` and `offset` as the reply told."""

    topic: str
    text: str
    label: str | int
    key: str | None = None
    partition: int | None = None
    offset: int | None = None

    def description(self) -> str:
        return f"publish {self.text!r} with key {self.key!r} to {self.topic}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AckSubscription(Event):
    """A subscription to the acknowledgements of a topic was taken; `listener` is its name."""

    subscription: str
    topic: str
    clause: str = "PUB-ACK-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerAck(Event):
    """A producer acknowledgement came: `outcome` is ACK or FAILED, `label` its messageId."""

    subscription: str
    label: str | int | None
    outcome: str

    def description(self) -> str:
        return f"told {self.outcome} for {self.label!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence(Event):
    """All that was on its way to the listener before has come."""

    subscription: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockAdvanced(Event):
    """The virtual clock of a group was moved: from `at` to `until`."""

    group: str

    def description(self) -> str:
        return f"{self.group_time_ended - self.group_time_began:g} s pass for {self.group}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerEvent(Event):
    """An operation that names a consumer."""

    consumer: str

    def description(self) -> str:
        return f"{type(self).__name__.lower()} {self.consumer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Register(ConsumerEvent):
    """A consumer was registered in a group."""

    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unregister(ConsumerEvent):
    """A consumer left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe(ConsumerEvent):
    """A consumer subscribed to topics."""

    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe(ConsumerEvent):
    """A consumer gave up topics."""

    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat(ConsumerEvent):
    """A consumer said that it is alive."""


@dataclass(frozen=True, slots=True)
class PolledRecord:
    """A record as a poll brought it; the last three where the server told them."""

    message_id: int
    topic: str
    text: str
    key: str | None = None
    partition: int | None = None
    offset: int | None = None
    redelivered: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll(ConsumerEvent):
    """A consumer polled; `records` is what came."""

    records: tuple[PolledRecord, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether the server had nothing to give."""
        return self.status is not None and not self.refused and not self.records

    def description(self) -> str:
        polled = ", ".join(f"{polled.text!r} as {polled.message_id}" for polled in self.records)
        return f"poll {self.consumer}{', polled ' + polled if polled else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle(ConsumerEvent):
    """A consumer said what it did with a record, by its message id."""

    message_id: int

    def description(self) -> str:
        return f"{type(self).__name__.lower()} {self.consumer} {self.message_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge(Settle):
    """It is done with the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveBack(Settle):
    """It gives the record back."""


#: The events of one run, in any order.
History = tuple[Event, ...]
