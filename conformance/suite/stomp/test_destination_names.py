"""Names of destinations in SEND, SUBSCRIBE and MESSAGE: STOMP-SEND-006, STOMP-SEND-007."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.channel import Channel, new_destination, send_until_received
from conformance.suite.stomp.delivered_frames import expect_header
from conformance.suite.stomp.destinations import Destination
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.stomp.destinations import Subscription
    from conformance.wire.stomp import StompClient

#: Kind of destination, and two endings of a common name that a server of that kind may confuse.
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
#: Pairs for 1.1 and later: 1.0 has no escapes, and leaves characters beyond ASCII open.
ONLY_LATER = {"backslash", "unicode"}


@clauses("STOMP-SEND-006")
@pytest.mark.parametrize("pair", DIFFERENT_NAMES)
def test_similar_names_are_different_destinations(bench: Bench, pair: str) -> None:
    """Send to two similar names such as `a.*` and `a.a`, if accepted; expect each MESSAGE at its own name only."""
    fixture = StompFixture(bench)
    if bench.version == "1.0" and pair in ONLY_LATER:
        pair = "case"
    kind, *suffixes = DIFFERENT_NAMES[pair]
    stem = bench.fresh("name")
    sender = fixture.client()
    words = [bench.fresh("word") for _ in suffixes]
    subscriptions: list[Subscription] = []
    for suffix, word in zip(suffixes, words, strict=True):
        destination = _destination_named(fixture, kind, stem + suffix)
        subscription = _subscription_if_accepted(fixture, sender, destination, word)
        if subscription is None:
            bench.skip("STOMP-SEND-006", f"the server takes no name like {destination.name!r}")
            return
        subscriptions.append(subscription)
    for subscription, word in reversed(list(zip(subscriptions, words, strict=True))):
        foreign = [
            message
            # A marker that went to a consumer of the other name is missing here.
            for message in fixture.messages_before_marker(subscription, sender, "STOMP-SEND-006")
            if message.body != word.encode()
        ]
        bench.judge(
            "STOMP-SEND-006",
            not foreign,
            expected=f"nothing at {subscription.destination.name!r} that was sent to the other name",
            observed=[message.octets for message in foreign[:3]],
        )


@clauses("STOMP-SEND-006")
def test_a_topic_and_a_queue_of_one_name_are_two_destinations(bench: Bench) -> None:
    """Subscribe to a topic and to a queue that have one name below their prefixes, and send to both; expect each
    message at its own destination only.
    """
    fixture = StompFixture(bench)
    stem, sender = bench.fresh("name"), fixture.client()
    destinations = [_destination_named(fixture, kind, stem) for kind in ("topic", "queue")]
    if not bench.target.fact("queues") or destinations[0].name == destinations[1].name:
        bench.skip("STOMP-SEND-006", "the server has no topic and queue that differ in their prefix only")
        return
    words = [bench.fresh("word") for _ in destinations]
    found = [
        _subscription_if_accepted(fixture, sender, destination, word)
        for destination, word in zip(destinations, words, strict=True)
    ]
    subscriptions = [subscription for subscription in found if subscription is not None]
    for _ in range(2):
        for subscription, word in zip(subscriptions, words, strict=False):
            fixture.send(sender, subscription.destination, word)
    own = dict(zip([each.name for each in destinations], words, strict=True))
    for subscription in subscriptions:
        name = subscription.destination.name
        strange = [
            message.octets
            for message in fixture.messages_before_marker(subscription, sender, "STOMP-SEND-006")
            if message.body != own[name].encode()
        ]
        bench.judge(
            "STOMP-SEND-006",
            not strange,
            expected=f"nothing at {name!r} that was sent to the other destination",
            observed=strange[:3],
        )


def _destination_named(fixture: StompFixture, kind: str, name: str) -> Destination:
    target = fixture.bench.target
    if kind == "queue":
        return Destination(target.plain_queue(name), True, target.queue_headers)
    return Destination(target.plain_topic(name), False, target.topic_headers)


def _subscription_if_accepted(
    fixture: StompFixture, sender: StompClient, destination: Destination, word: str
) -> Subscription | None:
    """A subscription that received `word`, sent to its name; None if the server refuses the name.

    On a server without receipts the first MESSAGE shows whether the name is accepted.
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
    """Send SUBSCRIBE and SEND with one name; expect it as the `destination` of the MESSAGE."""
    fixture = StompFixture(bench)
    channel = Channel(fixture, new_destination(fixture, kind))
    message = channel.send_and_receive("body")
    expect_header(bench, "STOMP-SEND-007", message, "destination", channel.destination.name)
