"""Faults of members in a second rewrite: their times, names that come again, and descriptions of groups."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from reference_server.queue import introspection
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_server.queue.topic import Topic


# Times of one group


@fault("LIVE-KEEP-1", "POLL-WAIT-5", bindings=HTTP)
def silence_after_a_wait_begins_in_the_queues_time() -> None:
    """Behind a poll that waited, the silence of a consumer counts from the queue's time, without its group's lead."""

    @wrap(QueueBroker, "wait_no_more")
    def wait_no_more(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        original(self, consumer)
        if not consumer.waiting:
            consumer.seen -= consumer.group.clock_offset


@fault("LIVE-SIGN-1", bindings=HTTP)
def unsubscribing_is_no_sign_of_life() -> None:
    """Unsubscribing from a topic does not keep a consumer from being evicted."""

    @wrap(QueueBroker, "unsubscribe")
    def unsubscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Sequence[str]) -> None:
        original(self, consumer, names)
        consumer.seen = last[consumer]

    last: dict[Consumer, float] = {}

    @wrap(QueueBroker, "_sign_of_life")
    def note(original: Any, self: QueueBroker, consumer: Consumer, now: float) -> None:
        last[consumer] = consumer.seen
        original(self, consumer, now)


@fault("LIVE-SIGN-1", bindings=STOMP)
def giving_back_is_no_sign_of_life() -> None:
    """A negative acknowledgement does not keep a consumer from being evicted."""
    last: dict[Consumer, float] = {}

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        original(self, consumer, number, commit=commit)
        if not commit:
            consumer.seen = last[consumer]

    @wrap(QueueBroker, "_sign_of_life")
    def note(original: Any, self: QueueBroker, consumer: Consumer, now: float) -> None:
        last[consumer] = consumer.seen
        original(self, consumer, now)


@fault("LIVE-EVICT-1", bindings=HTTP)
def a_group_with_one_member_keeps_it() -> None:
    """The only member of a group is not evicted: nobody is there to take over."""

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        if len(self.members) == 1:
            for member in self.members.values():
                member.seen = max(member.seen, now)
        silent: list[Consumer] = original(self, now)
        return silent


@fault("LIVE-EVICT-1", bindings=STOMP)
def who_never_polled_is_not_evicted() -> None:
    """A consumer that has subscribed and never polled is not evicted: its timer starts with its first poll."""
    polled: set[Consumer] = set()

    @wrap(QueueBroker, "poll")
    def poll(original: Any, self: QueueBroker, consumer: Consumer) -> Any:
        polled.add(consumer)
        return original(self, consumer)

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        for member in self.members.values():
            if member not in polled and member.topics:
                member.seen = max(member.seen, now)
        silent: list[Consumer] = original(self, now)
        return silent


# Names that come again


def _keep_topics_of(ended: str) -> None:
    kept: defaultdict[str, list[str]] = defaultdict(list)

    @wrap(QueueBroker, ended)
    def end(original: Any, self: QueueBroker, subject: Any, **named: Any) -> None:
        group = subject.group if isinstance(subject, Consumer) else self.groups.get(subject)
        members = (
            [subject] if isinstance(subject, Consumer) else list(group.members.values()) if group else []
        )
        for member in members:
            kept[member.name] = list(member.topics)
        original(self, subject, **named)

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group_name: str, name: str, *, now: float) -> Consumer:
        consumer: Consumer = original(self, group_name, name, now=now)
        topics = [topic for topic in kept.pop(name, []) if topic in self.topics]
        if topics:
            self.subscribe(consumer, topics)
        return consumer


@fault("POLL-NONE-1", "MEMBER-UNREGISTER-1", "MEMBER-REGISTER-1", bindings=HTTP)
def who_leaves_and_registers_again_has_its_topics() -> None:
    """A consumer that unregisters and registers again at once is subscribed as before, as a static member of Kafka."""
    _keep_topics_of("unregister")


@fault("POLL-NONE-1", "GROUP-REMOVE-2", "MEMBER-REGISTER-1", bindings=STOMP)
def members_of_a_removed_group_have_their_topics_again() -> None:
    """A consumer of a removed group that registers again is subscribed as before."""
    _keep_topics_of("remove_group")


# Introspection


@fault("INTRO-GROUP-1", bindings=HTTP)
def ten_members_are_described() -> None:
    """The description of a group has ten members at most, as a page of a list."""

    @wrap(introspection, "describe_group")
    def describe(original: Any, group: Group) -> dict[str, Any]:
        document: dict[str, Any] = original(group)
        return {**document, "members": document["members"][:10]}


@fault("INTRO-TOPIC-1", bindings=HTTP)
def thirty_two_partitions_are_described() -> None:
    """The description of a topic has 32 partitions at most."""

    @wrap(introspection, "describe_topic")
    def describe(original: Any, topic: Topic) -> dict[str, Any]:
        document: dict[str, Any] = original(topic)
        return {**document, "partitions": document["partitions"][:32]}


@fault("INTRO-GROUP-1", bindings=HTTP)
def the_end_is_that_of_the_last_delivery() -> None:
    """The `endOffset` of a partition in the description of a group is that at the group's last poll of it."""
    ends: dict[Cursor, int] = {}

    @wrap(Cursor, "hand_out")
    def hand_out(original: Any, self: Cursor) -> tuple[int, bool]:
        ends[self] = self.partition.end
        result: tuple[int, bool] = original(self)
        return result

    @wrap(introspection, "describe_cursor")
    def describe(original: Any, cursor: Cursor) -> dict[str, Any]:
        end = ends.get(cursor, cursor.partition.end)
        return {**original(cursor), "endOffset": end, "lag": end - cursor.committed}


@fault("INTRO-GROUP-1", bindings=HTTP)
def topics_of_a_member_are_those_it_owns_partitions_of() -> None:
    """A member's `topics` are those of which it owns a partition, so that one that stands by has none."""

    @wrap(introspection, "describe_group")
    def describe(original: Any, group: Group) -> dict[str, Any]:
        document: dict[str, Any] = original(group)
        for member in document["members"]:
            owned = group.members[member["consumer_name"]].assigned
            member["topics"] = sorted({cursor.partition.topic for cursor in owned})
        return document
