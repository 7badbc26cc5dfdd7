"""Operations of the queue, alike over HTTP and STOMP: a path and a JSON body, answered by a `Reply`."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from conformance.wire.cutting import cut_octets
from conformance.wire.failures import PeerFailure, Violation
from conformance.wire.json_values import decoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.wire.frames import Frame
    from conformance.wire.http import HttpClient
    from conformance.wire.stomp import StompClient

REPLIES = "/user/queue/replies"
PUBLISH_PATHS = ("/producer/publish/", "/publish/")
#: The clauses that promise an answer to a valid request, by path.
PROMISES = {
    "/topic/add-topic": "TOPIC-ADD-1",
    "/topic/remove-topic": "TOPIC-REMOVE-1",
    "/consumer-group/add": "GROUP-ADD-1",
    "/consumer-group/remove": "GROUP-REMOVE-1",
    "/consumer/register-consumer": "MEMBER-REGISTER-1",
    "/consumer/unregister-consumer": "MEMBER-UNREGISTER-1",
    "/consumer/subscribe-topic": "MEMBER-SUBSCRIBE-1",
    "/consumer/unsubscribe-topic": "MEMBER-UNSUBSCRIBE-1",
    "/consumer/acknowledgement": "ACK-OK-1",
    "/consumer/negative-acknowledgement": "NACK-OK-1",
    "/consumer/heartbeat": "LIVE-BEAT-1",
}
_SHOWN = 500
#: Characters that the path of a URL holds unescaped (RFC 3986, section 3.3).
_PATH_CHARACTERS = "/!$&'()*+,;=:@"


@dataclass(frozen=True, slots=True)
class Reply:
    """Reply to an operation. `body` is the decoded JSON, None if the body is no JSON."""

    status: int
    body: Any
    raw: bytes
    content_type: str
    is_acknowledgement: bool = False
    """True if the status stands for ACK or FAILED: then neither its number nor the body is that of a reply."""

    def __str__(self) -> str:
        return f"{self.status} {cut_octets(self.raw, _SHOWN)}".strip()


class Operations(Protocol):
    """One client of the queue, in one binding. One thread at a time."""

    def call(self, path: str, body: object, within: float | None = None) -> Reply:
        """Perform the operation at `path`. A body of bytes is sent as it is, any other as JSON.

        Waits `within` seconds; by default the client's patience plus the `wait_seconds` of a long poll. Raises
        PeerFailure if no reply comes.
        """
        ...

    def start(self, path: str, body: object) -> Pending:
        """Send an operation without waiting for its reply."""
        ...

    def close(self) -> None:
        """Close the client's connections."""
        ...

    def cut(self) -> None:
        """Reset the client's connections, as a failing host does."""
        ...


class Pending(Protocol):
    """An operation whose reply was not read yet."""

    def reply(self, within: float | None = None) -> Reply:
        """Wait for the reply. Raises PeerFailure if it doesn't come within `within` seconds."""
        ...

    def has_come(self, within: float) -> bool:
        """True as soon as `reply` need not wait for the server; False if that isn't so within `within` seconds.

        The client may perform other operations between two calls.
        """
        ...


def encoded(body: object) -> bytes:
    """Octets of a request's body: bytes as they are, any other value as JSON."""
    return (
        body
        if isinstance(body, bytes)
        else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    )


def promise_of(path: str) -> str:
    """Clause that promises an answer to a valid request to `path`; empty for polls, which several clauses answer."""
    return "PUB-STORE-1" if path.startswith(PUBLISH_PATHS) else PROMISES.get(path, "")


def long_poll_seconds(body: object) -> float:
    """Seconds that a long poll allows the server to wait; 0.0 for other requests."""
    wait = body.get("wait_seconds") if isinstance(body, dict) else None
    return max(0.0, float(wait)) if isinstance(wait, (int, float)) else 0.0


def _media_type(header: str | None) -> str:
    return (header or "").partition(";")[0].strip().lower()


class HttpOperations:
    """Operations over HTTP: each is a POST (HTTP-POST-1)."""

    def __init__(self, client: HttpClient, new_client: Callable[[], HttpClient] | None = None) -> None:
        """`new_client` makes a client for each operation that `start` sends."""
        self.client = client
        self._new_client = new_client
        self._begun: list[HttpClient] = []

    def call(self, path: str, body: object, within: float | None = None) -> Reply:
        if within is None:
            within = self.client.patience + long_poll_seconds(body)
        return _HttpPending(self.client, path, body, within).reply()

    def start(self, path: str, body: object) -> Pending:
        if self._new_client is None:
            raise RuntimeError("operations that overlap need a connection each: give new_client")
        client = self._new_client()
        self._begun.append(client)
        return _HttpPending(client, path, body, client.patience + long_poll_seconds(body))

    def close(self) -> None:
        for client in [self.client, *self._begun]:
            client.close()
        self._begun.clear()

    def cut(self) -> None:
        for client in [self.client, *self._begun]:
            client.cut()
        self._begun.clear()


class _HttpPending:
    """A POST whose reply was not read yet."""

    def __init__(self, client: HttpClient, path: str, body: object, patience: float) -> None:
        self._client = client
        self._patience = patience
        client.start(
            "POST", quote(path, safe=_PATH_CHARACTERS), encoded(body), {"Content-Type": "application/json"}
        )

    def reply(self, within: float | None = None) -> Reply:
        answer = self._client.finish(self._patience if within is None else within)
        return Reply(answer.status, decoded(answer.body), answer.body, answer.content_type)

    def has_come(self, within: float) -> bool:
        return self._client.has_come(within)


class StompOperations:
    """Operations over STOMP: each is a SEND, answered on /user/queue/replies (QSTOMP-SEND-1, QSTOMP-REPLY-1)."""

    def __init__(self, client: StompClient) -> None:
        """Subscribe the connected `client` to its replies."""
        self.client = client
        self._correlations = itertools.count(1)
        client.subscribe(REPLIES, id="replies")

    def call(self, path: str, body: object, within: float | None = None) -> Reply:
        return self.start(path, body).reply(within)

    def start(self, path: str, body: object) -> Pending:
        correlation = f"c{next(self._correlations)}"
        self.client.send(path, encoded(body), correlation_id=correlation, content_type="application/json")
        patience = self.client.patience + long_poll_seconds(body)
        promise = "QSTOMP-REPLY-1" if path.startswith(PUBLISH_PATHS) else ""
        return _StompPending(self.client, correlation, patience, promise)

    def close(self) -> None:
        self.client.close()

    def cut(self) -> None:
        self.client.link.cut()


@dataclass(frozen=True, slots=True)
class _StompPending:
    """A SEND whose reply was not read yet."""

    client: StompClient
    correlation: str
    patience: float
    promise: str

    def reply(self, within: float | None = None) -> Reply:
        patience = self.patience if within is None else within
        try:
            frame = self.client.expect("MESSAGE", within=patience, correlation_id=self.correlation)
        except PeerFailure as silence:
            silence.promise = self.promise
            raise
        return Reply(_status(frame), decoded(frame.body), frame.body, _media_type(frame.get("content-type")))

    def has_come(self, within: float) -> bool:
        return self.client.has_come("MESSAGE", within=within, correlation_id=self.correlation)


def _status(frame: Frame) -> int:
    status = frame.get("status")
    if status is None or not (status.isascii() and status.isdigit() and len(status) == 3):
        raise Violation("QSTOMP-REPLY-1", "a reply with a status of three digits", frame)
    return int(status)


class SeparatePublishing:
    """Operations in one binding, publishing in another: for servers without http-publish."""

    def __init__(self, operations: Operations, publishing: Callable[[], Operations]) -> None:
        """`publishing` makes the operations for publishing, at the first publish."""
        self._operations = operations
        self._publishing: Operations | None = None
        self._new_publishing = publishing

    def _for(self, path: str) -> Operations:
        if not path.startswith(PUBLISH_PATHS):
            return self._operations
        if self._publishing is None:
            self._publishing = self._new_publishing()
        return self._publishing

    def call(self, path: str, body: object, within: float | None = None) -> Reply:
        return self._for(path).call(path, body, within)

    def start(self, path: str, body: object) -> Pending:
        return self._for(path).start(path, body)

    def close(self) -> None:
        self._operations.close()
        if self._publishing is not None:
            self._publishing.close()

    def cut(self) -> None:
        self._operations.cut()
        if self._publishing is not None:
            self._publishing.cut()


class QueueClient:
    """Operations by name. Each returns the reply, also a refusal; `extra` are further members of the body."""

    def __init__(self, operations: Operations) -> None:
        self.operations = operations

    def call(self, path: str, body: object, within: float | None = None) -> Reply:
        """Perform the operation at `path`; see `Operations.call`."""
        return self.operations.call(path, body, within)

    def start(self, path: str, body: object) -> Pending:
        """Send the operation at `path` without waiting for its reply."""
        return self.operations.start(path, body)

    def close(self) -> None:
        """Close the connections."""
        self.operations.close()

    def cut(self) -> None:
        """Reset the connections, as a failing host does."""
        self.operations.cut()

    def add_topic(self, name: str, **extra: Any) -> Reply:
        """Add a topic."""
        return self.call("/topic/add-topic", {"topicName": name, **extra})

    def remove_topic(self, name: str, **extra: Any) -> Reply:
        """Remove a topic (extension topic-removal)."""
        return self.call("/topic/remove-topic", {"topicName": name, **extra})

    def publish(
        self,
        topic: str,
        message_id: str | int,
        message: str,
        key: str | None = None,
        timestamp: float = 0,
        **extra: Any,
    ) -> Reply:
        """Publish a record, without a member `key` if it is None. `timestamp` is in milliseconds since 1970."""
        body = {"messageID": message_id, "message": message, "timestamp": timestamp, **extra}
        if key is not None:
            body["key"] = key
        return self.call(f"/producer/publish/{topic}", body)

    def add_group(self, group: str, **extra: Any) -> Reply:
        """Add a consumer group."""
        return self.call("/consumer-group/add", {"consumer_group_name": group, **extra})

    def remove_group(self, group: str, **extra: Any) -> Reply:
        """Remove a consumer group."""
        return self.call("/consumer-group/remove", {"consumer_group_name": group, **extra})

    def register(self, group: str, consumer: str, **extra: Any) -> Reply:
        """Register a consumer in a group."""
        body = {"consumer_group_name": group, "consumer_name": consumer, **extra}
        return self.call("/consumer/register-consumer", body)

    def unregister(self, consumer: str, **extra: Any) -> Reply:
        """Unregister a consumer from its group (extension unregister)."""
        return self.call("/consumer/unregister-consumer", {"consumer_name": consumer, **extra})

    def subscribe(self, consumer: str, *topics: str, **extra: Any) -> Reply:
        """Subscribe a consumer to topics."""
        body = {"consumer_name": consumer, "topic_list": ",".join(topics), **extra}
        return self.call("/consumer/subscribe-topic", body)

    def unsubscribe(self, consumer: str, *topics: str, **extra: Any) -> Reply:
        """Unsubscribe a consumer from topics."""
        body = {"consumer_name": consumer, "topic_list": ",".join(topics), **extra}
        return self.call("/consumer/unsubscribe-topic", body)

    def poll(self, consumer: str, **extra: Any) -> Reply:
        """Poll the next record."""
        return self.call("/consumer/poll", {"consumer_name": consumer, **extra})

    def acknowledge(self, consumer: str, message_id: object, **extra: Any) -> Reply:
        """Acknowledge a record by the `messageId` of its poll."""
        return self.call(
            "/consumer/acknowledgement", {"consumer_name": consumer, "message_id": message_id, **extra}
        )

    def negative_acknowledge(self, consumer: str, message_id: object, **extra: Any) -> Reply:
        """Return a record to its group (extension negative-acknowledgement)."""
        body = {"consumer_name": consumer, "message_id": message_id, **extra}
        return self.call("/consumer/negative-acknowledgement", body)

    def heartbeat(self, consumer: str, **extra: Any) -> Reply:
        """Send a heartbeat of a consumer."""
        return self.call("/consumer/heartbeat", {"consumer_name": consumer, **extra})
