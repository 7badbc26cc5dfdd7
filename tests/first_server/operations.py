"""The operations of the queue: a path or a topic, the octets of a JSON body, and the answer to them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tests.first_server.bodies import Body, Failed, Refused
from tests.first_server.faults import LABEL_AS_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.first_server.broker import Broker

#: Status of an empty poll.
NOTHING = 509


@dataclass(frozen=True)
class Reply:
    """The answer to an operation over HTTP. `body` is JSON, or empty."""

    status: int
    body: bytes = b""

    @property
    def content_type(self) -> str:
        """The media type of the body."""
        return "application/json" if self.status < 400 else "application/problem+json"


class Operations:
    """All operations on one broker."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._by_path: dict[str, Callable[[Body], Reply]] = {
            "/topic/add-topic": self._add_topic,
            "/addTopic": self._add_topic,
            "/consumer-group/add": self._add_group,
            "/consumer-group/remove": self._remove_group,
            "/consumer/register-consumer": self._register,
            "/consumer/subscribe-topic": self._subscribe,
            "/consumer/unsubscribe-topic": self._unsubscribe,
            "/consumer/poll": self._poll,
            "/consumer/acknowledgement": self._acknowledge,
            "/consumer/heartbeat": self._heartbeat,
        }

    def serves(self, path: str) -> bool:
        """True if the path is that of an operation."""
        return path in self._by_path

    def perform(self, path: str, octets: bytes) -> Reply:
        """Perform the operation at a known path. Every refusal has the status 404."""
        try:
            return self._by_path[path](Body(octets, self.broker.faults))
        except Refused as refusal:
            return problem(404, str(refusal))
        except Failed as failure:
            return problem(500, str(failure))

    def publish(self, topic: str, octets: bytes, *, hash_is_torn: bool = False) -> dict[str, Any]:
        """Store a record; returns the acknowledgement for its producers, ACK or FAILED with a reason."""
        label = None
        try:
            body = Body(octets, self.broker.faults)
            label = body.label_to_tell()
            told = body.label()
            message, key, timestamp = body.text("message"), body.key(), body.timestamp()
            self.broker.store(topic, message, key, timestamp, hash_is_torn=hash_is_torn)
        except Refused as refusal:
            return {"messageId": label, "acknowledgementMessage": "FAILED", "reason": str(refusal)}
        named = str(told) if LABEL_AS_TEXT in self.broker.faults else told
        return {"messageId": named, "acknowledgementMessage": "ACK"}

    # The operations by path

    def _add_topic(self, body: Body) -> Reply:
        self.broker.add_topic(body.new_name("topicName"))
        return Reply(200)

    def _add_group(self, body: Body) -> Reply:
        self.broker.add_group(body.new_name("consumer_group_name"))
        return Reply(200)

    def _remove_group(self, body: Body) -> Reply:
        self.broker.remove_group(body.text("consumer_group_name"))
        return Reply(202)

    def _register(self, body: Body) -> Reply:
        self.broker.register(body.text("consumer_group_name"), body.new_name("consumer_name"))
        return Reply(200)

    def _subscribe(self, body: Body) -> Reply:
        self.broker.subscribe(body.text("consumer_name"), body.topic_list())
        return Reply(200)

    def _unsubscribe(self, body: Body) -> Reply:
        self.broker.unsubscribe(body.text("consumer_name"), body.topic_list())
        return Reply(202)

    def _poll(self, body: Body) -> Reply:
        found = self.broker.poll(body.text("consumer_name"))
        if found is None:
            return Reply(NOTHING)
        message_id, record = found
        message = {
            "message": record.message,
            "key": record.key,
            "topicName": record.topic,
            "timestamp": record.timestamp,
        }
        return Reply(200, encoded({"messageId": message_id, "message": message}))

    def _acknowledge(self, body: Body) -> Reply:
        self.broker.acknowledge(body.text("consumer_name"), body.message_id())
        return Reply(202)

    def _heartbeat(self, body: Body) -> Reply:
        self.broker.heartbeat(body.text("consumer_name"))
        return Reply(202)


def encoded(document: object) -> bytes:
    """A JSON document as octets."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def problem(status: int, detail: str) -> Reply:
    """A refusal with its reason."""
    title = HTTPStatus(status).phrase
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    # The reason may quote a text that UTF-8 can't encode.
    return Reply(status, json.dumps(document).encode())
