"""CONNECT, versions, users, states (STOMP-CONNECT, STOMP-NEG, STOMP-WS-002)."""

import re

import pytest

from tests.stomp.peers import Broker


@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
@pytest.mark.parametrize(
    ("accepted", "version"),
    [
        ("1.2", "1.2"),
        ("1.1,1.0", "1.1"),
        ("1.2,1.0,1.1", "1.2"),
        ("1.0,9.9", "1.0"),
        ("1.0, 1.1", "1.1"),
        (None, "1.0"),
    ],
)
def test_the_highest_common_version(broker: Broker, command: str, accepted: str | None, version: str) -> None:
    """CONNECTED has the highest version of both sides.

    STOMP-CONNECT-001, -003, -004, -007; STOMP-NEG-001.
    """
    peer = broker.open()
    peer.send(command, {"accept-version": accepted} if accepted else {})
    connected = peer.one("CONNECTED")
    assert connected["version"] == version
    assert re.fullmatch(r"[^\s/:]+(/[^\s:]+)?( .*)?", connected["server"])  # STOMP-CONNECT-009


@pytest.mark.parametrize("accepted", ["1.3", "", "2.0,3.0", "one"])
def test_no_common_version(broker: Broker, accepted: str) -> None:
    """Without a common version an ERROR lists the server's versions (STOMP-NEG-003, STOMP-NEG-004)."""
    peer = broker.open()
    peer.send("CONNECT", {"accept-version": accepted})
    assert peer.refused()["version"] == "1.0,1.1,1.2"


def test_sessions_have_unique_names(broker: Broker) -> None:
    """The session header differs between sessions, and has no colon (STOMP-CONNECT-010)."""
    names = set()
    for _ in range(50):
        peer = broker.open()
        peer.send("CONNECT", {"accept-version": "1.2"})
        names.add(peer.one("CONNECTED")["session"])
    assert len(names) == 50
    assert not any(":" in name for name in names)


def test_a_receipt_on_connect_is_not_granted(broker: Broker) -> None:
    """CONNECT is answered by CONNECTED only (STOMP-CONNECT-013)."""
    broker.connect(receipt="r")


@pytest.mark.parametrize("command", ["SEND", "SUBSCRIBE", "BEGIN", "DISCONNECT", "connect", "BOGUS"])
def test_nothing_is_served_before_connect(broker: Broker, command: str) -> None:
    """Other frames before CONNECT are refused and not processed.

    STOMP-CONNECT-011, STOMP-FRAME-007, QSTOMP-BARE-2.
    """
    peer = broker.open()
    peer.send(command, {"destination": "/producer/publish/t", "id": "1", "receipt": "r:1"})
    peer.refused(receipt="r:1")
    assert broker.operations.performed == []


@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
def test_a_second_connect(broker: Broker, command: str) -> None:
    """A second CONNECT is refused (STOMP-CONNECT-012)."""
    peer = broker.connect()
    peer.send(command, {"accept-version": "1.2"})
    peer.refused()


def test_users() -> None:
    """With configured users, login and passcode must be right; a passcode may hold colons.

    STOMP-CONNECT-002.
    """
    broker = Broker(users={"ann": "a:b\\c"})
    broker.connect(login="ann", passcode="a:b\\c")
    for headers in (
        {},
        {"login": "ann"},
        {"login": "bob", "passcode": ""},
        {"login": "ann", "passcode": "a"},
    ):
        peer = broker.open()
        peer.send("CONNECT", {"accept-version": "1.2", **headers})
        peer.refused()


def test_without_users_anybody_may_connect(broker: Broker) -> None:
    """Login, passcode and host are ignored if no users are configured.

    STOMP-CONNECT-005, STOMP-CONNECT-006.
    """
    broker.connect(login="", passcode="x", host="nowhere")


def test_users_hold_on_lenient_endpoints_too() -> None:
    """With configured users, no frame is served before CONNECT on any endpoint."""
    peer = Broker(users={"ann": "x"}).open(lenient=True)
    peer.send("SEND", {"destination": "/queue/a"})
    peer.refused()


def test_a_connection_that_sends_nothing(broker: Broker) -> None:
    """The first frame must arrive in time (STOMP-WS-019)."""
    peer = broker.open()
    broker.pass_time(29.9)
    assert not peer.session.closing
    broker.pass_time(0.2)
    peer.refused()


def test_a_frame_that_never_ends(broker: Broker) -> None:
    """A frame must be complete in time, however slowly its octets arrive."""
    peer = broker.connect()
    peer.octets(b"SEND\ndestination:/queue/a\n\n")
    for _ in range(59):
        broker.pass_time(1)
        peer.octets(b"x")
    assert not peer.session.closing
    broker.pass_time(1.5)
    peer.refused()


def test_whole_frames_restart_the_time_of_the_next(broker: Broker) -> None:
    """Each frame has a time limit of its own, even if every chunk ends inside a frame."""
    peer = broker.connect()
    for _ in range(5):
        peer.octets(b"x\0SEND\ndestination:/topic/a\n\n" if _ else b"SEND\ndestination:/topic/a\n\n")
        broker.pass_time(40)
    assert not peer.session.closing
