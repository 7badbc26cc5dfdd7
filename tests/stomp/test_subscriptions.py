"""SUBSCRIBE, UNSUBSCRIBE, ACK and NACK (STOMP-SUB, STOMP-UNSUB, STOMP-ACK, STOMP-NACK)."""

import pytest

from reference_server.stomp import StompLimits
from tests.stomp.peers import Broker, Peer, Received

VERSIONS = ("1.0", "1.1", "1.2")


def subscribed(broker: Broker, mode: str, version: str = "1.2", name: str = "/queue/a") -> Peer:
    peer = broker.connect(version)
    peer.send("SUBSCRIBE", {"id": "s", "destination": name, "ack": mode})
    return peer


def settle(peer: Peer, command: str, message: Received, **more: str) -> None:
    """ACK or NACK a message in the form of the peer's version."""
    if peer.version == "1.2":
        headers = {"id": message["ack"]}
    else:
        headers = {"message-id": message["message-id"]}
        if peer.version == "1.1":
            headers["subscription"] = message["subscription"]
    peer.send(command, {**headers, **more})


def publish(broker: Broker, count: int, destination: str = "/queue/a") -> None:
    producer = broker.connect()
    for number in range(count):
        producer.send("SEND", {"destination": destination}, b"%d" % number)


def left(broker: Broker, destination: str = "/queue/a") -> list[tuple[bytes, bool]]:
    """Take the remaining messages of a queue: each body, and its redelivered mark."""
    peer = broker.connect()
    peer.send("SUBSCRIBE", {"id": "rest", "destination": destination})
    peer.send("DISCONNECT")
    return [(frame.body, "redelivered" in frame.headers) for frame in peer.frames()]


@pytest.mark.parametrize(
    "headers", [{"destination": "/queue/a"}, {"id": "1"}, {"id": "1", "destination": "/x"}]
)
@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_subscriptions_that_cannot_be_made(broker: Broker, version: str, headers: dict[str, str]) -> None:
    """Missing or unusable headers of SUBSCRIBE get ERROR (STOMP-SUB-002, -003, -004; QSTOMP-DEST-1)."""
    peer = broker.connect(version)
    peer.send("SUBSCRIBE", {**headers, "receipt": "r"})
    peer.refused(receipt="r")


def test_1_0_subscribes_without_id(broker: Broker) -> None:
    """In 1.0 the id is optional, and then the destination names the subscription.

    STOMP-SUB-003, STOMP-UNSUB-002.
    """
    peer = broker.connect("1.0")
    peer.send("SUBSCRIBE", {"destination": "/queue/a"})
    publish(broker, 1)
    assert "subscription" not in peer.one("MESSAGE").headers
    peer.send("UNSUBSCRIBE", {"destination": "/queue/a"})
    publish(broker, 1)
    assert peer.frames() == []


def test_1_0_unsubscribes_by_destination_or_id(broker: Broker) -> None:
    """A 1.0 subscription with an id can be ended by either (STOMP-UNSUB-001)."""
    for headers in ({"id": "s"}, {"destination": "/queue/a"}):
        peer = subscribed(broker, "auto", "1.0")
        peer.send("UNSUBSCRIBE", {**headers, "receipt": "r"})
        assert peer.one("RECEIPT")["receipt-id"] == "r"


@pytest.mark.parametrize("version", VERSIONS)
def test_an_id_in_use(broker: Broker, version: str) -> None:
    """An id names one subscription of a connection, and may be used on others.

    STOMP-SUB-005, STOMP-SUB-006.
    """
    subscribed(broker, "auto", version)
    peer = subscribed(broker, "auto", version)
    peer.send("SUBSCRIBE", {"id": "s", "destination": "/queue/b", "receipt": "r"})
    peer.refused(receipt="r")


@pytest.mark.parametrize(
    ("version", "mode"), [("1.0", "client-individual"), ("1.1", "Auto"), ("1.2", "bogus"), ("1.2", "")]
)
def test_unknown_modes(broker: Broker, version: str, mode: str) -> None:
    """Modes that the version does not define are refused (STOMP-SUB-007)."""
    subscribed(broker, mode, version).refused()


def test_auto_is_the_default(broker: Broker) -> None:
    """Without ack, and with auto, messages are consumed when sent (STOMP-SUB-007, STOMP-SUB-008)."""
    for headers in ({}, {"ack": "auto"}):
        peer = broker.connect()
        peer.send("SUBSCRIBE", {"id": "s", "destination": "/queue/a", **headers})
        publish(broker, 2)
        assert [("ack" in frame.headers) for frame in peer.frames()] == [False, False]
        peer.session.lost(broker.now)
        assert left(broker) == []


@pytest.mark.parametrize(
    ("version", "mode", "rest"),
    [
        *((version, "client", [b"3", b"4"]) for version in VERSIONS),
        *((version, "client-individual", [b"0", b"1", b"3", b"4"]) for version in ("1.1", "1.2")),
    ],
)
def test_what_one_ack_covers(broker: Broker, version: str, mode: str, rest: list[bytes]) -> None:
    """In client mode ACK covers all earlier messages, in client-individual mode one.

    STOMP-SUB-010, -012; STOMP-ACK-001.
    """
    peer = subscribed(broker, mode, version)
    publish(broker, 5)
    settle(peer, "ACK", peer.frames()[2], receipt="r")
    peer.one("RECEIPT")
    peer.session.lost(broker.now)
    assert left(broker) == [(body, True) for body in rest]


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize(("mode", "again"), [("client", [b"0", b"1", b"2"]), ("client-individual", [b"2"])])
def test_what_one_nack_covers(broker: Broker, version: str, mode: str, again: list[bytes]) -> None:
    """NACK returns the message, in client mode the earlier ones too, to be delivered again.

    STOMP-NACK-001 to -003.
    """
    peer = subscribed(broker, mode, version)
    publish(broker, 4)
    settle(peer, "NACK", peer.frames()[2], receipt="r")
    *messages, receipt = peer.frames()
    assert receipt["receipt-id"] == "r"
    assert [(message.body, message["redelivered"]) for message in messages] == [
        (body, "true") for body in again
    ]


def test_nack_prefers_another_consumer(broker: Broker) -> None:
    """A refused message goes to the next subscriber in turn (STOMP-NACK-001)."""
    one, other = subscribed(broker, "client-individual"), subscribed(broker, "client-individual")
    publish(broker, 1)
    settle(one, "NACK", one.one("MESSAGE"))
    assert other.one("MESSAGE")["redelivered"] == "true"
    assert one.frames() == []


def test_ack_reaches_no_other_subscription(broker: Broker) -> None:
    """A cumulative ACK covers one subscription only (STOMP-SUB-011)."""
    peer = broker.connect()
    for name in ("a", "b"):
        peer.send("SUBSCRIBE", {"id": name, "destination": f"/queue/{name}", "ack": "client"})
    publish(broker, 1, "/queue/a")
    publish(broker, 1, "/queue/b")
    first, second = peer.frames()
    settle(peer, "ACK", second)
    settle(peer, "ACK", first, receipt="r")
    peer.one("RECEIPT")


@pytest.mark.parametrize("command", ["ACK", "NACK"])
@pytest.mark.parametrize(
    ("version", "headers"),
    [
        ("1.1", {}),
        ("1.1", {"message-id": "1"}),
        ("1.1", {"subscription": "s"}),
        ("1.1", {"subscription": "s", "message-id": "999"}),
        ("1.1", {"subscription": "other", "message-id": "1"}),
        ("1.2", {}),
        ("1.2", {"id": "999"}),
        ("1.2", {"id": ""}),
        ("1.2", {"message-id": "1", "subscription": "s"}),
        ("1.2", {"id": "\u0663"}),
        ("1.0", {}),
        ("1.0", {"message-id": "999"}),
    ],
)
def test_ack_that_names_nothing(broker: Broker, command: str, version: str, headers: dict[str, str]) -> None:
    """ACK without its headers, or of an unknown message, settles nothing.

    STOMP-ACK-003, STOMP-ACK-004, STOMP-ACK-009.
    """
    peer = subscribed(broker, "client", version)
    publish(broker, 3)
    peer.frames()
    peer.send(command, {**headers, "receipt": "r"})
    peer.refused(receipt="r")
    assert left(broker) == [(b"0", True), (b"1", True), (b"2", True)]


def test_1_0_has_no_nack(broker: Broker) -> None:
    """NACK is an unknown command in 1.0 (STOMP-NEG-002, STOMP-CMD-001)."""
    peer = subscribed(broker, "client", "1.0")
    publish(broker, 1)
    settle(peer, "NACK", peer.one("MESSAGE"))
    assert "unknown command" in peer.refused()["message"]


def test_an_ack_of_another_connection(broker: Broker) -> None:
    """A delivery on one connection cannot be settled on another (STOMP-ACK-004)."""
    holder, thief = subscribed(broker, "client"), subscribed(broker, "client")
    publish(broker, 2)
    message = holder.one("MESSAGE")
    thief.one("MESSAGE")
    settle(thief, "ACK", message)
    thief.refused()
    settle(holder, "ACK", message, receipt="r")
    assert holder.frames()[-1].command == "RECEIPT"


def test_a_second_ack(broker: Broker) -> None:
    """A message that is settled cannot be settled again (STOMP-ACK-005)."""
    peer = subscribed(broker, "client")
    publish(broker, 1)
    message = peer.one("MESSAGE")
    settle(peer, "ACK", message)
    settle(peer, "ACK", message, receipt="r")
    peer.refused(receipt="r")


def test_ack_in_auto_mode(broker: Broker) -> None:
    """In auto mode no message can be settled (STOMP-ACK-007)."""
    peer = subscribed(broker, "auto", "1.1")
    publish(broker, 1)
    settle(peer, "ACK", peer.one("MESSAGE"))
    peer.refused()


def test_1_2_needs_no_subscription_header(broker: Broker) -> None:
    """A further header on a 1.2 ACK is harmless, and ack values are unique.

    STOMP-ACK-002, -008; STOMP-MESSAGE-004.
    """
    peer = subscribed(broker, "client-individual")
    publish(broker, 2)
    first, second = peer.frames()
    assert first["ack"] != second["ack"]
    settle(peer, "ACK", first, subscription="nonsense", receipt="r")
    peer.one("RECEIPT")


@pytest.mark.parametrize("ending", ["cut", "DISCONNECT", "UNSUBSCRIBE", "ERROR"])
def test_what_is_not_settled_returns_in_order(broker: Broker, ending: str) -> None:
    """Unsettled messages return to their place, however their subscription ends.

    STOMP-SUB-009, STOMP-UNSUB-005.
    """
    one, other = subscribed(broker, "client-individual"), subscribed(broker, "client-individual")
    publish(broker, 8)
    mine, others = one.frames(), other.frames()
    settle(one, "ACK", mine[1])
    settle(other, "ACK", others[0])
    if ending == "cut":
        one.session.lost(broker.now)
    else:
        one.send({"ERROR": "BOGUS"}.get(ending, ending), {"id": "s"})
    assert [frame.body for frame in other.frames()] == [b"0", b"4", b"6"]
    other.session.lost(broker.now)
    assert [body for body, _ in left(broker)] == [b"0", b"3", b"4", b"5", b"6", b"7"]


def test_returned_messages_come_before_waiting_ones() -> None:
    """Returned messages are older than waiting ones, and are delivered before them."""
    broker = Broker(StompLimits(unacknowledged=2))
    one = subscribed(broker, "client")
    publish(broker, 5)
    assert one.bodies() == [b"0", b"1"]
    one.session.lost(broker.now)
    assert left(broker) == [(b"0", True), (b"1", True), (b"2", False), (b"3", False), (b"4", False)]


def test_unsettled_messages_are_bounded_on_queues() -> None:
    """A queue waits while a connection has too many unsettled messages, and goes on when some are settled."""
    broker = Broker(StompLimits(unacknowledged=3))
    peer = subscribed(broker, "client-individual")
    publish(broker, 10)
    got = []
    for _ in range(10):
        messages = peer.frames()
        assert 0 < len(messages) <= 3
        got += [message.body for message in messages]
        for message in messages:
            settle(peer, "ACK", message)
        if len(got) == 10:
            break
    assert got == [b"%d" % number for number in range(10)]


def test_unsettled_messages_are_bounded_on_topics() -> None:
    """A topic cannot wait: a subscriber with too many unsettled messages is cut off with an ERROR, others are not."""
    broker = Broker(StompLimits(unacknowledged=3))
    lazy, other = subscribed(broker, "client", name="/topic/a"), subscribed(broker, "auto", name="/topic/a")
    publish(broker, 10, "/topic/a")
    assert len(other.bodies()) == 10
    lazy.refused()


def test_nack_on_a_topic_drops(broker: Broker) -> None:
    """A NACK of a topic's message settles it (STOMP-NACK-001)."""
    peer = subscribed(broker, "client", name="/topic/a")
    publish(broker, 1, "/topic/a")
    settle(peer, "NACK", peer.one("MESSAGE"), receipt="r")
    peer.one("RECEIPT")


def test_unsubscribe(broker: Broker) -> None:
    """After UNSUBSCRIBE no message comes, and the id is free (STOMP-UNSUB-001, STOMP-UNSUB-004)."""
    peer = subscribed(broker, "auto")
    peer.send("UNSUBSCRIBE", {"id": "s", "receipt": "r"})
    publish(broker, 1)
    peer.one("RECEIPT")
    peer.send("SUBSCRIBE", {"id": "s", "destination": "/queue/a"})
    assert peer.bodies() == [b"0"]


@pytest.mark.parametrize("headers", [{}, {"id": "x"}, {"destination": "/queue/a"}])
@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_unsubscribe_of_nothing(broker: Broker, version: str, headers: dict[str, str]) -> None:
    """UNSUBSCRIBE must name a current subscription by id (STOMP-UNSUB-002, STOMP-UNSUB-003)."""
    peer = subscribed(broker, "auto", version)
    peer.send("UNSUBSCRIBE", {**headers, "receipt": "r"})
    peer.refused(receipt="r")


def test_too_many_subscriptions() -> None:
    """The subscriptions of a connection are bounded."""
    peer = Broker(StompLimits(subscriptions=2)).connect()
    for number in range(3):
        assert not peer.session.closing
        peer.send("SUBSCRIBE", {"id": str(number), "destination": "/queue/a"})
    peer.refused()
