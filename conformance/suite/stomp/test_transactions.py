"""Transactions: their frames take effect together or not at all (STOMP-TX-*)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.accept_or_refuse import send_and_confirm, settle
from conformance.suite.stomp.channel import Channel, disconnect, get_error
from conformance.suite.stomp.reactions import reaction
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.suite.stomp.transaction_steps import (
    channel_to,
    delivered_bodies,
    expect_all_messages,
    expect_no_messages,
    fresh_bodies,
    send_in_transaction,
)
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.reactions import Reaction
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

KINDS = pytest.mark.parametrize("kind", ["topic", "queue"])


# Effects of COMMIT, of ABORT and of the end of a connection


@clauses("STOMP-TX-004")
@KINDS
def test_a_message_comes_with_the_commit_and_not_before(bench: Bench, kind: str) -> None:
    """Send SENDs in a transaction; expect no MESSAGE before COMMIT, and all MESSAGEs after it."""
    transaction = bench.fresh("t")
    fixture = StompFixture(bench)
    channel = channel_to(fixture, kind)
    bodies = fresh_bodies(fixture, "one", "two", "three")
    send_and_confirm(fixture, channel.sender, "BEGIN", transaction)
    for body in bodies:
        send_in_transaction(fixture, channel.sender, transaction, channel.destination, body)
    fixture.fence(channel.sender)
    expect_no_messages(channel, "STOMP-TX-004", bodies, "nothing of the transaction before its COMMIT")
    send_and_confirm(fixture, channel.sender, "COMMIT", transaction)
    expect_all_messages(channel, "STOMP-TX-004", bodies)


@clauses("STOMP-TX-004")
def test_other_frames_of_the_session_leave_a_transaction_alone(bench: Bench) -> None:
    """Subscribe, unsubscribe, acknowledge, send, and begin and abort another transaction while one is open; expect all
    MESSAGEs of that one after its COMMIT.
    """
    fixture = StompFixture(bench)
    if not fixture.has_transactions:
        fixture.skip("STOMP-TX-004", "the server has no transactions")
        return
    channel, client = channel_to(fixture), fixture.client()
    name, other = bench.fresh("t"), bench.fresh("t")
    bodies = fresh_bodies(fixture, *"abcdef")
    steps: list[Callable[[], object]] = []

    def subscribe_and_leave() -> None:
        mode = Channel(fixture, fixture.topic(), reader=client, headers=[("ack", "client")])
        settle(fixture, client, mode.send_and_receive(bench.fresh("m")))
        client.unsubscribe(mode.subscription.id, mode.destination.headers)

    steps.append(lambda: None)
    steps.append(subscribe_and_leave)
    steps.append(lambda: fixture.send(client, fixture.topic(), "outside"))
    steps.append(lambda: send_and_confirm(fixture, client, "BEGIN", other))
    steps.append(lambda: send_in_transaction(fixture, client, other, channel.destination, "aborted"))
    steps.append(lambda: send_and_confirm(fixture, client, "ABORT", other))
    send_and_confirm(fixture, client, "BEGIN", name)
    for step, body in zip(steps, bodies, strict=True):
        step()
        send_in_transaction(fixture, client, name, channel.destination, body)
    fixture.fence(client)
    expect_no_messages(channel, "STOMP-TX-004", bodies, "nothing of the transaction before its COMMIT")
    send_and_confirm(fixture, client, "COMMIT", name)
    expect_all_messages(channel, "STOMP-TX-004", bodies)


@clauses("STOMP-TX-006")
@KINDS
def test_an_aborted_transaction_delivers_nothing(bench: Bench, kind: str) -> None:
    """Send SENDs in a transaction, one between them outside of it, and ABORT; expect only the latter's MESSAGE."""
    transaction = bench.fresh("t")
    fixture = StompFixture(bench)
    channel = channel_to(fixture, kind)
    inside, outside = fresh_bodies(fixture, "inside", "inside"), fresh_bodies(fixture, "outside")
    send_and_confirm(fixture, channel.sender, "BEGIN", transaction)
    send_in_transaction(fixture, channel.sender, transaction, channel.destination, inside[0])
    channel.send(outside[0])
    send_in_transaction(fixture, channel.sender, transaction, channel.destination, inside[1])
    send_and_confirm(fixture, channel.sender, "ABORT", transaction)
    expect_all_messages(channel, "STOMP-SEND-002", outside)
    expect_no_messages(channel, "STOMP-TX-006", inside, "nothing of the aborted transaction")


@clauses("STOMP-TX-007")
@KINDS
def test_disconnect_aborts(bench: Bench, kind: str) -> None:
    """Send SENDs in a transaction, and DISCONNECT; expect no MESSAGE."""
    fixture = StompFixture(bench)
    _judge_aborted(fixture, kind, "STOMP-TX-007", "disconnect")


@clauses("STOMP-TX-008")
@KINDS
@pytest.mark.parametrize("how", ["close", "cut", "error"])
def test_the_loss_of_the_connection_aborts(bench: Bench, kind: str, how: str) -> None:
    """Send SENDs in a transaction, and close or cut the connection, or get an ERROR; expect no MESSAGE."""
    fixture = StompFixture(bench)
    _judge_aborted(fixture, kind, "STOMP-TX-008", how)


def _judge_aborted(fixture: StompFixture, kind: str, clause: str, how: str) -> None:
    transaction = fixture.bench.fresh("t")
    channel = channel_to(fixture, kind)
    bodies = fresh_bodies(fixture, "one", "two")
    send_and_confirm(fixture, channel.sender, "BEGIN", transaction)
    for body in bodies:
        send_in_transaction(fixture, channel.sender, transaction, channel.destination, body)
    fixture.fence(channel.sender)
    if how == "disconnect":
        disconnect(channel.sender)
    elif how == "close":
        channel.sender.close()
    elif how == "error":
        get_error(channel.sender)
    else:
        channel.sender.link.cut()
    for _ in range(2):  # the first marker may arrive before the server notices the end
        expect_no_messages(channel, clause, bodies, f"nothing of the transaction that was open at {how}")


@clauses("STOMP-TX-012")
def test_two_transactions_of_a_connection(bench: Bench) -> None:
    """Send COMMIT for one of two transactions, ABORT for the other; expect the MESSAGEs of the first only."""
    fixture = StompFixture(bench)
    channel = channel_to(fixture)
    for first in ("COMMIT", "ABORT"):
        kept, dropped = fresh_bodies(fixture, "kept", "kept"), fresh_bodies(fixture, "dropped", "dropped")
        committed, aborted = bench.fresh("t"), bench.fresh("t")
        for name in (aborted, committed):
            send_and_confirm(fixture, channel.sender, "BEGIN", name)
        for number in range(2):
            send_in_transaction(fixture, channel.sender, aborted, channel.destination, dropped[number])
            send_in_transaction(fixture, channel.sender, committed, channel.destination, kept[number])
        ends = [("COMMIT", committed), ("ABORT", aborted)]
        for command, name in ends if first == "COMMIT" else reversed(ends):
            send_and_confirm(fixture, channel.sender, command, name)
        expect_all_messages(channel, "STOMP-TX-012", kept)
        expect_no_messages(
            channel, "STOMP-TX-012", dropped, "nothing of the other transaction, which was aborted"
        )


@clauses("STOMP-TX-010")
def test_equal_names_on_two_connections(bench: Bench) -> None:
    """Send BEGIN with one name on two connections; expect COMMIT and ABORT to end that of their own connection only."""
    fixture = StompFixture(bench)
    channel = channel_to(fixture)
    other = fixture.client()
    (kept,), (dropped,) = fresh_bodies(fixture, "kept"), fresh_bodies(fixture, "dropped")
    for client, body in ((channel.sender, kept), (other, dropped)):
        send_and_confirm(fixture, client, "BEGIN", "same", accepted_by="STOMP-TX-010")
        send_in_transaction(fixture, client, "same", channel.destination, body)
    fixture.fence(other)
    send_and_confirm(fixture, channel.sender, "COMMIT", "same", accepted_by="STOMP-TX-010")
    expect_all_messages(channel, "STOMP-TX-010", [kept])
    expect_no_messages(channel, "STOMP-TX-010", [dropped], "nothing of the other connection's transaction")
    receipt = fixture.new_receipt()
    other.abort("same", receipt=receipt)
    try:
        if fixture.has_receipts:
            other.expect("RECEIPT", receipt_id=receipt)
    except PeerFailure as failure:
        bench.judge(
            "STOMP-TX-010",
            False,
            expected="the transaction of the other connection to be open as before",
            observed=failure.observed,
        )
    expect_no_messages(channel, "STOMP-TX-010", [dropped], "nothing of the aborted transaction")


# All together or not at all


@clauses("STOMP-TX-003")
def test_a_commit_takes_effect_at_all_destinations(bench: Bench) -> None:
    """Send SENDs to several destinations in one transaction, one of each without a body, and COMMIT; expect all
    MESSAGEs.
    """
    transaction = bench.fresh("t")
    fixture = StompFixture(bench)
    channels = [channel_to(fixture, kind) for kind in ("topic", "topic", "queue", "queue")]
    client = fixture.client()
    bodies = [[*fresh_bodies(fixture, "one", "two"), b""] for _ in channels]
    send_and_confirm(fixture, client, "BEGIN", transaction)
    for number in range(3):
        for channel, own in zip(channels, bodies, strict=True):
            send_in_transaction(fixture, client, transaction, channel.destination, own[number])
    send_and_confirm(fixture, client, "COMMIT", transaction)
    for channel, own in zip(channels, bodies, strict=True):
        expect_all_messages(channel, "STOMP-TX-003", own)


@clauses("STOMP-TX-003")
@pytest.mark.parametrize("spoilt", ["destination", "unknown message", "settled message"])
def test_a_transaction_with_a_step_that_fails(bench: Bench, spoilt: str) -> None:
    """Send a transaction with a step that fails; expect all of its MESSAGEs, or none and no RECEIPT for COMMIT."""
    transaction = bench.fresh("t")
    fixture = StompFixture(bench)
    refused = bench.target.refused_destination
    if spoilt == "destination" and not refused:
        bench.skip("STOMP-TX-003", "no destination is known that the server refuses")
        return
    channel = channel_to(fixture)
    bodies: list[bytes] = []
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        """Each attempt has bodies of its own."""
        bodies[:] = fresh_bodies(fixture, "before", "after")
        client = fixture.client()
        settled = _settled(fixture, client) if spoilt == "settled message" else None
        client.begin(transaction)
        send_in_transaction(fixture, client, transaction, channel.destination, bodies[0])
        if spoilt == "destination":
            client.send(refused, "refused", transaction=transaction)
        elif settled is not None:
            client.ack(settled, transaction=transaction)
        else:
            more = [("subscription", "nobody")] if bench.version == "1.1" else []
            client.ack(bench.fresh("nobody"), [*more, ("transaction", transaction)])
        send_in_transaction(fixture, client, transaction, channel.destination, bodies[1])
        client.commit(transaction, receipt=receipt)
        return client

    found = reaction(fixture, provoke, receipt)
    _judge_whole(channel, bodies, found)
    if spoilt == "destination":
        # A refused destination gets no message: a RECEIPT would report a COMMIT that left one out.
        fixture.judge(
            "STOMP-TX-003",
            not found.is_accepted,
            expected="no success for a transaction with a SEND to a destination that the server refuses",
            observed=found,
        )


def _settled(fixture: StompFixture, client: StompClient) -> Frame:
    """A message of this session that is acknowledged already."""
    channel = Channel(fixture, fixture.queue(), reader=client, headers=[("ack", "client")])
    message = channel.send_and_receive(fixture.bench.fresh("settled"))
    settle(fixture, client, message)
    return message


def _judge_whole(channel: Channel, bodies: Sequence[bytes], found: Reaction) -> None:
    """Judge that all messages of a transaction were delivered, or none and COMMIT got no RECEIPT."""
    came = delivered_bodies(channel, bodies)
    if came and len(came) < len(bodies):
        came += delivered_bodies(
            channel, bodies
        )  # the messages of a COMMIT need not arrive at the same instant
    is_whole = sorted(came) == sorted(bodies) if came else not found.receipts
    channel.fixture.judge(
        "STOMP-TX-003",
        is_whole,
        expected=f"all of {list(bodies)}; or nothing of it, and no RECEIPT for the COMMIT",
        observed=f"{came} came; {found}",
    )


# Choices of the server


@clauses("STOMP-TX-013", "STOMP-RECEIPT-001")
@pytest.mark.parametrize("end", ["COMMIT", "ABORT"])
def test_the_receipt_of_a_send_in_a_transaction(bench: Bench, end: str) -> None:
    """Send a SEND with `transaction` and `receipt`; expect one RECEIPT at most. Recorded: the time that it comes."""
    transaction = bench.fresh("t")
    fixture = StompFixture(bench)
    client, destination, receipt = fixture.client(), fixture.topic(), fixture.new_receipt()
    send_and_confirm(fixture, client, "BEGIN", transaction)
    fixture.send(client, destination, "m", transaction=transaction, receipt=receipt)
    fixture.fence(client)
    before = _receipts(client, receipt)
    send_and_confirm(fixture, client, end, transaction)
    fixture.fence(client)
    after = _receipts(client, receipt)
    when = "at once" if before else f"around {end}" if after else f"not at all by the time of {end}"
    fixture.observe("STOMP-TX-013", f"the RECEIPT of a SEND in a transaction comes {when}")
    fixture.judge(
        "STOMP-RECEIPT-001",
        len(before + after) < 2,
        expected="one RECEIPT for a SEND at most",
        observed=[frame.octets for frame in before + after],
    )


def _receipts(client: StompClient, receipt: str) -> list[Frame]:
    return client.take("RECEIPT", lambda frame: frame.get("receipt-id") == receipt)
