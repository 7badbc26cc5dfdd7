"""HTTP: keep-alive, pipelining, chunks, Expect, HEAD, introspection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.server.wire import Http, Stomp, request

if TYPE_CHECKING:
    from reference_server.server import Server
    from tests.server.conftest import Serve

ADD = "/topic/add-topic"


def test_keep_alive(server: Server) -> None:
    """One connection serves many requests (HTTP-KEEP-1), and ends at the client's request."""
    with Http.to(server) as client:
        for number in range(20):
            answer = client.ask(ADD, topicName=f"t{number}")
            assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        client.send(request("GET", "/topics", Connection="close"))
        answer = client.answer()
        assert answer.headers["connection"] == "close"
        assert len(answer.json["topics"]) == 20
        assert client.wait_for_end() == b""


def test_http_1_0(server: Server) -> None:
    """A client of HTTP/1.0 gets its answer, and the connection ends."""
    with Http.to(server) as client:
        client.send(b"GET /topics HTTP/1.0\r\n\r\n")
        assert client.answer().status == 200
        assert client.wait_for_end() == b""


def test_pipelining(server: Server) -> None:
    """Pipelined requests are answered in order, refused ones too (HTTP-PIPE-1)."""
    names = [f"t{number}" for number in range(30)]
    bodies = [json.dumps({"topicName": name if name != "t7" else "t6"}).encode() for name in names]
    with Http.to(server) as client:
        client.send(b"".join(request("POST", ADD, body) for body in bodies) + request("GET", "/nothing"))
        for name in names:
            answer = client.answer()
            if name == "t7":
                assert answer.cause == "topic-exists"
            else:
                assert answer.json["topicName"] == name
        assert client.answer().status == 404


def test_octet_by_octet(server: Server) -> None:
    """A request may arrive in pieces of any size."""
    with Http.to(server) as client:
        for octet in request("POST", ADD, b'{"topicName":"slow"}'):
            client.send(bytes([octet]))
        assert client.answer().json["topicName"] == "slow"


@pytest.mark.parametrize("chunks", [[b'{"topicName":"c"}'], [b"{", b'"topicName"', b':"c"', b"}"]])
def test_chunks(server: Server, chunks: list[bytes]) -> None:
    """A chunked body is read whole (HTTP-CHUNKED-1)."""
    encoded = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    with Http.to(server) as client:
        for _ in range(2):
            client.send(request("POST", ADD, encoded, Transfer_Encoding="chunked"))
        assert client.answer().status == 200
        assert client.answer().status == 409


def test_expect(server: Server) -> None:
    """A client that waits for 100 before it sends its body gets 100."""
    body = b'{"topicName":"waited"}'
    with Http.to(server) as client:
        head = request("POST", ADD, None, Content_Length=str(len(body)), Expect="100-continue")
        assert client.exchange(head).status == 100
        assert client.exchange(body).status == 200
        client.send(request("POST", ADD, body, Expect="100-continue"))
        assert client.answer().status == 409


def test_expect_in_http_1_0(server: Server) -> None:
    """HTTP/1.0 has no interim responses: its Expect is ignored (RFC 9110, section 10.1.1)."""
    body = b'{"topicName":"waited"}'
    with Http.to(server) as client:
        octets = request("POST", ADD, body, Expect="100-continue").replace(b"HTTP/1.1", b"HTTP/1.0")
        client.send(octets[: -len(body)])
        client.send(body)
        assert client.answer().status == 200


@pytest.mark.parametrize("fields", ["X: y\r\n", "Host: a\r\nHost: b\r\n", "Host: a\r\n" + "X: y\r\n" * 300])
def test_a_refused_head(server: Server, fields: str) -> None:
    """A refusal of a HEAD has no body either."""
    with Http.to(server) as client:
        client.send(f"HEAD /health HTTP/1.1\r\n{fields}\r\n".encode())
        answer = client.answer(to_head=True)
        assert answer.status in {400, 431}
        assert client.wait_for_end() == b""


def test_head(server: Server) -> None:
    """HEAD is answered as GET is, without the body."""
    with Http.to(server) as client:
        for path in ("/topics", "/capabilities", "/nothing"):
            body = client.get(path)
            client.send(request("HEAD", path))
            answer = client.answer(to_head=True)
            assert (answer.status, answer.headers["content-length"]) == (body.status, str(len(body.body)))


@pytest.mark.parametrize(
    "path",
    [
        "/topics/t-1",
        "/topics/t%2D1",
        "/topics/%74-1?detail=1",
        "http://localhost/topics/t-1?x",
        "/topics/t-1?",
    ],
)
def test_paths(server: Server, path: str) -> None:
    """Percent-encoding is decoded once, a query is ignored, and the target may be a whole URL (HTTP-POST-1)."""
    with Http.to(server) as client:
        client.ask(ADD, topicName="t-1")
        assert client.get(path).json["topicName"] == "t-1"
        assert client.get("/topics/t%252D1").status == 404


def test_statuses_without_body(server: Server) -> None:
    """An accepted operation and an empty poll have no body (POLL-EMPTY-2)."""
    with Http.to(server) as client:
        client.ask("/consumer-group/add", consumer_group_name="g")
        client.ask("/consumer/register-consumer", consumer_group_name="g", consumer_name="c")
        for path, status in (("/consumer/heartbeat", 202), ("/consumer/poll", 204)):
            answer = client.ask(path, consumer_name="c")
            assert (answer.status, answer.body) == (status, b"")
            assert "content-type" not in answer.headers


def test_capabilities(serve: Serve) -> None:
    """The capabilities declare the settings (CAP-1, CAP-2)."""
    server = serve(brokers=2, partitions=5, heartbeat_timeout=7.5, body_bytes=5000)
    with Http.to(server) as client:
        declared = client.get("/capabilities").json
        assert (
            len(client.ask(ADD, topicName="t").json["partitions"]) == declared["defaults"]["partitions"] == 5
        )
        assert declared["defaults"]["brokers"] == 2
        assert declared["timings"]["heartbeat_timeout"] == 7.5
        assert declared["limits"]["body_bytes"] == 5000
        assert "virtual-clock" not in declared["extensions"]
        assert client.ask("/clock/advance", seconds=1).status == 404
        assert set(declared["endpoints"]) == {"stomp", "producer", "consumer"}
        for path in declared["endpoints"].values():
            with Stomp.connected(server, path=path):
                pass


def test_a_record_from_end_to_end(server: Server) -> None:
    """Publish, poll, acknowledge with a number and with a string."""
    with Http.to(server) as client:
        client.ask(ADD, topicName="news", partitions=1)
        for label in ("a", 2):
            position = client.ask("/producer/publish/news", messageID=label, message="é🎈", key="k").json
            assert position["partition"] == 0
        client.ask("/consumer-group/add", consumer_group_name="g")
        client.ask("/consumer/register-consumer", consumer_group_name="g", consumer_name="c")
        client.ask("/consumer/subscribe-topic", consumer_name="c", topic_list="news")
        for spell in (int, str):
            record = client.ask("/consumer/poll", consumer_name="c").json
            assert record["message"]["message"] == "é🎈"
            message_id = spell(record["messageId"])
            answer = client.ask("/consumer/acknowledgement", consumer_name="c", message_id=message_id)
            assert answer.status == 202
        assert client.ask("/consumer/poll", consumer_name="c").status == 204
        group = client.get("/consumer-groups/g").json
        assert [row["committed"] for row in group["assignment"]] == [2]
