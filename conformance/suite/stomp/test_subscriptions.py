"""Subscriptions and their messages: STOMP-SUB-*. The effect of an acknowledgement is in `test_consuming`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.channel import (
    Channel,
    fence_by_subscription,
    first_message,
    is_refused,
    is_undecidable,
    message_if_subscribed,
    new_destination,
    reaction_summary,
    session_subscribing,
)
from conformance.suite.stomp.reactions import expect_error_and_close, reaction
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.stomp import StompClient

BOGUS_MODES = ["bogus", "AUTO", "client_individual", ""]


@clauses("STOMP-SUB-001")
@pytest.mark.parametrize("kind", ["topic", "queue"])
def test_an_active_subscription_gets_the_messages_of_its_destination(bench: Bench, kind: str) -> None:
    """Send many SENDs to two destinations; expect each subscription to get all MESSAGEs of its own."""
    fixture = StompFixture(bench)
    reader = fixture.client()
    channels = [Channel(fixture, new_destination(fixture, kind), reader=reader) for _ in range(2)]
    sent: list[list[bytes]] = [[], []]
    for number in range(bench.examples(10, 50, 200)):
        for channel, bodies in zip(channels, sent, strict=True):
            bodies.append(bench.fresh(f"m{number}").encode())
            channel.send(bodies[-1])
    for channel, bodies in zip(channels, sent, strict=True):
        came = [channel.expect_message("STOMP-SUB-001").body for _ in bodies]
        bench.judge(
            "STOMP-SUB-001",
            sorted(came) == sorted(bodies),
            expected=f"the {len(bodies)} messages of {channel.destination.name}",
            observed=came,
        )


@clauses("STOMP-SUB-004", "STOMP-SUB-002")
def test_a_subscribe_without_destination_is_refused(bench: Bench) -> None:
    r"""Send `SUBSCRIBE\nid:without\nreceipt:…\n\n\0`; expect no RECEIPT and, from 1.1 on, an ERROR and the end."""
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()
    provoke = session_subscribing(fixture, [("id", "without"), ("receipt", receipt)])
    found = reaction(fixture, provoke, receipt, must_react=bench.version != "1.0")
    if is_undecidable(fixture, found):
        bench.skip("STOMP-SUB-004", "the server has no receipts, and was silent")
    else:
        bench.judge(
            "STOMP-SUB-004",
            not found.receipts,
            expected="no RECEIPT for a SUBSCRIBE without destination",
            observed=found,
        )
    expect_error_and_close(fixture, "STOMP-SUB-002", found, receipt, "a SUBSCRIBE without destination")


@clauses("STOMP-SUB-002")
def test_a_subscribe_to_a_refused_destination_is_answered(bench: Bench) -> None:
    """Send SUBSCRIBE to the destination that the target file names as refused; expect an ERROR and the end."""
    fixture = StompFixture(bench)
    refused, receipt = bench.target.refused_destination, fixture.new_receipt()
    if not refused:
        bench.skip("STOMP-SUB-002", "no destination is known that the server refuses")
        return
    provoke = session_subscribing(
        fixture, [("id", "refused"), ("destination", refused), ("receipt", receipt)]
    )
    found = reaction(fixture, provoke, receipt, must_react=True)
    expect_error_and_close(fixture, "STOMP-SUB-002", found, receipt, f"a SUBSCRIBE to {refused}")


@clauses("STOMP-SUB-003", "STOMP-SUB-002", "STOMP-MESSAGE-003")
def test_a_subscribe_without_id(bench: Bench) -> None:
    r"""Send `SUBSCRIBE\ndestination:…\n\n\0`; expect a refusal, or else a `subscription` in the MESSAGE."""
    fixture = StompFixture(bench)
    destination, receipt = fixture.topic(), fixture.new_receipt()
    headers = destination.all_headers
    found = reaction(
        fixture, session_subscribing(fixture, [*headers, ("receipt", receipt)]), receipt, must_react=True
    )
    bench.judge(
        "STOMP-SUB-003",
        is_refused(fixture, found),
        expected="a SUBSCRIBE without id refused",
        observed=found,
    )
    if is_refused(fixture, found):
        bench.skip("STOMP-MESSAGE-003", "there is no subscription without id")
        expect_error_and_close(fixture, "STOMP-SUB-002", found, receipt, "a SUBSCRIBE without id")
        return
    try:
        message = first_message(fixture, destination, [("id", None)])
    except PeerFailure as failure:
        if fixture.has_receipts:
            bench.judge(
                "STOMP-SUB-001",
                False,
                expected="a message for the subscription without id",
                observed=failure.observed,
            )
        bench.skip("STOMP-MESSAGE-003", "there is no message for a subscription without id")
        expect_error_and_close(
            fixture, "STOMP-SUB-002", found, receipt, "a SUBSCRIBE without id, which gets no message"
        )
        return
    bench.skip("STOMP-SUB-002", "the server can create a subscription without id")
    bench.judge(
        "STOMP-MESSAGE-003",
        message.get("subscription") is not None,
        expected="a header subscription, also where the SUBSCRIBE had no id",
        observed=message.octets,
    )


@clauses("STOMP-SUB-005", "STOMP-SUB-002")
@pytest.mark.parametrize("same", [True, False], ids=["same-destination", "other-destination"])
def test_an_id_in_use_is_refused(bench: Bench, same: bool) -> None:
    """Send a second SUBSCRIBE with the same `id`; expect no RECEIPT, an ERROR and the end of the connection."""
    fixture = StompFixture(bench)
    first = fixture.queue()  # its headers have the server remove it if the second SUBSCRIBE fails half way
    second, receipt = first if same else fixture.queue(), fixture.new_receipt()

    def provoke() -> StompClient:
        client = fixture.client()
        fixture.active_subscription(client, first, id="twice")
        if same and fixture.has_transactions:  # whatever else is open on the session
            client.begin(bench.fresh("transaction"))
        fixture.subscribe(client, second, id="twice", receipt=receipt)
        return client

    found = reaction(fixture, provoke, receipt, must_react=True)
    if not is_undecidable(fixture, found):
        bench.judge(
            "STOMP-SUB-005",
            is_refused(fixture, found) and not found.receipts,
            expected="a SUBSCRIBE with an id in use refused",
            observed=found,
        )
    elif same:
        bench.skip("STOMP-SUB-005", "the server has no receipts, and was silent")
    else:
        came = message_if_subscribed(fixture, provoke(), second)
        bench.judge(
            "STOMP-SUB-005", came is None, expected="no second subscription with the id", observed=came
        )
    expect_error_and_close(fixture, "STOMP-SUB-002", found, receipt, "a SUBSCRIBE with an id in use")


@clauses("STOMP-SUB-006")
def test_equal_ids_of_different_connections_are_different(bench: Bench) -> None:
    """Send SUBSCRIBE with one `id` on two connections; expect each to get its own MESSAGEs, also after UNSUBSCRIBE."""
    fixture = StompFixture(bench)
    channels = [Channel(fixture, headers=[("id", "equal")]) for _ in range(2)]
    words = [bench.fresh("word") for _ in channels]
    for channel, word in zip(channels, words, strict=True):
        channel.send(word)
    for channel, word in zip(channels, words, strict=True):
        _judge_only(channel, [word.encode()])
    one, other = channels
    one.reader.unsubscribe("equal", one.destination.headers)
    fence_by_subscription(fixture, one.reader)
    other.send("later")
    _judge_only(other, [b"later"])


def _judge_only(channel: Channel, bodies: list[bytes]) -> None:
    came = [channel.expect_message("STOMP-SUB-006") for _ in bodies]
    came += channel.fixture.messages_before_marker(channel.subscription, channel.sender)
    channel.fixture.judge(
        "STOMP-SUB-006",
        [message.body for message in came] == bodies,
        expected=f"{bodies} for the subscription to {channel.destination.name}",
        observed=[message.octets for message in came],
    )


@clauses("STOMP-SUB-015", "STOMP-SUB-002")
@pytest.mark.parametrize("mode", BOGUS_MODES)
def test_an_unknown_mode_is_refused(bench: Bench, mode: str) -> None:
    """Send SUBSCRIBE with `ack:bogus`; expect no RECEIPT, an ERROR and the end of the connection."""
    fixture = StompFixture(bench)
    destination, receipt = fixture.topic(), fixture.new_receipt()
    headers = [("id", "mode"), *destination.all_headers, ("ack", mode)]
    found = reaction(
        fixture, session_subscribing(fixture, [*headers, ("receipt", receipt)]), receipt, must_react=True
    )
    bench.judge(
        "STOMP-SUB-015",
        is_refused(fixture, found),
        expected=f"a SUBSCRIBE with ack:{mode} refused",
        observed=found,
    )
    if is_refused(fixture, found):
        expect_error_and_close(fixture, "STOMP-SUB-002", found, receipt, f"a SUBSCRIBE with ack:{mode}")
    else:
        bench.skip("STOMP-SUB-002", "the server can create a subscription in a mode that there is not")


@clauses("STOMP-SUB-013")
def test_an_unknown_header_of_subscribe(bench: Bench) -> None:
    """Send SUBSCRIBE with `x-nobody-knows:this`. Recorded: the reaction."""
    fixture = StompFixture(bench)
    destination, receipt = fixture.topic(), fixture.new_receipt()
    headers = [("id", "further"), *destination.all_headers]
    headers += [("x-nobody-knows", "this"), ("receipt", receipt)]
    found = reaction(fixture, session_subscribing(fixture, headers), receipt)
    bench.observe("STOMP-SUB-013", f"a SUBSCRIBE with an unknown header: {reaction_summary(found)}")


@clauses("STOMP-SUB-014")
def test_each_subscription_gets_its_own_copy(bench: Bench) -> None:
    """Send SUBSCRIBE twice to one topic; expect two MESSAGEs for each SEND, one under either id."""
    fixture = StompFixture(bench)
    reader, destination = fixture.client(), fixture.topic()
    channels = [
        Channel(fixture, destination, reader=reader, headers=[("id", name)]) for name in ("one", "two")
    ]
    bodies = sorted(bench.fresh("m").encode() for _ in range(5))
    for body in bodies:
        channels[0].send(body)
    for channel in channels:
        came = [
            channel.expect_message("STOMP-SUB-014", lambda message: message.body in bodies) for _ in bodies
        ]
        came += fixture.messages_before_marker(channel.subscription, channels[0].sender)
        bench.judge(
            "STOMP-SUB-014",
            sorted(message.body for message in came if message.body in bodies) == bodies,
            expected=f"the messages {bodies} under the id {channel.subscription.id!r}, once each",
            observed=[message.body for message in came],
        )
