"""The WebSocket channel without sockets: any messages, fragments and cuts; any octets at all."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_server.server.websocket import Channel, encode
from tests.server.wire import BINARY, CLOSE, PING, PONG, TEXT, frame

MOST = 70_000
SIZES = st.one_of(
    st.integers(0, 20), st.sampled_from([0, 1, 124, 125, 126, 127, 255, 256, 65534, 65535, 65536, 65537])
)
payloads = st.builds(lambda size, octet: bytes([octet]) * size, SIZES, st.integers(0, 127))
messages = st.lists(
    st.tuples(
        st.sampled_from([TEXT, BINARY]), payloads, st.lists(st.integers(0, 100), max_size=3), st.booleans()
    ),
    max_size=6,
)


def write(opcode: int, payload: bytes, cuts: list[int], *, pinged: bool) -> bytes:
    """Write a message in fragments; `pinged` adds a ping after each."""
    places = [0, *sorted({cut for cut in cuts if cut < len(payload)}), len(payload)]
    parts = [payload[start:end] for start, end in pairwise(places)]
    frames = []
    for number, part in enumerate(parts):
        frames.append(frame(0 if number else opcode, part, fin=number == len(parts) - 1))
        if pinged:
            frames.append(frame(PING, b"%d" % number))
    return b"".join(frames)


@settings(max_examples=200)
@given(messages, st.lists(st.integers(1, 5000), max_size=30))
def test_what_was_sent_is_received(sent: list[tuple[int, bytes, list[int], bool]], sizes: list[int]) -> None:
    """Every message comes whole and in order, whatever its fragments and the segments of TCP."""
    octets = b"".join(write(opcode, payload, cuts, pinged=pinged) for opcode, payload, cuts, pinged in sent)
    channel = Channel(MOST)
    got = b""
    while octets:
        size = sizes.pop() if sizes else len(octets)
        got += channel.receive(octets[:size]) or b""
        octets = octets[size:]
    assert got == b"".join(payload for _, payload, _, _ in sent)
    assert not channel.is_incomplete
    assert not channel.is_over
    pings = b"".join(channel.replies()).count(bytes([0x80 | PONG]))
    assert (pings > 0) == any(pinged for *_, pinged in sent)


def test_many_fragments() -> None:
    """Fragments of a few octets are not kept as an object each."""
    channel = Channel(MOST)
    octets = (
        frame(TEXT, b"ab", fin=False) + frame(0, b"cd", fin=False) * 20_000 + frame(0, b"", fin=False) * 1000
    )
    assert channel.receive(octets) is None
    assert channel.held == 40_002
    assert len(channel._fragments) < 100
    assert channel.receive(frame(0, b"!")) == b"ab" + b"cd" * 20_000 + b"!"


@settings(max_examples=300)
@given(
    st.lists(st.one_of(st.binary(max_size=30), st.builds(frame, st.integers(0, 15), payloads)), max_size=8)
)
def test_any_octets(pieces: list[bytes]) -> None:
    """No input raises or exceeds a bound, and input after the end is ignored."""
    channel = Channel(MOST)
    for piece in pieces:
        if not channel.is_over:
            channel.receive(piece)
        assert len(channel._pending) <= MOST + 14
        assert sum(map(len, channel._fragments)) <= MOST
    channel.replies()
    if channel.is_over:
        assert channel.close(1000) == []


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
@pytest.mark.parametrize("cut", [1, 2, 3, 5, 9, 13])
def test_incomplete(size: int, cut: int) -> None:
    """A message is known to be incomplete from its first octet to its last but one."""
    octets = frame(BINARY, b"x" * size)
    channel = Channel(MOST)
    for at in range(0, len(octets), cut if size < 200 else 997 * cut):
        step = cut if size < 200 else 997 * cut
        whole = channel.receive(octets[at : at + step])
        assert channel.is_incomplete == (at + step < len(octets))
        assert (whole is None) == channel.is_incomplete
    channel.receive(frame(PING, b""))
    assert not channel.is_incomplete


def test_the_bound() -> None:
    """A message at the bound is accepted, in one frame and in several; one octet more is too big."""
    size = 100
    for fragments in ([size], [60, 40], [size + 1], [60, 41], [2**40]):
        channel = Channel(size)
        for number, part in enumerate(fragments):
            payload = b"x" * min(part, 200)
            octets = frame(0 if number else TEXT, payload, fin=number == len(fragments) - 1)
            channel.receive(octets)
        assert channel.is_too_big == (sum(fragments) > size)


def test_close() -> None:
    """The Close frame is sent once."""
    channel = Channel(MOST)
    (octets,) = channel.close(1000)
    assert octets == bytes([0x80 | CLOSE, 2]) + (1000).to_bytes(2, "big")
    assert channel.close(1000) == []
    assert encode([octets, b"RECEIPT\n\n\0"]) == octets + b"\x81\x0aRECEIPT\n\n\0"
