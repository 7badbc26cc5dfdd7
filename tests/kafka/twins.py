"""Broken twins of the server on a log: nodes with one fault each, and the clauses that it breaks across nodes.

Every fault is patched in from here; the server has no hooks. Two nodes with the fault are judged as one server.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

from reference_server.kafka import replica, shard
from reference_server.kafka.acknowledging import Listening
from reference_server.kafka.cluster import Cluster
from reference_server.kafka.commands import Settle
from reference_server.kafka.directory import Claims
from reference_server.kafka.groups import GroupOperations
from reference_server.kafka.log import Appended, Log
from reference_server.kafka.replica import Replica
from reference_server.kafka.topics import TopicOperations
from reference_server.kafka.waiting import Waiting
from reference_server.queue.refusal import Refusal

if TYPE_CHECKING:
    from reference_server.kafka.entries import Entry

Patch = Callable[..., None]
AHEAD = 6.0
"""Seconds by which the clock of a node is wrong; the heartbeat timeout is 2 s."""


@dataclass(frozen=True)
class Twin:
    """A fault: a sentence, the clauses of which the suite should name one, and how it is judged.

    `apply` patches a node; it gets the number of the node, from 0. With `fault`, an action of `Control`, the suite
    injects that while clients work, and undoes it by the action `heal`.
    """

    name: str
    summary: str
    breaks: tuple[str, ...]
    binding: str
    apply: Callable[[int], None]
    nodes: int = 2
    fault: str = ""
    heal: str = "heal"


TWINS: dict[str, Twin] = {}


def twin(*breaks: str, binding: str = "queue-http", **more: Any) -> Callable[[Patch], Patch]:
    """Register a function that patches a node; its name and docstring are those of the twin.

    A function with a parameter gets the number of the node. `more` are further members of Twin.
    """

    def register(patch: Patch) -> Patch:
        def apply(number: int) -> None:
            patch(*(number for _ in signature(patch).parameters))

        name, summary = patch.__name__.replace("_", "-"), (patch.__doc__ or "").partition("\n")[0]
        TWINS[name] = Twin(name, summary, breaks, binding, apply, **more)
        return patch

    return register


def nothing(*_: object, **__: object) -> None:
    """Stand in for a method that the fault leaves out."""


@twin("MEMBER-REGISTER-4")
def names_are_unique_in_a_group_only() -> None:
    """A claim of a consumer's name is always granted."""
    original = Claims.apply

    def apply(self: Claims, command: Any, now: float, offset: int) -> Any:
        self.by_name.pop(getattr(command, "name", ""), None)
        return original(self, command, now, offset)

    Claims.apply = apply  # type: ignore[method-assign]


@twin("POLL-OK-1", "PUB-STORE-1", "ORDER-1", "INTRO-TOPIC-1")
def a_node_asks_for_no_ends() -> None:
    """A node knows the ends of partitions only as far as it wrote them itself."""
    Cluster.ask_ends = nothing  # type: ignore[method-assign, assignment]


@twin("POLL-WAIT-1")
def polls_wait_past_the_records_of_other_nodes() -> None:
    """A poll that waits is answered early only for what its own node stores."""
    Waiting._look = nothing  # type: ignore[method-assign, assignment]


@twin("POLL-WAIT-5")
def a_poll_that_waits_is_no_sign_of_life() -> None:
    """No node says for a consumer that a poll of it waits."""
    Waiting._interval = property(lambda _self: 1e9)  # type: ignore[assignment]


@twin("PART-RR-1")
def each_node_has_a_round_of_its_own() -> None:
    """Records without a key take turns in each node alone."""
    turns: dict[int, int] = defaultdict(int)

    def choose(self: TopicOperations, ready: dict[int, Any], _outcomes: Any) -> dict[int, int]:
        chosen = {}
        for index, (topic, record) in ready.items():
            if record.key:
                chosen[index] = hash_of(record.key) % topic.partitions
            else:
                chosen[index] = turns[topic.serial] % topic.partitions
                turns[topic.serial] += 1
        return chosen

    from reference_server.queue.partitioner import key_number as hash_of

    TopicOperations._choose = choose  # type: ignore[method-assign, assignment]


@twin("PART-KEY-1")
def each_node_has_a_partitioner_of_its_own() -> None:
    """The partition of a key depends on the node."""
    from reference_server.kafka import topics

    salt = secrets.token_hex(4)
    original = topics.partition_of
    topics.partition_of = lambda key, count: original(key + salt, count)  # type: ignore[assignment]


@twin("PUB-ACK-1", "PUB-ACK-2", "PUB-ACK-8", binding="queue-stomp")
def only_the_own_node_acknowledges() -> None:
    """Subscribers of producer acknowledgements hear nothing of what other nodes store."""
    Listening.listen = nothing  # type: ignore[method-assign, assignment]


@twin("PUB-ACK-3", binding="queue-stomp")
def only_the_own_node_tells_refusals() -> None:
    """Subscribers of producer acknowledgements hear nothing of what other nodes refuse."""
    Cluster.tell_refusal = nothing  # type: ignore[method-assign, assignment]


@twin("PUB-ACK-4", binding="queue-stomp")
def a_node_acknowledges_what_it_reads_again() -> None:
    """A record is acknowledged by its reply, and once more when the node reads it."""
    from reference_server.kafka import acknowledging

    acknowledging.NODE = b"nobody.."  # type: ignore[misc]


@twin("POLL-OK-2")
def ids_are_offsets() -> None:
    """The messageId is the offset, which records of several partitions share."""
    shard._Ids.__getitem__ = lambda _self, offset: offset  # type: ignore[method-assign, assignment]


@twin("TOPIC-REMOVE-5", "TOPIC-REMOVE-7", "TOPIC-REMOVE-9", "TOPIC-REMOVE-11", "TOPIC-REMOVE-1")
def groups_hear_of_no_removal() -> None:
    """A removed topic stays in the groups that read it."""
    shard.Shard._forget = nothing  # type: ignore[method-assign, assignment]


@twin("MEMBER-SUBSCRIBE-1", "GROUP-ADD-1", "MEMBER-REGISTER-1", "POLL-OK-1", "LIVE-BEAT-1", "TOPIC-ADD-2")
def a_node_answers_from_its_own_copy() -> None:
    """A command is applied to the copy of the node that gets it, and never written."""
    offsets: dict[Any, int] = defaultdict(int)

    def run(self: Replica, command: Any) -> Any:
        with self.lock:
            offsets[self.place] += 1
            self.now = max(self.now, time.time())
            result = self.machine.apply(command, self.now, offsets[self.place])
            self.after(command, True)
        return result

    Replica.run = run  # type: ignore[method-assign]


@twin("ACK-COMMIT-1", "ACK-OK-1", "POLL-OK-1", "ORDER-2", "DELIVER-1", "ACK-UNKNOWN-1")
def a_commit_is_kept_in_the_node_only() -> None:
    """An acknowledgement is applied to the copy of the node that gets it, and never written."""
    original = Replica.run

    def run(self: Replica, command: Any) -> Any:
        if not isinstance(command, Settle):
            return original(self, command)
        with self.lock:
            result = self.machine.apply(command, self.now, self.applied)
        if isinstance(result, Exception):
            raise result
        return result

    Replica.run = run  # type: ignore[method-assign]


@twin("PUB-STORE-1", "DELIVER-1", nodes=1, fault="stop a broker", heal="restart everything")
def a_record_is_acknowledged_before_kafka_has_it() -> None:
    """A record is acknowledged once it is on its way, as with `acks=0`: the broker that is killed never stores it."""
    original = Log.append
    expected: dict[Any, int] = {}
    lock = threading.Lock()

    def append(self: Log, place: Any, value: bytes, done: Any, *, key: Any = None, headers: Any = ()) -> None:
        if not headers:  # a command
            original(self, place, value, done, key=key)
            return
        with lock:
            if place not in expected:
                (expected[place],) = self.ends([place])
            original(self, place, value, nothing, key=key, headers=headers)
            offset = expected[place]
            expected[place] += 1
        done(Appended(offset, time.time()))

    Log.append = append  # type: ignore[method-assign, assignment]


@twin("LIVE-KEEP-1", "LIVE-EVICT-1", "LIVE-BEAT-1", "MEMBER-SUBSCRIBE-1")
def time_is_that_of_the_nodes(number: int) -> None:
    """A command has the time of the clock of its node, and that of the second node is ahead."""
    original = Replica._apply
    replica.NODE = bytes([number]) + replica.NODE[1:]

    def apply(self: Replica, entry: Entry) -> None:
        ahead = AHEAD * entry.key[0] if entry.key else 0.0
        original(self, entry._replace(time=entry.time + ahead))

    Replica._apply = apply  # type: ignore[method-assign]


@twin("LIVE-GONE-3", "LIVE-GONE-1", "LIVE-EVICT-1", "ACK-OTHER-1")
def offsets_are_not_fenced() -> None:
    """A node that knew a consumer commits its offset, evicted or not, as one would that was paused meanwhile."""
    known: dict[str, Any] = {}
    original, checked = GroupOperations._held, shard.Shard._settle

    def held(self: GroupOperations, name: str) -> Any:
        try:
            known[name] = original(self, name)
        except Refusal:
            if name not in known:
                raise
        return known[name]

    def settle(self: shard.Shard, command: Any, now: float) -> None:
        try:
            checked(self, command, now)
        except Refusal:
            for group in self.broker.groups.values():
                for cursors in group.cursors.values():
                    for cursor in cursors:
                        _commit(cursor, command.message_id)

    GroupOperations._held = held  # type: ignore[method-assign]
    shard.Shard._settle = settle  # type: ignore[method-assign]


def _commit(cursor: Any, message_id: int) -> None:
    if cursor.partition.ids[cursor.committed] != message_id:
        return
    if cursor.in_flight is None:
        cursor.committed += 1
    else:
        cursor.settle(commit=True)
