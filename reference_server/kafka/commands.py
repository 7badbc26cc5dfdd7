"""Commands, as they lie in the logs: MessagePack arrays with a tag. Members may be added at the end, none change."""

import msgspec


class Command(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """One step of a state machine."""


class Tick(Command, frozen=True, tag=0):
    """Time passes."""


# Of the directory: topics and their turns


class Begin(Command, frozen=True, tag=1):
    """The settings on which every node has to agree; the first ones count."""

    settings: dict[str, float]


class AddTopic(Command, frozen=True, tag=2):
    """A topic, whose Kafka topic `store` exists."""

    name: str
    partitions: int
    store: str


class RemoveTopic(Command, frozen=True, tag=3):
    """No topic of this name from now on."""

    name: str


class TakeTurns(Command, frozen=True, tag=4):
    """Turns in the round-robin of a topic, for records without a key."""

    serial: int
    count: int


# Of the claims


class Claim(Command, frozen=True, tag=5):
    """A consumer's name for a group, if it is free, or held by the claim `instead` of which none can come alive."""

    name: str
    group: str
    instead: int


class Release(Command, frozen=True, tag=6):
    """The name is free, if this claim still holds it."""

    name: str
    claim: int


# Of a shard


class TopicRef(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A topic, as a group needs it. Later topics have higher serials; `first` numbers its partition 0."""

    name: str
    serial: int
    first: int
    partitions: int
    store: str


class AddGroup(Command, frozen=True, tag=10):
    """A group."""

    name: str


class RemoveGroup(Command, frozen=True, tag=11):
    """No group of this name from now on."""

    name: str


class Register(Command, frozen=True, tag=12):
    """A consumer, by a claim of its name that was granted at `time`."""

    group: str
    name: str
    claim: int
    time: float


class Revoke(Command, frozen=True, tag=13):
    """A consumer with this claim is alive, or will never be."""

    name: str
    claim: int


class Unregister(Command, frozen=True, tag=14):
    """The consumer leaves."""

    name: str


class Touch(Command, frozen=True, tag=15):
    """A sign of life."""

    name: str


class Subscribe(Command, frozen=True, tag=16):
    """Subscriptions of a consumer."""

    name: str
    topics: list[TopicRef]


class Unsubscribe(Command, frozen=True, tag=17):
    """Subscriptions that end."""

    name: str
    topics: list[int]


class Poll(Command, frozen=True, tag=18):
    """Up to `limit` records in flight with the consumer; `ends` are serial, partition and end, as the node saw them."""

    name: str
    limit: int
    ends: list[tuple[int, int, int]]


class Settle(Command, frozen=True, tag=19):
    """The record in flight is committed, or free again."""

    name: str
    message_id: int
    commit: bool


class Forget(Command, frozen=True, tag=20):
    """The topic was removed."""

    serial: int


_ANY = (
    Tick
    | Begin
    | AddTopic
    | RemoveTopic
    | TakeTurns
    | Claim
    | Release
    | AddGroup
    | RemoveGroup
    | Register
    | Revoke
    | Unregister
    | Touch
    | Subscribe
    | Unsubscribe
    | Poll
    | Settle
    | Forget
)
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(_ANY).decode
