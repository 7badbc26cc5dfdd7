"""Header text on the wire: UTF-8 and escape pairs (STOMP-ENC-*, STOMP-ABNF-004)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.attempts import connect_lines
from conformance.suite.stomp.delivered_frames import expect_body, expect_headers
from conformance.suite.stomp.frame_template import fill
from conformance.suite.stomp.loopback import Loopback, expect_malformed_send
from conformance.suite.stomp.reactions import expect_malformed
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.encoding import escape
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: Characters of two, three and four octets, and a letter that has two spellings in Unicode.
WIDE = "größe-日本語-🙂-e\u0301"
#: Texts with the octets that need a pair in both versions.
SPECIAL = {
    "colon": "a:b",
    "lf": "a\nb",
    "lf last": "a\n",
    "backslash": "a\\b",
    "all": "::\n\\\n:",
    "only": "\\",
}
#: Texts that look like escape pairs; a decoder of several passes decodes them twice.
LOOKS_LIKE_PAIRS = ["\\n", "\\c", "\\r", "\\\\n", "\\\\c", "a\\\\\\nb", "\\\\\\\\", "\\:n", ":\\c\\"]


def special_texts(version: str) -> list[str]:
    """Texts with the octets that a version escapes; a lone CR only in 1.2, since 1.1 can't write it."""
    return [*SPECIAL.values(), *(["a\rb", "a\r", "\r\n:\\"] if version == "1.2" else [])]


def line_of(name: str, value: str, version: str) -> bytes:
    """The header line by the grammar of the version, without its end."""
    return f"{escape(name, version)}:{escape(value, version)}".encode()


def lines_of(frame: Frame) -> list[bytes]:
    """The header lines of a frame as they were on the wire."""
    head = frame.octets.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    return head.split(b"\n")[1:]


def expect_headers_back(loopback: Loopback, clause: str, headers: list[tuple[str, str]]) -> Frame:
    """SEND with these headers; the MESSAGE. Judges that it has the headers unchanged."""
    loopback.send(headers, "body")
    message = loopback.expect_message(clause, expected=f"the message with {headers}")
    expect_headers(loopback.fixture.bench, clause, message, headers)
    return message


@clauses("STOMP-ENC-001")
@pytest.mark.parametrize("where", ["receipt", "subscription", "header"])
def test_headers_are_utf_8(bench: Bench, where: str) -> None:
    """Send a header with characters of two to four octets; expect the same text in RECEIPT or MESSAGE."""
    _expect_text_back(StompFixture(bench), "STOMP-ENC-001", where, WIDE)


@clauses("STOMP-ENC-002")
@pytest.mark.parametrize("where", ["receipt", "subscription", "header"])
def test_escape_pairs_are_decoded(bench: Bench, where: str) -> None:
    r"""Send `note:a\cb\nc\\d`, or such text as `receipt` or `id`; expect the decoded text in RECEIPT or MESSAGE."""
    fixture = StompFixture(bench)
    for text in special_texts(bench.version):
        end_attempt = fixture.begin_attempt()
        _expect_text_back(fixture, "STOMP-ENC-002", where, text)
        end_attempt()


@clauses("STOMP-ENC-002")
def test_an_escaped_destination_is_the_same_wherever_it_stands(bench: Bench) -> None:
    r"""Send SUBSCRIBE and SEND with `destination:…\cx`, if the server accepts the name; expect the MESSAGE."""
    fixture = StompFixture(bench)
    client, plain = fixture.client(), fixture.topic()
    destination = type(plain)(f"{plain.name}:x", plain.is_queue, plain.headers)
    try:
        subscription = fixture.subscribe(client, destination)
        fixture.fence(client)
    except PeerFailure as failure:
        bench.skip("STOMP-ENC-002", f"the server refuses a destination with a colon ({failure.observed})")
        return
    fixture.send(fixture.client(), destination, "body")
    fixture.expect_message(
        subscription, "STOMP-ENC-002", expected="the message at the destination with a colon"
    )
    bench.judge("STOMP-ENC-002", True, expected="delivered", observed="delivered")


def _expect_text_back(fixture: StompFixture, clause: str, where: str, text: str) -> None:
    bench = fixture.bench
    if where == "header":
        expect_headers_back(Loopback(fixture), clause, [("note", text)])
        return
    if where == "receipt" and not fixture.has_receipts:
        bench.skip(clause, "the server grants no receipts")
        return
    client, destination = fixture.client(), fixture.topic()
    if where == "receipt":
        fixture.send(client, destination, "body", receipt=text)
        frame = _expect_frame(fixture, clause, client, "RECEIPT", f"a RECEIPT for {text!r}")
        came = frame.get("receipt-id")
    else:
        subscription = fixture.subscribe(client, destination, id=text)
        fixture.fence(client)
        fixture.send(fixture.client(), subscription.destination, "body")
        frame = _expect_frame(fixture, clause, client, "MESSAGE", f"a MESSAGE for subscription {text!r}")
        came = frame.get("subscription")
    bench.judge(
        clause, came == text, expected=f"{text!r} as it was sent", observed=f"{came!r} in {frame.octets!r}"
    )


def _expect_frame(
    fixture: StompFixture, clause: str, client: StompClient, command: str, expected: str
) -> Frame:
    try:
        return client.expect(command)
    except PeerFailure as failure:
        fixture.bench.judge(clause, False, expected=expected, observed=failure.observed)
        raise


@clauses("STOMP-ENC-003")
@pytest.mark.parametrize(
    "line",
    [
        b"foo:a\\tb",
        b"foo:\\x",
        b"foo:a\\Nb",
        b"foo:\\\\\\",
        b"foo:abc\\",
        b"f\\too:a",
        b"foo\\:a",
        b"foo:a\\rb",
    ],
    ids=repr,
)
def test_undefined_escapes_are_malformed(bench: Bench, line: bytes) -> None:
    r"""Send a SEND with `foo:a\tb`, or another undefined pair; expect the end of the connection, and no MESSAGE."""
    if line == b"foo:a\\rb" and bench.version == "1.2":
        line = b"foo:a\\Rb"  # the pair for CR is defined since 1.2
    expect_malformed_send(
        StompFixture(bench),
        "STOMP-ENC-003",
        b"SEND\nreceipt:<receipt>\n<line>\n<destination>\n\n<body>\0",
        line=line,
        expected=f"{line!r} has an undefined escape",
    )


@clauses("STOMP-ENC-003")
def test_undefined_escapes_are_malformed_on_every_frame(bench: Bench) -> None:
    r"""Send a SUBSCRIBE with `unused:a\tb`; expect the end of the connection, and no RECEIPT."""
    fixture = StompFixture(bench)
    destination, receipt = fixture.topic(), fixture.new_receipt()

    def provoke() -> StompClient:
        client = fixture.client()
        client.send_octets(
            fill(
                b"SUBSCRIBE\nid:0\nreceipt:<receipt>\ndestination:<name>\nunused:a\\tb\n\n\0",
                receipt=receipt,
                name=destination.name,
            )
        )
        return client

    expect_malformed(
        fixture, "STOMP-ENC-003", provoke, receipt, expected="an undefined escape in a SUBSCRIBE"
    )


@clauses("STOMP-ENC-004", "STOMP-ABNF-004")
def test_a_message_has_one_pair_for_each_octet_that_needs_it(bench: Bench) -> None:
    """Send `note` with colon, LF and backslash; expect each as exactly one pair on the wire of the MESSAGE."""
    loopback = Loopback(StompFixture(bench))
    for text in [*special_texts(bench.version), WIDE]:
        message = expect_headers_back(loopback, "STOMP-ENC-004", [("note", text)])
        _judge_wire(bench, message, "note", text)


@clauses("STOMP-ENC-004", "STOMP-ABNF-004")
def test_a_receipt_has_one_pair_for_each_octet_that_needs_it(bench: Bench) -> None:
    """Send `receipt` with colon, LF and backslash; expect each as exactly one pair in the `receipt-id` on the wire."""
    fixture = StompFixture(bench)
    if not fixture.has_receipts:
        bench.skip("STOMP-ENC-004", "the server grants no receipts")
        bench.skip("STOMP-ABNF-004", "the server grants no receipts")
        return
    client, destination = fixture.client(), fixture.topic()
    for text in special_texts(bench.version):
        fixture.send(client, destination, "body", receipt=text)
        receipt = _expect_frame(fixture, "STOMP-ENC-004", client, "RECEIPT", f"a RECEIPT for {text!r}")
        _judge_wire(bench, receipt, "receipt-id", text)


def _judge_wire(bench: Bench, frame: Frame, name: str, text: str) -> None:
    written = line_of(name, text, bench.version)
    bench.judge(
        "STOMP-ENC-004",
        written in lines_of(frame),
        expected=f"the header line {written!r}",
        observed=frame.octets,
    )
    # Raw colons, and in 1.2 raw CRs, would have raised BadFrame: the reader takes them only in CONNECTED.
    bench.judge("STOMP-ABNF-004", True, expected="no raw octet that has a pair", observed=frame.octets)


@clauses("STOMP-ENC-005")
@pytest.mark.parametrize("line", ["x:a\\tb", "x:abc\\", "a\\tb:x", "x:a:b\\c"], ids=repr)
@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
def test_connect_is_taken_literally(bench: Bench, command: str, line: str) -> None:
    r"""Send `CONNECT\n…\nx:a\tb\n\n\0`; expect CONNECTED, as CONNECT has no escapes."""
    if command == "STOMP" and bench.version != "1.2":
        command = "CONNECT"  # a server of 1.1 need not know the command STOMP
    client = bench.stomp(connect=False)
    client.send_octets(
        fill(b"<command>\n<headers>\n<line>\n\n\0", command=command, headers=connect_lines(bench), line=line)
    )
    try:
        connected = client.expect("CONNECTED")
    except PeerFailure as failure:
        bench.judge("STOMP-ENC-005", False, expected=f"CONNECTED for {line!r}", observed=failure.observed)
        raise
    bench.judge("STOMP-ENC-005", True, expected="CONNECTED", observed=connected.octets)


@clauses("STOMP-ENC-005")
def test_login_and_passcode_are_taken_literally(bench: Bench) -> None:
    """Send a passcode with a colon or backslash unescaped, if the target's has one; expect CONNECTED."""
    passcode = bench.target.passcode or ""
    if not set(passcode) & {":", "\\"}:
        bench.skip("STOMP-ENC-005", "the passcode of the target holds neither a colon nor a backslash")
        return
    client = bench.stomp(connect=False)
    client.send_octets(fill(b"CONNECT\n<headers>\n\n\0", headers=connect_lines(bench)))
    connected = _expect_frame(
        StompFixture(bench), "STOMP-ENC-005", client, "CONNECTED", "CONNECTED for the right passcode"
    )
    bench.judge("STOMP-ENC-005", True, expected="CONNECTED", observed=connected.octets)


@clauses("STOMP-ENC-006")
def test_connected_is_written_literally(bench: Bench) -> None:
    r"""Send CONNECT; expect no `\c` and no `\n` pair in CONNECTED."""
    connected = StompFixture(bench).client().connected
    assert connected is not None
    bench.judge(
        "STOMP-ENC-006",
        not any(pair in connected.octets for pair in (b"\\c", b"\\n")),
        expected="no escape pairs in CONNECTED",
        observed=connected.octets,
    )


@clauses("STOMP-ENC-007")
def test_names_are_escaped_like_values(bench: Bench) -> None:
    """Send header names with colon, LF and backslash; expect each as exactly one pair in the MESSAGE."""
    loopback = Loopback(StompFixture(bench))
    for number, text in enumerate(special_texts(bench.version)):
        name = f"n{number}{text}e"
        message = expect_headers_back(loopback, "STOMP-ENC-007", [(name, "value")])
        written = line_of(name, "value", bench.version)
        bench.judge(
            "STOMP-ENC-007",
            written in lines_of(message),
            expected=f"the header line {written!r}",
            observed=message.octets,
        )


@clauses("STOMP-ENC-008")
def test_blanks_around_names_and_values_stay(bench: Bench) -> None:
    """Send `note:  pad  `, ` before:x` and `after :x`; expect the same blanks in the MESSAGE."""
    loopback = Loopback(StompFixture(bench))
    loopback.send_octets(
        b"SEND\nnote:  pad  \n before:x\nafter :x\ntab:\tx\t\nonly:  \n<destination>\n\nbody\0"
    )
    message = loopback.expect_message("STOMP-ENC-008")
    wanted = [("note", "  pad  "), (" before", "x"), ("after ", "x"), ("tab", "\tx\t"), ("only", "  ")]
    missing = [header for header in wanted if header not in message.headers]
    bench.judge("STOMP-ENC-008", not missing, expected=f"{missing or wanted}", observed=message.octets)


@clauses("STOMP-ENC-009")
def test_escapes_are_decoded_in_one_pass(bench: Bench) -> None:
    r"""Send `note:\\n`, the text backslash and n; expect that text in the MESSAGE, and no LF."""
    loopback = Loopback(StompFixture(bench))
    for text in LOOKS_LIKE_PAIRS:
        expect_headers_back(loopback, "STOMP-ENC-009", [("note", text)])


@clauses("STOMP-ENC-010")
@pytest.mark.parametrize("counted", [True, False], ids=["counted", "uncounted"])
def test_text_in_bodies_is_unchanged(bench: Bench, counted: bool) -> None:
    """Send a body of UTF-8 text, with and without `content-length`; expect the same octets."""
    loopback = Loopback(StompFixture(bench))
    text = f"{WIDE}\r\n\ttab, bell \a, U+FEFF \ufeff, U+2028 \u2028, a backslash \\n"
    loopback.send([("content-length", str(len(text.encode())) if counted else None)], text)
    message = loopback.expect_message("STOMP-ENC-010")
    expect_body(bench, "STOMP-ENC-010", message, text.encode())
