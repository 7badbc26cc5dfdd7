"""Introspection documents: placement, end offsets, members, assignment, lag."""

from typing import Any

import msgspec

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Cursor, Group
from reference_server.queue.refusal import Refusal
from reference_server.queue.topic import Topic


def describe_topics(broker: QueueBroker) -> dict[str, Any]:
    """All topics (INTRO-TOPICS-1).

    There may be a hundred thousand, and the lock is held meanwhile: the JSON of unchanged topics is kept.
    """
    return {"topics": [topic.described or _described(topic) for topic in broker.topics.values()]}


def _described(topic: Topic) -> msgspec.Raw:
    topic.described = msgspec.Raw(msgspec.json.encode(describe_topic(topic)))
    return topic.described


def describe_topic(topic: Topic) -> dict[str, Any]:
    """One topic: name, broker, oldest and end offset of each partition (INTRO-TOPIC-1)."""
    return {
        "topicName": topic.name,
        "partitions": [
            {
                "partition": partition.index,
                "name": partition.name,
                "broker": f"broker{partition.broker}",
                "oldestOffset": partition.oldest,
                "endOffset": partition.end,
            }
            for partition in topic.partitions
        ],
    }


def describe_group(group: Group) -> dict[str, Any]:
    """One group (INTRO-GROUP-1): members with their topics; owner, committed offset and lag of each partition."""
    return {
        "consumer_group_name": group.name,
        "members": [
            {"consumer_name": member.name, "topics": sorted(member.topics)}
            for member in group.members.values()
        ],
        "assignment": [describe_cursor(cursor) for cursor in group.all_cursors()],
    }


def describe_cursor(cursor: Cursor) -> dict[str, Any]:
    """One partition, as its group sees it."""
    partition = cursor.partition
    return {
        "topicName": partition.topic,
        "partition": partition.index,
        "consumer_name": cursor.owner.name if cursor.owner is not None else None,
        "committed": cursor.committed,
        "endOffset": partition.end,
        "lag": partition.end - cursor.committed,
        "inFlight": cursor.in_flight,
    }


def is_readable(path: str) -> bool:
    """Return whether `describe` serves a path, if its topic or group exists."""
    collection, slash, name = path[1:].partition("/")
    if not slash:
        return path == "/topics"
    return collection in {"topics", "consumer-groups"} and bool(name) and "/" not in name


def describe(broker: QueueBroker, path: str) -> dict[str, Any]:
    """The document at a path. Raises Refusal: topic-unknown, group-unknown (INTRO-UNKNOWN-1), path-unknown."""
    if not is_readable(path):
        raise Refusal("path-unknown", f"nothing can be read at {path!r}")
    collection, _, name = path[1:].partition("/")
    if not name:
        return describe_topics(broker)
    if collection == "topics":
        topic = broker.topics.get(name)
        if topic is None:
            raise Refusal("topic-unknown", f"there is no topic {name!r}")
        return describe_topic(topic)
    group = broker.groups.get(name)
    if group is None:
        raise Refusal("group-unknown", f"there is no consumer group {name!r}")
    broker.finish(group)
    return describe_group(group)
