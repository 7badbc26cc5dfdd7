"""BEGIN, COMMIT, ABORT (STOMP-TX, STOMP-ACK-006, STOMP-NACK-004)."""

import pytest

from reference_server.stomp import StompLimits
from tests.stomp.peers import Broker, Peer
from tests.stomp.test_subscriptions import left, publish, settle, subscribed


def begin(broker: Broker, version: str = "1.2") -> Peer:
    peer = broker.connect(version)
    peer.send("BEGIN", {"transaction": "t"})
    return peer


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_sends_wait_for_commit(broker: Broker, version: str) -> None:
    """Messages of a transaction are delivered after COMMIT, in order.

    STOMP-TX-003, STOMP-TX-004.
    """
    consumer = subscribed(broker, "auto")
    peer = begin(broker, version)
    for number in range(3):
        peer.send("SEND", {"destination": "/queue/a", "transaction": "t"}, b"%d" % number)
    assert consumer.bodies() == []
    peer.send("COMMIT", {"transaction": "t", "receipt": "c"})
    peer.one("RECEIPT")
    assert consumer.bodies() == [b"0", b"1", b"2"]


@pytest.mark.parametrize("ending", ["ABORT", "DISCONNECT", "BOGUS", "cut"])
def test_an_aborted_transaction_leaves_nothing(broker: Broker, ending: str) -> None:
    """ABORT, DISCONNECT, an error or a cut undo a transaction (STOMP-TX-006, STOMP-TX-007, STOMP-TX-008)."""
    consumer = subscribed(broker, "auto")
    peer = begin(broker)
    peer.send("SEND", {"destination": "/queue/a", "transaction": "t"}, b"never")
    if ending == "cut":
        peer.session.lost(broker.now)
    else:
        peer.send(ending, {"transaction": "t"})
    assert consumer.bodies() == []


@pytest.mark.parametrize("command", ["BEGIN", "COMMIT", "ABORT"])
def test_the_transaction_header_is_required(broker: Broker, command: str) -> None:
    """BEGIN, COMMIT and ABORT name their transaction (STOMP-TX-001, STOMP-TX-005, STOMP-TX-006)."""
    peer = begin(broker)
    peer.send(command, {"receipt": "r"})
    peer.refused(receipt="r")


@pytest.mark.parametrize("command", ["COMMIT", "ABORT", "SEND", "ACK", "NACK"])
def test_an_unknown_transaction(broker: Broker, command: str) -> None:
    """A transaction that is not open is refused, and the frame has no effect (STOMP-TX-005, -006, -009)."""
    peer = subscribed(broker, "client")
    publish(broker, 1)
    message = peer.one("MESSAGE")
    headers = {"id": message["ack"], "destination": "/queue/b", "transaction": "nope", "receipt": "r"}
    peer.send(command, headers, b"x" if command == "SEND" else b"")
    peer.refused(receipt="r")
    assert left(broker) == [(b"0", True)]
    assert left(broker, "/queue/b") == []


def test_a_name_in_use(broker: Broker) -> None:
    """An open transaction cannot be begun again; after COMMIT or ABORT its name is free.

    STOMP-TX-002, STOMP-TX-011.
    """
    peer = begin(broker)
    peer.send("COMMIT", {"transaction": "t"})
    peer.send("BEGIN", {"transaction": "t"})
    peer.send("ABORT", {"transaction": "t"})
    peer.send("BEGIN", {"transaction": "t"})
    assert peer.frames() == []
    peer.send("BEGIN", {"transaction": "t", "receipt": "r"})
    peer.refused(receipt="r")


def test_names_belong_to_a_connection(broker: Broker) -> None:
    """Equal names on two connections are two transactions (STOMP-TX-010)."""
    one, other = begin(broker), begin(broker)
    one.send("SEND", {"destination": "/queue/a", "transaction": "t"}, b"one")
    other.send("SEND", {"destination": "/queue/a", "transaction": "t"}, b"other")
    one.send("ABORT", {"transaction": "t"})
    other.send("COMMIT", {"transaction": "t"})
    assert left(broker) == [(b"other", False)]


def test_transactions_do_not_mix(broker: Broker) -> None:
    """Several transactions may be open at once (STOMP-TX-012)."""
    peer = begin(broker)
    peer.send("BEGIN", {"transaction": "u"})
    for name in ("t", "u"):
        peer.send("SEND", {"destination": "/queue/a", "transaction": name}, name.encode())
    peer.send("COMMIT", {"transaction": "u"})
    assert left(broker) == [(b"u", False)]


def test_ack_in_a_transaction(broker: Broker) -> None:
    """An ACK takes effect with COMMIT, and can be repeated after ABORT (STOMP-ACK-006)."""
    peer = subscribed(broker, "client-individual")
    publish(broker, 2)
    first, second = peer.frames()
    peer.send("BEGIN", {"transaction": "t"})
    settle(peer, "ACK", first, transaction="t")
    peer.send("ABORT", {"transaction": "t"})
    peer.send("BEGIN", {"transaction": "t"})
    settle(peer, "ACK", second, transaction="t")
    peer.send("COMMIT", {"transaction": "t", "receipt": "r"})
    peer.one("RECEIPT")
    peer.session.lost(broker.now)
    assert left(broker) == [(b"0", True)]


def test_an_open_ack_is_undone_by_a_cut(broker: Broker) -> None:
    """An ACK in a transaction without COMMIT has no effect (STOMP-TX-008)."""
    peer = subscribed(broker, "client")
    publish(broker, 2)
    peer.send("BEGIN", {"transaction": "t"})
    settle(peer, "ACK", peer.frames()[1], transaction="t")
    peer.session.lost(broker.now)
    assert left(broker) == [(b"0", True), (b"1", True)]


def test_a_cumulative_ack_covers_what_was_there_before_it(broker: Broker) -> None:
    """A cumulative ACK in a transaction does not cover later deliveries (STOMP-SUB-010, STOMP-ACK-006)."""
    peer = subscribed(broker, "client")
    publish(broker, 2)
    peer.send("BEGIN", {"transaction": "t"})
    settle(peer, "ACK", peer.frames()[1], transaction="t")
    publish(broker, 1)
    peer.send("COMMIT", {"transaction": "t"})
    peer.session.lost(broker.now)
    assert len(left(broker)) == 1


def test_nack_in_a_transaction(broker: Broker) -> None:
    """A NACK takes effect with COMMIT (STOMP-NACK-004)."""
    peer = subscribed(broker, "client")
    publish(broker, 1)
    peer.send("BEGIN", {"transaction": "t"})
    settle(peer, "NACK", peer.one("MESSAGE"), transaction="t")
    assert peer.frames() == []
    peer.send("COMMIT", {"transaction": "t"})
    assert peer.one("MESSAGE")["redelivered"] == "true"


def test_a_message_settled_meanwhile(broker: Broker) -> None:
    """A COMMIT succeeds if one of its ACKs names a message that was settled in between."""
    peer = subscribed(broker, "client-individual")
    publish(broker, 1)
    message = peer.one("MESSAGE")
    peer.send("BEGIN", {"transaction": "t"})
    settle(peer, "ACK", message, transaction="t")
    settle(peer, "ACK", message)
    peer.send("COMMIT", {"transaction": "t", "receipt": "r"})
    peer.one("RECEIPT")


@pytest.mark.parametrize(
    "limits", [StompLimits(queue_messages=2), StompLimits(destinations=1)], ids=["room", "queues"]
)
def test_a_commit_that_cannot_be_carried_out(limits: StompLimits) -> None:
    """If one SEND of a transaction is refused, no step takes effect (STOMP-TX-003)."""
    broker = Broker(limits)
    consumer = subscribed(broker, "client")
    publish(broker, 1)
    consumer.send("BEGIN", {"transaction": "t"})
    settle(consumer, "ACK", consumer.one("MESSAGE"), transaction="t")
    for number in range(3):
        destination = "/queue/b" if limits.destinations > 1 else f"/queue/{number}"
        consumer.send("SEND", {"destination": destination, "transaction": "t"}, b"x")
    consumer.send("COMMIT", {"transaction": "t", "receipt": "c"})
    consumer.refused(receipt="c")
    assert left(broker) == [(b"0", True)]
    assert broker.hub.router.destinations._queues == {}


def test_receipts_inside_a_transaction(broker: Broker) -> None:
    """A frame in a transaction gets one RECEIPT; a SEND gets it at once (STOMP-TX-013)."""
    peer = begin(broker)
    peer.send("SEND", {"destination": "/queue/a", "transaction": "t", "receipt": "s"})
    assert peer.one("RECEIPT")["receipt-id"] == "s"
    peer.send("COMMIT", {"transaction": "t", "receipt": "c"})
    assert peer.one("RECEIPT")["receipt-id"] == "c"


@pytest.mark.parametrize(
    "limits",
    [StompLimits(transactions=2), StompLimits(transaction_frames=5), StompLimits(transaction_bytes=500)],
    ids=["transactions", "frames", "octets"],
)
def test_open_transactions_are_bounded(limits: StompLimits) -> None:
    """Open transactions of a connection are bounded."""
    peer = Broker(limits).connect()
    for number in range(20):
        peer.send("BEGIN", {"transaction": str(number)})
        if limits.transactions > 2:
            peer.send("SEND", {"destination": "/queue/a", "transaction": str(number)}, b"x" * 100)
    peer.refused()
