"""Messages that count as consumed, and messages that an acknowledgement covers: STOMP-SUB-007 to STOMP-SUB-012."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.channel import (
    NO_QUEUES,
    Channel,
    acknowledgement_mode,
    consume_elsewhere,
    disconnect,
    fence_by_subscription,
    has_redelivery,
    is_undecidable,
)
from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.suite.stomp.reactions import reaction
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient


@clauses("STOMP-SUB-007")
def test_the_default_mode_is_auto(bench: Bench) -> None:
    """Send SUBSCRIBE without `ack`, receive messages, DISCONNECT; expect none of them at another consumer."""
    _judge_auto(StompFixture(bench), "STOMP-SUB-007", [])


@clauses("STOMP-SUB-008")
def test_a_message_in_mode_auto_is_consumed(bench: Bench) -> None:
    """Send SUBSCRIBE with `ack:auto`, receive messages, DISCONNECT; expect none of them at another consumer."""
    _judge_auto(StompFixture(bench), "STOMP-SUB-008", [("ack", "auto")])


def _judge_auto(fixture: StompFixture, clause: str, headers: Sequence[tuple[str, str | None]]) -> None:
    if not has_redelivery(fixture, clause):
        return
    channel = Channel(fixture, fixture.queue(), headers=headers)
    bodies = [channel.send_and_receive(fixture.bench.fresh("m")).body for _ in range(3)]
    disconnect(channel.reader)
    again = [body for body in consume_elsewhere(fixture, channel.destination) if body in bodies]
    fixture.judge(
        clause,
        not again,
        expected="no message for another consumer that was delivered in mode auto",
        observed=again,
    )


@clauses("STOMP-SUB-009")
@pytest.mark.parametrize("end", ["disconnect", "cut"])
@pytest.mark.parametrize("mode", ["client", "client-individual"])
def test_redelivery_of_an_unacknowledged_message(bench: Bench, mode: str, end: str) -> None:
    """Send no ACK, and end the connection. Recorded: redelivery to another consumer."""
    fixture = StompFixture(bench)
    mode = acknowledgement_mode(bench, mode)
    if not bench.target.fact("queues"):
        bench.skip("STOMP-SUB-009", NO_QUEUES)
        return
    channel = Channel(fixture, fixture.queue(), headers=[("ack", mode)])
    body = channel.send_and_receive(bench.fresh("m")).body
    if end == "cut":
        channel.reader.link.cut()
    else:
        disconnect(channel.reader)
    within = None if bench.target.fact("redelivers") else SHORT_WAIT
    came = body in consume_elsewhere(fixture, channel.destination, [body], within)
    seen = "comes to another consumer" if came else "doesn't come again"
    bench.observe("STOMP-SUB-009", f"an unacknowledged message in mode {mode} {seen} ({end})")


@clauses("STOMP-SUB-010", "STOMP-ACK-001")
@pytest.mark.parametrize("when", ["they come", "they come again"])
def test_a_cumulative_ack_covers_earlier_messages(bench: Bench, when: str) -> None:
    """Send ACK for the second of three messages in mode client, which a session before may have had, and cut the
    connection; expect only the third again.
    """
    fixture = StompFixture(bench)
    if not has_redelivery(fixture, "STOMP-SUB-010", "STOMP-ACK-001"):
        return
    channel = Channel(fixture, fixture.queue(), headers=[("ack", "client")])
    messages = _three(channel, "STOMP-SUB-010")
    if messages is None:
        fixture.skip("STOMP-ACK-001", "the server sends fewer than three messages that are not acknowledged")
        return
    if when == "they come again":
        channel.reader.link.cut()
        reader = fixture.client()
        again_to = fixture.subscribe(reader, channel.destination, [("ack", "client"), ("id", "again")])
        channel.reader, channel.subscription = reader, again_to
        try:
            messages = [reader.expect("MESSAGE", again_to.owns) for _ in messages]
        except PeerFailure:
            for clause in ("STOMP-SUB-010", "STOMP-ACK-001"):
                fixture.skip(clause, "fewer than three messages come again before one is acknowledged")
            return
    acknowledged, rest = [m.body for m in messages[:2]], messages[2].body
    _acknowledge(fixture, channel.reader, messages[1])
    channel.reader.link.cut()
    again = consume_elsewhere(fixture, channel.destination, [rest])
    fixture.judge(
        "STOMP-ACK-001",
        rest in again,
        expected=f"{rest!r} again: it came behind the one that was acknowledged",
        observed=again,
    )
    covered = [body for body in again if body in acknowledged]
    fixture.judge(
        "STOMP-SUB-010", not covered, expected=f"only {rest!r} again", observed=f"{covered} as well"
    )


@clauses("STOMP-SUB-010")
def test_a_cumulative_ack_covers_what_was_sent_before_a_redelivery(bench: Bench) -> None:
    """Send NACK for the first of two messages in mode client, and ACK for it when it comes again, behind the second;
    cut the connection, and expect neither again.
    """
    fixture = StompFixture(bench)
    if not has_redelivery(fixture, "STOMP-SUB-010"):
        return
    channel = Channel(fixture, fixture.queue(), headers=[("ack", "client")])
    messages = channel.unacknowledged_messages(2)
    if len(messages) < 2:
        fixture.skip("STOMP-SUB-010", "the server sends no second message that is not acknowledged")
        return
    channel.reader.nack(messages[0])
    try:
        again = channel.reader.expect("MESSAGE", lambda frame: frame.body == messages[0].body)
    except PeerFailure:
        fixture.skip("STOMP-SUB-010", "a message that was refused by NACK does not come again")
        return
    _acknowledge(fixture, channel.reader, again)
    channel.reader.link.cut()
    came = consume_elsewhere(fixture, channel.destination)
    fixture.judge(
        "STOMP-SUB-010",
        not {message.body for message in messages} & set(came),
        expected=f"nothing again: the ACK of {again.body!r} covers {messages[1].body!r}, sent before",
        observed=came,
    )


@clauses("STOMP-SUB-011")
def test_a_cumulative_ack_leaves_other_subscriptions_alone(bench: Bench) -> None:
    """Send ACK in one subscription, cut the connection; expect the older message of another one again."""
    fixture = StompFixture(bench)
    if not has_redelivery(fixture, "STOMP-SUB-011"):
        return
    reader = fixture.client()
    older, newer = _two_subscriptions(fixture, reader)
    left = older.send_and_receive(bench.fresh("left"))
    _acknowledge(fixture, reader, newer.send_and_receive(bench.fresh("acknowledged")))
    reader.link.cut()
    again = consume_elsewhere(fixture, older.destination, [left.body])
    bench.judge(
        "STOMP-SUB-011",
        left.body in again,
        expected=f"{left.body!r} again, which no ACK of its subscription covered",
        observed=again,
    )


@clauses("STOMP-SUB-011")
def test_messages_of_another_subscription_can_still_be_acknowledged(bench: Bench) -> None:
    """Send ACK in one subscription, then for an older message of another one; expect the RECEIPT."""
    fixture = StompFixture(bench)
    if not bench.target.fact("queues"):
        bench.skip("STOMP-SUB-011", NO_QUEUES)
        return
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        reader = fixture.client()
        older, newer = _two_subscriptions(fixture, reader)
        left = older.send_and_receive(bench.fresh("left"))
        _acknowledge(fixture, reader, newer.send_and_receive(bench.fresh("acknowledged")))
        reader.ack(left, receipt=receipt)
        return reader

    _judge_accepted(fixture, "STOMP-SUB-011", provoke, receipt)


def _two_subscriptions(fixture: StompFixture, reader: StompClient) -> tuple[Channel, Channel]:
    older, newer = (
        Channel(fixture, fixture.queue(), reader=reader, headers=[("ack", "client")]) for _ in range(2)
    )
    return older, newer


@clauses("STOMP-SUB-012")
def test_an_individual_ack_covers_one_message(bench: Bench) -> None:
    """Send ACK for the last of three messages, cut the connection; expect the first two again."""
    fixture = StompFixture(bench)
    if not has_redelivery(fixture, "STOMP-SUB-012"):
        return
    channel = Channel(fixture, fixture.queue(), headers=[("ack", "client-individual")])
    messages = _three(channel, "STOMP-SUB-012")
    if messages is None:
        return
    _acknowledge(fixture, channel.reader, messages[2])
    channel.reader.link.cut()
    left = [message.body for message in messages[:2]]
    again = consume_elsewhere(fixture, channel.destination, left)
    bench.judge(
        "STOMP-SUB-012",
        set(left) <= set(again),
        expected=f"{left} again, which no ACK named",
        observed=again,
    )


@clauses("STOMP-SUB-012")
@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_an_individual_ack_leaves_the_others_outstanding(bench: Bench, command: str) -> None:
    """Send ACK or NACK for the second of three messages, then ACK for the others; expect the RECEIPT."""
    fixture = StompFixture(bench)
    if not bench.target.fact("queues"):
        bench.skip("STOMP-SUB-012", NO_QUEUES)
        return
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        channel = Channel(fixture, fixture.queue(), headers=[("ack", "client-individual")])
        messages = channel.unacknowledged_messages(3)
        if len(messages) < 3:
            raise _TooFew(len(messages))
        (channel.reader.ack if command == "ACK" else channel.reader.nack)(messages[1])
        channel.reader.ack(messages[0])
        channel.reader.ack(messages[2], receipt=receipt)
        return channel.reader

    try:
        _judge_accepted(fixture, "STOMP-SUB-012", provoke, receipt)
    except _TooFew as few:
        bench.skip("STOMP-SUB-012", f"the server sends no more than {few} that are not acknowledged")


class _TooFew(Exception):
    """The server holds back messages until earlier ones are acknowledged."""


def _three(channel: Channel, clause: str) -> Sequence[Frame] | None:
    """Three unacknowledged messages; skips the clause, and returns None, if the server sends fewer at a time."""
    messages = channel.unacknowledged_messages(3)
    if len(messages) == 3:
        return messages
    channel.fixture.skip(clause, f"the server sends no more than {len(messages)} that are not acknowledged")
    return None


def _acknowledge(fixture: StompFixture, client: StompClient, message: Frame) -> None:
    """ACK a message, and wait until the server has processed the frame."""
    if fixture.has_receipts:
        receipt = fixture.new_receipt()
        client.ack(message, receipt=receipt)
        fixture.expect_receipt(client, receipt, "ACK")
        return
    client.ack(message)
    fence_by_subscription(fixture, client)


def _judge_accepted(
    fixture: StompFixture, clause: str, provoke: Callable[[], StompClient], receipt: str
) -> None:
    found = reaction(fixture, provoke, receipt, must_react=fixture.has_receipts)
    fixture.judge(
        clause,
        found.is_accepted or is_undecidable(fixture, found),
        expected="an ACK that is accepted",
        observed=found,
    )
