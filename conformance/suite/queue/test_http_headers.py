"""Headers of requests in all spellings of RFC 9112, `HEAD` and `Expect`: HTTP-POST-1, HTTP-OWS-1, HTTP-EXPECT-1 …"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.fixture import QueueFixture
from conformance.suite.queue.queue_client import HEARTBEAT
from conformance.suite.queue.test_http_requests import AddGroupRequest
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Lines that give the length, by what stands around the value.
BLANKS = {
    "nothing in front": "Content-Length:{}",
    "several blanks in front": "Content-Length:   {}",
    "a blank behind": "Content-Length: {} ",
}
TABS = {
    "a tab in front": "Content-Length:\t{}",
    "a tab behind": "Content-Length: {}\t",
    "tabs and blanks": "Content-Length: \t {} \t ",
}
_EMPTY_LINE = b"\r\n\r\n"


@clauses("HTTP-POST-1")
@pytest.mark.parametrize("line", BLANKS.values(), ids=BLANKS.keys())
def test_values_of_headers_may_have_blanks_around_them(bench: Bench, line: str) -> None:
    """Send a request whose length has no blank around it, or several; expect the operation performed."""
    _judge_length(bench, "HTTP-POST-1", line)


@clauses("HTTP-OWS-1")
@pytest.mark.parametrize("line", TABS.values(), ids=TABS.keys())
def test_values_of_headers_may_have_tabs_around_them(bench: Bench, line: str) -> None:
    """Send a request whose length has a tab around it; expect the operation performed."""
    _judge_length(bench, "HTTP-OWS-1", line)


def _judge_length(bench: Bench, clause: str, line: str) -> None:
    request = AddGroupRequest(bench)
    reply = bench.http().raw(request.octets(line.format(len(request.body))))
    request.expect_performed(clause, reply)


def _judge_pieces(bench: Bench, clause: str, request: AddGroupRequest, octets: bytes, *marks: bytes) -> None:
    """Send a request in pieces that are cut behind the first octet of each mark; judge `clause` by its being performed.

    Between two pieces another request is answered, so that the server reads them one by one.
    """
    cuts = sorted(octets.index(mark) + 1 for mark in marks)
    pieces = [octets[start:end] for start, end in itertools.pairwise([0, *cuts, len(octets)])]
    nobody = bench.fresh("nobody")
    reply = bench.http().in_pieces(pieces, lambda: request.queue.heartbeat(nobody))
    request.expect_performed(clause, reply)


@clauses("HTTP-POST-1", "HTTP-CHUNKED-1")
def test_a_request_may_come_in_pieces(bench: Bench) -> None:
    """Send a request in pieces, cut in its first line, in a header, in the empty line and in its body, with a length
    and in chunks; expect the operation performed.
    """
    marks = b"consumer-group", b"Host", b"application", b"\r\n\r\n", b"\n\r\n", b'_name"'
    request = AddGroupRequest(bench)
    _judge_pieces(bench, "HTTP-POST-1", request, request.complete(), *marks)
    request = AddGroupRequest(bench)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(request.body), request.body)
    octets = request.octets("Transfer-Encoding: chunked", body=body)
    _judge_pieces(bench, "HTTP-CHUNKED-1", request, octets, *marks, b"}\r", b"\r\n0", b"0\r\n\r")


@clauses("HTTP-HEAD-1")
def test_the_answer_to_a_head_has_no_body(bench: Bench) -> None:
    """Send HEAD of a path for GET, of an operation and of no path, each with another request behind it on the
    connection; expect the reply of that one behind the head.
    """
    queue = QueueFixture(bench)
    consumer = queue.new_consumer(queue.new_group())
    body = json.dumps({"consumer_name": consumer}).encode()
    for path in ("/capabilities", HEARTBEAT, f"/{bench.fresh('nowhere')}"):
        client = bench.http()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        beat = client.head("POST", HEARTBEAT, headers).encode() + _EMPTY_LINE + body
        expected = f"202 for a heartbeat behind the HEAD of {path}, or the end of the connection"
        try:
            replies = client.exchange(
                client.head("HEAD", path).encode() + _EMPTY_LINE + beat, replies=2, first_method="HEAD"
            )
        except PeerFailure as failure:
            bench.judge("HTTP-HEAD-1", False, expected=expected, observed=failure.observed)
            raise
        statuses = [reply.status for reply in replies]
        bench.judge("HTTP-HEAD-1", statuses[1:] in ([], [202]), expected=expected, observed=statuses)


@clauses("HTTP-CHUNKED-1")
@pytest.mark.parametrize("word", ["Chunked", "CHUNKED"])
def test_the_name_of_the_coding_has_no_case(bench: Bench, word: str) -> None:
    """Send a body in chunks whose `Transfer-Encoding` is written in another case; expect the operation performed."""
    request = AddGroupRequest(bench)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(request.body), request.body)
    reply = bench.http().raw(request.octets(f"Transfer-Encoding: {word}", body=body))
    request.expect_performed("HTTP-CHUNKED-1", reply)


@clauses("HTTP-KEEP-1")
def test_a_connection_stays_open_behind_chunks(bench: Bench) -> None:
    """Send a body in chunks and another request behind it; expect a reply to each on one connection."""
    request, second = AddGroupRequest(bench), AddGroupRequest(bench)
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(request.body), request.body)
    octets = request.octets("Transfer-Encoding: chunked", body=chunks) + second.complete()
    replies = bench.http().exchange(octets, replies=2)
    bench.judge(
        "HTTP-KEEP-1",
        len(replies) == 2 and not replies[1].closes,
        expected="two replies, and a connection that stays open",
        observed=[str(reply) + (", the connection ends" if reply.closes else "") for reply in replies],
    )


@clauses("HTTP-EXPECT-1")
@pytest.mark.parametrize(
    ("name", "in_chunks"), [("Expect", False), ("expect", False), ("Expect", True)], ids=str
)
def test_a_client_that_waits_for_100_is_served(bench: Bench, name: str, in_chunks: bool) -> None:
    """Send the head of a request with `Expect: 100-continue`, and its body, or the chunks of it, when the server says
    something; expect that to come, and the operation performed.
    """
    request, expects = AddGroupRequest(bench), f"{name}: 100-continue"
    octets = request.complete(expects)
    if in_chunks:
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(request.body), request.body)
        octets = request.octets("Transfer-Encoding: chunked", expects, body=chunks)
    head, _, body = octets.partition(_EMPTY_LINE)
    try:
        reply = bench.http().in_two(head + _EMPTY_LINE, body)
    except PeerFailure as failure:
        bench.judge("HTTP-EXPECT-1", False, expected=failure.expected, observed=failure.observed)
        raise
    request.expect_performed("HTTP-EXPECT-1", reply)
