"""The operations over HTTP: HTTP-*, LIMIT-*."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from conformance.marks import clauses
from conformance.suite.queue.operation_table import Stage
from conformance.suite.queue.scene import ADD_GROUP, HEARTBEAT, POLL, REGISTER, Scene, refused

if TYPE_CHECKING:
    from conformance.bench import Bench
    from conformance.wire.http import HttpReply

JSON = {"Content-Type": "application/json"}
#: How far past a limit on headers a request goes: it is open what counts towards it.
CLEARLY = 2
#: The largest request that is sent, in octets.
MOST_OCTETS = 16 << 20
_EMPTY_LINE = b"\r\n\r\n"


def _refuses(reply: HttpReply | None) -> bool:
    return reply is not None and 400 <= reply.status < 500


@dataclass
class Probe:
    """A request that adds a group of a fresh name, whole or broken, and whether it was performed."""

    bench: Bench

    def __post_init__(self) -> None:
        self.scene = Scene(self.bench)
        self.group = self.bench.fresh("group")
        self.body = json.dumps({"consumer_group_name": self.group}).encode()
        target = self.bench.target
        host = f"[{target.host}]" if ":" in target.host else target.host
        self._head = (
            f"POST {ADD_GROUP} HTTP/1.1\r\nHost: {host}:{target.port}\r\nContent-Type: application/json"
        )

    def request(self, *headers: str, body: bytes | None = None) -> bytes:
        """The octets of a request with these headers besides the usual ones, none of which tells the length."""
        head = "\r\n".join([self._head, *headers]).encode("latin-1")
        return head + _EMPTY_LINE + (self.body if body is None else body)

    def whole(self, *headers: str) -> bytes:
        """A request as it ought to be."""
        return self.request(f"Content-Length: {len(self.body)}", *headers)

    def was_performed(self) -> bool:
        """Whether the group is there."""
        name = self.bench.fresh("consumer")
        reply = self.scene.call(REGISTER, {"consumer_group_name": self.group, "consumer_name": name})
        return reply.status == 200

    def judge_not_performed(self, clause: str) -> None:
        """Judge that the group was not added."""
        self.bench.judge(
            clause, not self.was_performed(), expected="the operation not performed", observed="it was"
        )

    def judge_performed(self, clause: str, reply: HttpReply | None) -> None:
        """Judge that the request was answered 200, and the group was added."""
        performed = self.was_performed()
        self.bench.judge(
            clause,
            reply is not None and reply.status == 200 and performed,
            expected="200, and the group added",
            observed=f"{reply or 'no reply'}; the group was {'' if performed else 'not '}added",
        )


@clauses("HTTP-POST-1")
@pytest.mark.parametrize("query", ["", "?x=1&y"], ids=["plain", "with a query"])
def test_each_operation_is_a_post(bench: Bench, query: str) -> None:
    """A POST with the body of the operation to its path is answered with its status; what follows a `?` is ignored."""
    client = bench.http()
    for operation, path, body in Stage(bench).sequence():
        if operation.publishes and not bench.declares("http-publish"):
            continue
        reply = client.request("POST", path + query, json.dumps(body).encode(), JSON)
        bench.judge(
            "HTTP-POST-1",
            reply.status in operation.success,
            expected=f"{' or '.join(map(str, operation.success))} for POST {path}{query}",
            observed=reply,
        )


@clauses("HTTP-TYPE-1")
def test_bodies_have_their_content_type(bench: Bench) -> None:
    """A record is JSON, a refusal that has a body is a problem."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    scene.warm_up(topic, consumer)
    scene.publish(topic, "m")
    body = json.dumps({"consumer_name": consumer}).encode()
    record = bench.http().request("POST", POLL, body, JSON)
    bench.judge("POLL-OK-1", record.status == 200, expected="200 with a record", observed=record)
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
    """A request to a path that nobody serves is answered 4xx."""
    body = b"{}" if method == "POST" else None
    reply = bench.http().request(method, path.format(bench.fresh("nowhere")), body, JSON)
    bench.judge("HTTP-PATH-1", _refuses(reply), expected="4xx: no such path", observed=reply)
    bench.judge("HTTP-PATH-2", reply.status == 404, expected="404: no such path", observed=reply)


@clauses("HTTP-METHOD-1", "HTTP-METHOD-2")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_method_is_refused_and_does_nothing(bench: Bench, method: str) -> None:
    """GET, PUT and DELETE of an operation's path perform nothing, with or without its body."""
    probe = Probe(bench)
    for body in (None, probe.body):
        reply = bench.http().request(method, ADD_GROUP, body, JSON if body else None)
        bench.judge("HTTP-METHOD-1", _refuses(reply), expected=f"4xx for {method}", observed=reply)
        allowed = [name.strip().upper() for name in reply.headers.get("allow", "").split(",")]
        bench.judge(
            "HTTP-METHOD-2",
            reply.status == 405 and "POST" in allowed,
            expected="405 with an Allow header that names POST",
            observed=f"{reply}, Allow: {reply.headers.get('allow')}",
        )
    probe.judge_not_performed("HTTP-METHOD-1")


LENGTHS: dict[str, tuple[str, ...]] = {
    "none": (),
    "no number": ("Content-Length: many",),
    "negative": ("Content-Length: -1",),
    "two that differ": ("Content-Length: {length}", "Content-Length: 2"),
    "a list that differs": ("Content-Length: {length}, 2",),
}


@clauses("HTTP-LENGTH-1")
@pytest.mark.parametrize("headers", LENGTHS.values(), ids=LENGTHS.keys())
def test_a_length_that_cannot_be_told_is_refused(bench: Bench, headers: tuple[str, ...]) -> None:
    """Without a length, or with one that is no length, a POST is answered 4xx and performs nothing."""
    probe = Probe(bench)
    written = [header.format(length=len(probe.body)) for header in headers]
    reply = bench.http().raw(probe.request(*written))
    bench.judge(
        "HTTP-LENGTH-1",
        _refuses(reply),
        expected=f"4xx for {' and '.join(written) or 'no length'}",
        observed=reply or "no reply",
    )
    probe.judge_not_performed("HTTP-LENGTH-1")


@clauses("HTTP-CHUNKED-1")
@pytest.mark.parametrize("size", [1, 7, 1000], ids=lambda size: f"of-{size}")
def test_a_body_may_come_in_chunks(bench: Bench, size: int) -> None:
    """Chunks of any size make up the body, with an extension and a trailer, too."""
    probe = Probe(bench)
    parts = [probe.body[start : start + size] for start in range(0, len(probe.body), size)]
    chunks = b"".join(b"%X;note=x\r\n%b\r\n" % (len(part), part) for part in parts)
    plain = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    for body in (plain + b"0\r\n\r\n", chunks + b"0\r\nX-Trailer: x\r\n\r\n"):
        reply = bench.http().raw(probe.request("Transfer-Encoding: chunked", body=body))
        probe.judge_performed("HTTP-CHUNKED-1", reply)


def _filler(probe: Probe, length: int) -> bytes:
    """A body of exactly so many octets that would add the group."""
    body = {"consumer_group_name": probe.group, "x": ""}
    body["x"] = "x" * (length - len(json.dumps(body)))
    return json.dumps(body).encode()


def _limit(bench: Bench, name: str, *ids: str) -> int | None:
    """A declared limit; None, and the clauses are skipped, where there is none that can be passed with reason."""
    most = bench.limit(name)
    why = f"the server declares no limit {name}"
    if most is not None and most > MOST_OCTETS:
        why = f"the limit {name} of {most:g} is too large to be passed"
    if most is None or most > MOST_OCTETS:
        for clause in ids:
            bench.skip(clause, why)
        return None
    return int(most)


def _judge_too_large(bench: Bench, reply: HttpReply | None, clauses_: tuple[str, str], status: int) -> None:
    """A server may end the connection instead of reading on, and then the reply may get lost under way."""
    must, should = clauses_
    bench.judge(must, reply is None or _refuses(reply), expected="4xx", observed=reply)
    bench.judge(
        should,
        reply is not None and reply.status == status,
        expected=str(status),
        observed=reply or "the connection was closed without a reply",
    )


@clauses("HTTP-SIZE-1", "HTTP-SIZE-2")
@pytest.mark.parametrize("how", ["length", "chunks"])
def test_a_body_over_the_limit_is_refused(bench: Bench, how: str) -> None:
    """One octet more than the limit `body_bytes` is refused and performs nothing; as many as that are served."""
    if (most := _limit(bench, "body_bytes", "HTTP-SIZE-1", "HTTP-SIZE-2")) is None:
        return
    probe = Probe(bench)
    length = most + 1
    body = _filler(probe, length)
    if how == "length":
        octets = probe.request(f"Content-Length: {length}", body=body)
    else:
        half = length // 2
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]))
        octets = probe.request("Transfer-Encoding: chunked", body=chunks + b"0\r\n\r\n")
    reply = bench.http().raw(octets)
    _judge_too_large(bench, reply, ("HTTP-SIZE-1", "HTTP-SIZE-2"), 413)
    probe.judge_not_performed("HTTP-SIZE-1")
    fitting = bench.http().request("POST", ADD_GROUP, _filler(probe, most), JSON)
    probe.judge_performed("HTTP-POST-1", fitting)


@clauses("HTTP-HEADERS-1", "HTTP-HEADERS-2")
@pytest.mark.parametrize("limit", ["headers", "header_bytes"])
def test_headers_over_a_limit_are_refused(bench: Bench, limit: str) -> None:
    """Clearly more headers than `headers`, or more octets than `header_bytes`, are refused and perform nothing."""
    if (most := _limit(bench, limit, "HTTP-HEADERS-1", "HTTP-HEADERS-2")) is None:
        return
    probe = Probe(bench)
    if limit == "headers":
        more = [f"X-{number}: x" for number in range(CLEARLY * most)]
    else:
        more = [f"X-Long: {'x' * (CLEARLY * most)}"]
    reply = bench.http().raw(probe.whole(*more))
    _judge_too_large(bench, reply, ("HTTP-HEADERS-1", "HTTP-HEADERS-2"), 431)
    probe.judge_not_performed("HTTP-HEADERS-1")


@clauses("HTTP-KEEP-1")
def test_a_connection_stays_open(bench: Bench) -> None:
    """After a success, an empty poll and a refusal the connection takes the next request."""
    scene = Scene(bench)
    consumer = scene.consumer(scene.group())
    client = bench.http()
    for path, name in ((HEARTBEAT, consumer), (POLL, consumer), (HEARTBEAT, bench.fresh("nobody"))) * 2:
        reply = client.request("POST", path, json.dumps({"consumer_name": name}).encode(), JSON)
        bench.judge(
            "HTTP-KEEP-1",
            not reply.closes and client.is_open,
            expected="a connection that stays open",
            observed=f"{reply}, and the connection ends",
        )


def _posts(bench: Bench, *requests: tuple[str, dict[str, Any]]) -> bytes:
    """The octets of several requests, one behind the other."""
    target = bench.target
    octets = b""
    for path, body in requests:
        encoded = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {target.host}:{target.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(encoded)}"
        )
        octets += head.encode() + _EMPTY_LINE + encoded
    return octets


@clauses("HTTP-PIPE-1")
def test_requests_are_answered_in_their_order(bench: Bench) -> None:
    """Several requests in one piece get their replies in the order of the requests."""
    scene = Scene(bench)
    topic, group, (consumer,) = scene.readers()
    scene.warm_up(topic, consumer)
    scene.publish(topic, "m")
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
def test_a_poll_that_waits_holds_up_what_is_behind_it(bench: Bench) -> None:
    """The reply to a long poll comes before that of the request behind it."""
    if not bench.declares("long-poll"):
        bench.skip("HTTP-PIPE-1", "no poll waits (extension long-poll)")
        return
    scene = Scene(bench)
    _topic, _group, (consumer,) = scene.readers()
    empty = scene.poll(consumer).status
    wait = min(bench.limit("wait_seconds") or 0.2, 0.2)
    octets = _posts(
        bench,
        (POLL, {"consumer_name": consumer, "wait_seconds": wait}),
        (HEARTBEAT, {"consumer_name": consumer}),
    )
    replies = bench.http().exchange(octets, replies=2)
    statuses = [reply.status for reply in replies]
    bench.judge(
        "HTTP-PIPE-1",
        bool(statuses) and statuses == [empty, 202][: len(statuses)],
        expected=f"{empty} for the poll, then 202 for the heartbeat",
        observed=statuses,
    )


@clauses("HTTP-POST-1")
def test_names_in_a_path_are_percent_encoded_where_they_need_to_be(bench: Bench) -> None:
    """A topic with a character that a path can't have is published to by its encoded name, if there is such a topic."""
    if not bench.declares("http-publish"):
        bench.skip("HTTP-POST-1", "there is no name in a path (extension http-publish)")
        return
    scene = Scene(bench)
    name = f"{bench.fresh('topic')} ü"
    if refused(scene.queue.add_topic(name)):
        bench.skip("HTTP-POST-1", "the server takes no names that need to be encoded")
        return
    path = "/producer/publish/" + name.replace(" ", "%20").replace("ü", "%C3%BC")
    reply = bench.http().request("POST", path, b'{"messageID": "1", "message": "m"}', JSON)
    bench.judge("HTTP-POST-1", reply.status == 200, expected="200 for a stored record", observed=reply)


@clauses("LIMIT-CONN-1")
def test_what_the_server_says_about_its_connections(bench: Bench) -> None:
    """Recorded only: reaching the limit would hurt others."""
    most = bench.limit("connections")
    bench.observe(
        "LIMIT-CONN-1",
        "no limit is declared" if most is None else f"{int(most)} connections at once are declared",
    )
