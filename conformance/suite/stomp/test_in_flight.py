"""Messages in flight to a session: no other session has them, and its end frees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.accept_or_refuse import redelivery_works, too_few_reason
from conformance.suite.stomp.channel import Channel, acknowledgement_mode, consume_elsewhere, disconnect
from conformance.suite.stomp.stomp_fixture import StompFixture

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: Messages that are in flight when a session ends.
IN_FLIGHT = 4


def end(client: StompClient, how: str) -> None:
    """End a session by DISCONNECT, a refused frame, a Close frame, or the loss of the connection."""
    if how == "disconnect":
        disconnect(client)
    elif how == "error":
        client.send_octets(b"SEND\n\n\0")
        client.listen(0.0)
        client.close()
    elif how == "close":
        client.close()
    else:
        client.link.cut()


@clauses("STOMP-SUB-016")
@pytest.mark.parametrize("mode", ["client", "client-individual"])
@pytest.mark.parametrize("how", ["disconnect", "error", "close", "cut"])
def test_what_was_in_flight_goes_to_others_than_the_dying_session(bench: Bench, how: str, mode: str) -> None:
    """End a session with messages in flight and a second subscription in mode auto; expect them at another consumer."""
    fixture = StompFixture(bench)
    mode = acknowledgement_mode(bench, mode)
    if not redelivery_works(fixture, mode, "STOMP-SUB-016"):
        return
    channel = Channel(fixture, fixture.queue(), headers=[("ack", mode)])
    held = [message.body for message in channel.unacknowledged_messages(IN_FLIGHT)]
    second = fixture.active_subscription(channel.reader, channel.destination, id="second", ack="auto")
    # A server that holds back messages gives these to the second subscription.
    early = [frame.body for frame in channel.reader.take("MESSAGE", second.owns) if frame.body in held]
    end(channel.reader, how)
    again = consume_elsewhere(fixture, channel.destination, [body for body in held if body not in early])
    bench.judge(
        "STOMP-SUB-016",
        not early and set(held) <= set(again),
        expected=f"{held} for another consumer: they were in flight to a session that has ended ({how})",
        observed=f"{again}; and {early} for another subscription of the session, before its end",
    )


@clauses("STOMP-SUB-016")
@pytest.mark.parametrize("mode", ["client", "client-individual"])
def test_what_is_in_flight_goes_to_nobody_else(bench: Bench, mode: str) -> None:
    """Subscribe to a queue whose messages are in flight to another session; expect none of them, and all settled."""
    fixture = StompFixture(bench)
    mode = acknowledgement_mode(bench, mode)
    if not redelivery_works(fixture, mode, "STOMP-SUB-016"):
        return
    channel = Channel(fixture, fixture.queue(), headers=[("ack", mode)])
    messages: list[Frame] = channel.unacknowledged_messages(IN_FLIGHT)
    held = {message.body for message in messages}
    if len(messages) < IN_FLIGHT:
        bench.skip("STOMP-SUB-016", too_few_reason(messages))
        return
    other = fixture.client()
    for number in range(3):  # others come and go, subscribe and unsubscribe
        subscription = fixture.active_subscription(
            other, channel.destination, id=f"other-{number}", ack="auto"
        )
        came = [frame.body for frame in other.drain() if frame.body in held]
        bench.judge(
            "STOMP-SUB-016",
            not came,
            expected=f"nothing of {sorted(held)}, which is in flight to another session",
            observed=came or "nothing",
        )
        other.unsubscribe(subscription.id, channel.destination.headers)
        fixture.fence(other)
    for message in messages:
        channel.reader.ack(message)
    fixture.fence(channel.reader)
    bench.judge("STOMP-SUB-016", True, expected="in flight to one session", observed="to one session")


def _has_body(body: bytes) -> Callable[[Frame], bool]:
    return lambda frame: frame.body == body


@clauses("STOMP-SUB-017")
def test_a_message_of_a_queue_goes_to_one_subscription_of_a_session(bench: Bench) -> None:
    """Subscribe twice to one queue, send messages and ACK each as it comes; expect each once, at either."""
    fixture = StompFixture(bench)
    mode = acknowledgement_mode(bench, "client-individual")
    if not redelivery_works(fixture, mode, "STOMP-SUB-017"):
        return
    channel = Channel(fixture, fixture.queue(), headers=[("ack", mode), ("id", "one")])
    reader = channel.reader
    fixture.active_subscription(reader, channel.destination, id="two", ack=mode)
    bodies = [bench.fresh("m").encode() for _ in range(3 * IN_FLIGHT)]
    came: list[bytes] = []
    for body in bodies:
        channel.send(body)
        message = reader.expect("MESSAGE", _has_body(body))
        came.append(message.body)
        reader.ack(message)
    fixture.fence(reader)
    came += [frame.body for frame in reader.take("MESSAGE") if frame.body in bodies]
    bench.judge(
        "STOMP-SUB-017",
        sorted(came) == sorted(bodies),
        expected=f"{bodies}, each once for one of two subscriptions to a queue",
        observed=came,
    )
