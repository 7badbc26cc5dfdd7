"""`python -m tests.kafka.measures`: rates and latencies of nodes on one Kafka broker, and the memory of a node.

    python -m tests.kafka.measures
    python -m tests.kafka.measures --seconds 10 --records 5000000 --record

All in one run on one machine, so that its ratios can be compared: publishing with receipts beside a bare producer of
confluent-kafka with as many records in flight, one node beside two, polls with acknowledgements, and the peak of a
node's memory while so many records of 100 octets go through it. `--record` writes the figures to docs/figures.json;
`python -m tests.figures` takes them from there to docs/on-kafka.md.

Exit status: 0, 1 if a node answered wrongly, 2 for wrong usage, or where Kafka can't be had.
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import sys
import threading
import time
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from confluent_kafka import KafkaError, Producer

from tests.brokers.installing import CannotInstall
from tests.brokers.running import CannotStart
from tests.figures.store import own_command, record
from tests.kafka.client import Client
from tests.kafka.cluster import Cluster, running
from tests.kafka.nodes import Node
from tests.load.connection import LoadFailed, Server
from tests.load.flows import Bounds
from tests.load.workloads import BODY_BYTES, PUBLISH_WINDOW, publish

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Most records of one measurement of a rate.
MOST = 10_000_000
#: Polls with an acknowledgement of which the latency is the median.
POLLS = 400
_UNTIL_STORED = 60.0


def bare_rate(cluster: Cluster, seconds: float) -> float:
    """Records a second of a producer without a node in between, PUBLISH_WINDOW in flight, stored as a node has them."""
    producer = Producer(
        {
            "bootstrap.servers": cluster.addresses,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 0,
            "socket.nagle.disable": True,
        }
    )
    (topic,) = [
        name for name in producer.list_topics(timeout=10).topics if name.startswith("stompliance-bare-")
    ]
    body, stored, sent = b"x" * BODY_BYTES, 0, 0

    def delivered(error: KafkaError | None, _message: Any) -> None:
        nonlocal stored
        if error is not None:
            raise LoadFailed(f"the bare producer: {error}")
        stored += 1

    began = time.perf_counter()
    while time.perf_counter() < began + seconds:
        while sent - stored < PUBLISH_WINDOW:
            producer.produce(topic, body, b"key", 0, delivered)
            sent += 1
        producer.poll(0.1)
    producer.flush(_UNTIL_STORED)
    return stored / (time.perf_counter() - began)


def node_rate(nodes: Sequence[Node], seconds: float) -> float:
    """Records a second with receipts, PUBLISH_WINDOW in flight at each node, the nodes at the same time."""
    rates: list[float] = []
    failures: list[Exception] = []

    def measure(node: Node) -> None:
        try:
            server = Server(node.url.replace("http", "ws") + "/stomp")
            rates.append(publish(server, Bounds(MOST, seconds), 1)["rate"])
        except (LoadFailed, OSError) as error:
            failures.append(error)

    threads = [threading.Thread(target=measure, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(rates)


def poll_latency(node: Node) -> float:
    """Median time, in milliseconds, of a poll with the acknowledgement of its record, over one HTTP connection."""
    name, client = f"polls-{secrets.token_hex(3)}", Client(node.url)
    client.post("/topic/add-topic", topicName=name, partitions=1)
    client.consumer(name, topic=name)
    for number in range(POLLS):
        client.publish(name, str(number))
    connection = HTTPConnection(urlsplit(node.url).netloc, timeout=30)
    times = []
    for _ in range(POLLS):
        began = time.perf_counter()
        found = _post(connection, "/consumer/poll", consumer_name=name)
        _post(connection, "/consumer/acknowledgement", consumer_name=name, message_id=found["messageId"])
        times.append(1000 * (time.perf_counter() - began))
    connection.close()
    return statistics.median(times)


def _post(connection: HTTPConnection, path: str, **members: object) -> Any:
    connection.request("POST", path, msgspec.json.encode(members), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    body = reply.read()
    if reply.status not in {200, 202}:
        raise LoadFailed(f"{path} was answered by {reply.status} {body[:200]!r}")
    return msgspec.json.decode(body) if body else None


def peak_megabytes(node: Node) -> float:
    """The most memory that the process of a node had."""
    assert node.process is not None
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def measured(cluster: Cluster, seconds: float, records: int) -> dict[str, Any]:
    """All figures, each printed as it comes."""
    figures: dict[str, Any] = {"cores": os.cpu_count(), "window": PUBLISH_WINDOW, "records": records}
    with Node(cluster.url) as one:
        Client(one.url).post("/topic/add-topic", topicName="bare", partitions=1)
        figures["bare"] = _said("bare producer, records/s", bare_rate(cluster, seconds))
        figures["one node"] = _said("one node, records/s", node_rate([one], seconds))
        figures["poll ms"] = _said("poll and acknowledge, median ms", poll_latency(one))
        with Node(cluster.url) as two:
            figures["two nodes"] = _said("two nodes, records/s", node_rate([one, two], seconds))
        server = Server(one.url.replace("http", "ws") + "/stomp")
        publish(server, Bounds(records, 3600.0), 1)
        figures["peak MB"] = _said(f"peak of the node with {records:,} records more, MB", peak_megabytes(one))
    return figures


def _said(name: str, value: float) -> float:
    print(f"{name:50} {value:10.1f}", flush=True)
    return round(value, 2)


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.kafka.measures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="time of each rate (default: 5)")
    parser.add_argument(
        "--records", type=int, default=1_000_000, help="records for the memory (default: 1,000,000)"
    )
    parser.add_argument("--record", action="store_true", help="write docs/figures.json")
    values = parser.parse_args()
    try:
        with ExitStack() as stack:
            figures = measured(stack.enter_context(running()), values.seconds, values.records)
    except (CannotInstall, CannotStart) as error:
        print(f"tests.kafka.measures: {error}", file=sys.stderr)
        return 2
    except (LoadFailed, OSError) as error:
        print(f"tests.kafka.measures: {error}", file=sys.stderr)
        return 1
    print(f"a node publishes {figures['one node'] / figures['bare']:.2f} times the bare producer's rate")
    print(f"two nodes publish {figures['two nodes'] / figures['one node']:.2f} times the rate of one")
    if values.record:
        record("kafka", figures, own_command("tests.kafka.measures"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
