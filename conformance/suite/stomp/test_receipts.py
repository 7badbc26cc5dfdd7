"""What a client hears of its frames: STOMP-RECEIPT-*."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.reactions import judge_refusal_rules, reaction
from conformance.suite.stomp.session_end import expect_all_bodies
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.stomp.stomp_fixture import Destination
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

BURST = 50
#: Values that have to come back as they are, from 1.1 on, where headers can be escaped.
VALUES = {
    "plain": "message-12345",
    "colon": "a:b:c",
    "backslash": "a\\b\\\\n",
    "line": "two\nlines",
    "blanks": " inner  and outer ",
    "octets": "Empfang ✓ 日本",
    "long": "r" * 2000,
}
#: What 1.0 leaves no doubt about.
VALUES_OF_1_0 = ("plain",)


@clauses("STOMP-RECEIPT-001", "STOMP-RECEIPT-002")
@pytest.mark.parametrize("mode", ["client", "client-individual"])
def test_every_kind_of_frame_is_receipted(bench: Bench, mode: str) -> None:
    """SUBSCRIBE, SEND, ACK, NACK, BEGIN, COMMIT, ABORT and UNSUBSCRIBE are each answered by one RECEIPT."""
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
        # One by one: the server may send the second message when the first is settled, and not before.
        settle(fixture.expect_message(subscription), receipt=receipt())
        _judge_receipt(fixture, client, asked[-1], command)
    if fixture.has_transactions:
        for transaction, end in (("t1", client.commit), ("t2", client.abort)):
            client.begin(transaction, receipt=receipt())
            _judge_receipt(fixture, client, asked[-1], "BEGIN")
            end(transaction, receipt=receipt())
            _judge_receipt(fixture, client, asked[-1], "COMMIT or ABORT")
    client.unsubscribe(subscription.id, destination.headers, receipt=receipt())
    _judge_receipt(fixture, client, asked[-1], "UNSUBSCRIBE")
    _judge_once(fixture, client)


@clauses("STOMP-RECEIPT-002")
@pytest.mark.parametrize("value", VALUES)
def test_the_value_comes_back_as_it_was(bench: Bench, value: str) -> None:
    """`receipt-id` is the `receipt`, after decoding."""
    fixture = StompFixture(bench)
    if bench.version == "1.0" and value not in VALUES_OF_1_0:
        value = "plain"
    client, destination = fixture.client(), fixture.topic()
    fixture.send(client, destination, b"m", receipt=VALUES[value])
    frame = _any_receipt(fixture, client)
    bench.judge(
        "STOMP-RECEIPT-002",
        frame.get("receipt-id") == VALUES[value],
        expected=f"receipt-id {VALUES[value][:60]!r}",
        observed=frame.octets[:300],
    )


@clauses("STOMP-RECEIPT-003")
def test_a_frame_that_fails_is_not_receipted(bench: Bench) -> None:
    """A SEND without destination and a COMMIT of nothing get no RECEIPT, neither before nor after the ERROR."""
    fixture = StompFixture(bench)
    for command in ("SEND", "COMMIT"):
        receipt = fixture.new_receipt()

        def provoke(command: str = command, receipt: str = receipt) -> StompClient:
            client = fixture.client()
            client.frame(command, [("receipt", receipt)])
            return client

        found = reaction(fixture, provoke, receipt)
        bench.judge(
            "STOMP-RECEIPT-003",
            not (found.is_refusal and found.receipts),
            expected=f"no RECEIPT for a {command} that is refused",
            observed=found,
        )
        judge_refusal_rules(fixture, found, receipt)


@clauses("STOMP-RECEIPT-008")
def test_frames_that_ask_for_none_get_none(bench: Bench) -> None:
    """Of many frames only the last asks for a receipt, and only its own comes."""
    fixture = StompFixture(bench)
    client, destination = fixture.client(), fixture.topic()
    # Of another topic than the messages: how an UNSUBSCRIBE that they cross is taken isn't the matter here.
    subscription = fixture.subscribe(client, fixture.topic())
    for number in range(5):
        fixture.send(client, destination, b"%d" % number)
    client.unsubscribe(subscription.id, subscription.destination.headers)
    fixture.fence(client)
    receipts = [frame.get("receipt-id") for frame in client.take("RECEIPT")]
    bench.judge(
        "STOMP-RECEIPT-008", not receipts, expected="no RECEIPT but that of the fence", observed=receipts
    )


@clauses("STOMP-RECEIPT-004")
def test_a_receipt_vouches_for_all_earlier_frames(bench: Bench) -> None:
    """After many SENDs and one RECEIPT the connection is cut: all of the messages turn up."""
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
def test_what_was_received_is_processed_after_an_orderly_end(bench: Bench) -> None:
    """Many SENDs, DISCONNECT and a Close frame: all of the messages turn up."""
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
    """Recorded: whether the RECEIPTs of a burst come in the order of the frames."""
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
    """Recorded: how many RECEIPTs come for two frames that share a value."""
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
    fixture.judge(
        "STOMP-RECEIPT-002",
        frame.get("receipt-id") == receipt,
        expected=f"receipt-id:{receipt}",
        observed=frame.octets,
    )


def _judge_once(fixture: StompFixture, client: StompClient) -> None:
    """No RECEIPT that was claimed comes a second time."""
    fixture.fence(client)
    extra = Counter(frame.get("receipt-id") for frame in client.take("RECEIPT"))
    fixture.judge("STOMP-RECEIPT-001", not extra, expected="one RECEIPT for each frame", observed=dict(extra))


def _any_receipt(fixture: StompFixture, client: StompClient) -> Frame:
    return fixture.expect_receipt(client, None, "a SEND")
