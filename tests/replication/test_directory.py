"""Topics and names of consumers, as all nodes know them."""

from __future__ import annotations

import pytest

from reference_server.kafka import commands as c
from reference_server.kafka.directory import Claims, Topics
from reference_server.queue.refusal import Refusal


def test_one_of_two_nodes_adds_a_topic() -> None:
    """The log decides: the second gets the refusal, and the first keeps its Kafka topic."""
    topics = Topics(10, 100)
    added = topics.apply(c.AddTopic("news", 4, "one"), 1.0, 0)
    with pytest.raises(Refusal, match="exists"):
        topics.apply(c.AddTopic("news", 2, "two"), 1.0, 1)
    assert topics.by_name["news"] == added
    assert added.store == "one"


def test_partitions_have_numbers_that_none_had_before() -> None:
    """A messageId names the partition, also one of a topic that is gone."""
    topics = Topics(10, 100)
    topics.apply(c.AddTopic("a", 4, "a"), 1.0, 0)
    topics.apply(c.RemoveTopic("a"), 1.0, 1)
    assert topics.apply(c.AddTopic("a", 4, "a2"), 1.0, 2).first == 4


def test_the_bounds_of_topics_and_partitions_hold() -> None:
    """A removed topic makes room."""
    topics = Topics(2, 6)
    topics.apply(c.AddTopic("a", 4, "a"), 1.0, 0)
    with pytest.raises(Refusal, match="6 partitions"):
        topics.apply(c.AddTopic("b", 3, "b"), 1.0, 1)
    topics.apply(c.AddTopic("b", 1, "b"), 1.0, 2)
    with pytest.raises(Refusal, match="2 topics"):
        topics.apply(c.AddTopic("c", 1, "c"), 1.0, 3)
    topics.apply(c.RemoveTopic("a"), 1.0, 4)
    topics.apply(c.AddTopic("c", 4, "c"), 1.0, 5)


def test_turns_of_all_nodes_are_one_round() -> None:
    """PART-RR-1: each node gets turns that no other has."""
    topics = Topics(10, 100)
    serial = topics.apply(c.AddTopic("news", 4, "s"), 1.0, 8).serial
    firsts = [topics.apply(c.TakeTurns(serial, count), 1.0, 9) for count in (1, 3, 2)]
    assert firsts == [0, 1, 4]


def test_a_name_is_claimed_once() -> None:
    """Another node gets the claim that holds the name, and may replace that one alone."""
    claims = Claims()
    granted, first = claims.apply(c.Claim("a", "g", -1), 1.0, 0) or (None, None)
    refused, held = claims.apply(c.Claim("a", "h", -1), 2.0, 1) or (None, None)
    assert (granted, refused) == (True, False)
    assert held == first
    assert held is not None
    replaced, second = claims.apply(c.Claim("a", "h", held.number), 3.0, 2) or (None, None)
    assert replaced is True
    assert second is not None
    claims.apply(c.Release("a", held.number), 4.0, 3)
    assert claims.by_name["a"] == second
    claims.apply(c.Release("a", second.number), 4.0, 4)
    assert not claims.by_name


def test_the_first_settings_count() -> None:
    """Every node has to evict by the same timeout."""
    topics = Topics(10, 100)
    assert topics.apply(c.Begin({"heartbeat_timeout": 30.0}), 1.0, 0) == {"heartbeat_timeout": 30.0}
    assert topics.apply(c.Begin({"heartbeat_timeout": 2.0}), 1.0, 1) == {"heartbeat_timeout": 30.0}
