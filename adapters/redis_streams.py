"""Adapter for Redis Streams with consumer groups, through redis-py.

A topic is one stream for each partition; the producer chooses it by a hash of the key, as
https://redis.io/docs/latest/develop/data-types/streams/#differences-with-kafka-tm-partitions describes. A consumer
takes what others left unacknowledged for --idle seconds (XAUTOCLAIM), else a new entry (XREADGROUP), and acknowledges
each entry after it was processed (XACK). Redis has no members, no heartbeats, and nothing by which an entry is given
back: it waits for its idle time.

    pip install redis
    python -m conformance --adapter "python adapters/redis_streams.py --port 6379"
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from common import EngineAdapter, parser, partition_of
from missing import needs

from conformance.adapters.serving import Refused, serve

with needs("redis"):
    import redis

if TYPE_CHECKING:
    import argparse

SOCKET_SECONDS = 10.0
PARTITIONS = "partitions of "


class RedisMember:
    """A consumer of a group."""

    def __init__(self, options: argparse.Namespace, consumer: str, group: str, topics: list[str]) -> None:
        self.redis = _connected(options)
        self.options = options
        self.consumer, self.group = consumer, group
        if options.broken == "two-owners":
            self.group = f"{group} of {consumer}"
        self.streams = {
            _stream(topic, number): (topic, number)
            for topic in topics
            for number in range(int(self.redis.get(PARTITIONS + topic) or 1))
        }
        self.turn = 0
        for stream in self.streams:
            try:
                self.redis.xgroup_create(stream, self.group, id="0", mkstream=True)
            except redis.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    def poll(self, wait: float, most: int) -> dict[str, Any]:
        """Take an entry that was in flight for too long, or else a new one."""
        for stream in self._in_turn():
            idle = int(self.options.idle * 1000)
            _, entries, *_ = self.redis.xautoclaim(stream, self.group, self.consumer, idle, count=most)
            # XAUTOCLAIM tells of entries that were deleted meanwhile, too.
            if found := [entry for entry in entries if entry[1] is not None]:
                return {"records": [self._record(stream, *entry) for entry in found]}
            if records := self._new([stream], most, None):
                return {"records": records}
        return {"records": self._new(self._in_turn(), most, max(1, int(wait * 1000)))}

    def _new(self, streams: list[str], most: int, wait: int | None) -> list[dict[str, Any]]:
        """Entries that no consumer got, as soon as there are some; `wait` is in milliseconds."""
        answer = self.redis.xreadgroup(
            self.group, self.consumer, dict.fromkeys(streams, ">"), most, block=wait
        )
        return [self._record(stream, *entry) for stream, entries in answer or () for entry in entries]

    def acknowledge(self, record: dict[str, Any]) -> None:
        """XACK tells how many entries it removed from those in flight."""
        if self.options.broken != "commit-first" and not self._acknowledged(record):
            raise Refused("XACK answers 0: the entry is not pending")

    def leave(self) -> None:
        """Delete the consumer if it holds nothing: with it Redis deletes what it holds (XGROUP DELCONSUMER)."""
        for stream in self.streams:
            held = self.redis.xpending_range(stream, self.group, "-", "+", 1, consumername=self.consumer)
            if not held or self.options.broken == "keep-given-back":
                self.redis.xgroup_delconsumer(stream, self.group, self.consumer)
        self.redis.close()

    def idle(self) -> None:
        """Nothing is needed between requests."""

    def _in_turn(self) -> list[str]:
        """The streams, at each call from another one on."""
        self.turn += 1
        streams = list(self.streams)
        return streams[self.turn % len(streams) :] + streams[: self.turn % len(streams)]

    def _acknowledged(self, record: dict[str, Any]) -> bool:
        stream, entry = record["id"].rsplit("/", 1)
        return bool(self.redis.xack(stream, self.group, entry))

    def _record(self, stream: str, entry: str, fields: dict[str, str]) -> dict[str, Any]:
        topic, partition = self.streams[stream]
        made = {"id": f"{stream}/{entry}", "topic": topic, "text": fields["text"], "key": fields.get("key")}
        if self.options.broken == "commit-first":
            self._acknowledged(made)
        return {**made, "partition": partition, "offset": _offset(entry)}


class RedisStreams(EngineAdapter):
    """Redis, its streams and groups."""

    name = "Redis Streams"

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options, RedisMember)
        self.redis = _connected(options)
        self.version = self.redis.info("server")["redis_version"]
        self.facts = {
            # Redis has no members. An entry is free again after its idle time, whatever its consumer does.
            "timings": {
                "heartbeat_timeout": options.idle,
                "eviction_grace": 0,
                "rebalance_hold": 0,
                "rebalance_limit": options.idle,
                "acknowledgement_timeout": options.idle,
                "slack": options.slack,
            },
            "tells": ["emptiness"],
            "promises": [
                "at-least-once",
                "no-phantom",
                "no-redelivery-after-acknowledgement",
                "holder-may-acknowledge",
                "start-at-the-oldest",
                "true-marks",
            ],
        }

    def create_topic(self, topic: str, partitions: int) -> dict[str, Any]:
        """Note the number of streams; each is made by its first entry."""
        self.redis.set(PARTITIONS + topic, partitions)
        return {"partitions": partitions}

    def publish(self, topic: str, text: str, key: str | None) -> dict[str, Any]:
        """XADD to the stream of the key."""
        partition = partition_of(key, text, int(self.redis.get(PARTITIONS + topic) or 1))
        fields = {"text": text} if key is None else {"text": text, "key": key}
        entry = self.redis.xadd(_stream(topic, partition), fields)
        return {"partition": partition, "offset": _offset(entry)}

    def answers(self) -> None:
        """Ping."""
        self.redis.ping()


def _connected(options: argparse.Namespace) -> redis.Redis:
    """A client that sends each command once: a second try would hide an error."""
    return redis.Redis(
        host=options.host,
        port=options.port,
        decode_responses=True,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=SOCKET_SECONDS,
        retry=None,
    )


def _stream(topic: str, partition: int) -> str:
    return f"{topic}:{partition}"


def _offset(entry: str) -> int:
    """An entry's id (milliseconds and a number) as one number with the same order."""
    milliseconds, number = entry.split("-")
    return (int(milliseconds) << 20) + int(number)


def main() -> int:
    """Serve the adapter on standard input and output; returns the exit status, 2 if there is no Redis."""
    made = parser("redis_streams", __doc__)
    made.add_argument("--host", default="127.0.0.1", help="host of Redis (default: %(default)s)")
    made.add_argument("--port", type=int, default=6379, help="port of Redis (default: %(default)s)")
    made.add_argument(
        "--idle",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="an entry that is in flight for so long may be claimed (default: %(default)s)",
    )
    options = made.parse_args()
    try:
        adapter = RedisStreams(options)
    except redis.RedisError as error:
        print(
            f"no Redis at {options.host}:{options.port}: {error}; start one, or name another by --port",
            file=sys.stderr,
        )
        return 2
    return serve(adapter)


if __name__ == "__main__":
    sys.exit(main())
