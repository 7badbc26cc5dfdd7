"""Adapter for NATS JetStream with durable pull consumers, through nats-py.

A topic is one stream for each partition, with one subject; the producer chooses it by a hash of the key. A group is one
durable consumer of each stream, which all members pull from. It has `max_ack_pending` 1, the documented way to strict
order: https://docs.nats.io/nats-concepts/jetstream/consumers. Each message is acknowledged after it was processed, and
the server's answer to that is waited for (double acknowledgement); a message without one comes again after --ack-wait
seconds. There are no members in the server, and no heartbeats of them.

    pip install nats-py
    python -m conformance --adapter "python adapters/nats_jetstream.py --server nats://127.0.0.1:4222"
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from typing import TYPE_CHECKING, Any

from common import EngineAdapter, parser, partition_of
from missing import needs

from conformance.adapters.serving import NoAnswer, Refused, serve

with needs("nats-py"):
    import nats
    from nats.errors import TimeoutError as NoReply
    from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamConfig
    from nats.js.errors import APIError, NotFoundError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Coroutine

    from nats.aio.client import Client
    from nats.aio.msg import Msg

ANSWER_SECONDS = 10.0


class _Connection:
    """A connection, with the loop of its client in a thread of its own. Methods are for one thread at a time."""

    def __init__(self, server: str) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.client: Client = self.run(nats.connect(server, connect_timeout=ANSWER_SECONDS, error_cb=_silent))
        self.jetstream = self.client.jetstream(timeout=ANSWER_SECONDS)

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        """Result of a call of the client. Raises NoAnswer if no answer came."""
        try:
            return asyncio.run_coroutine_threadsafe(call, self._loop).result(2 * ANSWER_SECONDS)
        except (NoReply, TimeoutError) as error:
            raise NoAnswer("the server did not answer") from error


class NatsMember:
    """A member of a group: a client that pulls from the durable consumers of the group."""

    def __init__(self, options: argparse.Namespace, consumer: str, group: str, topics: list[str]) -> None:
        self.options = options
        self.connection = _Connection(options.server)
        self.group = f"{group}-{consumer}" if options.broken == "two-owners" else group
        #: Number of each stream, by its name.
        self.streams: dict[str, tuple[str, int]] = {}
        for topic in topics:
            while self._make_consumer(topic, len(self.streams)):
                pass
        self.held: dict[str, Msg] = {}
        self.turn = 0

    def _make_consumer(self, topic: str, number: int) -> bool:
        """Make the durable consumer of one partition; returns False if there is no such partition."""
        configuration = ConsumerConfig(
            durable_name=self.group,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self.options.ack_wait,
            max_ack_pending=1,
        )
        try:
            self.connection.run(self.connection.jetstream.add_consumer(_stream(topic, number), configuration))
        except NotFoundError:
            return False
        self.streams[_stream(topic, number)] = topic, number
        return True

    def poll(self, wait: float, most: int) -> dict[str, Any]:
        """Ask one partition after the other, for an equal part of the time each."""
        for _ in self.streams:
            self.turn += 1
            stream = list(self.streams)[self.turn % len(self.streams)]
            if (message := self.connection.run(self._next(stream, wait / len(self.streams)))) is not None:
                return {"records": [self._record(stream, message)]}
        return {"records": []}

    async def _next(self, stream: str, wait: float) -> Msg | None:
        """The next message of a stream, None if there is none within `wait` seconds.

        `fetch` of nats-py makes the same request; it can't tell the server's answer that there is none from silence.
        """
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{self.group}"
        request = json.dumps({"batch": 1, "expires": max(1, int(wait * 1e9))}).encode()
        # A message comes with its own subject, by which the shared inbox of the new style doesn't find the request.
        message = await self.connection.client.request(
            subject, request, timeout=ANSWER_SECONDS, old_style=True
        )
        status = (message.headers or {}).get("Status")
        if status in ("404", "408", "409"):
            return None
        if status is not None:
            raise APIError.from_msg(message)
        return message

    def acknowledge(self, record: dict[str, Any]) -> None:
        """Acknowledge, and wait until the server has noted it."""
        if self.options.broken != "commit-first":
            self._acknowledge(self._message(record))

    def give_back(self, record: dict[str, Any]) -> None:
        """Ask for redelivery at once."""
        if self.options.broken != "keep-given-back":
            self.connection.run(self._message(record).nak())
            self.connection.run(self.connection.client.flush())

    def leave(self) -> None:
        """Close the connection; what is held comes again after `ack_wait`."""
        if self.options.broken != "keep-given-back":
            self.connection.run(self.connection.client.drain())

    def idle(self) -> None:
        """Tell the server again and again that messages are worked on, in the twin that never gives one back."""
        if self.options.broken == "keep-given-back":
            for message in self.held.values():
                self.connection.run(message.in_progress())

    def _acknowledge(self, message: Msg) -> None:
        self.connection.run(self.connection.client.request(message.reply, b"+ACK", timeout=ANSWER_SECONDS))
        self.held.pop(message.reply, None)

    def _message(self, record: dict[str, Any]) -> Msg:
        if record["id"] not in self.held:
            raise Refused("the client has settled this message")
        return self.held[record["id"]]

    def _record(self, stream: str, message: Msg) -> dict[str, Any]:
        topic, partition = self.streams[stream]
        self.held[message.reply] = message
        if self.options.broken == "commit-first":
            self._acknowledge(message)
        place = message.metadata
        return {
            "id": message.reply,
            "topic": topic,
            "text": message.data.decode(),
            "key": (message.headers or {}).get("key"),
            "partition": partition,
            "offset": place.sequence.stream - 1,
            "redelivered": place.num_delivered > 1,
        }


class NatsJetStream(EngineAdapter):
    """A NATS server, its streams and their durable consumers."""

    name = "NATS JetStream"

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options, NatsMember)
        self.connection = _Connection(options.server)
        version = self.connection.client.connected_server_version
        self.version = f"{version.major}.{version.minor}.{version.patch}"
        #: Number of partitions of each topic.
        self.topics: dict[str, int] = {}
        self.facts = {
            # The server has no members. A message is free again after `ack_wait`, whatever its consumer does.
            "timings": {
                "heartbeat_timeout": options.ack_wait,
                "eviction_grace": 0,
                "rebalance_hold": 0,
                "rebalance_limit": options.ack_wait,
                "acknowledgement_timeout": options.ack_wait,
                "slack": options.slack,
            },
            "tells": ["positions", "emptiness"],
            "promises": [
                "order-within-partition",
                "order-by-key",
                "one-in-flight",
                "at-least-once",
                "no-phantom",
                # The answer to an acknowledgement says that the server has received it; the state of a consumer is
                # written up to 0.1 s later, so that a kill may undo it.
                *(
                    []
                    if options.restart
                    else ["no-redelivery-after-acknowledgement", "commit-never-goes-back"]
                ),
                "start-at-the-oldest",
                "redelivered-before-its-successors",
                "true-marks",
            ],
        }

    def create_topic(self, topic: str, partitions: int) -> dict[str, Any]:
        """Make a stream for each partition."""
        for number in range(partitions):
            name = _stream(topic, number)
            self.connection.run(
                self.connection.jetstream.add_stream(StreamConfig(name=name, subjects=[name]))
            )
        self.topics[topic] = partitions
        return {"partitions": partitions}

    def publish(self, topic: str, text: str, key: str | None) -> dict[str, Any]:
        """Publish to the stream of the key, and wait for the server's acknowledgement."""
        partition = partition_of(key, text, self.topics[topic])
        headers = None if key is None else {"key": key}
        sent = self.connection.jetstream.publish(_stream(topic, partition), text.encode(), headers=headers)
        return {"partition": partition, "offset": self.connection.run(sent).seq - 1}

    def answers(self) -> None:
        """Ask JetStream for its account."""
        self.connection.run(self.connection.jetstream.account_info())


async def _silent(_: Exception) -> None:
    """Drop an error that the client would print; calls raise it as well."""


def _stream(topic: str, partition: int) -> str:
    return f"{topic}-{partition}"


def main() -> int:
    """Serve the adapter on standard input and output; returns the exit status, 2 if there is no JetStream."""
    made = parser("nats_jetstream", __doc__)
    made.add_argument(
        "--server", default="nats://127.0.0.1:4222", metavar="URL", help="the server (default: %(default)s)"
    )
    made.add_argument(
        "--ack-wait",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="a message that was not acknowledged for so long comes again (default: %(default)s)",
    )
    options = made.parse_args()
    try:
        adapter = NatsJetStream(options)
        adapter.answers()
    except (NoAnswer, OSError, nats.errors.Error) as error:
        print(
            f"no JetStream at {options.server}: {error}; start `nats-server -js`, or name another by --server",
            file=sys.stderr,
        )
        return 2
    return serve(adapter)


if __name__ == "__main__":
    sys.exit(main())
