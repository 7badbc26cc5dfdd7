"""Groups and members: registering, subscribing, leaving, and the state that stays."""

from __future__ import annotations

import pytest

from tests.queue_core.core import Core, texts


def test_a_name_is_unique_on_the_server(core: Core) -> None:
    """A name is unique over all groups, and free again after unregistering (MEMBER-REGISTER-1, -4)."""
    core.join("g", "c")
    core.do("/consumer-group/add", consumer_group_name="h")
    for group in ("g", "h"):
        reply = core.ask("/consumer/register-consumer", consumer_group_name=group, consumer_name="c")
        assert (reply.status, reply.cause) == (409, "consumer-exists")
    core.do("/consumer/unregister-consumer", consumer_name="c")
    core.join("h", "c")
    core.do("/consumer-group/remove", consumer_group_name="h")
    core.join("g", "c")
    core.pass_time(1000)
    core.join("h", "c")


def test_removing_a_group(core: Core) -> None:
    """Removing a group removes members and offsets, and frees the name (GROUP-REMOVE-2, -3)."""
    core.topic("news", 2)
    core.fill("news", 2, 2)
    core.join("g", "c", "news")
    core.join("h", "e", "news")
    core.acknowledge("c", core.poll("c"))
    held = core.poll("c")
    core.do("/consumer-group/remove", consumer_group_name="g")
    assert core.ask("/consumer/poll", consumer_name="c").status == 404
    assert core.acknowledge("c", held).status == 404
    assert core.ask("/consumer-group/remove", consumer_group_name="g").status == 404
    core.join("g", "c", "news")
    assert texts(core.drain("c")) == ["P0-0", "P1-0"]
    assert texts(core.drain("e")) == ["P0-0", "P1-0"]


def test_subscribing_again_changes_nothing(core: Core) -> None:
    """Subscribing again frees no record in flight and moves no partition (MEMBER-SUBSCRIBE-4)."""
    core.topic("news", 3)
    core.fill("news", 3, 1)
    core.join("g", "c", "news")
    core.join("g", "d", "news")
    core.poll("c")
    before = core.picture()
    for name in ("c", "d"):
        core.subscribe(name, "news", "news")
    assert core.picture() == before


def test_subscriptions_add_up(core: Core) -> None:
    """Earlier subscriptions stay (MEMBER-SUBSCRIBE-1)."""
    for topic in ("a", "b", "c"):
        core.topic(topic)
        core.publish(topic, topic)
    core.join("g", "m", "a")
    core.subscribe("m", "c", "b")
    assert sorted(texts(core.drain("m"))) == ["a", "b", "c"]
    core.unsubscribe("m", "a", "b")
    assert core.group("g")["members"] == [{"consumer_name": "m", "topics": ["c"]}]


@pytest.mark.parametrize("how", ["unsubscribe", "unregister", "evict"])
def test_offsets_outlive_members(core: Core, how: str) -> None:
    """Committed offsets stay when the last member leaves (MEMBER-UNSUBSCRIBE-4, DELIVER-2)."""
    core.topic("news", 2)
    core.fill("news", 2, 3)
    core.join("g", "c", "news")
    core.acknowledge("c", core.poll("c"))
    held = core.poll("c")
    if how == "unsubscribe":
        core.unsubscribe("c", "news")
        assert core.poll("c") is None
        assert core.acknowledge("c", held).status == 409
    elif how == "unregister":
        core.do("/consumer/unregister-consumer", consumer_name="c")
    else:
        core.pass_time(30)
    assert core.owners("g", "news") == [None, None]
    assert core.committed("g") == [1, 0]
    core.join("g", "d", "news")
    records = core.drain("d")
    assert texts(records) == ["P0-1", "P1-0"]
    assert [record["redelivered"] for record in records] == [False, True]


def test_unsubscribing_from_what_one_does_not_follow(core: Core) -> None:
    """Unsubscribing from a topic without a subscription is ignored, and changes no assignment."""
    core.topic("news")
    core.topic("other")
    core.join("g", "c", "news")
    core.join("g", "d", "other")
    before = core.picture()
    core.unsubscribe("c", "other")
    assert core.picture() == before


def test_groups_are_isolated(core: Core) -> None:
    """Every group gets every record, whatever other groups do (ISOLATE-1)."""
    core.topic("news", 2)
    core.fill("news", 2, 2)
    core.join("g", "c", "news")
    core.join("h", "e", "news")
    held = core.poll("e")
    while records := core.drain("c"):
        for record in records:
            core.acknowledge("c", record)
    core.do("/consumer-group/remove", consumer_group_name="g")
    assert core.acknowledge("e", held).status == 202
    assert texts(core.drain("e")) == ["P1-0", "P0-1"]


def test_topics_are_isolated(core: Core) -> None:
    """A topic that is full or all in flight does not block others (ISOLATE-2)."""
    core.topic("a", 2)
    core.do("/topic/add-topic", topicName="b", partitions=1, partition_bytes=1)
    core.publish("b", "x")
    assert core.ask("/publish/b", messageID=1, message="y").status == 507
    core.fill("a", 2, 1)
    core.join("g", "c", "a", "b")
    assert sorted(texts(core.drain("c"))) == ["P0-0", "P1-0", "x"]
    core.publish("b", "")
    assert core.poll("c") is None
