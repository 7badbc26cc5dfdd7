"""SEND, plain destinations and MESSAGE (STOMP-SEND, STOMP-MESSAGE, STOMP-CLEN, STOMP-CTYPE, STOMP-BODY)."""

import pytest

from reference_server.stomp import StompLimits
from tests.stomp.peers import Broker


def test_a_queue_gives_each_message_to_one(broker: Broker) -> None:
    """Subscribers of a queue share its messages in turn, in order (STOMP-SEND-002)."""
    consumers = [broker.connect() for _ in range(3)]
    for consumer in consumers:
        consumer.send("SUBSCRIBE", {"id": "1", "destination": "/queue/a"})
    producer = broker.connect()
    for number in range(9):
        producer.send("SEND", {"destination": "/queue/a"}, b"%d" % number)
    assert [consumer.bodies() for consumer in consumers] == [
        [b"%d" % number for number in range(first, 9, 3)] for first in range(3)
    ]


def test_a_queue_keeps_messages(broker: Broker) -> None:
    """Messages without a subscriber wait for the next one, in order."""
    producer = broker.connect()
    for number in range(5):
        producer.send("SEND", {"destination": "/queue/a"}, b"%d" % number)
    consumer = broker.connect()
    consumer.send("SUBSCRIBE", {"id": "1", "destination": "/queue/a"})
    assert consumer.bodies() == [b"0", b"1", b"2", b"3", b"4"]


def test_a_topic_gives_each_message_to_all(broker: Broker) -> None:
    """All present subscribers of a topic get a copy, later ones do not (STOMP-SEND-002, STOMP-SUB-014)."""
    producer = broker.connect()
    producer.send("SEND", {"destination": "/topic/a"}, b"early")
    consumers = [broker.connect(version) for version in ("1.0", "1.1", "1.2")]
    for consumer in consumers:
        consumer.send("SUBSCRIBE", {"id": "1", "destination": "/topic/a"})
    producer.send("SEND", {"destination": "/topic/a"}, b"now")
    assert [consumer.bodies() for consumer in consumers] == [[b"now"]] * 3


def test_two_subscriptions_of_one_connection(broker: Broker) -> None:
    """Each subscription to a topic gets the message under its own id (STOMP-SUB-014, STOMP-MESSAGE-003)."""
    peer = broker.connect()
    for name in ("a", "b"):
        peer.send("SUBSCRIBE", {"id": name, "destination": "/topic/a"})
    peer.send("SEND", {"destination": "/topic/a"}, b"x")
    assert [frame["subscription"] for frame in peer.frames()] == ["a", "b"]


def test_what_a_message_carries(broker: Broker) -> None:
    """User headers and body arrive unchanged; headers that steer the SEND are removed.

    STOMP-SEND-004, -005, -007; STOMP-MESSAGE-001 to -003, -005, -007; STOMP-CLEN-003, -006; STOMP-CTYPE-001.
    """
    peer = broker.connect()
    peer.send("SUBSCRIBE", {"id": r"s\c1", "destination": r"/topic/a\cb"})
    body = "räksmörgås".encode()
    peer.send(
        "SEND",
        {
            "destination": r"/topic/a\cb",
            "content-type": "text/plain;charset=utf-8",
            "empty": "",
            r"n\c": r"a\\b\nc\r",
            "receipt": "7",
            "ack": "forged",
            "subscription": "forged",
            "message-id": "forged",
            "redelivered": "forged",
        },
        body,
    )
    message, receipt = peer.frames()
    assert receipt.command == "RECEIPT"
    assert message.body == body
    assert message.headers == {
        "subscription": "s:1",
        "message-id": message["message-id"],
        "destination": "/topic/a:b",
        "content-length": str(len(body)),
        "content-type": "text/plain;charset=utf-8",
        "empty": "",
        "n:": "a\\b\nc\r",
    }


def test_nothing_is_invented(broker: Broker) -> None:
    """A SEND without content-type leads to a MESSAGE without one (STOMP-CTYPE-001)."""
    peer = broker.connect()
    peer.send("SUBSCRIBE", {"id": "1", "destination": "/topic/a"})
    peer.send("SEND", {"destination": "/topic/a"})
    assert set(peer.one("MESSAGE").headers) == {"subscription", "message-id", "destination", "content-length"}


def test_a_1_0_subscriber_gets_what_1_0_can_say(broker: Broker) -> None:
    """1.0 has no escapes: headers that it cannot express are left out (STOMP-ABNF-003, STOMP-ABNF-004)."""
    old, new = broker.connect("1.0"), broker.connect("1.2")
    old.send("SUBSCRIBE", {"destination": "/topic/a"})
    new.send(
        "SEND", {"destination": "/topic/a", "v": r"a\cb\\", "line": r"a\nb", r"n\c": "x", "empty": ""}, b"x"
    )
    message = old.one("MESSAGE")
    assert message["v"] == "a:b\\"
    assert set(message.headers) == {"message-id", "destination", "content-length", "v"}


def test_message_ids_are_unique(broker: Broker) -> None:
    """No two messages share a message-id, on any destination (STOMP-MESSAGE-002)."""
    peer = broker.connect()
    for name in ("/topic/a", "/queue/a"):
        peer.send("SUBSCRIBE", {"id": name, "destination": name})
    for _ in range(10):
        peer.send("SEND", {"destination": "/topic/a"})
        peer.send("SEND", {"destination": "/queue/a"})
    identifiers = [frame["message-id"] for frame in peer.frames()]
    assert len(set(identifiers)) == 20
    assert not any(":" in identifier for identifier in identifiers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Destination": "/queue/a"},
        {"destination": ""},
        {"destination": "/queue/"},
        {"destination": "/topic/"},
        {"destination": "/nowhere"},
        {"destination": "queue/a"},
        {"destination": "/topic/acknowledgment/t"},
        {"destination": "/topic/acknowledgement/t"},
        {"destination": "/user/queue/replies"},
    ],
)
def test_destinations_that_take_nothing(broker: Broker, headers: dict[str, str]) -> None:
    """A SEND that cannot be processed gets ERROR (STOMP-SEND-001, -003; STOMP-FRAME-008; QSTOMP-DEST-1)."""
    for transaction in ({}, {"transaction": "t"}):
        peer = broker.connect()
        peer.send("BEGIN", {"transaction": "t"})
        peer.send("SEND", {**headers, **transaction, "receipt": "r"}, b"x")
        peer.refused(receipt="r")


@pytest.mark.parametrize(
    "name", ["/queue/a b", "/queue/ä", "/queue//x/../y", "/topic/,;%00", "/queue/" + "n" * 1000]
)
def test_names_are_opaque(broker: Broker, name: str) -> None:
    """Any name may follow the prefix (STOMP-SEND-006)."""
    peer = broker.connect()
    peer.send("SUBSCRIBE", {"id": "1", "destination": name})
    peer.send("SEND", {"destination": name}, b"x")
    assert peer.one("MESSAGE")["destination"] == name


@pytest.mark.parametrize(
    "limits",
    [StompLimits(queue_messages=2), StompLimits(queue_bytes=1300), StompLimits(destinations=0)],
    ids=["messages", "octets", "queues"],
)
def test_a_full_queue_refuses(limits: StompLimits) -> None:
    """A SEND past the bound gets ERROR, and stored messages stay (STOMP-SEND-003)."""
    broker = Broker(limits)
    producer = broker.connect()
    stored = 0
    while not producer.session.closing:
        producer.send("SEND", {"destination": "/queue/a", "receipt": "r"}, b"x")
        stored += 1
        assert stored < 10
    producer.refused(receipt="r")
    if limits.destinations:
        consumer = broker.connect()
        consumer.send("SUBSCRIBE", {"id": "1", "destination": "/queue/a"})
        assert len(consumer.bodies()) == stored - 1 == 2


def test_a_queue_waits_for_a_slow_reader() -> None:
    """A queue hands out no more than the window until that is written; other subscribers go on."""
    broker = Broker(StompLimits(output_window=1000))
    slow, producer = broker.connect(), broker.connect()
    slow.send("SUBSCRIBE", {"id": "1", "destination": "/queue/a"})
    for number in range(100):
        producer.send("SEND", {"destination": "/queue/a"}, b"%d" % number)
    got = slow.bodies()
    assert 1 < len(got) < 20
    assert slow.session.stalled
    quick = broker.connect()
    quick.send("SUBSCRIBE", {"id": "1", "destination": "/queue/a"})
    got_by_other = quick.bodies()
    assert got_by_other
    while slow.session.stalled or quick.session.stalled:
        slow.session.resume()
        quick.session.resume()
        got += slow.bodies()
        got_by_other += quick.bodies()
    assert sorted(map(int, got + got_by_other)) == list(range(100))


def test_a_stall_without_output_is_told() -> None:
    """A session that stalls after all its output was written is in `touched` all the same."""
    broker = Broker(StompLimits(output_window=1000))
    slow, producer = broker.connect(), broker.connect()
    slow.send("SUBSCRIBE", {"id": "1", "destination": "/queue/a"})
    while not slow.session.stalled:
        slow.bodies()
        broker.hub.take_touched()
        producer.send("SEND", {"destination": "/queue/a"}, b"m")
    assert slow.session in broker.hub.take_touched()
    assert slow.bodies() == []


def test_idle_destinations_are_forgotten(broker: Broker) -> None:
    """Queues and topics without messages and subscriptions are removed."""
    peer = broker.connect()
    for kind in ("queue", "topic"):
        for number in range(100):
            destination = f"/{kind}/{number}"
            peer.send("SUBSCRIBE", {"id": "1", "destination": destination, "ack": "client"})
            peer.send("SEND", {"destination": destination}, b"x")
            message = peer.one("MESSAGE")
            peer.send("ACK", {"id": message["ack"]})
            peer.send("UNSUBSCRIBE", {"id": "1"})
    assert broker.hub.router.destinations._queues == {}
    assert broker.hub.router.destinations._topics == {}
