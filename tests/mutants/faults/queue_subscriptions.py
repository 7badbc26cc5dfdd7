"""Faults in subscribing and unsubscribing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Group
from reference_server.queue.refusal import Refusal
from tests.mutants.editing import answer_by, refuse_by
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_server.queue.topic import Topic


@fault("MEMBER-SUBSCRIBE-1", bindings=HTTP)
def a_later_subscription_replaces_the_earlier_one() -> None:
    """A consumer stays subscribed only to the topics of its latest list."""

    @wrap(QueueBroker, "subscribe")
    def subscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Sequence[str]) -> None:
        original(self, consumer, names)
        others = sorted(consumer.topics.keys() - set(names))
        if others:
            self.unsubscribe(consumer, others)


@fault("MEMBER-SUBSCRIBE-1", bindings=STOMP)
def a_list_is_read_up_to_its_second_name() -> None:
    """Only the first two topics of a list are subscribed to."""

    @wrap(QueueBroker, "subscribe")
    def subscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Sequence[str]) -> None:
        self._topics(names)
        original(self, consumer, names[:2])


@fault("MEMBER-SUBSCRIBE-2", "REFUSE-1", bindings=HTTP)
def what_stands_before_an_unknown_topic_is_subscribed() -> None:
    """A list with an unknown topic is refused, but the topics before that one are subscribed to."""

    @wrap(QueueBroker, "subscribe")
    def subscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Sequence[str]) -> None:
        for name in names:
            original(self, consumer, [name])


@fault("MEMBER-SUBSCRIBE-2", bindings=STOMP)
def subscribing_adds_the_topic() -> None:
    """Subscribing to an unknown topic adds the topic."""

    @wrap(QueueBroker, "subscribe")
    def subscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Sequence[str]) -> None:
        for name in names:
            if name not in self.topics:
                self.add_topic(name, 0, 0, now=self.now)
        original(self, consumer, names)


@fault("MEMBER-SUBSCRIBE-3", bindings=HTTP)
def an_unknown_topic_in_a_list_is_a_bad_request() -> None:
    """A list with an unknown topic is refused by 400."""
    refuse_by(QueueBroker, "subscribe", "topic-unknown", 400)


@fault("MEMBER-SUBSCRIBE-4", bindings=HTTP)
def subscribing_again_begins_anew() -> None:
    """Subscribing to a topic again unsubscribes from it first."""

    @wrap(QueueBroker, "subscribe")
    def subscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Sequence[str]) -> None:
        self._topics(names)
        again = sorted(consumer.topics.keys() & set(names))
        if again:
            self.unsubscribe(consumer, again)
        original(self, consumer, names)


@fault("MEMBER-SUBSCRIBE-4", bindings=STOMP)
def subscribing_again_is_refused() -> None:
    """Subscribing to a topic again is refused."""

    @wrap(QueueBroker, "subscribe")
    def subscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Sequence[str]) -> None:
        if consumer.topics.keys() & set(names):
            raise Refusal("too-many", "the consumer is subscribed already", "topic_list")
        original(self, consumer, names)


@fault("MEMBER-UNSUBSCRIBE-1", bindings=HTTP)
def the_end_of_a_subscription_is_answered_done() -> None:
    """Unsubscribing is answered 200."""
    answer_by("_unsubscribe", 200)


@fault("MEMBER-UNSUBSCRIBE-1", bindings=STOMP)
def who_unsubscribes_gets_one_record_more() -> None:
    """A consumer that has unsubscribed keeps its partitions until another member subscribes."""

    @wrap(Group, "_release")
    def release(original: Any, self: Group, consumer: Consumer, topic: str) -> None:
        others = [m for m in self.members.values() if m is not consumer and topic in m.topics]
        if others or consumer.name not in self.members:
            original(self, consumer, topic)

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        if any(topic in member.topics for member in self.members.values()):
            for cursor in self.cursors[topic]:
                if cursor.owner is not None and topic not in cursor.owner.topics:
                    if cursor.in_flight is not None:
                        cursor.settle(commit=False)
                    cursor.pass_to(None)
            original(self, topic, now)


@fault("MEMBER-UNSUBSCRIBE-2", "REFUSE-1", bindings=HTTP)
def what_stands_before_an_unknown_topic_is_given_up() -> None:
    """Unsubscribing from a list with an unknown topic is refused, but ends the subscriptions before that one."""

    @wrap(QueueBroker, "unsubscribe")
    def unsubscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Sequence[str]) -> None:
        for name in names:
            original(self, consumer, [name])


@fault("MEMBER-UNSUBSCRIBE-2", bindings=STOMP)
def unknown_topics_may_be_given_up() -> None:
    """Unsubscribing from an unknown topic is answered 202."""

    @wrap(QueueBroker, "unsubscribe")
    def unsubscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Sequence[str]) -> None:
        original(self, consumer, [name for name in names if name in self.topics])


@fault("MEMBER-UNSUBSCRIBE-3", bindings=HTTP)
def giving_up_an_unknown_topic_is_a_bad_request() -> None:
    """Unsubscribing from an unknown topic is refused by 400."""
    refuse_by(QueueBroker, "unsubscribe", "topic-unknown", 400)


@fault("MEMBER-UNSUBSCRIBE-4", "ACK-COMMIT-1", bindings=HTTP)
def offsets_leave_with_the_last_member() -> None:
    """When the last subscriber of a group leaves a topic, the group's offsets there are forgotten."""

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        original(self, topic, now)
        if not any(topic in member.topics for member in self.members.values()):
            for cursor in self.cursors[topic]:
                cursor.committed = 0


@fault("MEMBER-SUBSCRIBE-2", "POLL-NONE-1", bindings=HTTP)
def a_refused_subscription_is_remembered() -> None:
    """The topics of a refused list are added to the consumer's next subscription."""
    wanted: dict[Consumer, set[str]] = {}

    @wrap(QueueBroker, "subscribe")
    def subscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Sequence[str]) -> None:
        try:
            original(self, consumer, names)
        except Refusal:
            wanted.setdefault(consumer, set()).update(set(names) & self.topics.keys())
            raise
        if consumer in wanted:
            original(self, consumer, sorted(wanted.pop(consumer)))


@fault("POLL-NONE-1", "ASSIGN-1", bindings=STOMP)
def members_share_all_topics_of_their_group() -> None:
    """The partitions of a topic are assigned to all members of the group, subscribed or not."""

    @wrap(Group, "subscribe")
    def subscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        original(self, consumer, topics, now)
        for topic in topics:
            idle = [member for member in self.members.values() if topic.name not in member.topics]
            cursors = [c for c in self.cursors[topic.name] if c.in_flight is None and c.owner is not None]
            for member, cursor in zip(idle, cursors[1:], strict=False):
                cursor.pass_to(member)
