"""Heart-beats in both directions (STOMP-HEARTBEAT)."""

import math
import re

import pytest

from tests.stomp.peers import Broker


def test_connected_offers_heart_beats(broker: Broker) -> None:
    """The heart-beat header of CONNECTED is two integers (STOMP-HEARTBEAT-001), and absent in 1.0."""
    for version in ("1.1", "1.2"):
        peer = broker.open()
        peer.send("CONNECT", {"accept-version": version})
        assert re.fullmatch(r"\d+,\d+", peer.one("CONNECTED")["heart-beat"])
    peer = broker.open()
    peer.send("CONNECT")
    assert "heart-beat" not in peer.one("CONNECTED").headers


@pytest.mark.parametrize("header", [None, "0,0"])
def test_no_heart_beats(broker: Broker, header: str | None) -> None:
    """Without the header, or with 0,0, neither side has to send anything (STOMP-HEARTBEAT-002, -003, -004)."""
    peer = broker.connect(**({"heart_beat": header} if header else {}))
    broker.pass_time(10_000)
    assert peer.frames() == []
    assert peer.beats == 0
    assert not peer.session.closing


@pytest.mark.parametrize("milliseconds", [1, 100, 250, 10_000])
def test_the_server_beats(broker: Broker, milliseconds: int) -> None:
    """No gap exceeds the agreed interval, and a beat is one LF (STOMP-HEARTBEAT-005, -006, -011)."""
    peer = broker.connect(heart_beat=f"0,{milliseconds}")
    interval = max(milliseconds, 100) / 1000
    for beats in range(1, 20):
        broker.pass_time(interval)
        assert peer.frames() == []
        assert peer.beats >= beats
    assert peer.beats <= 30


def test_other_frames_put_a_beat_off(broker: Broker) -> None:
    """Any output is a sign of life: beats fill only the gaps (STOMP-HEARTBEAT-005)."""
    peer = broker.connect(heart_beat="0,1000")
    for _ in range(20):
        broker.pass_time(0.5)
        peer.send("BEGIN", {"transaction": "t", "receipt": "r"})
        peer.send("ABORT", {"transaction": "t"})
        peer.one("RECEIPT")
    assert peer.beats == 0


def test_a_silent_client_is_given_up(broker: Broker) -> None:
    """A client may be late by a margin, and is then disconnected (STOMP-HEARTBEAT-008, STOMP-HEARTBEAT-009)."""
    peer = broker.connect(heart_beat="1000,0")
    broker.pass_time(1.1)
    assert not peer.session.closing
    broker.pass_time(1.0)
    peer.refused()


@pytest.mark.parametrize("octets", [b"\n", b"\r\n", b"SEND\n", b"SEND\ndestination:/topic/x\n\n\0"])
def test_any_octet_is_life(broker: Broker, octets: bytes) -> None:
    """Any octet, not only an EOL, is a sign of life of the client (STOMP-HEARTBEAT-007)."""
    peer = broker.connect(heart_beat="1000,0")
    broker.pass_time(1.2)
    peer.octets(octets)
    broker.pass_time(1.2)
    assert not peer.session.closing


@pytest.mark.parametrize("header", ["", "1", "1,", ",1", "a,b", "-1,0", "1.5,0", "1,2,3", " 1,2", "1, 2"])
def test_malformed_heart_beat_header(broker: Broker, header: str) -> None:
    """A heart-beat header that is not two integers is refused (STOMP-HEARTBEAT-010)."""
    peer = broker.open()
    peer.send("CONNECT", {"accept-version": "1.2", "heart-beat": header})
    peer.refused()


def test_1_0_has_no_heart_beats(broker: Broker) -> None:
    """A heart-beat header on a 1.0 session is ignored (STOMP-NEG-002)."""
    peer = broker.connect("1.0", heart_beat="1000,1000")
    broker.pass_time(100)
    assert peer.beats == 0
    assert not peer.session.closing


def test_timers_of_ended_sessions_are_forgotten(broker: Broker) -> None:
    """Many short connections leave a bounded number of timers (STOMP-LINGER-001)."""
    for number in range(2000):
        peer = broker.connect(heart_beat=f"{1000 + number % 7},1000")
        peer.send("DISCONNECT")
        broker.now += 0.001
    assert len(broker.hub.deadlines._heap) <= 1100
    broker.pass_time(100)
    assert broker.hub.deadlines.next == math.inf
