"""What a SEND does: STOMP-SEND-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.channel import Channel, is_undecidable, new_destination, send_until_received
from conformance.suite.stomp.loopback import raw_frame
from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.suite.stomp.reactions import judge_refusal_rules, reaction
from conformance.suite.stomp.stomp_fixture import Destination, StompFixture
from conformance.wire.failures import PeerFailure, Violation
from conformance.wire.frames import is_utf8

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.reactions import Reaction
    from conformance.suite.stomp.stomp_fixture import Subscription
    from conformance.wire.stomp import StompClient

#: Headers to which neither STOMP nor a known broker gives a meaning.
USER_DEFINED = [
    ("station", "Ithaca"),
    ("X-Trace-9", "a b  c"),
    ("MixedCase", "MixedCase"),
    ("no_value", ""),
    ("odd.name/with-more+signs", "?=&;,{}[]<>\"'%41"),
    ("zz", "0" * 300),
]
BODIES = {
    "every-octet": bytes(range(256)),
    "not-utf-8": b"\xff\xfe\x80 \xc3",
    "nul": b"a\0b\0\0",
    "line-ends": b"\r\n\n\r one\r\ntwo\n\n",
    "frame": b"\nSEND\ndestination:/queue/none\n\nbody",
    "wide": "größe 日本語 🙂 e\u0301".encode(),
    "long": b"0123456789abcdef" * 256,
}
#: The word for a server that didn't deliver a long body.
REFUSES_LONG = "delivers no long body"
#: What a server that looks into bodies would be tempted to change.
TYPED_BODIES = {
    "application/json": b'{ "b" : 1.0,\n  "a" : "\\u00e9" }\n',
    "application/xml": b"<a>\r\n</a>",
    "text/plain": b"  blanks and line ends \r\n",
    "text/plain;charset=iso-8859-1": "größe".encode(),
    "text/plain;charset=utf-16": b"no UTF-16",
}
#: Pairs of different names, as what follows a common stem, and the kind of destination that is likely to mix them up.
DIFFERENT_NAMES = {
    "case": ("topic", "-Name", "-name"),
    "percent": ("queue", "-%41", "-A"),
    "blank": ("queue", "-a b", "-a"),
    "star": ("topic", ".*", ".a"),
    "hash": ("topic", ".#", ".a.b"),
    "greater": ("topic", ".>", ".a"),
    "slash-star": ("topic", "/*", "/a"),
    "comma": ("queue", ",a", ""),
    "question-mark": ("queue", "?a=b", ""),
    "semicolon": ("topic", ";a=b", ""),
    "slash": ("topic", "/", ""),
    "slashes": ("queue", "//a", "/a"),
    "dots": ("topic", "/a/../b", "/b"),
    "plus": ("queue", "+a", " a"),
    "braces": ("topic", "-{a}", "-b"),
    "colon": ("topic", ":a", ""),
    "backslash": ("queue", "\\n", "\n"),
    "unicode": ("topic", "-e\u0301", "-\u00e9"),
}
#: Those that 1.0 leaves no doubt about: without escapes, and ASCII.
ONLY_LATER = {"colon", "backslash", "unicode"}


def judge_failed_send(fixture: StompFixture, found: Reaction, receipt: str, why: str) -> None:
    """Judge STOMP-SEND-003, and what holds for every refusal."""
    fixture.judge(
        "STOMP-SEND-003",
        found.is_error_and_close,
        expected=f"ERROR and the end of the connection for a SEND {why}",
        observed=found,
    )
    judge_refusal_rules(fixture, found, receipt)


@clauses("STOMP-SEND-001", "STOMP-SEND-003")
@pytest.mark.parametrize("body", [b"", b"body"], ids=["empty", "body"])
def test_a_send_without_destination_is_refused(bench: Bench, body: bytes) -> None:
    """It gets no RECEIPT and, from 1.1 on, an ERROR and the end of the connection."""
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        client = fixture.client()
        client.frame("SEND", [("receipt", receipt), ("content-length", str(len(body)))], body)
        return client

    found = reaction(fixture, provoke, receipt, must_react=bench.version != "1.0")
    if is_undecidable(fixture, found):
        bench.skip("STOMP-SEND-001", "the server has no receipts, and was silent")
    else:
        bench.judge(
            "STOMP-SEND-001",
            not found.receipts,
            expected="no RECEIPT for a SEND without destination",
            observed=found,
        )
    judge_failed_send(fixture, found, receipt, "without destination")


@clauses("STOMP-SEND-003")
def test_a_send_to_a_refused_destination_is_answered(bench: Bench) -> None:
    """The destination that the target names as refused gets an ERROR and the end of the connection."""
    fixture = StompFixture(bench)
    if not bench.target.refused_destination:
        bench.skip("STOMP-SEND-003", "no destination is known that the server refuses")
        return
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        client = fixture.client()
        client.send(bench.target.refused_destination, "body", receipt=receipt)
        return client

    found = reaction(fixture, provoke, receipt, must_react=True)
    judge_failed_send(fixture, found, receipt, f"to {bench.target.refused_destination}")


@clauses("STOMP-SEND-003")
def test_a_send_in_an_unknown_transaction_is_answered(bench: Bench) -> None:
    """A server that doesn't carry it out (STOMP-TX-009) says so and ends the connection."""
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
    judge_failed_send(fixture, found, receipt, "in an unknown transaction")


@clauses("STOMP-SEND-002", "STOMP-MESSAGE-001")
@pytest.mark.parametrize("kind", ["topic", "queue"])
@pytest.mark.parametrize("own", [True, False], ids=["own", "of-others"])
def test_a_message_reaches_an_active_subscription(bench: Bench, own: bool, kind: str) -> None:
    """A SEND of the same connection or of another comes as a MESSAGE that names a destination."""
    fixture = StompFixture(bench)
    reader = fixture.client()
    channel = Channel(fixture, new_destination(fixture, kind), reader=reader, sender=reader if own else None)
    for body in ("first message", "", "third message"):
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
    """Names and values come as they were sent, with others of their kind or alone."""
    fixture = StompFixture(bench)
    channel = Channel(fixture, new_destination(fixture, kind))
    for headers in ([], USER_DEFINED, USER_DEFINED[:1], [("again", "x"), *USER_DEFINED[3:]]):
        message = channel.send_and_receive("body", headers)
        missing = [(name, value) for name, value in headers if value not in message.all(name)]
        bench.judge(
            "STOMP-SEND-004",
            not missing,
            expected=f"the headers {missing or headers}",
            observed=message.octets,
        )


@clauses("STOMP-SEND-004")
def test_user_defined_headers_arrive_when_a_transaction_is_committed(bench: Bench) -> None:
    """A SEND that waited for its COMMIT brings the same headers."""
    fixture = StompFixture(bench)
    if not fixture.has_transactions:
        bench.skip("STOMP-SEND-004", "the server has no transactions")
        return
    channel = Channel(fixture)
    headers = [*USER_DEFINED, ("pairs", "a\\nb\\\\c:d\ne")]
    channel.sender.begin("t")
    channel.send("body", [("transaction", "t"), *headers])
    channel.sender.commit("t")
    message = channel.expect_message()
    missing = [(name, value) for name, value in headers if value not in message.all(name)]
    bench.judge("STOMP-SEND-004", not missing, expected=f"the headers {missing}", observed=message.octets)


@clauses("STOMP-SEND-005")
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_arrives_octet_for_octet(bench: Bench, body: bytes) -> None:
    """Any octets that are counted come back, without one more or less."""
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
    """A body that is longer than two octets can count is not cut."""
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
        observed=f"a body of {len(message.body)} octets: {message.octets[:300]!r}",
    )


@clauses("STOMP-SEND-005")
@pytest.mark.parametrize("content_type", TYPED_BODIES)
def test_no_body_is_adapted_to_its_type(bench: Bench, content_type: str) -> None:
    """A body comes as it was, whatever its content-type says, also where that isn't true."""
    fixture = StompFixture(bench)
    _judge_body(Channel(fixture), TYPED_BODIES[content_type], [("content-type", content_type)])


def _judge_body(channel: Channel, body: bytes, headers: Sequence[tuple[str, str]]) -> None:
    channel.send(body, headers)
    try:
        message = channel.expect_message("STOMP-SEND-005")
    except Violation as violation:
        if violation.clause == "STOMP-SEND-005":
            raise
        # What isn't UTF-8 came in a text message, or its NUL cut the MESSAGE in two: that has clauses of its own.
        channel.fixture.skip("STOMP-SEND-005", f"the MESSAGE can't be read: {violation.clause}")
        return
    channel.fixture.judge(
        "STOMP-SEND-005", message.body == body, expected=f"the body {body[:300]!r}", observed=message.octets
    )


def _takes_binary(channel: Channel) -> bool:
    """Whether a frame in a binary message is carried out (STOMP-WS-007)."""
    octets = raw_frame(channel.destination, body=b"binary", version=channel.sender.version)
    channel.sender.send_octets(octets, binary=True)
    try:
        return channel.reader.expect("MESSAGE").body == b"binary"
    except PeerFailure:
        return False


@clauses("STOMP-SEND-006")
@pytest.mark.parametrize("pair", DIFFERENT_NAMES)
def test_names_of_destinations_have_no_inner_meaning(bench: Bench, pair: str) -> None:
    """A name that is taken in SUBSCRIBE and in SEND connects the two, and nothing else with them."""
    fixture = StompFixture(bench)
    if bench.version == "1.0" and pair in ONLY_LATER:
        pair = "case"
    kind, *suffixes = DIFFERENT_NAMES[pair]
    stem = bench.fresh("name")
    sender = fixture.client()
    words = [bench.fresh("word") for _ in suffixes]
    subscriptions: list[Subscription] = []
    for suffix, word in zip(suffixes, words, strict=True):
        destination = _named(fixture, kind, stem + suffix)
        subscription = _connected(fixture, sender, destination, word)
        if subscription is None:
            bench.skip("STOMP-SEND-006", f"the server takes no name like {destination.name!r}")
            return
        subscriptions.append(subscription)
    for subscription, word in reversed(list(zip(subscriptions, words, strict=True))):
        foreign = [
            message
            for message in fixture.messages_before_marker(subscription, sender)
            if message.body != word.encode()
        ]
        bench.judge(
            "STOMP-SEND-006",
            not foreign,
            expected=f"nothing at {subscription.destination.name!r} that was sent to the other name",
            observed=[message.octets for message in foreign[:3]],
        )


def _named(fixture: StompFixture, kind: str, name: str) -> Destination:
    target = fixture.bench.target
    if kind == "queue":
        return Destination(target.plain_queue(name), True, target.queue_headers)
    return Destination(target.plain_topic(name), False, target.topic_headers)


def _connected(
    fixture: StompFixture, sender: StompClient, destination: Destination, word: str
) -> Subscription | None:
    """A subscription that gets what is sent to its name; None where the server doesn't take the name.

    Without receipts nobody knows whether it does; then the first message tells.
    """
    reader = fixture.client()
    if not fixture.has_receipts:
        subscription = fixture.subscribe(reader, destination)
        try:
            send_until_received(fixture, reader, sender, destination, word)
        except PeerFailure:
            return None
        return subscription
    receipt = fixture.new_receipt()
    subscription = fixture.subscribe(reader, destination, receipt=receipt)
    try:
        reader.expect("RECEIPT", receipt_id=receipt)
        receipt = fixture.new_receipt()
        fixture.send(sender, destination, word, receipt=receipt)
        sender.expect("RECEIPT", receipt_id=receipt)
    except PeerFailure:
        return None
    fixture.expect_message(
        subscription,
        "STOMP-SEND-006",
        lambda frame: frame.body == word.encode(),
        f"the message at {destination.name!r}, which the server took in SUBSCRIBE and in SEND",
    )
    return subscription


@clauses("STOMP-SEND-007")
@pytest.mark.parametrize("kind", ["topic", "queue"])
def test_a_message_names_the_destination_of_its_send(bench: Bench, kind: str) -> None:
    """Where SEND and SUBSCRIBE use one name, the MESSAGE has it too."""
    fixture = StompFixture(bench)
    channel = Channel(fixture, new_destination(fixture, kind))
    message = channel.send_and_receive("body")
    bench.judge(
        "STOMP-SEND-007",
        message.get("destination") == channel.destination.name,
        expected=f"destination {channel.destination.name!r}",
        observed=message.octets,
    )
