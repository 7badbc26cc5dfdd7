"""Faults of the removal of topics: what it leaves behind, and what else it takes along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_server.queue import introspection, operations
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Group
from reference_server.queue.long_polls import LongPolls
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import ACCEPTED
from reference_server.queue.refusal import Refusal
from reference_server.queue.room import Room
from reference_server.stomp.queue_binding import QueueBinding
from tests.mutants.editing import accept_refused, answer_by, refuse_by
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from reference_server.queue.group import Cursor
    from reference_server.queue.topic import Topic
    from reference_server.stomp.frame import Frame

REMOVE = "/topic/remove-topic"


def _before_removal(prepare: Any) -> None:
    """Call `prepare(broker, topic)` before a topic that exists is removed."""

    @wrap(QueueBroker, "remove_topic")
    def remove(original: Any, self: QueueBroker, name: str, **named: Any) -> None:
        if name in self.topics:
            prepare(self, self.topics[name])
        original(self, name, **named)


# The topic


@fault("TOPIC-REMOVE-1", bindings=HTTP)
def a_removal_is_answered_by_200() -> None:
    """The removal of a topic is answered by 200."""
    answer_by("_remove_topic", 200)


@fault("TOPIC-REMOVE-1", bindings=HTTP)
def topics_cannot_be_removed() -> None:
    """The server declares the removal of topics, and does not have it."""

    @wrap(Operations, "is_operation")
    def is_operation(original: Any, self: Operations, path: str) -> bool:
        return path != REMOVE and bool(original(self, path))


@fault("TOPIC-REMOVE-1", bindings=STOMP)
def a_removal_by_send_is_dropped() -> None:
    """A SEND to /topic/remove-topic is dropped."""

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, outlet: Any, frame: Frame) -> bool:
        return frame.headers["destination"] == REMOVE or bool(original(self, outlet, frame))


@fault("TOPIC-REMOVE-1", bindings=HTTP)
def a_topic_with_subscribers_cannot_be_removed() -> None:
    """The removal of a topic is refused while a member is subscribed to it."""

    def prepare(broker: QueueBroker, topic: Topic) -> None:
        if any(topic.name in member.topics for member in broker.consumers.values()):
            raise Refusal("topic-exists", f"{topic.name} has subscribers", "topicName")

    _before_removal(prepare)


@fault("TOPIC-REMOVE-1", bindings=STOMP)
def a_topic_with_records_cannot_be_removed() -> None:
    """The removal of a topic is refused while it has records."""

    def prepare(_broker: QueueBroker, topic: Topic) -> None:
        if any(partition.end for partition in topic.partitions):
            raise Refusal("topic-exists", f"{topic.name} has records", "topicName")

    _before_removal(prepare)


@fault("TOPIC-REMOVE-2", bindings=HTTP)
def a_removed_topic_comes_back_with_its_next_record() -> None:
    """A record for a topic that was removed adds it again."""
    gone: dict[str, int] = {}
    _before_removal(lambda _broker, topic: gone.update({topic.name: len(topic.partitions)}))

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Any, *, now: float) -> Any:
        if name not in self.topics and name in gone:
            self.add_topic(name, gone[name], 0, now=now)
        return original(self, name, record, now=now)


@fault("TOPIC-REMOVE-2", bindings=STOMP)
def a_removed_topic_takes_records_in_vain() -> None:
    """Records for a topic that was removed are stored where nobody gets them."""
    gone: dict[str, Topic] = {}
    _before_removal(lambda _broker, topic: gone.update({topic.name: topic}))

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Any, *, now: float) -> Any:
        if name not in self.topics and name in gone:
            return gone[name].partitions[0], 0
        return original(self, name, record, now=now)


@fault("TOPIC-REMOVE-2", bindings=HTTP)
def a_removed_topic_can_be_subscribed_to() -> None:
    """A subscription to a topic that was removed succeeds, and does nothing."""
    gone: set[str] = set()
    _before_removal(lambda _broker, topic: gone.add(topic.name))

    @wrap(QueueBroker, "subscribe")
    def subscribe(original: Any, self: QueueBroker, consumer: Consumer, names: list[str]) -> None:
        original(self, consumer, [name for name in names if name in self.topics or name not in gone])


@fault("TOPIC-REMOVE-2", bindings=HTTP)
def a_removed_topic_is_described() -> None:
    """A topic that was removed can still be read about by its name."""
    gone: dict[str, Any] = {}
    _before_removal(lambda _broker, topic: gone.update({topic.name: introspection.describe_topic(topic)}))

    @wrap(operations, "describe")
    def describe(original: Any, broker: QueueBroker, path: str) -> Any:
        name = path.removeprefix("/topics/")
        return gone[name] if name in gone and name not in broker.topics else original(broker, path)


@fault("TOPIC-REMOVE-2", bindings=HTTP)
def a_removed_topic_is_listed() -> None:
    """A topic that was removed stays in the list of topics."""
    gone: dict[str, Any] = {}
    _before_removal(lambda _broker, topic: gone.update({topic.name: introspection.describe_topic(topic)}))

    @wrap(introspection, "describe_topics")
    def describe(original: Any, broker: QueueBroker) -> Any:
        left = [document for name, document in gone.items() if name not in broker.topics]
        return {"topics": [*original(broker)["topics"], *left]}


@fault("TOPIC-REMOVE-3", bindings=HTTP)
def a_topic_may_be_removed_twice() -> None:
    """The removal of a topic that does not exist is answered by 202."""
    accept_refused("_remove_topic", "topic-unknown", 202)


@fault("TOPIC-REMOVE-4", bindings=HTTP)
def an_unknown_topic_is_a_conflict() -> None:
    """The removal of a topic that does not exist is refused by 409."""
    refuse_by(QueueBroker, "remove_topic", "topic-unknown", 409)


# Its readers


def _forget_without(method: Any) -> None:
    replace(Group, "forget")(method)


@fault("TOPIC-REMOVE-5", bindings=HTTP)
def readers_read_on_in_a_removed_topic() -> None:
    """Readers of a topic that was removed still get its records."""
    _forget_without(lambda _self, _topic: [])
    _keep_records()


def _keep_records() -> None:
    replace(Room, "remove")(lambda _self, _partitions: None)


@fault("TOPIC-REMOVE-5", "TOPIC-REMOVE-11", bindings=STOMP)
def a_new_topic_gets_the_records_of_the_old_one() -> None:
    """A topic that is added under the name of a removed one has its records."""
    _keep_records()
    gone: dict[str, Topic] = {}
    _before_removal(lambda _broker, topic: gone.update({topic.name: topic}))

    @wrap(QueueBroker, "add_topic")
    def add(original: Any, self: QueueBroker, name: str, *arguments: Any, **named: Any) -> Topic:
        topic: Topic = original(self, name, *arguments, **named)
        if name in gone:
            topic = self.topics[name] = gone.pop(name)
        return topic


@fault("TOPIC-REMOVE-6", bindings=HTTP)
def a_removal_ends_all_subscriptions_of_its_readers() -> None:
    """Members of a removed topic lose their other topics."""

    def prepare(broker: QueueBroker, topic: Topic) -> None:
        for member in list(broker.consumers.values()):
            if topic.name in member.topics:
                broker.unsubscribe(member, [name for name in member.topics if name != topic.name])

    _before_removal(prepare)


@fault("TOPIC-REMOVE-6", bindings=STOMP)
def a_removal_evicts_the_readers() -> None:
    """Members that were subscribed to a removed topic are registered no more."""

    def prepare(broker: QueueBroker, topic: Topic) -> None:
        for member in list(broker.consumers.values()):
            if topic.name in member.topics:
                broker.unregister(member)

    _before_removal(prepare)


@fault("TOPIC-REMOVE-6", bindings=HTTP)
def a_removal_evicts_who_has_no_other_topic() -> None:
    """Members that were subscribed to the removed topic alone are registered no more."""

    def prepare(broker: QueueBroker, topic: Topic) -> None:
        for member in list(broker.consumers.values()):
            if set(member.topics) == {topic.name}:
                broker.unregister(member)

    _before_removal(prepare)


@fault("TOPIC-REMOVE-6", bindings=STOMP)
def a_removal_frees_what_its_readers_hold() -> None:
    """Members of a removed topic lose what they hold of other topics."""

    def prepare(broker: QueueBroker, topic: Topic) -> None:
        for member in broker.consumers.values():
            if topic.name in member.topics:
                for cursor in list(member.held.values()):
                    cursor.settle(commit=False)

    _before_removal(prepare)


@fault("TOPIC-REMOVE-6", bindings=HTTP)
def a_removal_forgets_all_offsets_of_its_readers() -> None:
    """Groups that read a removed topic start anew in their other topics."""

    def prepare(broker: QueueBroker, topic: Topic) -> None:
        for group in broker._followers.get(topic.name, ()):
            for cursor in group.all_cursors():
                if cursor.in_flight is None:
                    cursor.committed = 0

    _before_removal(prepare)


@fault("TOPIC-REMOVE-6", bindings=HTTP)
def the_polls_of_its_readers_hang() -> None:
    """Polls that wait when a topic is removed are never woken again by records of other topics."""
    deaf: set[Consumer] = set()

    def prepare(_broker: QueueBroker, topic: Topic) -> None:
        deaf.update(
            member for member in _broker.consumers.values() if member.waiting and topic.name in member.topics
        )

    _before_removal(prepare)

    @wrap(QueueBroker, "take_wakeable")
    def take(original: Any, self: QueueBroker) -> list[Consumer]:
        return [consumer for consumer in original(self) if consumer.is_stranded or consumer not in deaf]


@fault("TOPIC-REMOVE-7", bindings=HTTP)
def a_void_record_can_be_acknowledged() -> None:
    """The acknowledgement of a record of a removed topic succeeds."""
    void: set[tuple[str, int]] = set()

    @wrap(Group, "forget")
    def forget(original: Any, self: Group, topic: str) -> Any:
        for cursor in self.cursors[topic]:
            if cursor.in_flight is not None and cursor.owner is not None:
                void.add((cursor.owner.name, cursor.in_flight))
        return original(self, topic)

    @wrap(Operations, "_acknowledge")
    def acknowledge(original: Any, self: Operations, request: Any, now: float) -> Any:
        held = (request.consumer_name, request.number())
        return ACCEPTED if held in void else original(self, request, now)


@fault("TOPIC-REMOVE-7", bindings=STOMP)
def a_void_record_can_be_given_back() -> None:
    """The negative acknowledgement of a record of a removed topic succeeds."""
    void: set[int] = set()

    @wrap(Group, "forget")
    def forget(original: Any, self: Group, topic: str) -> Any:
        void.update(cursor.in_flight for cursor in self.cursors[topic] if cursor.in_flight is not None)
        return original(self, topic)

    @wrap(Operations, "_give_back")
    def give_back(original: Any, self: Operations, request: Any, now: float) -> Any:
        return ACCEPTED if request.number() in void else original(self, request, now)


@fault("TOPIC-REMOVE-7", bindings=HTTP)
def a_void_record_commits_in_the_new_topic() -> None:
    """The acknowledgement of a record of a removed topic settles what its holder has of the topic of that name."""
    void: dict[int, tuple[str, int]] = {}

    @wrap(Group, "forget")
    def forget(original: Any, self: Group, topic: str) -> Any:
        for cursor in self.cursors[topic]:
            if cursor.in_flight is not None:
                void[cursor.in_flight] = (topic, cursor.partition.index)
        return original(self, topic)

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, message_id: int, *, commit: bool) -> Any:
        topic, index = void.get(message_id, ("", 0))
        cursors: list[Cursor] = consumer.group.cursors.get(topic, [])
        if cursors and cursors[index].in_flight is not None and cursors[index].owner is consumer:
            message_id = cursors[index].in_flight or 0
        return original(self, consumer, message_id, commit=commit)


@fault("TOPIC-REMOVE-8", bindings=HTTP)
def a_void_record_is_not_found() -> None:
    """The acknowledgement of a record that is in flight with nobody is refused by 404."""
    refuse_by(QueueBroker, "settle", "not-in-flight", 404)


@fault("TOPIC-REMOVE-9", bindings=HTTP)
def polls_wait_on_for_a_removed_topic() -> None:
    """A poll that waits for a topic that is removed waits until its time is over."""

    @wrap(Group, "forget")
    def forget(original: Any, self: Group, topic: str) -> list[Consumer]:
        original(self, topic)
        return []


@fault("TOPIC-REMOVE-9", bindings=STOMP)
def one_poll_of_a_removed_topic_ends() -> None:
    """A removal ends the polls of the first of the members that wait for nothing else."""

    @wrap(Group, "forget")
    def forget(original: Any, self: Group, topic: str) -> list[Consumer]:
        stranded: list[Consumer] = original(self, topic)
        return stranded[:1]


@fault("TOPIC-REMOVE-9", bindings=HTTP)
def polls_hang_for_a_removed_topic() -> None:
    """A poll that waits for a topic that is removed is never answered."""

    @wrap(LongPolls, "answered")
    def answered(original: Any, self: LongPolls) -> Any:
        stranded = {waiter for waiter, each in self._parked.items() if each.consumer.is_stranded}
        return [(waiter, outcome) for waiter, outcome in original(self) if waiter not in stranded]


# Its name


@fault("TOPIC-REMOVE-10", bindings=HTTP)
def a_name_is_used_up_by_a_removal() -> None:
    """The name of a topic that was removed is taken for ever."""
    gone: set[str] = set()
    _before_removal(lambda _broker, topic: gone.add(topic.name))

    @wrap(QueueBroker, "add_topic")
    def add(original: Any, self: QueueBroker, name: str, *arguments: Any, **named: Any) -> Any:
        if name in gone:
            raise Refusal("topic-exists", f"there was a topic {name!r}", "topicName")
        return original(self, name, *arguments, **named)


@fault("TOPIC-REMOVE-10", bindings=STOMP)
def a_new_topic_has_the_partitions_of_the_old_one() -> None:
    """A topic that is added under the name of a removed one has as many partitions as that had."""
    gone: dict[str, int] = {}
    _before_removal(lambda _broker, topic: gone.update({topic.name: len(topic.partitions)}))

    @wrap(QueueBroker, "add_topic")
    def add(original: Any, self: QueueBroker, name: str, partitions: int, *more: Any, **named: Any) -> Any:
        return original(self, name, gone.get(name, partitions), *more, **named)


def _remember_cursors() -> dict[tuple[Group, str, int], Cursor]:
    """The cursors of groups on removed topics, from now on, by group, topic and index."""
    left: dict[tuple[Group, str, int], Cursor] = {}

    @wrap(Group, "forget")
    def forget(original: Any, self: Group, topic: str) -> Any:
        left.update({(self, topic, cursor.partition.index): cursor for cursor in self.cursors[topic]})
        return original(self, topic)

    return left


@fault("TOPIC-REMOVE-11", bindings=HTTP)
def a_group_goes_on_where_it_was_in_the_old_topic() -> None:
    """The offsets of a group outlive a topic, and hold in the next one of its name."""
    left = _remember_cursors()

    @wrap(Group, "_open")
    def open_(original: Any, self: Group, topic: Topic) -> None:
        original(self, topic)
        for cursor in self.cursors[topic.name]:
            old = left.get((self, topic.name, cursor.partition.index))
            cursor.committed = old.committed if old is not None else 0


@fault("TOPIC-REMOVE-11", bindings=STOMP)
def readers_of_the_old_topic_read_the_new_one() -> None:
    """A topic that is added under the name of a removed one has its subscribers."""
    readers: dict[str, list[Consumer]] = {}

    def prepare(broker: QueueBroker, topic: Topic) -> None:
        readers[topic.name] = [each for each in broker.consumers.values() if topic.name in each.topics]

    _before_removal(prepare)

    @wrap(QueueBroker, "add_topic")
    def add(original: Any, self: QueueBroker, name: str, *arguments: Any, **named: Any) -> Any:
        topic = original(self, name, *arguments, **named)
        for reader in readers.pop(name, ()):
            if self.consumers.get(reader.name) is reader:
                self.subscribe(reader, [name])
        return topic


@fault("TOPIC-REMOVE-11", bindings=HTTP)
def offsets_go_on_in_the_new_topic() -> None:
    """Offsets of a topic that is added under the name of a removed one go on where that ended."""
    ends: dict[tuple[str, int], int] = {}
    _before_removal(
        lambda _broker, topic: ends.update({(topic.name, part.index): part.end for part in topic.partitions})
    )

    @wrap(QueueBroker, "add_topic")
    def add(original: Any, self: QueueBroker, name: str, *arguments: Any, **named: Any) -> Any:
        topic = original(self, name, *arguments, **named)
        for partition in topic.partitions:
            partition.base = partition.oldest = ends.get((name, partition.index), 0)
        return topic


@fault("NAME-5", bindings=HTTP, scope="binding")
def a_removal_takes_topics_of_longer_names_along() -> None:
    """The removal of a topic removes all topics whose names begin with its name."""

    @wrap(QueueBroker, "remove_topic")
    def remove(original: Any, self: QueueBroker, name: str, *, now: float) -> None:
        original(self, name, now=now)
        for other in [each for each in self.topics if each.startswith(name)]:
            original(self, other, now=now)
