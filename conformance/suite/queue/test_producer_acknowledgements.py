"""Acknowledgements and receipts for producers: PUB-ACK-*, PUB-RECEIPT-*."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conformance.bench.marks import clauses
from conformance.suite.generators import NUMBER_LIKE
from conformance.suite.queue.expectations import expect_publish_refusal, expect_status
from conformance.suite.queue.fixture import KEY, QueueFixture, publish_path
from conformance.suite.queue.listeners import SPELLINGS, ListenerSession, spellings_of
from conformance.suite.queue.stored_records import expect_stored
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.queue.listeners import Listener

#: Records of a test of the order of storing and acknowledging.
RACES = 15
#: Repetitions of a stored record and one to an unknown topic: records of other tests may come between the two.
ROUNDS = 10
LABELS: list[str | int] = [
    "a-1",
    "",
    "1",
    "näïve\n:\\",
    "e\u0301",
    *NUMBER_LIKE,
    1,
    0,
    -5,
    1_700_000_000,
    2**53 + 1,
    2**63 - 1,
]
_BOTH_BINDINGS = "no STOMP session can listen: the server has the queue over HTTP only"


def _cannot_listen(bench: Bench, *ids: str) -> bool:
    """True if no session can listen to acknowledgements; the clauses are skipped then."""
    if bench.binding == "stomp-publish" or "queue-stomp" in bench.target.classes:
        return False
    for clause in ids:
        bench.skip(clause, _BOTH_BINDINGS)
    return True


def _listeners(bench: Bench, topic: str) -> list[Listener]:
    """Listeners of one session to the acknowledgements of a topic, one under each spelling."""
    session = ListenerSession(bench)
    return [session.listen(topic, spelling) for spelling in spellings_of(bench)]


def _promise(bench: Bench, spelling: str) -> str:
    """Clause that promises an acknowledgement for records published in the binding of the test."""
    if bench.binding == "stomp-publish":
        return "PUB-ACK-9"
    if bench.binding == "queue-http":
        return "PUB-ACK-8"
    return "PUB-ACK-1" if spelling == SPELLINGS[0] else "PUB-ACK-2"


def _judge_acknowledged(listener: Listener, clause: str, label: str | int) -> None:
    bench = listener.session.bench
    body = listener.next_acknowledgement(clause, f"ACK for {label!r}")
    bench.judge(
        clause, body.get("acknowledgementMessage") == "ACK", expected=f"ACK for {label!r}", observed=body
    )
    bench.judge_schema(clause, "producer-acknowledgement", body)
    echoed = body.get("messageId")
    bench.judge(
        "PUB-ACK-6",
        echoed == label and type(echoed) is type(label),
        expected=f"messageId {label!r}, with the same type",
        observed=body,
    )


@clauses("PUB-STOMP-1")
@pytest.mark.parametrize("record", ["stored", "refused"])
def test_a_record_is_answered_by_an_acknowledgement(bench: Bench, record: str) -> None:
    """Send a record in a session without CONNECT, to a topic that exists or to none; expect ACK or FAILED."""
    queue = QueueFixture(bench)
    topic = queue.new_topic() if record == "stored" else bench.fresh("nowhere")
    reply = queue.call(publish_path(topic), {"messageID": "a-1", "message": "m"}, promise="PUB-STOMP-1")
    bench.judge(
        "PUB-STOMP-1",
        reply.status in (200, 400),
        expected="an acknowledgement, ACK or FAILED",
        observed=reply,
    )


@clauses("PUB-ACK-1", "PUB-ACK-2", "PUB-ACK-8", "PUB-ACK-9", "PUB-ACK-4")
def test_every_subscription_gets_one_ack_for_a_stored_record(bench: Bench) -> None:
    """Subscribe under both spellings, on two sessions, twice on each; publish, and expect one ACK per subscription."""
    if _cannot_listen(bench, "PUB-ACK-8", "PUB-ACK-4"):
        return
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    sessions = [ListenerSession(bench), ListenerSession(bench)]
    listeners = [
        (session.listen(topic, spelling), _promise(bench, spelling))
        for session in sessions
        for spelling in 2 * spellings_of(bench)
    ]
    for label in ("first", 2):
        queue.publish(topic, "m", label=label)
        for listener, clause in listeners:
            _judge_acknowledged(listener, clause, label)
    for listener, _ in listeners:
        more = listener.remaining()
        bench.judge("PUB-ACK-4", not more, expected="nothing after the two ACKs", observed=more)


@clauses("PUB-ACK-1", "PUB-ACK-2", "PUB-ACK-8", "PUB-ACK-9")
def test_a_listener_that_leaves_takes_no_other_along(bench: Bench) -> None:
    """Let two of several subscriptions end, one by UNSUBSCRIBE and one with its session, and publish; expect an ACK at
    each of the others, under both spellings.
    """
    if _cannot_listen(bench, "PUB-ACK-8"):
        return
    queue = QueueFixture(bench)
    topic, spelling = queue.new_topic(), spellings_of(bench)[0]
    sessions = [ListenerSession(bench) for _ in range(3)]
    stays, leaves, also = sessions
    listeners = [session.listen(topic, spelling) for session in (stays, leaves, also, stays, also)]
    left = [(listeners[number], spelling) for number in (0, 3, 4)]
    left += [(also.listen(topic, other), other) for other in spellings_of(bench)[1:]]
    also.client.unsubscribe(listeners[2].identifier)
    also.fence()
    leaves.client.link.cut()
    for label in ("first", "second"):
        queue.publish(topic, "m", label=label)
        for listener, spelt in left:
            _judge_acknowledged(listener, _promise(bench, spelt), label)


@clauses("PUB-ACK-6")
def test_the_label_comes_back_as_it_was_sent(bench: Bench) -> None:
    """Publish with strings and integers as labels; expect each in its ACK with the same value and type."""
    if _cannot_listen(bench, "PUB-ACK-6"):
        return
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    listener = ListenerSession(bench).listen(topic)
    for label in LABELS:
        queue.publish(topic, "m", label=label)
        _judge_acknowledged(listener, _promise(bench, spellings_of(bench)[0]), label)


@clauses("PUB-ACK-4")
def test_labels_that_repeat_are_acknowledged_as_often_as_they_were_stored(bench: Bench) -> None:
    """Publish three records of one label, and a refused one; expect three ACKs and one FAILED."""
    if _cannot_listen(bench, "PUB-ACK-4"):
        return
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    listener = ListenerSession(bench).listen(topic)
    for _ in range(3):
        queue.publish(topic, "m", label="same")
    queue.call(publish_path(topic), {"messageID": "same", "message": 7})
    came = [
        listener.next_acknowledgement("PUB-ACK-4", "three ACKs and one FAILED") for _ in range(4)
    ] + listener.remaining()
    seen = sorted(str(body.get("acknowledgementMessage")) for body in came)
    bench.judge(
        "PUB-ACK-4", seen == ["ACK", "ACK", "ACK", "FAILED"], expected="three ACKs, one FAILED", observed=came
    )


REFUSED: dict[str, dict[str, Any]] = {
    "no message": {"messageID": "label"},
    "message of a wrong type": {"messageID": "label", "message": 7},
    "no label": {"message": "m"},
    "label of a wrong type": {"messageID": ["label"], "message": "m"},
    "empty": {},
}


def _judge_failed(listener: Listener, label: object, *, is_well_formed: bool = False) -> None:
    """Judge PUB-ACK-3 by FAILED, with the label of the record; it may be missing where the body is not that of one."""
    bench = listener.session.bench
    body = listener.next_acknowledgement("PUB-ACK-3", "FAILED with a reason")
    reason = body.get("reason")
    bench.judge(
        "PUB-ACK-5",
        body.get("acknowledgementMessage") != "ACK",
        expected="no ACK for a record that is refused, and so never stored",
        observed=body,
    )
    bench.judge(
        "PUB-ACK-3",
        body.get("acknowledgementMessage") == "FAILED" and isinstance(reason, str) and reason != "",
        expected="FAILED with a reason",
        observed=body,
    )
    bench.judge(
        "PUB-ACK-3",
        body.get("messageId") in ((label,) if is_well_formed else (label, None)),
        expected=f"messageId {label!r}{'' if is_well_formed else ', or none'}",
        observed=body,
    )


@clauses("PUB-ACK-3", "PUB-ACK-4")
def test_every_subscription_gets_one_failed_for_a_refused_record(bench: Bench) -> None:
    """Publish bodies that are refused; expect one FAILED with a reason under either spelling, and no ACK."""
    if _cannot_listen(bench, "PUB-ACK-3", "PUB-ACK-4"):
        return
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    listeners = _listeners(bench, topic)
    for body in REFUSED.values():
        reply = queue.call(publish_path(topic), body)
        expect_publish_refusal(bench, reply, "PUB-BODY-1", f"the body is {body}")
        label = body.get("messageID")
        for listener in listeners:
            _judge_failed(listener, label if isinstance(label, str) else None)
    for listener in listeners:
        more = listener.remaining()
        bench.judge("PUB-ACK-4", not more, expected="nothing besides", observed=more)


@clauses("PUB-ACK-3")
def test_a_record_to_an_unknown_topic_is_reported_as_failed(bench: Bench) -> None:
    """Subscribe to the acknowledgements of a topic that was never added, and publish to it; expect FAILED under either
    spelling.
    """
    if _cannot_listen(bench, "PUB-ACK-3"):
        return
    queue = QueueFixture(bench)
    topic = bench.fresh("nowhere")
    listeners = _listeners(bench, topic)
    reply = queue.call(publish_path(topic), {"messageID": "label", "message": "m"})
    expect_publish_refusal(bench, reply, "PUB-TOPIC-1", "no such topic")
    for listener in listeners:
        _judge_failed(listener, "label", is_well_formed=True)


@clauses("PUB-ACK-3")
def test_a_record_to_a_full_partition_is_reported_as_failed(bench: Bench) -> None:
    """Publish to a partition that has no room; expect FAILED under either spelling, as for any refusal."""
    if _cannot_listen(bench, "PUB-ACK-3"):
        return
    if not bench.declares("topic-limits"):
        bench.skip("PUB-ACK-3", "no topic can be filled (extension topic-limits)")
        return
    queue = QueueFixture(bench)
    topic = queue.new_topic(partition_bytes=1000)
    listeners = _listeners(bench, topic)
    reply = queue.call(publish_path(topic), {"messageID": 7, "message": "x" * 1001})
    expect_publish_refusal(bench, reply, "PUB-FULL-1", "the partition has no room")
    for listener in listeners:
        _judge_failed(listener, 7, is_well_formed=True)


@clauses("PUB-ACK-5")
def test_a_record_is_stored_before_its_ack(bench: Bench) -> None:
    """Publish, and poll as soon as the ACK arrives; expect the record, many times over."""
    if _cannot_listen(bench, "PUB-ACK-5"):
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    listener, producer = ListenerSession(bench).listen(topic), bench.queue()
    for number in range(RACES):
        body = {"messageID": number, "message": f"m{number}", "key": KEY}
        # On a connection of its own, so that the polls do not queue behind the publish.
        pending = producer.start(publish_path(topic), body)
        told = listener.next_acknowledgement("PUB-ACK-5", f"ACK for {number}")
        read = ["warm-up", *(f"m{earlier}" for earlier in range(number))]
        record = expect_stored(queue, consumer, "PUB-ACK-5", f"m{number}", read)
        bench.judge("PUB-ACK-5", told.get("acknowledgementMessage") == "ACK", expected="ACK", observed=told)
        queue.acknowledge(consumer, record.message_id)
        pending.reply()


@clauses("PUB-ACK-7")
def test_acknowledgements_go_only_to_their_own_topic(bench: Bench) -> None:
    """Publish to one topic while others are listened to; expect neither ACK nor FAILED at the others, also if one name
    is the beginning of another, or differs in case, or has a dot where the other has a hyphen.

    The FAILED of a topic that does not exist goes to no topic that does.
    """
    if _cannot_listen(bench, "PUB-ACK-7"):
        return
    queue = QueueFixture(bench)
    topic, other = queue.new_topic(), queue.new_topic()
    similar = [f"{topic}x", f"{topic}-", topic.replace("-", "."), topic.swapcase(), topic[1:]]
    # The name of a listener's topic may also be the beginning of the one that is published to.
    longer = [f"{topic}xy", f"{topic}x.y"]
    for name in (*similar, *longer):
        reply = queue.client.add_topic(name)
        expect_status(bench, reply, 200, "TOPIC-ADD-1", "no topic has this name")
    session = ListenerSession(bench)
    ours = session.listen(topic)
    others = [
        session.listen(name, spelling) for name in (other, *similar) for spelling in spellings_of(bench)
    ]
    queue.publish(topic, "m")
    queue.call(publish_path(topic), {"messageID": "refused"})
    told = sorted(
        str(ours.next_acknowledgement("PUB-ACK-7", "ACK and FAILED").get("acknowledgementMessage"))
        for _ in range(2)
    )
    bench.judge(
        "PUB-ACK-7", told == ["ACK", "FAILED"], expected="ACK and FAILED for this topic", observed=told
    )
    for name in longer:
        queue.publish(name, "m")
    for _ in range(ROUNDS):
        queue.publish(topic, "m")
        queue.call(publish_path(bench.fresh("nowhere")), {"messageID": "lost", "message": "m"})
    strange = [
        body
        for body in ours.remaining()
        if not isinstance(body, dict) or body.get("acknowledgementMessage") != "ACK"
    ]
    bench.judge("PUB-ACK-7", not strange, expected=f"nothing but ACK at {ours.destination}", observed=strange)
    for listener in others:
        more = listener.remaining()
        bench.judge("PUB-ACK-7", not more, expected=f"nothing at {listener.destination}", observed=more)


@clauses("PUB-RECEIPT-1")
@pytest.mark.parametrize("path", ["/producer/publish/{}", "/publish/{}"])
def test_a_receipt_is_granted_when_the_record_is_stored(bench: Bench, path: str) -> None:
    """Send a record with a receipt header, and poll as soon as the RECEIPT arrives; expect the record."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    producer = bench.stomp()
    for number in range(RACES):
        body = json.dumps({"messageID": number, "message": f"m{number}", "key": KEY})
        producer.send(path.format(topic), body, receipt=f"r{number}", content_type="application/json")
        producer.expect("RECEIPT", receipt_id=f"r{number}")
        read = ["warm-up", *(f"m{earlier}" for earlier in range(number))]
        record = expect_stored(queue, consumer, "PUB-RECEIPT-1", f"m{number}", read)
        queue.acknowledge(consumer, record.message_id)


@clauses("PUB-RECEIPT-2")
@pytest.mark.parametrize("why", ["bad body", "no such topic"])
def test_a_refused_record_gets_no_receipt_but_an_error(bench: Bench, why: str) -> None:
    """Send a record that is refused with a receipt header; expect ERROR and no RECEIPT."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    producer = bench.stomp()
    wanted = topic if why == "bad body" else bench.fresh("nowhere")
    body = {"messageID": "1"} if why == "bad body" else {"messageID": "1", "message": "m"}
    producer.send(publish_path(wanted), json.dumps(body), receipt="refused", content_type="application/json")
    try:
        producer.expect("ERROR")
    except PeerFailure as failure:
        bench.judge("PUB-RECEIPT-2", False, expected=f"ERROR: {why}", observed=failure.observed)
    granted = producer.take("RECEIPT")
    bench.judge("PUB-RECEIPT-2", not granted, expected=f"ERROR, no RECEIPT: {why}", observed=granted)
    queue.expect_no_record(consumer, "PUB-RECEIPT-2", "no record: nothing was stored")
