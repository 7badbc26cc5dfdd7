"""Operations over HTTP: HTTP-*, LIMIT-*."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from conformance.bench.marks import clauses
from conformance.suite.generators import many
from conformance.suite.queue.expectations import expect_refusal, expect_status, refused
from conformance.suite.queue.fixture import ADD_GROUP, POLL, QueueFixture
from conformance.suite.queue.operation_table import PreparedQueue
from conformance.suite.queue.queue_client import HEARTBEAT
from conformance.wire.failures import PeerFailure
from conformance.wire.operations import promise_of

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.http import HttpReply

JSON = {"Content-Type": "application/json"}
_EMPTY_LINE = b"\r\n\r\n"
#: Operations that must have succeeded before the failure of another one is charged to that operation.
SUCCEEDED = 3


@clauses("HTTP-POST-1")
@pytest.mark.parametrize("query", ["", "?x=1&y"], ids=["plain", "with a query"])
def test_each_operation_is_a_post(bench: Bench, query: str) -> None:
    """Send each operation as a POST to its path, also with a query; expect its success status. The query is ignored."""
    client = bench.http()
    succeeded = 0
    for operation, path, body in PreparedQueue(bench).sequence():
        if operation.publishes and not bench.declares("http-publish"):
            continue
        reply = client.request("POST", path + query, json.dumps(body).encode(), JSON)
        ok = reply.status in operation.success
        # Some operations have succeeded by POST: then one that fails breaks the clause that promises its success.
        bench.judge(
            "HTTP-POST-1" if ok or succeeded < SUCCEEDED else promise_of(path) or "POLL-OK-1",
            ok,
            expected=f"{' or '.join(map(str, operation.success))} for POST {path}{query}",
            observed=reply,
        )
        succeeded += ok


@clauses("HTTP-TYPE-1")
def test_bodies_have_their_content_type(bench: Bench) -> None:
    """Poll with and without success; expect the types application/json and application/problem+json."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    queue.publish(topic, "m")
    body = json.dumps({"consumer_name": consumer}).encode()
    record = bench.http().request("POST", POLL, body, JSON)
    expect_status(bench, record, 200, "POLL-OK-1", "a record is free")
    nobody = json.dumps({"consumer_name": bench.fresh("nobody")}).encode()
    problem = bench.http().request("POST", POLL, nobody, JSON)
    for reply, wanted in ((record, "application/json"), (problem, "application/problem+json")):
        if reply.body:
            bench.judge(
                "HTTP-TYPE-1",
                reply.content_type == wanted,
                expected=f"the content type {wanted}",
                observed=f"{reply.content_type or 'none'}: {reply}",
            )


@clauses("HTTP-PATH-1", "HTTP-PATH-2")
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/{}", "/consumer/{}", "/topic/{}", "/consumer-group/add/{}"])
def test_a_path_that_is_not_there_is_refused(bench: Bench, method: str, path: str) -> None:
    """Send GET and POST to paths that do not exist; expect a refusal (4xx)."""
    body = b"{}" if method == "POST" else None
    reply = bench.http().request(method, path.format(bench.fresh("nowhere")), body, JSON)
    expect_refusal(bench, reply, "HTTP-PATH-1", "no such path")
    expect_status(bench, reply, 404, "HTTP-PATH-2", "no such path")


@clauses("HTTP-KEEP-1")
def test_a_connection_stays_open(bench: Bench) -> None:
    """Send successes, polls in vain and refusals over one connection; expect it to stay open after each reply."""
    queue = QueueFixture(bench)
    consumer = queue.new_consumer(queue.new_group())
    client = bench.http()
    mine, nobody = {"consumer_name": consumer}, {"consumer_name": bench.fresh("nobody")}
    # A server without long polls ignores the time.
    waiting = {**mine, "wait_seconds": min(bench.limit("wait_seconds") or 0.02, 0.02)}
    for path, body in ((HEARTBEAT, mine), (POLL, mine), (POLL, waiting), (HEARTBEAT, nobody)) * 2:
        reply = client.request("POST", path, json.dumps(body).encode(), JSON)
        bench.judge(
            "HTTP-KEEP-1",
            not reply.closes and client.is_open,
            expected="a connection that stays open",
            observed=f"{reply}, and the connection ends",
        )


def _posts(bench: Bench, *requests: tuple[str, dict[str, Any]]) -> bytes:
    """Octets of several requests, one behind the other."""
    client = bench.http()
    octets = b""
    for path, body in requests:
        encoded = json.dumps(body).encode()
        head = client.head("POST", path, {**JSON, "Content-Length": str(len(encoded))})
        octets += head.encode() + _EMPTY_LINE + encoded
    return octets


@clauses("HTTP-PIPE-1")
def test_requests_are_answered_in_their_order(bench: Bench) -> None:
    """Send ten requests in one piece; expect their replies in the order of the requests."""
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    queue.publish(topic, "m")
    requests: list[tuple[str, dict[str, Any]]] = [
        (ADD_GROUP, {"consumer_group_name": group}),
        (HEARTBEAT, {"consumer_name": consumer}),
        (HEARTBEAT, {"consumer_name": bench.fresh("nobody")}),
        (POLL, {"consumer_name": consumer}),
        (HEARTBEAT, {"consumer_name": consumer}),
    ] * 2
    replies = bench.http().exchange(_posts(bench, *requests), replies=len(requests))
    kinds = [reply.status if reply.status < 400 else 4 for reply in replies]
    expected = [200, 202, 4, 200, 202, 200, 202, 4]
    bench.judge(
        "HTTP-PIPE-1",
        bool(kinds) and kinds[:8] == expected[: len(kinds)],
        expected="200, 202, 4xx, 200, 202 and the same again, as far as the connection was kept open",
        observed=[str(reply) for reply in replies],
    )


@clauses("HTTP-PIPE-1")
def test_many_requests_are_answered(bench: Bench) -> None:
    """Send some hundred requests in one piece; expect a reply to each, as far as the connection is kept open."""
    queue = QueueFixture(bench)
    consumer = queue.new_consumer(queue.new_group())
    requests = [(HEARTBEAT, {"consumer_name": consumer})] * many(bench)
    read: list[HttpReply] = []
    try:
        read = bench.http().exchange(_posts(bench, *requests), replies=len(requests))
    except PeerFailure as failure:
        expected = f"{len(requests)} replies, or the end of the connection"
        bench.judge("HTTP-PIPE-1", False, expected=expected, observed=failure.observed)
    statuses = {reply.status for reply in read}
    bench.judge("HTTP-PIPE-1", statuses == {202}, expected="202 for each", observed=sorted(statuses))


@clauses("HTTP-PIPE-1")
def test_a_request_behind_a_body_in_chunks_is_answered(bench: Bench) -> None:
    """Send a heartbeat whose body comes in chunks and another one behind it, in one piece; expect a reply to each, as
    far as the connection is kept open.
    """
    queue = QueueFixture(bench)
    consumer = queue.new_consumer(queue.new_group())
    plain = _posts(bench, (HEARTBEAT, {"consumer_name": consumer}))
    head, _, body = plain.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
    head = b"\r\n".join([*lines, b"Transfer-Encoding: chunked"])
    chunked = b"%b\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (head, len(body), body)
    try:
        statuses = [reply.status for reply in bench.http().exchange(chunked + plain, replies=2)]
    except PeerFailure as failure:
        expected = "two replies, or the end of the connection"
        bench.judge("HTTP-PIPE-1", False, expected=expected, observed=failure.observed)
        raise
    bench.judge("HTTP-PIPE-1", set(statuses) == {202}, expected="202 for each", observed=statuses)


@clauses("HTTP-PIPE-1", "POLL-WAIT-2")
def test_requests_behind_a_long_poll_wait_for_its_reply(bench: Bench) -> None:
    """Send a heartbeat, a long poll and another heartbeat in one piece; expect the reply to the poll between those to
    the heartbeats, and not before its time is over.
    """
    if not bench.declares("long-poll"):
        bench.skip("HTTP-PIPE-1", "no poll waits (extension long-poll)")
        return
    queue = QueueFixture(bench)
    _topic, _group, (consumer,) = queue.topic_with_consumers()
    empty = queue.poll(consumer).status
    wait = min(bench.limit("wait_seconds") or 0.2, 0.2)
    octets = _posts(
        bench,
        (HEARTBEAT, {"consumer_name": consumer}),
        (POLL, {"consumer_name": consumer, "wait_seconds": wait}),
        (HEARTBEAT, {"consumer_name": consumer}),
    )
    began = time.monotonic()
    replies = bench.http().exchange(octets, replies=3)
    took = time.monotonic() - began
    statuses = [reply.status for reply in replies]
    bench.judge(
        "HTTP-PIPE-1",
        bool(statuses) and statuses == [202, empty, 202][: len(statuses)],
        expected=f"202 for the heartbeat, {empty} for the poll, then 202 for the other heartbeat",
        observed=statuses,
    )
    bench.judge(
        "POLL-WAIT-2",
        len(statuses) < 2 or took >= 0.9 * wait,
        expected=f"an empty reply after {wait:g} s, also behind another request",
        observed=f"{statuses} after {took:.3f} s",
    )


@clauses("HTTP-POST-1", "PUB-ALIAS-1")
def test_names_in_a_path_are_percent_encoded_where_they_need_to_be(bench: Bench) -> None:
    """Publish to a topic whose name needs percent-encoding in a path; expect 200. Servers may refuse such names."""
    if not bench.declares("http-publish"):
        for clause in ("HTTP-POST-1", "PUB-ALIAS-1"):
            bench.skip(clause, "there is no name in a path (extension http-publish)")
        return
    queue = QueueFixture(bench)
    name = f"{bench.fresh('topic')} ü"
    if refused(queue.client.add_topic(name)):
        for clause in ("HTTP-POST-1", "PUB-ALIAS-1"):
            bench.skip(clause, "the server takes no names that need to be encoded")
        return
    encoded = name.replace(" ", "%20").replace("ü", "%C3%BC")
    for path, clause in (("/producer/publish/", "HTTP-POST-1"), ("/publish/", "PUB-ALIAS-1")):
        reply = bench.http().request("POST", path + encoded, b'{"messageID": "1", "message": "m"}', JSON)
        expect_status(bench, reply, 200, clause, "the record is valid, and the topic exists")


@clauses("LIMIT-CONN-1")
def test_the_declared_limit_of_connections(bench: Bench) -> None:
    """Record the declared limit of connections. Reaching it would hurt other users of the server."""
    most = bench.limit("connections")
    bench.observe(
        "LIMIT-CONN-1",
        "no limit is declared" if most is None else f"{int(most)} connections at once are declared",
    )
