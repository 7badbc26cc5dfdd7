"""Looks at a topic and a group, which change nothing: INTRO-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.suite.queue.expectations import expect_status
from conformance.suite.queue.topic_list import read_topic_list

if TYPE_CHECKING:
    from conformance.suite.queue.fixture import QueueFixture


def look_around(queue: QueueFixture, topic: str, group: str) -> None:
    """Read everything that can be read about a topic and a group (extension introspection); judges INTRO-*."""
    if (reply := read_topic_list(queue.bench)) is not None:
        expect_status(queue.bench, reply, 200, "INTRO-TOPICS-1", "it lists the topics that exist")
    client = queue.bench.http()
    for path, clause in (
        (f"/topics/{topic}", "INTRO-TOPIC-1"),
        (f"/consumer-groups/{group}", "INTRO-GROUP-1"),
        (f"/consumer-groups/{group}", "INTRO-GROUP-1"),
    ):
        reply = client.request("GET", path)
        queue.bench.step(f"GET {path} -> {reply.status}")
        expect_status(queue.bench, reply, 200, clause, "the topic and the group exist")
