"""Operations that are asked for before their names exist: they succeed once the names are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_status
from conformance.suite.queue.fixture import (
    ACKNOWLEDGE,
    ADD_GROUP,
    ADD_TOPIC,
    POLL,
    REGISTER,
    REMOVE_GROUP,
    REMOVE_TOPIC,
    SUBSCRIBE,
    UNREGISTER,
    UNSUBSCRIBE,
    QueueFixture,
    publish_path,
)
from conformance.suite.queue.queue_client import HEARTBEAT

if TYPE_CHECKING:
    from conformance.bench.bench import Bench


@clauses(
    "MEMBER-REGISTER-1",
    "MEMBER-SUBSCRIBE-1",
    "PUB-STORE-1",
    "LIVE-BEAT-1",
    "POLL-OK-1",
    "ACK-OK-1",
    "MEMBER-UNSUBSCRIBE-1",
    "GROUP-REMOVE-1",
)
def test_what_was_refused_for_want_of_a_name_succeeds_later(bench: Bench) -> None:
    """Send each operation on a topic, a group and a consumer before these exist, add them, and send the same operations
    again; expect each to succeed: a refusal leaves nothing behind (REFUSE-1).
    """
    queue = QueueFixture(bench)
    topic, group, consumer = bench.fresh("topic"), bench.fresh("group"), bench.fresh("consumer")
    of_consumer = {"consumer_name": consumer}
    of_topic = {**of_consumer, "topic_list": topic}
    record = {"messageID": "1", "message": "m", "key": "k"}
    early: list[tuple[str, dict[str, Any], str, int]] = [
        (publish_path(topic), record, "PUB-STORE-1", 200),
        (REGISTER, {"consumer_group_name": group, **of_consumer}, "MEMBER-REGISTER-1", 200),
        (HEARTBEAT, of_consumer, "LIVE-BEAT-1", 202),
        (SUBSCRIBE, of_topic, "MEMBER-SUBSCRIBE-1", 200),
        (POLL, of_consumer, "POLL-OK-1", 200),
        (ACKNOWLEDGE, {**of_consumer, "message_id": 1}, "ACK-OK-1", 202),
        (UNSUBSCRIBE, of_topic, "MEMBER-UNSUBSCRIBE-1", 202),
        (UNREGISTER, of_consumer, "MEMBER-UNREGISTER-1", 202),
        (REMOVE_GROUP, {"consumer_group_name": group}, "GROUP-REMOVE-1", 202),
        (REMOVE_TOPIC, {"topicName": topic}, "TOPIC-REMOVE-1", 202),
    ]
    needs = {UNREGISTER: "unregister", REMOVE_TOPIC: "topic-removal"}
    served = [each for each in early if each[0] not in needs or bench.declares(needs[each[0]])]
    for _ in range(2):  # a server may look at something only once
        for path, body, _clause, _status in served:
            queue.call(path, body)
    for path, body in ((ADD_TOPIC, {"topicName": topic}), (ADD_GROUP, {"consumer_group_name": group})):
        queue.call(path, body)
    for path, body, clause, status in served:
        if path == POLL:
            held = queue.poll_until_record(consumer)
            continue
        whole = {**body, "message_id": held.message_id} if path == ACKNOWLEDGE else body
        reply = queue.call(path, whole)
        because = f"the names that were missing are there now: {', '.join((topic, group, consumer))}"
        expect_status(bench, reply, status, clause, because)
        if path == REGISTER:
            queue.members[group] = [consumer]
        elif path == UNREGISTER:
            del queue.members[group]
