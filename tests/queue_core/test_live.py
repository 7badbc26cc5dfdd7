"""State of the queue for the live page: owners, moves, times, bounds, and the choice by names."""

from __future__ import annotations

from typing import Any

import pytest

from reference_server.config import Settings
from reference_server.queue import live
from reference_server.queue.broker import QueueBroker
from reference_server.queue.live import describe_live
from reference_server.queue.topic import Record


def document(broker: QueueBroker, text: str = "", now: float = 0.0) -> dict[str, Any]:
    """Put the parts together, as the server does."""
    broker.tick(now)
    whole: dict[str, Any] = {}
    for name, part in describe_live(broker, text):
        if name:
            whole[name].append(part)
        else:
            whole |= part
    return whole


def join(broker: QueueBroker, group: str, member: str, *topics: str, now: float = 0.0) -> Any:
    broker.add_group(group, now=now)
    consumer = broker.register(group, member, now=now)
    broker.subscribe(consumer, topics)
    return consumer


def publish(broker: QueueBroker, topic: str, count: int) -> None:
    for number in range(count):
        broker.publish(topic, Record(number, "x", None, 0), now=0.0)


@pytest.fixture
def broker() -> QueueBroker:
    """A broker with an eviction after 30 s, and a rebalance of 20 s."""
    return QueueBroker(Settings(heartbeat_timeout=30.0, rebalance_timeout=20.0))


def test_nothing(broker: QueueBroker) -> None:
    """An empty broker has empty lists and counts of 0."""
    assert document(broker) == {
        "counts": {"topics": 0, "groups": 0, "members": 0},
        "found": {"topics": 0, "groups": 0},
        "published": 0,
        "topics": [],
        "groups": [],
    }


def test_what_introspection_tells(broker: QueueBroker) -> None:
    """Topics and assignments have the members that introspection gives them."""
    broker.add_topic("news", 2, 0, now=0.0)
    alice = join(broker, "readers", "alice", "news")
    publish(broker, "news", 4)
    delivery = broker.poll(alice)
    assert delivery is not None
    (topic,) = document(broker)["topics"]
    assert (topic["topicName"], [each["endOffset"] for each in topic["partitions"]]) == ("news", [2, 2])
    (group,) = topic["groups"]
    assert group["assignment"][0] == {
        "topicName": "news",
        "partition": 0,
        "consumer_name": "alice",
        "committed": 0,
        "endOffset": 2,
        "lag": 2,
        "inFlight": delivery.message_id,
    }


def test_times(broker: QueueBroker) -> None:
    """Members have the time to their eviction by the clock of their group; one in a long poll has none."""
    broker.add_topic("news", 1, 0, now=0.0)
    join(broker, "readers", "alice", "news")
    broker.register("readers", "bob", now=4.0)
    broker.wait(broker.consumer("bob", now=4.0))
    broker.advance_group("readers", 10.0, now=5.0)
    (group,) = document(broker, now=7.0)["groups"]
    times = {member["consumer_name"]: member["secondsLeft"] for member in group["members"]}
    assert times == {"alice": 30.0 - 10.0 - 7.0, "bob": None}
    assert [member["topicCount"] for member in group["members"]] == [1, 0]


def test_a_move_under_way(broker: QueueBroker) -> None:
    """A partition that waits for a record in flight has its next owner and the time that is left."""
    broker.add_topic("news", 2, 0, now=0.0)
    alice = join(broker, "readers", "alice", "news")
    publish(broker, "news", 4)
    while broker.poll(alice):
        pass
    join(broker, "readers", "bob", "news", now=3.0)
    rows = document(broker, now=8.0)["topics"][0]["groups"][0]["assignment"]
    moving = [row for row in rows if "secondsLeft" in row]
    assert [(row["consumer_name"], row["next"], row["secondsLeft"]) for row in moving] == [
        ("alice", "bob", 15.0)
    ]
    rows = document(broker, now=23.0)["topics"][0]["groups"][0]["assignment"]
    assert not [row for row in rows if "secondsLeft" in row]
    assert {row["consumer_name"] for row in rows} == {"alice", "bob"}


def test_names(broker: QueueBroker) -> None:
    """A text finds topics and groups by their own name, and by that of a group or a member of theirs."""
    for name in ("News", "orders", "other"):
        broker.add_topic(name, 1, 0, now=0.0)
    join(broker, "readers", "alice", "News", "orders")
    join(broker, "Writers", "bob", "other")

    def found(text: str) -> tuple[list[str], list[str]]:
        whole = document(broker, text)
        topics = [topic["topicName"] for topic in whole["topics"]]
        return topics, [group["consumer_group_name"] for group in whole["groups"]]

    assert found("news") == (["News"], [])
    assert found("writ") == (["other"], ["Writers"])
    assert found("alice") == (["News", "orders"], ["readers"])
    assert found("nothing") == ([], [])
    assert found("o")[0] == ["orders", "other"]


def test_bounds(broker: QueueBroker) -> None:
    """Many topics, groups, members and partitions are counted, and a part of them is described."""
    for number in range(live.TOPICS + 7):
        broker.add_topic(f"t{number}", 1, 0, now=0.0)
    for number in range(live.GROUPS + 5):
        join(broker, f"g{number}", f"m{number}", "t0")
    for number in range(live.MEMBERS + 3):
        broker.register("g0", f"n{number}", now=0.0)
    whole = document(broker)
    assert whole["counts"] == {
        "topics": live.TOPICS + 7,
        "groups": live.GROUPS + 5,
        "members": live.GROUPS + 5 + live.MEMBERS + 3,
    }
    assert (len(whole["topics"]), len(whole["groups"])) == (live.TOPICS, live.GROUPS)
    assert (whole["topics"][0]["groupCount"], len(whole["topics"][0]["groups"])) == (
        live.GROUPS + 5,
        live.GROUPS,
    )
    assert (whole["groups"][0]["memberCount"], len(whole["groups"][0]["members"])) == (
        live.MEMBERS + 4,
        live.MEMBERS,
    )
    last = live.TOPICS + 6
    assert [topic["topicName"] for topic in document(broker, f"t{last}")["topics"]] == [f"t{last}"]


def test_many_partitions(broker: QueueBroker) -> None:
    """The first topic has at least one of its groups; later ones stay away once there are rows enough."""
    for name in ("a", "b", "c", "d", "e", "f"):
        broker.add_topic(name, 1024, 0, now=0.0)
    for group in range(8):
        join(broker, f"g{group}", f"m{group}", "a", "b")
    whole = document(broker)
    rows = sum(len(topic["partitions"]) * (1 + len(topic["groups"])) for topic in whole["topics"])
    assert live.ROWS <= rows <= live.ROWS + 2 * 1024
    assert whole["topics"][0]["groups"]
    assert whole["found"]["topics"] == 6


def test_changes_between_pieces(broker: QueueBroker) -> None:
    """Groups may be removed between two steps: no step fails, and the last ones have neither rows nor members."""
    for number in range(3):
        broker.add_topic(f"t{number}", 1, 0, now=0.0)
        join(broker, f"g{number}", f"m{number}", f"t{number}")
    parts = []
    for name, part in describe_live(broker, "g"):
        parts.append((name, part))
        for group in list(broker.groups):
            broker.remove_group(group, now=0.0)
    assert all(not part["groups"] for name, part in parts if name == "topics")
    assert all(not part["members"] for name, part in parts if name == "groups")
    assert document(broker, "g")["found"] == {"topics": 0, "groups": 0}
