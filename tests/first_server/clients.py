"""Clients of the stand-in that send plain octets: operations over HTTP, records over STOMP."""

from __future__ import annotations

import json
import select
import threading
import time
from typing import TYPE_CHECKING, Any

from tests.server.wire import DEADLINE, TEXT, Answer, Http, Stomp, frame, request, stomp_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from tests.first_server.conftest import Process

    Holding = dict[int, str]

ACKNOWLEDGEMENTS = "/topic/acknowledgement/"


class Queue(Http):
    """The operations over HTTP. Those without a status return it; the others assert that they succeed."""

    def do(self, path: str, /, **members: Any) -> int:
        """Perform an operation; returns the status."""
        return self.ask(path, **members).status

    def send_octets(self, path: str, body: bytes) -> Answer:
        """POST these octets."""
        return self.exchange(request("POST", path, body))

    def put(self, path: str, /, **members: Any) -> None:
        """Send an operation; `answer` reads its reply."""
        self.send(request("POST", path, json.dumps(members).encode()))

    def topic(self, name: str) -> None:
        assert self.do("/topic/add-topic", topicName=name) == 200

    def group(self, name: str) -> None:
        assert self.do("/consumer-group/add", consumer_group_name=name) == 200

    def consumer(self, group: str, name: str, topics: str = "") -> None:
        """Register a consumer, and subscribe it to the topics of the list."""
        assert self.register(group, name) == 200
        if topics:
            assert self.subscribe(name, topics) == 200

    def register(self, group: str, name: str) -> int:
        return self.do("/consumer/register-consumer", consumer_group_name=group, consumer_name=name)

    def subscribe(self, consumer: str, topics: str) -> int:
        return self.do("/consumer/subscribe-topic", consumer_name=consumer, topic_list=topics)

    def unsubscribe(self, consumer: str, topics: str) -> int:
        return self.do("/consumer/unsubscribe-topic", consumer_name=consumer, topic_list=topics)

    def heartbeat(self, consumer: str) -> int:
        return self.do("/consumer/heartbeat", consumer_name=consumer)

    def acknowledge(self, consumer: str, message_id: object) -> int:
        return self.do("/consumer/acknowledgement", consumer_name=consumer, message_id=message_id)

    def poll(self, consumer: str) -> tuple[int, str] | None:
        """The id and the message of the next record; None if the poll gives none."""
        answer = self.ask("/consumer/poll", consumer_name=consumer)
        if answer.status != 200:
            assert answer.status == 509, answer
            return None
        return answer.json["messageId"], answer.json["message"]["message"]

    def sweep(self, consumer: str) -> Holding:
        """Poll until a poll is empty, and hold all records: messages by id."""
        held: Holding = {}
        while (record := self.poll(consumer)) is not None:
            held[record[0]] = record[1]
        return held

    def settle(self, consumer: str, held: Holding) -> None:
        """Acknowledge a record that the consumer holds."""
        for message_id in held:
            assert self.acknowledge(consumer, message_id) == 202

    def drain(self, consumer: str) -> list[str]:
        """Poll and acknowledge until a poll is empty; returns the messages."""
        messages = []
        while (record := self.poll(consumer)) is not None:
            messages.append(record[1])
            assert self.acknowledge(consumer, record[0]) == 202
        return messages

    def is_silent(self, seconds: float) -> bool:
        """True if no octet arrives for so long."""
        return not select.select([self.link], [], [], seconds)[0]


class Producer(Stomp):
    """A producer that starts without CONNECT and is subscribed to the acknowledgements of one topic."""

    topic = ""

    @classmethod
    def of(cls, server: Process, topic: str) -> Self:
        """Open a connection to /producer and SUBSCRIBE."""
        producer = cls.to(server, "/producer")
        producer.topic = topic
        producer.say("SUBSCRIBE", {"id": "acks", "destination": ACKNOWLEDGEMENTS + topic})
        return producer

    def publish(self, message: object, key: object = None, **more: Any) -> dict[str, Any]:
        """SEND a record; returns its acknowledgement."""
        self.put({"messageID": "label", "message": message, "key": key, **more})
        return self.told()

    def store(self, *messages: str, key: str | None = None) -> None:
        """Store records of one key, or of none."""
        for message in messages:
            assert self.publish(message, key)["acknowledgementMessage"] == "ACK"

    def burst(self, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """SEND records in one piece of octets; returns their acknowledgements."""
        self.send(b"".join(frame(TEXT, self._frame(record)) for record in records))
        return [self.told() for _ in records]

    def put(self, record: object) -> None:
        """SEND a record, or octets as they are."""
        self.send(frame(TEXT, self._frame(record)))

    def told(self) -> dict[str, Any]:
        """The next acknowledgement."""
        message = self.expect("MESSAGE")
        assert message["destination"] == ACKNOWLEDGEMENTS + self.topic
        assert message["subscription"] == "acks"
        document: dict[str, Any] = json.loads(message.body)
        return document

    def _frame(self, record: object) -> bytes:
        body = record if isinstance(record, bytes) else json.dumps(record).encode()
        return stomp_frame("SEND", {"destination": f"/publish/{self.topic}"}, body)


def comes(condition: Callable[[], bool], within: float = DEADLINE) -> bool:
    """True as soon as the condition holds, False if it does not within so many seconds."""
    give_up = time.monotonic() + within
    never = threading.Event()
    while not condition():
        if time.monotonic() > give_up:
            return False
        never.wait(0.01)
    return True
