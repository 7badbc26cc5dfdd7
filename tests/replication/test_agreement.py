"""Nodes agree: the same commands make the same state, also on a node that begins with a snapshot."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reference_server.kafka import commands as c
from reference_server.kafka.directory import Claims, Topics
from reference_server.kafka.shard import Given, Nothing, Stale
from reference_server.queue.refusal import Refusal
from tests.replication.machines import NEWS, SPORT, Feed, shard

NAMES = st.sampled_from(["a", "b", "c"])
GROUPS = st.sampled_from(["g", "h"])
TOPICS = st.lists(st.sampled_from([NEWS, SPORT]), min_size=1, max_size=2)
ENDS = st.lists(st.tuples(st.sampled_from([NEWS.serial, SPORT.serial]), st.integers(0, 1), st.integers(0, 6)))
IDS = st.builds(lambda offset, number: offset << 24 | number, st.integers(0, 3), st.integers(0, 4))
COMMANDS = st.one_of(
    st.just(c.Tick()),
    st.builds(c.AddGroup, GROUPS),
    st.builds(c.RemoveGroup, GROUPS),
    st.builds(c.Register, GROUPS, NAMES, st.integers(0, 5), st.just(1000.0)),
    st.builds(c.Revoke, NAMES, st.integers(0, 5)),
    st.builds(c.Unregister, NAMES),
    st.builds(c.Touch, NAMES),
    st.builds(c.Subscribe, NAMES, TOPICS),
    st.builds(c.Unsubscribe, NAMES, st.lists(st.sampled_from([NEWS.serial, SPORT.serial]))),
    st.builds(c.Poll, NAMES, st.integers(0, 3), ENDS),
    st.builds(c.Settle, NAMES, IDS, st.booleans()),
    st.builds(c.Forget, st.sampled_from([NEWS.serial, SPORT.serial])),
)
STEPS = st.lists(st.tuples(COMMANDS, st.sampled_from([0.0, 0.1, 4.0, 11.0])), max_size=60)
BEGINNING = [c.AddGroup("g"), c.AddGroup("h")]
BEGINNING += [c.Register("g", name, number, 1000.0) for number, name in enumerate("ab")]
BEGINNING += [c.Subscribe("a", [NEWS, SPORT]), c.Subscribe("b", [NEWS])]


def outcome(feed: Feed, command: c.Command) -> Any:
    """The result of a command, or what it raised."""
    try:
        found = feed(command)
    except (Refusal, Stale) as error:
        return type(error), getattr(error, "cause", "")
    if isinstance(found, Nothing):
        return [tuple(free) for free in found.looked_at]
    return [tuple(each) for each in found] if isinstance(found, list) else found


@settings(max_examples=200)
@given(STEPS, st.integers(0, 60))
def test_a_node_that_begins_with_a_snapshot_agrees(steps: list[tuple[c.Command, float]], place: int) -> None:
    """Every result, and the state at the end, are those of the node that saw all."""
    first, second = Feed(shard()), Feed(shard())
    for command in BEGINNING:
        first(command)
    for index, (command, seconds) in enumerate(steps):
        if index == min(place, len(steps) - 1):
            second.machine.load(first.machine.dump())
            second.now = first.now
        first.now += seconds
        second.now = first.now
        expected = outcome(first, command)
        if index >= min(place, len(steps) - 1):
            assert outcome(second, command) == expected
            assert second.machine.dump() == first.machine.dump()


@settings(max_examples=100)
@given(STEPS)
def test_a_record_is_in_flight_once_and_in_order(steps: list[tuple[c.Command, float]]) -> None:
    """In each group a partition has one record in flight, and each is the one after the last that was committed."""
    feed = Feed(shard())
    for command in BEGINNING:
        feed(command)
    for command, seconds in steps:
        feed.now += seconds
        with contextlib.suppress(Refusal, Stale):
            given_ones = feed(command)
            for each in given_ones if isinstance(given_ones, list) else ():
                assert isinstance(each, Given)
        for group in feed.machine.broker.groups.values():
            held = [cursor for member in group.members.values() for cursor in member.held.values()]
            assert len({id(cursor) for cursor in held}) == len(held)
            for cursor in held:
                assert cursor.in_flight == cursor.partition.ids[cursor.committed]


def test_topics_and_claims_survive_a_snapshot() -> None:
    """The directory of a node that begins with a snapshot is that of the others."""
    topics, claims = Topics(10, 100), Claims()
    topics.apply(c.Begin({"heartbeat_timeout": 30.0}), 1.0, 0)
    topics.apply(c.AddTopic("news", 4, "s-news"), 1.0, 1)
    topics.apply(c.AddTopic("old", 4, "s-old"), 1.0, 2)
    topics.apply(c.RemoveTopic("old"), 1.0, 3)
    topics.apply(c.TakeTurns(1, 3), 1.0, 4)
    claims.apply(c.Claim("a", "g", -1), 1.0, 5)
    again, claimed = Topics(10, 100), Claims()
    again.load(topics.dump())
    claimed.load(claims.dump())
    assert again.apply(c.TakeTurns(1, 1), 2.0, 6) == 3
    added = again.apply(c.AddTopic("old", 1, "s-old-2"), 2.0, 7)
    assert added.first == 8
    assert claimed.by_name == claims.by_name
