"""Fresh destinations, and proof of the messages that are in them."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from tests.load.connection import PATIENCE, Connection, LoadFailed, Server

LAST = b"the last message"


@dataclass(frozen=True)
class Destination:
    """A destination of SEND; `topic` is the name of the topic that it publishes to, empty for a queue."""

    path: str
    headers: dict[str, str]
    topic: str = ""


def fresh_queue(server: Server) -> Destination:
    """A queue that nobody has used."""
    return Destination(server.queue.format(name=_fresh_name()), server.headers)


def fresh_broadcast() -> Destination:
    """A plain destination whose messages go to each subscriber."""
    return Destination(f"/topic/{_fresh_name()}", {})


def fresh_topic(server: Server) -> Destination:
    """A new topic of a partitioned queue; on a server without one (404 to the request over HTTP) a queue."""
    name = _fresh_name()
    if _ask(server, "/topic/add-topic", {"topicName": name}) is None:
        return fresh_queue(server)
    return Destination(server.records.format(name=name), {}, name)


def check_stored(server: Server, destination: Destination, count: int) -> None:
    """Raise LoadFailed unless `count` messages are in the destination; a queue is empty afterwards."""
    topic = destination.topic
    found = _records(server, topic) if topic else _messages(server, destination)
    if found != count:
        raise LoadFailed(f"{server.url} has {found} messages in {destination.path}; {count} must be there")


def _messages(server: Server, queue: Destination) -> int:
    """Messages that a new subscription gets before the one that is sent after it."""
    with Connection(server) as connection:
        path = {"destination": queue.path}
        connection.send_frame("SUBSCRIBE", path | queue.headers | {"id": "0", "ack": "auto"})
        connection.send_frame("SEND", path | queue.headers, LAST)
        found = sum(octets.count(b"MESSAGE\n") for octets in connection.read_past(LAST))
        # A subscription whose connection has just been closed may still be given what a later one waits for.
        connection.fence("UNSUBSCRIBE", {"id": "0"})
    return found - 1


def _records(server: Server, topic: str) -> int:
    """Records of a topic by the end offsets of its partitions."""
    described = _ask(server, f"/topics/{topic}", None) or {}
    return sum(partition["endOffset"] for partition in described.get("partitions", ()))


def _ask(server: Server, path: str, body: dict[str, str] | None) -> dict[str, Any] | None:
    """The reply to a POST, or to a GET without a body; None for 404. Raises LoadFailed and OSError."""
    host, port = server.address
    request = urllib.request.Request(
        f"http://{f'[{host}]' if ':' in host else host}:{port}{path}",
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            answer: dict[str, Any] = json.load(reply)
            return answer
    except urllib.error.HTTPError as refusal:
        with refusal:
            if refusal.code == 404:
                return None
            raise LoadFailed(f"{server.url} answered {refusal.code} to {path}") from refusal


def _fresh_name() -> str:
    return f"load-{secrets.token_hex(4)}"
