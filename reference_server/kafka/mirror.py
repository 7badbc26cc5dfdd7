"""Committed offsets, mirrored to consumer groups of Kafka now and then: for its tools, which show the lag by them."""

import contextlib
import threading
from concurrent.futures import TimeoutError as FutureTimeoutError

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from reference_server.kafka.cluster import Cluster
from reference_server.kafka.replica import Replica
from reference_server.kafka.shard import LogTopic, Shard

_EVERY = 10.0
"""Seconds between two rounds."""
_MOST = 100
"""Groups of one round; the others come in the next ones."""

Offsets = dict[tuple[str, int], int]


class Mirror:
    """Writes committed offsets of the groups that this node follows; nothing here ever reads them back."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._written: dict[str, Offsets] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kafka-mirror", daemon=True)

    def start(self) -> None:
        """Write from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY):
            offsets: dict[str, Offsets] = {}
            for replica in self._cluster.followed():
                offsets |= _committed(replica)
            self._written = {name: found for name, found in self._written.items() if name in offsets}
            changed = [name for name, found in offsets.items() if self._written.get(name) != found]
            for name in changed[:_MOST]:
                if self._stopping.is_set():
                    return
                with contextlib.suppress(KafkaException, FutureTimeoutError):
                    self._write(name, offsets[name])
                    self._written[name] = offsets[name]

    def _write(self, name: str, offsets: Offsets) -> None:
        partitions = [TopicPartition(store, index, offset) for (store, index), offset in offsets.items()]
        group = ConsumerGroupTopicPartitions(f"{self._cluster.name}-{name}", partitions)
        timeout = self._cluster.log.timeout
        asked = self._cluster.log.admin.alter_consumer_group_offsets([group], request_timeout=timeout)
        for future in asked.values():
            future.result(timeout=timeout + 1)


def _committed(replica: Replica) -> dict[str, Offsets]:
    """Committed offsets by group, and by Kafka topic and partition; those of groups that committed something."""
    machine = replica.machine
    assert isinstance(machine, Shard)
    found: dict[str, Offsets] = {}
    with replica.lock:
        for group in machine.broker.groups.values():
            offsets: Offsets = {}
            for cursor in group.all_cursors():
                topic = machine.broker.topics[cursor.partition.topic]
                assert isinstance(topic, LogTopic)
                offsets[topic.ref.store, cursor.partition.index] = cursor.committed
            if any(offsets.values()):
                found[group.name] = offsets
    return found
