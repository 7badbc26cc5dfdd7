"""Groups on the queue's core: the state machine of one partition of the log of groups.

Time is that of the log, and what the core would look up in the partitions of topics comes in commands.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from reference_server.kafka import commands as c
from reference_server.kafka.shard_state import ShardState, group_of, state_of
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Group
from reference_server.queue.introspection import describe_group
from reference_server.queue.refusal import Refusal
from reference_server.queue.settings import QueueSettings
from reference_server.queue.topic import Partition, Record, Topic

CLAIM_SECONDS = 60.0
"""Time in which a claim has to become a consumer."""
_NUMBER_BITS = 24
"""A messageId is an offset and the number of a partition, of which there can be so many in all time: 2**24."""
_NOWHERE = Record("", "", None, 0)


class Stale(Exception):
    """The node that wrote the command knew an old state: it has to read on and try again."""


class Given(NamedTuple):
    """A record in flight."""

    topic: c.TopicRef
    partition: int
    offset: int
    message_id: int
    redelivered: bool


class Free(NamedTuple):
    """A partition whose owner has nothing of it in flight: its committed offset and its end as the group knows it."""

    topic: c.TopicRef
    partition: int
    committed: int
    end: int


class Nothing(NamedTuple):
    """A poll found no record in these partitions."""

    looked_at: list[Free]


class _Ids:
    """The messageIds of the records of one partition, by offset."""

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        self._number = number

    def __getitem__(self, offset: int) -> int:
        return offset << _NUMBER_BITS | self._number


class LogPartition(Partition):
    """A partition whose records lie in Kafka; `end` is the highest that any command told."""

    __slots__ = ("end",)

    def __init__(self, topic: str, index: int, broker: int, number: int) -> None:
        super().__init__(topic, index, broker)
        self.ids = _Ids(number)  # type: ignore[assignment]
        self.end = 0  # type: ignore[misc]

    def record(self, _offset: int) -> Record:
        """Nothing: the node that answers reads it."""
        return _NOWHERE


class LogTopic(Topic):
    """A topic whose records lie in Kafka."""

    __slots__ = ("ref",)

    def __init__(self, ref: c.TopicRef, brokers: int) -> None:
        super().__init__(ref.name, 0, brokers, 0)
        self.ref = ref
        self.partitions = [
            LogPartition(ref.name, index, index % brokers, ref.first + index)
            for index in range(ref.partitions)
        ]


class ShardBroker(QueueBroker):
    """The queue's core for the groups of one partition of the log."""

    def __init__(self, settings: QueueSettings) -> None:
        super().__init__(settings)
        self.claims: dict[str, int] = {}
        """The claim of each consumer."""
        self.freed: list[tuple[str, int]] = []
        """Names and claims of consumers that are gone, since the last look."""
        self.stranded: list[str] = []
        """Consumers whose last topic was removed, since the last look."""

    def _expire(self, group: Group, now: float) -> None:
        super()._expire(group, now)
        while group.leaving:
            super()._expire(group, now)

    def _forget(self, consumer: Consumer) -> None:
        super()._forget(consumer)
        self.freed.append((consumer.name, self.claims.pop(consumer.name)))

    def remove_topic(self, name: str, *, now: float) -> None:
        """Remove a topic from all groups; Kafka has its records."""
        self.tick(now)
        topic = self.topics.pop(name)
        for group in self._followers.pop(name, ()):
            self._cursors -= len(topic.partitions)
            readers = [member for member in group.members.values() if name in member.topics]
            group.forget(name)
            self.stranded += [member.name for member in readers if not member.topics]

    def restore(self, group: Group) -> None:
        """Add a group of a snapshot."""
        self.groups[group.name] = group
        self.consumers |= group.members
        for name, cursors in group.cursors.items():
            self._followers.setdefault(name, {})[group] = None
            self._cursors += len(cursors)
        self._deadlines.set(group, group.next_deadline())


class Shard:
    """The machine of some groups."""

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings
        self.broker = ShardBroker(settings)
        self.by_serial: dict[int, LogTopic] = {}
        self.forgotten: dict[int, float] = {}
        """Topics that were removed, by serial, and when: a command that was late may name one."""
        self.revoked: dict[int, float] = {}
        """Claims that will never be consumers, and when that was decided."""

    def apply(self, command: c.Command, now: float, _offset: int) -> Any:
        """Apply a command. Raises Refusal, Stale."""
        self.broker.tick(now)
        self._forget_old(now)
        action = getattr(self, f"_{type(command).__name__.lower()}", None)
        return None if action is None else action(command, now)

    def _forget_old(self, now: float) -> None:
        for old in (self.forgotten, self.revoked):
            while old and (first := next(iter(old.items())))[1] + 2 * CLAIM_SECONDS < now:
                del old[first[0]]

    # Groups and members

    def _addgroup(self, command: c.AddGroup, now: float) -> None:
        self.broker.add_group(command.name, now=now)

    def _removegroup(self, command: c.RemoveGroup, now: float) -> None:
        self.broker.remove_group(command.name, now=now)

    def _register(self, command: c.Register, now: float) -> None:
        if command.claim in self.revoked or now - command.time > CLAIM_SECONDS:
            raise Stale
        self.broker.register(command.group, command.name, now=now)
        self.broker.claims[command.name] = command.claim

    def _revoke(self, command: c.Revoke, now: float) -> bool:
        """Return whether the consumer of the claim is alive; that was a sign of its life (MEMBER-REGISTER-5)."""
        if self.broker.claims.get(command.name) == command.claim:
            self.broker.consumer(command.name, now=now)
            return True
        self.revoked[command.claim] = now
        return False

    def _unregister(self, command: c.Unregister, now: float) -> None:
        self.broker.unregister(self.broker.consumer(command.name, now=now))

    def _touch(self, command: c.Touch, now: float) -> None:
        self.broker.consumer(command.name, now=now)

    def _subscribe(self, command: c.Subscribe, now: float) -> None:
        consumer = self.broker.consumer(command.name, now=now)
        for ref in command.topics:
            known = self.broker.topics.get(ref.name)
            is_older = isinstance(known, LogTopic) and ref.serial < known.ref.serial
            if ref.serial in self.forgotten or is_older:
                raise Stale
        for ref in command.topics:
            self._know(ref, now)
        self.broker.subscribe(consumer, [ref.name for ref in command.topics])

    def _know(self, ref: c.TopicRef, now: float) -> None:
        known = self.broker.topics.get(ref.name)
        if isinstance(known, LogTopic) and known.ref.serial != ref.serial:
            self._drop(known, now)  # its removal is on the way
        if ref.serial not in self.by_serial:
            topic = self.by_serial[ref.serial] = LogTopic(ref, self._settings.brokers)
            self.broker.topics[ref.name] = topic

    def _unsubscribe(self, command: c.Unsubscribe, now: float) -> None:
        consumer = self.broker.consumer(command.name, now=now)
        known = [self.by_serial[serial].name for serial in command.topics if serial in self.by_serial]
        self.broker.unsubscribe(consumer, known)

    def _forget(self, command: c.Forget, now: float) -> None:
        self.forgotten[command.serial] = now
        topic = self.by_serial.get(command.serial)
        if topic is not None:
            self._drop(topic, now)

    def _drop(self, topic: LogTopic, now: float) -> None:
        del self.by_serial[topic.ref.serial]
        self.broker.remove_topic(topic.name, now=now)

    # Records

    def _poll(self, command: c.Poll, now: float) -> list[Given] | Nothing:
        consumer = self.broker.consumer(command.name, now=now)
        for serial, index, end in command.ends:
            topic = self.by_serial.get(serial)
            if topic is not None:
                partition = topic.partitions[index]
                assert isinstance(partition, LogPartition)
                partition.end = max(partition.end, end)  # type: ignore[misc]
        given: list[Given] = []
        while len(given) < max(1, command.limit):
            delivery = self.broker.poll(consumer)
            if delivery is None:
                break
            found = self.broker.topics[delivery.partition.topic]
            assert isinstance(found, LogTopic)
            given.append(
                Given(
                    found.ref,
                    delivery.partition.index,
                    delivery.offset,
                    delivery.message_id,
                    delivery.redelivered,
                )
            )
        if given:
            return given
        return Nothing(self.free_partitions(consumer))

    def free_partitions(self, consumer: Consumer) -> list[Free]:
        """Partitions of which the consumer would get a record now if there were one."""
        found = []
        for cursor in consumer.assigned:
            if cursor.in_flight is None:
                topic = self.broker.topics[cursor.partition.topic]
                assert isinstance(topic, LogTopic)
                partition = cursor.partition
                found.append(Free(topic.ref, partition.index, cursor.committed, partition.end))
        return found

    def _settle(self, command: c.Settle, now: float) -> None:
        consumer = self.broker.consumer(command.name, now=now)
        self.broker.settle(consumer, command.message_id, commit=command.commit)

    # Reading, on one node only

    def describe(self, name: str, ends: Sequence[tuple[int, int, int]]) -> bytes:
        """Introspection of a group, by these ends. Raises Refusal (group-unknown)."""
        group = self.broker.groups.get(name)
        if group is None:
            raise Refusal("group-unknown", f"there is no consumer group {name!r}")
        document = describe_group(group)
        told = {(serial, index): end for serial, index, end in ends}
        for each in document["assignment"]:
            topic = self.broker.topics[each["topicName"]]
            assert isinstance(topic, LogTopic)
            end = max(each["endOffset"], told.get((topic.ref.serial, each["partition"]), 0))
            each["endOffset"], each["lag"] = end, end - each["committed"]
        return msgspec.json.encode(document)

    def partitions_of(self, name: str) -> list[tuple[c.TopicRef, int]]:
        """All partitions that a group follows."""
        group = self.broker.groups.get(name)
        found = []
        for topic_name, cursors in group.cursors.items() if group else ():
            topic = self.broker.topics[topic_name]
            assert isinstance(topic, LogTopic)
            found += [(topic.ref, index) for index in range(len(cursors))]
        return found

    # Snapshots

    def dump(self) -> bytes:
        """Return the whole state."""
        topics = list(self.by_serial.values())
        return msgspec.msgpack.encode(
            ShardState(
                [topic.ref for topic in topics],
                {topic.ref.serial: [each.end for each in topic.partitions] for topic in topics},
                [state_of(group, self.broker.claims) for group in self.broker.groups.values()],
                self.forgotten,
                self.revoked,
            )
        )

    def load(self, octets: bytes) -> None:
        """Take over a state."""
        state = msgspec.msgpack.decode(octets, type=ShardState)
        broker = self.broker = ShardBroker(self._settings)
        self.forgotten, self.revoked = state.forgotten, state.revoked
        self.by_serial = {ref.serial: LogTopic(ref, self._settings.brokers) for ref in state.topics}
        for serial, topic in self.by_serial.items():
            broker.topics[topic.name] = topic
            for partition, end in zip(topic.partitions, state.ends[serial], strict=True):
                partition.end = end  # type: ignore[misc]
        for group in state.groups:
            broker.claims |= {member.name: member.claim for member in group.members}
            broker.restore(group_of(group, self._settings, broker.topics))
