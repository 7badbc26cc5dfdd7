"""Other methods on the paths that a server serves for GET only: HTTP-METHOD-3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_refusal
from conformance.suite.queue.fixture import QueueFixture
from conformance.suite.queue.topic_list import PATH, read_topic_list

if TYPE_CHECKING:
    from conformance.bench.bench import Bench


@clauses("HTTP-METHOD-3")
def test_a_post_of_a_path_for_get_is_refused(bench: Bench) -> None:
    """Send POST to each path that the server serves for GET; expect a refusal (4xx)."""
    client = bench.http()
    paths, served = ["/capabilities"], []
    if bench.declares("introspection"):
        topic, group, _members = QueueFixture(bench).topic_with_consumers()
        paths += [f"/topics/{topic}", f"/consumer-groups/{group}"]
        listed = read_topic_list(bench)
        if listed is None or listed.status == 200:
            served.append(PATH)
    served += [path for path in paths if client.request("GET", path).status == 200]
    for path in served:
        reply = client.request("POST", path, b"{}", {"Content-Type": "application/json"})
        expect_refusal(bench, reply, "HTTP-METHOD-3", f"{path} is there for GET")
    if not served:
        bench.skip("HTTP-METHOD-3", "no path is served for GET")
