"""Adapter for RabbitMQ: quorum queues with single active consumer behind the consistent-hash exchange, through pika.

A topic is a fanout exchange. A group is a consistent-hash exchange bound to it, and behind that a quorum queue for each
partition, with `x-single-active-consumer`, and a delivery limit, without which a message that is given back goes behind
its successors: https://www.rabbitmq.com/docs/consumers#single-active-consumer, https://www.rabbitmq.com/docs/quorum-queues,
https://github.com/rabbitmq/rabbitmq-server/tree/main/deps/rabbitmq_consistent_hash_exchange. The routing key is the key
of the record. Each member consumes from all queues of its group with a prefetch of 1 each, and acknowledges after
processing; publishing uses confirms and the flag mandatory. The plugin rabbitmq_consistent_hash_exchange is needed.

    pip install pika
    python -m conformance --adapter "python adapters/rabbitmq_queues.py --port 5672"
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from common import EngineAdapter, parser
from missing import needs

from conformance.adapters.serving import Closed, Failed, Refused, serve

with needs("pika"):
    import pika
    from pika.exceptions import AMQPChannelError, AMQPConnectionError, AMQPError, NackError, UnroutableError

if TYPE_CHECKING:
    import argparse

    from pika.adapters.blocking_connection import BlockingChannel

ANSWER_SECONDS = 15.0


class RabbitMember:
    """A consumer of all queues of a group."""

    def __init__(self, options: argparse.Namespace, consumer: str, group: str, topics: list[str]) -> None:
        self.options = options
        self.connection = _connected(options)
        self.channel = self.connection.channel()
        self.channel.basic_qos(prefetch_count=10 if options.broken == "keep-given-back" else 1)
        #: Records that the twin was to give back, and keeps.
        self.kept: set[str] = set()
        #: Messages that the broker has sent and no poll has returned yet.
        self.arrived: deque[dict[str, Any]] = deque()
        self.consumer = consumer
        for topic in topics:
            for queue in _declare(self.channel, topic, group, options):
                self._consume(queue, topic)

    def _consume(self, queue: str, topic: str) -> None:
        def arrived(_: BlockingChannel, method: Any, properties: Any, body: bytes) -> None:
            self.arrived.append(
                {
                    "id": f"{self.consumer}/{method.delivery_tag}",
                    "tag": method.delivery_tag,
                    "queue": queue,
                    "topic": topic,
                    "text": body.decode(),
                    "key": (properties.headers or {}).get("key"),
                    "redelivered": bool(method.redelivered),
                }
            )
            if self.options.broken == "commit-first":
                self.channel.basic_ack(method.delivery_tag)

        self.channel.basic_consume(queue, arrived)

    def poll(self, wait: float, most: int) -> dict[str, Any]:
        """A message that has arrived, or arrives in time."""
        deadline = time.monotonic() + wait
        try:
            while not self.arrived:
                self._check()
                self.connection.process_data_events(time_limit=max(0.0, deadline - time.monotonic()))
                if time.monotonic() >= deadline:
                    break
        except (AMQPConnectionError, AMQPChannelError) as error:
            raise Closed(f"the channel is closed: {error!r}") from error
        return {"records": [self.arrived.popleft()] if self.arrived else []}

    def acknowledge(self, record: dict[str, Any]) -> None:
        """Acknowledge. AMQP has no answer to that; one to a later request on the channel shows that it was no error."""
        if record["id"] in self.kept:
            raise Refused("the record was given back")
        if self.options.broken != "commit-first":
            self._settle(lambda: self.channel.basic_ack(record["tag"]), record)

    def give_back(self, record: dict[str, Any]) -> None:
        """Put the message back into its queue."""
        if self.options.broken == "keep-given-back":
            self.kept.add(record["id"])
        else:
            self._settle(lambda: self.channel.basic_nack(record["tag"], requeue=True), record)

    def leave(self) -> None:
        """Close the connection: the broker puts back what was not acknowledged."""
        if self.options.broken != "keep-given-back" and self.connection.is_open:
            self.connection.close()

    def idle(self) -> None:
        """Send heartbeats, and take what arrives."""
        if self.connection.is_open:
            try:
                self.connection.process_data_events(time_limit=0)
            except (AMQPConnectionError, AMQPChannelError):
                return

    def _settle(self, send: Any, record: dict[str, Any]) -> None:
        try:
            self._check()
            send()
            self.channel.queue_declare(record["queue"], passive=True)
        except AMQPChannelError as error:
            # 406, unknown delivery tag: the channel is closed, and with it the consumer is gone.
            raise Closed(f"the broker closes the channel: {error!r}") from error
        except AMQPConnectionError as error:
            raise Failed(f"the connection is lost: {error!r}") from error

    def _check(self) -> None:
        if not self.channel.is_open:
            raise Closed("the channel is closed")


class RabbitQueues(EngineAdapter):
    """A RabbitMQ node, its exchanges and quorum queues."""

    name = "RabbitMQ quorum queues"

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options, RabbitMember)
        connection = _connected(options)
        self.version = str(connection._impl.server_properties["version"])
        connection.close()
        self.local = threading.local()
        self.joining = threading.Lock()
        self.facts = {
            "timings": {
                "heartbeat_timeout": options.heartbeat,
                # A peer is taken for dead when two looks, one after each heartbeat timeout, have found nothing new.
                "eviction_grace": 2 * options.heartbeat,
                "rebalance_hold": 0,
                "rebalance_limit": 1,
                "slack": options.slack,
            },
            # A queue keeps nothing that its group has acknowledged, and nothing from before it was bound.
            "frees": True,
            "starts": "newest",
            "background_heartbeats": True,
            "promises": [
                "order-by-key",
                "one-in-flight",
                "at-least-once",
                "no-phantom",
                "no-redelivery-after-acknowledgement",
                "one-owner-at-a-time",
                "redelivered-before-its-successors",
            ],
        }

    def create_topic(self, topic: str, partitions: int) -> dict[str, Any]:
        """Make the exchange of the topic; groups make the queues."""
        connection = _connected(self.options)
        connection.channel().exchange_declare(topic, "fanout", durable=True)
        connection.close()
        self.options.partitions = partitions
        return {"partitions": partitions}

    def join(self, consumer: str, group: str, topics: list[str]) -> None:
        """Start a member; one at a time, since two that declare one quorum queue at once get errors."""
        with self.joining:
            super().join(consumer, group, topics)

    def publish(self, topic: str, text: str, key: str | None) -> None:
        """Publish one message, and wait for the confirm. Without a queue the message is returned."""
        properties = pika.BasicProperties(delivery_mode=2, headers={} if key is None else {"key": key})
        routing_key = text if key is None else key
        try:
            self._channel().basic_publish(topic, routing_key, text.encode(), properties, mandatory=True)
        except (UnroutableError, NackError) as error:
            raise Refused(f"no queue takes it: {error!r}") from error

    def _channel(self) -> BlockingChannel:
        """A channel of the calling thread, with confirms, on a connection that is open."""
        connection = getattr(self.local, "connection", None)
        if connection is None or not connection.is_open:
            self.local.connection = _connected(self.options)
            self.local.channel = self.local.connection.channel()
            self.local.channel.confirm_delivery()
        return self.local.channel

    def answers(self) -> None:
        """Connect."""
        _connected(self.options).close()


def _declare(channel: BlockingChannel, topic: str, group: str, options: argparse.Namespace) -> list[str]:
    """Make the queues of a group, and bind them to the topic at last; returns their names."""
    exchange = f"{group} of {topic}"
    channel.exchange_declare(exchange, "x-consistent-hash", durable=True)
    arguments: dict[str, Any] = {"x-queue-type": "quorum"}
    if options.delivery_limit:
        arguments["x-delivery-limit"] = options.delivery_limit
    if options.broken != "two-owners":
        arguments["x-single-active-consumer"] = True
    queues = [f"{exchange}, {number}" for number in range(options.partitions)]
    for queue in queues:
        channel.queue_declare(queue, durable=True, arguments=arguments)
        channel.queue_bind(queue, exchange, routing_key="1")
    channel.exchange_bind(exchange, topic)
    return queues


def _connected(options: argparse.Namespace) -> pika.BlockingConnection:
    return pika.BlockingConnection(
        pika.ConnectionParameters(
            host=options.host,
            port=options.port,
            heartbeat=options.heartbeat,
            socket_timeout=ANSWER_SECONDS,
            blocked_connection_timeout=ANSWER_SECONDS,
        )
    )


def main() -> int:
    """Serve the adapter on standard input and output; returns the exit status, 2 if there is no RabbitMQ."""
    made = parser("rabbitmq_queues", __doc__)
    made.add_argument("--host", default="127.0.0.1", help="host of the node (default: %(default)s)")
    made.add_argument("--port", type=int, default=5672, help="port for AMQP (default: %(default)s)")
    made.add_argument(
        "--heartbeat", type=int, default=3, metavar="SECONDS", help="heartbeat timeout (default: %(default)s)"
    )
    made.add_argument(
        "--delivery-limit",
        type=int,
        default=100,
        metavar="N",
        help="drop a message that came so often; without a limit (0) a message that is given back goes to the back of "
        "its queue, behind its successors (default: %(default)s)",
    )
    options = made.parse_args()
    options.partitions = 1
    try:
        adapter = RabbitQueues(options)
    except AMQPError as error:
        print(
            f"no RabbitMQ at {options.host}:{options.port}: {error!r}; start one, or name another by --port",
            file=sys.stderr,
        )
        return 2
    return serve(adapter)


if __name__ == "__main__":
    sys.exit(main())
