"""The toy queue as a queue under test."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from conformance.models.judging import Ledger
from conformance.models.members import Timings
from tests.models.toy_queue import Choices, ToyQueue, ToyReply

BASE = frozenset({"topic-partitions", "virtual-clock"})
ALL = BASE | {"record-position", "negative-acknowledgement", "unregister", "batch-poll", "topic-removal"}


class ToyAckWatch:
    """Acknowledgements of a topic's producers, made from the replies to the publishes."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []

    def take(self, expected: int) -> Sequence[Any]:
        del expected
        bodies, self.bodies = self.bodies, []
        return bodies


class ToyQueueAdapter:
    """A `QueueUnderTest` on a `ToyQueue`, with a clock for each group."""

    time_is_virtual = True
    publishes_over_http = False
    has_both_publish_paths = False

    def __init__(self, choices: Choices, *, bare: bool = False) -> None:
        self.queue = ToyQueue(choices)
        self.judge = Ledger()
        self.timings = Timings(choices.heartbeat_timeout, choices.eviction_grace, choices.rebalance_timeout)
        self.partitions: int | None = choices.partitions
        self.extensions = frozenset(BASE if bare else ALL) - (
            frozenset() if choices.tells_positions else {"record-position"}
        )
        if choices.frees:
            self.extensions |= {"retention"}
        self.names: Counter[str] = Counter()
        self.watches: dict[str, list[ToyAckWatch]] = {}

    def call(self, path: str, body: object) -> ToyReply:
        assert isinstance(body, dict)
        reply = self.queue.perform(path, body)
        topic = path.removeprefix("/producer/publish/")
        if topic != path:
            self.acknowledge_producer(topic, body, reply)
        return reply

    def acknowledge_producer(self, topic: str, body: dict[str, Any], reply: ToyReply) -> None:
        told: dict[str, Any] = {"messageId": body.get("messageID"), "acknowledgementMessage": "ACK"}
        if reply.status != 200:
            told |= {"acknowledgementMessage": "FAILED", "reason": "refused"}
        for spelling in ("acknowledgment", "acknowledgement"):
            for watch in self.watches.get(f"/topic/{spelling}/{topic}", []):
                watch.bodies.append(told)

    def start(self, path: str, body: object) -> Callable[[], ToyReply]:
        raise AssertionError(f"no poll waits: {path} {body}")

    def cut(self) -> None:
        """Do nothing: there are no connections."""

    def look(self, topic: str, group: str) -> None:
        raise AssertionError(f"there is no introspection of {topic} and {group}")

    def fresh(self, stem: str) -> str:
        self.names[stem] += 1
        return f"{stem}-{self.names[stem]}"

    def now(self, group: str) -> float:
        found = self.queue.groups.get(group)
        return found.now if found is not None else 0.0

    def pass_time(self, seconds: float, group: str) -> None:
        self.queue.advance(group, seconds)

    def pause(self) -> None:
        raise AssertionError("no need to wait on a virtual clock")

    def watch(self, destination: str) -> ToyAckWatch:
        watch = ToyAckWatch()
        self.watches.setdefault(destination, []).append(watch)
        return watch


class SharedClockQueueAdapter(ToyQueueAdapter):
    """An adapter whose virtual clock advances for all groups at once."""

    def __init__(self, choices: Choices, *, bare: bool = False) -> None:
        super().__init__(choices, bare=bare)
        self.clock = 0.0

    def call(self, path: str, body: object) -> ToyReply:
        reply = super().call(path, body)
        for group in self.queue.groups.values():
            group.now = self.clock
        return reply

    def now(self, group: str) -> float:
        del group
        return self.clock

    def pass_time(self, seconds: float, group: str) -> None:
        del group
        self.clock += seconds
        for name in self.queue.groups:
            self.queue.advance(name, seconds)
