"""A queue to look at: a server of this process, and the operations that fill it."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.request
from dataclasses import dataclass
from typing import Any, Self

from reference_server import Server

DEADLINE = 20.0
TOPICS = (
    "orders",
    "payments",
    "shipments",
    "clicks",
    "news",
    "audit",
    "users",
    "emails",
    "metrics",
    "returns-of-goods-that-nobody-wanted-to-have-in-the-first-place",
)
MEMBERS = ("alice", "bob", "carol", "dave", "erin", "frank-whose-name-is-longer.than-the-column-it-is-in")


@dataclass
class Queue:
    """Operations over HTTP; `url` is that of the page."""

    url: str
    server: Server | None = None

    @classmethod
    def of(cls, **settings: Any) -> Self:
        """Start a server."""
        server = Server(**settings)
        server.start()
        return cls(f"http://127.0.0.1:{server.port}/", server)

    def stop(self) -> None:
        assert self.server is not None
        self.server.stop()

    def advance(self, seconds: float) -> None:
        assert self.server is not None
        self.server.advance(seconds)

    def do(self, path: str, **members: Any) -> Any:
        """Perform an operation that must succeed; returns its body, or None."""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(members).encode(), headers)
        with urllib.request.urlopen(request, timeout=DEADLINE) as reply:
            body = reply.read()
        return json.loads(body) if body else None

    def topic(self, name: str, partitions: int = 4) -> None:
        self.do("topic/add-topic", topicName=name, partitions=partitions)

    def publish(self, topic: str, count: int) -> None:
        for number in range(count):
            self.do(f"producer/publish/{topic}", messageID=number, message="hello")

    def join(self, group: str, member: str, *topics: str) -> None:
        self.do("consumer-group/add", consumer_group_name=group)
        self.do("consumer/register-consumer", consumer_group_name=group, consumer_name=member)
        if topics:
            self.do("consumer/subscribe-topic", consumer_name=member, topic_list=",".join(topics))

    def poll(self, member: str) -> Any:
        return self.do("consumer/poll", consumer_name=member)

    def poll_all(self, member: str) -> None:
        """Poll until every partition of the member has a record in flight, or is empty."""
        while self.poll(member) is not None:
            pass

    def fill(self) -> None:
        """Ten topics of eight partitions, two groups, six members, records of which some are in flight."""
        for name in TOPICS:
            self.topic(name, 8)
        for index, member in enumerate(MEMBERS):
            self.join("readers" if index < 4 else "auditors-of-everything", member, *TOPICS)
        for place, name in enumerate(TOPICS[:5]):
            self.publish(name, 12 + 7 * place)
        for member in MEMBERS[:5]:
            for _ in range(6):
                record = self.poll(member)
                self.do("consumer/acknowledgement", consumer_name=member, message_id=record["messageId"])
        for member in MEMBERS[:4]:
            self.poll_all(member)


class Process(subprocess.Popen[bytes]):
    """A process that is killed at the end of its block."""

    def __exit__(self, *failure: object) -> None:
        self.kill()
        super().__exit__(*failure)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        return int(link.getsockname()[1])
