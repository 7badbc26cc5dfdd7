"""Settlements where several things are open at once: messages, subscriptions, transactions."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.accept_or_refuse import (
    MODES,
    channel_in_mode,
    redelivery_works,
    send_and_confirm,
    settle,
    too_few_reason,
)
from conformance.suite.stomp.channel import (
    HOLDS_BACK,
    Channel,
    acknowledgement_mode,
    consume_elsewhere,
    unsubscribe,
)
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Messages that are outstanding at once.
SEVERAL = 6


@clauses("STOMP-ACK-001")
@MODES
@pytest.mark.parametrize("other", ["comes then", "is there"])
def test_what_an_unsubscribe_leaves_is_not_consumed(bench: Bench, mode: str, other: str) -> None:
    """Unsubscribe with unacknowledged messages, and cut the connection; expect them at another consumer, which
    subscribes then or while they are in flight.
    """
    fixture = StompFixture(bench)
    if not redelivery_works(fixture, mode, "STOMP-ACK-001"):
        return
    channel = channel_in_mode(fixture, mode)
    bodies = [message.body for message in channel.unacknowledged_messages(3)]
    heir = fixture.client()
    if other == "is there":
        waiting = fixture.active_subscription(heir, channel.destination, id="heir")
    named = [("id", channel.subscription.id), *channel.destination.headers.items()]
    if bench.version == "1.0":
        named.append(("destination", channel.destination.name))
    unsubscribe(fixture, channel.reader, named)
    channel.reader.link.cut()
    again: list[bytes] = []
    if other == "is there":
        with contextlib.suppress(PeerFailure):
            while not set(bodies) <= set(again):
                again.append(heir.expect("MESSAGE", waiting.owns).body)
    else:
        again = consume_elsewhere(fixture, channel.destination, bodies)
    bench.judge(
        "STOMP-ACK-001",
        set(bodies) <= set(again),
        expected=f"{bodies} for another consumer: they were not acknowledged",
        observed=again,
    )


@clauses("STOMP-ACK-001", "STOMP-SUB-011")
@MODES
def test_an_unsubscribe_leaves_what_the_other_subscription_has(bench: Bench, mode: str) -> None:
    """Hold messages of one queue in two subscriptions of a session, unsubscribe one, and cut the connection; expect all
    of them at another consumer.
    """
    fixture = StompFixture(bench)
    if bench.version == "1.0" or not redelivery_works(fixture, mode, "STOMP-ACK-001", "STOMP-SUB-011"):
        return
    channel = channel_in_mode(fixture, mode, "one")
    reader, headers = channel.reader, [("ack", acknowledgement_mode(bench, mode))]
    other = fixture.active_subscription(reader, channel.destination, headers, id="two")
    bodies = [bench.fresh("m").encode() for _ in range(SEVERAL)]
    for body in bodies:
        channel.send(body)
    with contextlib.suppress(PeerFailure):  # a server may hold back some until others are acknowledged
        for _ in bodies:
            reader.expect("MESSAGE", lambda frame: frame.body in bodies)
    unsubscribe(fixture, reader, [("id", other.id), *channel.destination.headers.items()])
    reader.link.cut()
    again = consume_elsewhere(fixture, channel.destination, bodies)
    for clause in ("STOMP-ACK-001", "STOMP-SUB-011"):
        bench.judge(
            clause,
            set(bodies) <= set(again),
            expected=f"{bodies} for another consumer: none of them was acknowledged",
            observed=again,
        )


@clauses("STOMP-NACK-002", "STOMP-SUB-012")
def test_a_nack_among_several_leaves_the_others(bench: Bench) -> None:
    """Send NACK for one of six messages in mode client-individual, and ACK for the last; cut the connection, and expect
    all others at another consumer once.
    """
    fixture = StompFixture(bench)
    ids = ("STOMP-NACK-002", "STOMP-SUB-012")
    if bench.version == "1.0" or not redelivery_works(fixture, "client-individual", *ids):
        return
    if not fixture.has_receipts:
        for clause in ids:
            fixture.skip(clause, "the server grants no receipts")
        return
    channel = channel_in_mode(fixture, "client-individual")
    messages = channel.unacknowledged_messages(SEVERAL)
    if len(messages) < SEVERAL:
        for clause in ids:
            fixture.skip(clause, too_few_reason(messages))
        return
    named = messages[3]
    settle(fixture, channel.reader, named, "NACK")
    for message in messages:
        if message is named:
            continue
        receipt = fixture.new_receipt()
        channel.reader.ack(message, receipt=receipt)
        try:
            channel.reader.expect("RECEIPT", receipt_id=receipt)
        except PeerFailure as failure:
            for clause in ids:
                fixture.judge(
                    clause,
                    False,
                    expected="a RECEIPT for the ACK of a message that the NACK didn't name",
                    observed=failure.observed,
                )
            return
    for clause in ids:
        fixture.judge(clause, True, expected="a RECEIPT for each ACK", observed=f"{SEVERAL - 1} RECEIPTs")


@clauses("STOMP-SUB-011", "STOMP-ACK-004")
def test_an_ack_that_names_another_subscription_settles_nothing(bench: Bench) -> None:
    """Send ACK on a session of 1.1 for a message of one subscription that names the other; cut the connection, and
    expect the message at another consumer. A refusal of the ACK ends the session as well.
    """
    fixture = StompFixture(bench)
    if bench.version != "1.1" or not redelivery_works(
        fixture, "client-individual", "STOMP-SUB-011", "STOMP-ACK-004"
    ):
        return
    channel = channel_in_mode(fixture, "client-individual")
    other = Channel(fixture, fixture.queue(), reader=channel.reader, headers=[("ack", "client-individual")])
    other.send_and_receive(bench.fresh("other"))
    message = channel.send_and_receive(bench.fresh("m"))
    channel.reader.ack(message, subscription=other.subscription.id)
    with contextlib.suppress(PeerFailure):  # it may be refused (STOMP-ACK-010)
        fixture.fence(channel.reader)
    channel.reader.link.cut()
    again = consume_elsewhere(fixture, channel.destination, [message.body])
    for clause in ("STOMP-SUB-011", "STOMP-ACK-004"):
        fixture.judge(
            clause,
            message.body in again,
            expected=f"{message.body!r} again: the ACK named another subscription",
            observed=again,
        )


@clauses("STOMP-TX-012")
@MODES
def test_acks_of_another_transaction_wait_for_its_own_commit(bench: Bench, mode: str) -> None:
    """Send ACKs for the messages of two subscriptions in two transactions, commit one and cut the connection; expect
    the message of the other one at another consumer.
    """
    fixture = StompFixture(bench)
    if not fixture.has_transactions:
        fixture.skip("STOMP-TX-012", "the server has no transactions")
        return
    if not redelivery_works(fixture, mode, "STOMP-TX-012"):
        return
    found = _left_in_a_transaction(fixture, mode, commits_other=True)
    if found is None:
        fixture.skip("STOMP-TX-012", f"the server {HOLDS_BACK}")
        return
    body, again = found
    if body not in again:
        # A server that carries out an ACK at once does not keep STOMP-ACK-006, which is no more than a SHOULD.
        control = _left_in_a_transaction(fixture, mode)
        if control is None or control[0] not in control[1]:
            fixture.skip(
                "STOMP-TX-012", "an ACK in a transaction takes effect without any COMMIT (STOMP-ACK-006)"
            )
            return
    bench.judge(
        "STOMP-TX-012",
        body in again,
        expected=f"{body!r} again: the transaction of its ACK was not committed",
        observed=again,
    )


def _left_in_a_transaction(
    fixture: StompFixture, mode: str, *, commits_other: bool = False
) -> tuple[bytes, list[bytes]] | None:
    """Body that was acknowledged in a transaction without an end, and what another consumer gets when the connection
    was cut; with `commits_other` after the COMMIT of another transaction of the session, with an ACK as well.

    None if the server sends no second message before that COMMIT.
    """
    bench = fixture.bench
    other = channel_in_mode(fixture, mode)
    headers = [("ack", acknowledgement_mode(bench, mode))]
    left = Channel(fixture, fixture.queue(), reader=other.reader, headers=headers)
    names = bench.fresh("other"), bench.fresh("left")
    reader = other.reader
    send_and_confirm(fixture, reader, "BEGIN", names[0])
    reader.ack(other.send_and_receive(bench.fresh("m")), transaction=names[0])
    send_and_confirm(fixture, reader, "BEGIN", names[1], behind="ACK")
    left.send(bench.fresh("m"))
    try:
        message = reader.expect("MESSAGE", left.subscription.owns)
    except PeerFailure:
        if reader.closed or reader.errors:
            raise
        return None
    reader.ack(message, transaction=names[1])
    if commits_other:
        send_and_confirm(fixture, reader, "COMMIT", names[0], behind="ACK")
    else:
        fixture.fence(reader)
    reader.link.cut()
    return message.body, consume_elsewhere(fixture, left.destination, [message.body])
