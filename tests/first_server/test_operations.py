"""Operations over HTTP: the statuses of the first server, and the HTTP/1.1 of the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.first_server.clients import Producer, Queue
from tests.server.wire import Ended, request, upgrade

if TYPE_CHECKING:
    from tests.first_server.conftest import Process

ADD_GROUP = "/consumer-group/add"


def test_each_operation_has_its_status(server: Process) -> None:
    """200, 202 and 509 in the order of one consumer's life."""
    with Queue.to(server) as queue, Producer.of(server, "t") as producer:
        assert queue.do("/topic/add-topic", topicName="t") == 200
        assert queue.do(ADD_GROUP, consumer_group_name="g") == 200
        assert queue.do(ADD_GROUP, consumer_group_name="g") == 200
        assert queue.register("g", "alice") == 200
        assert queue.subscribe("alice", "t") == 200
        assert queue.subscribe("alice", "t,t") == 200
        assert queue.do("/consumer/poll", consumer_name="alice") == 509
        producer.store("m")
        answer = queue.ask("/consumer/poll", consumer_name="alice")
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert queue.acknowledge("alice", str(answer.json["messageId"])) == 202
        assert queue.heartbeat("alice") == 202
        assert queue.unsubscribe("alice", "t") == 202
        assert queue.do("/consumer-group/remove", consumer_group_name="g") == 202
        assert queue.heartbeat("alice") == 404


def test_every_refusal_is_404(server: Process) -> None:
    """Unknown, taken, malformed and misspelt values are refused by 404 with a reason."""
    with Queue.to(server) as queue:
        queue.topic("t")
        queue.group("g")
        queue.consumer("g", "alice", "t")
        assert queue.do("/topic/add-topic", topicName="t") == 404
        assert queue.do("/topic/add-topic", topicName="a/b") == 404
        assert queue.do("/consumer-group/remove", consumer_group_name="h") == 404
        assert queue.register("h", "bob") == 404
        assert queue.register("g", "alice") == 404
        assert queue.subscribe("alice", "t,u") == queue.unsubscribe("alice", "t,u") == 404
        assert queue.subscribe("alice", "") == queue.subscribe("alice", "t,") == 404
        assert queue.acknowledge("alice", 1) == queue.acknowledge("alice", "x") == 404
        for octets in (
            b"",
            b"[]",
            b"{",
            b'{"x": NaN}',
            b"\xff",
            b"[" * 20_000,
            b'{"consumer_group_name": "x"} x',
        ):
            answer = queue.send_octets(ADD_GROUP, octets)
            assert answer.status == 404
            assert answer.json["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/nowhere", 404),
        ("POST", "/addTopic", 404),
        ("POST", "/topic/add-topic/", 404),
        ("POST", "/publish/t", 404),
        ("GET", "/capabilities", 404),
        ("GET", "/producer", 404),
        ("GET", ADD_GROUP, 405),
        ("DELETE", ADD_GROUP, 405),
    ],
)
def test_what_is_not_there(server: Process, method: str, path: str, status: int) -> None:
    """Second spellings, extensions and capabilities are not served; the connection stays."""
    with Queue.to(server) as queue:
        answer = queue.exchange(request(method, path, b'{"consumer_group_name": "g"}'))
        assert answer.status == status
        assert ("allow" in answer.headers) == (status == 405)
        assert queue.register("g", "alice") == 404
        queue.group("g")


@pytest.mark.parametrize("path", ["/capabilities", ADD_GROUP])
def test_a_head_is_answered_without_a_body(server: Process, path: str) -> None:
    """HTTP-HEAD-1: the next reply begins behind the head of this one."""
    with Queue.to(server) as queue:
        queue.send(request("HEAD", path))
        assert queue.answer(to_head=True).status in {404, 405}
        queue.group("g")


def test_a_query_is_ignored(server: Process) -> None:
    """A query is not part of the path."""
    with Queue.to(server) as queue:
        assert queue.do(f"{ADD_GROUP}?x=1", consumer_group_name="g") == 200


@pytest.mark.parametrize(
    "headers",
    ["", "Content-Length: x\r\n", "Content-Length: -1\r\n", "Content-Length: 28\r\nContent-Length: 2\r\n"],
)
def test_lengths_that_are_none(server: Process, headers: str) -> None:
    """HTTP-LENGTH-1: a request without length is refused by 4xx, and the connection ends."""
    with Queue.to(server) as queue:
        queue.send(f'POST {ADD_GROUP} HTTP/1.1\r\n{headers}\r\n{{"consumer_group_name": "g"}}'.encode())
        assert 400 <= queue.answer().status < 500
        with pytest.raises(Ended):
            queue.take(1)
    with Queue.to(server) as queue:
        assert queue.register("g", "alice") == 404


def test_chunks_and_requests_in_one_piece(server: Process) -> None:
    """HTTP-CHUNKED-1 and HTTP-PIPE-1: a chunked body, with another request right behind it."""
    chunks = b'5;x=y\r\n{"con\r\n17\r\nsumer_group_name": "g"}\r\n0\r\nTrailer: x\r\n\r\n'
    first = request("POST", ADD_GROUP, chunks, Transfer_Encoding="chunked")
    second = request("POST", "/consumer/heartbeat", b'{"consumer_name": "alice"}')
    with Queue.to(server) as queue:
        queue.send(first + second)
        assert [queue.answer().status, queue.answer().status] == [200, 404]
        assert queue.register("g", "alice") == 200


def test_a_connection_that_is_to_end(server: Process) -> None:
    """`Connection: close` ends the connection after the answer."""
    with Queue.to(server) as queue:
        queue.send(request("POST", ADD_GROUP, b'{"consumer_group_name": "g"}', Connection="close"))
        answer = queue.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert queue.wait_for_end() == b""


@pytest.mark.parametrize("path", ["/stomp", "/consumer", "/"])
def test_there_is_one_endpoint(server: Process, path: str) -> None:
    """WebSocket connections open only at /producer."""
    with Queue.to(server) as queue:
        assert queue.exchange(upgrade(path)).status == 404
