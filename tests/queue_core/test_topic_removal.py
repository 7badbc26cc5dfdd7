"""Removal of topics: records, cursors, subscriptions and waiting polls of a topic go, and nothing else does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_server.queue.settings import QueueSettings
from tests.queue_core.core import Core, read, texts

if TYPE_CHECKING:
    import pytest


def remove(core: Core, topic: str) -> None:
    """Remove a topic that exists."""
    core.do("/topic/remove-topic", topicName=topic)


def test_a_removed_topic_is_unknown(core: Core) -> None:
    """Every operation that names it is refused by 404, and the name is free (TOPIC-REMOVE-1 to -4, -10)."""
    core.topic("t")
    core.join("g", "c")
    remove(core, "t")
    for path, members in (
        ("/topic/remove-topic", {"topicName": "t"}),
        ("/publish/t", {"messageID": "l", "message": "m"}),
        ("/consumer/subscribe-topic", {"consumer_name": "c", "topic_list": "t"}),
        ("/consumer/unsubscribe-topic", {"consumer_name": "c", "topic_list": "t"}),
    ):
        reply = core.ask(path, **members)
        assert (reply.status, reply.cause) == (404, "topic-unknown")
    assert core.operations.read("/topics/t", now=core.now).status == 404
    assert read(core.operations.read("/topics", now=core.now)).body == {"topics": []}
    core.topic("t", 2)
    assert core.publish("t") == (0, 0)


def test_everything_about_it_is_forgotten(core: Core) -> None:
    """Counts and the budget are as if the topic had never been there."""
    core.topic("kept")
    core.join("g", "a", "kept")
    core.join("h", "b")
    core.publish("kept")
    held = core.poll("a")
    before = core.picture()
    for _ in range(3):
        core.topic("t", 3)
        core.fill("t", 3, 2)
        for name in ("a", "b"):
            core.subscribe(name, "t")
        core.join("g", "second", "t")
        records = core.drain("a") + core.drain("b") + core.drain("second")
        assert len(records) == 6
        core.acknowledge("b", next(r for r in records if r["messageId"] in core.broker.consumers["b"].held))
        core.do("/consumer/unregister-consumer", consumer_name="second")
        remove(core, "t")
        assert core.picture() == before
        assert not core.broker._followers.get("t")
    assert core.acknowledge("a", held).status == 202


def test_what_was_in_flight_is_void(core: Core) -> None:
    """Acknowledgements of both kinds are refused by 409, also under a new topic of that name (TOPIC-REMOVE-7, -8)."""
    core.topic("t")
    core.join("g", "c", "t")
    core.publish("t", "old")
    held = core.poll("c")
    remove(core, "t")
    assert core.acknowledge("c", held).cause == "not-in-flight"
    assert core.give_back("c", held).cause == "not-in-flight"
    core.topic("t")
    assert core.poll("c") is None
    core.publish("t", "new")
    assert core.poll("c") is None
    core.subscribe("c", "t")
    assert core.acknowledge("c", held).status == 409
    record = core.poll("c")
    assert (record["message"]["message"], record["offset"], record["redelivered"]) == ("new", 0, False)
    assert core.acknowledge("c", held).status == 409
    assert core.acknowledge("c", record).status == 202


def test_members_keep_their_other_topics(core: Core) -> None:
    """Subscriptions, records in flight, committed offsets and owners of other topics stay (TOPIC-REMOVE-6)."""
    for name in ("t", "u"):
        core.topic(name, 2)
        core.fill(name, 2, 2)
    core.join("g", "a", "t", "u")
    core.join("g", "b", "t", "u")
    held = core.drain("a")
    before = core.group("g")
    remove(core, "t")
    after = core.group("g")
    assert after["assignment"] == [row for row in before["assignment"] if row["topicName"] == "u"]
    assert [member["topics"] for member in after["members"]] == [["u"], ["u"]]
    assert {core.acknowledge("a", r).status for r in held if r["message"]["topicName"] == "u"} == {202}
    assert texts(core.drain("a") + core.drain("b")) == ["P0-1", "P1-0"]


def test_a_removal_in_the_middle_of_a_rebalance(core: Core) -> None:
    """A partition that was waiting for its holder is gone, and nothing of it is taken back later."""
    core.topic("t", 2)
    core.fill("t", 2, 1)
    core.join("g", "a", "t")
    assert len(core.drain("a")) == 2
    core.join("g", "b", "t")
    remove(core, "t")
    core.pass_time(core.settings.rebalance_timeout)
    assert core.beat("a") == 404  # evicted by its silence, and nothing else happened
    core.topic("t", 2)
    core.join("g", "c", "t")
    assert core.owners("g", "t") == ["c", "c"]


def test_a_removal_in_the_middle_of_an_eviction(monkeypatch: pytest.MonkeyPatch) -> None:
    """An evicted member whose partitions are dealt out in pieces has none of a topic that is removed meanwhile."""
    monkeypatch.setattr("reference_server.queue.group._PIECE", 1)
    core = Core(QueueSettings(heartbeat_timeout=10))
    for name in "tuv":
        core.topic(name, 2)
    core.join("g", "a", "t", "u", "v")
    core.pass_time(5)
    core.join("g", "b", "t", "u", "v")
    core.pass_time(5.5)
    assert core.beat("a") == 404
    remove(core, "t")
    core.now += 0.1
    core.beat("b")
    assert core.owners("g", "u") == ["b", "b"]


class Waiting:
    """Polls that wait."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def poll(self, waiter: str, name: str) -> None:
        body = b'{"consumer_name":"%b","wait_seconds":10}' % name.encode()
        assert self.core.operations.perform("/consumer/poll", body, now=self.core.now, waiter=waiter) is None

    def answered(self) -> dict[Any, int]:
        return {waiter: outcome.status for waiter, outcome in self.core.operations.long_polls.answered()}


def test_polls_that_wait_for_it_end(core: Core) -> None:
    """A poll without another topic is answered 204; others wait on and get their records (TOPIC-REMOVE-9)."""
    for name in ("t", "u"):
        core.topic(name)
    core.join("g", "only", "t")
    core.join("g", "both", "t", "u")
    core.join("g", "none")
    core.join("h", "other", "t")
    waiting = Waiting(core)
    for name in ("only", "both", "none", "other"):
        waiting.poll(name, name)
    waiting.poll("again", "only")
    assert waiting.answered() == {}
    remove(core, "t")
    assert waiting.answered() == {"only": 204, "again": 204, "other": 204}
    core.publish("u")
    assert waiting.answered() == {"both": 200}
    waiting.poll("later", "only")
    core.topic("t")
    assert waiting.answered() == {}
    core.subscribe("only", "t")
    core.publish("t")
    assert waiting.answered() == {"later": 200}
    core.wall += 10
    assert waiting.answered() == {"none": 204}


def test_the_records_of_a_large_topic_go_in_pieces(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """A removal takes no long turn: records go a piece at a time."""
    monkeypatch.setattr("reference_server.queue.room._PIECE", 1000)
    core.topic("t", 2)
    empty = core.broker.budget.used
    for _ in range(5000):
        core.publish("t", "x")
    full = core.broker.budget.used
    remove(core, "t")
    assert empty < core.broker.budget.used < full
    assert core.broker.next_deadline() < core.now + 0.1
    turns = 0
    while core.broker.next_deadline() < core.now + 1:
        core.now += 0.01
        core.broker.tick(core.now)
        turns += 1
    assert 1 <= turns < 10
    assert (core.broker.budget.used, core.broker.room.records) == (empty, 0)


def test_octets_of_a_removed_topic_make_room_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that needs the room of a topic whose records are still going is stored (PUB-FULL-4)."""
    monkeypatch.setattr("reference_server.queue.room._PIECE", 1000)
    core = Core(QueueSettings(records=6000))
    core.topic("t")
    for _ in range(6000):
        core.publish("t", "x")
    assert core.ask("/publish/t", messageID="l", message="x").status == 507
    remove(core, "t")
    core.topic("u")
    for _ in range(6000):
        core.publish("u", "x")
    assert core.ask("/publish/u", messageID="l", message="x").status == 507
