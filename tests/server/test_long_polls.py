"""Long polls over sockets: answered when a record is available, and only to clients that are still connected."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from reference_server.server.long_poll import LongPoll
from tests.server.wire import Http, Stomp, eventually, request

if TYPE_CHECKING:
    from reference_server.server import Server
    from tests.server.conftest import Serve

LONG = {"consumer_name": "c", "wait_seconds": 20}
BODY = json.dumps(LONG).encode()


@pytest.fixture
def client(server: Server) -> Http:
    """A client, with a topic and a consumer of it on the server."""
    client = Http.to(server)
    client.ask("/topic/add-topic", topicName="news", partitions=1)
    client.ask("/consumer-group/add", consumer_group_name="g")
    client.ask("/consumer/register-consumer", consumer_group_name="g", consumer_name="c")
    client.ask("/consumer/subscribe-topic", consumer_name="c", topic_list="news")
    return client


def waiting(server: Server) -> int:
    """Number of long polls that wait."""
    return server.application._broker._waiting


def test_over_http(server: Server, client: Http) -> None:
    """A long poll is answered when a record is published (POLL-WAIT-1)."""
    with client, Http.to(server) as other:
        client.send(request("POST", "/consumer/poll", BODY))
        eventually(lambda: waiting(server) == 1, "it does not wait")
        other.ask("/publish/news", messageID=1, message="m")
        answer = client.answer()
        assert (answer.status, answer.json["message"]["message"]) == (200, "m")
        client.send(request("POST", "/consumer/poll", BODY))
        eventually(lambda: waiting(server) == 1, "it does not wait")
        other.ask("/consumer/unregister-consumer", consumer_name="c")
        assert client.answer().cause == "consumer-unknown"


def test_many_times(server: Server, client: Http) -> None:
    """No record is lost if a publish and the start of a wait coincide."""
    with client, Http.to(server) as other:
        for number in range(300):
            client.send(request("POST", "/consumer/poll", BODY))
            other.send(
                request(
                    "POST", "/publish/news", json.dumps({"messageID": 1, "message": f"{number}"}).encode()
                )
            )
            record = client.answer().json
            assert record["message"]["message"] == str(number)
            assert other.answer().status == 200
            accepted = client.ask(
                "/consumer/acknowledgement", consumer_name="c", message_id=record["messageId"]
            )
            assert accepted.status == 202
    assert waiting(server) == 0


def test_the_end_of_its_time(server: Server, client: Http) -> None:
    """A long poll is answered as empty at its deadline (POLL-WAIT-2)."""
    with client:
        assert client.ask("/consumer/poll", consumer_name="c", wait_seconds=0.05).status == 204
        assert waiting(server) == 0


def test_pipelined_requests_wait_for_their_turn(server: Server, client: Http) -> None:
    """Answers come in order, also after a long poll (HTTP-PIPE-1, POLL-WAIT-3)."""
    with client, Http.to(server) as other:
        client.send(request("GET", "/topics") + request("POST", "/consumer/poll", BODY))
        assert client.answer().json["topics"]
        eventually(lambda: waiting(server) == 1, "it does not wait")
        client.send(request("GET", "/nothing") * 2)
        other.ask("/publish/news", messageID=1, message="m")
        assert [client.answer().status for _ in range(3)] == [200, 404, 404]


@pytest.mark.parametrize("path", ["/stomp", "http"])
def test_a_client_that_is_gone(server: Server, client: Http, path: str) -> None:
    """A client that is gone gets no record: the next poll does (POLL-WAIT-5)."""
    with client:
        if path == "http":
            with Http.to(server) as gone:
                gone.send(request("POST", "/consumer/poll", BODY))
                eventually(lambda: waiting(server) == 1, "it does not wait")
        else:
            with Stomp.connected(server) as session:
                session.say("SEND", {"destination": "/consumer/poll"}, BODY)
                eventually(lambda: waiting(server) == 1, "it does not wait")
        eventually(lambda: waiting(server) == 0, "it still waits")
        client.ask("/publish/news", messageID=1, message="m")
        assert client.ask("/consumer/poll", consumer_name="c").status == 200


@pytest.mark.parametrize(
    "acts", [("read",), ("cancel",), ("resume",), ("read", "resume"), ("cancel", "resume")]
)
def test_an_eviction_is_noticed(serve: Serve, acts: tuple[str, ...]) -> None:
    """The next owner's long poll is answered by the first call that notices an eviction (POLL-WAIT-1)."""
    server = serve(virtual_clock=True, partitions=1)
    application = server.application
    with Http.to(server) as client, Http.to(server) as other:
        client.ask("/topic/add-topic", topicName="news")
        client.ask("/publish/news", messageID=1, message="m")
        for group, name in (("g", "holder"), ("g", "next"), ("h", "elsewhere")):
            client.ask("/consumer-group/add", consumer_group_name=group)
            client.ask("/consumer/register-consumer", consumer_group_name=group, consumer_name=name)
        for name in ("holder", "next"):
            client.ask("/consumer/subscribe-topic", consumer_name=name, topic_list="news")
        assert client.ask("/consumer/poll", consumer_name="holder").status == 200
        other.send(request("POST", "/consumer/poll", b'{"consumer_name":"next","wait_seconds":30}'))
        waiter, session = LongPoll(), application.open_session(lenient=False)
        assert (
            application.perform("/consumer/poll", b'{"consumer_name":"elsewhere","wait_seconds":30}', waiter)
            is None
        )
        eventually(lambda: waiting(server) == 2, "they do not wait")
        application.clock.advance(31)  # As in real time, no call has ticked the queue since.
        for act in acts:
            match act:
                case "read":
                    application.read("/topics")
                case "cancel":
                    application.cancel(waiter)
                case "resume":
                    application.resume(session)
        other.link.settimeout(5)
        assert other.answer().json["redelivered"] is True
        application.cancel(waiter)


def test_over_stomp(server: Server, client: Http) -> None:
    """The session is served during a long poll; reply and receipt come with the record (POLL-WAIT-1, POLL-WAIT-3)."""
    with client, Stomp.connected(server) as session:
        session.subscribe("/user/queue/replies")
        headers = {"destination": "/consumer/poll", "correlation-id": "p", "receipt": "r"}
        session.say("SEND", headers, BODY)
        assert session.fence() == []
        client.ask("/publish/news", messageID=1, message="m")
        reply = session.expect("MESSAGE")
        assert (reply["status"], reply["correlation-id"]) == ("200", "p")
        assert session.expect("RECEIPT")["receipt-id"] == "r"
        session.say("SEND", {"destination": "/consumer/poll"}, BODY.replace(b"20", b"0.05"))
        assert session.expect("MESSAGE")["status"] == "204"


def test_stopping(serve: Serve) -> None:
    """A server stops without waiting for long polls."""
    server = serve()
    with Http.to(server) as client:
        client.ask("/topic/add-topic", topicName="news", partitions=1)
        client.ask("/consumer-group/add", consumer_group_name="g")
        client.ask("/consumer/register-consumer", consumer_group_name="g", consumer_name="c")
        client.send(request("POST", "/consumer/poll", BODY))
        eventually(lambda: waiting(server) == 1, "it does not wait")


@pytest.mark.parametrize("door", ["http", "stomp"])
def test_the_removal_of_its_topic_ends_a_long_poll(server: Server, client: Http, door: str) -> None:
    """A long poll is answered 204 when the only topic of its consumer is removed (TOPIC-REMOVE-9)."""
    with client, Http.to(server) as other, Stomp.connected(server) as session:
        session.subscribe("/user/queue/replies")
        if door == "http":
            client.send(request("POST", "/consumer/poll", BODY))
        else:
            session.say("SEND", {"destination": "/consumer/poll"}, BODY)
        eventually(lambda: waiting(server) == 1, "it does not wait")
        assert other.ask("/topic/remove-topic", topicName="news").status == 202
        status = client.answer().status if door == "http" else int(session.expect("MESSAGE")["status"])
        assert (status, waiting(server)) == (204, 0)
