"""Refusals of every operation: their causes, their form, and that they change nothing: REFUSE-*."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_refusal, expect_status
from conformance.suite.queue.fixture import (
    ACKNOWLEDGE,
    ADD_TOPIC,
    REGISTER,
    REMOVE_GROUP,
    SUBSCRIBE,
    UNSUBSCRIBE,
    QueueFixture,
    publish_path,
    unused_id,
)
from conformance.suite.queue.operation_table import TABLE, Operation, PreparedQueue
from conformance.suite.queue.queue_client import HEARTBEAT
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.operations import Reply

URN = "urn:stompliance:problem:"
PROBLEM_JSON = "application/problem+json"
_DEEP = 10_000

#: Bodies that are no JSON object, with the cause.
NOT_OBJECTS: dict[str, tuple[bytes, str]] = {
    "no body": (b"", "body-not-json"),
    "no JSON": (b"consumer_name=alice", "body-not-json"),
    "cut off": (b'{"consumer_name": "ali', "body-not-json"),
    "two objects": (b"{}{}", "body-not-json"),
    "deep": (b"[" * _DEEP + b"]" * _DEEP, "body-not-object"),
    "a list": (b'["consumer_name"]', "body-not-object"),
    "a string": (b'"consumer_name"', "body-not-object"),
    "a number": (b"7", "body-not-object"),
    "null": (b"null", "body-not-object"),
}
NOT_UTF8 = b'{"consumer_name": "\xff\xfe"}'

by_operation = pytest.mark.parametrize("operation", TABLE, ids=lambda row: row.path.strip("/"))


def _lacks(bench: Bench, operation: Operation, *ids: str) -> bool:
    """True if the server does not have the operation; the clauses are skipped then."""
    extension = operation.extension
    if extension is None or bench.declares(extension):
        return False
    for clause in ids:
        bench.skip(clause, f"the server has no {operation.path} (extension {extension})")
    return True


def _judge_problem(bench: Bench, reply: Reply, *causes: str, members: tuple[str, ...] = ()) -> None:
    """Judge the recommended body of a refusal: a problem of one of `causes` about one of `members`."""
    if reply.is_acknowledgement:
        return
    bench.judge(
        "REFUSE-2",
        reply.content_type == PROBLEM_JSON,
        expected=f"a body of type {PROBLEM_JSON}",
        observed=reply,
    )
    if not bench.judge_schema("REFUSE-2", "problem", reply.body) or not isinstance(reply.body, dict):
        return
    bench.judge(
        "REFUSE-2",
        reply.body.get("status") == reply.status,
        expected=f"the status of the reply, {reply.status}, in the body",
        observed=reply,
    )
    if causes:
        bench.judge(
            "REFUSE-3",
            reply.body.get("type") in {URN + cause for cause in causes},
            expected=f"the type {' or '.join(URN + cause for cause in causes)}",
            observed=reply,
        )
    if members:
        bench.judge(
            "REFUSE-7",
            reply.body.get("member") in members,
            expected=f"the member {' or '.join(members)} named as `member`",
            observed=reply,
        )


def _judge_bad_request(
    bench: Bench,
    reply: Reply,
    why: str,
    *causes: str,
    members: tuple[str, ...] = (),
    clause: str = "REFUSE-5",
) -> None:
    expect_refusal(bench, reply, clause, why)
    if not reply.is_acknowledgement and expect_status(bench, reply, 400, "REFUSE-6", why):
        _judge_problem(bench, reply, *causes, members=members)


@clauses("REFUSE-5", "REFUSE-6", "REFUSE-1", "REFUSE-2", "REFUSE-3", "REFUSE-7")
@by_operation
def test_a_malformed_body_is_refused(bench: Bench, operation: Operation) -> None:
    """Send a body that is no JSON object, lacks a required member or has a member of a wrong type; expect a refusal
    (4xx) of each, and nothing changed.
    """
    ids = ("REFUSE-5", "REFUSE-6", "REFUSE-1", "REFUSE-2", "REFUSE-3", "REFUSE-7")
    if _lacks(bench, operation, *ids):
        return
    prepared = PreparedQueue(bench)
    _send_not_objects(prepared, operation)
    _send_without_members(prepared, operation)
    _send_wrong_types(prepared, operation)
    prepared.expect_unchanged("REFUSE-1")


def _send_not_objects(prepared: PreparedQueue, operation: Operation) -> None:
    """Send no body, no JSON, a list, a string, null, and an array nested ten thousand deep."""
    bench = prepared.bench
    room = min(bench.limit("body_bytes") or 3 * _DEEP, bench.limit("frame_bytes") or 3 * _DEEP)
    whole = json.dumps(prepared.body(operation)).encode()
    bodies = {**NOT_OBJECTS, "a list of one": (b"[" + whole + b"]", "body-not-object")}
    # A reader of one JSON value would stop behind the object.
    bodies |= {
        f"an object followed by {rest}": (whole + rest.encode(), "body-not-json")
        for rest in (" x", "{}", "]")
    }
    for name, (body, cause) in bodies.items():
        if len(body) <= room / 2:
            reply = _answer(prepared, operation, body, f"the body is {name}")
            # Parsers differ in how deep JSON may be nested: a server may call a body that is too deep no JSON.
            causes = {cause, "body-not-json"} if name == "deep" else {cause}
            _judge_bad_request(bench, reply, f"the body is {name}", *causes)
    for what, body in _nearly_json(whole).items():
        reply = _answer(prepared, operation, body, f"the body has {what}")
        _judge_bad_request(bench, reply, f"the body has {what}", "body-not-json")
    # Over STOMP it needs a binary message, which servers may refuse.
    if bench.binding == "queue-http" and (not operation.publishes or bench.declares("http-publish")):
        text = whole.decode()
        encoded = (text.encode("utf-16"), text.encode("utf-16-le"), text.encode("utf-32-be"))
        for body in (NOT_UTF8, whole[:-1] + b', "x-unknown": "\xff\xfe"}', *encoded):
            reply = _answer(prepared, operation, body, "the body is no UTF-8")
            _judge_bad_request(bench, reply, "the body is no UTF-8")


def _nearly_json(whole: bytes) -> dict[str, bytes]:
    """The body of an operation, spoilt in ways that lenient readers of JSON take, by what it has then."""
    start = whole[:-1]
    return {
        "a number that is none": start + b', "x-unknown": NaN}',
        "a number without bounds": start + b', "x-unknown": -Infinity}',
        "a number with a zero in front": start + b', "x-unknown": 007}',
        "a comma behind its last member": start + b",}",
        "a comment": start + b" /* a comment */}",
        "a comment of one line": start + b" // a comment\n}",
        "a line end in a string": start + b', "x-unknown": "a\nb"}',
        "single quotes": whole.replace(b'"', b"'"),
        "names without quotes": re.sub(rb'"(\w+)":', rb"\1:", whole),
    }


def _answer(prepared: PreparedQueue, operation: Operation, body: bytes, why: str) -> Reply:
    """Reply to a body. REFUSE-5 fails if none arrives."""
    try:
        return prepared.queue.call(prepared.path(operation), body)
    except PeerFailure as failure:
        prepared.bench.judge("REFUSE-5", False, expected=f"4xx: {why}", observed=failure.observed)
        raise


def _send_without_members(prepared: PreparedQueue, operation: Operation) -> None:
    """Leave out each required member, and all of them: the refusal names one that is missing."""
    whole = prepared.body(operation)
    for member in operation.required:
        body = {name: value for name, value in whole.items() if name != member}
        reply = prepared.queue.call(prepared.path(operation), body)
        _judge_bad_request(
            prepared.bench,
            reply,
            f"{member} is missing",
            "member-missing",
            members=(member,),
            clause=_clause_of(operation, member),
        )
    reply = prepared.queue.call(prepared.path(operation), {})
    _judge_bad_request(
        prepared.bench,
        reply,
        "all is missing",
        "member-missing",
        members=tuple(operation.required),
        clause=_clause_of(operation, "message"),
    )
    inherited = {"__proto__": whole, "constructor": {"prototype": whole}}
    reply = prepared.queue.call(prepared.path(operation), inherited)
    expect_refusal(
        prepared.bench, reply, _clause_of(operation, "message"), "all is missing, but in unknown members"
    )


def _clause_of(operation: Operation, member: str) -> str:
    """Clause that requires the member: PUB-BODY-1 for those of records, REFUSE-5 for all others."""
    return "PUB-BODY-1" if operation.publishes and member in ("messageID", "message", "key") else "REFUSE-5"


def _send_wrong_types(prepared: PreparedQueue, operation: Operation) -> None:
    """Send a number, a boolean, null, a list or an object in place of a string: none of them is converted."""
    whole = prepared.body(operation)
    for member, wrong in operation.members.items():
        for value in (*wrong, [whole[member]] if member in whole else ["x"]):
            reply = prepared.queue.call(prepared.path(operation), {**whole, member: value})
            why = f"{member} is {json.dumps(value)}"
            causes = ("member-type", "member-value", "name-invalid", "member-missing")
            clause = _clause_of(operation, member)
            _judge_bad_request(prepared.bench, reply, why, *causes, members=(member,), clause=clause)


@clauses("REFUSE-4")
def test_unknown_members_are_ignored(bench: Bench) -> None:
    """Send each operation with unknown members of any type before its own; expect it to succeed as it does without
    them, and a record with the key that stands behind them.
    """
    unknown = {"x-unknown": {"nested": [1, None, "x"]}, "Consumer_Name": 7, "x": None, "é": True}
    prepared = PreparedQueue(bench)
    for operation, path, body in prepared.sequence():
        reply = prepared.queue.call(path, {**unknown, **body})
        bench.judge(
            "REFUSE-4",
            reply.status in operation.success,
            expected=f"{' or '.join(map(str, operation.success))}, as without the unknown members",
            observed=reply,
        )
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    body = {**unknown, "messageID": "1", "message": "m", "x-more": [], "key": "k"}
    expect_status(bench, queue.call(publish_path(topic), body), 200, "REFUSE-4", "the record is valid")
    record = queue.poll_until_record(consumer)
    bench.judge(
        "REFUSE-4",
        (record.message, record.key) == ("m", "k"),
        expected="the message `m` with the key `k`, behind unknown members",
        observed=record.whole,
    )


def _refusals(prepared: PreparedQueue) -> list[tuple[str, str, dict[str, Any]]]:
    """Cause, path and body of well-formed operations that must be refused in this state."""
    nobody, nowhere = prepared.bench.fresh("nobody"), prepared.bench.fresh("nowhere")
    not_held = {"consumer_name": prepared.holder, "message_id": unused_id(prepared.held)}
    return [
        ("topic-exists", ADD_TOPIC, {"topicName": prepared.topic}),
        ("name-invalid", ADD_TOPIC, {"topicName": "a/b"}),
        ("topic-unknown", publish_path(nowhere), {"messageID": "1", "message": "m"}),
        ("group-unknown", REMOVE_GROUP, {"consumer_group_name": nowhere}),
        (
            "group-unknown",
            REGISTER,
            {"consumer_group_name": nowhere, "consumer_name": prepared.new_names["consumer"]},
        ),
        (
            "consumer-exists",
            REGISTER,
            {"consumer_group_name": prepared.group, "consumer_name": prepared.holder},
        ),
        ("consumer-unknown", HEARTBEAT, {"consumer_name": nobody}),
        (
            "topic-unknown",
            SUBSCRIBE,
            {"consumer_name": prepared.holder, "topic_list": f"{prepared.topic},{nowhere}"},
        ),
        (
            "topic-unknown",
            UNSUBSCRIBE,
            {"consumer_name": prepared.holder, "topic_list": f"{prepared.topic},{nowhere}"},
        ),
        ("not-in-flight", ACKNOWLEDGE, not_held),
        (
            "not-in-flight",
            ACKNOWLEDGE,
            {"consumer_name": prepared.idle, "message_id": prepared.held.message_id},
        ),
    ]


@clauses("REFUSE-2", "REFUSE-3", "REFUSE-1")
def test_each_cause_has_a_type_of_its_own(bench: Bench) -> None:
    """Send well-formed operations that must be refused; expect the problem type of the cause, and nothing changed."""
    prepared = PreparedQueue(bench)
    for cause, path, body in _refusals(prepared):
        reply = prepared.queue.call(path, body)
        expect_refusal(bench, reply, "REFUSE-1", cause)
        _judge_problem(bench, reply, cause)
    prepared.expect_unchanged("REFUSE-1")


@clauses("REFUSE-3")
def test_a_full_partition_has_a_type_of_its_own(bench: Bench) -> None:
    """Publish to a partition that has no room; expect the problem type of a full partition."""
    if not bench.declares("topic-limits"):
        bench.skip("REFUSE-3", "no topic can be filled (extension topic-limits)")
        return
    queue = QueueFixture(bench)
    topic = queue.new_topic(partition_bytes=1000)
    reply = queue.call(publish_path(topic), {"messageID": "1", "message": "x" * 1001})
    _judge_problem(bench, reply, "partition-full")


@clauses("REFUSE-3", "REFUSE-7")
@pytest.mark.parametrize("message_id", [-1, 2**63, 1.5, "abc", ""], ids=repr)
def test_an_impossible_value_is_a_fault_of_its_member(bench: Bench, message_id: object) -> None:
    """Acknowledge with a value that is no message id; expect a refusal (4xx) that names the member, or says that no
    such record is in flight.
    """
    prepared = PreparedQueue(bench)
    reply = prepared.queue.call(ACKNOWLEDGE, {"consumer_name": prepared.holder, "message_id": message_id})
    expect_refusal(bench, reply, "ACK-BAD-1", "the value is no message id")
    causes = ("member-value", "member-type", "not-in-flight")
    _judge_problem(bench, reply, *causes, members=("message_id",))
