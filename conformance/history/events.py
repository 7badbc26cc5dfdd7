"""Event types of a history: one event for each operation of a client, and for each producer acknowledgement.

An event has two kinds of time. `invoked` and `completed`, in seconds of one monotonic clock, order events: one
precedes another only if it completed before the other was invoked. `group_time_began` and `group_time_ended`, in
seconds of the group's clock, bound silence: the group's clock showed at least `group_time_began` when the operation
was invoked, and at most `group_time_ended` when it completed. A virtual clock stands still or jumps.

An operation without a reply has an *unknown* outcome: the server may have carried it out at any time after `invoked`,
or never. Its `completed` and `group_time_ended` are infinite.
"""

from dataclasses import dataclass

#: Completion of an operation without a reply, in seconds.
NEVER = float("inf")
#: Records of one poll that its description names.
MOST_DESCRIBED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One operation. `process` is the client that performed it; a process performs one operation at a time.

    Times are in seconds; see the module. `status` is that of the reply, None if none came.
    """

    process: str
    invoked: float
    completed: float = NEVER
    group_time_began: float = 0.0
    group_time_ended: float = NEVER
    status: int | None = None

    @property
    def succeeded(self) -> bool:
        """True if the server carried the operation out: the status is of class 2xx."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """True if the server changed nothing (REFUSE-1): the status is of class 4xx, or 507."""
        return self.status is not None and (400 <= self.status < 500 or self.status == 507)

    @property
    def possible(self) -> bool:
        """True if the server may have carried the operation out: it was not refused."""
        return not self.refused

    @property
    def sign_ended(self) -> float:
        """Latest time, in seconds of the group's clock, at which this event may have been a sign of life."""
        return self.group_time_ended

    def before(self, other: "Event") -> bool:
        """True if this event completed before the other was invoked."""
        return self.completed < other.invoked

    def __str__(self) -> str:
        outcome = "no reply" if self.status is None else str(self.status)
        return f"{self.invoked:.3f}…{self.completed:.3f} {self.process}: {self.description()} → {outcome}"

    def description(self) -> str:
        """The operation in words, for the report."""
        return type(self).__name__.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish(Event):
    """A record was sent.

    `text` is its message, unique in the topic. `label` is the producer's messageID. `partition` and `offset` are
    those of the reply, if it had them (extension record-position).
    """

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
    """A client subscribed to the producer acknowledgements of a topic.

    `subscription` names the subscription; `clause` promises the acknowledgements on its destination.
    """

    subscription: str
    topic: str
    clause: str = "PUB-ACK-1"

    def description(self) -> str:
        return f"subscribe to the acknowledgements of {self.topic} as {self.subscription}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerAck(Event):
    """A producer acknowledgement arrived: `outcome` is ACK or FAILED, `label` its messageId."""

    subscription: str
    label: str | int | None
    outcome: str

    def description(self) -> str:
        return f"{self.outcome} for {self.label!r} on {self.subscription}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence(Event):
    """Every acknowledgement that was sent to the subscription before the fence has arrived."""

    subscription: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockAdvanced(Event):
    """The virtual clock of a group moved from `group_time_began` to `group_time_ended`."""

    group: str

    def description(self) -> str:
        return f"advance the clock of {self.group} by {self.group_time_ended - self.group_time_began:g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart(Event):
    """The system was stopped or killed, and came back. `Cut` events beside it say so of each consumer."""

    def description(self) -> str:
        return "the system restarts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Event):
    """Something was done to the system from outside, such as a kill of one node. `name` says what.

    No checker excuses anything by it: operations without answers have unknown outcomes.
    """

    name: str

    def description(self) -> str:
        return f"fault {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heal(Event):
    """A fault was undone from outside."""

    def description(self) -> str:
        return "heal"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerEvent(Event):
    """An operation that names a consumer."""

    consumer: str

    def description(self) -> str:
        return f"{type(self).__name__.lower()} {self.consumer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Register(ConsumerEvent):
    """A consumer registered in a group."""

    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unregister(ConsumerEvent):
    """A consumer left its group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut(Unregister):
    """The connection of a consumer ended, by a cut or a restart of the system, which may then take it for gone.

    The outcome is unknown.
    """

    @property
    def sign_ended(self) -> float:
        return self.group_time_began

    def description(self) -> str:
        return f"the connection of {self.consumer} ends"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe(ConsumerEvent):
    """A consumer subscribed to topics."""

    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe(ConsumerEvent):
    """A consumer unsubscribed from topics."""

    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat(ConsumerEvent):
    """A consumer sent a heartbeat."""


@dataclass(frozen=True, slots=True)
class PolledRecord:
    """One record in the reply to a poll; `partition`, `offset` and `redelivered` are None where the reply lacks them.

    `key_told` is False if the system does not tell keys.
    """

    message_id: int | str
    topic: str
    text: str
    key: str | None = None
    partition: int | None = None
    offset: int | None = None
    redelivered: bool | None = None
    key_told: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll(ConsumerEvent):
    """A consumer polled; `records` are those of the reply."""

    records: tuple[PolledRecord, ...] = ()

    @property
    def empty(self) -> bool:
        """True if the poll was answered, not refused, and brought no record."""
        return self.status is not None and not self.refused and not self.records

    def description(self) -> str:
        records = [f"{record.text!r} as {record.message_id}" for record in self.records[:MOST_DESCRIBED]]
        if len(self.records) > MOST_DESCRIBED:
            records.append(f"{len(self.records) - MOST_DESCRIBED} more")
        return f"poll {self.consumer}{', got ' + ', '.join(records) if records else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle(ConsumerEvent):
    """A consumer settled a record, named by its message id."""

    message_id: int | str

    def description(self) -> str:
        return f"{type(self).__name__.lower()} {self.consumer} {self.message_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge(Settle):
    """A consumer acknowledged a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveBack(Settle):
    """A consumer gave a record back: a negative acknowledgement."""


#: The events of one run, in any order.
History = tuple[Event, ...]
