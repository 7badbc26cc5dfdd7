"""Operations sent in bursts: many on one connection, before the first reply is read."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import quote

from conformance.suite.queue.fixture import publish_path
from conformance.wire.failures import PeerFailure
from conformance.wire.json_values import decoded
from conformance.wire.operations import PUBLISH_PATHS, Reply, encoded, promise_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.bench.bench import Bench
    from conformance.suite.queue.fixture import QueueFixture

#: Records by effort. A fault that hits one record in 500 escapes 4,000 of them once in 3,000 runs.
RECORDS = (300, 4_000, 20_000)
#: Records by effort for a server that answers bursts over HTTP in part only: each waits for its reply.
ONE_BY_ONE = (100, 1_000, 5_000)
#: Octets of a partition that a short record may need, a generous estimate.
ROOM = 1024
#: Share of the room of the whole server that the test may use.
SHARE = 0.05
#: Statuses of a publish that say that the server takes no more records for now.
NO_ROOM = (429, 503, 507)
#: Operations of one burst. Their octets, and those of the replies, fit into the buffers of a socket.
BURST = 64


class IncompleteBurst(Exception):
    """The server answered only a part of a burst over HTTP, so that the rest may have been performed or not."""


class Bursts:
    """Performs operations in bursts, or one by one.

    Over HTTP a burst is several requests in one piece (HTTP-PIPE-1), over STOMP several SENDs in a row.
    """

    def __init__(self, queue: QueueFixture, *, one_by_one: bool = False) -> None:
        """`one_by_one` waits for each reply before the next operation."""
        self._queue = queue
        self._one_by_one = one_by_one
        self._http = queue.bench.http() if queue.bench.binding in ("queue-http", "stomp-publish") else None

    def publish(self, topic: str, bodies: Sequence[dict[str, object]]) -> list[Reply]:
        """Publish records to one topic; returns the replies in their order. Raises as `perform` does."""
        return self.perform([(publish_path(topic), body) for body in bodies])

    def perform(self, operations: Sequence[tuple[str, object]]) -> list[Reply]:
        """Perform operations, a path and a body each; returns the replies in their order.

        Raises IncompleteBurst if a burst over HTTP is answered in part only, and PeerFailure, with the clause that
        promises an answer, if a single operation is not answered.
        """
        replies: list[Reply] = []
        for begin in range(0, len(operations), BURST):
            part = operations[begin : begin + BURST]
            began = time.monotonic()
            if self._one_by_one:
                replies += [self._call(path, body) for path, body in part]
            elif self._http is not None and self._speaks_http(part):
                replies += self._pipelined(part)
            else:
                replies += self._overlapping(part)
            path, body = part[0]
            took = time.monotonic() - began
            self._queue.bench.step(
                f"{path} {body} and {len(part) - 1} more -> {replies[-len(part)]} … {took:.3f} s"
            )
        return replies

    def _speaks_http(self, operations: Sequence[tuple[str, object]]) -> bool:
        publishes = any(path.startswith(PUBLISH_PATHS) for path, _ in operations)
        bench = self._queue.bench
        return not publishes or (bench.binding == "queue-http" and bench.declares("http-publish"))

    def _call(self, path: str, body: object) -> Reply:
        try:
            return self._queue.client.call(path, body)
        except PeerFailure as silence:
            silence.promise = silence.promise or promise_of(path)
            raise

    def _pipelined(self, operations: Sequence[tuple[str, object]]) -> list[Reply]:
        assert self._http is not None
        target = self._queue.bench.target
        host = f"[{target.host}]" if ":" in target.host else target.host
        head = f"Host: {host}:{target.port}\r\nContent-Type: application/json\r\n"
        requests = []
        for path, body in operations:
            octets = encoded(body)
            line = f"POST {quote(path)} HTTP/1.1\r\n{head}Content-Length: {len(octets)}\r\n\r\n"
            requests.append(line.encode("ascii") + octets)
        try:
            answers = self._http.exchange(b"".join(requests), len(requests))
        except PeerFailure as silence:
            raise IncompleteBurst from silence
        if len(answers) < len(operations):
            raise IncompleteBurst
        return [
            Reply(answer.status, decoded(answer.body), answer.body, answer.content_type) for answer in answers
        ]

    def _overlapping(self, operations: Sequence[tuple[str, object]]) -> list[Reply]:
        pending = [self._queue.client.start(path, body) for path, body in operations]
        replies = []
        for (path, _), each in zip(operations, pending, strict=True):
            try:
                replies.append(each.reply())
            except PeerFailure as silence:
                silence.promise = silence.promise or promise_of(path)
                raise
        return replies


class Turns:
    """Numbers of records without a key by partition, of a topic that has `partitions` of them, 0 if unknown."""

    def __init__(self, bench: Bench, partitions: int) -> None:
        self._bench = bench
        self.partitions = partitions
        self._counts: Counter[int] = Counter()

    def judge(self, more: list[int]) -> None:
        """Judge PART-RR-1 by numbers that differ by one at most, with records in the partitions `more`.

        The records of a burst may be stored in any order, but one behind the other.
        """
        self._counts.update(more)
        counts = [self._counts[partition] for partition in range(self.partitions)]
        self._bench.judge(
            "PART-RR-1",
            max(counts) - min(counts) <= 1 and self._counts.total() == sum(counts),
            expected="numbers of records without a key that differ by one at most between partitions",
            observed=counts,
        )


def room_for_records(bench: Bench, partitions: int) -> int:
    """Records that fit into half of each of so many partitions, and into a small share of the server."""
    most = float("inf")
    if (octets := bench.limit("partition_bytes")) is not None:
        most = octets // ROOM * partitions // 2
    if (octets := bench.limit("total_bytes")) is not None:
        most = min(most, SHARE * octets // ROOM)
    return int(max(1, min(most, max(RECORDS))))
