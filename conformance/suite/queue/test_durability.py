"""Records, offsets, names and members after a restart of all nodes by a command of the user."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from conformance.bench.marks import clauses, exclusive
from conformance.run.first_contact import CAPABILITIES
from conformance.suite.queue.expectations import expect_refusal, expect_status, refused
from conformance.suite.queue.fixture import (
    ACKNOWLEDGE,
    ADD_TOPIC,
    REGISTER,
    UNSUBSCRIBE,
    QueueFixture,
)
from conformance.suite.queue.presence import every_node_answers
from conformance.targets.commands import CommandFailed
from conformance.wire.failures import PeerFailure, Unreachable, Violation

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.http import HttpClient

CLAUSES = ("DURABLE-RECORD-1", "DURABLE-NAME-1", "DURABLE-COMMIT-1", "DURABLE-POSITION-1", "DURABLE-MEMBER-1")
#: Longest wait, in seconds, until the connections from before a restart have ended, and until every node answers.
GONE_SECONDS = 10.0
BACK_SECONDS = 60.0
#: Time between two looks, in seconds.
LOOK = 0.1


@exclusive
@clauses(*CLAUSES)
def test_what_was_answered_outlives_a_restart(bench: Bench) -> None:
    """Store and read a part, restart all nodes, and read the rest, in the old groups and in one that read nothing.

    The consumer of one of the old groups holds a record during the restart.
    """
    if bench.restart is None:
        for clause in CLAUSES:
            bench.skip(clause, "give the command that restarts all nodes: --restart COMMAND")
        return
    queue = QueueFixture(bench)
    topic, probe = queue.new_topic(), queue.new_topic()
    group, settled, other = queue.new_group(), queue.new_group(), queue.new_group()
    idle = queue.new_consumer(settled, topic)
    consumer = queue.new_consumer(group, topic)
    stored = [queue.publish(topic, f"before-{number}") for number in range(6)]
    read = [record.message for record in queue.read_and_acknowledge(consumer, 3)]
    done = [record.message for record in queue.read_and_acknowledge(idle, 2)]
    held = queue.poll_until_record(consumer)
    last_sign = time.monotonic()
    queue.heartbeat(consumer)
    bench.outlast_outages()
    if still := _restart(bench, probe):
        for clause in CLAUSES:
            bench.skip(clause, still)
        return

    queue = QueueFixture(bench)
    expect_refusal(bench, queue.call(ADD_TOPIC, {"topicName": topic}), "DURABLE-NAME-1", "the topic is there")
    readers = {one: _registered(queue, one) for one in (group, settled, other)}
    reply = queue.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": held.message_id})
    silence = time.monotonic() - last_sign
    timeout = bench.target.timings.heartbeat_timeout
    if silence < timeout:
        because = f"its consumer holds this record, and was silent for {silence:.1f} s of {timeout:g} s"
        expect_status(bench, reply, 202, "DURABLE-MEMBER-1", because)
        again = queue.call(REGISTER, {"consumer_group_name": other, "consumer_name": consumer})
        if time.monotonic() - last_sign < timeout:
            expect_refusal(bench, again, "DURABLE-MEMBER-1", "the name is that of a consumer")
    else:
        bench.skip(
            "DURABLE-MEMBER-1",
            f"the restart took {silence:.1f} s, longer than the heartbeat timeout, {timeout:g} s",
        )
    if not refused(reply):
        read.append(held.message)
    stored.append(queue.publish(topic, "after"))
    if bench.declares("record-position"):
        positions = [(reply.body.get("partition"), reply.body.get("offset")) for reply in stored]
        expected = [(positions[0][0], number) for number in range(len(stored))]
        bench.judge(
            "DURABLE-POSITION-1",
            positions == expected,
            expected=f"partitions and offsets {expected}",
            observed=positions,
        )
    _free(queue, consumer, topic)
    _free(queue, idle, topic)
    for one, texts in ((group, read), (settled, done), (other, [])):
        queue.subscribe(readers[one], topic)
        _read_rest(queue, readers[one], texts)


def _restart(bench: Bench, probe: str) -> str:
    """Restart all nodes, and wait until they answer. Ends the run if they don't.

    Returns "", or why no restart was seen: a process that has ended has no connection left. A command may end before
    the processes that it sends a signal to.
    """
    assert bench.restart is not None
    watched = _open_connections(bench)
    bench.step(f"restart: {bench.restart.line}")
    try:
        bench.restart.run(bench.interrupted)
    except CommandFailed as error:
        bench.end_run(str(error))
    gone = _have_ended(bench, watched)
    deadline = time.monotonic() + BACK_SECONDS
    while not every_node_answers(bench, probe):
        if time.monotonic() > deadline or bench.wait(LOOK):
            bench.end_run(f"{BACK_SECONDS:g} s after the restart, not every node answers")
    if gone:
        return ""
    return (
        f"--restart {bench.restart.line!r} has ended, and a connection from before it is still open: expected a "
        "command that restarts all nodes, at URLs of their own without a proxy"
    )


def _open_connections(bench: Bench) -> list[HttpClient]:
    """A connection to each node that serves HTTP; those that it closes by itself say nothing."""
    clients = []
    for node in bench.target.nodes if bench.target.has_http else ():
        with bench.at_node(node), contextlib.suppress(PeerFailure, Violation, Unreachable):
            client = bench.http()
            client.request("GET", CAPABILITIES)
            clients.append(client)
    return clients


def _have_ended(bench: Bench, watched: list[HttpClient]) -> bool:
    """True if all these connections end within `GONE_SECONDS`."""
    deadline = time.monotonic() + GONE_SECONDS
    while any(client.is_open for client in watched):
        if time.monotonic() > deadline or bench.wait(LOOK):
            return False
    return True


def _registered(queue: QueueFixture, group: str) -> str:
    """Register a consumer in a group; judges DURABLE-NAME-1 by the group being there. Returns its name."""
    name = queue.bench.fresh("consumer")
    reply = queue.call(REGISTER, {"consumer_group_name": group, "consumer_name": name})
    expect_status(
        queue.bench, reply, 200, "DURABLE-NAME-1", "the group is there, and no consumer has this name"
    )
    queue.members.setdefault(group, []).append(name)
    return name


def _free(queue: QueueFixture, consumer: str, topic: str) -> None:
    """Let the consumer give its partitions up; one that is registered no longer has none."""
    queue.client.call(UNSUBSCRIBE, {"consumer_name": consumer, "topic_list": topic})


def _read_rest(queue: QueueFixture, consumer: str, read: list[str]) -> None:
    """Read what the group has not acknowledged, in order: `read` are the texts of what it has."""
    texts = [*(f"before-{number}" for number in range(6)), "after"]
    for text in texts[len(read) :]:
        record = queue.poll_until_record(consumer, "DURABLE-RECORD-1")
        queue.bench.judge(
            "DURABLE-COMMIT-1",
            record.message not in read,
            expected=f"{text!r}: the group has acknowledged {', '.join(read) or 'nothing'}",
            observed=record.whole,
        )
        queue.bench.judge(
            "DURABLE-RECORD-1", record.message == text, expected=f"the record {text!r}", observed=record.whole
        )
        queue.acknowledge(consumer, record.message_id)
        read.append(record.message)
