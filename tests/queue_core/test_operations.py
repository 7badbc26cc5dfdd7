"""The table of operations: the successful reply of each row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.queue_core.core import Core

PATHS = [
    "/topic/add-topic",
    "/addTopic",
    "/producer/publish/{topic}",
    "/publish/{topic}",
    "/consumer-group/add",
    "/consumer-group/remove",
    "/consumer/register-consumer",
    "/consumer/unregister-consumer",
    "/consumer/subscribe-topic",
    "/consumer/unsubscribe-topic",
    "/consumer/poll",
    "/consumer/acknowledgement",
    "/consumer/negative-acknowledgement",
    "/consumer/heartbeat",
]


@pytest.mark.parametrize("path", PATHS)
def test_every_row_is_an_operation(core: Core, path: str) -> None:
    """`serves` is true for all paths of the table, for any body."""
    assert core.operations.is_operation(path.format(topic="news"))
    assert core.raw(path.format(topic="news"), b"").body["type"] != "urn:stompliance:problem:path-unknown"


@pytest.mark.parametrize("path", ["", "/", "/topic", "/topic/add-topic/", "/consumer/Poll", "/producer"])
def test_other_paths(core: Core, path: str) -> None:
    """Other paths are refused."""
    assert not core.operations.is_operation(path)
    reply = core.ask(path)
    assert (reply.status, reply.cause) == (404, "path-unknown")


@pytest.mark.parametrize("path", ["/topic/add-topic", "/addTopic"])
def test_add_topic(core: Core, path: str) -> None:
    """Both spellings add a topic and describe it (TOPIC-ADD-1, TOPIC-ALIAS-1, PART-NAME-1, PART-PLACE-1)."""
    reply = core.ask(path, topicName="news", partitions=5)
    assert reply.status == 200
    assert reply.body["topicName"] == "news"
    rows = [(p["partition"], p["name"], p["broker"], p["endOffset"]) for p in reply.body["partitions"]]
    assert rows == [(i, f"news-P{i}", f"broker{i % 3}", 0) for i in range(5)]
    assert core.ask("/topic/add-topic", topicName="news").status == 409


def test_the_number_of_partitions(core: Core) -> None:
    """A topic without `partitions` has the default number (PART-COUNT-1)."""
    assert len(core.do("/topic/add-topic", topicName="default")["partitions"]) == core.settings.partitions
    for count in (1, 2, 9, core.settings.topic_partitions):
        body = core.do("/topic/add-topic", topicName=f"t{count}", partitions=count)
        assert len(body["partitions"]) == count


@pytest.mark.parametrize("path", ["/producer/publish/news", "/publish/news"])
@pytest.mark.parametrize("label", ["a-1", "", 1700000000, -(2**63), 2**63 - 1])
def test_publish(core: Core, path: str, label: str | int) -> None:
    """Both spellings store a record and acknowledge its label (PUB-STORE-1, PUB-ALIAS-1, PUB-ACK-6)."""
    core.topic("news", 2)
    reply = core.ask(path, messageID=label, message="1:0")
    assert (reply.status, reply.body) == (200, {"topicName": "news", "partition": 0, "offset": 0})
    acknowledgement = reply.outcome.acknowledgement
    assert acknowledgement is not None
    assert acknowledgement.topic == "news"
    told = json.loads(acknowledgement.body)
    assert told == {"messageId": label, "acknowledgementMessage": "ACK"}
    assert type(told["messageId"]) is type(label)


def test_labels_may_repeat(core: Core) -> None:
    """A repeated label makes another record (PUB-LABEL-1)."""
    core.topic("news")
    for offset in range(3):
        assert core.do("/publish/news", messageID=7, message="m")["offset"] == offset


@pytest.mark.parametrize("key", ["k", "", None, "é", "\0", "k" * 1000])
@pytest.mark.parametrize("text", ["", "text", 'tab\t line\n nul\0 quote"\\', "日本 🎈", " {} "])
def test_texts_come_as_they_went(core: Core, key: str | None, text: str) -> None:
    """Message and key are delivered exactly (PUB-TEXT-1, PUB-KEY-1)."""
    core.topic("news", 3)
    core.join("g", "c", "news")
    core.do("/publish/news", messageID="1", message=text, key=key)
    content = core.poll("c")["message"]
    assert (content["message"], content["key"]) == (text, key)


@pytest.mark.parametrize("timestamp", [0, -5, 1700000000000, 1.5, "yesterday", 2**63 - 1, ""])
def test_timestamps_come_as_they_went(core: Core, timestamp: object) -> None:
    """A timestamp is delivered unchanged (PUB-TIME-1)."""
    core.topic("news")
    core.join("g", "c", "news")
    core.do("/publish/news", messageID="1", message="m", timestamp=timestamp)
    assert core.poll("c")["message"]["timestamp"] == timestamp


@pytest.mark.parametrize("members", [{}, {"timestamp": None}])
def test_a_record_without_timestamp_gets_one(core: Core, members: dict[str, object]) -> None:
    """A record without a timestamp gets the server's time in milliseconds (PUB-TIME-1)."""
    core.topic("news")
    core.join("g", "c", "news")
    core.do("/publish/news", messageID="1", message="m", **members)
    assert core.poll("c")["message"]["timestamp"] == core.now * 1000


def test_a_delivered_record(core: Core) -> None:
    """Members of a delivered record (POLL-OK-1, POLL-REDELIVERED-1, PUB-POSITION-1)."""
    core.topic("news", 2)
    core.join("g", "c", "news")
    core.do("/publish/news", messageID="a-1", key="sport", message="1:0", timestamp=5)
    reply = core.ask("/consumer/poll", consumer_name="c")
    assert reply.status == 200
    content = {"message": "1:0", "key": "sport", "topicName": "news", "timestamp": 5}
    assert isinstance(reply.body.pop("messageId"), int)
    assert reply.body == {
        "message": content,
        "messageID": "a-1",
        "partition": 0,
        "offset": 0,
        "redelivered": False,
    }


def test_statuses_of_success(core: Core) -> None:
    """Statuses are those of the table, as clients depend on them."""
    core.topic("news")
    group, consumer = {"consumer_group_name": "g"}, {"consumer_name": "c"}
    topics = {**consumer, "topic_list": "news"}
    steps: list[tuple[str, dict[str, str], int]] = [
        ("/consumer-group/add", group, 200),
        ("/consumer-group/add", group, 200),
        ("/consumer/register-consumer", group | consumer, 200),
        ("/consumer/subscribe-topic", topics, 200),
        ("/consumer/subscribe-topic", topics, 200),
        ("/consumer/poll", consumer, 204),
        ("/consumer/heartbeat", consumer, 202),
        ("/consumer/unsubscribe-topic", topics, 202),
        ("/consumer/unregister-consumer", consumer, 202),
        ("/consumer-group/remove", group, 202),
    ]
    for path, members, status in steps:
        assert core.ask(path, **members).status == status, path


@pytest.mark.parametrize("spell", [int, str])
def test_ids_as_numbers_and_as_strings(core: Core, spell: type) -> None:
    """Both spellings of message_id settle a record (ACK-OK-1, ACK-OK-2, NACK-OK-1)."""
    core.topic("news")
    core.join("g", "c", "news")
    core.publish("news")
    for path in ("/consumer/negative-acknowledgement", "/consumer/acknowledgement"):
        record = core.poll("c")
        assert core.ask(path, consumer_name="c", message_id=spell(record["messageId"])).status == 202
    assert core.poll("c") is None


@pytest.mark.parametrize("path", PATHS)
def test_unknown_members_are_ignored(core: Core, path: str) -> None:
    """Unknown members of a request are ignored (REFUSE-4)."""
    core.topic("news")
    core.join("g", "c", "news")
    core.publish("news")
    message_id = core.poll("c")["messageId"]
    known: dict[str, object] = {
        "topicName": "other",
        "messageID": "1",
        "message": "m",
        "consumer_group_name": "g",
        "consumer_name": "d" if "register-c" in path and "un" not in path else "c",
        "topic_list": "news",
        "message_id": message_id,
    }
    reply = core.ask(path.format(topic="news"), **known, future={"x": [1]})
    assert 200 <= reply.status < 300, reply
