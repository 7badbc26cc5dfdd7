"""Long polls: parked, answered, cancelled. Tests do by hand what the server's threads do, so none of them waits."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest

from reference_server.queue.partitioner import partition_of
from tests.queue_core.core import Core, read, texts

if TYPE_CHECKING:
    from reference_server.queue.outcomes import Outcome


class Waiting:
    """A core with a group of one consumer, and long polls by name."""

    def __init__(self) -> None:
        self.core = Core()
        self.core.topic("news", 2)
        self.core.join("g", "c", "news")

    def poll(self, waiter: str, name: str = "c", **members: object) -> Outcome | None:
        body = json.dumps({"consumer_name": name, "wait_seconds": 20} | members).encode()
        return self.core.operations.perform("/consumer/poll", body, now=self.core.now, waiter=waiter)

    def answered(self) -> dict[object, object]:
        """Status, or messages, of each poll that was answered since the last call."""
        answers: dict[object, object] = {}
        for waiter, outcome in self.core.operations.long_polls.answered():
            reply = read(outcome)
            answers[waiter] = (
                reply.status if reply.status != 200 else texts(reply.body.get("records", [reply.body]))
            )
        return answers


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


def test_a_poll_that_finds_something_does_not_wait(waiting: Waiting) -> None:
    """A poll with a record is answered at once, and so is one that must not wait (POLL-WAIT-1)."""
    waiting.core.publish("news", "m")
    outcome = waiting.poll("w")
    assert outcome is not None
    assert texts([read(outcome).body]) == ["m"]
    no_waiter = waiting.core.ask("/consumer/poll", consumer_name="c", wait_seconds=5)
    assert no_waiter.status == 204
    assert waiting.poll("w", wait_seconds=0) is not None


def test_a_published_record_answers(waiting: Waiting) -> None:
    """The first of the waiting polls gets the record; the others wait on (POLL-WAIT-1)."""
    assert waiting.poll("w1") is None
    assert waiting.poll("w2") is None
    assert waiting.core.operations.long_polls.deadlines.next == 20
    assert waiting.answered() == {}
    waiting.core.publish("news", "first")
    assert waiting.answered() == {"w1": ["first"]}
    waiting.core.publish("news", "second")
    assert waiting.answered() == {"w2": ["second"]}
    assert waiting.answered() == {}


def test_an_acknowledgement_answers(waiting: Waiting) -> None:
    """A settlement answers a long poll by the next record, or by the same one again (POLL-WAIT-1)."""
    core = waiting.core
    for text in ("a", "b"):
        core.publish("news", text, key="k")
    record = core.poll("c")
    assert waiting.poll("w1") is None
    core.give_back("c", record)
    assert waiting.answered() == {"w1": ["a"]}
    assert waiting.poll("w2") is None
    core.acknowledge("c", record)
    assert waiting.answered() == {"w2": ["b"]}


def test_a_partition_that_comes_in_a_rebalance_answers(waiting: Waiting) -> None:
    """A long poll gets a free record of a partition that moves to its consumer (POLL-WAIT-1)."""
    core = waiting.core
    core.fill("news", 2, 1)
    core.join("g", "d")
    assert waiting.poll("w", "d") is None
    core.subscribe("d", "news")
    assert len(waiting.answered()) == 1


@pytest.mark.parametrize("how", ["unregister", "evict"])
def test_what_an_owner_leaves_answers(waiting: Waiting, how: str) -> None:
    """A long poll of the next owner gets the record of a member that is gone."""
    core = waiting.core
    core.publish("news", "m")
    core.poll("c")
    core.join("g", "d", "news")
    if how == "unregister":
        assert waiting.poll("w", "d") is None
        core.do("/consumer/unregister-consumer", consumer_name="c")
    else:
        core.pass_time(29)
        assert waiting.poll("w", "d") is None
        core.pass_time(2)
        core.broker.tick(core.now)
    assert waiting.answered() == {"w": ["m"]}


def test_a_batch_may_wait(waiting: Waiting) -> None:
    """A long batch poll is answered in the form of a batch."""
    assert waiting.poll("w", max_messages=5) is None
    waiting.core.publish("news", "a")
    waiting.core.publish("news", "b")
    assert waiting.answered() == {"w": ["a", "b"]}


def test_its_time_is_over(waiting: Waiting) -> None:
    """A long poll is answered as empty at its deadline, once and not before (POLL-WAIT-2)."""
    operations = waiting.core.operations
    waiting.core.wall = 5.0
    assert waiting.poll("w") is None
    waiting.core.wall = operations.long_polls.deadlines.next - 0.001
    assert waiting.answered() == {}
    waiting.core.wall = 25.0
    [(waiter, outcome)] = operations.long_polls.answered()
    assert (waiter, outcome.status, outcome.body) == ("w", 204, b"")
    assert waiting.answered() == {}
    waiting.core.publish("news", "m")
    assert waiting.answered() == {}
    assert texts([waiting.core.poll("c")]) == ["m"]


def test_cancelled(waiting: Waiting) -> None:
    """A poll whose client is gone is not answered, and takes no record."""
    assert waiting.poll("w") is None
    for _ in range(2):
        waiting.core.operations.long_polls.cancel("w")
    waiting.core.wall = 25.0
    assert waiting.answered() == {}
    waiting.core.publish("news", "m")
    assert waiting.answered() == {}
    assert texts([waiting.core.poll("c")]) == ["m"]


def test_alive_while_it_waits(waiting: Waiting) -> None:
    """A consumer's silence starts when its long poll is answered (POLL-WAIT-5)."""
    core = waiting.core
    assert waiting.poll("w") is None
    core.pass_time(100)
    core.broker.tick(core.now)
    core.publish("news", "m")
    assert waiting.answered() == {"w": ["m"]}
    core.pass_time(29)
    core.broker.tick(core.now)
    assert "c" in core.broker.consumers
    core.pass_time(2)
    assert core.beat("c") == 404


@pytest.mark.parametrize("how", ["unregister", "remove group"])
def test_refused_when_the_registration_ends(waiting: Waiting, how: str) -> None:
    """A long poll is refused when its consumer is removed (POLL-WAIT-1)."""
    assert waiting.poll("w") is None
    if how == "unregister":
        waiting.core.do("/consumer/unregister-consumer", consumer_name="c")
    else:
        waiting.core.do("/consumer-group/remove", consumer_group_name="g")
    assert waiting.answered() == {"w": 404}
    waiting.core.join("g", "c", "news")
    waiting.core.publish("news")
    assert waiting.answered() == {}


def test_others_do_not_answer(waiting: Waiting) -> None:
    """Records of other topics, groups and owners do not answer a long poll."""
    core = waiting.core
    core.topic("other")
    core.join("h", "e", "news", "other")
    core.join("g", "d", "news")
    assert waiting.poll("w", "d") is None
    core.publish("other")
    theirs, mine = (core.owners("g", "news").index(name) for name in ("c", "d"))
    keys = {partition_of(key, 2): key for key in map(str, range(99))}
    core.publish("news", key=keys[theirs])
    assert waiting.answered() == {}
    core.publish("news", "for d", key=keys[mine])
    assert waiting.answered() == {"w": ["for d"]}


def test_a_refused_long_poll_does_not_wait(waiting: Waiting) -> None:
    """A poll with bad members is refused at once (POLL-WAIT-4, POLL-BATCH-2)."""
    for members in ({"wait_seconds": 31}, {"wait_seconds": -1}, {"max_messages": 0}):
        outcome = waiting.poll("w", **members)
        assert outcome is not None
        assert outcome.status == 400
    outcome = waiting.poll("w", "nobody")
    assert outcome is not None
    assert outcome.status == 404


@pytest.mark.parametrize("end", ["an answer", "a cancellation"])
def test_a_poll_that_has_ended_needs_no_timer(waiting: Waiting, end: str) -> None:
    """The deadline of a poll that ended early is dropped: the timer would find it due, and nothing to do, for ever."""
    operations = waiting.core.operations
    assert waiting.poll("w") is None
    assert waiting.poll("later", wait_seconds=30) is None
    if end == "an answer":
        waiting.core.publish("news", "first")
        assert waiting.answered() == {"w": ["first"]}
    else:
        operations.long_polls.cancel("w")
    assert operations.long_polls.deadlines.next == 30
    operations.long_polls.cancel("later")
    assert operations.long_polls.deadlines.next == math.inf
