"""UNSUBSCRIBE with other frames right behind it, and of the subscriptions of the queue: STOMP-UNSUB-001."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.channel import new_destination, unsubscribe
from conformance.suite.stomp.destinations import Destination
from conformance.suite.stomp.pace import ONE_BY_ONE, ONE_MESSAGE, ONE_WRITE, send_at_pace
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.encoding import encode
from conformance.wire.failures import PeerFailure
from conformance.wire.operations import StompOperations

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.stomp.destinations import Subscription
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: Messages in a row that must come once and for the new subscription.
IN_A_ROW = 3
SINGLE = "the server doesn't carry out all frames of a WebSocket message (STOMP-WS-003)"
NO_QUEUE = "the server doesn't serve the queue over STOMP"


@clauses("STOMP-UNSUB-001")
@pytest.mark.parametrize("receipts", [True, False], ids=["receipts", "no-receipts"])
@pytest.mark.parametrize("pace", [ONE_MESSAGE, ONE_WRITE, ONE_BY_ONE])
@pytest.mark.parametrize("kind", ["topic", "queue"])
def test_unsubscribe_and_at_once_subscribe(bench: Bench, kind: str, pace: str, receipts: bool) -> None:
    """Send UNSUBSCRIBE and right behind it SUBSCRIBE of another id; expect each message once, for the new one."""
    fixture = StompFixture(bench)
    if pace == ONE_MESSAGE and not _takes_messages_of_several_frames(fixture):
        bench.skip("STOMP-UNSUB-001", SINGLE)
        return
    reader, sender, destination = fixture.client(), fixture.client(), new_destination(fixture, kind)
    old = fixture.active_subscription(reader, destination, id="old")
    is_receipted = receipts and fixture.has_receipts
    asked = [("receipt", fixture.new_receipt()), ("receipt", fixture.new_receipt())]
    octets = [
        encode(command, [*headers, *([receipt] if is_receipted else [])], b"", reader.version)
        for command, headers, receipt in zip(
            ("UNSUBSCRIBE", "SUBSCRIBE"),
            (
                [("id", old.id), *destination.headers.items()],
                [("id", "new"), *destination.all_headers],
            ),
            asked,
            strict=True,
        )
    ]
    send_at_pace(reader, octets, pace)
    if is_receipted:
        for _, receipt in asked:
            fixture.expect_receipt(reader, receipt, "UNSUBSCRIBE and SUBSCRIBE")
    else:
        fixture.fence(reader)
    _judge_new_only(fixture, old, sender, is_receipted=is_receipted)


@clauses("STOMP-UNSUB-001")
@pytest.mark.parametrize("pace", [ONE_WRITE, ONE_MESSAGE])
def test_an_id_is_used_again_at_once_for_another_destination(bench: Bench, pace: str) -> None:
    """Send UNSUBSCRIBE and right behind it SUBSCRIBE of the same id to another topic; expect no more messages of the
    former one.
    """
    fixture = StompFixture(bench)
    why = ""
    if not fixture.has_receipts:
        why = "the server grants no receipts"
    elif pace == ONE_MESSAGE and not _takes_messages_of_several_frames(fixture):
        why = SINGLE
    if why:
        bench.skip("STOMP-UNSUB-001", why)
        return
    reader, sender, former, latter = fixture.client(), fixture.client(), fixture.topic(), fixture.topic()
    old = fixture.active_subscription(reader, former, id="again")
    receipts = [fixture.new_receipt(), fixture.new_receipt()]
    frames = [
        ("UNSUBSCRIBE", [("id", old.id), *former.headers.items(), ("receipt", receipts[0])]),
        ("SUBSCRIBE", [("id", old.id), *latter.all_headers, ("receipt", receipts[1])]),
    ]
    octets = [encode(command, headers, b"", reader.version) for command, headers in frames]
    send_at_pace(reader, octets, pace)
    fixture.expect_receipt(reader, receipts[0], "UNSUBSCRIBE")
    try:
        reader.expect("RECEIPT", receipt_id=receipts[1])
    except PeerFailure:
        bench.skip("STOMP-UNSUB-001", "an id serves once in a session (STOMP-UNSUB-004)")
        return
    body = bench.fresh("m").encode()
    fixture.send(sender, former, body)
    fixture.fence(sender)
    fixture.fence(reader)
    came = reader.take("MESSAGE", lambda frame: frame.body == body)
    bench.judge(
        "STOMP-UNSUB-001",
        not came,
        expected=f"no message of {former.name}: the id {old.id!r} names another subscription now",
        observed=[frame.octets for frame in came] or "no message",
    )


def _takes_messages_of_several_frames(fixture: StompFixture) -> bool:
    """True over TCP, and if both of two frames in one WebSocket message are carried out (STOMP-WS-003, a SHOULD)."""
    if fixture.bench.target.is_tcp:
        return True
    destination, reader, sender = fixture.topic(), fixture.client(), fixture.client()
    subscription = fixture.active_subscription(reader, destination)
    frame = encode(
        "SEND", [("destination", destination.name), *destination.headers.items()], b"", sender.version
    )
    sender.send_octets(frame + frame)
    return len(fixture.messages_before_marker(subscription, sender)) == 2


def _judge_new_only(
    fixture: StompFixture, old: Subscription, sender: StompClient, *, is_receipted: bool
) -> None:
    """Judge that messages come once, for the subscription `new`; without receipts, from some moment on."""
    bench, reader = fixture.bench, old.client
    deadline = time.monotonic() + bench.patience
    in_a_row: list[str | None] = []
    seen: list[Frame] = []
    while len(in_a_row) < IN_A_ROW:
        body = bench.fresh("m").encode()
        fixture.send(sender, old.destination, body)
        fixture.fence(sender)
        fixture.fence(reader)
        seen = reader.take("MESSAGE", lambda frame, body=body: frame.body == body)  # type: ignore[misc]
        # A session of 1.0 may leave out the subscription: then only the number counts.
        right = [frame for frame in seen if frame.get("subscription") in (None, "new")]
        if len(seen) == len(right) == 1:
            in_a_row.append("new")
            continue
        in_a_row = []
        is_late = not seen and time.monotonic() < deadline
        if not is_late and (is_receipted or time.monotonic() > deadline):
            break
    bench.judge(
        "STOMP-UNSUB-001",
        len(in_a_row) == IN_A_ROW,
        expected="each message once, and for the subscription that was made last",
        observed=[frame.octets for frame in seen] or "no message",
    )


@clauses("STOMP-UNSUB-001")
@pytest.mark.parametrize("spelling", ["acknowledgment", "acknowledgement"])
def test_acknowledgements_end_with_their_subscription(bench: Bench, spelling: str) -> None:
    """Unsubscribe from the acknowledgements of a topic, and publish; expect them at another session only."""
    fixture = StompFixture(bench)
    if "queue-stomp" not in bench.target.classes:
        bench.skip("STOMP-UNSUB-001", NO_QUEUE)
        return
    operations = StompOperations(bench.stomp())
    topic = bench.fresh("topic")
    reader, other = fixture.client(), fixture.client()
    destination = Destination(f"/topic/{spelling}/{topic}", is_queue=False)
    removed = fixture.active_subscription(reader, destination)
    fixture.active_subscription(other, destination)
    try:
        operations.call("/topic/add-topic", {"topicName": topic})
        for label in ("before", "after", "again"):
            if label == "after":
                reader.expect("MESSAGE")
                unsubscribe(fixture, reader, [("id", removed.id)])
            operations.call(f"/publish/{topic}", {"messageID": label, "message": "m"})
            other.expect("MESSAGE")
    except PeerFailure as failure:
        bench.skip("STOMP-UNSUB-001", f"no acknowledgement came: {failure.observed}")
        return
    fixture.fence(reader)
    came = reader.take("MESSAGE")
    bench.judge("STOMP-UNSUB-001", not came, expected="no acknowledgement any more", observed=came or "none")


@clauses("STOMP-UNSUB-001")
def test_replies_end_with_their_subscription(bench: Bench) -> None:
    """Unsubscribe from the replies of operations, and send further ones; expect no reply."""
    fixture = StompFixture(bench)
    if "queue-stomp" not in bench.target.classes:
        bench.skip("STOMP-UNSUB-001", NO_QUEUE)
        return
    reader = fixture.client()
    operations = StompOperations(reader)
    try:
        operations.call("/topic/add-topic", {"topicName": bench.fresh("topic")})
    except PeerFailure as failure:
        bench.skip("STOMP-UNSUB-001", f"no reply came: {failure.observed}")
        return
    unsubscribe(fixture, reader, [("id", "replies")])
    for _ in range(2):
        operations.start("/topic/add-topic", {"topicName": bench.fresh("topic")})
    fixture.fence(reader)
    came = reader.take("MESSAGE")
    bench.judge("STOMP-UNSUB-001", not came, expected="no reply any more", observed=came or "none")
