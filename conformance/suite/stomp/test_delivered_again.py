"""Messages that wait in a queue, or come again: they arrive as they were sent. STOMP-SEND-004, STOMP-SEND-005."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.accept_or_refuse import channel_in_mode, redelivery_works
from conformance.suite.stomp.channel import NO_QUEUES, Channel, acknowledgement_mode, get_error
from conformance.suite.stomp.delivered_frames import expect_header
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame

#: Headers that have to be escaped from 1.1 on, and one that must not be changed by another escape of it.
HEADERS = (("note", "a:b\\c\nd"), ("plain", "a b"), ("pairs", "\\c\\n\\\\"))
#: Lengths of bodies that wait behind one another, in octets.
LENGTHS = (300, 7, 40, 1, 1000, 2)
#: Type of the bodies.
TYPE = "text/x-again;level=1"
#: Times that a message comes again.
AGAIN = 2


def _headers(bench: Bench, reader: str = "") -> list[tuple[str, str]]:
    """Headers that the version can write and has to hand on; 1.0 has no escapes and need not hand any on.

    Without a line feed if a session of 1.0 reads them as well, which can't be sent one (STOMP-ENC-011).
    """
    if bench.version == "1.0":
        return []
    return [(name, value.replace("\n", "") if reader == "1.0" else value) for name, value in HEADERS]


def _judge_message(fixture: StompFixture, message: Frame, headers: list[tuple[str, str]], what: str) -> None:
    missing = [(name, value) for name, value in headers if value not in message.all(name)]
    fixture.judge(
        "STOMP-SEND-004",
        not missing,
        expected=f"the headers {missing or headers} unchanged, in {what}",
        observed=message.octets,
    )


def _judge_delivery(channel: Channel, message: Frame, headers: list[tuple[str, str]], what: str) -> None:
    """Judge the headers of a message with these and the type TYPE, as the channel's subscription gets it."""
    fixture = channel.fixture
    _judge_message(fixture, message, headers, what)
    for clause in ("STOMP-MESSAGE-003", "STOMP-MESSAGE-008"):
        expect_header(fixture, clause, message, "subscription", channel.subscription.id)
    expect_header(fixture, "STOMP-CTYPE-001", message, "content-type", TYPE)
    if channel.reader.version == "1.2":
        fixture.judge(
            "STOMP-MESSAGE-004",
            message.get("ack") is not None,
            expected=f"a header ack, in {what}",
            observed=message.octets,
        )


@clauses("STOMP-SEND-005", "STOMP-SEND-004")
def test_messages_that_wait_arrive_as_they_were_sent(bench: Bench) -> None:
    """Send bodies of several lengths to a queue without a consumer; expect those that come to a later consumer each
    with its own octets and headers.
    """
    fixture = StompFixture(bench)
    if not bench.target.fact("queues"):
        for clause in ("STOMP-SEND-005", "STOMP-SEND-004"):
            fixture.skip(clause, NO_QUEUES)
        return
    sender, destination = fixture.client(), fixture.queue()
    bodies = [chr(ord("a") + number).encode() * length for number, length in enumerate(LENGTHS)]
    for body in bodies:
        fixture.send(sender, destination, body, [*_headers(bench), ("length", str(len(body)))])
    fixture.fence(sender)
    subscription = fixture.subscribe(fixture.client(), destination)
    came = fixture.messages_before_marker(subscription, sender)
    for message in came:
        fixture.judge(
            "STOMP-SEND-005",
            message.body in bodies,
            expected=f"one of the bodies that were sent, of {LENGTHS} equal octets",
            observed=message.octets,
        )
        own = [] if bench.version == "1.0" else [("length", str(len(message.body)))]
        _judge_message(fixture, message, [*_headers(bench), *own], "a message that waited")
    texts = [message.body for message in came]
    fixture.judge(
        "STOMP-SEND-005",
        len(set(texts)) == len(texts),
        expected="no body twice: each message has its own",
        observed=texts,
    )


@clauses(
    "STOMP-SEND-004",
    "STOMP-SEND-005",
    "STOMP-MESSAGE-003",
    "STOMP-MESSAGE-008",
    "STOMP-MESSAGE-004",
    "STOMP-CTYPE-001",
)
@pytest.mark.parametrize("how", ["NACK", "cut", "ERROR", "cut, and another version"])
def test_a_message_that_comes_again_is_the_same(bench: Bench, how: str) -> None:
    """Refuse a message by NACK, or end its session, more than once, with a session of another version between; expect
    the same headers and octets each time, and the ids of the subscription and of the delivery to which it comes.
    """
    fixture = StompFixture(bench)
    mode = acknowledgement_mode(bench, "client-individual")
    ids = ("STOMP-SEND-004", "STOMP-SEND-005", "STOMP-MESSAGE-003", "STOMP-MESSAGE-008", "STOMP-CTYPE-001")
    if not redelivery_works(fixture, mode, *ids):
        return
    versions = [each for each in sorted(bench.target.stomp_versions) if each != bench.version]
    other = versions[0] if how.endswith("version") and versions else bench.version
    if (how == "NACK" and bench.version == "1.0") or (how.endswith("version") and not versions):
        return
    channel = channel_in_mode(fixture, mode)
    body = f"{bench.fresh('again')}: \\c\\n".encode()
    sent = _headers(bench, other)
    channel.send(body, [*sent, ("content-type", TYPE)])
    message = channel.expect_message("STOMP-SEND-002", lambda frame: frame.body == body)
    for number in range(1 + AGAIN):
        what = f"delivery {number + 1} of one message"
        fixture.judge(
            "STOMP-SEND-005",
            message.body == body,
            expected=f"the body {body!r}, in {what}",
            observed=message.octets,
        )
        if channel.reader.version == bench.version:
            _judge_delivery(channel, message, sent, what)
        if number == AGAIN:
            break
        if how == "NACK":
            channel.reader.nack(message)
        elif how == "ERROR":
            get_error(channel.reader)
        else:
            channel.reader.link.cut()
        if how != "NACK":
            reader = bench.stomp(version=other if number % 2 == 0 else bench.version)
            headers = [("ack", "client" if reader.version == "1.0" else mode), ("id", f"again-{number}")]
            subscription = fixture.subscribe(reader, channel.destination, headers)
            channel.reader, channel.subscription = reader, subscription
        try:
            message = channel.reader.expect("MESSAGE", lambda frame: frame.body == body)
        except PeerFailure:
            fixture.skip("STOMP-SEND-004", f"the same body doesn't come again after {how}")
            return
    channel.reader.ack(message)


@clauses("STOMP-NEG-002")
@pytest.mark.parametrize("first", ["own", "other"])
def test_a_message_is_written_for_each_of_its_readers(bench: Bench, first: str) -> None:
    r"""Subscribe two sessions of different versions to a topic and send `note:a\nb`, a backslash and an n; expect the
    same text at both, each by the rules of its version.
    """
    others = [version for version in bench.target.stomp_versions if "1.0" in (version, bench.version)]
    other = next((version for version in sorted(others) if version != bench.version), None)
    if other is None:
        bench.skip("STOMP-NEG-002", "the server speaks no two versions that write a backslash differently")
        return
    fixture = StompFixture(bench)
    sender, topic, text = fixture.client(), fixture.topic(), "a\\nb"
    versions = [bench.version, other] if first == "own" else [other, bench.version]
    readers = [bench.stomp(version=version) for version in versions]
    subscriptions = [fixture.active_subscription(reader, topic) for reader in readers]
    fixture.send(sender, topic, "body", [("note", text)])
    for version, subscription in zip(versions, subscriptions, strict=True):
        written = text if version == "1.0" else text.replace("\\", "\\\\")
        message = fixture.expect_message(subscription, "STOMP-SEND-002", lambda frame: frame.body == b"body")
        if version == "1.0" and message.get("note") is None:
            continue  # 1.0 says nothing of headers that are handed on
        bench.judge(
            "STOMP-NEG-002",
            f"\nnote:{written}\n".encode() in message.octets.replace(b"\r\n", b"\n"),
            expected=f"note:{written} on a session of {version}",
            observed=message.octets,
        )


@clauses("STOMP-MESSAGE-002", "STOMP-MESSAGE-003", "STOMP-MESSAGE-008", "STOMP-MESSAGE-004")
@pytest.mark.parametrize("name", ["message-id", "subscription", "ack"])
def test_a_sender_writes_no_header_of_the_server(bench: Bench, name: str) -> None:
    """Send two messages with a `message-id`, a `subscription` or an `ack` of the sender; expect those of the server."""
    clause = {"message-id": "STOMP-MESSAGE-002", "ack": "STOMP-MESSAGE-004"}.get(
        name, "STOMP-MESSAGE-008" if bench.version == "1.0" else "STOMP-MESSAGE-003"
    )
    if not bench.target.fact("queues") or not StompFixture(bench).applies(clause):
        StompFixture(bench).skip(clause, NO_QUEUES)
        return
    fixture = StompFixture(bench)
    channel = Channel(fixture, fixture.queue(), headers=[("ack", "client")])
    bodies = [bench.fresh("m").encode() for _ in range(2)]
    came: list[Frame] = []
    for body in bodies:
        channel.send(body, [(name, "of-the-sender")])
        try:
            came.append(channel.reader.expect("MESSAGE", lambda frame, body=body: frame.body == body))  # type: ignore[misc]
        except PeerFailure as failure:
            fixture.skip(clause, f"a SEND with the header {name} is refused, or not delivered: {failure}")
            return
    values = [message.get(name) for message in came]
    if name == "subscription":
        ok, expected = set(values) == {channel.subscription.id}, f"subscription:{channel.subscription.id}"
    else:
        ok, expected = None not in values and len(set(values)) == len(values), f"a different {name} in each"
    fixture.judge(clause, ok, expected=expected, observed=[message.octets for message in came])
    channel.reader.link.cut()
