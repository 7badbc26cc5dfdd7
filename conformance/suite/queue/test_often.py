"""Members and waiting polls that come and go many times: nothing of them adds up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.generators import many
from conformance.suite.queue.expectations import expect_status
from conformance.suite.queue.fixture import POLL, REGISTER, UNREGISTER, QueueFixture
from conformance.suite.queue.queue_client import HEARTBEAT
from conformance.wire.operations import StompOperations

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Seconds for which each of many polls waits in vain, and the last one at most for its record.
MOMENT, LONG = 0.001, 10.0


@clauses("MEMBER-REGISTER-1")
def test_many_members_one_after_another(bench: Bench) -> None:
    """Register and unregister many consumers in a row in one group; expect 200 for each."""
    if not bench.declares("unregister"):
        bench.skip("MEMBER-REGISTER-1", "no consumer can unregister (extension unregister)")
        return
    queue = QueueFixture(bench)
    group, stem = queue.new_group(), bench.fresh("consumer")
    for number in range(many(bench)):
        names = {"consumer_group_name": group, "consumer_name": f"{stem}-{number}"}
        reply = queue.call(REGISTER, names)
        because = f"no consumer has this name, and the {number} members before it have left"
        expect_status(bench, reply, 200, "MEMBER-REGISTER-1", because)
        reply = queue.call(UNREGISTER, names)
        expect_status(bench, reply, 202, "MEMBER-UNREGISTER-1", "the consumer is registered")


@clauses("POLL-WAIT-2")
def test_a_session_may_wait_many_times(bench: Bench) -> None:
    """Let many polls of one session wait in vain in a row; expect a further one to wait for its record."""
    if bench.binding != "queue-stomp":
        return  # over HTTP a connection has no state that would add up
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    session = StompOperations(bench.stomp())
    for _ in range(many(bench)):
        session.call(POLL, {"consumer_name": consumer, "wait_seconds": MOMENT})
    wait = min(bench.limit("wait_seconds") or LONG, LONG)
    waiting = session.start(POLL, {"consumer_name": consumer, "wait_seconds": wait})
    session.call(HEARTBEAT, {"consumer_name": consumer})
    queue.publish(topic, "awaited")
    reply = waiting.reply()
    bench.judge(
        "POLL-WAIT-2",
        reply.status == 200,
        expected=f"the record, for which the poll has {wait:g} s",
        observed=reply,
    )
