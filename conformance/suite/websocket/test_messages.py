"""STOMP frames in WebSocket messages: text and binary, several frames in one, one over several, fragments."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from websocket import ABNF

from conformance.bench.marks import clauses
from conformance.suite.stomp.loopback import Loopback
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.suite.websocket.links import websocket_of
from conformance.wire.failures import PeerFailure
from conformance.wire.link import Message

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.stomp import StompClient

#: A header with an escape sequence and characters of several octets, and a body with such characters.
NOTE = "a:b-größe-🙂"
BODY = "text-日本語".encode()
#: Bodies of frames that are cut; one holds a NUL and needs a content-length.
CUT_BODIES = {"uncounted": BODY, "counted": b"a\0b"}
COUNTED = b"SEND\ncontent-length:<length>\n<destination>\n\n<body>\0"
#: Octets that no context makes valid UTF-8.
NOT_UTF_8 = b"\xff\xfe\x00\x80"
#: Octets of text before them: a server may look at the beginning of a frame only.
TEXT_BEFORE = (0, 200, 1_500, 5_000, 10_000)
#: Longest wait, in seconds, for the server to read a message before the next one is sent.
APART = 0.3


def note_of(version: str) -> bytes:
    """Header line of NOTE as it is written on a session of `version`."""
    return b"note:plain" if version == "1.0" else b"note:" + NOTE.replace(":", "\\c").encode()


def let_read(client: StompClient) -> None:
    """Wait until the server has read the messages so far: until a pong arrives, or for APART seconds without one."""
    now = time.monotonic()
    websocket_of(client).pong(f"read by {now}".encode(), now + APART)


def takes_binary(fixture: StompFixture) -> bool:
    """True if the server processes a frame in a binary message (STOMP-WS-007)."""
    loopback = Loopback(fixture)
    loopback.send_octets(b"SEND\n<destination>\n\nbinary\0", binary=True)
    return bodies_until_marker(loopback) == [b"binary"]


def bodies_until_marker(loopback: Loopback) -> list[bytes]:
    """Bodies that arrive before that of one more message, which is sent as text and alone."""
    loopback.send_octets(b"SEND\n<destination>\n\nmarker\0", binary=False)
    found: list[bytes] = []
    while (message := loopback.message_or_none()) and message.body != b"marker":
        found.append(message.body)
    return found


@clauses("STOMP-WS-006")
def test_stomp_in_text_messages(bench: Bench) -> None:
    """Send a whole session in text messages, with characters of several octets; expect the message back."""
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    loopback.send_octets(
        b"SEND\n<note>\n<destination>\n\n<body>\0",
        binary=False,
        note=note_of(loopback.client.version),
        body=BODY,
    )
    message = loopback.expect_message("STOMP-WS-006")
    bench.judge("STOMP-WS-006", message.body == BODY, expected="the message", observed=message.octets)


@clauses("WEBSOCKET-UTF8-1", "STOMP-WS-022")
@pytest.mark.parametrize(
    "octets",
    [NOT_UTF_8, b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x98"],
    ids=["invalid", "cut", "surrogate", "cut-four"],
)
def test_text_that_is_not_utf_8_ends_the_connection(bench: Bench, octets: bytes) -> None:
    """Send text that is not valid UTF-8; expect the end of the connection, preferably by code 1007, and no delivery."""
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    word = bench.fresh("invalid").encode()
    client = fixture.client()
    client.send_octets(loopback.octets(COUNTED, length=len(word + octets), body=word + octets), binary=False)
    try:
        closed = client.expect_end()
    except PeerFailure as failure:
        bench.judge(
            "WEBSOCKET-UTF8-1", False, expected="the end of the connection", observed=failure.observed
        )
        raise
    loopback.expect_no_message("WEBSOCKET-UTF8-1", word, "nothing of the message delivered")
    bench.judge("WEBSOCKET-UTF8-1", True, expected="the end of the connection", observed=closed)
    bench.judge("STOMP-WS-022", closed.code == 1007, expected="close code 1007", observed=closed)


@clauses("STOMP-WS-007")
@pytest.mark.parametrize("mixed", [False, True], ids=["binary", "mixed"])
def test_stomp_in_binary_messages(bench: Bench, mixed: bool) -> None:
    """Send frames in binary messages, or in binary and text ones in turn; expect every message back."""
    loopback = Loopback(StompFixture(bench))
    # The first one and the last one but one are binary in both cases: any octets may come in those.
    for third in (b"m2", NOT_UTF_8):
        bodies = [b"m0", b"m1", third, b"m3"]
        for number, body in enumerate(bodies):
            loopback.send_octets(
                b"SEND\n<note>\ncontent-length:<length>\n<destination>\n\n<body>\0",
                binary=number % 2 == 0 or not mixed,
                note=note_of(loopback.client.version),
                length=len(body),
                body=body,
            )
        came = bodies_until_marker(loopback)
        bench.judge(
            "STOMP-WS-007", came == bodies, expected=f"the messages {bodies}", observed=came or "nothing"
        )


@clauses("STOMP-WS-003")
@pytest.mark.parametrize("ends", [b"", b"\n", b"\n\n\n"], ids=["none", "lf", "three"])
def test_several_frames_in_one_message(bench: Bench, ends: bytes) -> None:
    """Send several frames in one message, with line ends between them; expect every message back."""
    loopback = Loopback(StompFixture(bench))
    bodies = [b"m%d" % number for number in range(5)]
    frames = [loopback.octets(b"SEND\n<destination>\n\n<body>\0", body=body) for body in bodies]
    loopback.client.send_octets(ends.join(frames) + ends)
    came = bodies_until_marker(loopback)
    bench.judge("STOMP-WS-003", came == bodies, expected=f"the messages {bodies}", observed=came or "nothing")


@clauses("STOMP-WS-003")
def test_a_whole_session_in_one_message(bench: Bench) -> None:
    """Send CONNECT, SUBSCRIBE and two SENDs in one message; expect both messages back."""
    fixture = StompFixture(bench)
    reader = Loopback(fixture)
    client = bench.stomp(connect=False)
    pairs = [("accept-version", bench.version), *bench.credentials().items()]
    lines = [f"{name}:{value}" for name, value in pairs if value is not None]
    connect = "\n".join(["CONNECT", *lines, "", ""]).encode() + b"\0"
    subscribe = reader.octets(b"SUBSCRIBE\nid:0\n<destination>\n\n\0")
    expected = [b"one", b"two"]
    sends = [reader.octets(b"SEND\n<destination>\n\n<body>\0", body=body) for body in expected]
    client.send_octets(connect + subscribe + b"\n".join(sends))
    came: list[bytes] = []
    while len(came) < len(expected) and (message := reader.message_or_none()):
        came.append(message.body)
    bench.judge("STOMP-WS-003", came == expected, expected="both messages", observed=came or "nothing")


def cuts(octets: bytes) -> dict[str, int]:
    """Offsets, in octets, at which a frame is cut, by the part of the frame that they lie in."""
    return {
        "command": 2,
        "name": octets.index(b"note") + 2,
        "colon": octets.index(b"note:") + 4,
        "value": octets.index(b"note:") + 6,
        "line-end": octets.index(b"\n"),
        "empty-line": octets.index(b"\n\n") + 1,
        "body": octets.index(b"\n\n") + 4,
        "nul": len(octets) - 1,
    }


@clauses("STOMP-WS-004")
@pytest.mark.parametrize("body", CUT_BODIES.values(), ids=CUT_BODIES)
def test_a_frame_over_several_text_messages(bench: Bench, body: bytes) -> None:
    """Send a frame in several text messages, cut anywhere but inside of a character; expect the message back."""
    loopback = Loopback(StompFixture(bench))
    octets = _to_be_cut(loopback, body)
    places = cuts(octets)
    if loopback.client.version != "1.0":
        places["escape"] = octets.index(b"\\c") + 1
    for place, cut in places.items():
        if not _holds_split(
            bench, loopback, [octets[:cut], octets[cut:]], body, f"cut in the {place}", apart=True
        ):
            return
    parts = [character.encode() for character in octets.decode()]
    _holds_split(bench, loopback, parts, body, "a message for each character")


@clauses("STOMP-WS-004")
@pytest.mark.parametrize("body", CUT_BODIES.values(), ids=CUT_BODIES)
def test_a_frame_over_several_binary_messages(bench: Bench, body: bytes) -> None:
    """Send a frame in several binary messages, cut also inside of characters; expect the message back."""
    fixture = StompFixture(bench)
    if not takes_binary(fixture):
        bench.skip("STOMP-WS-004", "the server takes no binary messages (STOMP-WS-007)")
        return
    loopback = Loopback(fixture)
    octets = _to_be_cut(loopback, body)
    cut = len(octets) - 2
    how = "in binary messages"
    if _holds_split(
        bench, loopback, [octets[:cut], octets[cut:]], body, f"cut near its end, {how}", binary=True
    ):
        _holds_split(
            bench, loopback, [bytes([octet]) for octet in octets], body, f"octet by octet, {how}", binary=True
        )


def _to_be_cut(loopback: Loopback, body: bytes) -> bytes:
    template = b"SEND\n<note>\n<destination>\n\n<body>\0"
    if b"\0" in body:
        template = b"SEND\n<note>\ncontent-length:<length>\n<destination>\n\n<body>\0"
    return loopback.octets(template, note=note_of(loopback.client.version), length=len(body), body=body)


def _holds_split(
    bench: Bench,
    loopback: Loopback,
    parts: list[bytes],
    body: bytes,
    how: str,
    *,
    binary: bool = False,
    apart: bool = False,
) -> bool:
    """Judge STOMP-WS-004 by a frame in these messages; `apart`: the server reads each before the next one is sent."""
    for part in parts:
        loopback.client.send_octets(part, binary=binary)
        if apart:
            let_read(loopback.client)
    message = loopback.message_or_none()
    note = "plain" if loopback.client.version == "1.0" else NOTE
    ok = message is not None and message.body == body and message.get("note") == note
    return bench.judge(
        "STOMP-WS-004", ok, expected=f"the message, {how}", observed=message.octets if message else "nothing"
    )


@clauses("STOMP-WS-005")
@pytest.mark.parametrize("ping", [None, b"between"], ids=["plain", "with-ping"])
@pytest.mark.parametrize("size", [1, 3, 40])
def test_a_fragmented_message_is_one_message(bench: Bench, size: int, ping: bytes | None) -> None:
    """Send a message in fragments, with a ping and a pong between them or none; expect the message back, and a pong.

    A client may send a pong that nobody asked for at any time.
    """
    loopback = Loopback(StompFixture(bench))
    octets = loopback.octets(
        b"SEND\n<note>\n<destination>\n\n<body>\0", note=note_of(loopback.client.version), body=BODY
    )
    parts = [octets[begin : begin + size] for begin in range(0, len(octets), size)]
    websocket = websocket_of(loopback.client)
    if ping is not None:
        websocket.send_frame(b"unasked", ABNF.OPCODE_PONG)
    websocket.send_fragments([*parts, b""], ping=ping, pong=ping)
    message = loopback.expect_message("STOMP-WS-005")
    bench.judge("STOMP-WS-005", message.body == BODY, expected="the message", observed=message.octets)
    if ping is not None:
        answered = ping in websocket_of(loopback.client).pongs or websocket_of(loopback.client).pong(b"again")
        bench.judge("STOMP-WS-005", answered, expected="a pong for the ping between", observed="none")


@clauses("STOMP-WS-005")
@pytest.mark.parametrize("key", [bytes(4), b"\xff" * 4, b"\0\0\0\1", b"DEST"], ids=bytes.hex)
def test_any_key_may_mask_a_frame(bench: Bench, key: bytes) -> None:
    """Send a message that is masked by zeros and by other keys; expect the message back."""
    loopback = Loopback(StompFixture(bench))
    octets = loopback.octets(b"SEND\n<destination>\n\n<body>\0", body=BODY)
    websocket_of(loopback.client).send_frame(octets, ABNF.OPCODE_TEXT, key=key)
    message = loopback.expect_message("STOMP-WS-005")
    bench.judge("STOMP-WS-005", message.body == BODY, expected="the message", observed=message.octets)


@clauses("STOMP-WS-008")
def test_octets_that_are_not_utf_8_never_go_as_text(bench: Bench) -> None:
    """Send bodies that are not UTF-8 at their beginning or behind much text in binary messages; expect them in binary
    messages, or not at all.
    """
    fixture = StompFixture(bench)
    if not takes_binary(fixture):
        bench.skip(
            "STOMP-WS-008", "the server takes no binary messages, so such a body can't be sent (STOMP-WS-007)"
        )
        return
    loopback = Loopback(fixture)
    for text in TEXT_BEFORE:
        body = b"x" * text + NOT_UTF_8
        loopback.send_octets(COUNTED, binary=True, length=len(body), body=body)
        message = loopback.message_or_none()  # the reader judges text that is not UTF-8
        ended = loopback.client.closed or ("ERROR" if loopback.client.errors else "")
        bench.judge("STOMP-WS-008", True, expected="no text", observed=message or ended or "nothing came")
        if ended or message is None:
            return


LINE_ENDS: dict[str, bytes] = {"lf": b"\n", "several": b"\n\n\n\n", "crlf": b"\r\n", "mixed": b"\n\r\n"}


@clauses("STOMP-WS-009")
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("ends", LINE_ENDS.values(), ids=LINE_ENDS)
def test_a_message_of_line_ends_is_a_heart_beat(bench: Bench, ends: bytes, binary: bool) -> None:
    """Send a message of nothing but line ends; expect no answer, and the session to stay open."""
    fixture = StompFixture(bench)
    if binary and not takes_binary(fixture):
        bench.skip("STOMP-WS-009", "the server takes no binary messages (STOMP-WS-007)")
        return
    client = fixture.client()
    if client.version != "1.2":
        ends = ends.replace(b"\r", b"")
    client.send_octets(ends, binary=binary)
    let_read(client)
    try:
        fixture.fence(client)
    except PeerFailure as failure:
        bench.judge(
            "STOMP-WS-009", False, expected=f"the session to go on after {ends!r}", observed=failure.observed
        )
        raise
    came = client.drain()
    bench.judge("STOMP-WS-009", not came, expected=f"no answer to {ends!r}", observed=came or "none")


@clauses("STOMP-WS-010")
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_an_empty_message(bench: Bench, binary: bool) -> None:
    """Send an empty message; record if it is ignored. The server may refuse it."""
    fixture = StompFixture(bench)
    client = fixture.client()
    client.send_octets(b"", binary=binary)
    try:
        fixture.fence(client)
        seen = "ignored"
    except PeerFailure as failure:
        seen = f"answered by {failure.observed}"
    bench.observe("STOMP-WS-010", f"an empty {'binary' if binary else 'text'} message is {seen}")


@clauses("STOMP-WS-016")
def test_octets_behind_the_nul(bench: Bench) -> None:
    """Send CONNECT; record if the server puts line ends behind the NUL of CONNECTED into the same message."""
    client = bench.stomp(connect=False)
    pairs = [("accept-version", bench.version), *bench.credentials().items()]
    client.frame("CONNECT", [(name, value) for name, value in pairs if value is not None])
    came = client.link.receive()
    if not isinstance(came, Message):
        raise PeerFailure("CONNECTED", came or "nothing")
    behind = came.octets.rpartition(b"\0")[2]
    bench.observe("STOMP-WS-016", f"{behind!r} follows the NUL" if behind else "nothing follows the NUL")
