"""Registration of consumers: MEMBER-REGISTER-*, MEMBER-UNREGISTER-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_refusal, expect_status
from conformance.suite.queue.fixture import ACKNOWLEDGE, REGISTER, SUBSCRIBE, UNREGISTER, QueueFixture
from conformance.suite.queue.freed_records import keep_everything
from conformance.suite.queue.queue_client import HEARTBEAT

if TYPE_CHECKING:
    from conformance.bench.bench import Bench


@clauses("MEMBER-REGISTER-1")
def test_a_registered_consumer_is_served(bench: Bench) -> None:
    """Register a consumer without subscriptions; expect 200, then 202 for its heartbeat and no record from its poll."""
    queue = QueueFixture(bench)
    consumer = queue.new_consumer(queue.new_group())
    beat, poll = queue.heartbeat(consumer), queue.poll(consumer)
    expect_status(bench, beat, 202, "MEMBER-REGISTER-1", "the consumer is registered")
    bench.judge("POLL-EMPTY-1", poll.status != 200, expected="no record: no subscription", observed=poll)


@clauses("MEMBER-REGISTER-2", "MEMBER-REGISTER-3")
def test_a_group_that_does_not_exist_takes_no_consumer(bench: Bench) -> None:
    """Register in a group that was never added, twice; expect refusals (4xx), and neither the consumer nor the group to
    exist.
    """
    queue = QueueFixture(bench)
    group, name = bench.fresh("group"), bench.fresh("consumer")
    for attempt in ("no such group", "the refused registration did not add it"):
        reply = queue.call(REGISTER, {"consumer_group_name": group, "consumer_name": name})
        expect_refusal(bench, reply, "MEMBER-REGISTER-2", attempt)
        expect_status(bench, reply, 404, "MEMBER-REGISTER-3", attempt)
    beat = queue.heartbeat(name)
    expect_refusal(bench, beat, "MEMBER-REGISTER-2", "no such consumer")
    free = queue.call(REGISTER, {"consumer_group_name": queue.new_group(), "consumer_name": name})
    expect_status(bench, free, 200, "MEMBER-REGISTER-2", "the name is free")


@clauses("MEMBER-REGISTER-4", "MEMBER-REGISTER-5")
@pytest.mark.parametrize("where", ["same group", "other group"])
def test_a_taken_name_is_refused_and_its_holder_notices_nothing(bench: Bench, where: str) -> None:
    """Register a name that is taken, in the same group or another; expect a refusal (4xx), and the holder to keep its
    group, subscription and record. Names are unique on the server.
    """
    queue = QueueFixture(bench)
    topic, group, (holder,) = queue.topic_with_consumers()
    other_topic, other_group = queue.new_topic(), queue.new_group()
    queue.publish(topic, "first")
    queue.publish(topic, "second")
    queue.publish(other_topic, "not for it")
    held = queue.poll_until_record(holder)
    wanted = group if where == "same group" else other_group
    reply = queue.call(REGISTER, {"consumer_group_name": wanted, "consumer_name": holder})
    expect_refusal(bench, reply, "MEMBER-REGISTER-4", "the name is taken")
    expect_status(bench, reply, 409, "MEMBER-REGISTER-5", "the name is taken")
    queue.expect_no_record(holder, "MEMBER-REGISTER-4", "no record: `first` is in flight as before")
    mine = queue.call(ACKNOWLEDGE, {"consumer_name": holder, "message_id": held.message_id})
    expect_status(bench, mine, 202, "MEMBER-REGISTER-4", "the consumer still holds the record")
    following = queue.poll_record(holder, "MEMBER-REGISTER-4")
    bench.judge(
        "MEMBER-REGISTER-4", following.message == "second", expected="`second`", observed=following.whole
    )
    # The acknowledgement was committed in the group of the holder.
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
    """Unregister a consumer; expect 202, refusals (4xx) for operations that name it, and its name free."""
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "m")
    held = queue.poll_until_record(consumer)
    reply = queue.call(UNREGISTER, {"consumer_name": consumer})
    expect_status(bench, reply, 202, "MEMBER-UNREGISTER-1", "the consumer is registered")
    for path, more in (
        (HEARTBEAT, {}),
        (SUBSCRIBE, {"topic_list": topic}),
        (ACKNOWLEDGE, {"message_id": held.message_id}),
        (UNREGISTER, {}),
    ):
        after = queue.call(path, {"consumer_name": consumer, **more})
        expect_refusal(bench, after, "MEMBER-UNREGISTER-1", "the consumer has unregistered")
    again = queue.call(REGISTER, {"consumer_group_name": group, "consumer_name": consumer})
    expect_status(bench, again, 200, "MEMBER-UNREGISTER-1", "the name is free")
    queue.expect_no_record(consumer, "MEMBER-UNREGISTER-1", "no record: the new consumer has no subscription")


@clauses("MEMBER-REGISTER-1")
@pytest.mark.parametrize("how", ["it unregistered", "its group was removed"])
def test_a_name_serves_in_the_group_of_its_last_registration(bench: Bench, how: str) -> None:
    """Register a name in two groups one after another; expect it to read as a member of the second one."""
    if how == "it unregistered" and not bench.declares("unregister"):
        bench.skip("MEMBER-REGISTER-1", "no consumer can unregister (extension unregister)")
        return
    queue = QueueFixture(bench)
    topic, first, (consumer,) = queue.topic_with_consumers()
    second = queue.new_group()
    keep_everything(queue, topic)
    for number in range(2):
        queue.publish(topic, f"m{number}")
    queue.read_and_acknowledge(consumer, 1)
    if how == "it unregistered":
        queue.client.unregister(consumer)
        stays = queue.new_consumer(first, topic)
        queue.poll_until_record(stays)
    else:
        queue.client.remove_group(first)
        del queue.members[first]  # its time can't be moved any more
    queue.members[second].append(consumer)
    reply = queue.call(REGISTER, {"consumer_group_name": second, "consumer_name": consumer})
    expect_status(bench, reply, 200, "MEMBER-REGISTER-1", "the name is free")
    queue.subscribe(consumer, topic)
    keep = [queue.poll_until_record(consumer, "MEMBER-REGISTER-1")]
    bench.judge(
        "MEMBER-REGISTER-1",
        keep[0].message == "m0",
        expected=f"m0, the first record for {second}",
        observed=keep[0].whole,
    )


@clauses("MEMBER-UNREGISTER-2", "MEMBER-UNREGISTER-3")
def test_an_unknown_consumer_cannot_unregister(bench: Bench) -> None:
    """Unregister a consumer that was never registered; expect a refusal (4xx)."""
    reply = QueueFixture(bench).call(UNREGISTER, {"consumer_name": bench.fresh("nobody")})
    expect_refusal(bench, reply, "MEMBER-UNREGISTER-2", "no such consumer")
    expect_status(bench, reply, 404, "MEMBER-UNREGISTER-3", "no such consumer")
