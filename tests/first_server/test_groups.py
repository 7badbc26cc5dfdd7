"""Groups of the stand-in: deliveries, rebalances and evictions, on a real clock with short timeouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.first_server.clients import Producer, Queue, comes

if TYPE_CHECKING:
    from tests.first_server.conftest import Process, Serve

RECORDS = [f"m{number}" for number in range(8)]
#: A timeout that no test reaches, and a short one, in seconds.
FAR, SOON = "60", "0.3"


def filled(server: Process, queue: Queue, *consumers: str) -> None:
    """A topic `t` with two records in each partition, and consumers of a group `g` that read it."""
    queue.topic("t")
    queue.group("g")
    for consumer in consumers:
        queue.consumer("g", consumer, "t")
    with Producer.of(server, "t") as producer:
        producer.store(*RECORDS)


def test_one_record_of_a_partition_is_in_flight(server: Process) -> None:
    """ORDER-2, POLL-FAIR-1, DELIVER-3: one record of each partition, and the next only after an acknowledgement."""
    with Queue.to(server) as queue:
        filled(server, queue, "alice")
        held = queue.sweep("alice")
        assert list(held.values()) == RECORDS[:4]
        first = next(iter(held))
        assert queue.acknowledge("alice", first) == 202
        assert queue.acknowledge("alice", first) == 404
        assert list(queue.sweep("alice").values()) == ["m4"]


def test_groups_do_not_affect_one_another(server: Process) -> None:
    """ISOLATE-1, POLL-START-1: a later group starts at the oldest records."""
    with Queue.to(server) as queue:
        filled(server, queue, "alice")
        assert sorted(queue.drain("alice")) == RECORDS
        queue.group("h")
        queue.consumer("h", "bob", "t")
        assert sorted(queue.drain("bob")) == RECORDS


def test_shares_are_even_and_standbys_get_nothing(server: Process) -> None:
    """ASSIGN-1 to ASSIGN-3: five members share four partitions."""
    names = ["alice", "bob", "carol", "dave", "erin"]
    with Queue.to(server) as queue:
        filled(server, queue, *names)
        shares = [queue.sweep(name) for name in names]
        assert sorted(len(share) for share in shares) == [0, 1, 1, 1, 1]


def test_a_rebalance_waits_for_the_holder(serve: Serve) -> None:
    """REBALANCE-2 to REBALANCE-4: a held partition moves at the settlement, the others keep delivering."""
    server = serve("--rebalance-timeout", FAR)
    with Queue.to(server) as queue:
        filled(server, queue, "alice")
        held = queue.sweep("alice")
        queue.consumer("g", "bob", "t")
        assert queue.sweep("bob") == {}
        queue.settle("alice", held)
        assert len(queue.sweep("alice")) == len(queue.sweep("bob")) == 2


def test_a_rebalance_takes_back_what_is_held_too_long(serve: Serve) -> None:
    """REBALANCE-5: the newcomer gets the records that alice holds, and alice's acknowledgement comes too late."""
    server = serve("--rebalance-timeout", SOON)
    with Queue.to(server) as queue:
        filled(server, queue, "alice")
        held = queue.sweep("alice")
        queue.consumer("g", "bob", "t")
        taken: dict[int, str] = {}

        def has_its_share() -> bool:
            taken.update(queue.sweep("bob"))
            return len(taken) == 2

        assert comes(has_its_share)
        assert set(taken.items()) < set(held.items())
        assert all(queue.acknowledge("alice", one) == (404 if one in taken else 202) for one in held)
        assert queue.heartbeat("alice") == 202


def test_a_newcomer_that_leaves_changes_nothing(serve: Serve) -> None:
    """REBALANCE-1: partitions that had to move stay with their owner if the newcomer leaves."""
    server = serve("--rebalance-timeout", FAR)
    with Queue.to(server) as queue:
        filled(server, queue, "alice")
        held = queue.sweep("alice")
        queue.consumer("g", "bob", "t")
        assert queue.unsubscribe("bob", "t") == 202
        queue.settle("alice", held)
        assert len(queue.sweep("alice")) == 4


@pytest.mark.parametrize("way", ["unsubscribed", "removed"])
def test_who_leaves_frees_what_it_held(server: Process, way: str) -> None:
    """DELIVER-2, MEMBER-UNSUBSCRIBE-4, GROUP-REMOVE-3: unacknowledged records are redelivered; a new group gets all."""
    with Queue.to(server) as queue:
        filled(server, queue, "alice")
        held = queue.sweep("alice")
        first = next(iter(held))
        assert queue.acknowledge("alice", first) == 202
        if way == "unsubscribed":
            assert queue.unsubscribe("alice", "t") == 202
            assert queue.poll("alice") is None
        else:
            assert queue.do("/consumer-group/remove", consumer_group_name="g") == 202
            assert queue.heartbeat("alice") == 404
            queue.group("g")
        queue.consumer("g", "bob", "t")
        again = queue.drain("bob")
        assert sorted(again) == (RECORDS[1:] if way == "unsubscribed" else RECORDS)


def test_a_silent_consumer_is_evicted(serve: Serve) -> None:
    """LIVE-EVICT-1, LIVE-GONE-1, LIVE-GONE-3: its records are redelivered, its late acknowledgement is refused."""
    server = serve("--heartbeat-timeout", "2", "--eviction-grace", "0.2")
    with Queue.to(server) as queue:
        filled(server, queue, "alice", "bob")
        held = queue.sweep("alice")
        came: list[str] = []

        def has_everything() -> bool:
            came.extend(queue.drain("bob"))
            return len(came) == len(RECORDS)

        assert comes(has_everything)
        assert sorted(came) == RECORDS
        assert all(queue.acknowledge("alice", one) == 404 for one in held)
        assert queue.poll("bob") is None
        assert queue.register("g", "alice") == 200
        assert queue.poll("alice") is None


def test_signs_of_life_keep_a_consumer(serve: Serve) -> None:
    """LIVE-KEEP-1: bob stays alive by empty polls while carol is evicted twice."""
    server = serve("--heartbeat-timeout", "2", "--eviction-grace", "0.1")
    with Queue.to(server) as queue:
        queue.group("g")
        queue.consumer("g", "bob")
        for _ in range(2):
            assert comes(lambda: queue.poll("bob") is None and queue.register("g", "carol") == 200)
        assert queue.heartbeat("bob") == 202
