"""Consumers, how they register and how they leave: MEMBER-REGISTER-*, MEMBER-UNREGISTER-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.fixture import ACKNOWLEDGE, REGISTER, SUBSCRIBE, UNREGISTER, QueueFixture
from conformance.suite.queue.queue_client import HEARTBEAT, refused

if TYPE_CHECKING:
    from conformance.bench.bench import Bench


@clauses("MEMBER-REGISTER-1")
def test_a_registered_consumer_is_served(bench: Bench) -> None:
    """Registering answers 200; without a subscription the consumer is a member all the same."""
    queue = QueueFixture(bench)
    consumer = queue.new_consumer(queue.new_group())
    beat, poll = queue.heartbeat(consumer), queue.poll(consumer)
    bench.judge("MEMBER-REGISTER-1", beat.status == 202, expected="202: it is registered", observed=beat)
    bench.judge("POLL-EMPTY-1", poll.status != 200, expected="no record: no subscription", observed=poll)


@clauses("MEMBER-REGISTER-2", "MEMBER-REGISTER-3")
def test_a_group_that_does_not_exist_takes_no_consumer(bench: Bench) -> None:
    """The registration is refused, and adds neither the consumer nor the group."""
    queue = QueueFixture(bench)
    group, name = bench.fresh("group"), bench.fresh("consumer")
    for attempt in ("no such group", "the refused registration did not add it"):
        reply = queue.call(REGISTER, {"consumer_group_name": group, "consumer_name": name})
        bench.judge("MEMBER-REGISTER-2", refused(reply), expected=f"4xx: {attempt}", observed=reply)
        bench.judge("MEMBER-REGISTER-3", reply.status == 404, expected=f"404: {attempt}", observed=reply)
    beat = queue.heartbeat(name)
    bench.judge("MEMBER-REGISTER-2", refused(beat), expected="4xx: no such consumer", observed=beat)
    free = queue.call(REGISTER, {"consumer_group_name": queue.new_group(), "consumer_name": name})
    bench.judge("MEMBER-REGISTER-2", free.status == 200, expected="200: the name is free", observed=free)


@clauses("MEMBER-REGISTER-4", "MEMBER-REGISTER-5")
@pytest.mark.parametrize("where", ["same group", "other group"])
def test_a_taken_name_is_refused_and_its_holder_notices_nothing(bench: Bench, where: str) -> None:
    """Names are unique on the server; the holder keeps group, subscription and record."""
    queue = QueueFixture(bench)
    topic, group, (holder,) = queue.topic_with_consumers()
    other_topic, other_group = queue.new_topic(), queue.new_group()
    queue.publish(topic, "first")
    queue.publish(topic, "second")
    queue.publish(other_topic, "not for it")
    held = queue.poll_until_record(holder)
    wanted = group if where == "same group" else other_group
    reply = queue.call(REGISTER, {"consumer_group_name": wanted, "consumer_name": holder})
    bench.judge("MEMBER-REGISTER-4", refused(reply), expected="4xx: the name is taken", observed=reply)
    bench.judge("MEMBER-REGISTER-5", reply.status == 409, expected="409: the name is taken", observed=reply)
    queue.expect_no_record(holder, "MEMBER-REGISTER-4", "no record: `first` is in flight as before")
    mine = queue.call(ACKNOWLEDGE, {"consumer_name": holder, "message_id": held.message_id})
    bench.judge(
        "MEMBER-REGISTER-4", mine.status == 202, expected="202: the record is still its own", observed=mine
    )
    following = queue.poll_record(holder, "MEMBER-REGISTER-4")
    bench.judge(
        "MEMBER-REGISTER-4", following.message == "second", expected="`second`", observed=following.whole
    )
    # What it acknowledged is committed in the group that it belongs to.
    queue.unsubscribe(holder, topic)
    next_owner = queue.poll_until_record(queue.new_consumer(group, topic), "MEMBER-REGISTER-4")
    bench.judge(
        "MEMBER-REGISTER-4",
        next_owner.message == "second",
        expected="`second` in its group",
        observed=next_owner.whole,
    )


@clauses("MEMBER-UNREGISTER-1")
def test_an_unregistered_consumer_is_refused_and_its_name_is_free(bench: Bench) -> None:
    """Unregistering answers 202 and ends the registration."""
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "m")
    held = queue.poll_until_record(consumer)
    reply = queue.call(UNREGISTER, {"consumer_name": consumer})
    bench.judge("MEMBER-UNREGISTER-1", reply.status == 202, expected="202 for a consumer", observed=reply)
    for path, more in (
        (HEARTBEAT, {}),
        (SUBSCRIBE, {"topic_list": topic}),
        (ACKNOWLEDGE, {"message_id": held.message_id}),
        (UNREGISTER, {}),
    ):
        after = queue.call(path, {"consumer_name": consumer, **more})
        bench.judge("MEMBER-UNREGISTER-1", refused(after), expected="4xx: it has left", observed=after)
    again = queue.call(REGISTER, {"consumer_group_name": group, "consumer_name": consumer})
    bench.judge("MEMBER-UNREGISTER-1", again.status == 200, expected="200: the name is free", observed=again)
    queue.expect_no_record(consumer, "MEMBER-UNREGISTER-1", "no record: the new consumer has no subscription")


@clauses("MEMBER-UNREGISTER-2", "MEMBER-UNREGISTER-3")
def test_an_unknown_consumer_cannot_unregister(bench: Bench) -> None:
    """Unregistering nobody is refused."""
    reply = QueueFixture(bench).call(UNREGISTER, {"consumer_name": bench.fresh("nobody")})
    bench.judge("MEMBER-UNREGISTER-2", refused(reply), expected="4xx: no such consumer", observed=reply)
    bench.judge("MEMBER-UNREGISTER-3", reply.status == 404, expected="404: no such consumer", observed=reply)
