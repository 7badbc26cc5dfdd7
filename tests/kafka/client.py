"""A client of a node, over HTTP with a connection for each request."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

#: Longest wait for an answer, in seconds.
PATIENCE = 15.0


@dataclass(frozen=True)
class Answer:
    """An answer; `status` 0: the connection was closed without one."""

    status: int
    body: Any = None
    headers: dict[str, str] | None = None


class Client:
    """Operations of the queue at one URL."""

    def __init__(self, url: str) -> None:
        self._where = urlsplit(url).netloc

    def get(self, path: str) -> Any:
        """The document at a path."""
        return self._request("GET", path, None).body

    def post(self, path: str, **members: object) -> Answer:
        """The answer to an operation."""
        return self._request("POST", path, json.dumps(members).encode())

    def _request(self, method: str, path: str, body: bytes | None) -> Answer:
        connection = http.client.HTTPConnection(self._where, timeout=PATIENCE)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            text = reply.read()
        except (ConnectionError, http.client.HTTPException):
            return Answer(0)
        finally:
            connection.close()
        return Answer(reply.status, json.loads(text) if text else None, dict(reply.getheaders()))

    def publish(self, topic: str, message: str, key: str | None = "k") -> Answer:
        """Publish a record, whose label is its message."""
        return self.post(f"/producer/publish/{topic}", messageID=message, message=message, key=key)

    def poll(self, consumer: str, **more: object) -> Answer:
        """Poll."""
        return self.post("/consumer/poll", consumer_name=consumer, **more)

    def acknowledge(self, consumer: str, message_id: int) -> Answer:
        """Acknowledge a record."""
        return self.post("/consumer/acknowledgement", consumer_name=consumer, message_id=message_id)

    def consumer(self, name: str, *, group: str | None = None, topic: str | None = None) -> Answer:
        """Add a group of the same name, and register and subscribe a consumer; the last answer."""
        self.post("/consumer-group/add", consumer_group_name=group or name)
        registered = self.post(
            "/consumer/register-consumer", consumer_group_name=group or name, consumer_name=name
        )
        if topic is None or registered.status != 200:
            return registered
        return self.post("/consumer/subscribe-topic", consumer_name=name, topic_list=topic)
