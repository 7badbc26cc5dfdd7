"""State of the queue for the live page: introspection, with times to evictions and moves that are under way."""

import math
from collections.abc import Generator, Iterator, Sequence
from typing import Any, TypeVar

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.queue.introspection import describe_cursor, describe_topic
from reference_server.queue.topic import Topic

TOPICS = 200
GROUPS = 100
MEMBERS = 200
"""Bound of the members of one group."""
ROWS = 4000
"""Bound of all partitions, counted once for their topic and once for each group; the last topic may go past it."""
_PIECE = 5000
"""Names that are compared in one step."""

Part = tuple[str, dict[str, Any]]
_Named = TypeVar("_Named", Topic, Group, Consumer)


def describe_live(broker: QueueBroker, text: str) -> Iterator[Part]:
    """Yield parts of the document, each with the name of its list; "" stands for the document itself.

    Those of topics and groups are described that have `text`, in lower case, in their name, or in that of a group or a
    member. The caller holds the lock of the broker during each step, and may release it between them.
    """
    topics = yield from _find([*broker.topics.values()], text)
    groups = yield from _find([*broker.groups.values()], text)
    if text:
        members = yield from _find([*broker.consumers.values()], text)
        groups = list(dict.fromkeys(groups + [member.group for member in members[:_PIECE]]))
        followed = [name for group in groups[:GROUPS] for name in list(group.cursors)[:TOPICS]]
        topics = list(
            dict.fromkeys(topics + [broker.topics[name] for name in followed if name in broker.topics])
        )
    counts = {"topics": len(broker.topics), "groups": len(broker.groups), "members": len(broker.consumers)}
    found = {"topics": len(topics), "groups": len(groups)}
    yield "", {"counts": counts, "found": found, "published": broker.published, "topics": [], "groups": []}
    rows = 0
    for topic in topics[:TOPICS]:
        followers = list(broker.followers(topic.name))
        shown = followers[: max(1, min(GROUPS, (ROWS - rows) // len(topic.partitions)))]
        rows += len(topic.partitions) * (1 + len(shown))
        described = [_describe_follower(group, topic.name, broker.now) for group in shown]
        yield "topics", describe_topic(topic) | {"groupCount": len(followers), "groups": described}
        if rows >= ROWS:
            break
    for group in groups[:GROUPS]:
        yield "groups", _describe_group(group, broker.now)


def _find(things: Sequence[_Named], text: str) -> Generator[Part, None, list[_Named]]:
    found: list[_Named] = []
    for start in range(0, len(things), _PIECE):
        found += [thing for thing in things[start : start + _PIECE] if text in thing.name.lower()]
        yield "", {}
    return found


def _describe_follower(group: Group, topic: str, now: float) -> dict[str, Any]:
    cursors = group.cursors.get(topic, ())
    rows = [describe_cursor(cursor) | _describe_move(cursor, now + group.clock_offset) for cursor in cursors]
    return {"consumer_group_name": group.name, "assignment": rows}


def _describe_move(cursor: Cursor, time: float) -> dict[str, Any]:
    """The next owner, and the seconds after which the record in flight is taken back (REBALANCE-5)."""
    if cursor.overdue == math.inf:
        return {}
    return {"next": cursor.next_owner and cursor.next_owner.name, "secondsLeft": cursor.overdue - time}


def _describe_group(group: Group, now: float) -> dict[str, Any]:
    """`secondsLeft` is a member's time to its eviction; None while a long poll waits (POLL-WAIT-5)."""
    timeout = group.settings.heartbeat_timeout - now - group.clock_offset
    members = [
        {
            "consumer_name": member.name,
            "topicCount": len(member.topics),
            "partitionCount": len(member.assigned),
            "inFlightCount": len(member.held),
            "secondsLeft": None if member.waiting else member.seen + timeout,
        }
        for member in list(group.members.values())[:MEMBERS]
    ]
    counts = {
        "memberCount": len(group.members),
        "leaving": len(group.leaving),
        "topicCount": len(group.cursors),
    }
    return {"consumer_group_name": group.name, **counts, "members": members}
