"""Operations over STOMP: QSTOMP-SEND-*, -REPLY-*, -RECEIPT-*, -QUIET-*, -DEST-*."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from conformance.bench.marks import clauses
from conformance.suite.generators import NUMBER_LIKE
from conformance.suite.queue.expectations import expect_status
from conformance.suite.queue.fixture import ACKNOWLEDGE, ADD_GROUP, POLL, REGISTER, SUBSCRIBE, QueueFixture
from conformance.suite.queue.operation_table import PreparedQueue
from conformance.suite.queue.queue_client import HEARTBEAT
from conformance.suite.queue.waiting_poll import LONGEST_WAIT, ROUND_TRIPS
from conformance.wire.failures import PeerFailure
from conformance.wire.json_values import decoded
from conformance.wire.operations import REPLIES, StompOperations

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.frames import Frame
    from conformance.wire.stomp import StompClient

#: Seconds after a fence during which an unexpected frame may still arrive.
_LINGER = 0.2


def _send(session: StompClient, path: str, body: dict[str, Any], **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    session.send(path, json.dumps(body), {"content-type": "application/json", **named})


def _fence(bench: Bench, session: StompClient) -> None:
    """Return when the server has processed what the session sent: when the RECEIPT of one more operation arrives."""
    receipt = bench.fresh("fence")
    _send(session, ADD_GROUP, {"consumer_group_name": bench.fresh("group")}, receipt=receipt)
    session.expect("RECEIPT", receipt_id=receipt)


@clauses("QSTOMP-SEND-1", "QSTOMP-REPLY-1")
def test_each_operation_is_a_send(bench: Bench) -> None:
    """Send each operation as a SEND to its path; with a receipt or without; expect a reply with its success status and
    the same correlation-id.
    """
    session = bench.stomp()
    session.subscribe(REPLIES)
    odd = itertools.cycle(NUMBER_LIKE)
    for number, (operation, path, body) in enumerate(PreparedQueue(bench).sequence()):
        correlation = next(odd) if number % 2 else f"one: of\\ours {path}"
        if bench.version != "1.0" and not number % 2:  # which may trim
            correlation = f" {correlation} "
        receipt = {"receipt": f"r{number}"} if number % 3 == 1 else {}
        _send(session, path, body, correlation_id=correlation, **receipt)
        try:
            reply = session.expect("MESSAGE", destination=REPLIES)
        except PeerFailure as failure:
            bench.judge(
                "QSTOMP-REPLY-1", False, expected=f"a reply to {path} {receipt}", observed=failure.observed
            )
            raise
        success = {str(status) for status in operation.success}
        bench.judge(
            "QSTOMP-SEND-1",
            reply.get("status") in success,
            expected=f"status {' or '.join(sorted(success))} for SEND {operation.path}",
            observed=reply,
        )
        bench.judge(
            "QSTOMP-REPLY-1",
            reply.get("correlation-id") == correlation,
            expected="the correlation-id of the SEND",
            observed=reply,
        )


@clauses("QSTOMP-SEND-1")
def test_one_session_serves_several_consumers(bench: Bench) -> None:
    """Send polls of consumers in several groups over one session, without waiting in between; expect 200 for each."""
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    consumers = [queue.new_consumer(queue.new_group(), topic) for _ in range(5)]
    queue.publish(topic, "first")
    for consumer in consumers:
        queue.read_and_acknowledge(consumer, 1)
    queue.publish(topic, "m")
    session = StompOperations(bench.stomp())
    begun = [session.start(POLL, {"consumer_name": consumer}) for consumer in consumers]
    for pending in reversed(begun):
        reply = pending.reply()
        expect_status(bench, reply, 200, "QSTOMP-SEND-1", "a record is free for this consumer")


@clauses("QSTOMP-REPLY-1")
def test_each_operation_gets_one_reply(bench: Bench) -> None:
    """Send operations that succeed and that are refused; expect one MESSAGE for each, with status, correlation and
    body.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    queue.publish(topic, "m")
    session = bench.stomp()
    session.subscribe(REPLIES)
    for path, correlation, statuses, body in (
        (HEARTBEAT, "a", "2", {"consumer_name": consumer}),
        (HEARTBEAT, "b", "4", {"consumer_name": bench.fresh("nobody")}),
        (ACKNOWLEDGE, "c", "4", {"consumer_name": consumer, "message_id": 1}),
        (SUBSCRIBE, "d", "4", {"consumer_name": consumer}),
        (POLL, "e", "2", {"consumer_name": consumer}),
    ):
        _send(session, path, body, correlation_id=correlation)
        reply = session.expect("MESSAGE", correlation_id=correlation)
        status = reply.get("status") or ""
        bench.judge(
            "QSTOMP-REPLY-1",
            len(status) == 3 and status.isascii() and status.isdecimal() and status.startswith(statuses),
            expected=f"a status of three digits, {statuses}xx",
            observed=reply,
        )
        if reply.body:
            wanted = "application/json" if statuses == "2" else "application/problem+json"
            media_type = (reply.get("content-type") or "").partition(";")[0].strip()
            bench.judge(
                "QSTOMP-REPLY-1", media_type == wanted, expected=f"a body of type {wanted}", observed=reply
            )
        if path == POLL:
            record = queue.parse_record(decoded(reply.body), reply)
            bench.judge("QSTOMP-REPLY-1", record.message == "m", expected="the record", observed=reply)
    _fence(bench, session)
    more = [reply for reply in session.take("MESSAGE") if reply.get("correlation-id") in set("abcde")]
    bench.judge("QSTOMP-REPLY-1", not more, expected="one reply to each", observed=more)


@clauses("QSTOMP-REPLY-1")
def test_a_correlation_may_be_empty(bench: Bench) -> None:
    """Send an operation with an empty `correlation-id`, and one with `0`; expect each back."""
    session = bench.stomp()
    session.subscribe(REPLIES)
    for value in ("", "0") if bench.version != "1.0" else ("0",):
        _send(session, ADD_GROUP, {"consumer_group_name": bench.fresh("group")}, correlation_id=value)
        reply = session.expect("MESSAGE", destination=REPLIES)
        bench.judge(
            "QSTOMP-REPLY-1",
            reply.get("correlation-id") == value,
            expected=f"the correlation-id {value!r} of the SEND",
            observed=reply,
        )


@clauses("QSTOMP-REPLY-1")
def test_a_correlation_may_be_left_out(bench: Bench) -> None:
    """Send an operation without `correlation-id`; expect a reply without one."""
    session = bench.stomp()
    session.subscribe(REPLIES)
    _send(session, ADD_GROUP, {"consumer_group_name": bench.fresh("group")})
    reply = session.expect("MESSAGE", destination=REPLIES)
    bench.judge(
        "QSTOMP-REPLY-1",
        reply.get("status") == "200" and reply.get("correlation-id") is None,
        expected="status 200 without a correlation-id",
        observed=reply,
    )


@clauses("QSTOMP-REPLY-2")
def test_replies_go_to_the_session_that_asked(bench: Bench) -> None:
    """Send operations on two sessions with the same correlation-id; expect each session to get only its own replies."""
    asking, other = bench.stomp(), bench.stomp()
    for session in (asking, other):
        session.subscribe(REPLIES)
        _fence(bench, session)
        session.take("MESSAGE")
    for _ in range(3):
        _send(asking, HEARTBEAT, {"consumer_name": bench.fresh("nobody")}, correlation_id="theirs")
        asking.expect("MESSAGE", correlation_id="theirs")
    _send(other, ADD_GROUP, {"consumer_group_name": bench.fresh("group")}, correlation_id="theirs")
    mine = other.expect("MESSAGE", destination=REPLIES)
    _fence(bench, other)
    more = [frame for frame in other.take("MESSAGE") if frame.get("correlation-id") is not None]
    bench.judge(
        "QSTOMP-REPLY-2",
        mine.get("status") == "200" and not more,
        expected="the reply to its own operation and no other",
        observed=[mine, *more],
    )


@clauses("QSTOMP-RECEIPT-1")
@pytest.mark.parametrize("subscribed", [True, False], ids=["with replies", "without replies"])
def test_a_successful_operation_is_receipted(bench: Bench, subscribed: bool) -> None:
    """Send operations that succeed with a receipt header; expect RECEIPT. An empty poll is a success."""
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    empty = queue.new_consumer(group)
    queue.confirm_ownership(topic, consumer)
    queue.publish(topic, "m")
    session = bench.stomp()
    if subscribed:
        session.subscribe(REPLIES)
    steps = [(HEARTBEAT, consumer), (POLL, consumer)]
    if queue.poll(empty).status < 400:
        steps.append((POLL, empty))
    for number, (path, name) in enumerate(steps):
        _send(session, path, {"consumer_name": name}, receipt=f"r{number}")
        _expect(bench, session, "QSTOMP-RECEIPT-1", f"r{number}")


def _expect(bench: Bench, session: StompClient, clause: str, receipt: str | None) -> Frame:
    """Judge `clause` by the RECEIPT of that id, or by an ERROR if `receipt` is None; returns the frame."""
    try:
        frame = session.expect("ERROR") if receipt is None else session.expect("RECEIPT", receipt_id=receipt)
    except PeerFailure as failure:
        bench.judge(clause, False, expected=failure.expected, observed=failure.observed)
        raise
    bench.judge(clause, True, expected="RECEIPT or ERROR", observed=frame)
    return frame


@clauses("QSTOMP-RECEIPT-1")
def test_the_receipt_of_a_poll_that_waits_comes_with_its_answer(bench: Bench) -> None:
    """Send a long poll with a receipt header; expect RECEIPT when the poll is answered, and not before."""
    if not bench.declares("long-poll"):
        bench.skip("QSTOMP-RECEIPT-1", "no poll waits (extension long-poll)")
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    session = bench.stomp()
    wait = min(bench.limit("wait_seconds") or 10.0, 10.0)
    _send(session, POLL, {"consumer_name": consumer, "wait_seconds": wait}, receipt="waiting")
    _fence(bench, session)
    early = session.take("RECEIPT", lambda frame: frame.get("receipt-id") == "waiting")
    bench.judge("QSTOMP-RECEIPT-1", not early, expected="no RECEIPT while the poll waits", observed=early)
    queue.publish(topic, "m")
    _expect(bench, session, "QSTOMP-RECEIPT-1", "waiting")


@clauses("QSTOMP-RECEIPT-2", "QSTOMP-REPLY-1")
@pytest.mark.parametrize("subscribed", [True, False], ids=["with replies", "without replies"])
def test_a_refused_operation_that_asks_for_a_receipt_gets_an_error(bench: Bench, subscribed: bool) -> None:
    """Send an operation that is refused with a receipt header; expect its reply, if any, then ERROR, and no RECEIPT."""
    session = bench.stomp()
    if subscribed:
        session.subscribe(REPLIES)
    body = {"consumer_name": bench.fresh("nobody")}
    _send(session, HEARTBEAT, body, receipt="refused", correlation_id="c")
    _expect(bench, session, "QSTOMP-RECEIPT-2", None)
    granted = session.take("RECEIPT")
    bench.judge("QSTOMP-RECEIPT-2", not granted, expected="no RECEIPT", observed=granted)
    if not subscribed:
        bench.skip("QSTOMP-REPLY-1", "this session is not subscribed to replies")
        return
    replies = session.take("MESSAGE")
    statuses = [reply.get("status") or "" for reply in replies]
    bench.judge(
        "QSTOMP-REPLY-1",
        len(statuses) == 1 and statuses[0].startswith("4"),
        expected="the reply with status 4xx in front of the ERROR",
        observed=replies,
    )


@clauses("QSTOMP-QUIET-1")
@pytest.mark.parametrize("subscribed", [True, False], ids=["with replies", "without replies"])
def test_a_refused_operation_without_receipt_leaves_the_session_open(bench: Bench, subscribed: bool) -> None:
    """Send operations that are refused without a receipt header; expect no ERROR, and the session to stay open."""
    session = bench.stomp()
    if subscribed:
        session.subscribe(REPLIES)
    group = bench.fresh("nowhere")
    for path, body in (
        (HEARTBEAT, {"consumer_name": bench.fresh("nobody")}),
        (REGISTER, {"consumer_group_name": group, "consumer_name": bench.fresh("consumer")}),
        (POLL, {}),
    ):
        _send(session, path, body)
    session.send(POLL, "no JSON")
    receipt = bench.fresh("fence")
    _send(session, ADD_GROUP, {"consumer_group_name": bench.fresh("group")}, receipt=receipt)
    _expect(bench, session, "QSTOMP-QUIET-1", receipt)
    if not subscribed:
        told = session.take("MESSAGE")
        bench.judge(
            "QSTOMP-QUIET-1",
            not told,
            expected="no MESSAGE: the session is not subscribed to replies",
            observed=told,
        )


@clauses("QSTOMP-DEST-1")
@pytest.mark.parametrize(
    ("command", "destination"),
    [
        ("SEND", "/nowhere"),
        ("SEND", "/consumer/polls"),
        ("SEND", REPLIES),
        ("SUBSCRIBE", "/nowhere"),
        ("SUBSCRIBE", "/consumer/polls"),
    ],
)
def test_a_destination_that_is_not_there_gets_an_error(bench: Bench, command: str, destination: str) -> None:
    """Send SEND or SUBSCRIBE to a destination that does not exist, or SEND to the replies; expect ERROR."""
    session = bench.stomp()
    if command == "SEND":
        session.send(destination, "{}")
    else:
        session.subscribe(destination)
    try:
        _fence(bench, session)
        session.listen(_LINGER)
    except PeerFailure:
        pass
    bench.judge(
        "QSTOMP-DEST-1",
        bool(session.errors),
        expected=f"ERROR for {command} {destination}",
        observed=session.closed or "no ERROR, and the session stayed open",
    )


@clauses("QSTOMP-QUIET-1")
def test_a_refused_wait_leaves_its_session_alone(bench: Bench) -> None:
    """Let a poll of a session wait while its consumer's group is removed on another connection; expect the reply to an
    operation that the session sends afterwards.
    """
    if not bench.declares("long-poll"):
        bench.skip("QSTOMP-QUIET-1", "no poll waits (extension long-poll)")
        return
    queue = QueueFixture(bench)
    _topic, group, (consumer,) = queue.topic_with_consumers()
    session = StompOperations(bench.stomp())
    wait = min(bench.limit("wait_seconds") or LONGEST_WAIT, LONGEST_WAIT)
    waiting = session.start(POLL, {"consumer_name": consumer, "wait_seconds": wait})
    for _ in range(ROUND_TRIPS):
        queue.heartbeat(consumer)
    queue.client.remove_group(group)
    del queue.members[group]
    waiting.reply(wait + bench.patience)
    try:
        reply = session.call(ADD_GROUP, {"consumer_group_name": group})
    except PeerFailure as failure:
        bench.judge(
            "QSTOMP-QUIET-1",
            False,
            expected="a session that goes on: the SEND of the refused poll asked for no RECEIPT",
            observed=failure.observed,
        )
        raise
    expect_status(bench, reply, 200, "GROUP-ADD-1", "the group was removed")
