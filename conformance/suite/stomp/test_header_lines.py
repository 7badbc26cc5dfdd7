"""Header lines of a frame, their ends, names and order (STOMP-ABNF-*, STOMP-FRAME-*, STOMP-REPEAT-*)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.attempts import connect_lines
from conformance.suite.stomp.frame_template import fill
from conformance.suite.stomp.loopback import Loopback, expect_malformed_send, session_sending
from conformance.suite.stomp.reactions import judge_refusal_rules, reaction
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: The ends of the lines of a frame of 1.2, in turn.
LINE_ENDS = {"crlf": (b"\r\n", b"\r\n"), "crlf-first": (b"\r\n", b"\n"), "lf-first": (b"\n", b"\r\n")}


@clauses("STOMP-FRAME-001")
def test_lf_alone_ends_lines(bench: Bench) -> None:
    r"""Send `CONNECT\naccept-version:…\n\n\0`; expect CONNECTED, if the same frame with CR LF gets one."""
    if _connects(bench, b"\n"):
        bench.judge("STOMP-FRAME-001", True, expected="CONNECTED", observed="CONNECTED")
    elif _connects(bench, b"\r\n"):
        bench.judge(
            "STOMP-FRAME-001",
            False,
            expected="CONNECTED for a CONNECT whose lines end with LF",
            observed="CONNECTED for one whose lines end with CR LF only",
        )
    else:
        bench.skip("STOMP-FRAME-001", "the server opens no session (STOMP-CONNECT-001)")


def _connects(bench: Bench, eol: bytes) -> bool:
    client = bench.stomp(connect=False)
    client.send_octets(fill(b"CONNECT\n<headers>\n\n\0", eol=eol, headers=connect_lines(bench, eol)))
    try:
        client.expect("CONNECTED")
    except PeerFailure:
        return False
    return True


@clauses("STOMP-ABNF-003")
@pytest.mark.parametrize("line", [b":value", b":", b": "], ids=repr)
def test_a_header_without_a_name_is_malformed(bench: Bench, line: bytes) -> None:
    """Send a SEND with the header line `:value`; expect the end of the connection, and no MESSAGE."""
    expect_malformed_send(
        StompFixture(bench),
        "STOMP-ABNF-003",
        b"SEND\nreceipt:<receipt>\n<line>\n<destination>\n\n<body>\0",
        line=line,
        expected=f"the header line {line!r} has no name",
    )


@clauses("STOMP-ABNF-006")
def test_an_empty_value_is_delivered(bench: Bench) -> None:
    """Send a SEND with the header line `empty:`; expect a MESSAGE whose header `empty` is empty."""
    loopback = Loopback(StompFixture(bench))
    loopback.send_octets(b"SEND\nempty:\nfull:x\n<destination>\n\nbody\0")
    message = loopback.expect_message("STOMP-ABNF-006", expected="the message with an empty header")
    bench.judge(
        "STOMP-ABNF-006",
        message.get("empty") == "" and message.get("full") == "x",
        expected="the headers empty: and full:x",
        observed=message.octets,
    )


@clauses("STOMP-FRAME-002")
@pytest.mark.parametrize("ends", LINE_ENDS.values(), ids=LINE_ENDS)
def test_cr_lf_ends_lines_in_1_2(bench: Bench, ends: tuple[bytes, bytes]) -> None:
    """Send CONNECT, SUBSCRIBE and SEND whose lines end with CR LF, or CR LF and LF in turn; expect no CR in values."""
    fixture = StompFixture(bench)
    client = bench.stomp(connect=False)
    # The version is unknown before CONNECTED: CONNECT is read by its rules for one kind of line end.
    client.send_octets(
        fill(
            b"CONNECT\n<headers>\nheart-beat:0,0\n\n\0",
            eol=b"\r\n",
            headers=connect_lines(bench, b"\r\n"),
        )
    )
    try:
        connected = client.expect("CONNECTED")
    except PeerFailure as failure:
        bench.judge(
            "STOMP-FRAME-002", False, expected="CONNECTED for CONNECT with CR LF", observed=failure.observed
        )
        raise
    bench.judge(
        "STOMP-FRAME-002",
        connected.get("version") in (None, bench.version),
        expected=f"a session of {bench.version}: no CR in accept-version",
        observed=connected.octets,
    )
    loopback = Loopback(fixture)
    destination = [f"{name}:{value}".encode() for name, value in loopback.destination.all_headers]
    client.send_octets(_with_ends([b"SUBSCRIBE", b"id:crlf", *destination], ends))
    fixture.fence(client)
    client.send_octets(_with_ends([b"SEND", b"note:bar", *destination, b"tail:x"], ends, b"line\r\nline"))
    for reader in (client, loopback.reader):
        try:
            message = reader.expect("MESSAGE")
        except PeerFailure as failure:
            bench.judge(
                "STOMP-FRAME-002", False, expected="the message sent with CR LF", observed=failure.observed
            )
            raise
        whole = (message.get("note"), message.get("tail"), message.body)
        bench.judge(
            "STOMP-FRAME-002",
            whole == ("bar", "x", b"line\r\nline"),
            expected="note:bar, tail:x, and the body with its CR LF",
            observed=message.octets,
        )


def _with_ends(lines: list[bytes], ends: tuple[bytes, bytes], body: bytes = b"") -> bytes:
    """A frame whose lines, the empty one included, end with these two in turn."""
    return b"".join(line + ends[number % 2] for number, line in enumerate([*lines, b""])) + body + b"\0"


@clauses("STOMP-FRAME-008")
def test_header_names_are_matched_exactly(bench: Bench) -> None:
    """Send a SEND with `Content-Length:1` and `Receipt:…`; expect the whole body in the MESSAGE, and no RECEIPT."""
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    loopback.send_octets(
        b"SEND\nContent-Length:1\nReceipt:<receipt>\n<destination>\n\nhello\0", receipt=fixture.new_receipt()
    )
    message = loopback.expect_message("STOMP-FRAME-008", expected="the message with its whole body")
    bench.judge(
        "STOMP-FRAME-008",
        message.body == b"hello",
        expected="Content-Length not used",
        observed=message.octets,
    )
    fixture.fence(loopback.client)
    receipts = loopback.client.take("RECEIPT")
    bench.judge("STOMP-FRAME-008", not receipts, expected="no RECEIPT for `Receipt`", observed=receipts)


@clauses("STOMP-FRAME-008")
def test_a_header_destination_in_capitals_is_no_destination(bench: Bench) -> None:
    """Send a SEND with `Destination:…` and no `destination`; expect no RECEIPT and no MESSAGE."""
    fixture = StompFixture(bench)
    loopback, receipt = Loopback(fixture), fixture.new_receipt()
    word = bench.fresh("nowhere").encode()
    octets = loopback.octets(
        b"SEND\nreceipt:<receipt>\n<destination>\n\n<body>\0", receipt=receipt, body=word
    )
    octets = octets.replace(b"\ndestination:", b"\nDestination:")
    found = reaction(fixture, session_sending(fixture, octets), receipt)
    bench.judge(
        "STOMP-FRAME-008", not found.receipts, expected="no RECEIPT without a destination", observed=found
    )
    loopback.expect_no_message("STOMP-FRAME-008", word, "nothing sent to `Destination`")


@clauses("STOMP-FRAME-009")
@pytest.mark.parametrize(
    "line", [b"foo:a\rb", b"f\roo:a", b"foo:a\r", b"foo:\r"], ids=["value", "name", "doubled", "only"]
)
def test_a_stray_cr_is_malformed_in_1_2(bench: Bench, line: bytes) -> None:
    r"""Send a SEND with `foo:a\rb\n` or `foo:a\r\r\n`; expect the end of the connection, and no MESSAGE."""
    expect_malformed_send(
        StompFixture(bench),
        "STOMP-FRAME-009",
        b"SEND\nreceipt:<receipt>\n<line>\n<destination>\n\n<body>\0",
        line=line,
        eol=b"\r\n" if line.endswith(b"\r") else b"\n",
        expected=f"a CR without LF in the header line {line!r}",
    )


@clauses("STOMP-FRAME-010")
@pytest.mark.parametrize("line", [b"junk", b"j", b"destination", b"\\n"], ids=repr)
def test_a_header_line_without_a_colon_is_malformed(bench: Bench, line: bytes) -> None:
    """Send a SEND with the header line `junk`; expect the end of the connection, and no MESSAGE."""
    expect_malformed_send(
        StompFixture(bench),
        "STOMP-FRAME-010",
        b"SEND\nreceipt:<receipt>\n<line>\n<destination>\n\n<body>\0",
        line=line,
        expected=f"the header line {line!r} has no colon",
    )


@clauses("STOMP-FRAME-010")
@pytest.mark.parametrize("line", [b"junk", b"j"], ids=repr)
def test_a_last_header_line_without_a_colon_is_malformed(bench: Bench, line: bytes) -> None:
    """Send a SEND whose last header line is `junk`; expect the end of the connection, and no MESSAGE."""
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    word = bench.fresh("refused").encode()
    octets = loopback.octets(b"SEND\n<destination>\n<line>\n\n<body>\0", line=line, body=word)
    found = reaction(fixture, session_sending(fixture, octets))
    bench.judge(
        "STOMP-FRAME-010",
        found.closed is not None,
        expected="the end of the connection: no colon",
        observed=found,
    )
    judge_refusal_rules(fixture, found)
    loopback.expect_no_message("STOMP-FRAME-010", word, "nothing of the malformed frame delivered")


@clauses("STOMP-REPEAT-001", "STOMP-REPEAT-002")
def test_the_first_of_repeated_headers_counts(bench: Bench) -> None:
    """Send a SEND with `note:first` and `note:second`; expect `note:first` in the MESSAGE. Recorded: the second."""
    loopback = Loopback(StompFixture(bench))
    loopback.send_octets(b"SEND\nnote:first\nother:x\nnote:second\n<destination>\n\nbody\0")
    message = loopback.expect_message()
    notes = message.all("note")
    loopback.fixture.judge(
        "STOMP-REPEAT-001",
        notes[:1] == ["first"],
        expected="note:first in front",
        observed=message.octets,
    )
    bench.observe("STOMP-REPEAT-002", f"a later entry is {'passed on' if len(notes) > 1 else 'dropped'}")


@clauses("STOMP-REPEAT-001")
def test_the_first_content_length_counts(bench: Bench) -> None:
    """Send a SEND with `content-length:5`, `content-length:1` and a NUL in its body; expect all five octets."""
    loopback = Loopback(StompFixture(bench))
    loopback.send_octets(b"SEND\ncontent-length:5\ncontent-length:1\n<destination>\n\nhe\0lo\0")
    message = loopback.message_or_none()
    bench.judge(
        "STOMP-REPEAT-001",
        message is not None and message.body == b"he\0lo",
        expected="the five octets that the first content-length counts",
        observed=message.octets if message else "no message",
    )


@clauses("STOMP-REPEAT-001")
def test_the_first_receipt_counts(bench: Bench) -> None:
    """Send a SEND with `receipt:first` and `receipt:second`; expect a RECEIPT with `receipt-id:first`."""
    fixture = StompFixture(bench)
    if not fixture.has_receipts:
        bench.skip("STOMP-REPEAT-001", "the server grants no receipts")
        return
    loopback = Loopback(fixture)
    loopback.send_octets(b"SEND\nreceipt:first\nreceipt:second\n<destination>\n\nbody\0")
    receipt = loopback.client.expect(
        "RECEIPT", where=lambda frame: frame.get("receipt-id") in ("first", "second")
    )
    bench.judge(
        "STOMP-REPEAT-001",
        receipt.get("receipt-id") == "first",
        expected="receipt-id:first",
        observed=receipt.octets,
    )


@clauses("STOMP-REPEAT-001")
def test_the_first_destination_counts(bench: Bench) -> None:
    """Send a SEND with two `destination` headers; expect a MESSAGE at the first, and none at the second."""
    fixture = StompFixture(bench)
    first, second = Loopback(fixture), Loopback(fixture)
    word = bench.fresh("repeated").encode()
    other = second.destination.header_lines(second.client.version)[0]
    sender = fixture.client()
    sender.send_octets(first.octets(b"SEND\n<destination>\n<other>\n\n<body>\0", other=other, body=word))
    message = first.message_or_none(within=bench.patience)
    bench.judge(
        "STOMP-REPEAT-001",
        message is not None and message.body == word,
        expected="the message at the first destination",
        observed=message.octets if message else "nothing there",
    )
    second.expect_no_message("STOMP-REPEAT-001", word, "nothing at the second destination")
