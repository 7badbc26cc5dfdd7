"""Messages that stay outstanding while others are settled in a transaction: STOMP-ACK-002, STOMP-NACK-001."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.accept_or_refuse import (
    MODES,
    UNDECIDABLE,
    channel_in_mode,
    send_and_confirm,
    too_few_reason,
)
from conformance.suite.stomp.channel import NO_QUEUES, is_undecidable
from conformance.suite.stomp.reactions import reaction
from conformance.suite.stomp.stomp_fixture import StompFixture

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.stomp.channel import Channel
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: Messages that are outstanding when the transaction begins; the second one is settled in it.
OUTSTANDING = 4


@clauses("STOMP-ACK-002", "STOMP-NACK-001")
@MODES
@pytest.mark.parametrize("end", ["COMMIT", "ABORT"])
@pytest.mark.parametrize("inside", ["ACK", "NACK", "SEND"])
@pytest.mark.parametrize("outside", ["ACK", "NACK"])
def test_other_messages_stay_outstanding(
    bench: Bench, outside: str, inside: str, end: str, mode: str
) -> None:
    """End a transaction with an ACK in it; expect the RECEIPT for the ACK or NACK of another outstanding message."""
    fixture = StompFixture(bench)
    clause = f"STOMP-{outside}-00{2 if outside == 'ACK' else 1}"
    if not fixture.has_transactions or not bench.target.fact("queues"):
        fixture.skip(clause, NO_QUEUES if fixture.has_transactions else "the server has no transactions")
        return
    if bench.version == "1.0" and "NACK" in (inside, outside):
        return
    receipt = fixture.new_receipt()
    too_few: list[str] = []

    def provoke() -> StompClient:
        channel = channel_in_mode(fixture, mode)
        messages = channel.unacknowledged_messages(OUTSTANDING)
        if len(messages) < OUTSTANDING:
            too_few.append(too_few_reason(messages))
            return channel.reader
        _transact(fixture, channel, messages[1], inside, end)
        send = channel.reader.ack if outside == "ACK" else channel.reader.nack
        send(messages[2])
        send(messages[3], receipt=receipt)
        return channel.reader

    found = reaction(fixture, provoke, receipt, must_react=fixture.has_receipts)
    if too_few or is_undecidable(fixture, found):
        fixture.skip(clause, too_few[0] if too_few else UNDECIDABLE)
        return
    # With the RECEIPT granted, an ERROR is the one for the NACK.
    if (
        inside == "NACK"
        and not found.is_accepted
        and (found.receipts or _refuses_the_nack(fixture, end, mode))
    ):
        fixture.skip(clause, "a NACK in a transaction is refused, which is left to the server")
        return
    fixture.judge(
        clause,
        found.is_accepted,
        expected=f"a RECEIPT for an {outside} of a message outstanding after {end} of a transaction with {inside}",
        observed=found,
    )


def _transact(fixture: StompFixture, channel: Channel, message: Frame, inside: str, end: str) -> None:
    """A transaction on the reader's session, with one ACK, NACK or SEND."""
    name = fixture.bench.fresh("t")
    send_and_confirm(fixture, channel.reader, "BEGIN", name)
    if inside == "SEND":
        fixture.send(channel.reader, fixture.topic(), "m", transaction=name)
    else:
        send = channel.reader.ack if inside == "ACK" else channel.reader.nack
        send(message, transaction=name)
    if inside == "NACK":
        # An ERROR for the NACK may come in front of the answer to this frame, or behind it.
        channel.reader.frame(end, [("transaction", name)])
    else:
        send_and_confirm(fixture, channel.reader, end, name, behind=inside)


def _refuses_the_nack(fixture: StompFixture, end: str, mode: str) -> bool:
    """True if a transaction with a NACK keeps a SEND behind it from its RECEIPT, or gets an ERROR (STOMP-NACK-004)."""
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        channel = channel_in_mode(fixture, mode)
        _transact(fixture, channel, channel.unacknowledged_messages(OUTSTANDING)[1], "NACK", end)
        fixture.send(channel.reader, fixture.topic(), "m", receipt=receipt)
        return channel.reader

    return not reaction(fixture, provoke, receipt, must_react=fixture.has_receipts).is_accepted
