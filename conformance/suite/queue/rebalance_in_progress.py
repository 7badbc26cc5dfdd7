"""The middle of a rebalance: one consumer owns and holds everything when another one joins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.suite.queue.ownership_probe import Rounds, partition_count
from conformance.suite.queue.scene import Scene

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.queue.scene import Delivered

#: With a shorter timeout, in seconds of real time, a rebalance could end in the middle of what is looked at.
SHORTEST_REBALANCE = 2.0


class Handover:
    """A topic of an even number of partitions that one consumer owns and holds a record of each, when another joins.

    Half of the partitions have to move, and half of them stay. `held` has the records by partition.
    """

    def __init__(self, bench: Bench) -> None:
        self.scene = Scene(bench)
        self.rounds = Rounds(self.scene, 2 if bench.declares("topic-partitions") else None)
        self.group = self.scene.group()
        self.owner = self.scene.consumer(self.group, self.rounds.topic)
        self.rounds.settled([self.owner])
        for _ in range(3):
            self.rounds.publish()
        self.held: dict[int, Delivered] = {
            self.rounds.place(record): record for _, record in self.scene.sweep(self.owner)
        }
        bench.judge(
            "POLL-FAIR-1",
            len(self.held) == self.rounds.partitions,
            expected="one record of each partition",
            observed=sorted(self.held),
        )
        before = self.scene.now(self.group)
        self.newcomer = self.scene.consumer(self.group, self.rounds.topic)
        self.started = before, self.scene.now(self.group)

    @property
    def least(self) -> int:
        """How many partitions move at least, and how many stay at least."""
        return self.rounds.partitions // 2

    def is_over(self) -> bool:
        """Whether the rebalance may have run into its timeout by now."""
        return self.scene.now(self.group) - self.started[0] >= self.scene.timings.rebalance_timeout

    def settle_all(self) -> dict[int, Delivered | None]:
        """The owner acknowledges each record and polls: what comes of the same partition, by partition."""
        came: dict[int, Delivered | None] = {}
        for place, record in self.held.items():
            self.scene.acknowledge(self.owner, record.message_id)
            reply = self.scene.poll(self.owner)
            came[place] = self.scene.delivered(reply) if reply.status == 200 else None
        return came


def handover_of(bench: Bench, *ids: str) -> Handover | None:
    """A handover; None, and the clauses are skipped, where nothing can be seen of it."""
    timeout = bench.target.timings.rebalance_timeout
    why = ""
    if not bench.clock.is_virtual and timeout < SHORTEST_REBALANCE:
        why = f"a rebalance may be over after {timeout:g} s: too short to look at it"
    elif not bench.declares("topic-partitions") and partition_count(scene := Scene(bench), scene.topic()) < 2:
        why = "a topic has one partition here: none of it is certain to move"
    for clause in ids if why else ():
        bench.skip(clause, why)
    return None if why else Handover(bench)
