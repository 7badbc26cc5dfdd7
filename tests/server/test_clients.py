"""Clients that people use, against a real server: the sample clients' libraries and stomp.py."""

from __future__ import annotations

import json
import queue
import threading
from typing import TYPE_CHECKING, Any

import pytest
import stomp
import stomper
import websocket

from tests.server.wire import DEADLINE, Http

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference_server.server import Server
    from tests.server.conftest import Serve

SPELLINGS = ("/topic/acknowledgment/news", "/topic/acknowledgement/news")


def say(link: websocket.WebSocket, text: str) -> None:
    link.send(text)


def hear(link: websocket.WebSocket) -> dict[str, Any]:
    frame: dict[str, Any] = stomper.unpack_frame(link.recv())
    return frame


@pytest.mark.parametrize("endpoint", ["/producer", "/consumer"])
@pytest.mark.parametrize("destination", ["/publish/news", "/producer/publish/news"])
def test_a_producer_that_never_connects(server: Server, endpoint: str, destination: str) -> None:
    """The sample producer SENDs `stomper` frames with labels in whole seconds, and gets both acknowledgements.

    QSTOMP-BARE-1, QSTOMP-STOMPER-1, QSTOMP-STOMPER-2, PUB-LABEL-1.
    """
    with Http.to(server) as client:
        client.ask("/topic/add-topic", topicName="news", partitions=2)
        link = websocket.create_connection(f"ws://127.0.0.1:{server.port}{endpoint}", timeout=DEADLINE)
        for number, spelling in enumerate(SPELLINGS):
            say(link, stomper.subscribe(spelling, f"acks-{number}", ack="auto"))
        labels = ["1700000000", "1700000000", "1700000001"]
        for label in labels:
            record = {"messageID": label, "key": "k", "message": "text", "timestamp": 1700000000123}
            say(link, stomper.send(destination, json.dumps(record), content_type="application/json"))
        heard: dict[str, list[str]] = {spelling: [] for spelling in SPELLINGS}
        for _ in range(6):
            frame = hear(link)
            assert frame["cmd"] == "MESSAGE"
            told = json.loads(frame["body"])
            assert told["acknowledgementMessage"] == "ACK"
            heard[frame["headers"]["destination"]].append(told["messageId"])
        assert heard == dict.fromkeys(SPELLINGS, labels)
        say(link, stomper.send("/publish/missing", json.dumps({"messageID": "x", "message": "m"})))
        say(link, stomper.disconnect("77"))
        frame = hear(link)
        assert (frame["cmd"], frame["headers"]["receipt-id"]) == ("RECEIPT", "77")
        link.close()
        assert sum(row["endOffset"] for row in client.get("/topics/news").json["partitions"]) == 3


def test_a_client_of_the_library_that_connects(server: Server) -> None:
    """The library's client on the strict endpoint, as far as its frames are valid STOMP."""
    link = websocket.create_connection(f"ws://127.0.0.1:{server.port}/stomp", timeout=DEADLINE)
    say(link, stomper.connect("", "", "localhost"))
    assert hear(link)["cmd"] == "CONNECTED"
    say(link, stomper.subscribe("/queue/a", "1", ack="client"))
    say(link, stomper.send("/queue/a", "hello"))
    frame = hear(link)
    assert (frame["cmd"], frame["body"].rstrip("\0")) == ("MESSAGE", "hello")
    say(link, stomper.ack(frame["headers"]["message-id"], "1"))
    say(link, stomper.begin("t"))
    say(link, stomper.send("/queue/a", "in a transaction", transactionid="t"))
    say(link, stomper.commit("t"))
    assert hear(link)["body"].rstrip("\0") == "in a transaction"
    link.close()


class Listener(stomp.ConnectionListener):
    """Collects the frames that stomp.py receives."""

    def __init__(self) -> None:
        self.heard: queue.SimpleQueue[tuple[str, dict[str, str], str]] = queue.SimpleQueue()
        self.beats = threading.Semaphore(0)

    def on_message(self, frame: Any) -> None:
        self.heard.put(("MESSAGE", frame.headers, frame.body))

    def on_receipt(self, frame: Any) -> None:
        self.heard.put(("RECEIPT", frame.headers, frame.body))

    def on_error(self, frame: Any) -> None:
        self.heard.put(("ERROR", frame.headers, frame.body))

    def on_heartbeat(self) -> None:
        self.beats.release()

    def next(self) -> tuple[str, dict[str, str], str]:
        return self.heard.get(timeout=DEADLINE)


class Client:
    """A connection of stomp.py over WebSocket or, where the server has a port for that, over TCP; and its listener."""

    def __init__(self, server: Server, **options: Any) -> None:
        self.listener = Listener()
        options["reconnect_attempts_max"] = 1
        if server.stomp_port is None:
            where = [("127.0.0.1", server.port)]
            self.connection = stomp.WSConnection(where, ws_path="/stomp", **options)
        else:
            where = [("127.0.0.1", server.stomp_port)]
            self.connection = stomp.Connection12(where, **options)
        self.connection.set_listener("test", self.listener)

    def receipt(self) -> str:
        """Wait for a receipt."""
        kind, headers, body = self.listener.next()
        assert kind == "RECEIPT", (kind, headers, body)
        return headers["receipt-id"]

    def message(self) -> tuple[dict[str, str], str]:
        """Wait for a message."""
        kind, headers, body = self.listener.next()
        assert kind == "MESSAGE", (kind, headers, body)
        return headers, body


@pytest.fixture(params=[{}, {"stomp_port": 0}], ids=["websocket", "tcp"])
def ports(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings of a server to which stomp.py connects over WebSocket, or over TCP."""
    settings: dict[str, Any] = request.param
    return settings


@pytest.fixture
def client(serve: Serve, ports: dict[str, Any]) -> Iterator[Client]:
    server = serve(**ports)
    client = Client(server)
    client.connection.connect(wait=True)
    yield client
    if client.connection.is_connected():
        client.connection.disconnect()


def test_stomp_py_acknowledges(client: Client) -> None:
    """Subscribe, send, ACK, NACK; rejected messages are redelivered, acknowledged ones are not."""
    connection = client.connection
    connection.subscribe("/queue/a", id="1", ack="client-individual", headers={"receipt": "s"})
    assert client.receipt() == "s"
    for body in ("first", "second: ä\n"):
        connection.send("/queue/a", body, content_type="text/plain", headers={"receipt": "r"})
    got = {}
    receipts = 0
    while len(got) < 2 or receipts < 2:
        kind, headers, body = client.listener.next()
        receipts += kind == "RECEIPT"
        if kind == "MESSAGE":
            got[body] = headers
    assert set(got) == {"first", "second: ä\n"}
    connection.nack(got["first"]["ack"])
    again, body = client.message()
    assert (body, again["redelivered"]) == ("first", "true")
    connection.ack(again["ack"], receipt="a1")
    assert client.receipt() == "a1"
    connection.ack(got["second: ä\n"]["ack"], receipt="a2")
    assert client.receipt() == "a2"
    connection.unsubscribe("1", headers={"receipt": "u"})
    assert client.receipt() == "u"


def test_stomp_py_transacts(client: Client) -> None:
    """An aborted transaction has no effect; a committed one delivers all its messages in order."""
    connection = client.connection
    connection.subscribe("/queue/a", id="1", ack="auto")
    for command in (connection.abort, connection.commit):
        transaction = connection.begin()
        for number in range(3):
            connection.send("/queue/a", f"{command.__name__} {number}", transaction=transaction)
        command(transaction)
    assert [client.message()[1] for _ in range(3)] == [f"commit {number}" for number in range(3)]


def test_stomp_py_beats(serve: Serve) -> None:
    """Heart-beats go both ways, and neither side drops the connection.

    Over WebSocket only: over TCP stomp.py counts no beats after two that it received at once.
    """
    server = serve(heartbeat_interval=0.02)
    # stomp.py gives up after a few intervals without a beat, and a busy machine may take longer than 50 ms.
    client = Client(server, heartbeats=(600, 50), heart_beat_receive_scale=200)
    client.connection.connect(wait=True)
    for _ in range(40):  # longer than the server would wait for the beats of a client that sends none
        assert client.listener.beats.acquire(timeout=DEADLINE)
    assert client.connection.is_connected()
    client.connection.send("/queue/a", "m", headers={"receipt": "r"})
    assert client.receipt() == "r"
    client.connection.disconnect()


def test_stomp_py_is_refused(serve: Serve, ports: dict[str, Any]) -> None:
    """A refused client gets the reason."""
    server = serve(user=("alice:se:cret",), **ports)
    client = Client(server)
    with pytest.raises(stomp.exception.ConnectFailedException):
        client.connection.connect("alice", "wrong", wait=True)
    assert client.listener.next()[0] == "ERROR"
    client = Client(server)
    client.connection.connect("alice", "se:cret", wait=True)
    client.connection.send("/nowhere", "m")
    kind, headers, _ = client.listener.next()
    assert (kind, headers["message"]) == ("ERROR", "unknown destination")


def test_stomp_py_works_for_a_producer(client: Client) -> None:
    """The operations of the queue, with replies and acknowledgements."""
    connection = client.connection
    connection.subscribe("/user/queue/replies", id="replies")
    connection.subscribe(SPELLINGS[0], id="acks")
    connection.send("/topic/add-topic", json.dumps({"topicName": "news"}), headers={"correlation-id": "1"})
    headers, body = client.message()
    assert (headers["status"], headers["correlation-id"], json.loads(body)["topicName"]) == (
        "200",
        "1",
        "news",
    )
    connection.send("/producer/publish/news", json.dumps({"messageID": 5, "message": "m"}))
    bodies = {
        headers["subscription"]: json.loads(body) for headers, body in (client.message(), client.message())
    }
    assert bodies["acks"] == {"messageId": 5, "acknowledgementMessage": "ACK"}
    assert bodies["replies"]["offset"] == 0
