"""Deviations of the sample clients that their endpoints accept (QSTOMP-BARE, QSTOMP-STOMPER)."""

import pytest
import stomper

from tests.stomp.peers import Broker


def test_send_and_subscribe_without_connect(broker: Broker) -> None:
    """/producer and /consumer do not need CONNECT (QSTOMP-BARE-1)."""
    peer = broker.open(lenient=True)
    peer.octets(b"SUBSCRIBE\ndestination:/topic/acknowledgment/t\n\n\0")
    peer.octets(b'SEND\ndestination:/producer/publish/t\nreceipt:r\n\n{"message":"x"}\0')
    message, receipt = peer.frames()
    assert message["destination"] == "/topic/acknowledgment/t"
    assert receipt["receipt-id"] == "r"
    assert broker.operations.performed == [("/producer/publish/t", b'{"message":"x"}')]


@pytest.mark.parametrize("lenient", [True, False])
def test_frames_of_stomper(broker: Broker, *, lenient: bool) -> None:
    """A newline after the NUL is accepted everywhere (QSTOMP-STOMPER-1)."""
    peer = broker.open(lenient=lenient)
    peer.octets(stomper.connect("", "", "localhost").encode())
    peer.version = "1.1"
    assert peer.one("CONNECTED")["version"] == "1.1"
    peer.octets(stomper.subscribe("/queue/a", "s", "client").encode())
    peer.octets(stomper.send("/queue/a", "hello").encode())
    message = peer.one("MESSAGE")
    assert message.body == b"hello"
    peer.octets(stomper.ack(message["message-id"], "s").encode())
    assert peer.frames() == []
    assert not peer.session.closing


def test_disconnect_of_stomper(broker: Broker) -> None:
    """DISCONNECT without the empty line is accepted on the sample endpoints only.

    QSTOMP-STOMPER-2, STOMP-FRAME-004.
    """
    lenient, strict = broker.open(lenient=True), broker.open()
    for peer in (lenient, strict):
        peer.octets(stomper.connect("", "", "localhost").encode())
        peer.version = "1.1"
        peer.one("CONNECTED")
        peer.octets(stomper.disconnect("77").encode())
    assert lenient.one("RECEIPT")["receipt-id"] == "77"
    strict.refused(receipt="77")


def test_connect_after_bare_frames(broker: Broker) -> None:
    """CONNECT after frames of a session without it is refused (STOMP-CONNECT-012)."""
    peer = broker.open(lenient=True)
    peer.octets(b"SUBSCRIBE\ndestination:/queue/a\n\n\0")
    peer.send("CONNECT", {"accept-version": "1.2"})
    peer.refused()


def test_unknown_commands_are_refused_there_too(broker: Broker) -> None:
    """Lenient endpoints refuse undefined commands, too (STOMP-CMD-001)."""
    peer = broker.open(lenient=True)
    peer.send("BOGUS", {"receipt": "r"})
    peer.refused(receipt="r")
