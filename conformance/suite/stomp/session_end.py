"""Proof that a session has ended: all messages of its queues reach the other consumers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.suite.stomp.destinations import Subscription
    from conformance.suite.stomp.stomp_fixture import StompFixture
    from conformance.wire.stomp import StompClient

#: Messages in a row that must reach the remaining consumer; two consumers would alternate.
IN_A_ROW = 4
#: Seconds to wait for one of them, which may have gone to the session that is over.
SOON = 0.3


def expect_sole_subscription(
    fixture: StompFixture, clause: str, left: Subscription, sender: StompClient
) -> None:
    """Judge that `left` becomes the only subscription of its queue: the other one's session has ended.

    No clause bounds the time that this takes, so messages may go to the other one until the server notices its end.
    """
    deadline = time.monotonic() + fixture.bench.patience
    in_a_row, number = 0, 0
    while in_a_row < IN_A_ROW and time.monotonic() < deadline:
        number += 1
        body = b"m%d" % number
        fixture.send(sender, left.destination, body)
        in_a_row = in_a_row + 1 if _reaches(left, body) else 0
    fixture.judge(
        clause,
        in_a_row == IN_A_ROW,
        expected=f"{IN_A_ROW} messages in a row for the consumer that is left",
        observed=f"{in_a_row} of {number} messages, within {fixture.bench.patience:g} s",
    )


def expect_all_bodies(
    fixture: StompFixture, clause: str, subscription: Subscription, bodies: list[bytes]
) -> None:
    """Judge that all messages of a session that is over reach a subscription, in any order, among others."""
    wanted = set(bodies)
    came: set[bytes] = set()
    while came != wanted:
        try:
            message = subscription.client.expect("MESSAGE", subscription.owns)
        except PeerFailure as failure:
            fixture.judge(
                clause,
                False,
                expected=f"the {len(wanted)} messages that were sent before",
                observed=f"{len(came)} of them, and then {failure.observed}",
            )
            return
        came |= wanted & {message.body}
    fixture.judge(clause, True, expected="all messages", observed=len(came))


def _reaches(subscription: Subscription, body: bytes) -> bool:
    """True if the message with this body arrives soon; late older ones are passed over."""
    try:
        subscription.client.expect("MESSAGE", lambda frame: frame.body == body, SOON)
    except PeerFailure:
        return False
    return True
