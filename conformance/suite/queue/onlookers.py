"""Looks at a topic and a group, which change nothing: INTRO-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.suite.queue.expectations import expect_status

if TYPE_CHECKING:
    from conformance.suite.queue.fixture import QueueFixture


def look_around(queue: QueueFixture, topic: str, group: str) -> None:
    """Read everything that can be read about a topic and a group (extension introspection); judges INTRO-*."""
    client = queue.bench.http()
    for path, clause in (
        ("/topics", "INTRO-TOPICS-1"),
        (f"/topics/{topic}", "INTRO-TOPIC-1"),
        (f"/consumer-groups/{group}", "INTRO-GROUP-1"),
        (f"/consumer-groups/{group}", "INTRO-GROUP-1"),
    ):
        reply = client.request("GET", path)
        queue.bench.step(f"GET {path} -> {reply.status}")
        expect_status(queue.bench, reply, 200, clause, "the topic and the group exist")
