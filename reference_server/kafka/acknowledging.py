"""Producer acknowledgements on this node for what other nodes stored or refused (PUB-ACK-1, PUB-ACK-3)."""

import threading
from collections.abc import Callable, Collection

from reference_server.kafka import commands as c
from reference_server.kafka.cluster import Cluster
from reference_server.kafka.entries import Entry, Place
from reference_server.kafka.records import LABEL, STORED_BY
from reference_server.kafka.replica import NODE
from reference_server.queue.outcomes import ProducerAcknowledgement

_NODE = len(NODE)


class Listening:
    """Reads records and refusals of other nodes where this node has subscribers for them.

    `tell` sends an acknowledgement to them, in a thread of the log.
    """

    def __init__(self, cluster: Cluster, tell: Callable[[list[ProducerAcknowledgement]], None]) -> None:
        self._cluster = cluster
        self._tell = tell
        self._wanted: dict[str, c.TopicRef | None] = {}
        """Topics with subscribers here, None for one that does not exist yet."""
        self._lock = threading.Lock()

    def start(self) -> None:
        """Read from now on. Raises Unavailable."""
        place = (f"{self._cluster.name}.refusals", 0)
        (end,) = self._cluster.log.ends([place])
        self._cluster.log.follow(place, end, self._refused)
        self._cluster.topics_log.after = self._changed

    def listen(self, name: str) -> None:
        """Read what is stored in a topic from now on; ask before the subscription is granted. Raises Unavailable."""
        with self._lock:
            if self._wanted.get(name) is not None:
                return
            self._wanted[name] = None
        topic = self._cluster.topic(name)
        if topic is None:
            return
        places = [(topic.store, index) for index in range(topic.partitions)]
        ends = self._cluster.log.ends(places, or_zero=True)
        self._follow(topic, dict(zip(places, ends, strict=True)))

    def keep(self, names: Collection[str]) -> None:
        """End the reading of topics that are not among these: they have no subscribers here."""
        with self._lock:
            gone = [(name, topic) for name, topic in self._wanted.items() if name not in names]
            for name, _ in gone:
                del self._wanted[name]
        for _, topic in gone:
            self._unfollow(topic)

    def _follow(self, topic: c.TopicRef, starts: dict[Place, int]) -> None:
        with self._lock:
            if self._wanted.get(topic.name, topic) is not None:
                return
            self._wanted[topic.name] = topic
        for place, start in starts.items():
            self._cluster.log.follow(place, start, lambda entries: self._stored(topic.name, entries))

    def _unfollow(self, topic: c.TopicRef | None) -> None:
        for index in range(topic.partitions if topic else 0):
            self._cluster.log.unfollow((topic.store, index))  # type: ignore[union-attr]

    def _changed(self, command: c.Command, _is_own: bool) -> None:
        """Follow topics that come, and forget those that go; the lock of their replica is held."""
        if isinstance(command, c.AddTopic) and command.name in self._wanted:
            topic = self._cluster.topics.by_name.get(command.name)
            if topic is not None and topic.store == command.store:
                self._follow(topic, {(topic.store, index): 0 for index in range(topic.partitions)})
        elif isinstance(command, c.RemoveTopic):
            with self._lock:
                topic = self._wanted.get(command.name)
                if topic is not None:
                    self._wanted[command.name] = None
            self._unfollow(topic)

    def _stored(self, topic: str, entries: list[Entry]) -> None:
        found = []
        for entry in entries:
            headers = dict(entry.headers)
            if headers.get(STORED_BY) != NODE:
                body = b'{"messageId":%b,"acknowledgementMessage":"ACK"}' % headers.get(LABEL, b'""')
                found.append(ProducerAcknowledgement(topic, body))
        if found:
            self._tell(found)

    def _refused(self, entries: list[Entry]) -> None:
        found = [
            ProducerAcknowledgement(entry.key[_NODE:].decode(), entry.value)
            for entry in entries
            if entry.key[:_NODE] != NODE
        ]
        if found:
            self._tell(found)
