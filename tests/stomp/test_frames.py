"""Frames: octets, escapes, bounds (STOMP-ABNF, STOMP-FRAME, STOMP-ENC, STOMP-CLEN, STOMP-LIMIT)."""

import pytest

from reference_server.stomp import StompLimits
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.escapes import escape, unescape
from reference_server.stomp.frame import Frame, FrameReader

SMALL = StompLimits(headers=3, header_line_bytes=40, header_bytes=80, body_bytes=20)


def reader(version: str = "1.2", limits: StompLimits | None = None, *, lenient: bool = False) -> FrameReader:
    made = FrameReader(limits or StompLimits(), lenient=lenient)
    made.version = version
    return made


def only(octets: bytes, version: str = "1.2", *, lenient: bool = False) -> Frame:
    made = reader(version, lenient=lenient)
    frames = made.feed(octets)
    assert made.error is None, made.error
    assert not made.incomplete
    assert len(frames) == 1
    return frames[0]


def fault(octets: bytes, version: str = "1.2", limits: StompLimits | None = None) -> ProtocolError:
    made = reader(version, limits)
    assert made.feed(octets) == []
    assert made.error is not None
    assert made.feed(b"SEND\n\n\0") == [], "reads on after a fault"
    return made.error


FRAME = b"SEND\ndestination:/queue/a\n\nhello\0"
PARSED = Frame("SEND", {"destination": "/queue/a"}, b"hello")


def test_lf_ends_lines() -> None:
    """LF alone ends the command line and every header line (STOMP-FRAME-001)."""
    assert only(FRAME) == PARSED


@pytest.mark.parametrize(
    "ends", [(b"\r\n",) * 3, (b"\n", b"\r\n", b"\n"), (b"\n", b"\n", b"\r\n"), (b"\r\n", b"\n", b"\n")]
)
def test_cr_lf_ends_lines_in_1_2(ends: tuple[bytes, ...]) -> None:
    """CR LF ends lines as LF does, also mixed within a frame (STOMP-FRAME-002)."""
    assert only(b"SEND%bdestination:/queue/a%b%bhello\0" % ends) == PARSED


def test_cr_lf_in_the_body_is_body() -> None:
    """A frame with CR LF line ends keeps its body unchanged (STOMP-SEND-005)."""
    assert only(b"SEND\r\na:b\r\n\r\nx\n\ny\r\n\r\n\0").body == b"x\n\ny\r\n\r\n"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_cr_belongs_to_the_value_before_1_2(version: str) -> None:
    """In 1.0 and 1.1 CR is an ordinary octet of a header (STOMP-FRAME-009)."""
    assert only(b"SEND\na:b\r\nc:d\re\n\n\r\n\0", version) == Frame(
        "SEND", {"a": "b\r", "c": "d\re"}, b"\r\n"
    )


def test_cr_without_lf_is_malformed_in_1_2() -> None:
    """A CR without LF makes the frame malformed (STOMP-FRAME-009)."""
    assert fault(b"SEND\nfoo:a\rb\nreceipt:r\n\n\0").receipt == "r"


@pytest.mark.parametrize("eols", [b"\n", b"\r\n", b"\n\r\n\n", b"\n" * 100_000])
def test_eols_between_frames_mean_nothing(eols: bytes) -> None:
    """Any number of EOLs may stand before, between and after frames (STOMP-ABNF-005, STOMP-FRAME-011)."""
    made = reader()
    assert made.feed(eols + FRAME + eols + FRAME + eols) == [PARSED, PARSED]
    assert not made.incomplete


def test_a_frame_without_headers() -> None:
    """A frame with no headers at all is well formed (STOMP-FRAME-003)."""
    assert only(b"DISCONNECT\n\n\0") == Frame("DISCONNECT", {}, b"")


@pytest.mark.parametrize(
    "octets", [b"DISCONNECT\nreceipt:1\n\0", b"DISCONNECT\0", b"\0", b"DISCONNECT\n\0\n\n\0"]
)
def test_nul_before_the_empty_line(octets: bytes) -> None:
    """A NUL before the empty line does not end a frame (STOMP-FRAME-004)."""
    assert fault(octets).receipt == ("1" if b"receipt" in octets else None)


@pytest.mark.parametrize(
    "octets",
    [b"DISCONNECT\nreceipt:77\n\0\n", b"DISCONNECT\r\nreceipt:77\r\n\0\n", b"DISCONNECT\nreceipt:77\0"],
)
def test_a_lenient_reader_does_without_the_empty_line(octets: bytes) -> None:
    """The DISCONNECT of stomper is accepted on the endpoints of the sample clients.

    QSTOMP-STOMPER-2.
    """
    assert only(octets, "1.1", lenient=True) == Frame("DISCONNECT", {"receipt": "77"}, b"")


def test_pipelined_frames() -> None:
    """Octets after the NUL belong to the next frame (STOMP-FRAME-005)."""
    assert reader().feed(FRAME * 3) == [PARSED] * 3


@pytest.mark.parametrize("octets", [b"SEND\njunk\n\n\0", b"SEND\n:v\n\n\0", b"SEND\na:b\n:\n\n\0"])
def test_malformed_header_lines(octets: bytes) -> None:
    """A line without a colon or without a name makes the frame malformed.

    STOMP-FRAME-010, STOMP-ABNF-003.
    """
    fault(octets)


def test_an_empty_value() -> None:
    """A header value may be empty (STOMP-ABNF-003)."""
    assert only(b"SEND\nempty:\n\n\0").headers == {"empty": ""}


def test_blanks_stay() -> None:
    """Blanks around names and values are kept (STOMP-ENC-008)."""
    assert only(b"SEND\nfoo:  pad  \n bar :x\n\n\0").headers == {"foo": "  pad  ", " bar ": "x"}


def test_the_first_of_repeated_headers_holds() -> None:
    """The first of several headers with one name gives the value, after decoding (STOMP-REPEAT-001)."""
    assert only(b"SEND\na:1\na:2\n\n\0").headers == {"a": "1"}
    assert only(b"SEND\na\\cb:1\na\\cb:2\nreceipt:x\n\n\0").headers == {"a:b": "1", "receipt": "x"}


def test_octets_that_are_not_utf_8() -> None:
    """Commands and headers are UTF-8 (STOMP-ENC-001)."""
    assert fault(b"SEND\nreceipt:7\nfoo:\xff\xfe\n\n\0").receipt == "7"


@pytest.mark.parametrize(
    ("version", "escaped", "plain"),
    [
        ("1.2", r"a\cb\nc\\d\re", "a:b\nc\\d\re"),
        ("1.1", r"a\cb\nc\\d", "a:b\nc\\d"),
        ("1.2", r"\\n\\c\\\\r", r"\n\c\\r"),
        ("1.0", r"a\cb\t", r"a\cb\t"),
    ],
)
def test_escapes(version: str, escaped: str, plain: str) -> None:
    """Each version has its escapes, decoded in one pass; encoding is the inverse.

    STOMP-ENC-002, -004, -009.
    """
    assert unescape(escaped, version) == plain
    assert escape(plain, version) == escaped


def test_raw_cr_is_not_escaped_in_1_1() -> None:
    """1.1 has no escape for CR, which is an ordinary octet there (STOMP-ENC-004)."""
    assert escape("a\rb", "1.1") == "a\rb"


def test_names_are_escaped_too() -> None:
    """Escapes apply to names and values (STOMP-ENC-007)."""
    assert only(b"SEND\nn\\cam\\\\e:v\\c\n\n\0").headers == {"n:am\\e": "v:"}


@pytest.mark.parametrize(
    ("version", "text"), [("1.2", r"a\tb"), ("1.2", "abc\\"), ("1.1", r"a\r"), ("1.2", "a\\\\\\")]
)
def test_undefined_escapes(version: str, text: str) -> None:
    """An undefined escape or a lone backslash is fatal (STOMP-ENC-003)."""
    assert fault(f"SEND\nreceipt:r\\c1\nfoo:{text}\n\n\0".encode(), version).receipt == "r:1"
    fault(f"SEND\n{text}:foo\n\n\0".encode(), version)


def test_connect_is_taken_literally() -> None:
    """Headers of CONNECT are not unescaped and are split at the first colon (STOMP-ENC-005)."""
    made = FrameReader(StompLimits())
    (frame,) = made.feed(b"CONNECT\naccept-version:1.2\npasscode:a\\tb:c:d\n\n\0")
    assert frame.headers["passcode"] == "a\\tb:c:d"


def test_the_version_holds_from_the_frame_after_connect() -> None:
    """Frames after CONNECT in the same octets are read by the rules of the negotiated version.

    STOMP-NEG-002.
    """
    for version, plain in (("1.0", r"a\cb"), ("1.1", "a:b"), ("1.2", "a:b")):
        made = FrameReader(StompLimits())
        _, frame = made.feed(b"CONNECT\naccept-version:%b\n\n\0SEND\nx:a\\cb\n\n\0" % version.encode())
        assert made.version == version
        assert frame.headers == {"x": plain}


def test_equal_heads_are_read_by_their_own_version() -> None:
    """The memo of heads does not outlast CONNECT (STOMP-NEG-002)."""
    made = FrameReader(StompLimits(), lenient=True)
    before, _, after = made.feed(b"SEND\nx:a\\cb\n\n\0CONNECT\naccept-version:1.2\n\n\0SEND\nx:a\\cb\n\n\0")
    assert (before.headers["x"], after.headers["x"]) == (r"a\cb", "a:b")


def test_a_counted_body_holds_nul() -> None:
    """The body is the counted octets, NULs included (STOMP-CLEN-001)."""
    assert only(b"SEND\ncontent-length:5\n\na\0b\0c\0").body == b"a\0b\0c"


def test_without_content_length_the_first_nul_ends() -> None:
    """Without content-length the body ends at the first NUL (STOMP-CLEN-007)."""
    made = reader()
    (frame,) = made.feed(b"SEND\na:b\n\nhe\0llo\0")
    assert frame.body == b"he"
    assert made.error is not None


def test_no_nul_after_the_counted_body() -> None:
    """The NUL must follow the counted octets (STOMP-CLEN-002)."""
    assert fault(b"SEND\nreceipt:r\ncontent-length:3\n\nhello\0").receipt == "r"
    made = reader()
    assert made.feed(b"SEND\ncontent-length:3\n\nhe") == []
    assert made.feed(b"llo\0") == []
    assert made.error is not None


@pytest.mark.parametrize("value", ["abc", "-1", "1e3", "+5", "", " 5 ", "\u0665", "9" * 30])
def test_content_length_must_be_a_plain_number(value: str) -> None:
    """A content-length with anything but decimal digits is refused (STOMP-CLEN-009)."""
    fault(f"SEND\ncontent-length:{value}\n\nhello\0".encode())


def test_content_length_counts_on_every_frame() -> None:
    """content-length is honoured in every command (STOMP-CLEN-008)."""
    assert only(b"SUBSCRIBE\ncontent-length:0\n\n\0").body == b""
    assert only(b"BEGIN\ncontent-length:3\n\na\0b\0").body == b"a\0b"


def test_any_chunking() -> None:
    """Frames do not depend on how their octets are grouped (STOMP-FRAME-006)."""
    octets = b"\r\nSEND\r\na:\xc3\xa4\\c\r\ncontent-length:3\r\n\r\nx\0y\0\n" + FRAME
    whole = reader().feed(octets)
    assert len(whole) == 2
    for cut in range(len(octets)):
        made = reader()
        assert made.feed(octets[:cut]) + made.feed(octets[cut:]) == whole
    made = reader()
    assert [frame for octet in octets for frame in made.feed(bytes([octet]))] == whole


@pytest.mark.parametrize(
    "octets",
    [
        b"SEND\n" + b"a:b\n" * 4 + b"\n\0",
        b"SEND\na:" + b"x" * 39 + b"\n\n\0",
        b"S" * 41 + b"\n\n\0",
        b"SEND\na:" + b"x" * 30 + b"\nb:" + b"x" * 30 + b"\nc:" + b"x" * 30 + b"\n\n\0",
        b"SEND" * 21,
        b"SEND\n\n" + b"x" * 21 + b"\0",
        b"SEND\n\n" + b"x" * 21,
        b"SEND\ncontent-length:21\n\n",
        b"SEND\ncontent-length:21\n\n" + b"x" * 21 + b"\0",
    ],
    ids=["headers", "line", "command", "head", "open head", "body", "open body", "announced", "counted"],
)
def test_bounds(octets: bytes) -> None:
    """A frame over a bound is refused, before its end if possible.

    STOMP-LIMIT-001 to -004.
    """
    fault(octets, limits=SMALL)


def test_at_the_bounds() -> None:
    """A frame at the bounds is read, whole or octet by octet (STOMP-LIMIT-001 to -003)."""
    for octets in (
        b"SEND\n" + b"a:b\n" * 3 + b"\n\0",
        b"SEND\na:" + b"x" * 38 + b"\n\n\0",
        b"SEND\n\n" + b"x" * 20 + b"\0",
        b"SEND\ncontent-length:20\n\n" + b"x" * 20 + b"\0",
    ):
        assert len(reader(limits=SMALL).feed(octets)) == 1
        made = reader(limits=SMALL)
        assert sum(len(made.feed(bytes([octet]))) for octet in octets) == 1


def test_a_body_over_the_bound_in_pieces() -> None:
    """A body that exceeds the bound is refused before its NUL (STOMP-LIMIT-003)."""
    made = reader(limits=SMALL)
    made.feed(b"SEND\nreceipt:r\n\n")
    for _ in range(21):
        assert made.error is None
        made.feed(b"x")
    assert made.error is not None
    assert made.error.receipt == "r"


def test_a_lenient_reader_knows_no_empty_head_after_connect() -> None:
    """A NUL alone is a frame without a command, also where CONNECT was the frame before it."""
    reader = FrameReader(StompLimits(), lenient=True)
    frames = reader.feed(b"SEND\na:b\n\n\0CONNECT\n\n\0\0")
    assert [frame.command for frame in frames] == ["SEND", "CONNECT", ""]
