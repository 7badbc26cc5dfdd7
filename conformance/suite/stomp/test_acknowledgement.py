"""ACK of single messages: STOMP-ACK-*. The messages that one ACK covers are in `test_consuming`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.accept_or_refuse import (
    MODES,
    channel_in_mode,
    expect_acceptance,
    expect_refusal,
    redelivery_works,
    send_and_confirm,
    settle,
)
from conformance.suite.stomp.channel import (
    Channel,
    acknowledgement_mode,
    consume_elsewhere,
    disconnect,
    get_error,
    has_redelivery,
    message_if_subscribed,
    unsubscribe,
)
from conformance.suite.stomp.frame_template import send_frame
from conformance.suite.stomp.stomp_fixture import StompFixture

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient


def end(client: StompClient, how: str) -> None:
    """End a session by DISCONNECT, by a Close frame, by the loss of the connection, or by a frame that gets an
    ERROR.
    """
    if how == "disconnect":
        disconnect(client)
    elif how == "close":
        client.close()
    elif how == "error":
        get_error(client)
    else:
        client.link.cut()


# Valid ACKs


@clauses("STOMP-ACK-002")
@MODES
def test_an_ack_under_an_id_that_had_another_mode(bench: Bench, mode: str) -> None:
    """End a subscription in mode `auto`, subscribe under its id in a client mode, and acknowledge; expect a RECEIPT."""
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()

    def subscribe_again() -> tuple[StompClient, Frame | None]:
        reader, destination = fixture.client(), fixture.queue()
        before = fixture.active_subscription(reader, fixture.queue(), id="again")
        unsubscribe(fixture, reader, [("id", before.id), *before.destination.headers.items()])
        fixture.subscribe(reader, destination, [("ack", acknowledgement_mode(bench, mode))], id=before.id)
        return reader, message_if_subscribed(fixture, reader, destination)

    def provoke() -> StompClient:
        reader, message = subscribe_again()
        if message is not None:
            reader.ack(message, receipt=receipt)
        return reader

    if subscribe_again()[1] is None:
        bench.skip("STOMP-ACK-002", "the id of a removed subscription is refused (STOMP-UNSUB-004)")
        return
    expect_acceptance(fixture, "STOMP-ACK-002", provoke, receipt, f"an ACK in mode {mode}")


@clauses("STOMP-ACK-001")
@MODES
@pytest.mark.parametrize("how", ["disconnect", "close", "cut", "error"])
def test_an_unacknowledged_message_is_not_consumed(bench: Bench, mode: str, how: str) -> None:
    """Send no ACK, and end the connection; expect the messages at another consumer."""
    fixture = StompFixture(bench)
    if not has_redelivery(fixture, "STOMP-ACK-001"):
        return
    channel = channel_in_mode(fixture, mode)
    bodies = [message.body for message in channel.unacknowledged_messages(3)]
    end(channel.reader, how)
    again = consume_elsewhere(fixture, channel.destination, bodies)
    bench.judge(
        "STOMP-ACK-001",
        set(bodies) <= set(again),
        expected=f"{bodies} for another consumer: they were not acknowledged",
        observed=again,
    )


@clauses("STOMP-ACK-001")
@MODES
def test_an_unacknowledged_message_comes_as_often_as_it_takes(bench: Bench, mode: str) -> None:
    """Deliver a message to four sessions in turn, of which only the last sends ACK; expect it at each of them."""
    fixture = StompFixture(bench)
    if not has_redelivery(fixture, "STOMP-ACK-001"):
        return
    channel = channel_in_mode(fixture, mode)
    body = channel.send_and_receive(bench.fresh("m")).body
    reader = channel.reader
    for _ in range(3):
        reader.link.cut()
        reader = fixture.client()
        subscription = fixture.subscribe(
            reader, channel.destination, [("ack", acknowledgement_mode(bench, mode))]
        )
        message = fixture.expect_message(subscription, "STOMP-ACK-001", lambda frame: frame.body == body)
    settle(fixture, reader, message)


@clauses("STOMP-ACK-002")
@MODES
def test_an_ack_is_accepted(bench: Bench, mode: str) -> None:
    r"""Send `ACK\nid:…\nreceipt:…\n\n\0` (before 1.2 its `message-id`), three in a row; expect the RECEIPT."""
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        channel = channel_in_mode(fixture, mode)
        for _ in range(2):
            channel.reader.ack(channel.send_and_receive(bench.fresh("m")))
        channel.reader.ack(channel.send_and_receive(bench.fresh("m")), receipt=receipt)
        return channel.reader

    expect_acceptance(fixture, "STOMP-ACK-002", provoke, receipt, f"an ACK in mode {mode}")


@clauses("STOMP-ACK-002")
@MODES
@pytest.mark.parametrize("how", ["disconnect", "cut"])
def test_an_acknowledged_message_is_consumed(bench: Bench, mode: str, how: str) -> None:
    """Send ACK, and end the connection; expect the message at no other consumer."""
    fixture = StompFixture(bench)
    if not has_redelivery(fixture, "STOMP-ACK-002"):
        return
    channel = channel_in_mode(fixture, mode)
    acknowledged = channel.send_and_receive(bench.fresh("acknowledged"))
    settle(fixture, channel.reader, acknowledged)
    left = channel.send_and_receive(bench.fresh("left"))
    end(channel.reader, how)
    again = consume_elsewhere(fixture, channel.destination, [left.body])
    bench.judge(
        "STOMP-ACK-002",
        acknowledged.body not in again,
        expected=f"{acknowledged.body!r} not again: its ACK was accepted",
        observed=again,
    )


@clauses("STOMP-ACK-008")
@pytest.mark.parametrize("subscription", [False, True], ids=["without-subscription", "with-subscription"])
def test_an_ack_needs_no_subscription(bench: Bench, subscription: bool) -> None:
    r"""Send `ACK\nid:…\n\n\0` with and without `subscription`; expect the RECEIPT."""
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        channel = channel_in_mode(fixture, "client-individual")
        message = channel.send_and_receive(bench.fresh("m"))
        more = [("subscription", channel.subscription.id)] if subscription else []
        channel.reader.ack(message, [*more, ("receipt", receipt)])
        return channel.reader

    what = f"an ACK {'with' if subscription else 'without'} a subscription"
    expect_acceptance(fixture, "STOMP-ACK-008", provoke, receipt, what)


# ACKs that name no message


@clauses("STOMP-ACK-003", "STOMP-ERROR-009")
def test_an_ack_that_names_nothing(bench: Bench) -> None:
    r"""Send `ACK\nreceipt:…\n\n\0` while one message is unacknowledged; expect no RECEIPT, an ERROR and the end."""
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        channel = channel_in_mode(fixture, "client-individual")
        channel.send_and_receive(bench.fresh("m"))
        template = b"ACK\nreceipt:<receipt>\n\n\0"
        if bench.version == "1.1":
            template = b"ACK\nreceipt:<receipt>\nsubscription:<id>\n\n\0"
        send_frame(channel.reader, template, receipt=receipt, id=channel.subscription.id)
        return channel.reader

    expect_refusal(fixture, "STOMP-ACK-003", provoke, receipt, "an ACK that names no message")


@clauses("STOMP-ACK-009", "STOMP-ERROR-009")
def test_an_ack_without_subscription(bench: Bench) -> None:
    r"""Send `ACK\nmessage-id:…\n\n\0` without `subscription` in 1.1; expect no RECEIPT, an ERROR and the end."""
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        channel = channel_in_mode(fixture, "client-individual")
        channel.reader.ack(channel.send_and_receive(bench.fresh("m")), subscription=None, receipt=receipt)
        return channel.reader

    expect_refusal(fixture, "STOMP-ACK-009", provoke, receipt, "an ACK without subscription")


@clauses("STOMP-ACK-004", "STOMP-ACK-010", "STOMP-ERROR-009")
@MODES
@pytest.mark.parametrize(
    "kind", ["random", "another connection's", "next", "message-id", "beginning", "longer"]
)
def test_an_ack_that_names_no_message_of_its_connection(bench: Bench, mode: str, kind: str) -> None:
    """Send ACK with an id of no message of the connection; expect a refusal, and no message settled by it."""
    fixture = StompFixture(bench)
    end_attempt = fixture.begin_attempt()
    if not redelivery_works(fixture, mode, "STOMP-ACK-004", "STOMP-ACK-010", "STOMP-ERROR-009"):
        return
    can_be_tried = _can_be_tried(fixture, kind, mode)
    end_attempt()
    receipt = fixture.new_receipt()
    channels: list[tuple[Channel, Frame]] = []

    def provoke() -> StompClient:
        """The subscriptions of both connections have the same id, so that only the message tells them apart."""
        channels.clear()
        for _ in range(2):
            channel = channel_in_mode(fixture, mode, "same")
            channels.append((channel, channel.send_and_receive(bench.fresh("m"))))
        (own, mine), (_, other) = channels
        value = _stray(kind, bench, mine, other)
        assert value is not None
        more = [("subscription", own.subscription.id)] if bench.version == "1.1" else []
        own.reader.ack(value, [*more, ("receipt", receipt)])
        return own.reader

    if not can_be_tried:
        for clause in ("STOMP-ACK-004", "STOMP-ACK-010", "STOMP-ERROR-009"):
            fixture.skip(
                clause, f"here an ACK with such an id ({kind}) names a message of its own connection"
            )
        return
    expect_refusal(fixture, "STOMP-ACK-010", provoke, receipt, f"an ACK of no message ({kind})")
    _judge_nothing_settled(fixture, channels, kind)


def _judge_nothing_settled(fixture: StompFixture, channels: list[tuple[Channel, Frame]], kind: str) -> None:
    for channel, message in channels:
        channel.reader.link.cut()
        again = consume_elsewhere(fixture, channel.destination, [message.body])
        fixture.judge(
            "STOMP-ACK-004",
            message.body in again,
            expected=f"{message.body!r} again: no ACK named it but one of no message ({kind})",
            observed=again,
        )


def _name_of(message: Frame, bench: Bench) -> str:
    """The header value by which an ACK names a message."""
    return message.get("ack" if bench.version == "1.2" else "message-id") or ""


def _stray(kind: str, bench: Bench, mine: Frame, other: Frame) -> str | None:
    """An id of that kind; None if this connection can name a message by it."""
    own = _name_of(mine, bench)
    found = {
        "random": bench.fresh("nobody"),
        "another connection's": _name_of(other, bench),
        "next": re.sub(r"\d+(?!.*\d)", lambda number: str(int(number.group()) + 1), own, flags=re.DOTALL),
        "beginning": own[:-1],
        "longer": f"{own}0",
        "message-id": mine.get("message-id") or "" if bench.version == "1.2" else own,
    }[kind]
    return found if found and found != own else None


def _can_be_tried(fixture: StompFixture, kind: str, mode: str) -> bool:
    """True if the ids of this server leave room for such a mistake."""
    messages = [channel_in_mode(fixture, mode).send_and_receive(fixture.bench.fresh("m")) for _ in range(2)]
    return _stray(kind, fixture.bench, messages[0], messages[1]) is not None


# In transactions


@clauses("STOMP-ACK-006")
@MODES
@pytest.mark.parametrize("how", ["commit", "abort", "disconnect", "cut", "error"])
def test_an_ack_in_a_transaction(bench: Bench, mode: str, how: str) -> None:
    """Send ACK with `transaction`; expect redelivery unless COMMIT ended the transaction."""
    transaction = bench.fresh("t")
    fixture = StompFixture(bench)
    if not redelivery_works(fixture, mode, "STOMP-ACK-006"):
        return
    channel = channel_in_mode(fixture, mode)
    message = channel.send_and_receive(bench.fresh("acknowledged"))
    send_and_confirm(fixture, channel.reader, "BEGIN", transaction)
    channel.reader.ack(message, transaction=transaction)
    left = message
    if how in ("commit", "abort"):
        send_and_confirm(fixture, channel.reader, how.upper(), transaction, behind="ACK")
        left = channel.send_and_receive(bench.fresh("left")) if how == "commit" else message
    else:
        fixture.fence(channel.reader)
    end(channel.reader, how)
    again = consume_elsewhere(fixture, channel.destination, [left.body])
    is_due = how != "commit"
    bench.judge(
        "STOMP-ACK-006",
        (message.body in again) == is_due,
        expected=f"{message.body!r} {'' if is_due else 'not '}again: {how} ended the transaction of its ACK",
        observed=again,
    )
