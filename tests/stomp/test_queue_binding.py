"""Operations by SEND, replies and producer acknowledgements (QSTOMP, PUB-ACK, PUB-RECEIPT, POLL-WAIT)."""

import pytest

from reference_server.stomp import StompLimits
from tests.stomp.peers import Acknowledgement, Broker, Outcome, Peer

REPLIES = "/user/queue/replies"


def caller(broker: Broker, version: str = "1.2") -> Peer:
    peer = broker.connect(version)
    peer.send("SUBSCRIBE", {"id": "replies", "destination": REPLIES})
    return peer


def test_replies(broker: Broker) -> None:
    """A reply has status, correlation-id and body, and goes only to the session that asked.

    QSTOMP-REPLY-1, -2.
    """
    peer, other = caller(broker), caller(broker)
    peer.send("SEND", {"destination": "/producer/publish/t", "correlation-id": r"a\c1"}, b"{}")
    reply = peer.one("MESSAGE")
    assert (reply["status"], reply["correlation-id"], reply["destination"]) == ("200", "a:1", REPLIES)
    assert (reply["content-type"], reply.body) == ("application/json", b'{"offset":0}')
    assert other.frames() == []
    assert broker.operations.performed == [("/producer/publish/t", b"{}")]


def test_a_reply_without_body(broker: Broker) -> None:
    """A reply without a body has no content-type; a request without correlation-id gets a reply without one."""
    peer = caller(broker)
    peer.send("SEND", {"destination": "/consumer/poll"}, b"{}")
    reply = peer.one("MESSAGE")
    assert (reply["status"], reply.body) == ("204", b"")
    assert not {"content-type", "correlation-id"} & set(reply.headers)


def test_receipt_of_an_operation(broker: Broker) -> None:
    """A successful operation gets its RECEIPT, after reply and acknowledgement.

    QSTOMP-RECEIPT-1, PUB-RECEIPT-1.
    """
    peer = caller(broker)
    peer.send("SUBSCRIBE", {"id": "acks", "destination": "/topic/acknowledgment/t"})
    peer.send("SEND", {"destination": "/producer/publish/t", "receipt": "r"}, b"{}")
    assert [frame.headers.get("subscription", frame.command) for frame in peer.frames()] == [
        "replies",
        "acks",
        "RECEIPT",
    ]


@pytest.mark.parametrize("destination", ["/topic/add-topic", "/producer/publish/missing"])
def test_a_refused_operation_with_receipt(broker: Broker, destination: str) -> None:
    """A refused operation gets its reply, then ERROR with the receipt-id (QSTOMP-RECEIPT-2, PUB-RECEIPT-2)."""
    peer = caller(broker)
    peer.send("SEND", {"destination": destination, "receipt": "r"}, b"{}")
    reply, error = peer.frames()
    assert reply["status"][0] == "4"
    assert reply["content-type"] == "application/problem+json"
    assert (error.command, error["receipt-id"]) == ("ERROR", "r")
    assert error["status"] == reply["status"]
    assert peer.session.closing


@pytest.mark.parametrize("subscribed", [True, False])
def test_a_refused_operation_without_receipt(broker: Broker, *, subscribed: bool) -> None:
    """A refused operation gets its reply if there is a subscription, else nothing, and the session goes on.

    QSTOMP-QUIET-1.
    """
    peer = caller(broker) if subscribed else broker.connect()
    peer.send("SEND", {"destination": "/topic/add-topic"}, b"{}")
    assert [frame["status"] for frame in peer.frames()] == (["409"] if subscribed else [])
    peer.send("BEGIN", {"transaction": "t", "receipt": "r"})
    peer.one("RECEIPT")


def test_producer_acknowledgements(broker: Broker) -> None:
    """Each subscription of either spelling gets one acknowledgement, of its own topic (PUB-ACK-1, -2, -3, -4, -7)."""
    listeners = []
    for destination in (
        "/topic/acknowledgment/t",
        "/topic/acknowledgement/t",
        "/topic/acknowledgment/missing",
        "/topic/acknowledgment/u",
    ):
        listener = broker.connect()
        listener.send("SUBSCRIBE", {"id": "1", "destination": destination})
        listeners.append((listener, destination))
    producer = broker.connect()
    producer.send("SEND", {"destination": "/producer/publish/t"}, b"{}")
    producer.send("SEND", {"destination": "/producer/publish/missing"}, b"{}")
    got = []
    for listener, destination in listeners:
        frames = listener.frames()
        assert all(frame["destination"] == destination for frame in frames)
        assert all(frame["content-type"] == "application/json" for frame in frames)
        got.append([frame.body for frame in frames])
    assert got == [[b'{"ACK":1}'], [b'{"ACK":1}'], [b'{"acknowledgementMessage":"FAILED"}'], []]


def test_acknowledgements_of_other_bindings(broker: Broker) -> None:
    """A record that is published over HTTP is acknowledged over STOMP too (PUB-ACK-8)."""
    listener = broker.connect()
    listener.send("SUBSCRIBE", {"id": "1", "destination": "/topic/acknowledgement/t"})
    broker.hub.router.binding.acknowledge_producer(Acknowledgement("t", b"{}"))
    assert listener.bodies() == [b"{}"]


def test_a_subscription_to_an_operation_is_silent(broker: Broker) -> None:
    """A SUBSCRIBE to the path of an operation succeeds, and no message comes."""
    peer = broker.connect()
    destination = "/producer/publish/t"
    peer.send("SUBSCRIBE", {"id": "1", "destination": destination, "receipt": "r"})
    peer.one("RECEIPT")
    peer.send("SEND", {"destination": destination}, b"{}")
    peer.send("UNSUBSCRIBE", {"id": "1", "receipt": "r"})
    peer.one("RECEIPT")


def poll(peer: Peer, wait: float = 5, **headers: str) -> None:
    peer.send("SEND", {"destination": "/consumer/poll", **headers}, b'{"wait_seconds":%g}' % wait)


def test_a_long_poll_is_answered_when_there_is_something(broker: Broker) -> None:
    """Reply and receipt of a long poll come with the record; the session is served meanwhile.

    POLL-WAIT-1, POLL-WAIT-3.
    """
    peer = caller(broker)
    poll(peer, receipt="r", **{"correlation-id": "c"})
    assert peer.frames() == []
    peer.send("BEGIN", {"transaction": "t", "receipt": "other"})
    assert peer.one("RECEIPT")["receipt-id"] == "other"
    (waiter,) = broker.operations.parked
    broker.operations.parked.clear()
    broker.operations.ready = [(waiter, Outcome(200, b"{}")), ("http", Outcome(204))]
    assert [who for who, _ in broker.hub.operations_answered(broker.now)] == ["http"]
    reply, receipt = peer.frames()
    assert (reply["status"], reply["correlation-id"], receipt["receipt-id"]) == ("200", "c", "r")
    broker.pass_time(10)
    assert peer.frames() == []


def test_a_long_poll_ends_empty(broker: Broker) -> None:
    """A long poll is answered as empty at its deadline, not earlier (POLL-WAIT-2)."""
    peer = caller(broker)
    poll(peer, 5)
    poll(peer, 2, receipt="r")
    broker.pass_time(1.9)
    assert peer.frames() == []
    broker.pass_time(0.2)
    assert [frame.headers.get("status", frame.command) for frame in peer.frames()] == ["204", "RECEIPT"]
    broker.pass_time(2.8)
    assert peer.frames() == []
    broker.pass_time(0.2)
    assert peer.one("MESSAGE")["status"] == "204"


def test_a_late_refusal(broker: Broker) -> None:
    """A long poll whose consumer is removed is refused like other operations."""
    peer = caller(broker)
    poll(peer, receipt="r")
    (waiter,) = broker.operations.parked
    broker.operations.ready = [(waiter, Outcome(404, b"{}", "application/problem+json"))]
    broker.hub.operations_answered(broker.now)
    assert [frame.headers.get("status") for frame in peer.frames()] == ["404", "404"]
    assert peer.session.closing


def test_long_polls_end_with_their_session(broker: Broker) -> None:
    """A lost connection leaves no parked long poll."""
    peer = caller(broker)
    poll(peer)
    peer.session.lost(broker.now)
    assert broker.operations.parked == {}
    broker.pass_time(10)


def test_long_polls_are_bounded() -> None:
    """A long poll beyond the bound is answered at once."""
    broker = Broker(StompLimits(long_polls=2))
    peer = caller(broker)
    for _ in range(3):
        poll(peer)
    assert peer.one("MESSAGE")["status"] == "204"
    assert len(broker.operations.parked) == 2


def test_operations_are_not_transacted(broker: Broker) -> None:
    """An operation cannot be undone, so it is refused in a transaction (STOMP-TX-003)."""
    peer = broker.connect()
    peer.send("BEGIN", {"transaction": "t"})
    peer.send("SEND", {"destination": "/producer/publish/t", "transaction": "t", "receipt": "r"}, b"{}")
    peer.refused(receipt="r")
    assert broker.operations.performed == []
