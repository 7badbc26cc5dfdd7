"""RECEIPT frames: STOMP-RECEIPT-*."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.generators import NUMBER_LIKE
from conformance.suite.stomp.delivered_frames import expect_header
from conformance.suite.stomp.frame_template import fill
from conformance.suite.stomp.loopback import session_sending
from conformance.suite.stomp.reactions import judge_refusal_rules, reaction
from conformance.suite.stomp.session_end import expect_all_bodies
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.stomp.destinations import Destination
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

BURST = 50
#: Values that must come back unchanged; those with special octets from 1.1 on, which has escapes.
VALUES = {
    "plain": "message-12345",
    "colon": "a:b:c",
    "backslash": "a\\b\\\\n",
    "line": "two\nlines",
    "blanks": " inner  and outer ",
    "octets": "Empfang ✓ 日本",
    "long": "r" * 2000,
    "empty": "",
    **{text: text for text in NUMBER_LIKE},
}
#: The values that 1.0 can write.
VALUES_OF_1_0 = ("plain", "colon", *NUMBER_LIKE)


@clauses("STOMP-RECEIPT-001", "STOMP-RECEIPT-002")
@pytest.mark.parametrize("mode", ["client", "client-individual"])
def test_every_kind_of_frame_is_receipted(bench: Bench, mode: str) -> None:
    """Send SUBSCRIBE, SEND, ACK, NACK, BEGIN, COMMIT, ABORT, UNSUBSCRIBE with `receipt`; expect a RECEIPT for each."""
    fixture = StompFixture(bench)
    if mode == "client-individual" and bench.version == "1.0":
        mode = "client"
    client, destination = fixture.client(), fixture.queue()
    subscription = fixture.active_subscription(client, destination, ack=mode)
    asked: list[str] = []

    def receipt() -> str:
        asked.append(fixture.new_receipt())
        return asked[-1]

    sender = fixture.client()
    settlings = {"ACK": client.ack, "NACK": client.nack} if bench.version != "1.0" else {"ACK": client.ack}
    _receipted_sends(fixture, sender, destination, len(settlings))
    for command, settle in settlings.items():
        # One by one: a server may hold back the second message until the first is settled.
        settle(fixture.expect_message(subscription), receipt=receipt())
        _judge_receipt(fixture, client, asked[-1], command)
    if fixture.has_transactions:
        for end in (client.commit, client.abort):
            # No other session has a transaction of that name (STOMP-TX-010).
            transaction = bench.fresh("transaction")
            client.begin(transaction, receipt=receipt())
            _judge_receipt(fixture, client, asked[-1], "BEGIN")
            end(transaction, receipt=receipt())
            _judge_receipt(fixture, client, asked[-1], "COMMIT or ABORT")
    client.unsubscribe(subscription.id, destination.headers, receipt=receipt())
    _judge_receipt(fixture, client, asked[-1], "UNSUBSCRIBE")
    _judge_once(fixture, client)


@clauses("STOMP-RECEIPT-001", "STOMP-RECEIPT-002")
@pytest.mark.parametrize("value", ["", " ", "0", "007"], ids=repr)
def test_every_kind_of_frame_may_have_an_odd_receipt(bench: Bench, value: str) -> None:
    """Send SUBSCRIBE, UNSUBSCRIBE, BEGIN, COMMIT and ABORT, each on a session of its own, with a `receipt` that is
    empty, a blank, 0 or 007; expect it back.
    """
    fixture = StompFixture(bench)
    if bench.version == "1.0" and not value.strip():
        return
    kinds = ["SUBSCRIBE", "UNSUBSCRIBE", *(["BEGIN", "COMMIT", "ABORT"] if fixture.has_transactions else [])]
    for kind in kinds:
        client, destination, transaction = fixture.client(), fixture.topic(), bench.fresh("t")
        receipt = ("receipt", value)
        if kind in ("COMMIT", "ABORT"):
            client.begin(transaction)
        if kind in ("BEGIN", "COMMIT", "ABORT"):
            client.frame(kind, [("transaction", transaction), receipt])
        elif kind == "SUBSCRIBE":
            fixture.subscribe(client, destination, [receipt])
        else:
            subscription = fixture.active_subscription(client, destination)
            client.unsubscribe(subscription.id, destination.headers, receipt=value)
        frame = fixture.expect_receipt(client, None, kind)
        expect_header(fixture, "STOMP-RECEIPT-002", frame, "receipt-id", value)


@clauses("STOMP-RECEIPT-002")
@pytest.mark.parametrize("value", VALUES)
def test_the_value_comes_back_as_it_was(bench: Bench, value: str) -> None:
    """Send a SEND with `receipt`; expect the same value as `receipt-id`, after decoding."""
    fixture = StompFixture(bench)
    if bench.version == "1.0" and value not in VALUES_OF_1_0:
        value = "plain"
    client, destination = fixture.client(), fixture.topic()
    fixture.send(client, destination, b"m", receipt=VALUES[value])
    frame = _any_receipt(fixture, client)
    expect_header(bench, "STOMP-RECEIPT-002", frame, "receipt-id", VALUES[value])


@clauses("STOMP-RECEIPT-003")
def test_a_frame_that_fails_is_not_receipted(bench: Bench) -> None:
    r"""Send `SEND\nreceipt:…\n\n\0` and `COMMIT\nreceipt:…\n\n\0`; expect no RECEIPT before or after an ERROR."""
    fixture = StompFixture(bench)
    for command in ("SEND", "COMMIT"):
        receipt = fixture.new_receipt()
        octets = fill(b"<command>\nreceipt:<receipt>\n\n\0", command=command, receipt=receipt)
        found = reaction(fixture, session_sending(fixture, octets), receipt)
        bench.judge(
            "STOMP-RECEIPT-003",
            not (found.is_refusal and found.receipts),
            expected=f"no RECEIPT for a {command} that is refused",
            observed=found,
        )
        judge_refusal_rules(fixture, found, receipt)


@clauses("STOMP-RECEIPT-008")
def test_frames_that_ask_for_none_get_none(bench: Bench) -> None:
    """Send SUBSCRIBE, SENDs and UNSUBSCRIBE without `receipt`; expect no RECEIPT."""
    fixture = StompFixture(bench)
    client, destination = fixture.client(), fixture.topic()
    # The subscription is for another topic: the handling of an UNSUBSCRIBE that crosses MESSAGEs isn't tested here.
    subscription = fixture.subscribe(client, fixture.topic())
    for number in range(5):
        fixture.send(client, destination, b"%d" % number)
    client.unsubscribe(subscription.id, subscription.destination.headers)
    try:
        fixture.fence(client)
    except PeerFailure as failure:
        fixture.skip("STOMP-RECEIPT-008", f"a frame of the test was not accepted: {failure.observed}")
        return
    receipts = [frame.get("receipt-id") for frame in client.take("RECEIPT")]
    bench.judge(
        "STOMP-RECEIPT-008", not receipts, expected="no RECEIPT but that of the fence", observed=receipts
    )


@clauses("STOMP-RECEIPT-004")
def test_a_receipt_confirms_all_earlier_frames(bench: Bench) -> None:
    """Send 50 SENDs, the last with `receipt`; cut the connection at its RECEIPT; expect all 50 MESSAGEs."""
    fixture = StompFixture(bench)
    destination, reader = fixture.topic(), fixture.client()
    subscription = fixture.active_subscription(reader, destination)
    client = fixture.client()
    bodies = [b"%d" % number for number in range(BURST)]
    for body in bodies[:-1]:
        fixture.send(client, destination, body)
    receipt = fixture.new_receipt()
    fixture.send(client, destination, bodies[-1], receipt=receipt)
    fixture.expect_receipt(client, receipt, "the last SEND")
    client.link.cut()
    expect_all_bodies(fixture, "STOMP-RECEIPT-004", subscription, bodies)


@clauses("STOMP-RECEIPT-006")
def test_received_frames_are_processed_after_an_orderly_end(bench: Bench) -> None:
    """Send 50 SENDs, DISCONNECT and a Close frame; expect all 50 MESSAGEs."""
    fixture = StompFixture(bench)
    destination, reader = fixture.topic(), fixture.client()
    subscription = fixture.active_subscription(reader, destination)
    client = fixture.client()
    bodies = [b"%d" % number for number in range(BURST)]
    for body in bodies:
        fixture.send(client, destination, body)
    client.disconnect()
    client.close()
    expect_all_bodies(fixture, "STOMP-RECEIPT-006", subscription, bodies)


@clauses("STOMP-RECEIPT-005")
def test_the_order_of_receipts(bench: Bench) -> None:
    """Send 50 SENDs with `receipt`. Recorded: the order of the RECEIPTs."""
    fixture = StompFixture(bench)
    client, destination = fixture.client(), fixture.topic()
    values = [fixture.new_receipt() for _ in range(BURST)]
    for value in values:
        fixture.send(client, destination, b"m", receipt=value)
    came = [_any_receipt(fixture, client).get("receipt-id") for _ in values]
    fixture.observe(
        "STOMP-RECEIPT-005", "in the order of the frames" if came == values else "in another order"
    )


@clauses("STOMP-RECEIPT-007")
def test_two_frames_with_one_value(bench: Bench) -> None:
    """Send two SENDs with the same `receipt`. Recorded: the number of RECEIPTs."""
    fixture = StompFixture(bench)
    client, destination = fixture.client(), fixture.topic()
    value = fixture.new_receipt()
    for _ in range(2):
        fixture.send(client, destination, b"m", receipt=value)
    try:
        fixture.fence(client)
    except PeerFailure as failure:
        fixture.observe("STOMP-RECEIPT-007", f"refused: {failure.observed}")
        return
    count = sum(frame.get("receipt-id") == value for frame in client.take("RECEIPT"))
    fixture.observe("STOMP-RECEIPT-007", f"{count} RECEIPTs by the time that a later frame has its own")


def _receipted_sends(
    fixture: StompFixture, sender: StompClient, destination: Destination, count: int
) -> None:
    for number in range(count):
        receipt = fixture.new_receipt()
        fixture.send(sender, destination, b"%d" % number, receipt=receipt)
        _judge_receipt(fixture, sender, receipt, "SEND")


def _judge_receipt(fixture: StompFixture, client: StompClient, receipt: str, command: str) -> None:
    frame = fixture.expect_receipt(client, receipt, command)
    expect_header(fixture, "STOMP-RECEIPT-002", frame, "receipt-id", receipt)


def _judge_once(fixture: StompFixture, client: StompClient) -> None:
    """Judge that no RECEIPT comes a second time."""
    fixture.fence(client)
    extra = Counter(frame.get("receipt-id") for frame in client.take("RECEIPT"))
    observed = ", ".join(f"{count} more with receipt-id {value!r}" for value, count in extra.items())
    fixture.judge("STOMP-RECEIPT-001", not extra, expected="one RECEIPT for each frame", observed=observed)


def _any_receipt(fixture: StompFixture, client: StompClient) -> Frame:
    return fixture.expect_receipt(client, None, "a SEND")
