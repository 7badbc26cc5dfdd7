"""NACK: STOMP-NACK-*. The fate of its messages is left to the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.stomp.accept_or_refuse import (
    MODES,
    channel_in_mode,
    expect_acceptance,
    redelivery_works,
    send_and_confirm,
    settle,
    too_few_reason,
)
from conformance.suite.stomp.channel import consume_elsewhere, has_redelivery
from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.stomp.channel import Channel
    from conformance.wire.stomp import StompClient


@clauses("STOMP-NACK-001")
@MODES
def test_a_nack_is_accepted(bench: Bench, mode: str) -> None:
    r"""Send `NACK\nid:…\nreceipt:…\n\n\0` for a delivered message (before 1.2 its `message-id`); expect the RECEIPT."""
    fixture = StompFixture(bench)
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        channel = channel_in_mode(fixture, mode)
        channel.reader.nack(channel.send_and_receive(bench.fresh("m")), receipt=receipt)
        return channel.reader

    expect_acceptance(fixture, "STOMP-NACK-001", provoke, receipt, f"a NACK in mode {mode}")


@clauses("STOMP-NACK-002")
def test_an_individual_nack_leaves_the_others_to_be_settled(bench: Bench) -> None:
    """Send NACK for the second of three messages, then ACK for the others; expect RECEIPTs for all."""
    fixture = StompFixture(bench)
    if not fixture.has_receipts:
        bench.skip("STOMP-NACK-002", "the server grants no receipts")
        return
    receipts = [fixture.new_receipt() for _ in range(2)]
    channel = channel_in_mode(fixture, "client-individual")
    messages = channel.unacknowledged_messages(3)
    if len(messages) < 3:
        bench.skip("STOMP-NACK-002", too_few_reason(messages))
        return
    settle(fixture, channel.reader, messages[1], "NACK")
    for message, receipt in zip((messages[0], messages[2]), receipts, strict=True):
        channel.reader.ack(message, receipt=receipt)
        try:
            frame = channel.reader.expect("RECEIPT", receipt_id=receipt)
        except PeerFailure as failure:
            bench.judge(
                "STOMP-NACK-002",
                False,
                expected="a RECEIPT for the ACK of a message that the NACK didn't name",
                observed=failure.observed,
            )
            return
        bench.judge("STOMP-NACK-002", True, expected="a RECEIPT", observed=frame)


@clauses("STOMP-NACK-002")
def test_an_individual_nack_consumes_nothing_else(bench: Bench) -> None:
    """Send NACK for the second of three messages; cut the connection; expect the others at another consumer."""
    fixture = StompFixture(bench)
    if not redelivery_works(fixture, "client-individual", "STOMP-NACK-002"):
        return
    channel = channel_in_mode(fixture, "client-individual")
    messages = channel.unacknowledged_messages(3)
    if len(messages) < 3:
        bench.skip("STOMP-NACK-002", too_few_reason(messages))
        return
    settle(fixture, channel.reader, messages[1], "NACK")
    channel.reader.link.cut()
    left = {messages[0].body, messages[2].body}
    again = consume_elsewhere(fixture, channel.destination, left)
    bench.judge(
        "STOMP-NACK-002", left <= set(again), expected=f"{sorted(left)} again, at least", observed=again
    )


@clauses("STOMP-NACK-003")
def test_a_cumulative_nack_covers_earlier_messages(bench: Bench) -> None:
    """Send NACK for the second of three messages in mode client; expect both or neither of the first two again."""
    fixture = StompFixture(bench)
    if not redelivery_works(fixture, "client", "STOMP-NACK-003"):
        return
    channel = channel_in_mode(fixture, "client")
    messages = channel.unacknowledged_messages(3)
    if len(messages) < 3:
        bench.skip("STOMP-NACK-003", too_few_reason(messages))
        return
    before, named, after = [message.body for message in messages]
    settle(fixture, channel.reader, messages[1], "NACK")
    came = _redelivered(channel, named, before)
    if named not in came:
        channel.reader.link.cut()
        came = {body for body in consume_elsewhere(fixture, channel.destination, [after]) if body != after}
    bench.judge(
        "STOMP-NACK-003",
        (before in came) == (named in came),
        expected=f"both {before!r} and {named!r} again, or neither",
        observed=sorted(came),
    )


def _redelivered(channel: Channel, named: bytes, before: bytes) -> set[bytes]:
    """Those of the two that the same consumer gets again; `before` is waited for once `named` has come."""
    came: set[bytes] = set()
    while came != {named, before}:
        try:
            message = channel.reader.expect(
                "MESSAGE",
                lambda frame: frame.body in {named, before} - came,
                channel.fixture.bench.patience if named in came else SHORT_WAIT,
            )
        except PeerFailure:
            break
        came.add(message.body)
    return came


@clauses("STOMP-NACK-004")
def test_a_nack_in_a_transaction(bench: Bench) -> None:
    """Send NACK in a transaction. Recorded: redelivery at once, after COMMIT or after ABORT."""
    transaction = bench.fresh("t")
    fixture = StompFixture(bench)
    if not has_redelivery(fixture, "STOMP-NACK-004"):
        return
    for how in ("COMMIT", "ABORT"):
        channel = channel_in_mode(fixture, "client-individual")
        message = channel.send_and_receive(bench.fresh("m"))
        send_and_confirm(fixture, channel.reader, "BEGIN", transaction)
        channel.reader.nack(message, transaction=transaction)
        try:
            fixture.fence(channel.reader)
            at_once = _comes(channel, message.body, fixture.usual_delay)
            # A server without NACK in transactions may refuse it only here.
            (channel.reader.commit if how == "COMMIT" else channel.reader.abort)("t")
            fixture.fence(channel.reader)
        except PeerFailure as failure:
            fixture.observe("STOMP-NACK-004", f"refused: {failure.observed}")
            return
        later = _comes(channel, message.body, SHORT_WAIT)
        when = "at once" if at_once else f"after {how}" if later else f"not in sight after {how}"
        fixture.observe("STOMP-NACK-004", f"the message of a NACK comes again {when}")


def _comes(channel: Channel, body: bytes, within: float) -> bool:
    """True if a MESSAGE with this body arrives within so many seconds."""
    try:
        channel.reader.expect("MESSAGE", lambda frame: frame.body == body, within)
    except PeerFailure:
        return False
    return True
