"""Topics, and claims of consumer names: small states that every node keeps."""

from typing import Any

import msgspec

from reference_server.kafka.commands import (
    AddTopic,
    Begin,
    Claim,
    Command,
    Release,
    RemoveTopic,
    TakeTurns,
    TopicRef,
)
from reference_server.queue.bounds import check_room
from reference_server.queue.refusal import Refusal


class _TopicState(msgspec.Struct, array_like=True):
    settings: dict[str, float]
    topics: list[TopicRef]
    turns: dict[int, int]
    partitions: int


class Topics:
    """The machine of topics. A topic's serial is the offset of its entry."""

    def __init__(self, most: int, most_partitions: int) -> None:
        """`most` topics at once, with `most_partitions` together."""
        self._most, self._most_partitions = most, most_partitions
        self.settings: dict[str, float] = {}
        self.by_name: dict[str, TopicRef] = {}
        self.by_serial: dict[int, TopicRef] = {}
        self._turns: dict[int, int] = {}
        self._partitions = 0
        """Partitions that there ever were: no two have the same number."""

    def apply(self, command: Command, _now: float, offset: int) -> Any:
        """Apply a command: returns the topic, the first turn, or the settings. Raises Refusal."""
        if isinstance(command, TakeTurns):
            first = self._turns.get(command.serial)
            if first is None:
                raise Refusal("topic-unknown", "the topic was removed")
            self._turns[command.serial] = first + command.count
            return first
        if isinstance(command, AddTopic):
            return self._add(command, offset)
        if isinstance(command, RemoveTopic):
            topic = self.by_name.pop(command.name, None)
            if topic is None:
                raise unknown_topic(command.name, "topicName")
            del self.by_serial[topic.serial], self._turns[topic.serial]
            return topic
        if isinstance(command, Begin):
            self.settings = self.settings or command.settings
            return self.settings
        return None

    def _add(self, command: AddTopic, offset: int) -> TopicRef:
        if command.name in self.by_name:  # TOPIC-ADD-2, TOPIC-ADD-3
            raise Refusal("topic-exists", f"topic {command.name!r} exists and stays as it was", "topicName")
        check_room(len(self.by_name), self._most, "topics")
        kept = sum(topic.partitions for topic in self.by_name.values())
        check_room(kept, self._most_partitions, "partitions", command.partitions)
        topic = TopicRef(command.name, offset, self._partitions, command.partitions, command.store)
        self._partitions += command.partitions
        self.by_name[topic.name] = self.by_serial[topic.serial] = topic
        self._turns[topic.serial] = 0
        return topic

    def dump(self) -> bytes:
        """Return the whole state."""
        topics = list(self.by_name.values())
        return msgspec.msgpack.encode(_TopicState(self.settings, topics, self._turns, self._partitions))

    def load(self, state: bytes) -> None:
        """Take over a state."""
        found = msgspec.msgpack.decode(state, type=_TopicState)
        self.settings, self._turns, self._partitions = found.settings, found.turns, found.partitions
        self.by_name = {topic.name: topic for topic in found.topics}
        self.by_serial = {topic.serial: topic for topic in found.topics}


class Held(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A claim: its number is the offset of its entry, and `time` the entry's, in seconds."""

    number: int
    group: str
    time: float


class Claims:
    """The machine of claims. A claim says in which group a consumer may be; the group says if there is one."""

    def __init__(self) -> None:
        self.by_name: dict[str, Held] = {}

    def apply(self, command: Command, now: float, offset: int) -> tuple[bool, Held] | None:
        """Apply a command; for a Claim, return whether it was granted, and the claim that holds the name now."""
        if isinstance(command, Claim):
            held = self.by_name.get(command.name)
            if held is not None and held.number != command.instead:
                return False, held
            held = self.by_name[command.name] = Held(offset, command.group, now)
            return True, held
        if isinstance(command, Release):
            held = self.by_name.get(command.name)
            if held is not None and held.number == command.claim:
                del self.by_name[command.name]
        return None

    def dump(self) -> bytes:
        """Return the whole state."""
        return msgspec.msgpack.encode(self.by_name)

    def load(self, state: bytes) -> None:
        """Take over a state."""
        self.by_name = msgspec.msgpack.decode(state, type=dict[str, Held])


def unknown_topic(name: str, member: str | None = None) -> Refusal:
    """The refusal of an operation on a topic that does not exist."""
    shown = name if len(name) <= 130 else name[:130] + "…"
    return Refusal("topic-unknown", f"there is no topic {shown!r}; /topic/add-topic adds one", member)
