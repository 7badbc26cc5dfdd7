"""What a client hears of its frames: STOMP-RECEIPT-*."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.reactions import judge_refusal, reaction
from conformance.suite.stomp.scene import Scene
from conformance.suite.stomp.session_end import judge_all_came
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.stomp.scene import Place
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
    scene = Scene(bench)
    if mode == "client-individual" and bench.version == "1.0":
        mode = "client"
    client, place = scene.client(), scene.queue()
    subscription = scene.subscribed(client, place, ack=mode)
    asked: list[str] = []

    def receipt() -> str:
        asked.append(scene.receipt())
        return asked[-1]

    sender = scene.client()
    settlings = {"ACK": client.ack, "NACK": client.nack} if bench.version != "1.0" else {"ACK": client.ack}
    _receipted_sends(scene, sender, place, len(settlings))
    for command, settle in settlings.items():
        # One by one: the server may send the second message when the first is settled, and not before.
        settle(scene.message(subscription), receipt=receipt())
        _judge_receipt(scene, client, asked[-1], command)
    if scene.has_transactions:
        for transaction, end in (("t1", client.commit), ("t2", client.abort)):
            client.begin(transaction, receipt=receipt())
            _judge_receipt(scene, client, asked[-1], "BEGIN")
            end(transaction, receipt=receipt())
            _judge_receipt(scene, client, asked[-1], "COMMIT or ABORT")
    client.unsubscribe(subscription.id, place.headers, receipt=receipt())
    _judge_receipt(scene, client, asked[-1], "UNSUBSCRIBE")
    _judge_once(scene, client)


@clauses("STOMP-RECEIPT-002")
@pytest.mark.parametrize("value", VALUES)
def test_the_value_comes_back_as_it_was(bench: Bench, value: str) -> None:
    """`receipt-id` is the `receipt`, after decoding."""
    scene = Scene(bench)
    if bench.version == "1.0" and value not in VALUES_OF_1_0:
        value = "plain"
    client, place = scene.client(), scene.topic()
    scene.send(client, place, b"m", receipt=VALUES[value])
    frame = _any_receipt(scene, client)
    bench.judge(
        "STOMP-RECEIPT-002",
        frame.get("receipt-id") == VALUES[value],
        expected=f"receipt-id {VALUES[value][:60]!r}",
        observed=frame.octets[:300],
    )


@clauses("STOMP-RECEIPT-003")
def test_a_frame_that_fails_is_not_receipted(bench: Bench) -> None:
    """A SEND without destination and a COMMIT of nothing get no RECEIPT, neither before nor after the ERROR."""
    scene = Scene(bench)
    for command in ("SEND", "COMMIT"):
        receipt = scene.receipt()

        def provoke(command: str = command, receipt: str = receipt) -> StompClient:
            client = scene.client()
            client.frame(command, [("receipt", receipt)])
            return client

        found = reaction(scene, provoke, receipt)
        bench.judge(
            "STOMP-RECEIPT-003",
            not (found.is_refusal and found.receipts),
            expected=f"no RECEIPT for a {command} that is refused",
            observed=found,
        )
        judge_refusal(scene, found, receipt)


@clauses("STOMP-RECEIPT-008")
def test_frames_that_ask_for_none_get_none(bench: Bench) -> None:
    """Of many frames only the last asks for a receipt, and only its own comes."""
    scene = Scene(bench)
    client, place = scene.client(), scene.topic()
    # Of another topic than the messages: how an UNSUBSCRIBE that they cross is taken isn't the matter here.
    subscription = scene.subscribe(client, scene.topic())
    for number in range(5):
        scene.send(client, place, b"%d" % number)
    client.unsubscribe(subscription.id, subscription.place.headers)
    scene.fence(client)
    receipts = [frame.get("receipt-id") for frame in client.take("RECEIPT")]
    bench.judge(
        "STOMP-RECEIPT-008", not receipts, expected="no RECEIPT but that of the fence", observed=receipts
    )


@clauses("STOMP-RECEIPT-004")
def test_a_receipt_vouches_for_all_earlier_frames(bench: Bench) -> None:
    """After many SENDs and one RECEIPT the connection is cut: all of the messages turn up."""
    scene = Scene(bench)
    place, reader = scene.topic(), scene.client()
    subscription = scene.subscribed(reader, place)
    client = scene.client()
    bodies = [b"%d" % number for number in range(BURST)]
    for body in bodies[:-1]:
        scene.send(client, place, body)
    receipt = scene.receipt()
    scene.send(client, place, bodies[-1], receipt=receipt)
    scene.receipted(client, receipt, "the last SEND")
    client.link.cut()
    judge_all_came(scene, "STOMP-RECEIPT-004", subscription, bodies)


@clauses("STOMP-RECEIPT-006")
def test_what_was_received_is_processed_after_an_orderly_end(bench: Bench) -> None:
    """Many SENDs, DISCONNECT and a Close frame: all of the messages turn up."""
    scene = Scene(bench)
    place, reader = scene.topic(), scene.client()
    subscription = scene.subscribed(reader, place)
    client = scene.client()
    bodies = [b"%d" % number for number in range(BURST)]
    for body in bodies:
        scene.send(client, place, body)
    client.disconnect()
    client.close()
    judge_all_came(scene, "STOMP-RECEIPT-006", subscription, bodies)


@clauses("STOMP-RECEIPT-005")
def test_the_order_of_receipts(bench: Bench) -> None:
    """Recorded: whether the RECEIPTs of a burst come in the order of the frames."""
    scene = Scene(bench)
    client, place = scene.client(), scene.topic()
    values = [scene.receipt() for _ in range(BURST)]
    for value in values:
        scene.send(client, place, b"m", receipt=value)
    came = [_any_receipt(scene, client).get("receipt-id") for _ in values]
    scene.observe("STOMP-RECEIPT-005", "in the order of the frames" if came == values else "in another order")


@clauses("STOMP-RECEIPT-007")
def test_two_frames_with_one_value(bench: Bench) -> None:
    """Recorded: how many RECEIPTs come for two frames that share a value."""
    scene = Scene(bench)
    client, place = scene.client(), scene.topic()
    value = scene.receipt()
    for _ in range(2):
        scene.send(client, place, b"m", receipt=value)
    try:
        scene.fence(client)
    except PeerFailure as failure:
        scene.observe("STOMP-RECEIPT-007", f"refused: {failure.observed}")
        return
    count = sum(frame.get("receipt-id") == value for frame in client.take("RECEIPT"))
    scene.observe("STOMP-RECEIPT-007", f"{count} RECEIPTs by the time that a later frame has its own")


def _receipted_sends(scene: Scene, sender: StompClient, place: Place, count: int) -> None:
    for number in range(count):
        receipt = scene.receipt()
        scene.send(sender, place, b"%d" % number, receipt=receipt)
        _judge_receipt(scene, sender, receipt, "SEND")


def _judge_receipt(scene: Scene, client: StompClient, receipt: str, command: str) -> None:
    frame = scene.receipted(client, receipt, command)
    scene.judge(
        "STOMP-RECEIPT-002",
        frame.get("receipt-id") == receipt,
        expected=f"receipt-id:{receipt}",
        observed=frame.octets,
    )


def _judge_once(scene: Scene, client: StompClient) -> None:
    """No RECEIPT that was claimed comes a second time."""
    scene.fence(client)
    extra = Counter(frame.get("receipt-id") for frame in client.take("RECEIPT"))
    observed = ", ".join(f"{count} more with receipt-id {value!r}" for value, count in extra.items())
    scene.judge("STOMP-RECEIPT-001", not extra, expected="one RECEIPT for each frame", observed=observed)


def _any_receipt(scene: Scene, client: StompClient) -> Frame:
    return scene.receipted(client, None, "a SEND")
