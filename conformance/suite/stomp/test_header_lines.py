"""Lines of a frame, their ends, names and order: STOMP-ABNF-003 and 006, STOMP-FRAME-001 to 010, STOMP-REPEAT-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.loopback import Loopback, expect_malformed_send, session_sending
from conformance.suite.stomp.reactions import judge_refusal_rules, reaction
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: How the lines of a frame of 1.2 may end, in turn.
LINE_ENDS = {"crlf": (b"\r\n", b"\r\n"), "crlf-first": (b"\r\n", b"\n"), "lf-first": (b"\n", b"\r\n")}


@clauses("STOMP-FRAME-001")
def test_lf_alone_ends_lines(bench: Bench) -> None:
    """CONNECT opens a session when its lines end with LF, not only when they end with CR LF."""
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
    pairs = [("accept-version", bench.version), *bench.credentials().items()]
    lines = ["CONNECT", *(f"{name}:{value}" for name, value in pairs if value is not None), "", ""]
    client.send_octets(eol.join(line.encode() for line in lines) + b"\0")
    try:
        client.expect("CONNECTED")
    except PeerFailure:
        return False
    return True


@clauses("STOMP-ABNF-003")
@pytest.mark.parametrize("line", [b":value", b":", b": "], ids=repr)
def test_a_header_without_a_name_is_malformed(bench: Bench, line: bytes) -> None:
    """A line that begins with its colon ends the connection, and the frame is not delivered."""
    expect_malformed_send(
        StompFixture(bench), "STOMP-ABNF-003", [line], expected=f"the header line {line!r} has no name"
    )


@clauses("STOMP-ABNF-006")
def test_an_empty_value_is_delivered(bench: Bench) -> None:
    """`empty:` arrives as a header with no octets for its value."""
    loopback = Loopback(StompFixture(bench))
    loopback.client.send_octets(loopback.raw([b"empty:", b"full:x"], b"body"))
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
    """A session whose lines end with CR LF, or now with one and now with the other, works; no CR gets into a value."""
    fixture = StompFixture(bench)
    client = bench.stomp(connect=False)
    pairs = [("accept-version", bench.version), *bench.credentials().items(), ("heart-beat", "0,0")]
    # Before CONNECTED the version isn't known: CONNECT is read by its rules for one kind of line end.
    lines = ["CONNECT", *(f"{name}:{value}" for name, value in pairs if value is not None)]
    client.send_octets(_mixed(lines, (b"\r\n", b"\r\n")))
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
    named = [("destination", loopback.destination.name), *loopback.destination.headers.items()]
    lines = [f"{name}:{value}" for name, value in named]
    client.send_octets(_mixed(["SUBSCRIBE", "id:crlf", *lines], ends))
    fixture.fence(client)
    client.send_octets(_mixed(["SEND", "note:bar", *lines, "tail:x"], ends, b"line\r\nline"))
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


def _mixed(lines: list[str], ends: tuple[bytes, bytes], body: bytes = b"") -> bytes:
    """A frame whose lines end with one of these in turn."""
    head = b"".join(line.encode() + ends[number % 2] for number, line in enumerate(lines))
    return head + ends[len(lines) % 2] + body + b"\0"


@clauses("STOMP-FRAME-008")
def test_header_names_are_matched_exactly(bench: Bench) -> None:
    """`Content-Length` and `Receipt` are headers of the user: the first counts nothing, the second asks for nothing."""
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    receipt = fixture.new_receipt()
    loopback.client.send_octets(loopback.raw([b"Content-Length:1", f"Receipt:{receipt}".encode()], b"hello"))
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
def test_a_destination_in_capitals_is_none(bench: Bench) -> None:
    """A SEND that has only `Destination` is not delivered, and not receipted."""
    fixture = StompFixture(bench)
    loopback, receipt = Loopback(fixture), fixture.new_receipt()
    word = bench.fresh("nowhere").encode()
    octets = loopback.raw([f"receipt:{receipt}".encode()], word).replace(b"\ndestination:", b"\nDestination:")
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
    """A CR that no LF follows ends the connection; in the doubled one the second CR belongs to the line end."""
    eol = b"\r\n" if line.endswith(b"\r") else b"\n"
    expect_malformed_send(
        StompFixture(bench),
        "STOMP-FRAME-009",
        [line],
        eol=eol,
        expected=f"a CR without LF in the header line {line!r}",
    )


@clauses("STOMP-FRAME-010")
@pytest.mark.parametrize("line", [b"junk", b"j", b"destination", b"\\n"], ids=repr)
def test_a_header_line_without_a_colon_is_malformed(bench: Bench, line: bytes) -> None:
    """Such a line ends the connection; neither the headers behind it nor the body have an effect."""
    expect_malformed_send(
        StompFixture(bench), "STOMP-FRAME-010", [line], expected=f"the header line {line!r} has no colon"
    )


@clauses("STOMP-FRAME-010")
@pytest.mark.parametrize("line", [b"junk", b"j"], ids=repr)
def test_a_last_header_line_without_a_colon_is_malformed(bench: Bench, line: bytes) -> None:
    """It makes no difference that all other lines came before it."""
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    word = bench.fresh("refused").encode()
    octets = loopback.raw(body=word).replace(b"\n\n" + word, b"\n" + line + b"\n\n" + word)
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
    """Of two user headers with one name the first is the value; whether the second is passed on is recorded."""
    loopback = Loopback(StompFixture(bench))
    loopback.client.send_octets(loopback.raw([b"note:first", b"other:x", b"note:second"], b"body"))
    message = loopback.expect_message()
    notes = message.all("note")
    if loopback.fixture.applies("STOMP-REPEAT-001"):
        bench.judge(
            "STOMP-REPEAT-001",
            notes[:1] == ["first"],
            expected="note:first in front",
            observed=message.octets,
        )
    bench.observe("STOMP-REPEAT-002", f"a later entry is {'passed on' if len(notes) > 1 else 'dropped'}")


@clauses("STOMP-REPEAT-001")
def test_the_first_content_length_counts(bench: Bench) -> None:
    """`content-length:5` followed by `content-length:1`: the body has five octets."""
    loopback = Loopback(StompFixture(bench))
    loopback.client.send_octets(loopback.raw([b"content-length:5", b"content-length:1"], b"he\0lo"))
    message = loopback.message_or_none()
    bench.judge(
        "STOMP-REPEAT-001",
        message is not None and message.body == b"he\0lo",
        expected="the five octets that the first content-length counts",
        observed=message.octets if message else "no message",
    )


@clauses("STOMP-REPEAT-001")
def test_the_first_receipt_counts(bench: Bench) -> None:
    """Of two `receipt` headers the first is the one that is granted."""
    fixture = StompFixture(bench)
    if not fixture.has_receipts:
        bench.skip("STOMP-REPEAT-001", "the server grants no receipts")
        return
    loopback = Loopback(fixture)
    loopback.client.send_octets(loopback.raw([b"receipt:first", b"receipt:second"], b"body"))
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
    """Of two `destination` headers the message goes to the first."""
    fixture = StompFixture(bench)
    first, second = Loopback(fixture), Loopback(fixture)
    word = bench.fresh("repeated").encode()
    lines = [line for line in second.raw().split(b"\n") if line.startswith(b"destination:")]
    octets = first.raw(body=word).replace(b"\n\n" + word, b"\n" + lines[0] + b"\n\n" + word)
    sender = fixture.client()
    sender.send_octets(octets)
    message = first.message_or_none(within=bench.patience)
    bench.judge(
        "STOMP-REPEAT-001",
        message is not None and message.body == word,
        expected="the message at the first destination",
        observed=message.octets if message else "nothing there",
    )
    second.expect_no_message("STOMP-REPEAT-001", word, "nothing at the second destination")
