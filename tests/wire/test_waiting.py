"""Waiting for one reply between other operations of the same client, in one thread."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from conformance.wire.failures import PeerFailure
from conformance.wire.http import HttpClient
from conformance.wire.operations import HttpOperations, QueueClient, StompOperations
from conformance.wire.stomp import StompClient
from conformance.wire.websocket import WebSocketLink
from reference_server.config import Settings
from reference_server.server import Server
from tests.server.wire import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.wire.operations import Operations

#: Seconds: longer than any reply takes here.
LONG = 10.0


@pytest.fixture
def server() -> Iterator[Server]:
    """A reference server on a free port."""
    with Server(Settings(port=0)) as running:
        yield running


def _link(server: Server) -> WebSocketLink:
    return WebSocketLink(f"ws://127.0.0.1:{server.port}/producer", ["v12.stomp"])


def _operations(server: Server, binding: str) -> Operations:
    if binding == "http":
        return HttpOperations(
            HttpClient("127.0.0.1", server.port), lambda: HttpClient("127.0.0.1", server.port)
        )
    client = StompClient(_link(server))
    client.connect()
    return StompOperations(client)


@pytest.mark.parametrize("binding", ["http", "stomp"])
def test_a_reply_is_waited_for_between_other_operations(server: Server, binding: str) -> None:
    """A long poll has not come while its queue is empty, has come after a publish, and is read then."""
    queue = QueueClient(_operations(server, binding))
    queue.add_topic("t")
    queue.add_group("g")
    queue.register("g", "c")
    queue.subscribe("c", "t")
    pending = queue.start("/consumer/poll", {"consumer_name": "c", "wait_seconds": LONG})
    for _ in range(3):
        assert not pending.has_come(0.01)
        assert queue.heartbeat("c").status == 202
    queue.publish("t", "1", "m")
    assert pending.has_come(LONG)
    assert pending.has_come(0.0)
    assert pending.reply().body["message"]["message"] == "m"
    assert queue.heartbeat("c").status == 202
    queue.close()


@pytest.mark.parametrize("binding", ["http", "stomp"])
def test_a_reply_that_can_not_come_is_not_waited_for(server: Server, binding: str) -> None:
    """The wait ends with the connection, and reading the reply says that."""
    queue = QueueClient(_operations(server, binding))
    queue.add_topic("t")
    queue.add_group("g")
    queue.register("g", "c")
    queue.subscribe("c", "t")
    pending = queue.start("/consumer/poll", {"consumer_name": "c", "wait_seconds": LONG})
    server.stop()
    assert pending.has_come(LONG)
    with pytest.raises(PeerFailure):
        pending.reply(0.0)
    queue.close()


def test_one_thread_reads_a_link(server: Server) -> None:
    """A second reader would take a part of the stream from the first: it is refused, and nothing is lost."""
    client = StompClient(_link(server))
    client.connect()
    client.subscribe("/topic/t", id="1", receipt="subscribed")
    client.expect("RECEIPT", receipt_id="subscribed")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(client.expect("MESSAGE", within=LONG).body))
    reader.start()
    eventually(lambda: client.link._is_reading, "the first thread waits")
    with pytest.raises(RuntimeError, match="two threads"):
        client.listen(LONG)
    other = StompClient(_link(server))
    other.connect()
    other.send("/topic/t", b"m")
    reader.join(LONG)
    assert got == [b"m"]
    client.close()
    other.close()
