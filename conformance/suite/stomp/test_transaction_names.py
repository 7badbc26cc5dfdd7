"""Names of transactions in BEGIN, COMMIT, ABORT and the frames between them: STOMP-TX-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.accept_or_refuse import UNDECIDABLE, expect_refusal, send_and_confirm
from conformance.suite.stomp.channel import Channel, is_refused, is_undecidable, reaction_summary
from conformance.suite.stomp.frame_template import fill, send_frame
from conformance.suite.stomp.loopback import session_sending
from conformance.suite.stomp.reactions import expect_error_and_close, reaction
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.suite.stomp.transaction_steps import (
    channel_to,
    delivered_bodies,
    expect_all_messages,
    expect_no_messages,
    fresh_bodies,
    send_in_transaction,
)

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.stomp import StompClient

#: Ways in which a name is not that of an open transaction.
NOT_OPEN = ["none", "unknown", "ended"]


@clauses("STOMP-TX-001", "STOMP-ERROR-009")
def test_a_begin_without_name(bench: Bench) -> None:
    r"""Send `BEGIN\nreceipt:…\n\n\0`; expect no RECEIPT, an ERROR and the end of the connection."""
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()
    provoke = session_sending(fixture, fill(b"BEGIN\nreceipt:<receipt>\n\n\0", receipt=receipt))
    expect_refusal(fixture, "STOMP-TX-001", provoke, receipt, "a BEGIN without transaction")


@clauses("STOMP-TX-002", "STOMP-TX-014")
def test_a_second_begin(bench: Bench) -> None:
    """Send BEGIN twice with one name; expect no RECEIPT for the second. A COMMIT with RECEIPT delivers both SENDs."""
    transaction = bench.fresh("t")
    fixture = StompFixture(bench)
    channel = channel_to(fixture)
    again, receipt = fixture.new_receipt(), fixture.new_receipt()
    bodies: list[bytes] = []

    def provoke() -> StompClient:
        bodies[:] = fresh_bodies(fixture, "before", "after")
        client = fixture.client()
        client.begin(transaction)
        send_in_transaction(fixture, client, transaction, channel.destination, bodies[0])
        client.begin(transaction, receipt=again)
        send_in_transaction(fixture, client, transaction, channel.destination, bodies[1])
        client.commit(transaction, receipt=receipt)
        return client

    found = reaction(fixture, provoke, receipt)
    granted = [frame for frame in found.other_frames if frame.get("receipt-id") == again]
    if fixture.has_receipts:
        bench.judge(
            "STOMP-TX-002",
            not granted,
            expected="no RECEIPT for the second BEGIN of an open transaction",
            observed=f"{len(granted)} RECEIPT for it; {found}",
        )
    else:
        bench.skip("STOMP-TX-002", UNDECIDABLE)
    if found.receipts and not found.is_refusal:
        expect_all_messages(channel, "STOMP-TX-014", bodies)
    else:
        bench.judge("STOMP-TX-014", True, expected="no success reported", observed=found)


@clauses("STOMP-TX-005", "STOMP-ERROR-009")
@pytest.mark.parametrize("name", NOT_OPEN)
def test_a_commit_of_a_transaction_that_is_not_open(bench: Bench, name: str) -> None:
    r"""Send `COMMIT\nreceipt:…\n\n\0`, or with `transaction:t` that isn't open; expect a refusal."""
    _judge_not_open(StompFixture(bench), "STOMP-TX-005", "COMMIT", name)


@clauses("STOMP-TX-015", "STOMP-ERROR-009")
@pytest.mark.parametrize("name", NOT_OPEN)
def test_an_abort_of_a_transaction_that_is_not_open(bench: Bench, name: str) -> None:
    r"""Send `ABORT\nreceipt:…\n\n\0`, or with `transaction:t` that isn't open; expect a refusal."""
    _judge_not_open(StompFixture(bench), "STOMP-TX-015", "ABORT", name)


def _judge_not_open(fixture: StompFixture, clause: str, command: str, name: str) -> None:
    transaction = fixture.bench.fresh("t")
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        client = fixture.client()
        if name == "ended":
            send_and_confirm(fixture, client, "BEGIN", transaction)
            send_and_confirm(fixture, client, command, transaction)
        template = b"<command>\nreceipt:<receipt>\ntransaction:<transaction>\n\n\0"
        if name == "none":
            template = b"<command>\nreceipt:<receipt>\n\n\0"
        send_frame(client, template, command=command, receipt=receipt, transaction=transaction)
        return client

    expect_refusal(fixture, clause, provoke, receipt, f"{command} of a transaction that isn't open ({name})")


@clauses("STOMP-TX-010")
@pytest.mark.parametrize("command", ["COMMIT", "ABORT"])
def test_the_end_of_another_connections_transaction(bench: Bench, command: str) -> None:
    """Send COMMIT or ABORT for a transaction of another connection; expect a refusal."""
    transaction = bench.fresh("t")
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        send_and_confirm(fixture, fixture.client(), "BEGIN", transaction)
        client = fixture.client()
        template = b"<command>\nreceipt:<receipt>\ntransaction:<transaction>\n\n\0"
        send_frame(client, template, command=command, receipt=receipt, transaction=transaction)
        return client

    what = f"{command} of another connection's transaction"
    expect_refusal(fixture, "STOMP-TX-010", provoke, receipt, what)


@clauses("STOMP-TX-009", "STOMP-SEND-003")
@pytest.mark.parametrize("name", ["unknown", "ended"])
def test_a_send_in_a_transaction_that_is_not_open(bench: Bench, name: str) -> None:
    """Send a SEND with `transaction:t` that isn't open; expect no RECEIPT, no MESSAGE, an ERROR and the end."""
    transaction = bench.fresh("t")
    fixture = StompFixture(bench)
    channel = channel_to(fixture)
    receipt = fixture.new_receipt()
    bodies = fresh_bodies(fixture, "nowhere")

    def provoke() -> StompClient:
        client = fixture.client()
        if name == "ended":
            send_and_confirm(fixture, client, "BEGIN", transaction)
            send_and_confirm(fixture, client, "COMMIT", transaction)
        fixture.send(client, channel.destination, bodies[0], transaction=transaction, receipt=receipt)
        return client

    found = reaction(fixture, provoke, receipt, must_react=bench.version != "1.0")
    if is_undecidable(fixture, found):
        fixture.skip("STOMP-TX-009", UNDECIDABLE)
    else:
        fixture.judge(
            "STOMP-TX-009",
            is_refused(fixture, found),
            expected="no RECEIPT for a SEND in a transaction that isn't open: it is refused",
            observed=found,
        )
    expect_no_messages(channel, "STOMP-TX-009", bodies, "no message of a transaction that isn't open")
    what = "a SEND in a transaction that isn't open"
    expect_error_and_close(fixture, "STOMP-SEND-003", found, receipt, what)


@clauses("STOMP-TX-009", "STOMP-ERROR-009")
@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_an_acknowledgement_in_a_transaction_that_is_not_open(bench: Bench, command: str) -> None:
    """Send ACK or NACK with `transaction:never-begun`; expect a refusal."""
    fixture = StompFixture(bench)
    if bench.version == "1.0":
        command = "ACK"
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        channel = Channel(fixture, fixture.queue(), headers=[("ack", "client")])
        message = channel.send_and_receive(bench.fresh("m"))
        send = channel.reader.ack if command == "ACK" else channel.reader.nack
        send(message, transaction="never-begun", receipt=receipt)
        return channel.reader

    what = f"{command} in a transaction that isn't open"
    expect_refusal(fixture, "STOMP-TX-009", provoke, receipt, what)


@clauses("STOMP-TX-011")
@pytest.mark.parametrize("end", ["COMMIT", "ABORT"])
def test_a_name_that_was_used_before(bench: Bench, end: str) -> None:
    """Send BEGIN with the name of a transaction that has ended. Recorded: the reaction, and delivery at COMMIT."""
    fixture = StompFixture(bench)
    channel = channel_to(fixture)
    receipt = fixture.new_receipt()
    bodies = fresh_bodies(fixture, "again")

    def provoke() -> StompClient:
        client, transaction = fixture.client(), bench.fresh("again")
        send_and_confirm(fixture, client, "BEGIN", transaction)
        send_and_confirm(fixture, client, end, transaction)
        client.begin(transaction)
        send_in_transaction(fixture, client, transaction, channel.destination, bodies[0])
        client.commit(transaction, receipt=receipt)
        return client

    found = reaction(fixture, provoke, receipt)
    came = "its message comes" if delivered_bodies(channel, bodies) else "no message comes"
    fixture.observe(
        "STOMP-TX-011", f"the name of a transaction after {end}: {reaction_summary(found)}, {came}"
    )
