"""Introspection: placement, end offsets, members, assignment, committed offsets, lag."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reference_server.queue import introspection
from tests.queue_core.core import Core, read

if TYPE_CHECKING:
    from reference_server.queue.topic import Topic


def test_topics(core: Core) -> None:
    """The list of topics, and one topic (INTRO-TOPICS-1, INTRO-TOPIC-1)."""
    core.topic("a", 2)
    core.topic("b", 1)
    core.publish("a")
    listed = read(core.operations.read("/topics", now=core.now))
    assert listed.status == 200
    assert [topic["topicName"] for topic in listed.body["topics"]] == ["a", "b"]
    one = read(core.operations.read("/topics/a", now=core.now)).body
    assert one == listed.body["topics"][0]
    assert [row["endOffset"] for row in one["partitions"]] == [1, 0]


def test_topics_are_listed_as_they_are_now(core: Core) -> None:
    """Topics that were listed before are listed with their new state (INTRO-TOPICS-1)."""
    core.topic("a", 2)
    core.topic("b", 1)
    for ends in ([1, 0], [1, 1], [2, 1]):
        core.publish("a")
        listed = read(core.operations.read("/topics", now=core.now)).body["topics"]
        assert [row["endOffset"] for row in listed[0]["partitions"]] == ends
        assert listed[0] == read(core.operations.read("/topics/a", now=core.now)).body
        assert [row["endOffset"] for row in listed[1]["partitions"]] == [0]


def test_a_topic_that_did_not_change_is_not_described_again(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unchanged topics are not encoded again: the lock is held while very many topics are listed."""
    described: list[str] = []

    def describe_topic(topic: Topic) -> dict[str, object]:
        described.append(topic.name)
        return {"topicName": topic.name}

    monkeypatch.setattr(introspection, "describe_topic", describe_topic)
    for name in ("a", "b", "c"):
        core.topic(name, 1)
    core.operations.read("/topics", now=core.now)
    described.clear()
    core.publish("b")
    core.operations.read("/topics", now=core.now)
    assert described == ["b"]


def test_a_group(core: Core) -> None:
    """Members of a group, and its offsets in each partition (INTRO-GROUP-1)."""
    core.topic("news", 2)
    core.fill("news", 2, 2)
    core.join("g", "c", "news")
    core.join("g", "d")
    core.acknowledge("c", core.poll("c"))
    record = core.poll("c")
    body = core.group("g")
    assert body["consumer_group_name"] == "g"
    assert body["members"] == [
        {"consumer_name": "c", "topics": ["news"]},
        {"consumer_name": "d", "topics": []},
    ]
    common = {"topicName": "news", "consumer_name": "c", "endOffset": 2}
    assert body["assignment"] == [
        common | {"partition": 0, "committed": 1, "lag": 1, "inFlight": None},
        common | {"partition": 1, "committed": 0, "lag": 2, "inFlight": record["messageId"]},
    ]


@pytest.mark.parametrize(
    "path", ["/topics/x", "/consumer-groups/x", "/topics/", "/nothing", "/consumer-groups/"]
)
def test_what_is_not_there(core: Core, path: str) -> None:
    """Unknown topics and groups get 404 (INTRO-UNKNOWN-1)."""
    assert core.operations.read(path, now=core.now).status == 404


def test_reading_is_no_sign_of_life(core: Core) -> None:
    """Reading a group is no sign of life, and evicts consumers that are due before the members are listed."""
    core.join("g", "c")
    core.pass_time(29)
    core.group("g")
    core.pass_time(2)
    assert core.group("g")["members"] == []
