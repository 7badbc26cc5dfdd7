"""Publishing over STOMP: records arrive by SEND, and are confirmed only by acknowledgements."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.first_server.clients import ACKNOWLEDGEMENTS, Producer, Queue
from tests.first_server.partitions import PARTITIONS, partition_of
from tests.server.wire import CLOSE, TEXT, frame, stomp_frame

if TYPE_CHECKING:
    from tests.first_server.conftest import Process, Serve


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_a_session_that_connects(server: Process, version: str) -> None:
    """CONNECT is answered by CONNECTED, and records are acknowledged as in a session without it."""
    with Queue.to(server) as queue, Producer.to(server, "/producer") as producer:
        queue.topic("a:b")
        assert producer.connect(version)["version"] == version
        producer.topic = "a:b"
        spelt = "a:b" if version == "1.0" else "a\\cb"
        producer.say("SUBSCRIBE", {"id": "acks", "destination": ACKNOWLEDGEMENTS + spelt})
        body = json.dumps({"messageID": 7, "message": "m"}).encode()
        producer.say("SEND", {"destination": f"/publish/{spelt}", "content-length": str(len(body))}, body)
        assert producer.told() == {"messageId": 7, "acknowledgementMessage": "ACK"}


def test_frames_of_stomper(server: Process) -> None:
    """A line end behind the NUL, several frames in a message, a frame in several, a DISCONNECT without empty line."""
    with Queue.to(server) as queue, Producer.of(server, "t") as producer:
        queue.topic("t")
        octets = (
            stomp_frame("SEND", {"destination": "/publish/t"}, b'{"messageID": "1", "message": "m"}') + b"\n"
        )
        producer.send(frame(TEXT, octets + octets[:20]))
        producer.send(frame(TEXT, octets[20:]))
        assert producer.told() == producer.told() == {"messageId": "1", "acknowledgementMessage": "ACK"}
        producer.send(frame(TEXT, b"DISCONNECT\nreceipt:77\n\0\n"))
        assert producer.message()[0] == CLOSE


@pytest.mark.parametrize("label", ["a-1", "", 0, -5, 2**63 - 1])
def test_labels_come_back(server: Process, label: str | int) -> None:
    """PUB-ACK-6: acknowledgements keep the value and type of labels."""
    with Queue.to(server) as queue, Producer.of(server, "t") as producer:
        queue.topic("t")
        told = producer.publish("m", messageID=label)["messageId"]
        assert (told, type(told)) == (label, type(label))


@pytest.mark.parametrize(
    ("record", "label"),
    [
        ({"messageID": "1"}, "1"),
        ({"message": "m"}, None),
        ({"messageID": None, "message": "m"}, None),
        ({"messageID": 2**63, "message": "m"}, None),
        ({"messageID": "1", "message": 7}, "1"),
        ({"messageID": "1", "message": "m", "key": 7}, "1"),
        ({"messageID": "1", "message": "m", "timestamp": []}, "1"),
        ({"messageID": "1", "message": "\ud800"}, "1"),
        ([], None),
        (b"x", None),
    ],
)
def test_refused_records(server: Process, record: object, label: str | None) -> None:
    """PUB-ACK-3: a bad record gets one FAILED with a reason, and is not stored."""
    with Queue.to(server) as queue, Producer.of(server, "t") as producer:
        queue.topic("t")
        queue.group("g")
        queue.consumer("g", "alice", "t")
        producer.put(record)
        told = producer.told()
        assert told.pop("reason")
        assert told == {"messageId": label, "acknowledgementMessage": "FAILED"}
        producer.store("m")
        assert queue.drain("alice") == ["m"]


def test_a_topic_that_does_not_exist(server: Process) -> None:
    """PUB-TOPIC-1: an unknown topic leads to FAILED, and is not added."""
    with Queue.to(server) as queue, Producer.of(server, "t") as producer:
        assert producer.publish("m")["acknowledgementMessage"] == "FAILED"
        queue.topic("t")
        producer.store("m")


def test_nothing_but_acknowledgements_is_sent(server: Process) -> None:
    """The server sends no replies, RECEIPT or ERROR, and nothing to the other spelling or to ended subscriptions."""
    with Queue.to(server) as queue, Producer.of(server, "t") as producer:
        queue.topic("t")
        headers: dict[str, Any] = {"receipt": "r", "correlation-id": "c"}
        body = b'{"messageID": "1", "message": "m"}'
        for destination in ("/user/queue/replies", "/topic/acknowledgment/t", "/nowhere"):
            producer.say("SUBSCRIBE", {"id": destination, "destination": destination} | headers)
        producer.say("SUBSCRIBE", {"id": "former", "destination": f"{ACKNOWLEDGEMENTS}t"})
        producer.say("UNSUBSCRIBE", {"id": "former"})
        for destination in ("/producer/publish/t", "/nowhere", "/consumer/heartbeat"):
            producer.say("SEND", {"destination": destination} | headers, body)
        producer.say("BEGIN", {"transaction": "x"} | headers)
        producer.say("SEND", {"destination": "/publish/t"} | headers, body)
        assert producer.told()["acknowledgementMessage"] == "ACK"
        producer.say("SEND", {"destination": "/publish/t"}, b"{}")
        assert producer.told()["acknowledgementMessage"] == "FAILED"
        queue.group("g")
        queue.consumer("g", "alice", "t")
        assert queue.drain("alice") == ["m"]


def test_every_subscription_of_the_topic_is_told_once(server: Process) -> None:
    """PUB-ACK-4 and PUB-ACK-7: two sessions get the acknowledgements of their topic, and no others."""
    with (
        Queue.to(server) as queue,
        Producer.of(server, "t") as first,
        Producer.of(server, "t") as second,
        Producer.of(server, "u") as other,
    ):
        queue.topic("t")
        queue.topic("u")
        # An acknowledgement to each producer shows that its subscription is active.
        for producer in (second, other):
            producer.store("taken")
        assert first.told()["messageId"] == "label"
        first.publish("m", messageID=1)
        assert second.told()["messageId"] == 1
        for producer in (first, second, other):
            producer.put({"messageID": f"last of {producer.topic}"})
        assert other.told()["messageId"] == "last of u"
        assert [first.told()["messageId"], second.told()["messageId"]] == ["last of t"] * 2


def test_the_other_spellings(serve: Serve) -> None:
    """With the options for it, the server has the other spelling of each destination, and only that."""
    server = serve("--publish-at", "producer/publish", "--acknowledge-at", "acknowledgment")
    with Queue.to(server) as queue, Producer.to(server, "/producer") as producer:
        queue.topic("t")
        for spelling in ("acknowledgment", "acknowledgement"):
            producer.say("SUBSCRIBE", {"id": spelling, "destination": f"/topic/{spelling}/t"})
        for number, path in enumerate(("publish", "producer/publish")):
            body = json.dumps({"messageID": number, "message": "m"}).encode()
            producer.say("SEND", {"destination": f"/{path}/t"}, body)
        message = producer.expect("MESSAGE")
        assert message["subscription"] == "acknowledgment"
        assert json.loads(message.body)["messageId"] == 1


def test_partitions(server: Process) -> None:
    """Keys map by their digest, records without a key go round: PART-KEY-2, PART-RR-1."""
    assert partition_of("sport") == 726_999_864 % PARTITIONS
    keys = [f"k{number}" for number in range(12)]
    with Queue.to(server) as queue, Producer.of(server, "t") as producer:
        queue.topic("t")
        queue.group("g")
        queue.consumer("g", "alice", "t")
        for key in keys:
            producer.store(key, key=key)
        first = {key: next(k for k in keys if partition_of(k) == partition_of(key)) for key in keys}
        held = queue.sweep("alice")
        assert sorted(held.values()) == sorted(set(first.values()))
        queue.settle("alice", held)
        queue.drain("alice")
        for no_key in (None, ""):
            producer.store(*(f"m{number}" for number in range(PARTITIONS)), key=no_key)
            held = queue.sweep("alice")
            assert len(held) == PARTITIONS
            queue.settle("alice", held)


def test_awkward_texts(server: Process) -> None:
    """PUB-TEXT-1 and PUB-TIME-1: messages, keys and timestamps are delivered unchanged."""
    with Queue.to(server) as queue, Producer.of(server, "t") as producer:
        queue.topic("t")
        queue.group("g")
        queue.consumer("g", "alice", "t")
        for text in ("", "\0", "näïve\r\n\\c:", "\U0001f600", "x" * 100_000):
            producer.publish(text, text or None, timestamp=1.5)
            answer = queue.ask("/consumer/poll", consumer_name="alice")
            assert answer.json["message"] == {
                "message": text,
                "key": text or None,
                "topicName": "t",
                "timestamp": 1.5,
            }
            assert queue.acknowledge("alice", answer.json["messageId"]) == 202
