"""Adapter that lets the models run against the server under test."""

from __future__ import annotations

import itertools
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from conformance.models.members import Timings
from conformance.wire.failures import PeerFailure
from conformance.wire.json_values import decoded
from conformance.wire.operations import StompOperations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.bench.bench import Bench
    from conformance.models.judging import Judge
    from conformance.wire.frames import Frame
    from conformance.wire.http import HttpReply
    from conformance.wire.operations import Reply

#: Tolerance for a real clock on an idle machine, in seconds.
SLACK = 0.25
PAUSE = 0.02
#: Most subscriptions in one watch session; a lower limit of the server goes before it.
WATCHES_OF_A_SESSION = 40
#: Newest watches kept open; older ones belong to examples that have ended.
WATCHES_KEPT = 24
#: Most that the models ask of an extension: the name of its limit, and the amount.
ASKED = {"topic-partitions": ("partitions", 7), "batch-poll": ("poll_messages", 5)}
_HEARTBEAT = "/consumer/heartbeat"


class BenchAdapter:
    """The models' system under test (conformance.models.system_under_test) on a bench, in the binding of its test."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._queue = bench.queue()
        self._clock_client = bench.http()
        self._sessions: deque[_WatchSession] = deque()

    @property
    def judge(self) -> Judge:
        """Receiver of the models' assertions."""
        return self._bench.judge

    @property
    def timings(self) -> Timings:
        """Declared timings in seconds, with the tolerance for clocks on this machine."""
        declared = self._bench.target.timings
        slack = 0.0 if self.time_is_virtual else SLACK + self._bench.scheduling_delay()
        return Timings(declared.heartbeat_timeout, declared.eviction_grace, declared.rebalance_timeout, slack)

    @property
    def partitions(self) -> int | None:
        """Number of partitions of a topic that is added without a number; None if unknown."""
        return self._bench.target.partitions

    @property
    def extensions(self) -> frozenset[str]:
        """Declared extensions, without those whose limits are too low for the models."""
        narrow = {
            extension
            for extension, (limit, asked) in ASKED.items()
            if asked > (self._bench.limit(limit) or asked)
        }
        return self._bench.target.extensions - narrow

    @property
    def publishes_over_http(self) -> bool:
        """True if records are published over HTTP in this binding (extension http-publish)."""
        return self._bench.binding == "queue-http" and self._bench.declares("http-publish")

    @property
    def time_is_virtual(self) -> bool:
        """True if time passes only by `pass_time`."""
        return self._bench.clock.is_virtual

    def call(self, path: str, body: object) -> Reply:
        """Perform an operation."""
        return self._queue.call(path, body)

    def fresh(self, stem: str) -> str:
        """Unused name that begins with `stem`."""
        return self._bench.fresh(stem)

    def now(self, group: str) -> float:
        """Time of the group, in seconds."""
        return self._bench.clock.now(group)

    def pass_time(self, seconds: float, group: str) -> None:
        """Let `seconds` pass for the group. Raises as `QueueClock.pass_time` does."""
        self._bench.clock.pass_time(seconds, [group], self._post)

    def pause(self) -> None:
        """Let PAUSE seconds pass on a real or server-wide clock; a clock per group stands still."""
        self._bench.clock.pass_time(PAUSE, (), self._post)

    def watch(self, destination: str) -> BenchWatch | None:
        """Subscribe to producer acknowledgements; None if the server doesn't claim queue-stomp."""
        if not self._bench.claims("queue-stomp"):
            return None
        if not self._sessions or self._sessions[-1].is_full:
            self._sessions.append(_WatchSession(self._bench))
        watch = self._sessions[-1].watch(destination)
        while sum(session.watches for session in itertools.islice(self._sessions, 1, None)) >= WATCHES_KEPT:
            self._sessions.popleft().close()
        return watch

    def _post(self, path: str, body: bytes) -> HttpReply:
        return self._clock_client.request("POST", path, body, {"Content-Type": "application/json"})


class _WatchSession:
    """A STOMP session that holds many watches."""

    def __init__(self, bench: Bench) -> None:
        self.client = bench.stomp()
        # One subscription of the limit goes to the replies, which the fence needs.
        self._operations = StompOperations(self.client)
        self._most = max(1, min(WATCHES_OF_A_SESSION, int(bench.limit("subscriptions") or 1000) - 1))
        self._nobody = bench.fresh("nobody")
        self.watches = 0

    @property
    def is_full(self) -> bool:
        """True if the session can hold no further watch."""
        return self.watches >= self._most

    def watch(self, destination: str) -> BenchWatch:
        """Subscribe, and return once the server has processed the SUBSCRIBE."""
        self.watches += 1
        watch = BenchWatch(self, self.client.subscribe(destination))
        self.fence()
        return watch

    def fence(self) -> None:
        """Return once the server has processed all frames sent before: it answers a heartbeat that it must refuse."""
        self._operations.call(_HEARTBEAT, {"consumer_name": self._nobody})

    def close(self) -> None:
        """End the session."""
        self.client.close()


class BenchWatch:
    """A subscription to one topic's producer acknowledgements, in one spelling."""

    def __init__(self, session: _WatchSession, subscription: str) -> None:
        self._session = session
        self._subscription = subscription

    def take(self, expected: int) -> Sequence[Any]:
        """Decoded bodies received since the last call: `expected`, more if the server sent more.

        Fewer only if they did not come within the patience of the bench.
        """
        client = self._session.client
        deadline = time.monotonic() + client.patience
        frames: list[Frame] = []
        try:
            while len(frames) < expected:
                within = max(0.0, deadline - time.monotonic())
                frames.append(client.expect("MESSAGE", self._is_ours, within))
        except PeerFailure:
            return [decoded(frame.body) for frame in frames]
        # Fence: a duplicate that the server has sent arrives before the answer to a later request.
        self._session.fence()
        frames += client.take("MESSAGE", self._is_ours)
        return [decoded(frame.body) for frame in frames]

    def _is_ours(self, frame: Frame) -> bool:
        return frame.get("subscription") == self._subscription
