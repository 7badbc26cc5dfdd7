"""The operations of the queue, the same over HTTP and over STOMP: a path and a JSON body, answered by a `Reply`."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from conformance.wire.failures import Violation

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.wire.frames import Frame
    from conformance.wire.http import HttpClient
    from conformance.wire.stomp import StompClient

REPLIES = "/user/queue/replies"
PUBLISH_PATHS = ("/producer/publish/", "/publish/")
_SHOWN = 500
#: What may stand in the path of a URL as it is (RFC 3986, section 3.3).
_PATH_CHARACTERS = "/!$&'()*+,;=:@"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of an operation: its status, and its body, decoded where it is JSON and else None."""

    status: int
    body: Any
    raw: bytes
    content_type: str

    def __str__(self) -> str:
        return f"{self.status} {self.raw[:_SHOWN].decode('utf-8', 'replace')}".strip()


class Operations(Protocol):
    """One client of the queue, in whatever binding. One thread at a time."""

    def call(self, path: str, body: object, within: float | None = None) -> Reply:
        """Perform the operation at `path`. A body of bytes is sent as it is, anything else as JSON.

        Waits `within` seconds; by default the client's patience and, for a long poll, its `wait_seconds`. Raises
        PeerFailure where no reply comes.
        """
        ...

    def start(self, path: str, body: object) -> Pending:
        """Begin an operation, and go on without its reply."""
        ...

    def close(self) -> None:
        """End the client's connections."""
        ...


class Pending(Protocol):
    """An operation that was begun."""

    def reply(self, within: float | None = None) -> Reply:
        """Wait for the reply; raises PeerFailure where it doesn't come within so many seconds."""
        ...


def encoded(body: object) -> bytes:
    """The octets of a request's body."""
    return (
        body
        if isinstance(body, bytes)
        else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    )


def long_poll_seconds(body: object) -> float:
    """How long the server may take on purpose."""
    wait = body.get("wait_seconds") if isinstance(body, dict) else None
    return max(0.0, float(wait)) if isinstance(wait, (int, float)) else 0.0


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None


def _media_type(header: str | None) -> str:
    return (header or "").partition(";")[0].strip().lower()


class HttpOperations:
    """Each operation is a POST (HTTP-POST-1)."""

    def __init__(self, client: HttpClient, new_client: Callable[[], HttpClient] | None = None) -> None:
        """`new_client` makes a client for each operation that is begun by `start`."""
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
        return Reply(answer.status, _decoded(answer.body), answer.body, answer.content_type)


class StompOperations:
    """Each operation is a SEND, answered on the session's own queue of replies (QSTOMP-SEND-1, QSTOMP-REPLY-1)."""

    def __init__(self, client: StompClient) -> None:
        """Subscribe `client`, which is connected, to its replies."""
        self.client = client
        self._correlations = itertools.count(1)
        client.subscribe(REPLIES, id="replies")

    def call(self, path: str, body: object, within: float | None = None) -> Reply:
        return self.start(path, body).reply(within)

    def start(self, path: str, body: object) -> Pending:
        correlation = f"c{next(self._correlations)}"
        self.client.send(path, encoded(body), correlation_id=correlation, content_type="application/json")
        patience = self.client.patience + long_poll_seconds(body)
        return _StompPending(self.client, correlation, patience)

    def close(self) -> None:
        self.client.close()


@dataclass(frozen=True, slots=True)
class _StompPending:
    """A SEND whose reply was not read yet."""

    client: StompClient
    correlation: str
    patience: float

    def reply(self, within: float | None = None) -> Reply:
        patience = self.patience if within is None else within
        frame = self.client.expect("MESSAGE", within=patience, correlation_id=self.correlation)
        return Reply(_status(frame), _decoded(frame.body), frame.body, _media_type(frame.get("content-type")))


def _status(frame: Frame) -> int:
    status = frame.get("status")
    if status is None or not (status.isascii() and status.isdigit() and len(status) == 3):
        raise Violation("QSTOMP-REPLY-1", "a reply with a status of three digits", frame)
    return int(status)


class SeparatePublishing:
    """Operations in one binding, but publishing in another: for servers that don't publish over HTTP."""

    def __init__(self, operations: Operations, publishing: Callable[[], Operations]) -> None:
        """`publishing` is called at the first publish."""
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


class QueueClient:
    """The operations by name. Each returns the reply, whatever it is; `extra` are further members of the body."""

    def __init__(self, operations: Operations) -> None:
        self.operations = operations

    def call(self, path: str, body: object, within: float | None = None) -> Reply:
        """Perform any operation."""
        return self.operations.call(path, body, within)

    def start(self, path: str, body: object) -> Pending:
        """Begin any operation."""
        return self.operations.start(path, body)

    def close(self) -> None:
        """End the connections."""
        self.operations.close()

    def add_topic(self, name: str, **extra: Any) -> Reply:
        """Add a topic."""
        return self.call("/topic/add-topic", {"topicName": name, **extra})

    def publish(
        self,
        topic: str,
        message_id: str | int,
        message: str,
        key: str | None = None,
        timestamp: float = 0,
        **extra: Any,
    ) -> Reply:
        """Publish a record; without `key` the member is left out. `timestamp` in milliseconds since 1970."""
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
        """Let a consumer leave (extension unregister)."""
        return self.call("/consumer/unregister-consumer", {"consumer_name": consumer, **extra})

    def subscribe(self, consumer: str, *topics: str, **extra: Any) -> Reply:
        """Subscribe a consumer to topics."""
        body = {"consumer_name": consumer, "topic_list": ",".join(topics), **extra}
        return self.call("/consumer/subscribe-topic", body)

    def unsubscribe(self, consumer: str, *topics: str, **extra: Any) -> Reply:
        """Let a consumer give up topics."""
        body = {"consumer_name": consumer, "topic_list": ",".join(topics), **extra}
        return self.call("/consumer/unsubscribe-topic", body)

    def poll(self, consumer: str, **extra: Any) -> Reply:
        """Ask for the next record."""
        return self.call("/consumer/poll", {"consumer_name": consumer, **extra})

    def acknowledge(self, consumer: str, message_id: object, **extra: Any) -> Reply:
        """Acknowledge a record by the id that the poll gave it."""
        return self.call(
            "/consumer/acknowledgement", {"consumer_name": consumer, "message_id": message_id, **extra}
        )

    def negative_acknowledge(self, consumer: str, message_id: object, **extra: Any) -> Reply:
        """Give a record back (extension negative-acknowledgement)."""
        body = {"consumer_name": consumer, "message_id": message_id, **extra}
        return self.call("/consumer/negative-acknowledgement", body)

    def heartbeat(self, consumer: str, **extra: Any) -> Reply:
        """Tell that a consumer is alive."""
        return self.call("/consumer/heartbeat", {"consumer_name": consumer, **extra})
