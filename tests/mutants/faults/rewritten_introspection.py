"""Faults of introspection as a rewrite of the server would have them: descriptions that are kept, or of another group.

Their models are public reports on consumer information of NATS JetStream and on XINFO of Redis Streams and its copies.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from reference_server.queue import introspection
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Cursor, Group
from reference_server.queue.topic import Topic
from tests.mutants.editing import open_cursors
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, fault

if TYPE_CHECKING:
    from reference_server.queue.group import Consumer


@fault("INTRO-GROUP-1", bindings=HTTP)
def committed_offsets_are_those_of_the_first_group() -> None:
    """The description of a group has the committed offsets of the first group that read the topic."""
    found = open_cursors()

    @wrap(introspection, "describe_cursor")
    def describe(original: Any, cursor: Cursor) -> dict[str, Any]:
        first = found[cursor.partition][0].committed
        return {**original(cursor), "committed": first, "lag": cursor.partition.end - first}


@fault("INTRO-GROUP-1", bindings=HTTP)
def members_that_are_gone_are_described() -> None:
    """The description of a group lists members that left or were evicted."""
    gone: defaultdict[str, list[str]] = defaultdict(list)

    @wrap(QueueBroker, "_forget")
    def forget(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        gone[consumer.group.name].append(consumer.name)
        original(self, consumer)

    @wrap(introspection, "describe_group")
    def describe(original: Any, group: Group) -> dict[str, Any]:
        document: dict[str, Any] = original(group)
        document["members"] += [{"consumer_name": name, "topics": []} for name in gone[group.name]]
        return document


@fault("INTRO-GROUP-1", bindings=HTTP)
def topics_that_were_given_up_are_described() -> None:
    """The description of a group has the topics from which a member has unsubscribed."""
    ever: defaultdict[str, set[str]] = defaultdict(set)

    @wrap(Group, "subscribe")
    def subscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        ever[consumer.name].update(topic.name for topic in topics)
        original(self, consumer, topics, now)

    @wrap(introspection, "describe_group")
    def describe(original: Any, group: Group) -> dict[str, Any]:
        document: dict[str, Any] = original(group)
        for member in document["members"]:
            member["topics"] = sorted(ever[member["consumer_name"]])
        return document


@fault("INTRO-TOPICS-1", bindings=HTTP)
def the_list_of_topics_is_that_of_its_first_reading() -> None:
    """GET /topics describes a topic as it was when the list was read first."""
    known: dict[int, Any] = {}

    @wrap(Topic, "__setattr__")
    def put(original: Any, self: Topic, name: str, value: Any) -> None:
        if name == "described" and value is None and id(self) in known:
            value = known[id(self)]
        elif name == "described" and value is not None:
            known[id(self)] = value
        original(self, name, value)

    @wrap(Topic, "__init__")
    def begin(original: Any, self: Topic, *arguments: Any) -> None:
        known.pop(id(self), None)
        original(self, *arguments)
