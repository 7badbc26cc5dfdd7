"""Other methods on the paths that a server serves for GET only: HTTP-METHOD-3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_refusal
from conformance.suite.queue.fixture import QueueFixture

if TYPE_CHECKING:
    from conformance.bench.bench import Bench


@clauses("HTTP-METHOD-3")
def test_a_post_of_a_path_for_get_is_refused(bench: Bench) -> None:
    """Send POST to each path that the server serves for GET; expect a refusal (4xx)."""
    client = bench.http()
    paths = ["/capabilities"]
    if bench.declares("introspection"):
        topic, group, _members = QueueFixture(bench).topic_with_consumers()
        paths += ["/topics", f"/topics/{topic}", f"/consumer-groups/{group}"]
    served = [path for path in paths if client.request("GET", path).status == 200]
    for path in served:
        reply = client.request("POST", path, b"{}", {"Content-Type": "application/json"})
        expect_refusal(bench, reply, "HTTP-METHOD-3", f"{path} is there for GET")
    if not served:
        bench.skip("HTTP-METHOD-3", "no path is served for GET")
