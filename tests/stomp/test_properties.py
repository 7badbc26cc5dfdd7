"""Properties of any headers, any body, any chunking, any order of deliveries and settlements."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_server.stomp import StompLimits
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.escapes import escape, unescape
from reference_server.stomp.frame import Frame, FrameReader, encode
from tests.stomp.peers import Broker, Peer

GENEROUS = StompLimits(header_line_bytes=10**6, header_bytes=10**7)
FAST = settings(max_examples=150, database=None)

unicode_text = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
header_text = {
    "1.0": st.text(
        st.characters(exclude_characters="\0\n\r:", exclude_categories=("Cs",)), min_size=1, max_size=20
    ),
    "1.1": unicode_text.map(lambda text: text.replace("\r", "")),
    "1.2": unicode_text,
}
bodies = st.binary(max_size=60)
cuts = st.lists(st.integers(1, 20), max_size=30)


def chunks(octets: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(octets[:size])
        octets = octets[size:]
    return [*pieces, octets]


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
@FAST
@given(data=st.data())
def test_any_frames_in_any_chunks(version: str, data: st.DataObject) -> None:
    """Encoded frames are read again, however the octets are cut (STOMP-FRAME-006, STOMP-ENC-001 to -009)."""
    names = header_text[version].filter(lambda name: name not in {"", "content-length"})
    headers = st.dictionaries(names, header_text[version], max_size=5)
    frames = data.draw(st.lists(st.tuples(headers, bodies), max_size=4))
    octets = b"".join(
        encode("SEND", [*each.items(), ("content-length", str(len(body)))], body, version=version)
        + b"\n" * (number % 3)
        for number, (each, body) in enumerate(frames)
    )
    reader = FrameReader(GENEROUS)
    reader.version = version
    read = [frame for piece in chunks(octets, data.draw(cuts)) for frame in reader.feed(piece)]
    assert reader.error is None
    assert not reader.incomplete
    assert read == [Frame("SEND", {**each, "content-length": str(len(body))}, body) for each, body in frames]


@FAST
@given(unicode_text, st.sampled_from(["1.1", "1.2"]))
def test_escapes_are_inverse(text: str, version: str) -> None:
    """Decoding undoes encoding, and no octet of special meaning is left raw.

    STOMP-ENC-004, STOMP-ABNF-004.
    """
    escaped = escape(text, version)
    assert unescape(escaped, version) == text
    assert not set(escaped) & {":", "\n", "\r" if version == "1.2" else "\n"}


@FAST
@given(unicode_text, st.sampled_from(["1.1", "1.2"]))
def test_decoding_is_strict(text: str, version: str) -> None:
    """Any text is either refused or the encoding of what it decodes to, raw octets apart (STOMP-ENC-003)."""
    try:
        plain = unescape(text, version)
    except ProtocolError:
        assert "\\" in text
    else:
        assert escape(plain, version) == escape(text, version).replace("\\\\", "\\")


@FAST
@given(header_text["1.2"], header_text["1.2"], bodies, st.sampled_from(["/queue/", "/topic/"]), cuts)
def test_any_message_arrives(name: str, value: str, body: bytes, prefix: str, sizes: list[int]) -> None:
    """User headers and body arrive unchanged (STOMP-SEND-004, STOMP-SEND-005)."""
    name = "x-" + name
    peer = Broker(GENEROUS).connect()
    peer.send("SUBSCRIBE", {"id": "1", "destination": prefix + "a"})
    headers = [("destination", prefix + "a"), ("content-length", str(len(body))), (name, value)]
    for piece in chunks(encode("SEND", headers, body, version="1.2"), sizes):
        peer.octets(piece)
    message = peer.one("MESSAGE")
    assert (message.body, message[name]) == (body, value)


class Crowd:
    """Consumers that come, go, acknowledge and refuse at random, and the expected fate of each message."""

    def __init__(self, seed: int) -> None:
        self.choose = random.Random(seed)
        self.broker = Broker(StompLimits(unacknowledged=5))
        self.producer = self.broker.connect()
        self.sent = 0
        self.settled: set[int] = set()
        self.consumers: dict[Peer, tuple[str, dict[int, str]]] = {}

    def collect(self, peer: Peer) -> None:
        """Read the messages of a consumer: none is settled, none is held by another consumer."""
        _, unsettled = self.consumers[peer]
        for frame in peer.frames():
            number = int(frame.body)
            assert number not in self.settled
            assert not any(number in held for _, held in self.consumers.values())
            unsettled[number] = frame["ack"]

    def step(self) -> None:
        """Take one random step."""
        match self.choose.randrange(8):
            case 0 | 1 | 2:
                self.producer.send("SEND", {"destination": "/queue/a"}, b"%d" % self.sent)
                self.sent += 1
            case 3 if len(self.consumers) < 4:
                mode = self.choose.choice(("client", "client-individual"))
                peer = self.broker.connect()
                self.consumers[peer] = (mode, {})
                peer.send("SUBSCRIBE", {"id": "1", "destination": "/queue/a", "ack": mode})
            case 4 if self.consumers:
                peer = self.choose.choice(list(self.consumers))
                self.collect(peer)
                del self.consumers[peer]
                self.choose.choice((lambda: peer.session.lost(0.0), lambda: peer.send("BOGUS")))()
            case _ if self.consumers:
                self.settle(self.choose.choice(list(self.consumers)))
        for peer in list(self.consumers):
            self.collect(peer)

    def settle(self, peer: Peer) -> None:
        """ACK or NACK one of a consumer's messages."""
        self.collect(peer)
        mode, unsettled = self.consumers[peer]
        if not unsettled:
            return
        number = self.choose.choice(list(unsettled))
        order = list(unsettled)
        covered = order[: order.index(number) + 1] if mode == "client" else [number]
        command = self.choose.choice(("ACK", "ACK", "NACK"))
        headers = {"id": unsettled[number]}
        for each in covered:
            del unsettled[each]
        if command == "ACK":
            self.settled.update(covered)
        peer.send(command, headers)

    def rest(self) -> list[int]:
        """End all consumers, then take the messages that the queue holds."""
        for peer in self.consumers:
            peer.session.lost(0.0)
        last = self.broker.connect()
        last.send("SUBSCRIBE", {"id": "1", "destination": "/queue/a"})
        return [int(body) for body in last.bodies()]


@pytest.mark.parametrize("seed", range(40))
def test_no_message_is_lost_or_held_twice(seed: int) -> None:
    """Unacknowledged messages are held by one consumer or wait, and are left over in order of arrival.

    STOMP-ACK-001, STOMP-SUB-009 to -012, STOMP-NACK-001 to -003.
    """
    crowd = Crowd(seed)
    for _ in range(200):
        crowd.step()
    assert crowd.rest() == [number for number in range(crowd.sent) if number not in crowd.settled]
    assert crowd.settled
