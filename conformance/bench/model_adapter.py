"""The server under test, as the queue that models run against."""

from __future__ import annotations

import itertools
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from conformance.bench.acknowledgement_session import AcknowledgementSession
from conformance.models.members import Timings
from conformance.wire.failures import PeerFailure
from conformance.wire.json_values import decoded
from conformance.wire.operations import PUBLISH_PATHS, HttpOperations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.bench.bench import Bench
    from conformance.models.judging import Judge
    from conformance.wire.frames import Frame
    from conformance.wire.http import HttpReply
    from conformance.wire.operations import QueueClient, Reply

#: Lateness of a real clock on an idle machine, in seconds.
SLACK = 0.25
PAUSE = 0.02
#: Connections over which operations go in turn.
CONNECTIONS = 3
#: Subscriptions of one session, if the server's limit allows as many.
WATCHES_OF_A_SESSION = 40
#: Number of the newest watches kept open; older ones belong to examples that have ended.
WATCHES_KEPT = 24
#: Most that the models ask of an extension: the name of its limit, and the amount.
NEEDED_LIMITS = {"topic-partitions": ("partitions", 7), "batch-poll": ("poll_messages", 5)}


class BenchQueueAdapter:
    """A `QueueUnderTest` (conformance.models.queue_under_test) on a bench, in the binding of its test."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        nodes = len(bench.target.nodes)
        # Each step goes to the next node.
        self._queues = [bench.queue() for _ in range(-(-CONNECTIONS // nodes) * nodes)]
        self._calls = 0
        self._clock_client = bench.http()
        self._waiting = bench.http()
        self._sessions: deque[_AckWatchSession] = deque()

    @property
    def judge(self) -> Judge:
        """The bench's judge."""
        return self._bench.judge

    @property
    def timings(self) -> Timings:
        """Timings that the server declares, in seconds, with this machine's lateness as slack."""
        declared = self._bench.target.timings
        slack = 0.0 if self.time_is_virtual else SLACK + self._bench.scheduling_delay()
        return Timings(declared.heartbeat_timeout, declared.eviction_grace, declared.rebalance_timeout, slack)

    @property
    def partitions(self) -> int | None:
        """Default number of partitions of a topic, None if the server does not declare it."""
        return self._bench.target.partitions

    @property
    def extensions(self) -> frozenset[str]:
        """Declared extensions, without those whose limits are below the requests of the models."""
        narrow = {
            extension
            for extension, (limit, needed) in NEEDED_LIMITS.items()
            if needed > (self._bench.limit(limit) or needed)
        }
        return self._bench.extensions() - narrow

    @property
    def publishes_over_http(self) -> bool:
        """True if this binding publishes over HTTP (extension http-publish)."""
        return self._bench.binding == "queue-http" and self._bench.declares("http-publish")

    @property
    def has_both_publish_paths(self) -> bool:
        """True if this binding publishes by both spellings; a server of class stomp-publish may have one of them."""
        return not self._has_acknowledgements_only

    @property
    def time_is_virtual(self) -> bool:
        """True if time advances only by `pass_time`."""
        return self._bench.clock.is_virtual

    def call(self, path: str, body: object) -> Reply:
        """Perform an operation on the next connection and return its reply.

        Where acknowledgements alone confirm records, one session publishes all of them: the acknowledgements of a
        record go to all sessions, and labels repeat, so that no session could tell which record one is for.
        """
        if path.startswith(PUBLISH_PATHS) and self._has_acknowledgements_only:
            return self._queues[0].call(path, body)
        return self._next().call(path, body)

    def start(self, path: str, body: object) -> Callable[[], Reply]:
        """Send an operation on a connection of its own or, over STOMP, on the next one."""
        if self._bench.binding == "queue-stomp":
            return self._next().start(path, body).reply
        self._waiting.close()
        client = self._waiting
        return HttpOperations(client, lambda: client).start(path, body).reply

    def cut(self) -> None:
        """Cut the connection of the newest call; another one takes its place."""
        place = self._calls % len(self._queues)
        self._queues[place].cut()
        self._queues[place] = self._bench.queue()

    @property
    def _has_acknowledgements_only(self) -> bool:
        return self._bench.binding != "queue-stomp" and not self.publishes_over_http

    def _next(self) -> QueueClient:
        self._calls += 1
        return self._queues[self._calls % len(self._queues)]

    def look(self, topic: str, group: str) -> None:
        """Read a topic and a group."""
        for path in (f"/topics/{topic}", f"/consumer-groups/{group}"):
            self._clock_client.request("GET", path)

    def fresh(self, stem: str) -> str:
        """Return a name that is new on this server."""
        return self._bench.fresh(stem)

    def now(self, group: str) -> float:
        """Return the group's time in seconds."""
        return self._bench.clock.now(group)

    def pass_time(self, seconds: float, group: str) -> None:
        """Advance the group's clock by `seconds`."""
        self._bench.clock.pass_time(seconds, [group], self._post)

    def pause(self) -> None:
        """Let `PAUSE` seconds of real time pass."""
        self._bench.clock.pass_time(PAUSE, (), self._post)

    def watch(self, destination: str) -> BenchAckWatch | None:
        """Subscribe to a destination of acknowledgements; None if the server does not claim the queue over STOMP."""
        if "queue-stomp" not in self._bench.target.classes or self._bench.binding == "stomp-publish":
            return None
        if not self._sessions or self._sessions[-1].is_full:
            self._sessions.append(_AckWatchSession(self._bench))
        watch = self._sessions[-1].watch(destination)
        while sum(session.watches for session in itertools.islice(self._sessions, 1, None)) >= WATCHES_KEPT:
            self._sessions.popleft().close()
        return watch

    def _post(self, path: str, body: bytes) -> HttpReply:
        return self._clock_client.request("POST", path, body, {"Content-Type": "application/json"})


class _AckWatchSession:
    """A STOMP session with many subscriptions to acknowledgements."""

    def __init__(self, bench: Bench) -> None:
        self._session = AcknowledgementSession(bench)
        self.client = self._session.client
        # One subscription is for the fence.
        self._most = max(1, min(WATCHES_OF_A_SESSION, int(bench.limit("subscriptions") or 1000) - 1))
        self.watches = 0

    @property
    def is_full(self) -> bool:
        """True if another subscription needs another session."""
        return self.watches >= self._most

    def watch(self, destination: str) -> BenchAckWatch:
        """Subscribe, and return once the server has processed the SUBSCRIBE."""
        self.watches += 1
        return BenchAckWatch(self, self._session.subscribe(destination))

    def fence(self) -> None:
        """Return once the server has processed all frames sent before."""
        self._session.fence()

    def close(self) -> None:
        """End the session."""
        self.client.close()


class BenchAckWatch:
    """A subscription to the acknowledgements of one topic, under one spelling."""

    def __init__(self, session: _AckWatchSession, subscription: str) -> None:
        self._session = session
        self._subscription = subscription

    def take(self, expected: int) -> Sequence[Any]:
        """Return the decoded bodies since the last call: at least `expected`, fewer only after the bench's patience."""
        client = self._session.client
        deadline = time.monotonic() + client.patience
        frames: list[Frame] = []
        try:
            while len(frames) < expected:
                within = max(0.0, deadline - time.monotonic())
                frames.append(client.expect("MESSAGE", self._is_ours, within))
        except PeerFailure:
            return [decoded(frame.body) for frame in frames]
        # A duplicate arrives before the reply to a later operation.
        self._session.fence()
        frames += client.take("MESSAGE", self._is_ours)
        return [decoded(frame.body) for frame in frames]

    def _is_ours(self, frame: Frame) -> bool:
        return frame.get("subscription") == self._subscription
