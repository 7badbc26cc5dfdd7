"""Looks at a topic and a group, which change nothing, and are right whatever is under way: INTRO-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.suite.queue.expectations import expect_status
from conformance.suite.queue.topic_list import read_topic_list

if TYPE_CHECKING:
    from conformance.suite.queue.fixture import QueueFixture


def look_around(queue: QueueFixture, topic: str, group: str, *members: str) -> None:
    """Read everything that can be read about a topic and a group (extension introspection).

    Judges INTRO-* by what holds at any time, also while polls wait and partitions move: each of these `members` is
    there, and no partition stands twice in the assignment.
    """
    bench = queue.bench
    if (reply := read_topic_list(bench)) is not None:
        expect_status(bench, reply, 200, "INTRO-TOPICS-1", "it lists the topics that exist")
    client = bench.http()
    for path, clause in (
        (f"/topics/{topic}", "INTRO-TOPIC-1"),
        (f"/consumer-groups/{group}", "INTRO-GROUP-1"),
        (f"/consumer-groups/{group}", "INTRO-GROUP-1"),
    ):
        found = client.request("GET", path)
        bench.step(f"GET {path} -> {found.status}")
        expect_status(bench, found, 200, clause, "the topic and the group exist")
    document = found.json()
    bench.judge_schema("INTRO-GROUP-1", "group", document)
    rows = [(row["topicName"], row["partition"]) for row in document["assignment"]]
    bench.judge(
        "INTRO-GROUP-1",
        len(set(rows)) == len(rows),
        expected="each partition once",
        observed=document,
    )
    missing = set(members) - {member["consumer_name"] for member in document["members"]}
    bench.judge("INTRO-GROUP-1", not missing, expected=f"the members {members}", observed=document)
