"""The logs of one node: what exists in Kafka, what this node follows, and what all nodes agree on."""

import contextlib
import hashlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from confluent_kafka import KafkaException

from reference_server.config import ConfigError, Settings
from reference_server.events import tell
from reference_server.kafka import snapshots
from reference_server.kafka.admin import NewStore
from reference_server.kafka.commands import Begin, Release, TopicRef
from reference_server.kafka.directory import Claims, Topics
from reference_server.kafka.log import Log, Unavailable
from reference_server.kafka.records import Cache, RecordReader
from reference_server.kafka.replica import NODE, Replica
from reference_server.kafka.shard import Shard
from reference_server.kafka.stores import Stores

SHARDS = 16
"""Partitions of the log of groups: the hash of a group's name chooses one, so the number can't change."""
_AGREED = ("heartbeat_timeout", "eviction_grace", "rebalance_timeout", "brokers")
"""Settings on which the commands of groups depend."""
_LOG = {"message.timestamp.type": "LogAppendTime", "retention.ms": "-1", "retention.bytes": "-1"}
START_SECONDS = 15.0
"""Longest time that a node which starts waits for Kafka, but for the wait that is under way by then."""
_PAUSE = 0.5
"""Seconds between two attempts at a step of the start."""
_CLIENT_OPTIONS = ("security.", "sasl.", "ssl.", "client.id", "enable.ssl.")
"""Beginnings of the settings of the client library that a user may make; a node depends on others."""
_LATE = 0.4
"""Part of the grace that an eviction uses: commands of a live consumer may be late by it."""
_CACHE = 8
"""Part of `total_bytes` that is for records."""
_SMALL_INDEX = {"segment.index.bytes": "1048576"}


class Cluster:
    """Knowledge of the logs on this node, and their names. All names in Kafka begin with `log_name`."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError for a `log` or `log_option` that is none."""
        self.settings = settings
        servers = servers_of(settings.log)
        self._listed = len(servers.split(","))
        self.log = Log(servers, settings.log_timeout, client_options(settings.log_option))
        self.stores = Stores(self.log)
        self.reader = RecordReader(self.log, Cache(settings.total_bytes // _CACHE))
        name = self.name = settings.log_name
        self.topics = Topics(settings.topics, settings.all_partitions)
        self.topics_log = Replica(self.log, (f"{name}.topics", 0), self.topics)
        self.claims = Claims()
        self.claims_log = Replica(self.log, (f"{name}.claims", 0), self.claims)
        self._shards: dict[int, Replica[Shard]] = {}
        self._opening = [threading.Lock() for _ in range(SHARDS)]
        self.ends: dict[tuple[int, int], int] = {}
        """The highest end of each partition of records that this node knows, by serial and index."""
        self.watch: Callable[[Replica[Shard]], None] = lambda _replica: None
        """Called with each shard that is followed anew."""
        self._replication = 1
        self._thresholds: dict[tuple[str, int], int] = {}
        self._writing = threading.Lock()
        self._stopping = threading.Event()

    # Start and end

    def start(self) -> None:
        """Read what is there, and make what is missing; Kafka may start at the same time as the node.

        Raises ConfigError if it can't be used after START_SECONDS.
        """
        self.log.start()
        self.reader.start()
        settings = {each: getattr(self.settings, each) for each in _AGREED}
        deadline = time.monotonic() + START_SECONDS
        self._retried(self._create_logs, deadline)
        self._retried(lambda: self._open(self.topics_log, 0), deadline)
        self._retried(lambda: self._open(self.claims_log, 1), deadline)
        agreed = self._retried(lambda: self.topics_log.run(Begin(settings)), deadline)
        for each in _AGREED:
            if agreed.get(each) != getattr(self.settings, each):
                raise ConfigError(
                    f"{each} is {getattr(self.settings, each):g} here, and {agreed.get(each):g} on the nodes that "
                    f"began the log {self.name!r}. Start every node with the same value, or name another log by "
                    "--log-name."
                )
        threading.Thread(target=self._keep_snapshots, name="kafka-snapshots", daemon=True).start()

    def _retried(self, step: Callable[[], Any], deadline: float) -> Any:
        """Result of a step, which may be carried out several times. Raises ConfigError after the deadline."""
        while True:
            try:
                return step()
            except (Unavailable, ConnectionError, KafkaException) as error:
                if time.monotonic() > deadline or self._stopping.wait(_PAUSE):
                    raise ConfigError(
                        f"The log {self.settings.log} cannot be used: {self.log.contact.explain(error)}"
                    ) from None

    def stop(self) -> None:
        """End all threads."""
        self._stopping.set()
        self.reader.stop()
        self.log.stop()

    def _create_logs(self) -> None:
        topics, brokers = self.log.topics()
        # Brokers that are listed and not there yet will be: fewer copies would be for ever.
        self._replication = min(3, max(brokers, self._listed))
        sizes = {"topics": 1, "claims": 1, "groups": SHARDS, "snapshots": SHARDS + 2, "refusals": 1}
        missing = [
            NewStore(f"{self.name}.{each}", count, self._replication, self._config(_LOG | _SMALL_INDEX))
            for each, count in sizes.items()
            if f"{self.name}.{each}" not in topics
        ]
        if missing:
            self.stores.create(missing)

    def _config(self, more: dict[str, str]) -> dict[str, str]:
        # Each acknowledged entry is on two brokers of three.
        return more | {"min.insync.replicas": "2" if self._replication > 2 else "1"}

    # Replicas

    def shard(self, group: str) -> Replica[Shard]:
        """The replica of the shard of a group, read to what was its end. Raises Unavailable."""
        return self.shard_at(shard_of(group))

    def shard_at(self, index: int) -> Replica[Shard]:
        """The replica of a shard by its number; it is followed from now on. Raises Unavailable."""
        found = self._shards.get(index)
        if found is not None:
            found.used = time.monotonic()
            return found
        with self._opening[index]:
            if index in self._shards:
                return self._shards[index]
            late = self.settings.heartbeat_timeout + _LATE * self.settings.eviction_grace
            machine = Shard(msgspec.structs.replace(self.settings, heartbeat_timeout=late))
            replica = Replica(self.log, (f"{self.name}.groups", index), machine)
            self._open(replica, index + 2)
            self._shards[index] = replica
            self.watch(replica)
            return replica

    def followed(self) -> list[Replica[Shard]]:
        """The shards that this node follows."""
        return list(self._shards.values())

    def unfollow(self, replica: Replica[Shard]) -> None:
        """Forget a shard that nobody here asks about."""
        with self._opening[replica.place[1]]:
            self._shards.pop(replica.place[1], None)
            self.log.unfollow(replica.place)

    def _open(self, replica: Replica[Any], number: int) -> None:
        replica.lost = lambda each: threading.Thread(
            target=self._recover, args=(each, number), name="kafka-recovery", daemon=True
        ).start()
        self._read(replica, number)
        try:
            replica.catch_up()
        except Unavailable:
            self.log.unfollow(replica.place)
            raise

    def _read(self, replica: Replica[Any], number: int) -> None:
        snapshots.load(self.log, (f"{self.name}.snapshots", number), replica)
        self._thresholds[replica.place] = replica.applied + _next_snapshot()
        self.log.follow(replica.place, replica.applied, replica.deliver)

    def _recover(self, replica: Replica[Any], number: int) -> None:
        """Take a snapshot in place of entries that are gone: this node was away for long."""
        tell(logging.WARNING, "log-gap", log=replica.place[0], partition=replica.place[1])
        self.log.unfollow(replica.place)
        while not self._stopping.wait(0.2):
            with contextlib.suppress(Unavailable):
                replica.is_lost = False
                self._read(replica, number)
                return

    def _keep_snapshots(self) -> None:
        while not self._stopping.wait(1.0):
            numbered: list[tuple[Replica[Any], int]] = [(self.topics_log, 0), (self.claims_log, 1)]
            numbered += [(each, each.place[1] + 2) for each in self.followed()]
            for replica, number in numbered:
                if replica.applied < self._thresholds[replica.place]:
                    continue
                try:
                    snapshots.write(self.log, (f"{self.name}.snapshots", number), replica)
                except (Unavailable, KafkaException) as error:
                    tell(logging.WARNING, "snapshot-failed", log=replica.place[0], error=str(error))
                self._thresholds[replica.place] = replica.applied + _next_snapshot()

    # Said to other nodes

    def release(self, name: str, claim: int) -> None:
        """Free the name of a consumer that is gone; where that fails, the claim is found dead when it is in the way."""
        with contextlib.suppress(Unavailable):
            self.claims_log.submit(Release(name, claim))

    def tell_refusal(self, topic: str, acknowledgement: bytes) -> None:
        """Let the subscribers of producer acknowledgements on other nodes know of a refusal, if that is possible."""
        with contextlib.suppress(Unavailable):
            self.log.append(
                (f"{self.name}.refusals", 0), acknowledgement, lambda _: None, key=NODE + topic.encode()
            )

    # Topics and ends

    def topic(self, name: str) -> TopicRef | None:
        """A topic; one that is not known here is looked for in the log. Raises Unavailable."""
        found = self.topics.by_name.get(name)
        if found is None:
            self.topics_log.catch_up()
            found = self.topics.by_name.get(name)
        return found

    def create_store(self, name: str, partitions: int) -> str:
        """Create a Kafka topic for the records of a topic; return its name. Raises Unavailable."""
        store = f"{self.name}-{name}-{random.getrandbits(40):08x}"
        config = self._config(_LOG | _SMALL_INDEX | {"max.message.bytes": str(8 << 20)})
        self.stores.create([NewStore(store, partitions, self._replication, config)])
        return store

    def note_end(self, serial: int, index: int, end: int) -> None:
        """Note that a partition of records reaches so far at least."""
        key = (serial, index)
        if end > self.ends.get(key, 0):
            self.ends[key] = end

    def ask_ends(self, partitions: Iterable[tuple[TopicRef, int]]) -> None:
        """Ask Kafka for the ends of partitions of records, if they exist, and note them. Raises Unavailable."""
        wanted = list(partitions)
        for start in range(0, len(wanted), 500):
            piece = wanted[start : start + 500]
            found = self.log.ends([(ref.store, index) for ref, index in piece], or_zero=True)
            for (ref, index), end in zip(piece, found, strict=True):
                self.note_end(ref.serial, index, end)

    def forget_ends(self, topic: TopicRef) -> None:
        """Forget the ends of a topic that was removed."""
        for index in range(topic.partitions):
            self.ends.pop((topic.serial, index), None)


def servers_of(url: str) -> str:
    """Return HOST:PORT of each broker. Raises ConfigError."""
    scheme, _, servers = url.partition("://")
    entries = servers.rstrip("/").split(",")
    if scheme != "kafka" or not all(
        host and port.isdigit() for host, _, port in (each.rpartition(":") for each in entries)
    ):
        raise ConfigError(
            f"log: {url!r} cannot be used. Expected kafka://HOST:PORT, further brokers after commas."
        )
    return ",".join(entries)


def client_options(entries: Iterable[str]) -> dict[str, str]:
    """Settings of the client library by name. Raises ConfigError for one that is not about TLS, a login or a name."""
    options: dict[str, str] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals or not name.startswith(_CLIENT_OPTIONS):
            raise ConfigError(
                f"log_option: {name!r} cannot be used. Expected NAME=VALUE, with a name of librdkafka's that begins "
                f"with one of {', '.join(_CLIENT_OPTIONS)}, such as security.protocol=SASL_SSL."
            )
        options[name] = value
    return options


def shard_of(group: str) -> int:
    """The number of the partition of the log of groups in which the commands of a group lie."""
    return int.from_bytes(hashlib.md5(group.encode(), usedforsecurity=False).digest()[4:8], "little") % SHARDS


def _next_snapshot() -> int:
    return int(snapshots.EVERY * random.uniform(1, 2))
