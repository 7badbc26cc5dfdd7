"""Bounds and strictness of what the suite reads from a server, without a server."""

from __future__ import annotations

import http.client
import io
import struct

import pytest
import websocket

from conformance.wire import json_values
from conformance.wire.failures import PeerFailure, TooLong
from conformance.wire.frames import CONNECTED_HEAD_LIMIT, FRAME_LIMIT, FrameSplitter
from conformance.wire.http_body import read_body
from conformance.wire.websocket_frames import FRAGMENTS_LIMIT, MESSAGE_LIMIT, FrameReader, MessageAssembly


def response_of(octets: bytes) -> http.client.HTTPResponse:
    """A reply whose head has been read."""

    class Source:
        def makefile(self, mode: str) -> io.BufferedReader:
            return io.BufferedReader(io.BytesIO(octets))

    response = http.client.HTTPResponse(Source(), method="POST")  # type: ignore[arg-type]
    response.begin()
    return response


def body_of(head: bytes, body: bytes, limit: int = 1000) -> bytes:
    return read_body(response_of(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body), "a reply", limit)


@pytest.mark.parametrize(
    ("head", "body", "expected"),
    [
        (b"Content-Length: 5", b"hello, and more", b"hello"),
        (b"Connection: close", b"hello", b"hello"),
        (b"Transfer-Encoding: chunked", b"3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nx: y\r\n\r\n", b"hello"),
        (b"Transfer-Encoding: chunked", b"-5\r\nhello\r\n0\r\n\r\n", None),
        (b"Transfer-Encoding: chunked", b"0x5\r\nhello\r\n0\r\n\r\n", None),
        (b"Transfer-Encoding: chunked", b"1_0\r\nhello\r\n0\r\n\r\n", None),
        (b"Transfer-Encoding: chunked", b"5\r\nhelloworld\r\n0\r\n\r\n", None),
        (b"Transfer-Encoding: chunked", b"7fffffffffffffff\r\nhello", None),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n", None),
        (b"Content-Length: -5", b"hello", None),
        (b"Content-Length: five", b"hello", None),
        (b"Content-Length: 9", b"hello", None),
        (b"Content-Length: 5, 5", b"hello, and more", b"hello"),
        (b"Content-Length: 5\r\nContent-Length: 05", b"hello, and more", b"hello"),
        (b"Content-Length: 5, 6", b"hello!", None),
        (b"Content-Length: 5\r\nContent-Length: 6", b"hello!", None),
        (b"Content-Length: 0\r\nContent-Length: 5", b"hello", None),
        (b"Content-Length: ", b"hello", None),
        (b"Content-Length: " + b"9" * 5000, b"hello", None),
        (b"Content-Length: " + b"0" * 5000 + b"5", b"hello, and more", b"hello"),
        (b"Content-Length: 1001", b"x" * 1001, None),
        (b"Connection: close", b"x" * 1001, None),
    ],
)
def test_a_body_is_read_strictly(head: bytes, body: bytes, expected: bytes | None) -> None:
    if expected is not None:
        assert body_of(head, body) == expected
        return
    with pytest.raises(PeerFailure):
        body_of(head, body)


def test_a_reply_without_a_body_may_have_any_length() -> None:
    assert read_body(response_of(b"HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n"), "a reply") == b""


@pytest.mark.parametrize(
    "octets",
    [
        b"[" * 200_000,
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b"[" * 65 + b"]" * 65,
        b"[" + b"{}," * 500_000 + b"1]",
    ],
)
def test_json_that_is_too_deep_or_too_large_is_too_long(octets: bytes) -> None:
    with pytest.raises(TooLong):
        json_values.decoded(octets)


def test_other_json_is_decoded() -> None:
    assert json_values.decoded(b"[" * 64 + b"]" * 64) is not None
    assert json_values.decoded(b"[" + b"[1]," * 1000 + b"1]")[-1] == 1
    assert json_values.decoded(b"[1") is None
    assert json_values.decoded(b"9" * 100_000) is None
    assert json_values.decoded(b"\xff") is None


def reader_of(octets: bytes) -> FrameReader:
    return FrameReader(io.BytesIO(octets).read)


@pytest.mark.parametrize(
    "octets",
    [
        b"\x81\x81abcdx",  # masked
        b"\xc1\x01x",  # a reserved bit
        b"\x83\x01x",  # an unknown opcode
        b"\x09\x01x",  # a ping in fragments
        b"\x89\x7e\x00\x7e" + b"x" * 126,  # a long ping
    ],
)
def test_a_malformed_frame_is_refused_by_its_first_octets(octets: bytes) -> None:
    with pytest.raises(websocket.WebSocketProtocolException):
        reader_of(octets[:2]).read()


def test_a_frame_is_refused_by_its_length() -> None:
    for length in (MESSAGE_LIMIT + 1, 2**63 - 1):
        with pytest.raises(TooLong):
            reader_of(b"\x81\x7f" + struct.pack("!Q", length)).read()


def test_a_frame_is_read_on_after_a_deadline() -> None:
    pieces = [b"\x81", TimeoutError(), b"\x03", b"ab", TimeoutError(), b"c"]

    def receive(size: int) -> bytes:
        piece = pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece

    reader = FrameReader(receive)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            reader.read()
    assert reader.read().data == b"abc"


def test_fragments_without_end_are_refused() -> None:
    assembly = MessageAssembly()
    first, more = reader_of(b"\x01\x00").read(), reader_of(b"\x00\x00").read()
    assert assembly.add(first) is None
    for _ in range(FRAGMENTS_LIMIT - 1):
        assembly.add(more)
    with pytest.raises(TooLong):
        assembly.add(more)


def test_fragments_are_joined() -> None:
    assembly = MessageAssembly()
    assert assembly.add(reader_of(b"\x01\x01a").read()) is None
    assert assembly.add(reader_of(b"\x80\x01b").read()) == (1, b"ab")


@pytest.mark.parametrize(
    "octets",
    [
        b"CONNECTED\n" + b"a:b\n" * (CONNECTED_HEAD_LIMIT // 4),
        b"MESSAGE\na:" + b"x" * FRAME_LIMIT,
        b"MESSAGE\n\n" + b"x" * FRAME_LIMIT,
        b"MESSAGE\n" + b"a:b\n" * 400_000,
        b"MESSAGE\n\n\0" * 100_000,
    ],
)
def test_frames_have_bounds_and_nothing_is_kept_beyond(octets: bytes) -> None:
    splitter = FrameSplitter("1.2")
    with pytest.raises(TooLong):
        splitter.feed(octets)
    assert splitter.unfinished == b""
