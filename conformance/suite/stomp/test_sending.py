"""SEND, and the delivery of its headers and body: STOMP-SEND-*."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.generators import NUMBER_LIKE, OBJECT_MEMBERS, many
from conformance.suite.stomp.channel import Channel, is_undecidable, new_destination
from conformance.suite.stomp.delivered_frames import expect_body, expect_headers
from conformance.suite.stomp.frame_template import fill
from conformance.suite.stomp.loopback import session_sending
from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.suite.stomp.reactions import expect_error_and_close, reaction
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.cutting import cut_repr
from conformance.wire.encoding import is_utf8
from conformance.wire.failures import PeerFailure, Violation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.bench.bench import Bench
    from conformance.wire.stomp import StompClient

#: Headers without a meaning in STOMP or for a known server.
USER_DEFINED = [
    ("station", "Ithaca"),
    ("X-Trace-9", "a b  c"),
    ("MixedCase", "MixedCase"),
    ("no_value", ""),
    ("odd.name/with-more+signs", "?=&;,{}[]<>\"'%41"),
    ("zz", "0" * 300),
]
#: Headers whose names a map may seem to have, or whose values may be read as numbers.
MISTAKABLE = [
    *((name, f"of {name}") for name in OBJECT_MEMBERS),
    *((f"number{place}", text) for place, text in enumerate(NUMBER_LIKE)),
]
BODIES = {
    "every-octet": bytes(range(256)),
    "not-utf-8": b"\xff\xfe\x80 \xc3",
    "nul": b"a\0b\0\0",
    "line-ends": b"\r\n\n\r one\r\ntwo\n\n",
    "line-ends-alone": b"\n\r\n\n",
    "frame": b"\nSEND\ndestination:/queue/none\n\nbody",
    "wide": "größe 日本語 🙂 e\u0301".encode(),
    "long": b"0123456789abcdef" * 256,
}
#: Finding: the server didn't deliver a long body.
REFUSES_LONG = "delivers no long body"
#: Bodies that a server might normalize by their content-type.
TYPED_BODIES = {
    "application/json": b'{ "b" : 1.0,\n  "a" : "\\u00e9" }\n',
    "application/xml": b"<a>\r\n</a>",
    "text/plain": b"  blanks and line ends \r\n",
    "text/plain;charset=iso-8859-1": "größe".encode(),
    "text/plain;charset=utf-16": b"no UTF-16",
}


@clauses("STOMP-SEND-001", "STOMP-SEND-003")
@pytest.mark.parametrize("body", [b"", b"body"], ids=["empty", "body"])
def test_a_send_without_destination_is_refused(bench: Bench, body: bytes) -> None:
    r"""Send `SEND\nreceipt:…\n\n\0`; expect no RECEIPT and, from 1.1 on, an ERROR and the end of the connection."""
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()

    octets = fill(
        b"SEND\ncontent-length:<length>\nreceipt:<receipt>\n\n<body>\0",
        length=len(body),
        receipt=receipt,
        body=body,
    )
    found = reaction(fixture, session_sending(fixture, octets), receipt, must_react=bench.version != "1.0")
    if is_undecidable(fixture, found):
        bench.skip("STOMP-SEND-001", "the server has no receipts, and was silent")
    else:
        bench.judge(
            "STOMP-SEND-001",
            not found.receipts,
            expected="no RECEIPT for a SEND without destination",
            observed=found,
        )
    expect_error_and_close(fixture, "STOMP-SEND-003", found, receipt, "a SEND without destination")


@clauses("STOMP-SEND-003")
def test_a_send_to_a_refused_destination_is_answered(bench: Bench) -> None:
    """Send to the destination that the target file names as refused; expect an ERROR and the end of the connection. An
    ERROR for one of its kind whose name has a line feed and a colon is read as strictly as any other.
    """
    fixture = StompFixture(bench)
    if not bench.target.refused_destination:
        bench.skip("STOMP-SEND-003", "no destination is known that the server refuses")
        return
    receipt = fixture.new_receipt()

    def provoke(name: str = bench.target.refused_destination) -> StompClient:
        client = fixture.client()
        client.send(name, "body", receipt=receipt)
        return client

    found = reaction(fixture, provoke, receipt, must_react=True)
    what = f"a SEND to {bench.target.refused_destination}"
    expect_error_and_close(fixture, "STOMP-SEND-003", found, receipt, what)
    if bench.version != "1.0":
        odd = f"{bench.target.refused_destination}\n:x\\"
        found = reaction(fixture, functools.partial(provoke, odd), receipt)
        if found.error is not None:
            expect_error_and_close(fixture, "STOMP-SEND-003", found, receipt, f"a SEND to {odd!r}")


@clauses("STOMP-SEND-003")
def test_a_send_in_an_unknown_transaction_is_answered(bench: Bench) -> None:
    """Send a SEND with `transaction:never-begun`; if it fails (STOMP-TX-009), expect an ERROR and the end."""
    fixture = StompFixture(bench)
    if not fixture.has_transactions:
        bench.skip("STOMP-SEND-003", "the server has no transactions, known or unknown")
        return
    destination, receipt = fixture.topic(), fixture.new_receipt()

    def provoke() -> StompClient:
        client = fixture.client()
        fixture.send(client, destination, "body", transaction="never-begun", receipt=receipt)
        return client

    found = reaction(fixture, provoke, receipt, must_react=True)
    if found.is_accepted or is_undecidable(fixture, found):
        bench.skip("STOMP-SEND-003", "the server was not seen to fail a SEND in an unknown transaction")
        return
    expect_error_and_close(fixture, "STOMP-SEND-003", found, receipt, "a SEND in an unknown transaction")


@clauses("STOMP-SEND-002", "STOMP-MESSAGE-001")
@pytest.mark.parametrize("kind", ["topic", "queue"])
@pytest.mark.parametrize("own", [True, False], ids=["own", "of-others"])
def test_a_message_reaches_an_active_subscription(bench: Bench, own: bool, kind: str) -> None:
    """Send a SEND on the same or another connection; expect a MESSAGE with a `destination`."""
    fixture = StompFixture(bench)
    reader = fixture.client()
    channel = Channel(fixture, new_destination(fixture, kind), reader=reader, sender=reader if own else None)
    for body in ("first message", "", "the same", "the same", "the same"):
        message = channel.send_and_receive(body)
        bench.judge("STOMP-SEND-002", True, expected="a MESSAGE", observed=message.octets)
        bench.judge(
            "STOMP-MESSAGE-001",
            message.get("destination") is not None,
            expected="a header destination",
            observed=message.octets,
        )


@clauses("STOMP-SEND-004")
@pytest.mark.parametrize("kind", ["topic", "queue"])
def test_user_defined_headers_arrive(bench: Bench, kind: str) -> None:
    """Send user-defined headers, alone and with others; expect them unchanged in the MESSAGE."""
    fixture = StompFixture(bench)
    channel = Channel(fixture, new_destination(fixture, kind))
    for headers in ([], USER_DEFINED, USER_DEFINED[:1], [("again", "x"), *USER_DEFINED[3:]], MISTAKABLE):
        message = channel.send_and_receive("body", headers)
        expect_headers(bench, "STOMP-SEND-004", message, headers)


@clauses("STOMP-SEND-004")
def test_many_user_defined_headers_arrive(bench: Bench) -> None:
    """Send a frame with as many headers as the effort and the limit of the server allow; expect all of them in the
    MESSAGE, or a refusal.
    """
    fixture = StompFixture(bench)
    channel = Channel(fixture)
    count = int(min(many(bench), (bench.limit("headers") or many(bench)) - 10))
    headers = [(f"h{number}", f"v{number}") for number in range(max(1, count))]
    channel.send("body", headers)
    try:
        message = channel.reader.expect("MESSAGE", channel.subscription.owns)
    except PeerFailure:
        bench.skip("STOMP-SEND-004", f"a frame with {count} headers is not delivered (STOMP-LIMIT-001)")
        return
    expect_headers(bench, "STOMP-SEND-004", message, headers)


@clauses("STOMP-SEND-004")
def test_user_defined_headers_arrive_when_a_transaction_is_committed(bench: Bench) -> None:
    """Send user-defined headers in a transaction, then COMMIT; expect them unchanged in the MESSAGE."""
    transaction = bench.fresh("t")
    fixture = StompFixture(bench)
    if not fixture.has_transactions:
        bench.skip("STOMP-SEND-004", "the server has no transactions")
        return
    channel = Channel(fixture)
    headers = [*USER_DEFINED, ("pairs", "a\\nb\\\\c:d\ne")]
    channel.sender.begin(transaction)
    channel.send("body", [("transaction", transaction), *headers])
    channel.sender.commit(transaction)
    message = channel.expect_message()
    expect_headers(bench, "STOMP-SEND-004", message, headers)


@clauses("STOMP-SEND-005")
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_arrives_octet_for_octet(bench: Bench, body: bytes) -> None:
    """Send a counted body of any octets; expect the same octets in the MESSAGE."""
    fixture = StompFixture(bench)
    if bench.version == "1.0":
        body = body.replace(b"\0", b"\1")  # a server of 1.0 need not count (STOMP-CLEN-011)
    channel = Channel(fixture)
    if not is_utf8(body) and not _takes_binary(channel):
        bench.skip("STOMP-SEND-005", "the server takes no binary messages, so such a body can't be sent")
        return
    _judge_body(channel, body, [])


@clauses("STOMP-SEND-005")
@pytest.mark.parametrize("size", [65_535, 65_536, 70_000])
def test_a_long_body_arrives_whole_or_is_refused(bench: Bench, size: int) -> None:
    """Send a body longer than two octets can count; expect it whole, or not at all."""
    channel = Channel(StompFixture(bench))
    channel.send(b"x" * size)
    within = SHORT_WAIT if REFUSES_LONG in bench.findings else None
    try:
        message = channel.reader.expect("MESSAGE", channel.subscription.owns, within)
    except PeerFailure:
        bench.findings.add(REFUSES_LONG)
        bench.skip("STOMP-SEND-005", f"the server delivers no body of {size} octets (STOMP-LIMIT-003)")
        return
    bench.judge(
        "STOMP-SEND-005",
        message.body == b"x" * size,
        expected=f"a body of {size} octets",
        observed=f"a body of {len(message.body)} octets: {cut_repr(message.octets, 300)}",
    )


@clauses("STOMP-SEND-005")
@pytest.mark.parametrize("content_type", TYPED_BODIES)
def test_no_body_is_adapted_to_its_type(bench: Bench, content_type: str) -> None:
    """Send a body with a `content-type` that does or doesn't fit; expect the same octets."""
    fixture = StompFixture(bench)
    _judge_body(Channel(fixture), TYPED_BODIES[content_type], [("content-type", content_type)])


def _judge_body(channel: Channel, body: bytes, headers: Sequence[tuple[str, str]]) -> None:
    channel.send(body, headers)
    try:
        message = channel.expect_message("STOMP-SEND-005")
    except Violation as violation:
        if violation.clause == "STOMP-SEND-005":
            raise
        # A text message that is not UTF-8, or a MESSAGE cut at a NUL, breaks a clause of its own.
        channel.fixture.skip("STOMP-SEND-005", f"the MESSAGE can't be read: {violation.clause}")
        return
    expect_body(channel.fixture, "STOMP-SEND-005", message, body)


def _takes_binary(channel: Channel) -> bool:
    """True if the server processes a frame in a binary message (STOMP-WS-007)."""
    octets = fill(b"SEND\n<destination>\n\nbinary\0", channel.destination, channel.sender.version)
    channel.sender.send_octets(octets, binary=True)
    try:
        return channel.reader.expect("MESSAGE").body == b"binary"
    except PeerFailure:
        return False
