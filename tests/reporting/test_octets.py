"""Octets of the wire as text: readable, safe, without the passcode."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.reporting.octets import (
    clipped,
    entry_lines,
    one_line,
    printable,
    readable,
    wire_lines,
    without_passcode,
)
from conformance.wire.trace import TraceEntry
from tests.reporting.samples import CONNECT, FRAMES, SECRET, frame


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"SEND\n\nbody\0", "SEND\n\nbody^@"),
        (b"a\r\tb", "a^M^Ib"),
        (b"\x1b[2J\x7f", "^[[2J^?"),
        (b"\xff\xc3\x28", "<ff><c3>("),
        ("Grüße 日本 👍".encode(), "Grüße 日本 👍"),
        ("\u202egnp.exe\u200b\u00a0\u0085".encode(), "<U+202E>gnp.exe<U+200B><U+00A0><U+0085>"),
        (rb"a\cb\\", r"a\cb\\"),
        (b"", ""),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(octets: bytes, text: str):
    assert readable(octets) == text


@given(st.binary())
def test_any_octets_become_text_that_can_be_seen(octets: bytes):
    assert all(character == "\n" or character.isprintable() for character in readable(octets))
    readable(octets).encode("utf-8")


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_becomes_text_that_can_be_seen(text: str):
    assert all(character == "\n" or character.isprintable() for character in printable(text))
    assert "\n" not in one_line(text)


@pytest.mark.parametrize(
    ("kind", "octets", "lines"),
    [
        ("stomp", b"SEND\na:b\n\nx\0", ["SEND", "a:b", "", "x^@"]),
        ("stomp", b"SEND\r\n\r\n\0\n", ["SEND^M", "^M", "^@^J"]),
        ("stomp", b"\n", ["^J"]),
        ("stomp", b"\n" * 3, ["^J^J^J"]),
        ("stomp", b"\n" * 100, ["^J^J^J…"]),
        ("stomp", b"\r\n", ["^M^J"]),
        ("stomp", b"", [""]),
        ("http", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", ["GET / HTTP/1.1", "Host: a"]),
        ("http", b"HTTP/1.1 200 OK\r\n\r\n{}", ["HTTP/1.1 200 OK", "", "{}"]),
        ("ws", b"ping \x00\x01", ["ping ^@^A"]),
    ],
)
def test_an_entry_is_shown_line_by_line(kind, octets: bytes, lines: list[str]):
    assert entry_lines(frame(0.0, "c", ">", kind, octets)) == lines


def test_an_entry_that_was_not_kept_whole_says_so():
    assert entry_lines(TraceEntry(0.0, "c", "<", "stomp", b"abc", 1000)) == ["abc", "… and 997 octets more"]


@pytest.mark.parametrize(("most", "kept"), [(4, 3), (3, 3), (2, 1), (1, 0)])
def test_long_listings_are_clipped(most: int, kept: int):
    found = clipped(["a", "b", "c"], most)
    assert found[:kept] == ["a", "b", "c"][:kept]
    assert len(found) == min(most, 3)
    if kept < 3:
        assert found[-1] == f"… and {3 - kept} lines more"


def test_the_trace_as_text_has_times_connections_and_directions():
    lines = wire_lines(FRAMES)
    assert lines[0] == "    0.001 ws-1 > CONNECT"
    assert lines[1] == "                 accept-version:1.2"
    assert "    0.002 ws-1 < CONNECTED" in lines
    assert "    1.250 http-1 > GET / HTTP/1.1" in lines


def test_the_passcode_is_hidden_where_it_is_one():
    entries = [
        frame(0.0, "c", ">", "stomp", CONNECT),
        frame(0.0, "c", ">", "stomp", b"SEND\n\n" + SECRET.encode()),
    ]
    hidden = without_passcode(entries, SECRET)
    assert SECRET.encode() not in hidden[0].octets
    assert b"\npasscode:(hidden)\n" in hidden[0].octets
    assert hidden[0].size == len(hidden[0].octets), "nothing is missing"
    assert hidden[1] is entries[1]


@pytest.mark.parametrize("passcode", [None, "", "another"])
def test_without_a_passcode_of_the_target_all_is_shown(passcode: str | None):
    assert without_passcode(FRAMES, passcode) == FRAMES
