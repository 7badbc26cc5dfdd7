"""`python -m tests.kafka.measures`: rates and latencies of nodes on one Kafka broker, and the memory of a node.

    python -m tests.kafka.measures
    python -m tests.kafka.measures --seconds 10 --records 5000000 --record
    python -m tests.kafka.measures --only memory --records 5000000 --record

All in one run on one machine, so that its ratios can be compared: publishing with receipts beside a bare producer of
confluent-kafka with as many records in flight, one node beside two, polls with acknowledgements, and the peak of a
node's memory while so many records of 100 octets are published. `--record` writes the figures to docs/figures.json;
`python -m tests.figures` takes them from there to docs/on-kafka.md.

Exit status: 0, 1 if a node answered wrongly, 2 for wrong usage, or where Kafka can't be had.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import statistics
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from tests.brokers.installing import CannotInstall
from tests.brokers.running import CannotStart
from tests.figures.on_kafka import MEMORY
from tests.figures.store import own_command, record
from tests.kafka.client import Client
from tests.kafka.cluster import Cluster, running
from tests.kafka.nodes import Node
from tests.load.connection import LoadFailed, Server
from tests.load.flows import Bounds
from tests.load.workloads import BODY_BYTES, PUBLISH_WINDOW, publish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import KafkaError

#: Most records of one measurement of a rate.
MOST = 10_000_000
#: Rounds of the rates; each ratio is the median of those within a round.
ROUNDS = 5
#: Polls with an acknowledgement of which the latency is the median.
POLLS = 400
_UNTIL_STORED = 60.0


def bare_rate(cluster: Cluster, seconds: float) -> float:
    """Records a second of a producer without a node in between, PUBLISH_WINDOW in flight, stored as a node has them."""
    from confluent_kafka import Producer

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


def rates(cluster: Cluster, seconds: float) -> dict[str, Any]:
    """Rates and latencies, each printed as it comes."""
    figures: dict[str, Any] = {"cores": os.cpu_count(), "window": PUBLISH_WINDOW, "rounds": ROUNDS}
    with Node(cluster.url) as one:
        Client(one.url).post("/topic/add-topic", topicName="bare", partitions=1)
        with Node(cluster.url) as two:
            rounds = [_round(cluster, [one, two], seconds) for _ in range(ROUNDS)]
        of_bare = [one_node / bare for bare, one_node, _ in rounds]
        of_one = [two_nodes / one_node for _, one_node, two_nodes in rounds]
        figures["of bare"] = _said("one node, of the bare producer", statistics.median(of_bare))
        figures["of bare range"] = [round(min(of_bare), 2), round(max(of_bare), 2)]
        figures["of one"] = _said("two nodes, of one", statistics.median(of_one))
        figures["of one range"] = [round(min(of_one), 2), round(max(of_one), 2)]
        figures["poll ms"] = _said("poll and acknowledge, median ms", poll_latency(one))
    return figures


def memory(cluster: Cluster, records: int) -> dict[str, Any]:
    """The peak of a node's memory, printed."""
    with Node(cluster.url) as node:
        server = Server(node.url.replace("http", "ws") + "/stomp")
        publish(server, Bounds(records, 3600.0), 1)
        peak = _said(f"peak of a node with {records:,} records, MB", peak_megabytes(node))
    return {"records": records, "peak MB": peak}


def _round(cluster: Cluster, nodes: Sequence[Node], seconds: float) -> tuple[float, float, float]:
    """Rates of the bare producer, of one node and of two, one after another."""
    rates = bare_rate(cluster, seconds), node_rate(nodes[:1], seconds), node_rate(nodes, seconds)
    print("records/s: bare {:.0f}, one node {:.0f}, two nodes {:.0f}".format(*rates), flush=True)
    return rates


def _said(name: str, value: float) -> float:
    print(f"{name:50} {value:10.2f}", flush=True)
    return round(value, 2)


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.kafka.measures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="time of each rate in a round (default: 3)"
    )
    parser.add_argument(
        "--records", type=int, default=1_000_000, help="records for the memory (default: 1,000,000)"
    )
    parser.add_argument("--only", choices=["rates", "memory"], help="measure only these")
    parser.add_argument("--record", action="store_true", help="write docs/figures.json")
    values = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end the processes, as at Ctrl-C
    figures: dict[str, dict[str, Any]] = {}
    try:
        with running() as cluster:
            if values.only != "memory":
                figures["kafka"] = rates(cluster, values.seconds)
            if values.only != "rates":
                figures[MEMORY] = memory(cluster, values.records)
    except (CannotInstall, CannotStart) as error:
        print(f"tests.kafka.measures: {error}", file=sys.stderr)
        return 2
    except (LoadFailed, OSError) as error:
        print(f"tests.kafka.measures: {error}", file=sys.stderr)
        return 1
    for name, found in figures.items() if values.record else ():
        record(name, found, own_command("tests.kafka.measures"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
