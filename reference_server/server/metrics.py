"""The metrics in the format of Prometheus, collected at each scrape from the state that is there.

Topics and groups have the names that clients gave them: a bounded number has series of its own, and one more series has
the sum of the rest. The lock is held only while lists are copied; numbers are read without it.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate
from typing import TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from reference_server.events import BOUNDS, Histogram
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Cursor, Group
from reference_server.queue.outcomes import Outcome
from reference_server.queue.topic import Topic
from reference_server.server.application import Application
from reference_server.stomp.negotiation import VERSIONS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TOPICS = 200
"""Topics with series of their own, oldest first."""
PARTITIONS = 1000
"""Partitions of groups with a series of their own, those of the oldest groups first."""
REST = "(others)"
"""The label of all others: no name may have brackets (NAME-1)."""
_PIECE = 1000
Copied = TypeVar("Copied")


class Metrics(Collector):
    """Collects the metrics of one server; one for all connections."""

    def __init__(self, application: Application, connections: Callable[[], int]) -> None:
        """`connections` returns the number of open ones."""
        self._application = application
        self._connections = connections
        self._one_at_a_time = threading.Lock()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def write(self) -> Outcome:
        """Return the metrics of this moment."""
        with self._one_at_a_time:
            return Outcome(200, generate_latest(self._registry), CONTENT_TYPE)

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; called by the registry."""
        events, budget = self._application.events, self._application.budget
        broker = self._application.operations.broker
        yield _gauge("open_connections", "Open TCP connections.", self._connections())
        yield self._sessions()
        frames = _counter("frames", "STOMP frames, without heart-beats.", "direction")
        frames.add_metric(["received"], events.frames_received)
        frames.add_metric(["sent"], events.frames_sent)
        yield frames
        for event in ("connection", "rebalance", "eviction"):
            family = _counter(f"{event}s", f"{event.capitalize()}s since the start.")
            family.add_metric([], events.counts.get(event, 0))
            yield family
        refusals = _counter("refusals", "Refused requests, frames and connections.", "cause")
        for cause, count in events.refusals.copy().items():
            refusals.add_metric([cause], count)
        yield refusals
        yield _gauge("topics", "Topics.", len(broker.topics))
        yield _gauge("consumer_groups", "Consumer groups.", len(broker.groups))
        yield _gauge("consumers", "Registered consumers.", len(broker.consumers))
        yield _gauge("kept_bytes", "Octets that the server keeps.", budget.used)
        yield _gauge("kept_bytes_limit", "Octets that it may keep (--total-bytes).", budget.bound)
        yield from self._topics()
        yield self._lag()
        yield _histogram("lock_wait_seconds", "Time that a step waited for the lock.", {"": events.lock_wait})
        text = "Time in which a request was performed, without the wait of a long poll."
        yield _histogram("request_seconds", text, events.request_time, "binding")

    def _sessions(self) -> Metric:
        found = self._application.look(
            lambda peers: Counter(each.version for each in peers if each.liveness.begun and not each.closing)
        )
        sessions = _gauge("sessions", "Connected STOMP sessions.", None, "version")
        for version in VERSIONS:
            sessions.add_metric([version], found[version])
        return sessions

    def _topics(self) -> Iterator[Metric]:
        topics = self._copy(lambda broker: list(broker.topics.values()))
        rows = [(topic.name, [topic]) for topic in topics[:TOPICS]]
        if rest := topics[TOPICS:]:
            rows.append((REST, rest))
        records = _counter("records", "Records published to topics that are there.", "topic")
        octets = _gauge("topic_bytes", "Octets of the keys and messages of a topic.", None, "topic")
        for name, some in rows:
            records.add_metric([name], _sum(some, lambda partition: partition.end))
            octets.add_metric([name], _sum(some, lambda partition: partition.octets))
        yield records
        yield octets

    def _lag(self) -> Metric:
        names = ("group", "topic", "partition")
        lag = _gauge("lag_records", "Records that a group has not acknowledged.", None, *names)
        number, rest = -1, 0
        for number, (group, cursor) in enumerate(self._cursors()):
            partition = cursor.partition
            # Read in this order: the end only grows.
            behind = -cursor.committed + partition.end
            if number < PARTITIONS:
                lag.add_metric([group, partition.topic, str(partition.index)], behind)
            else:
                rest += behind
        if number >= PARTITIONS:
            lag.add_metric([REST] * 3, rest)
        return lag

    def _cursors(self) -> Iterator[tuple[str, Cursor]]:
        groups = self._copy(lambda broker: list(broker.groups.values()))
        for start in range(0, len(groups), _PIECE):
            piece = groups[start : start + _PIECE]
            for name, topics in self._copy(partial(_copy_cursors, piece)):
                yield from ((name, cursor) for cursors in topics for cursor in cursors)

    def _copy(self, see: Callable[[QueueBroker], Copied]) -> Copied:
        """Return what `see` copies under the lock."""
        return self._application.look(lambda _: see(self._application.operations.broker))


def _copy_cursors(groups: list[Group], _: QueueBroker) -> list[tuple[str, list[list[Cursor]]]]:
    return [(group.name, list(group.cursors.values())) for group in groups]


def _sum(topics: list[Topic], of: Callable[..., int]) -> int:
    return sum(of(partition) for topic in topics for partition in topic.partitions)


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"stompliance_{name}", text, labels=labels)


def _gauge(name: str, text: str, value: float | None, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"stompliance_{name}", text, value, labels=labels or None)


def _histogram(name: str, text: str, values: dict[str, Histogram], *labels: str) -> HistogramMetricFamily:
    family = HistogramMetricFamily(f"stompliance_{name}", text, labels=labels)
    for label, histogram in values.items():
        bounds = [*map(str, BOUNDS), "+Inf"]
        buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
        family.add_metric([label] if labels else [], buckets, histogram.total)
    return family
