"""Receipts, errors, DISCONNECT and lost connections (STOMP-RECEIPT, STOMP-ERROR, STOMP-DISCONNECT)."""

import pytest

from tests.stomp.peers import Broker
from tests.stomp.test_subscriptions import left, publish, settle, subscribed


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_every_frame_can_have_a_receipt(broker: Broker, version: str) -> None:
    """Every client frame but CONNECT gets one RECEIPT with its receipt's value.

    STOMP-RECEIPT-001, -002, -007.
    """
    peer = subscribed(broker, "client", version)
    publish(broker, 2)
    first, second = peer.frames()
    peer.send("BEGIN", {"transaction": "t", "receipt": "same"})
    peer.send("SEND", {"destination": "/topic/x", "transaction": "t", "receipt": "same"})
    peer.send("COMMIT", {"transaction": "t", "receipt": "same"})
    peer.send("BEGIN", {"transaction": "t"})
    peer.send("ABORT", {"transaction": "t", "receipt": "same"})
    peer.send("SEND", {"destination": "/topic/x", "receipt": "same"})
    settle(peer, "ACK", first, receipt="same")
    if version != "1.0":
        settle(peer, "NACK", second, receipt="same")
    peer.send("SUBSCRIBE", {"id": "other", "destination": "/topic/y", "receipt": "same"})
    peer.send("UNSUBSCRIBE", {"id": "other", "receipt": "same"})
    peer.send("DISCONNECT", {"receipt": "same"})
    receipts = [frame for frame in peer.frames() if frame.command == "RECEIPT"]
    assert len(receipts) == (10 if version != "1.0" else 9)
    assert {(frame["receipt-id"], frame.body) for frame in receipts} == {("same", b"")}


@pytest.mark.parametrize("value", ["", " ", "ä€", r"a\c\n\\\r", "x" * 5000])
def test_receipt_values(broker: Broker, value: str) -> None:
    """Any receipt value is returned unchanged (STOMP-RECEIPT-002)."""
    peer = broker.connect()
    peer.octets(f"BEGIN\ntransaction:t\nreceipt:{value}\n\n\0".encode())
    assert peer.one("RECEIPT")["receipt-id"] == value.replace(r"\c", ":").replace(r"\n", "\n").replace(
        r"\r", "\r"
    ).replace("\\\\", "\\")


def test_receipts_of_a_burst(broker: Broker) -> None:
    """A burst of frames gets all its RECEIPTs, each after all earlier frames took effect.

    STOMP-RECEIPT-004, -006.
    """
    peer = broker.connect()
    peer.octets(
        b"".join(b"SEND\ndestination:/queue/a\nreceipt:%d\n\n%d\0" % (n, n) for n in range(100))
        + b"DISCONNECT\n\n\0"
    )
    assert {frame["receipt-id"] for frame in peer.frames()} == {str(number) for number in range(100)}
    assert peer.session.closing
    assert len(left(broker)) == 100


def test_an_error_ends_the_session(broker: Broker) -> None:
    """After an ERROR no frame is answered or processed (STOMP-ERROR-001, STOMP-ERROR-002, STOMP-RECEIPT-003)."""
    peer = broker.connect()
    good = b"SEND\ndestination:/queue/a\nreceipt:g\n\nx\0"
    peer.octets(good + b"BOGUS\nreceipt:r\\c1\n\n\0" + good)
    receipt, error = peer.frames()
    assert (receipt.command, error.command) == ("RECEIPT", "ERROR")
    assert (error["receipt-id"], error["command"]) == ("r:1", "BOGUS")
    assert error.body
    peer.octets(good)
    assert peer.frames() == []
    assert len(left(broker)) == 1


def test_a_malformed_frame_after_good_ones(broker: Broker) -> None:
    """Frames before a malformed one are processed, those after it are not."""
    peer = broker.connect()
    good = b"SEND\ndestination:/queue/a\n\nx\0"
    peer.octets(good + good + b"junk\nreceipt:r\nno colon\n\n\0" + good)
    peer.refused(receipt="r")
    assert len(left(broker)) == 2


def test_a_faulty_frame_without_receipt(broker: Broker) -> None:
    """An ERROR has a receipt-id only if the faulty frame had a receipt (STOMP-ERROR-004)."""
    peer = broker.connect()
    peer.send("BOGUS")
    peer.refused(receipt=None)


@pytest.mark.parametrize("command", ["SUBSCRIBE", "BEGIN", "DISCONNECT"])
def test_bodies_where_none_belongs(broker: Broker, command: str) -> None:
    """Only SEND may have a body; in 1.0 the body of other frames is ignored (STOMP-BODY-002)."""
    headers = {"id": "1", "destination": "/queue/a", "transaction": "t", "receipt": "r"}
    peer = broker.connect()
    peer.send(command, headers, b"body")
    peer.refused(receipt="r")
    old = broker.connect("1.0")
    old.send(command, headers, b"body")
    old.one("RECEIPT")


def test_disconnect(broker: Broker) -> None:
    """DISCONNECT gets its RECEIPT and ends the session; later frames are ignored.

    STOMP-DISCONNECT-001 to -003.
    """
    peer = subscribed(broker, "client")
    publish(broker, 1)
    peer.frames()
    peer.octets(b"DISCONNECT\nreceipt:77\n\n\0SEND\ndestination:/queue/b\nreceipt:78\n\nx\0")
    assert peer.one("RECEIPT")["receipt-id"] == "77"
    assert peer.session.closing
    assert left(broker) == [(b"0", True)]
    assert left(broker, "/queue/b") == []


def test_disconnect_without_receipt(broker: Broker) -> None:
    """DISCONNECT without receipt ends the session without an answer, and `closing` is set.

    STOMP-DISCONNECT-004.
    """
    peer = broker.connect()
    broker.hub.take_touched()
    peer.send("DISCONNECT")
    assert peer.frames() == []
    assert peer.session.closing
    assert peer.session in broker.hub.take_touched()


def test_a_lost_connection(broker: Broker) -> None:
    """A connection may be lost at any moment, with frames pending, and `lost` called twice (STOMP-DISCONNECT-005)."""
    for preparation in (b"", b"CONNECT\n\n\0", b"CONNECT\n\n\0SEND\ndest", b"BOGUS\n\n\0"):
        peer = broker.open()
        peer.octets(preparation)
        peer.session.lost(broker.now)
        peer.session.lost(broker.now)
        peer.octets(b"SEND\ndestination:/queue/a\n\nx\0")
        peer.session.fail("shutdown")
    assert left(broker) == []


def test_the_server_ends_a_session(broker: Broker) -> None:
    """The I/O layer can end a session with an ERROR of its own (STOMP-ERROR-007)."""
    peer = broker.connect()
    peer.session.fail("server stops", "Connect again later.")
    assert peer.refused().body == b"Connect again later."


def test_touched_names_sessions_with_output(broker: Broker) -> None:
    """`touched` names exactly the sessions with output, also if another session's frame caused it."""
    consumer, bystander, producer = subscribed(broker, "auto"), broker.connect(), broker.connect()
    broker.hub.take_touched()
    producer.send("SEND", {"destination": "/queue/a"}, b"x")
    assert broker.hub.take_touched() == [consumer.session]
    assert broker.hub.take_touched() == []
    assert bystander.frames() == []
