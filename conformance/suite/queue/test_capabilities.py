"""The capabilities that a server declares: CAP-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.queue.fixture import QueueFixture
from conformance.wire.cutting import cut_octets

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

_SHOWN = 2000


@clauses("CAP-3", "CAP-1")
def test_the_document_has_its_form(bench: Bench) -> None:
    """Send GET /capabilities; expect a body that is valid by its schema, if the status is 200. The document is
    optional.
    """
    reply = bench.http().request("GET", "/capabilities")
    if reply.status != 200:
        bench.observe("CAP-3", f"{reply.status}: nothing is declared")
        bench.skip("CAP-1", "the server declares nothing")
        return
    bench.observe("CAP-3", cut_octets(reply.body, _SHOWN))
    bench.judge_schema("CAP-1", "capabilities", reply.json())


@clauses("CAP-2")
def test_a_topic_has_as_many_partitions_as_are_declared(bench: Bench) -> None:
    """Publish two records without a key for each partition that `defaults.partitions` declares; expect exactly as many
    records in flight as are declared.
    """
    document = bench.target.capabilities
    defaults = document.get("defaults") if isinstance(document, dict) else None
    declared = bench.target.partitions if isinstance(defaults, dict) and "partitions" in defaults else None
    if declared is None:
        bench.skip("CAP-2", "the server does not declare how many partitions a topic has")
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    for number in range(2 * declared):
        queue.publish(topic, f"m{number}", key=None)
    in_flight = {queue.poll_until_record(consumer, "CAP-2").message for _ in range(declared)}
    bench.judge(
        "CAP-2", len(in_flight) == declared, expected=f"{declared} in flight", observed=sorted(in_flight)
    )
    queue.expect_no_record(consumer, "CAP-2", f"no more than {declared} records in flight")
