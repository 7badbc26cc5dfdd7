"""HTTP requests as octets, complete and broken: HTTP-METHOD-*, HTTP-LENGTH-1 to HTTP-HEADERS-2."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_refusal, refused
from conformance.suite.queue.fixture import ADD_GROUP, REGISTER, QueueFixture

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.bench.bench import Bench
    from conformance.wire.http import HttpReply

JSON = {"Content-Type": "application/json"}
#: Factor by which a request exceeds a limit on headers: the text leaves open how servers count.
CLEARLY = 2
#: Largest request that is sent, in octets.
MOST_OCTETS = 16 << 20
_EMPTY_LINE = b"\r\n\r\n"


@dataclass
class AddGroupRequest:
    """A request that adds a group of a fresh name, complete or broken, and a check whether the group was added."""

    bench: Bench

    def __post_init__(self) -> None:
        self.queue = QueueFixture(self.bench)
        self.group = self.bench.fresh("group")
        self.body = json.dumps({"consumer_group_name": self.group}).encode()
        self.head = self.bench.http().head("POST", ADD_GROUP, JSON)

    def octets(self, *headers: str, body: bytes | None = None) -> bytes:
        """Octets of a request with these headers besides the usual ones. None of the usual ones gives the length."""
        head = "\r\n".join([self.head, *headers]).encode("latin-1")
        return head + _EMPTY_LINE + (self.body if body is None else body)

    def complete(self, *headers: str) -> bytes:
        """Octets of a valid request."""
        return self.octets(f"Content-Length: {len(self.body)}", *headers)

    def was_performed(self) -> bool:
        """True if the group exists."""
        name = self.bench.fresh("consumer")
        reply = self.queue.call(REGISTER, {"consumer_group_name": self.group, "consumer_name": name})
        return reply.status == 200

    def expect_not_performed(self, clause: str) -> None:
        """Judge `clause` by the group not having been added."""
        self.bench.judge(
            clause, not self.was_performed(), expected="the operation not performed", observed="it was"
        )

    def expect_performed(self, clause: str, reply: HttpReply | None) -> None:
        """Judge `clause` by the status 200 and by the group having been added."""
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
    """Send GET, PUT and DELETE to the path of an operation, with and without its body; expect a refusal (4xx), and the
    operation not performed.
    """
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


SPELLINGS: dict[str, str] = {
    "type with a parameter": "Content-Type: application/json; charset=utf-8",
    "type with a quoted parameter": 'Content-Type: application/json;charset="UTF-8"',
    "type in another case": "content-type: Application/JSON",
}


@clauses("HTTP-POST-1")
@pytest.mark.parametrize("line", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_media_type_may_be_spelled_otherwise(bench: Bench, line: str) -> None:
    """Send a body that is declared as JSON with a parameter or in another case; expect the operation performed."""
    request = AddGroupRequest(bench)
    head = "\r\n".join(
        each for each in request.head.split("\r\n") if not each.lower().startswith("content-type")
    )
    octets = f"{head}\r\n{line}\r\nContent-Length: {len(request.body)}".encode("latin-1")
    request.expect_performed("HTTP-POST-1", bench.http().raw(octets + _EMPTY_LINE + request.body))


@clauses("HTTP-POST-1")
@pytest.mark.parametrize("change", [str.lower, str.upper, str.swapcase], ids=lambda change: change.__name__)
def test_names_of_headers_have_no_case(bench: Bench, change: Callable[[str], str]) -> None:
    """Send a request whose header names are written in another case; expect the operation performed."""
    request = AddGroupRequest(bench)
    start, *lines = [*request.head.split("\r\n"), f"Content-Length: {len(request.body)}"]
    pairs = [line.split(":", 1) for line in lines]
    octets = "\r\n".join([start, *(f"{change(name)}:{value}" for name, value in pairs)]).encode("latin-1")
    request.expect_performed("HTTP-POST-1", bench.http().raw(octets + _EMPTY_LINE + request.body))


LENGTHS: dict[str, tuple[str, ...]] = {
    "none": (),
    "no number": ("Content-Length: many",),
    "negative": ("Content-Length: -1",),
    "a sign": ("Content-Length: +{length}",),
    "a fraction": ("Content-Length: {length}.0",),
    "two that differ": ("Content-Length: {length}", "Content-Length: 2"),
    "a list that differs": ("Content-Length: {length}, 2",),
}


@clauses("HTTP-LENGTH-1")
@pytest.mark.parametrize("headers", LENGTHS.values(), ids=LENGTHS.keys())
def test_a_missing_or_invalid_length_is_refused(bench: Bench, headers: tuple[str, ...]) -> None:
    """Send a POST without a length, or with an invalid or ambiguous one; expect a refusal (4xx), and the operation not
    performed.
    """
    request = AddGroupRequest(bench)
    written = [header.format(length=len(request.body)) for header in headers]
    reply = bench.http().raw(request.octets(*written))
    expect_refusal(bench, reply, "HTTP-LENGTH-1", f"the request has {' and '.join(written) or 'no length'}")
    request.expect_not_performed("HTTP-LENGTH-1")


@clauses("HTTP-CHUNKED-1")
@pytest.mark.parametrize("size", [1, 11, 26, 1000], ids=lambda size: f"of-{size}")
def test_a_body_may_come_in_chunks(bench: Bench, size: int) -> None:
    """Send a body in chunks of several sizes, which are written in either case, with zeros in front, with extensions
    and a trailer; expect the operation performed.
    """
    request = AddGroupRequest(bench)
    parts = [request.body[start : start + size] for start in range(0, len(request.body), size)]
    for written, end in (
        (b"%x", b"0\r\n\r\n"),
        (b"%X", b"0\r\n\r\n"),
        (b"00%x", b"00\r\n\r\n"),
        (b"%X;note=x", b"0\r\nX-Trailer: x\r\n\r\n"),
        (b'%x;note="a;b"', b"0;last\r\n\r\n"),
    ):
        chunks = b"".join(written % len(part) + b"\r\n" + part + b"\r\n" for part in parts)
        body = chunks + end
        reply = bench.http().raw(request.octets("Transfer-Encoding: chunked", body=body))
        request.expect_performed("HTTP-CHUNKED-1", reply)


def _filler(request: AddGroupRequest, length: int) -> bytes:
    """Body of exactly `length` octets that adds the group: blanks behind its object fill it up."""
    return json.dumps({"consumer_group_name": request.group}).encode().ljust(length)


def _limit(bench: Bench, name: str, *ids: str) -> int | None:
    """The declared limit; None if there is none or it is too large to be exceeded, and the clauses are skipped then."""
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
    """Judge the reply to a request over a limit. The server may end the connection instead of reading on, and its reply
    may get lost then.
    """
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
    """Send a body one octet longer than the limit `body_bytes`; expect a refusal (4xx), and the operation not
    performed. A body of exactly the limit is accepted.
    """
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
    """Send twice as many headers as `headers` allows, or as many octets as `header_bytes`; expect a refusal (4xx), and
    the operation not performed.
    """
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
