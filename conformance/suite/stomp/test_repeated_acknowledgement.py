"""ACK of messages that are settled already, or need no ACK: STOMP-ACK-005, STOMP-ACK-007."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.accept_or_refuse import channel_in_mode, judge_how_refused, settle
from conformance.suite.stomp.channel import Channel, reaction_summary
from conformance.suite.stomp.reactions import reaction
from conformance.suite.stomp.stomp_fixture import StompFixture

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.stomp import StompClient


@clauses("STOMP-ACK-005", "STOMP-RECEIPT-003")
@pytest.mark.parametrize("why", ["acknowledged", "covered", "negatively acknowledged"])
def test_an_ack_of_a_settled_message(bench: Bench, why: str) -> None:
    """Send ACK for a settled message; expect a RECEIPT or a refusal, not both. Recorded: which."""
    fixture = StompFixture(bench)
    if bench.version == "1.0":
        why = "acknowledged"
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        channel = channel_in_mode(fixture, "client" if why == "covered" else "client-individual")
        messages = channel.unacknowledged_messages(2 if why == "covered" else 1)
        command = "NACK" if why.startswith("neg") else "ACK"
        settle(fixture, channel.reader, messages[-1], command)
        channel.reader.ack(messages[0], receipt=receipt)
        return channel.reader

    found = reaction(fixture, provoke, receipt)
    fixture.observe("STOMP-ACK-005", f"an ACK of a message that is {why}: {reaction_summary(found)}")
    fixture.judge(
        "STOMP-RECEIPT-003",
        not (found.receipts and found.is_refusal),
        expected="a RECEIPT or a refusal, not both",
        observed=found,
    )
    judge_how_refused(fixture, found, receipt, "a second ACK")


@clauses("STOMP-ACK-007", "STOMP-RECEIPT-003")
def test_an_ack_in_mode_auto(bench: Bench) -> None:
    """Send ACK for a message in mode auto; expect a RECEIPT or a refusal, not both. Recorded: which."""
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        channel = Channel(fixture, fixture.queue())
        message = channel.send_and_receive(bench.fresh("m"))
        if bench.version == "1.2":
            channel.reader.ack(message.get("ack") or message.get("message-id") or "", receipt=receipt)
        else:
            channel.reader.ack(message, receipt=receipt)
        return channel.reader

    found = reaction(fixture, provoke, receipt)
    fixture.observe("STOMP-ACK-007", f"an ACK in mode auto: {reaction_summary(found)}")
    fixture.judge(
        "STOMP-RECEIPT-003",
        not (found.receipts and found.is_refusal),
        expected="a RECEIPT or a refusal, not both",
        observed=found,
    )
    judge_how_refused(fixture, found, receipt, "an ACK in mode auto")
