"""Rebalances: owners afterwards, and records in flight meanwhile."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_server.queue.settings import QueueSettings
from tests.queue_core.core import Core, texts

TIMEOUT = 30.0


def test_everything_is_dealt_out(core: Core) -> None:
    """Every partition has one owner, counts differ by at most one, spare members own none (ASSIGN-1 to -3)."""
    core.topic("news", 3)
    for number, expected in enumerate([[3], [1, 2], [1, 1, 1], [1, 1, 1], [1, 1, 1]]):
        core.join("g", f"c{number}", "news")
        assert sorted(Counter(core.owners("g", "news")).values()) == expected


def test_topics_are_dealt_out_one_by_one(core: Core) -> None:
    """Only subscribers of a topic take part in its assignment (ASSIGN-1)."""
    core.topic("a", 2)
    core.topic("b", 2)
    core.join("g", "c", "a")
    core.join("g", "d", "a", "b")
    core.join("g", "e", "b")
    assert set(core.owners("g", "a")) == {"c", "d"}
    assert set(core.owners("g", "b")) == {"d", "e"}


def test_a_partition_in_flight_moves_when_it_is_settled(core: Core) -> None:
    """Until the settlement neither the owner nor the next owner gets more of the partition (REBALANCE-2, ORDER-2)."""
    core.topic("news", 2)
    core.fill("news", 2, 3)
    core.join("g", "c", "news")
    records = core.drain("c")
    core.join("g", "d", "news")
    assert core.owners("g", "news") == ["c", "c"]
    assert core.poll("d") is None
    for record in records:
        assert core.acknowledge("c", record).status == 202
    assert Counter(core.owners("g", "news")) == {"c": 1, "d": 1}
    got = {name: texts(core.drain(name)) for name in ("c", "d")}
    assert sorted(got.values()) == [["P0-1"], ["P1-1"]]


def test_what_need_not_move_stays(core: Core) -> None:
    """A spare member takes no partition away, in flight or not (ASSIGN-3, ASSIGN-4)."""
    core.topic("news")
    core.fill("news", 1, 2)
    core.join("g", "c", "news")
    record = core.poll("c")
    core.join("g", "d", "news")
    assert core.acknowledge("c", record).status == 202
    assert core.owners("g", "news") == ["c"]
    assert texts([core.poll("c")]) == ["P0-1"]
    core.do("/consumer/unregister-consumer", consumer_name="d")
    assert core.owners("g", "news") == ["c"]


@pytest.mark.parametrize("settle", ["acknowledge", "give_back"])
def test_a_moving_record_is_settled(core: Core, settle: str) -> None:
    """A settlement moves the partition, and its id is unknown afterwards (REBALANCE-2)."""
    core.topic("news", 2)
    core.fill("news", 2, 2)
    core.join("g", "c", "news")
    records = core.drain("c")
    core.join("g", "d", "news")
    next_owners = [
        cursor.next_owner and cursor.next_owner.name for cursor in core.broker.groups["g"].cursors["news"]
    ]
    moving = next_owners.index("d")
    assert getattr(core, settle)("c", records[moving]).status == 202
    assert core.owners("g", "news")[moving] == "d"
    assert core.acknowledge("c", records[moving]).status == 409
    again = core.poll("d")
    assert (again["partition"], again["offset"]) == (moving, 1 if settle == "acknowledge" else 0)
    assert again["redelivered"] == (settle == "give_back")


def test_the_others_go_on_meanwhile(core: Core) -> None:
    """Partitions that stay keep delivering while one waits to move (REBALANCE-4)."""
    core.topic("news", 2)
    core.fill("news", 2, 5)
    core.join("g", "c", "news")
    records = core.drain("c")
    core.join("g", "d", "news")
    next_owners = [cursor.next_owner for cursor in core.broker.groups["g"].cursors["news"]]
    staying = next_owners.index(None)
    record = records[staying]
    for offset in range(1, 5):
        core.acknowledge("c", record)
        record = core.poll("c")
        assert (record["partition"], record["offset"]) == (staying, offset)


def test_a_rebalance_ends_in_time(core: Core) -> None:
    """A record in flight at `rebalance_timeout` is taken back, and goes to the next owner (REBALANCE-5)."""
    core = Core(QueueSettings(rebalance_timeout=12.0))
    core.topic("news", 2)
    core.fill("news", 2, 1)
    core.join("g", "c", "news")
    records = core.drain("c")
    core.join("g", "d", "news")
    moving = [cursor.next_owner is not None for cursor in core.broker.groups["g"].cursors["news"]].index(True)
    core.pass_time(11.9)
    core.beat("c")
    assert core.poll("d") is None
    core.pass_time(0.2)
    core.beat("c")
    record = core.poll("d")
    assert (record["partition"], record["redelivered"]) == (moving, True)
    assert core.acknowledge("c", records[moving]).status == 409
    assert core.acknowledge("c", records[1 - moving]).status == 202
    assert core.acknowledge("d", record).status == 202
    assert core.committed("g") == [1, 1]


def test_a_second_rebalance_gives_no_more_time(core: Core) -> None:
    """Further rebalances do not extend the time of a partition that still has to move."""
    core = Core(QueueSettings(rebalance_timeout=12.0))
    core.topic("news", 3)
    core.fill("news", 3, 1)
    core.join("g", "c", "news")
    core.drain("c")
    core.join("g", "d", "news")
    core.pass_time(10)
    core.join("g", "e", "news")
    for name in ("c", "d"):
        core.beat(name)
    core.pass_time(3)
    assert core.beat("c") == 202
    assert any(owner in {"d", "e"} for owner in core.owners("g", "news"))


def test_an_heir_that_leaves(core: Core) -> None:
    """If the next owner leaves, the owner keeps the partition and its record in flight."""
    core.topic("news", 2)
    core.fill("news", 2, 2)
    core.join("g", "c", "news")
    records = core.drain("c")
    core.join("g", "d", "news")
    core.do("/consumer/unregister-consumer", consumer_name="d")
    for record in records:
        assert core.acknowledge("c", record).status == 202
    assert texts(core.drain("c")) == ["P0-1", "P1-1"]
    core.pass_time(29)
    core.beat("c")
    core.pass_time(29)
    assert core.beat("c") == 202
    assert [row["inFlight"] is not None for row in core.group("g")["assignment"]] == [True, True]


def test_an_owner_that_leaves_while_its_partition_moves(core: Core) -> None:
    """A record of a leaving consumer is free for the next owner at once (DELIVER-2)."""
    core.topic("news", 2)
    core.fill("news", 2, 1)
    core.join("g", "c", "news")
    core.drain("c")
    core.join("g", "d", "news")
    core.do("/consumer/unregister-consumer", consumer_name="c")
    assert core.owners("g", "news") == ["d", "d"]
    assert sorted(texts(core.drain("d"))) == ["P0-0", "P1-0"]


NAMES = ("a", "b", "c", "d")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.sampled_from(NAMES)),
        st.tuples(st.just("leave"), st.sampled_from(NAMES)),
        st.tuples(st.just("poll"), st.sampled_from(NAMES)),
        st.tuples(st.just("acknowledge"), st.sampled_from(NAMES)),
        st.tuples(st.just("give_back"), st.sampled_from(NAMES)),
        st.tuples(st.just("publish"), st.just("")),
        st.tuples(st.just("wait"), st.sampled_from(("1", "9", "31"))),
    ),
    max_size=60,
)


class Watched:
    """A group under random steps, and the invariants after each of them."""

    def __init__(self) -> None:
        self.core = Core(QueueSettings(rebalance_timeout=10.0))
        self.core.topic("t", 3)
        self.core.do("/consumer-group/add", consumer_group_name="g")
        self.held: dict[str, list[dict[str, object]]] = {name: [] for name in NAMES}

    def take(self, step: str, name: str) -> None:
        core = self.core
        for member in NAMES:  # Only the step `wait 31` is meant to evict.
            core.beat(member)
        if step == "publish":
            core.publish("t")
        elif step == "wait":
            core.pass_time(float(name))
        elif name not in core.broker.consumers:
            if step == "join":
                core.join("g", name, "t")
                self.held[name] = []
        elif step == "join":
            core.subscribe(name, "t")
        elif step == "leave":
            core.do("/consumer/unregister-consumer", consumer_name=name)
        elif step == "poll":
            record = core.poll(name)
            self.held[name] += [record] if record else []
        elif self.held[name]:
            getattr(core, step)(name, self.held[name].pop())
        self.check()

    def check(self) -> None:
        broker = self.core.broker
        broker.tick(self.core.now)
        members = broker.groups["g"].members
        for cursor in broker.groups["g"].all_cursors():
            assert 0 <= cursor.committed <= cursor.handed <= cursor.committed + 1
            assert cursor.handed <= cursor.partition.end
            if cursor.in_flight is not None:
                assert cursor.owner is not None
                assert cursor.owner.held[cursor.in_flight] is cursor
                assert cursor.in_flight == cursor.partition.ids[cursor.committed]
            else:
                assert cursor.next_owner is None
            assert (cursor.owner is None) == (not any(m.topics for m in members.values()))
            if cursor.owner is not None:
                assert cursor in cursor.owner.assigned
                assert members[cursor.owner.name] is cursor.owner
            assert (cursor.next_owner is not None) == (cursor.overdue < float("inf"))
        for member in members.values():
            assert all(cursor.owner is member for cursor in member.assigned)
            assert len(set(map(id, member.assigned))) == len(member.assigned)


@settings(max_examples=150)
@given(steps)
def test_whatever_happens(history: list[tuple[str, str]]) -> None:
    """Cursors are consistent after every step, and the assignment is balanced once all records are settled."""
    watched = Watched()
    for step, name in history:
        watched.take(step, name)
    core = watched.core
    for name in NAMES:
        core.beat(name)
    core.pass_time(10)
    for name in NAMES:
        core.beat(name)
    owners = core.owners("g", "t")
    alive = [name for name in NAMES if name in core.broker.consumers]
    if owners and alive:
        counts = [owners.count(name) for name in alive]
        assert sum(counts) == len(owners)
        assert max(counts) - min(counts) <= 1
        assert all(cursor.next_owner is None for cursor in core.broker.groups["g"].all_cursors())
