"""The reference server's pure core as a queue under test, without sockets or threads."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from conformance.models.judging import Ledger
from conformance.models.members import Timings
from reference_server.queue.broker import QueueBroker
from reference_server.queue.operations import Operations
from reference_server.queue.settings import QueueSettings

EXTENSIONS = frozenset(
    {
        "topic-partitions",
        "record-position",
        "negative-acknowledgement",
        "unregister",
        "batch-poll",
        "introspection",
        "long-poll",
        "topic-removal",
        "virtual-clock",
    }
)
#: Extensions of the bare table, plus the clock that tests need.
BARE = frozenset({"virtual-clock"})

_decode = msgspec.json.decode
_encode = msgspec.json.encode


class CoreReply(NamedTuple):
    """An outcome of the core, as the models read it."""

    status: int
    body: Any = None


class CoreAckWatch:
    """The acknowledgements of one topic's producers, as the core returns them."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []

    def take(self, expected: int) -> Sequence[Any]:
        """Return everything since the last call."""
        del expected
        bodies, self.bodies = self.bodies, []
        return bodies


class CoreQueueAdapter:
    """A `QueueUnderTest` on the operations table of the reference server; every group has a clock of its own."""

    time_is_virtual = True
    publishes_over_http = False
    has_both_publish_paths = True

    def __init__(
        self, settings: QueueSettings | None = None, *, extensions: frozenset[str] = EXTENSIONS
    ) -> None:
        settings = settings or QueueSettings()
        self.operations = Operations(QueueBroker(settings))
        self.judge = Ledger()
        self.timings = Timings(
            settings.heartbeat_timeout, settings.eviction_grace, settings.rebalance_timeout
        )
        self.partitions: int | None = settings.partitions
        self.extensions = extensions
        self.watches: dict[str, list[CoreAckWatch]] = {}
        self.calls = 0
        self._names: Counter[str] = Counter()

    def call(self, path: str, body: object) -> CoreReply:
        """Perform an operation, and pass its acknowledgement to the watches of the topic."""
        self.calls += 1
        outcome = self.operations.perform(path, _encode(body), now=0.0)
        assert outcome is not None
        if outcome.acknowledgement is not None:
            topic, told = outcome.acknowledgement.topic, outcome.acknowledgement.body
            for watch in self.watches.get(topic, ()):
                watch.bodies.append(_decode(told))
        return CoreReply(outcome.status, _decode(outcome.body) if outcome.body else None)

    def start(self, path: str, body: object) -> Callable[[], CoreReply]:
        """Perform a poll that may wait; it waits until its reply is asked for."""
        waiter = object()
        outcome = self.operations.perform(path, _encode(body), now=0.0, waiter=waiter)

        def reply() -> CoreReply:
            found = outcome or dict(self.operations.long_polls.answered()).get(waiter)
            self.operations.long_polls.cancel(waiter)
            if found is None:
                return CoreReply(204)
            return CoreReply(found.status, _decode(found.body) if found.body else None)

        return reply

    def cut(self) -> None:
        """Do nothing: there are no connections."""

    def look(self, topic: str, group: str) -> None:
        """Read a topic and a group."""
        for path in (f"/topics/{topic}", f"/consumer-groups/{group}"):
            self.operations.read(path, now=0.0)

    def fresh(self, stem: str) -> str:
        """Return a numbered name."""
        self._names[stem] += 1
        return f"{stem}-{self._names[stem]}"

    def now(self, group: str) -> float:
        """Return the group's time in seconds; only `pass_time` advances it."""
        found = self.operations.broker.groups.get(group)
        return found.clock_offset if found is not None else 0.0

    def pass_time(self, seconds: float, group: str) -> None:
        """Advance the group's clock."""
        body = _encode({"consumer_group_name": group, "seconds": seconds})
        assert self.operations.advance(body, lambda _seconds: 0.0, now=0.0).status == 200

    def pause(self) -> None:
        """Raises AssertionError: on a virtual clock nothing has to wait."""
        raise AssertionError("no need to wait on a virtual clock")

    def watch(self, destination: str) -> CoreAckWatch:
        """Subscribe to a destination, under either spelling."""
        watch = CoreAckWatch()
        self.watches.setdefault(destination.rpartition("/")[2], []).append(watch)
        return watch
