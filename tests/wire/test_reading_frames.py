"""Reading of a server's frames: the end of the head, for all line ends and all cuts."""

from __future__ import annotations

import itertools

import pytest

from conformance.wire.frames import FrameSplitter

#: Line ends of the command line, the header line and the empty line.
LINE_ENDS = list(itertools.product([b"\n", b"\r\n"], repeat=3))
#: Bodies that begin like the end of a head.
BODIES = [
    b"",
    b"x",
    b"\n",
    b"\r\n",
    b"\n\n",
    b"\n\r\n",
    b"\r\n\r\n",
    b"x\n\nx",
    b"x\r\n\r\nx",
    b"\r",
    b"\r\r\n",
]


@pytest.mark.parametrize("ends", LINE_ENDS)
@pytest.mark.parametrize("body", BODIES)
def test_a_head_ends_at_the_first_empty_line(body: bytes, ends: tuple[bytes, ...]) -> None:
    """In 1.2 a line ends with LF or CR LF, and the body follows the empty line (STOMP-ABNF-001)."""
    octets = b"MESSAGE" + ends[0] + b"a:b" + ends[1] + ends[2] + body + b"\0"
    for cut in range(len(octets) + 1):
        splitter = FrameSplitter("1.2")
        frames = splitter.feed(octets[:cut]) + splitter.feed(octets[cut:])
        assert [(frame.command, frame.headers, frame.body) for frame in frames] == [
            ("MESSAGE", (("a", "b"),), body)
        ]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("body", BODIES)
def test_a_cr_ends_no_line_before_1_2(body: bytes, version: str) -> None:
    """In 1.0 and 1.1 a line ends with LF alone."""
    octets = b"MESSAGE\na:b\n\n" + body + b"\0"
    for cut in range(len(octets) + 1):
        splitter = FrameSplitter(version)
        frames = splitter.feed(octets[:cut]) + splitter.feed(octets[cut:])
        assert [frame.body for frame in frames] == [body]
