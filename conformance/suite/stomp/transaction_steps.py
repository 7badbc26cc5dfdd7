"""Messages that are sent in transactions, and their delivery to other connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.suite.stomp.channel import Channel
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Collection

    from conformance.suite.stomp.destinations import Destination
    from conformance.suite.stomp.stomp_fixture import StompFixture
    from conformance.wire.stomp import StompClient


def channel_to(fixture: StompFixture, kind: str = "topic") -> Channel:
    """A consumer of a fresh destination on a connection of its own, and a sender on another one."""
    return Channel(fixture, fixture.queue() if kind == "queue" else fixture.topic())


def send_in_transaction(
    fixture: StompFixture, client: StompClient, name: str, destination: Destination, body: bytes | str
) -> None:
    """SEND with a `transaction` header."""
    fixture.send(client, destination, body, transaction=name)


def delivered_bodies(channel: Channel, bodies: Collection[bytes]) -> list[bytes]:
    """Those of `bodies` that arrive on the channel before a marker that is sent now."""
    came = channel.fixture.messages_before_marker(channel.subscription)
    return [message.body for message in came if message.body in bodies]


def all_delivered_bodies(
    channel: Channel, awaited: Collection[bytes], others: Collection[bytes] = ()
) -> list[bytes]:
    """Those of `awaited` and `others` that arrive: the former are waited for, then a marker is sent."""
    wanted, missing, came = {*awaited, *others}, set(awaited), list[bytes]()
    while missing:
        try:
            body = channel.reader.expect("MESSAGE", channel.subscription.owns).body
        except PeerFailure:
            break  # the caller compares
        missing.discard(body)
        came += [body] if body in wanted else []
    return came + delivered_bodies(channel, wanted)


def expect_no_messages(channel: Channel, clause: str, bodies: Collection[bytes], expected: str) -> None:
    """Judge that none of `bodies` arrives on the channel before a marker that is sent now."""
    came = delivered_bodies(channel, bodies)
    channel.fixture.judge(clause, not came, expected=expected, observed=came)


def expect_all_messages(channel: Channel, clause: str, bodies: Collection[bytes]) -> None:
    """Judge that all of `bodies` arrive on the channel, in any order."""
    for _ in bodies:
        channel.fixture.expect_message(
            channel.subscription, clause, lambda frame: frame.body in bodies, f"all of {sorted(bodies)}"
        )
    channel.fixture.judge(clause, True, expected="all messages", observed=sorted(bodies))


def fresh_bodies(fixture: StompFixture, *stems: str) -> list[bytes]:
    """Bodies that no other test sends."""
    return [fixture.bench.fresh(stem).encode() for stem in stems]
