"""Requests over HTTP as they come over the wire, whole and broken: HTTP-METHOD-*, HTTP-LENGTH-1 to HTTP-HEADERS-2."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_refusal, refused
from conformance.suite.queue.fixture import ADD_GROUP, REGISTER, QueueFixture

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.http import HttpReply

JSON = {"Content-Type": "application/json"}
#: How far past a limit on headers a request goes: it is open what counts towards it.
CLEARLY = 2
#: The largest request that is sent, in octets.
MOST_OCTETS = 16 << 20
_EMPTY_LINE = b"\r\n\r\n"


@dataclass
class AddGroupRequest:
    """A request that adds a group of a fresh name, whole or broken, and whether it was performed."""

    bench: Bench

    def __post_init__(self) -> None:
        self.queue = QueueFixture(self.bench)
        self.group = self.bench.fresh("group")
        self.body = json.dumps({"consumer_group_name": self.group}).encode()
        target = self.bench.target
        host = f"[{target.host}]" if ":" in target.host else target.host
        self._head = (
            f"POST {ADD_GROUP} HTTP/1.1\r\nHost: {host}:{target.port}\r\nContent-Type: application/json"
        )

    def octets(self, *headers: str, body: bytes | None = None) -> bytes:
        """The octets of a request with these headers besides the usual ones, none of which tells the length."""
        head = "\r\n".join([self._head, *headers]).encode("latin-1")
        return head + _EMPTY_LINE + (self.body if body is None else body)

    def complete(self, *headers: str) -> bytes:
        """A request as it ought to be."""
        return self.octets(f"Content-Length: {len(self.body)}", *headers)

    def was_performed(self) -> bool:
        """Whether the group is there."""
        name = self.bench.fresh("consumer")
        reply = self.queue.call(REGISTER, {"consumer_group_name": self.group, "consumer_name": name})
        return reply.status == 200

    def expect_not_performed(self, clause: str) -> None:
        """Judge that the group was not added."""
        self.bench.judge(
            clause, not self.was_performed(), expected="the operation not performed", observed="it was"
        )

    def expect_performed(self, clause: str, reply: HttpReply | None) -> None:
        """Judge that the request was answered 200, and the group was added."""
        performed = self.was_performed()
        self.bench.judge(
            clause,
            reply is not None and reply.status == 200 and performed,
            expected="200, and the group added",
            observed=f"{reply or 'no reply'}; the group was {'' if performed else 'not '}added",
        )


@clauses("HTTP-METHOD-1", "HTTP-METHOD-2")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_method_is_refused_and_does_nothing(bench: Bench, method: str) -> None:
    """GET, PUT and DELETE of an operation's path perform nothing, with or without its body."""
    request = AddGroupRequest(bench)
    for body in (None, request.body):
        reply = bench.http().request(method, ADD_GROUP, body, JSON if body else None)
        expect_refusal(bench, reply, "HTTP-METHOD-1", f"the method is {method}")
        allowed = [name.strip().upper() for name in reply.headers.get("allow", "").split(",")]
        bench.judge(
            "HTTP-METHOD-2",
            reply.status == 405 and "POST" in allowed,
            expected="405 with an Allow header that names POST",
            observed=f"{reply}, Allow: {reply.headers.get('allow')}",
        )
    request.expect_not_performed("HTTP-METHOD-1")


LENGTHS: dict[str, tuple[str, ...]] = {
    "none": (),
    "no number": ("Content-Length: many",),
    "negative": ("Content-Length: -1",),
    "two that differ": ("Content-Length: {length}", "Content-Length: 2"),
    "a list that differs": ("Content-Length: {length}, 2",),
}


@clauses("HTTP-LENGTH-1")
@pytest.mark.parametrize("headers", LENGTHS.values(), ids=LENGTHS.keys())
def test_a_missing_or_invalid_length_is_refused(bench: Bench, headers: tuple[str, ...]) -> None:
    """Without a length, or with one that is no length, a POST is answered 4xx and performs nothing."""
    request = AddGroupRequest(bench)
    written = [header.format(length=len(request.body)) for header in headers]
    reply = bench.http().raw(request.octets(*written))
    expect_refusal(bench, reply, "HTTP-LENGTH-1", f"the request has {' and '.join(written) or 'no length'}")
    request.expect_not_performed("HTTP-LENGTH-1")


@clauses("HTTP-CHUNKED-1")
@pytest.mark.parametrize("size", [1, 7, 1000], ids=lambda size: f"of-{size}")
def test_a_body_may_come_in_chunks(bench: Bench, size: int) -> None:
    """Chunks of any size make up the body, with an extension and a trailer, too."""
    request = AddGroupRequest(bench)
    parts = [request.body[start : start + size] for start in range(0, len(request.body), size)]
    chunks = b"".join(b"%X;note=x\r\n%b\r\n" % (len(part), part) for part in parts)
    plain = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    for body in (plain + b"0\r\n\r\n", chunks + b"0\r\nX-Trailer: x\r\n\r\n"):
        reply = bench.http().raw(request.octets("Transfer-Encoding: chunked", body=body))
        request.expect_performed("HTTP-CHUNKED-1", reply)


def _filler(request: AddGroupRequest, length: int) -> bytes:
    """A body of exactly so many octets that would add the group."""
    body = {"consumer_group_name": request.group, "x": ""}
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
    bench.judge(must, reply is None or refused(reply), expected="4xx", observed=reply)
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
    request = AddGroupRequest(bench)
    length = most + 1
    body = _filler(request, length)
    if how == "length":
        octets = request.octets(f"Content-Length: {length}", body=body)
    else:
        half = length // 2
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]))
        octets = request.octets("Transfer-Encoding: chunked", body=chunks + b"0\r\n\r\n")
    within = bench.patience_for(len(octets))
    reply = bench.http().raw(octets, within=within)
    _judge_too_large(bench, reply, ("HTTP-SIZE-1", "HTTP-SIZE-2"), 413)
    request.expect_not_performed("HTTP-SIZE-1")
    fitting = bench.http().request("POST", ADD_GROUP, _filler(request, most), JSON, within=within)
    request.expect_performed("HTTP-POST-1", fitting)


@clauses("HTTP-HEADERS-1", "HTTP-HEADERS-2")
@pytest.mark.parametrize("limit", ["headers", "header_bytes"])
def test_headers_over_a_limit_are_refused(bench: Bench, limit: str) -> None:
    """Clearly more headers than `headers`, or more octets than `header_bytes`, are refused and perform nothing."""
    if (most := _limit(bench, limit, "HTTP-HEADERS-1", "HTTP-HEADERS-2")) is None:
        return
    request = AddGroupRequest(bench)
    if limit == "headers":
        more = [f"X-{number}: x" for number in range(CLEARLY * most)]
    else:
        more = [f"X-Long: {'x' * (CLEARLY * most)}"]
    reply = bench.http().raw(request.complete(*more))
    _judge_too_large(bench, reply, ("HTTP-HEADERS-1", "HTTP-HEADERS-2"), 431)
    request.expect_not_performed("HTTP-HEADERS-1")
