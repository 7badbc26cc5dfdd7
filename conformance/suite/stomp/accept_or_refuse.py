"""Frames that the server must accept or must refuse, and the manner of the refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.suite.stomp.channel import (
    Channel,
    acknowledgement_mode,
    consume_elsewhere,
    has_redelivery,
    is_refused,
    is_undecidable,
)
from conformance.suite.stomp.reactions import expect_error_and_close, reaction
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Collection

    from conformance.suite.stomp.reactions import Provoke, Reaction
    from conformance.suite.stomp.stomp_fixture import StompFixture
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: The reason to skip a clause whose outcome no answer shows.
UNDECIDABLE = "the server has no receipts, and was silent"
MODES = pytest.mark.parametrize("mode", ["client", "client-individual"])


def channel_in_mode(fixture: StompFixture, mode: str, identifier: str | None = None) -> Channel:
    """A consumer of a fresh queue in this `ack` mode, on a connection of its own."""
    headers = [("ack", acknowledgement_mode(fixture.bench, mode))] + (
        [("id", identifier)] if identifier else []
    )
    return Channel(fixture, fixture.queue(), headers=headers)


def redelivery_works(fixture: StompFixture, mode: str, *ids: str) -> bool:
    """True if an unacknowledged message reaches another consumer when its connection is lost; else skips the clauses.

    The server is tried once per run, version and mode. A failure counts against STOMP-ACK-001 in another test; clauses
    that are judged by redelivery can't be judged then.
    """
    if not has_redelivery(fixture, *ids):
        return False
    mode = acknowledgement_mode(fixture.bench, mode)
    tried = f"redelivery in mode {mode} of {fixture.bench.version}"
    seen = fixture.bench.findings
    if tried not in seen:
        channel = channel_in_mode(fixture, mode)
        body = channel.send_and_receive(fixture.bench.fresh("control")).body
        channel.reader.link.cut()
        seen.add(tried)
        if body not in consume_elsewhere(fixture, channel.destination, [body], fixture.bench.patience):
            seen.add(f"no {tried}")
    if f"no {tried}" in seen:
        for clause in ids:
            fixture.skip(clause, f"unacknowledged messages in mode {mode} don't come again either")
        return False
    return True


def takes_frames_in_a_row(fixture: StompFixture, count: int) -> bool:
    """True if the server takes so many SENDs that come as fast as they can be written."""
    sender, topic = fixture.client(), fixture.topic()
    try:
        for _ in range(count):
            fixture.send(sender, topic, "m")
        fixture.fence(sender)
    except PeerFailure:
        return False
    return True


def too_few_reason(messages: Collection[Frame]) -> str:
    """The reason to skip a test that needs more unacknowledged messages than the server sends."""
    return f"the server sends no more than {len(messages)} that are not acknowledged"


def settle(fixture: StompFixture, client: StompClient, message: Frame, command: str = "ACK") -> None:
    """ACK or NACK a message, and wait until the server has processed the frame."""
    send = client.ack if command == "ACK" else client.nack
    if fixture.has_receipts:
        receipt = fixture.new_receipt()
        send(message, receipt=receipt)
        fixture.expect_receipt(client, receipt, command)
        return
    send(message)
    fixture.fence(client)


def send_and_confirm(
    fixture: StompFixture,
    client: StompClient,
    command: str,
    transaction: str,
    *,
    accepted_by: str = "",
    behind: str = "",
) -> None:
    """BEGIN, COMMIT or ABORT a transaction, and wait until the server has processed the frame.

    An ERROR for it breaks the clause `accepted_by`, where one is named. `behind` is the command of the frame in front
    of it, which had no receipt: an ERROR may be for that one.
    """
    headers = [("transaction", transaction)]
    if fixture.has_receipts:
        receipt = fixture.new_receipt()
        client.frame(command, [*headers, ("receipt", receipt)])
        fixture.expect_receipt(client, receipt, command, accepted_by=accepted_by, behind=behind)
        return
    client.frame(command, headers)
    fixture.fence(client)


def expect_acceptance(
    fixture: StompFixture, clause: str, provoke: Provoke, receipt: str, what: str
) -> Reaction:
    """Judge that the server grants `receipt` and refuses nothing; `what` names the frame."""
    found = reaction(fixture, provoke, receipt, must_react=fixture.has_receipts)
    if is_undecidable(fixture, found):
        fixture.skip(clause, UNDECIDABLE)
    else:
        fixture.judge(clause, found.is_accepted, expected=f"a RECEIPT for {what}", observed=found)
    return found


def expect_refusal(fixture: StompFixture, clause: str, provoke: Provoke, receipt: str, what: str) -> Reaction:
    """Judge that a frame gets no RECEIPT, and how it is refused (STOMP-ERROR-009); `what` names the frame."""
    found = reaction(fixture, provoke, receipt)
    if is_undecidable(fixture, found):
        fixture.skip(clause, UNDECIDABLE)
        fixture.skip("STOMP-ERROR-009", UNDECIDABLE)
    else:
        fixture.judge(
            clause,
            is_refused(fixture, found),
            expected=f"no RECEIPT for {what}: it is refused",
            observed=found,
        )
        judge_how_refused(fixture, found, receipt, what)
    return found


def judge_how_refused(fixture: StompFixture, found: Reaction, receipt: str, what: str) -> None:
    """Judge that a refusal of a well-formed frame, if any, is an ERROR and the end of the connection."""
    if not is_refused(fixture, found):
        fixture.skip("STOMP-ERROR-009", f"the server accepts {what}")
        return
    expect_error_and_close(fixture, "STOMP-ERROR-009", found, receipt, what)
