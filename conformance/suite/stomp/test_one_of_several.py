"""Queue-like destinations with several subscriptions, of which one gets each message: STOMP-SUB-017."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.accept_or_refuse import channel_in_mode
from conformance.suite.stomp.channel import NO_QUEUES, has_redelivery
from conformance.suite.stomp.stomp_fixture import StompFixture

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.stomp.destinations import Subscription

SUBSCRIPTIONS = 3
#: Seconds to read from one session before the next one has its turn.
TURN = 0.02


@clauses("STOMP-SUB-017")
@pytest.mark.parametrize("mode", ["auto", "client"])
@pytest.mark.parametrize("together", [True, False], ids=["one connection", "several connections"])
def test_a_message_of_a_queue_goes_to_one_subscription(bench: Bench, together: bool, mode: str) -> None:
    """Send messages to a queue with three subscriptions, on one connection or on three; expect each message once."""
    fixture = StompFixture(bench)
    if not bench.target.fact("queues"):
        bench.skip("STOMP-SUB-017", NO_QUEUES)
        return
    destination, shared = fixture.queue(), fixture.client()
    subscriptions = [
        fixture.active_subscription(
            shared if together else fixture.client(), destination, id=f"one-{number}", ack=mode
        )
        for number in range(SUBSCRIPTIONS)
    ]
    sender = fixture.client()
    bodies = [bench.fresh("m").encode() for _ in range(bench.examples(12, 40, 200))]
    for body in bodies:
        fixture.send(sender, destination, body)
    came = _received(fixture, subscriptions, bodies)
    again = {body: number for body, number in came.items() if number > 1}
    bench.judge(
        "STOMP-SUB-017",
        not again,
        expected=f"each of {len(bodies)} messages for one of {SUBSCRIPTIONS} subscriptions",
        observed=f"{len(again)} of them more than once: {dict(list(again.items())[:3])}",
    )
    bench.judge(
        "STOMP-SUB-001",
        len(came) == len(bodies),
        expected=f"all of {len(bodies)} messages",
        observed=f"{len(came)} of them",
    )


@clauses("STOMP-SUB-017")
def test_a_message_that_comes_back_goes_to_one_subscription(bench: Bench) -> None:
    """End the session of a consumer that has acknowledged nothing while two others are subscribed to its queue; expect
    each message once at one of them.
    """
    fixture = StompFixture(bench)
    if not has_redelivery(fixture, "STOMP-SUB-017"):
        return
    holder = channel_in_mode(fixture, "client")
    bodies = [message.body for message in holder.unacknowledged_messages(4)]
    others = [
        fixture.active_subscription(fixture.client(), holder.destination, ack="client") for _ in range(2)
    ]
    holder.reader.link.cut()
    came = _received(fixture, others, bodies)
    bench.judge(
        "STOMP-SUB-017",
        max(came.values(), default=0) <= 1,
        expected=f"each of {len(bodies)} messages that came back for one of two subscriptions",
        observed=dict(came),
    )


def _received(
    fixture: StompFixture, subscriptions: list[Subscription], bodies: list[bytes]
) -> Counter[bytes]:
    """How often each body came, over all subscriptions; messages in the client modes are acknowledged."""
    came: Counter[bytes] = Counter()
    clients = list(dict.fromkeys(subscription.client for subscription in subscriptions))
    mode = subscriptions[0].mode
    deadline = time.monotonic() + fixture.bench.patience
    is_last = False
    while not is_last:
        is_last = len(came) == len(bodies) or time.monotonic() > deadline
        for client in clients:
            if is_last:
                fixture.fence(client)
            while frame := client.receive(0.0 if is_last else TURN):
                if frame.command == "MESSAGE" and frame.body in bodies:
                    came[frame.body] += 1
                    deadline = time.monotonic() + fixture.bench.patience
                    if mode != "auto":
                        client.ack(frame)
    return came
