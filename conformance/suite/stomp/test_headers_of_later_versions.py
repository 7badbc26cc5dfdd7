"""Headers that a sender on 1.1 or 1.2 can write, and a session of 1.0 can't: STOMP-ENC-011."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure, Violation

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame

#: Headers whose octets, written as they are, become the header `x-forged` or another body.
HEADERS = {
    "line feed in a value": ("note", "a\nx-forged:yes"),
    "two line feeds in a value": ("note", "a\n\nforged"),
    "line feed in a name": ("note:a\nx-forged", "yes"),
    "colon in a name": ("x-forged:note", "a"),
}


@clauses("STOMP-ENC-011")
@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_what_1_0_cannot_write_becomes_no_other_header(bench: Bench, header: tuple[str, str]) -> None:
    """Send a header with a line feed, or with a colon in its name, from a later version to a session of 1.0; expect
    the MESSAGE without a header or body that was made of it, or a refusal of the SEND.
    """
    later = [version for version in bench.target.stomp_versions if version != "1.0"]
    if not later:
        bench.skip("STOMP-ENC-011", "the server speaks no version in which such a header can be written")
        return
    fixture = StompFixture(bench)
    subscription = fixture.active_subscription(fixture.client(), fixture.topic())
    sender = bench.stomp(version=max(later))
    body = bench.fresh("m").encode()
    fixture.send(sender, subscription.destination, body, [header])
    sent = f"the MESSAGE of a SEND with the header {header!r}, unaltered but for that header"
    try:
        message: Frame = subscription.client.expect("MESSAGE", subscription.owns)
    except Violation as violation:
        bench.judge("STOMP-ENC-011", False, expected=sent, observed=violation.observed)
        raise
    except PeerFailure as failure:
        sender.listen(0.0)
        bench.judge(
            "STOMP-ENC-011",
            bool(sender.errors) or sender.closed is not None,
            expected=f"{sent}, or a refusal of the SEND",
            observed=failure.observed,
        )
        return
    bench.judge(
        "STOMP-ENC-011",
        message.get("x-forged") is None and message.body == body,
        expected=sent,
        observed=message.octets,
    )
