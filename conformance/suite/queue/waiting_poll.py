"""A long poll under way, and its reply (extension long-poll)."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from conformance.run.parallelism import FAR_ROUND_TRIP
from conformance.suite.queue.expectations import refused
from conformance.suite.queue.fixture import POLL
from conformance.wire.failures import PeerFailure, TooSlow
from conformance.wire.operations import StompOperations, encoded

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.queue.fixture import QueueFixture
    from conformance.wire.operations import Pending, Reply

#: Seconds that a poll waits for a record that arrives long before.
LONGEST_WAIT = 10.0
#: Requests that a test may make while a poll waits.
MEANWHILE = 200
#: Seconds of its time that a poll on a distant server must have left for its record.
LEFT = 2.0
#: Round trips in which a poll on a connection of its own begins, with a margin for a server that serves many.
OPENING = 16
#: Ends of a connection; only a session of STOMP can be disconnected, or end with an ERROR.
ENDINGS = ("closed", "reset", "disconnected", "refused")
#: Answered requests after which a request sent before them has very likely reached the server.
ROUND_TRIPS = 5


class WaitingPoll:
    """A long poll under way, on a connection of its own where the binding needs that."""

    def __init__(
        self,
        queue: QueueFixture,
        consumer: str,
        wish: float | None = None,
        *,
        round_trips: int = ROUND_TRIPS,
        is_batch: bool = False,
        **extra: object,
    ) -> None:
        """Send the poll. It waits `wish` seconds, or as many as the server allows; `extra` are further members.

        By default it waits LONGEST_WAIT, and as long besides as a distant server needs for many requests meanwhile.

        `is_batch`: it asks for a batch, if the server has the extension batch-poll.

        `round_trips` is the number of other requests that are answered before this returns, so that the poll can reach
        the server.
        """
        if wish is None:
            wish = LONGEST_WAIT + int(MEANWHILE * queue.bench.target.round_trip)
        self._queue = queue
        self._is_batch = is_batch and queue.bench.declares("batch-poll")
        if self._is_batch:
            extra["max_messages"] = int(min(queue.bench.limit("poll_messages") or 2, 2))
        self.seconds = min(queue.bench.limit("wait_seconds") or wish, wish)
        probe = queue.bench.queue()
        self._began = time.monotonic()
        body = {"consumer_name": consumer, "wait_seconds": self.seconds, **extra}
        queue.bench.step(f"{POLL} {body} begins")
        self._pending: Pending = queue.client.start(POLL, body)
        # No verdict depends on it: a poll that arrives later finds the record at once, which is right as well.
        for _ in range(round_trips):
            probe.heartbeat(consumer)

    def answer(self) -> tuple[Reply, float]:
        """Wait for the reply; returns it and the seconds from the request to it."""
        reply = self._pending.reply(self.seconds + self._queue.bench.patience)
        took = time.monotonic() - self._began
        self._queue.bench.step(f"the poll that waited -> {reply} after {took:.3f} s")
        return reply, took

    def has_come(self, within: float) -> bool:
        """True if the reply begins to arrive within so many seconds."""
        return self._pending.has_come(within)

    def is_before_timeout(self, took: float) -> bool:
        """True if an answer after `took` seconds came clearly before the poll's time was over."""
        return took < 0.9 * self.seconds

    def is_under_way(self) -> bool:
        """True if the poll's time is clearly not over by now."""
        return self.is_before_timeout(time.monotonic() - self._began)

    def expect_time_left(self) -> None:
        """Raise TooSlow if requests to a distant server took so long that the record comes at the end of the poll.

        To be called as soon as the record is free. A server nearby that takes so long breaks a promise.
        """
        away = self._queue.bench.target.round_trip
        passed = time.monotonic() - self._began
        if away >= FAR_ROUND_TRIP and not self.is_before_timeout(passed + LEFT + ROUND_TRIPS * away):
            raise TooSlow(
                f"a record came {passed:.1f} s after a poll of {self.seconds:g} s, on a distant server"
            )

    def expect_no_early_end(self, reply: Reply, took: float) -> None:
        """Judge POLL-WAIT-2 by the reply not being an empty one clearly before the poll's time is over."""
        is_empty = reply.status != 200 and not refused(reply)
        self._queue.bench.judge(
            "POLL-WAIT-2",
            not (is_empty and self.is_before_timeout(took)),
            expected=f"a record, or an empty reply when the {self.seconds:g} s are over",
            observed=f"{reply} after {took:.3f} s",
        )

    def expect_record(self, clause: str, message: str, acknowledge: str = "") -> None:
        """Judge `clause` by a reply with the record `message`, clearly before the poll's time is over.

        The consumer named by `acknowledge` acknowledges it. Raises TooSlow as `expect_time_left` does.
        """
        self.expect_time_left()
        reply, took = self.answer()
        self.expect_no_early_end(reply, took)
        self._queue.bench.judge(
            clause,
            reply.status == 200 and self.is_before_timeout(took),
            expected=f"200 with the record, before the {self.seconds:g} s are over",
            observed=f"{reply} after {took:.3f} s",
        )
        body = reply.body if isinstance(reply.body, dict) else {}
        records = body.get("records") if self._is_batch else [body]
        item = records[0] if isinstance(records, list) and records else None
        record = self._queue.parse_record(item, reply)
        self._queue.bench.judge(
            clause, record.message == message, expected=f"the record {message!r}", observed=reply
        )
        if acknowledge:
            self._queue.acknowledge(acknowledge, record.message_id)


def polls_in_time(bench: Bench, count: int, seconds: float) -> int:
    """How many of `count` polls on connections of their own begin long before the `seconds` of the first are over; two
    at least.
    """
    away = OPENING * bench.target.round_trip
    return count if count * away < seconds else max(2, int(seconds / away))


def wait_and_leave(queue: QueueFixture, consumer: str, ending: str) -> bool:
    """Send a long poll on a connection of its own and end that; False if the binding has no such ending."""
    bench = queue.bench
    wait = min(bench.limit("wait_seconds") or LONGEST_WAIT, LONGEST_WAIT)
    body = {"consumer_name": consumer, "wait_seconds": wait}
    bench.step(f"{POLL} {body} begins, and its connection is {ending}")
    probe = bench.queue()
    if bench.binding == "queue-stomp":
        session = bench.stomp()
        StompOperations(session).start(POLL, body)
    else:
        if ending in ("disconnected", "refused"):
            return False
        client = bench.http()
        client.start("POST", POLL, encoded(body), {"Content-Type": "application/json"})
    for _ in range(ROUND_TRIPS):
        probe.heartbeat(consumer)
    if bench.binding == "queue-http":
        client.close() if ending == "closed" else client.cut()
    elif ending == "disconnected":
        session.disconnect(receipt="bye")
        session.expect("RECEIPT", receipt_id="bye")
        session.close()
    elif ending == "refused":
        session.frame("COMMIT", [("transaction", "never-begun")])
        with contextlib.suppress(
            PeerFailure
        ):  # a server may end the connection without one (STOMP-ERROR-009)
            session.expect("ERROR")
        session.close()
    elif ending == "closed":
        session.close()
    else:
        session.link.cut()
    return True
