"""The server under test as a world that the models can be run against."""

from __future__ import annotations

import itertools
import json
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from conformance.models.members import Timings
from conformance.wire.failures import PeerFailure
from conformance.wire.operations import StompOperations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.bench.bench import Bench
    from conformance.models.judging import Judge
    from conformance.wire.frames import Frame
    from conformance.wire.http import HttpReply
    from conformance.wire.operations import Reply

#: What a real clock may be late by, in seconds, on a machine that has nothing else to do.
SLACK = 0.25
PAUSE = 0.02
#: Subscriptions of one session of watches, if the server's limit allows as many.
WATCHES_OF_A_SESSION = 40
#: The newest watches that are kept open; older ones belong to examples that have ended.
WATCHES_KEPT = 24
#: The most that the models ask for, by extension: the limit of it, and how much.
ASKED = {"topic-partitions": ("partitions", 7), "batch-poll": ("poll_messages", 5)}
_HEARTBEAT = "/consumer/heartbeat"


class BenchQueueAdapter:
    """A `QueueUnderTest` (conformance.models.queue_under_test) on a bench, in the binding of its test."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._queue = bench.queue()
        self._clock_client = bench.http()
        self._sessions: deque[_AckWatchSession] = deque()

    @property
    def judge(self) -> Judge:
        """Where the models report to."""
        return self._bench.judge

    @property
    def timings(self) -> Timings:
        """What the server declares, and how late its clock may be on this machine."""
        declared = self._bench.target.timings
        slack = 0.0 if self.time_is_virtual else SLACK + self._bench.lateness()
        return Timings(declared.heartbeat_timeout, declared.eviction_grace, declared.rebalance_timeout, slack)

    @property
    def partitions(self) -> int | None:
        """How many partitions a topic has that does not ask for a number, if the server tells."""
        return self._bench.target.partitions

    @property
    def extensions(self) -> frozenset[str]:
        """What the server declares, but for extensions whose limits are too narrow for what the models ask of them."""
        narrow = {
            extension
            for extension, (limit, asked) in ASKED.items()
            if asked > (self._bench.limit(limit) or asked)
        }
        return self._bench.target.extensions - narrow

    @property
    def publishes_over_http(self) -> bool:
        """Whether publishing goes over HTTP in this binding (extension http-publish)."""
        return self._bench.binding == "queue-http" and self._bench.declares("http-publish")

    @property
    def time_is_virtual(self) -> bool:
        """Whether time passes only when it is told to."""
        return self._bench.clock.is_virtual

    def call(self, path: str, body: object) -> Reply:
        """Perform an operation."""
        return self._queue.call(path, body)

    def fresh(self, stem: str) -> str:
        """A name of its own."""
        return self._bench.fresh(stem)

    def now(self, group: str) -> float:
        """The group's time in seconds."""
        return self._bench.clock.now(group)

    def pass_time(self, seconds: float, group: str) -> None:
        """Move the group's clock on."""
        self._bench.clock.pass_time(seconds, [group], self._post)

    def pause(self) -> None:
        """Let a moment of real time pass."""
        self._bench.clock.pass_time(PAUSE, (), self._post)

    def watch(self, destination: str) -> BenchAckWatch | None:
        """Listen to acknowledgements of producers; None where the server has no queue over STOMP."""
        if not self._bench.claims("queue-stomp"):
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
    """A STOMP session with many watches."""

    def __init__(self, bench: Bench) -> None:
        self.client = bench.stomp()
        # One subscription is that to the replies, by which the session is fenced.
        self._operations = StompOperations(self.client)
        self._most = max(1, min(WATCHES_OF_A_SESSION, int(bench.limit("subscriptions") or 1000) - 1))
        self._nobody = bench.fresh("nobody")
        self.watches = 0

    @property
    def is_full(self) -> bool:
        """Whether another watch needs another session."""
        return self.watches >= self._most

    def watch(self, destination: str) -> BenchAckWatch:
        """Subscribe, and return when the server has seen it."""
        self.watches += 1
        watch = BenchAckWatch(self, self.client.subscribe(destination))
        self.fence()
        return watch

    def fence(self) -> None:
        """Return when the server has worked off what was sent before: by its answer to a refused heartbeat."""
        self._operations.call(_HEARTBEAT, {"consumer_name": self._nobody})

    def close(self) -> None:
        """End the session."""
        self.client.close()


class BenchAckWatch:
    """A subscription to the acknowledgements of one topic, in one spelling."""

    def __init__(self, session: _AckWatchSession, subscription: str) -> None:
        self._session = session
        self._subscription = subscription

    def take(self, expected: int) -> Sequence[Any]:
        """The decoded bodies since the last call: `expected` of them, more if more came.

        Fewer only where they did not come within the patience of the bench.
        """
        client = self._session.client
        deadline = time.monotonic() + client.patience
        frames: list[Frame] = []
        try:
            while len(frames) < expected:
                within = max(0.0, deadline - time.monotonic())
                frames.append(client.expect("MESSAGE", self._is_ours, within))
        except PeerFailure:
            return [_decoded(frame.body) for frame in frames]
        # What is sent twice has come when a later question is answered.
        self._session.fence()
        frames += client.take("MESSAGE", self._is_ours)
        return [_decoded(frame.body) for frame in frames]

    def _is_ours(self, frame: Frame) -> bool:
        return frame.get("subscription") == self._subscription


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
