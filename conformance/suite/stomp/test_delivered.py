"""Headers of a MESSAGE: STOMP-MESSAGE-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.channel import (
    Channel,
    first_message,
)
from conformance.suite.stomp.delivered_frames import expect_header
from conformance.suite.stomp.stomp_fixture import StompFixture

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame

IDENTIFIERS = {
    "plain": "sub-1",
    "number": "0",
    "blanks": "my  own subscription",
    "padded": " padded ",
    "colon": "a:b::c",
    "line-feed": "two\nlines",
    "backslash": "a\\b\\n\\c",
    "wide": "größe-日本語-🙂",
    "signs": "a@@1@@2/?%41,;*",
    "long": "s" * 500,
}
IDENTIFIERS_OF_1_0 = {"plain", "number"}
MODES = ["auto", "client", "client-individual"]
#: The headers of a MESSAGE that STOMP defines.
STANDARD_HEADERS = {"destination", "message-id", "subscription", "ack", "content-length", "content-type"}


@clauses("STOMP-MESSAGE-001", "STOMP-MESSAGE-002")
@pytest.mark.parametrize("mode", MODES)
def test_ids_of_messages_differ(bench: Bench, mode: str) -> None:
    """Send messages from two clients to three subscriptions; expect `destination` and a different `message-id` each."""
    fixture = StompFixture(bench)
    if mode == "client-individual" and bench.version == "1.0":
        mode = "client"
    reader, senders = fixture.client(), [fixture.client(), fixture.client()]
    destinations = [fixture.topic(), fixture.topic(), fixture.queue()]
    channels = [
        Channel(fixture, destination, reader=reader, sender=senders[0], headers=[("ack", mode)])
        for destination in destinations
    ]
    bodies: dict[str, bytes] = {}
    for number in range(bench.examples(10, 50, 300)):
        for channel in channels:
            channel.sender = senders[number % 2]
            message = channel.send_and_receive(bench.fresh("m"))
            if mode != "auto":
                reader.ack(message)
            bench.judge(
                "STOMP-MESSAGE-001",
                message.get("destination") is not None,
                expected="a header destination",
                observed=message.octets,
            )
            identifier = message.get("message-id")
            bench.judge(
                "STOMP-MESSAGE-002",
                identifier is not None and bodies.setdefault(identifier, message.body) == message.body,
                expected="a message-id that no other message has",
                observed=message.octets,
            )


@clauses("STOMP-MESSAGE-003", "STOMP-MESSAGE-008")
@pytest.mark.parametrize("name", IDENTIFIERS)
def test_a_message_names_its_subscription(bench: Bench, name: str) -> None:
    """Send SUBSCRIBE with an `id` of any characters; expect it as `subscription` in the MESSAGE, octet for octet."""
    fixture = StompFixture(bench)
    if bench.version == "1.0" and name not in IDENTIFIERS_OF_1_0:
        name = "plain"
    identifier = IDENTIFIERS[name]
    message = first_message(fixture, fixture.topic(), [("id", identifier)])
    for clause in ("STOMP-MESSAGE-003", "STOMP-MESSAGE-008"):
        expect_header(fixture, clause, message, "subscription", identifier)


@clauses("STOMP-MESSAGE-004")
@pytest.mark.parametrize("mode", ["client", "client-individual"])
def test_messages_to_acknowledge_have_an_ack_of_their_own(bench: Bench, mode: str) -> None:
    """Send messages to two subscriptions in a client mode; expect a different `ack` in each MESSAGE."""
    fixture = StompFixture(bench)
    reader = fixture.client()
    messages: list[Frame] = []
    for _ in range(2):
        channel = Channel(fixture, fixture.queue(), reader=reader, headers=[("ack", mode)])
        messages += channel.unacknowledged_messages(3)
    values = [message.get("ack") for message in messages]
    bench.judge(
        "STOMP-MESSAGE-004",
        None not in values and len(set(values)) == len(values),
        expected="a header ack on each MESSAGE, all different",
        observed=values,
    )


@clauses("STOMP-MESSAGE-005")
def test_ack_headers_in_mode_auto(bench: Bench) -> None:
    """Send messages to a subscription in mode auto. Recorded: `ack` in the MESSAGE, and that of the sender."""
    channel = Channel(StompFixture(bench), headers=[("ack", "auto")])
    message = channel.send_and_receive("body")
    seen = "no ack header" if message.get("ack") is None else f"ack:{message.get('ack')}"
    bench.observe("STOMP-MESSAGE-005", f"in mode auto: {seen}")
    values = channel.send_and_receive("body", [("ack", "of-the-sender")]).all("ack")
    seen = "passed on" if "of-the-sender" in values else "dropped"
    bench.observe("STOMP-MESSAGE-005", f"an ack header of the sender is {seen}")


@clauses("STOMP-MESSAGE-006", "STOMP-MESSAGE-007")
def test_headers_that_are_added_or_left_out(bench: Bench) -> None:
    """Send SENDs with `receipt` and `transaction`. Recorded: these in the MESSAGE, and headers that the server adds."""
    transaction = bench.fresh("t")
    fixture = StompFixture(bench)
    channel = Channel(fixture)
    message = channel.send_and_receive("body")
    sent = {"destination", *channel.destination.headers}
    added = sorted({name for name, _ in message.headers} - STANDARD_HEADERS - sent)
    bench.observe("STOMP-MESSAGE-006", f"headers of the server: {', '.join(added) or 'none'}")
    seen = [channel.send_and_receive("body", [("receipt", fixture.new_receipt())])]
    if fixture.has_transactions:
        channel.sender.begin(transaction)
        channel.send("body", [("transaction", transaction)])
        channel.sender.commit(transaction)
        seen.append(channel.expect_message())
    steering = ("receipt", "transaction") if fixture.has_transactions else ("receipt",)
    for name, message in zip(steering, seen, strict=True):
        what = "left out" if message.get(name) is None else "passed on"
        bench.observe("STOMP-MESSAGE-007", f"{name} is {what}")
