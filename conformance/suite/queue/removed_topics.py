"""Topics that are removed and added again (extension topic-removal)."""

from __future__ import annotations

from conformance.suite.queue.expectations import expect_status
from conformance.suite.queue.fixture import ADD_TOPIC, REMOVE_TOPIC, QueueFixture


def remove_topic(queue: QueueFixture, topic: str, *members: str) -> None:
    """Remove a topic that exists; judges TOPIC-REMOVE-1, and TOPIC-REMOVE-6 by a heartbeat of each of the members."""
    reply = queue.call(REMOVE_TOPIC, {"topicName": topic}, promise="TOPIC-REMOVE-1")
    expect_status(queue.bench, reply, 202, "TOPIC-REMOVE-1", "the topic exists")
    for name in members:
        beat = queue.heartbeat(name)
        expect_status(queue.bench, beat, 202, "TOPIC-REMOVE-6", f"{name} is a member as before")


def add_again(queue: QueueFixture, topic: str, **extra: object) -> None:
    """Add a topic whose name belonged to one that was removed; judges TOPIC-REMOVE-10."""
    reply = queue.call(ADD_TOPIC, {"topicName": topic, **extra}, promise="TOPIC-REMOVE-10")
    expect_status(queue.bench, reply, 200, "TOPIC-REMOVE-10", "the topic of this name was removed")
