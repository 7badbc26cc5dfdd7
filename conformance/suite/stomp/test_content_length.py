"""Bodies, their length and their type: STOMP-CLEN-*, STOMP-CTYPE-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.delivered_frames import expect_body, expect_header
from conformance.suite.stomp.error_frames import judge_content_type, judge_error
from conformance.suite.stomp.frame_template import fill
from conformance.suite.stomp.loopback import Loopback, session_sending
from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.suite.stomp.reactions import expect_malformed, reaction
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure
from conformance.wire.frames import BadFrame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.reactions import Provoke
    from conformance.wire.frames import Frame

SEND = b"SEND\n<destination>\n\n<body>\0"
COUNTED = b"SEND\ncontent-length:<length>\n<destination>\n\n<body>\0"
BINARY_BODIES = {
    "between": b"a\0b\0c",
    "first": b"\0ab",
    "last": b"ab\0",
    "only": b"\0",
    "frame": b"\0\nSEND\n\n\0",
}
#: Characters of two to four octets: fewer characters than octets.
WIDE_BODY = "äöü-日本-🙂🙂".encode()
UNREADABLE_LENGTHS = [b"abc", b"-1", b"1e3", b"+5", b"", b" 5 ", b"5,5", b"0x5", b"5.0"]


@clauses("STOMP-CLEN-001", "STOMP-CLEN-011", "STOMP-CLEN-005")
@pytest.mark.parametrize("body", BINARY_BODIES.values(), ids=BINARY_BODIES)
def test_a_counted_body_may_hold_nul(bench: Bench, body: bytes) -> None:
    """Send a SEND with `content-length` and NULs in its body; expect a MESSAGE with that body and `content-length`."""
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    loopback.send_octets(COUNTED, length=len(body), body=body)
    message: Frame | None = None
    observed: object = "nothing"
    try:
        message = loopback.receive()
        observed = message.octets
    except BadFrame as bad:  # without a count, or with a wrong one, the frame comes apart at its NUL
        bench.judge("STOMP-CLEN-005", False, expected="a MESSAGE with its count", observed=bad.observed)
    except PeerFailure as failure:
        observed = failure.observed
    whole = message is not None and message.body == body
    for clause in ("STOMP-CLEN-001", "STOMP-CLEN-011"):
        fixture.judge(clause, whole, expected=f"a MESSAGE with the body {body!r}", observed=observed)
    if message is None or not whole:
        bench.skip("STOMP-CLEN-005", "no body with NUL is delivered")
        return
    expect_header(bench, "STOMP-CLEN-005", message, "content-length", str(len(body)))


@clauses("STOMP-CLEN-001", "STOMP-CLEN-011")
def test_a_count_is_decimal(bench: Bench) -> None:
    """Send a `content-length` with a zero in front, and a NUL where an octal one ends; expect the whole body, or none
    of it. A server may refuse such a number.
    """
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    body = b"01234567\x009"
    octets = loopback.octets(COUNTED, length="010", body=body)
    found = reaction(fixture, session_sending(fixture, octets))
    came = loopback.message_or_none(within=None if not found.is_refusal else SHORT_WAIT)
    for clause in ("STOMP-CLEN-001", "STOMP-CLEN-011"):
        fixture.judge(
            clause,
            (came is None and found.is_refusal) or (came is not None and came.body == body),
            expected=f"a MESSAGE with the body {body!r}, or the SEND refused",
            observed=came.octets if came else found,
        )


def _counts(fixture: StompFixture) -> bool:
    """False if the server ends bodies at their first NUL, as it may in 1.0; STOMP-CLEN-002 is skipped then."""
    bench = fixture.bench
    if bench.version != "1.0":
        return True
    control = bench.fresh("counted").encode() + b"\0end"
    loopback = Loopback(fixture)
    loopback.send_octets(COUNTED, length=len(control), body=control)
    try:
        counts = loopback.receive().body == control
    except (BadFrame, PeerFailure):
        counts = False
    if not counts:
        bench.skip(
            "STOMP-CLEN-002", "bodies are not counted in 1.0, which is a recommendation (STOMP-CLEN-011)"
        )
    return counts


@clauses("STOMP-CLEN-002")
@pytest.mark.parametrize("less", [1, 2, 5])
def test_a_count_that_is_too_small_is_malformed(bench: Bench, less: int) -> None:
    """Send a `content-length` smaller than the body; expect the end of the connection, and no MESSAGE for the rest."""
    fixture = StompFixture(bench)
    if not _counts(fixture):
        return
    loopback, other = Loopback(fixture), Loopback(fixture)
    word = bench.fresh("short").encode()
    rest = other.octets(b"\nSEND\n<destination>\n\n<word>", version=bench.version, word=word)
    counted = b"x" * 5 + word
    octets = loopback.octets(COUNTED, length=len(counted) - less, body=counted + rest)
    expect_malformed(
        fixture, "STOMP-CLEN-002", session_sending(fixture, octets), expected="no NUL after the counted body"
    )
    loopback.expect_no_message("STOMP-CLEN-002", b"xx", "the counted part not delivered")
    other.expect_no_message("STOMP-CLEN-002", word, "the rest not read as a frame")


@clauses("STOMP-CLEN-002")
def test_a_count_of_zero_before_a_body_is_malformed(bench: Bench) -> None:
    r"""Send `SEND\ncontent-length:0\n…\n\nhello\0`; expect the end of the connection, and no MESSAGE."""
    fixture = StompFixture(bench)
    if not _counts(fixture):
        return
    loopback = Loopback(fixture)
    octets = loopback.octets(b"SEND\ncontent-length:0\n<destination>\n\nhello\0")
    expect_malformed(
        fixture,
        "STOMP-CLEN-002",
        session_sending(fixture, octets),
        expected="no NUL after a body of no octets",
    )
    loopback.expect_no_message("STOMP-CLEN-002", b"", "nothing of the malformed frame delivered")


@clauses("STOMP-CLEN-002")
def test_a_count_that_is_too_large_is_malformed(bench: Bench) -> None:
    r"""Send `content-length:7`, `hello\0` and `ZZZZ\0`; expect the end: no NUL follows the seven octets."""
    fixture = StompFixture(bench)
    if not _counts(fixture):
        return
    loopback = Loopback(fixture)
    octets = loopback.octets(b"SEND\ncontent-length:7\n<destination>\n\nhello\0ZZZZ\0")
    expect_malformed(
        fixture,
        "STOMP-CLEN-002",
        session_sending(fixture, octets),
        expected="no NUL after the seven counted octets",
    )
    loopback.expect_no_message("STOMP-CLEN-002", b"hello", "nothing of the malformed frame delivered")


@clauses("STOMP-CLEN-003")
@pytest.mark.parametrize("counted", [True, False], ids=["counted", "uncounted"])
def test_a_message_with_a_body_has_its_length(bench: Bench, counted: bool) -> None:
    """Send a body with and without `content-length`; expect the right `content-length` in the MESSAGE."""
    loopback = Loopback(StompFixture(bench))
    loopback.send([("content-length", "5" if counted else None)], "hello")
    message = loopback.expect_message()
    expect_header(bench, "STOMP-CLEN-003", message, "content-length", str(len(message.body)))


@clauses("STOMP-CLEN-004", "STOMP-CLEN-006", "STOMP-CTYPE-002", "STOMP-CTYPE-003", "STOMP-CTYPE-004")
def test_an_error_with_a_body_has_its_length_and_type(bench: Bench) -> None:
    """Send faulty frames, some with characters of two octets that the server may quote; expect `content-length` and a
    MIME type as `content-type` in each ERROR with a body.
    """
    fixture = StompFixture(bench)
    found = [reaction(fixture, provoke, patience=SHORT_WAIT) for provoke in _provocations(fixture)]
    errors = [one.error for one in found if one.error]
    for error in errors:
        judge_error(fixture, error)
    why = "no ERROR with a body was seen" if errors else "no ERROR was seen"
    if not any(error.body for error in errors):
        for clause in ("STOMP-CLEN-004", "STOMP-CTYPE-002"):
            fixture.skip(clause, why)
    if not any(error.get("content-type") for error in errors):
        for clause in ("STOMP-CTYPE-003", "STOMP-CTYPE-004"):
            fixture.skip(
                clause, f"{why}, so none with a content-type" if not errors else "no ERROR had a content-type"
            )


def _provocations(fixture: StompFixture) -> Iterator[Provoke]:
    """Faulty frames of several kinds, for servers that answer only some of them by an ERROR."""
    vowel = "a" if fixture.bench.version == "1.0" else "\u00e4"
    for octets in (
        fill(b"SEND\nreceipt:<receipt>\n\n\0", receipt=fixture.new_receipt()),
        b"SUBSCRIBE\nid:0\n\n\0",
        f"COMMIT\ntransaction:no-such-tr{vowel}nsaction\n\n\0".encode(),
        b"NONSENSE\n\n\0",
        f"SEND\nj{vowel}nk\n\n\0".encode(),
    ):
        yield session_sending(fixture, octets)


@clauses("STOMP-CLEN-006")
@pytest.mark.parametrize("characters", ["wide", "mixed"])
def test_lengths_count_octets(bench: Bench, characters: str) -> None:
    """Send a body of characters with several octets, counted in octets; expect it whole, and counted in octets."""
    loopback = Loopback(StompFixture(bench))
    body = WIDE_BODY if characters == "wide" else b"plain " + WIDE_BODY + b" plain"
    loopback.send_octets(COUNTED, length=len(body), body=body)
    message = loopback.expect_message(
        "STOMP-CLEN-006", expected="the message, whose count is right in octets"
    )
    counted = message.get("content-length")
    bench.judge(
        "STOMP-CLEN-006",
        message.body == body and counted in (None, str(len(body))),
        expected=f"the body whole, and content-length:{len(body)} if it is counted",
        observed=message.octets,
    )


@clauses("STOMP-CLEN-007")
@pytest.mark.parametrize("rest", [b"", b"\n\n", b"llo\0"], ids=["nothing", "line-ends", "more"])
def test_an_uncounted_body_ends_at_the_first_nul(bench: Bench, rest: bytes) -> None:
    r"""Send `SEND\n…\n\nhe\0llo\0` without `content-length`; expect a MESSAGE with the body `he`."""
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    fixture.client().send_octets(loopback.octets(b"SEND\n<destination>\n\nhe\0<rest>", rest=rest))
    message = loopback.expect_message("STOMP-CLEN-007", expected="a message with the body he")
    expect_body(bench, "STOMP-CLEN-007", message, b"he")


@clauses("STOMP-CLEN-007")
@pytest.mark.parametrize("body", [b"line\n", b"\n", b"\r\n", b"\n\n", b" blank "], ids=repr)
def test_line_ends_and_blanks_belong_to_the_body(bench: Bench, body: bytes) -> None:
    """Send a body without `content-length` that begins or ends with LF, CR LF or blanks; expect it unchanged."""
    loopback = Loopback(StompFixture(bench))
    loopback.send_octets(b"SEND\n<destination>\n\n<body>\0", body=body)
    message = loopback.expect_message("STOMP-CLEN-007", expected=f"a message with the body {body!r}")
    expect_body(bench, "STOMP-CLEN-007", message, body)


@clauses("STOMP-CLEN-008")
@pytest.mark.parametrize("first", [b"", b"a"], ids=["nul-first", "nul-later"])
@pytest.mark.parametrize("command", ["BEGIN", "SUBSCRIBE"])
def test_counted_octets_belong_to_their_frame(bench: Bench, command: str, first: bytes) -> None:
    """Send a SUBSCRIBE or BEGIN whose counted body holds a NUL and a SEND; expect no MESSAGE."""
    fixture = StompFixture(bench)
    loopback, destination = Loopback(fixture), fixture.topic()
    word = bench.fresh("smuggled").encode()
    template = {
        "SUBSCRIBE": b"SUBSCRIBE\nid:0\ncontent-length:<length>\n<destination>\n\n<body>\0",
        "BEGIN": b"BEGIN\ntransaction:<transaction>\ncontent-length:<length>\n<destination>\n\n<body>\0",
    }[command]
    body = first + b"\0" + loopback.octets(SEND, version=bench.version, body=word) + b"b"
    transaction = bench.fresh("transaction")
    octets = fill(template, destination, bench.version, length=len(body), body=body, transaction=transaction)
    found = reaction(fixture, session_sending(fixture, octets))
    loopback.expect_no_message("STOMP-CLEN-008", word, f"the counted octets of {command} not read as a frame")
    bench.judge(
        "STOMP-CLEN-008",
        found.is_refusal or found.served_later_frames,
        expected=f"{command} refused, or carried out without its body and the next frame read",
        observed=found,
    )


@clauses("STOMP-CLEN-010")
@pytest.mark.parametrize("command", ["SUBSCRIBE", "BEGIN", "DISCONNECT"])
def test_a_length_of_zero_is_fine_without_a_body(bench: Bench, command: str) -> None:
    """Send a SUBSCRIBE, BEGIN or DISCONNECT with `content-length:0`; expect no ERROR."""
    fixture = StompFixture(bench)
    if command == "BEGIN" and not fixture.has_transactions:
        bench.skip("STOMP-CLEN-010", "the server has no transactions")
        return
    template = {
        "SUBSCRIBE": b"SUBSCRIBE\ncontent-length:0\n<destination>\nid:0\n\n\0",
        "BEGIN": b"BEGIN\ncontent-length:0\ntransaction:<transaction>\n\n\0",
        "DISCONNECT": b"DISCONNECT\ncontent-length:0\nreceipt:bye\n\n\0",
    }[command]
    octets = fill(template, fixture.topic(), bench.version, transaction=bench.fresh("transaction"))
    provoke = session_sending(fixture, octets)
    if command == "DISCONNECT":
        client = provoke()
        client.finish()
        errors = [error.octets for error in client.errors]
        bench.judge(
            "STOMP-CLEN-010", not errors, expected="no ERROR for the DISCONNECT", observed=errors or "none"
        )
        return
    found = reaction(fixture, provoke)
    bench.judge(
        "STOMP-CLEN-010",
        found.served_later_frames and not found.is_refusal,
        expected=f"{command} with content-length:0 carried out",
        observed=found,
    )


@clauses("STOMP-CLEN-009")
@pytest.mark.parametrize("length", UNREADABLE_LENGTHS, ids=repr)
def test_a_length_that_is_no_number(bench: Bench, length: bytes) -> None:
    """Send `content-length:abc`. Recorded: a refusal, or the body up to its NUL. An ERROR should begin a refusal."""
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    octets = loopback.octets(b"SEND\ncontent-length:<length>\n<destination>\n\nhello\0", length=length)
    found = reaction(fixture, session_sending(fixture, octets), patience=SHORT_WAIT)
    if found.closed is not None:
        fixture.judge(
            "STOMP-ERROR-008", found.error is not None, expected="an ERROR before the close", observed=found
        )
    if found.is_refusal:
        seen = "refused"
    elif found.served_later_frames:
        came = fixture.messages_before_marker(loopback.subscription)
        seen = "ignored" if [frame.body for frame in came] == [b"hello"] else "taken for another length"
    else:
        seen = "waited for more octets"
    bench.observe("STOMP-CLEN-009", f"content-length {length.decode()!r}: {seen}")


@clauses("STOMP-CTYPE-001")
@pytest.mark.parametrize("kind", ["application/json;charset=utf-8", "text/plain", "image/svg+xml"])
def test_the_content_type_of_the_sender_arrives(bench: Bench, kind: str) -> None:
    """Send a SEND with `content-type`; expect the same `content-type` in the MESSAGE."""
    loopback = Loopback(StompFixture(bench))
    loopback.send([("content-type", kind)], "{}")
    message = loopback.expect_message()
    expect_header(bench, "STOMP-CTYPE-001", message, "content-type", kind)


@clauses("STOMP-CTYPE-003", "STOMP-CTYPE-004")
def test_a_content_type_that_the_server_makes_up_is_a_mime_type(bench: Bench) -> None:
    """Send a SEND without `content-type`; expect none in the MESSAGE, or a MIME type."""
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    loopback.send(body="hello")
    message = loopback.expect_message()
    content_type = message.get("content-type")
    if content_type is not None:
        judge_content_type(fixture, content_type, message.octets)
        return
    for clause in ("STOMP-CTYPE-003", "STOMP-CTYPE-004"):
        fixture.skip(clause, "the server sets no content-type on a MESSAGE")
